/* SPDX-License-Identifier: Apache-2.0
 * The whole of it, as the net unit uses it, in namespaces of our own: a unit's process with its
 * network, files below /run, and every call twice.
 */
#define _GNU_SOURCE
#include "guestagent/net/guest_net.h"

#include "guestagent/linux/rtnetlink.h"
#include "support/cmocka_all.h"
#include "support/port_case.h"
#include "unit/guest_net/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNIT    "network-namespace.service"
#define CGROUP  "system.slice/" UNIT
#define RESOLV  "/run/resolv.conf"
#define HOSTS   "/run/hosts"
#define OUTSIDE "veth-rd-wsl"
#define INSIDE  "veth-rd-ns"

static const struct mac mac = { { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xee } };
static const struct guest_net_config config = {
    .netns = "unit:" UNIT,
    .tap_name = "eth0",
    .resolv_conf = RESOLV,
    .hosts = HOSTS,
    .veth = true,
    .veth_outside = OUTSIDE,
    .veth_inside = INSIDE,
    .veth_outside_ip = "192.168.143.2/24",
    .veth_inside_ip = "192.168.143.1/24",
};

static struct port_case c;
static pid_t owner;
static struct guest_net *net;
static struct tap *tap;

static void on_readable(void *ctx)
{
}

static void on_error(void *ctx, enum status why)
{
}

static const struct tap_handler handler = { .on_readable = on_readable, .on_error = on_error };

static void start_owner(void)
{
    owner = sandbox_process(true);
    sandbox_cgroup(CGROUP, owner, 0);
}

static int with_owner(void **state)
{
    port_case_init(&c);
    start_owner();
    return 0;
}

static int without_owner(void **state)
{
    tap_close(tap);
    guest_net_close(net);
    tap = NULL;
    net = NULL;
    sandbox_kill(owner);
    sandbox_remove_cgroups();
    port_case_fini(&c);
    return 0;
}

static void open_net(void)
{
    struct errmsg e;

    if (guest_net_open(&net, c.loop, &config, &e))
        fail_msg("%s", e.text);
}

static void open_tap(unsigned mtu)
{
    struct errmsg e;

    if (guest_net_open_tap(net, &mac, mtu, &handler, NULL, &tap, &e))
        fail_msg("%s", e.text);
}

static struct guest_lease lease(const char *ip, const char *gateway)
{
    struct guest_lease l = { .prefix_bits = 24, .search = "corp.example" };

    assert_int_equal(ip_addr_parse(&l.ip, ip), ST_OK);
    assert_int_equal(ip_addr_parse(&l.gateway, gateway), ST_OK);
    l.dns = l.gateway;
    return l;
}

static void apply(const struct guest_lease *l)
{
    struct errmsg e;

    if (guest_net_apply(net, l, &e) || *e.text)
        fail_msg("%s", e.text);
}

/* What the guest's namespace looks like. */
struct inside {
    const char *ip, *gateway; /* asked for */
    bool has_ip, has_route, tap_up, lo_up, veth_up, veth_ip;
    unsigned routes;
    int mtu;
};

static void look(void *ctx)
{
    struct inside *i = ctx;

    i->has_ip = sandbox_has_address("eth0", i->ip);
    i->has_route = sandbox_has_default_route("eth0", i->gateway);
    i->routes = sandbox_default_routes();
    i->tap_up = sandbox_is_up("eth0");
    i->lo_up = sandbox_is_up("lo");
    i->veth_up = sandbox_is_up(INSIDE);
    i->veth_ip = sandbox_has_address(INSIDE, "192.168.143.1");
    i->mtu = sandbox_mtu("eth0");
}

static struct inside inside(const char *ip, const char *gateway)
{
    struct inside i = { .ip = ip, .gateway = gateway };

    sandbox_in(owner, look, &i);
    return i;
}

static void assert_file_has(const char *path, const char *line)
{
    char *text = sandbox_read(path);

    if (!strstr(text, line))
        fail_msg("%s: %s", path, text);
    free(text);
}

/* ---- namespace and veth pair ----------------------------------------------------------- */

static void the_pair_joins_both_namespaces(void **state)
{
    struct inside i;

    open_net();
    i = inside("0.0.0.0", "0.0.0.0");
    assert_true(i.veth_up && i.veth_ip);
    assert_true(sandbox_is_up(OUTSIDE));
    assert_true(sandbox_has_address(OUTSIDE, "192.168.143.2"));
    assert_true(guest_net_is_current(net));
}

static void closing_takes_the_pair_away_and_leaves_the_namespace(void **state)
{
    for (int turn = 0; turn < 2; turn++) {
        open_net();
        guest_net_close(net);
        net = NULL;
        assert_int_equal(sandbox_mtu(OUTSIDE), -1);
        assert_false(inside("0.0.0.0", "0.0.0.0").veth_up);
    }
}

/* A predecessor that was killed: its pair is there and nobody will take it away. */
static void leave_pair(void)
{
    pid_t child;
    int code = -1;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        struct guest_net *mine;

        _exit(guest_net_open(&mine, c.loop, &config, NULL) != ST_OK);
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    assert_true(sandbox_is_up(OUTSIDE));
}

static void a_killed_predecessors_pair_is_replaced(void **state)
{
    leave_pair();
    open_net();
    assert_true(inside("0.0.0.0", "0.0.0.0").veth_ip);
    assert_true(sandbox_has_address(OUTSIDE, "192.168.143.2"));
}

/* A veth of the inner end's name, whose other end is somewhere else. */
static void make_stale_end(void *ctx)
{
    struct rtnetlink nl;
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(rtnetlink_open(&nl, NULL), ST_OK);
    assert_int_equal(rtnetlink_add_veth(&nl, INSIDE, "elsewhere", fd, NULL), ST_OK);
    rtnetlink_close(&nl);
    close(fd);
}

static void see_elsewhere(void *ctx)
{
    int *mtu = ctx;

    *mtu = sandbox_mtu("elsewhere");
}

static void a_stale_inner_end_alone_is_replaced_too(void **state)
{
    int mtu = 0;

    sandbox_in(owner, make_stale_end, NULL);
    open_net();
    assert_true(inside("0.0.0.0", "0.0.0.0").veth_ip);
    sandbox_in(owner, see_elsewhere, &mtu);
    assert_int_equal(mtu, -1);
}

static void a_restarted_owner_gets_the_pair_anew(void **state)
{
    open_net();
    open_tap(1500);
    sandbox_kill(owner);
    assert_false(guest_net_is_current(net));
    start_owner();
    assert_false(guest_net_is_current(net));
    tap_close(tap);
    guest_net_close(net);
    open_net();
    open_tap(1500);
    assert_true(guest_net_is_current(net));
    assert_true(inside("0.0.0.0", "0.0.0.0").veth_ip);
    assert_true(inside("0.0.0.0", "0.0.0.0").tap_up);
}

static void make_foreign(void *ctx)
{
    sandbox_foreign_device(ctx);
}

static void an_interface_that_is_no_veth_is_not_ours_to_remove(void **state)
{
    static char name[] = INSIDE;
    struct errmsg e = { .text = "" };

    sandbox_foreign_device(OUTSIDE);
    assert_int_equal(guest_net_open(&net, c.loop, &config, &e), ST_EXISTS);
    assert_non_null(strstr(e.text, OUTSIDE));
    assert_true(sandbox_mtu(OUTSIDE) > 0);
    sandbox_remove_foreign_device(OUTSIDE);
    sandbox_in(owner, make_foreign, name);
    assert_int_equal(guest_net_open(&net, c.loop, &config, &e), ST_EXISTS);
    assert_non_null(strstr(e.text, INSIDE));
    assert_int_equal(sandbox_mtu(OUTSIDE), -1);
}

static void a_unit_that_does_not_run_is_not_found(void **state)
{
    struct errmsg e = { .text = "" };

    sandbox_remove_cgroups();
    assert_int_equal(guest_net_open(&net, c.loop, &config, &e), ST_NOTFOUND);
    assert_non_null(strstr(e.text, UNIT));
}

static void in_its_own_namespace_it_needs_no_pair(void **state)
{
    struct guest_net_config here = config;
    struct guest_lease l = lease("192.168.127.2", "192.168.127.1");

    here.netns = "host";
    assert_int_equal(guest_net_open(&net, c.loop, &here, NULL), ST_OK);
    assert_int_equal(sandbox_mtu(OUTSIDE), -1);
    open_tap(1500);
    apply(&l);
    assert_true(sandbox_has_address("eth0", "192.168.127.2"));
    assert_true(guest_net_is_current(net));
}

static void a_configuration_that_makes_no_sense_is_refused(void **state)
{
    static const struct {
        const char *name, *ip, *tap, *outside;
    } rows[] = {
        { "no prefix", "192.168.143.2", "eth0", OUTSIDE },
        { "prefix too long", "192.168.143.2/33", "eth0", OUTSIDE },
        { "no number", "192.168.143.2/", "eth0", OUTSIDE },
        { "no address", "192.168.143/24", "eth0", OUTSIDE },
        { "no address at all", "/24", "eth0", OUTSIDE },
        { "long name of the tap", "192.168.143.2/24", "a-name-of-16-byt", OUTSIDE },
        { "long name of the veth", "192.168.143.2/24", "eth0", "a-name-of-16-byt" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct guest_net_config bad = config;

        bad.veth_outside_ip = rows[i].ip;
        bad.tap_name = rows[i].tap;
        bad.veth_outside = rows[i].outside;
        if (guest_net_open(&net, c.loop, &bad, NULL) != ST_INVAL)
            fail_msg("%s", rows[i].name);
    }
    assert_int_equal(sandbox_mtu(OUTSIDE), -1);
}

/* ---- tap and lease --------------------------------------------------------------------- */

static void the_tap_is_in_the_guests_namespace_and_up(void **state)
{
    static const unsigned mtus[] = { 1500, 65520 };

    open_net();
    for (size_t turn = 0; turn < ARRAY_SIZE(mtus); turn++) {
        struct inside i;

        open_tap(mtus[turn]);
        i = inside("0.0.0.0", "0.0.0.0");
        assert_true(i.tap_up && i.lo_up);
        assert_int_equal(i.mtu, mtus[turn]);
        assert_int_equal(sandbox_mtu("eth0"), -1);
        tap_close(tap);
        tap = NULL;
        assert_int_equal(inside("0.0.0.0", "0.0.0.0").mtu, -1);
    }
}

static void a_taken_name_of_the_tap_is_said_so(void **state)
{
    static char name[] = "eth0";
    struct errmsg e = { .text = "" };

    open_net();
    sandbox_in(owner, make_foreign, name);
    assert_int_equal(guest_net_open_tap(net, &mac, 1500, &handler, NULL, &tap, &e), ST_EXISTS);
    assert_non_null(strstr(e.text, "eth0"));
    assert_true(inside("0.0.0.0", "0.0.0.0").mtu > 0);
}

static void an_mtu_beyond_the_device_leaves_no_device(void **state)
{
    open_net();
    assert_int_equal(guest_net_open_tap(net, &mac, 70000, &handler, NULL, &tap, NULL), ST_INVAL);
    assert_int_equal(inside("0.0.0.0", "0.0.0.0").mtu, -1);
}

static void a_lease_is_applied_as_often_as_one_likes(void **state)
{
    struct guest_lease l = lease("192.168.127.2", "192.168.127.1");

    l.mtu = 1400;
    sandbox_write(RESOLV, "nameserver 9.9.9.9\n");
    sandbox_write(HOSTS, "127.0.0.1 localhost\n");
    open_net();
    open_tap(1500);
    for (int turn = 0; turn < 2; turn++) {
        struct inside i;

        apply(&l);
        i = inside("192.168.127.2", "192.168.127.1");
        assert_true(i.has_ip && i.has_route);
        assert_int_equal(i.routes, 1);
        assert_int_equal(i.mtu, 1400);
        assert_file_has(RESOLV, "search corp.example\nnameserver 192.168.127.1\n");
        assert_file_has(HOSTS, "localhost\n192.168.127.1 gateway.rancher-desktop.internal\n");
    }
}

static void another_lease_takes_the_place_of_the_first(void **state)
{
    struct guest_lease first = lease("192.168.127.2", "192.168.127.1");
    struct guest_lease second = lease("192.168.127.3", "192.168.127.9");
    struct guest_lease third = lease("10.1.2.3", "10.1.2.1");
    struct inside i;

    open_net();
    open_tap(1500);
    apply(&first);
    apply(&second);
    i = inside("192.168.127.3", "192.168.127.9");
    assert_true(i.has_ip && i.has_route);
    assert_int_equal(i.routes, 1);
    assert_false(inside("192.168.127.2", "0.0.0.0").has_ip);
    apply(&third);
    i = inside("10.1.2.3", "10.1.2.1");
    assert_true(i.has_ip && i.has_route);
    assert_int_equal(i.routes, 1);
    assert_file_has(HOSTS, "10.1.2.1 gateway.rancher-desktop.internal\n");
    assert_int_equal(i.mtu, 1500);
}

static void a_lease_without_a_gateway_leaves_no_route(void **state)
{
    struct guest_lease l = lease("192.168.127.2", "192.168.127.1");
    struct ip_addr none = { { 0 } };

    open_net();
    open_tap(1500);
    apply(&l);
    l.gateway = l.dns = none;
    apply(&l);
    assert_int_equal(inside("192.168.127.2", "0.0.0.0").routes, 0);
    assert_true(inside("192.168.127.2", "0.0.0.0").has_ip);
    assert_file_has(RESOLV, "nameserver 192.168.127.1\n"); /* nothing better is known */
}

static void a_gateway_outside_of_the_prefix_is_reached_on_the_link(void **state)
{
    struct guest_lease l = lease("192.168.127.2", "10.0.0.1");

    l.prefix_bits = 32;
    open_net();
    open_tap(1500);
    apply(&l);
    assert_true(inside("192.168.127.2", "10.0.0.1").has_route);
}

static void a_read_only_resolver_is_said_and_the_rest_is_done(void **state)
{
    struct guest_lease l = lease("192.168.127.2", "192.168.127.1");
    struct errmsg e = { .text = "" };
    struct inside i;

    sandbox_write(RESOLV, "nameserver 9.9.9.9\n");
    sandbox_write(HOSTS, "");
    assert_int_equal(mount(RESOLV, RESOLV, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(NULL, RESOLV, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
    open_net();
    open_tap(1500);
    assert_int_equal(guest_net_apply(net, &l, &e), ST_OK);
    assert_non_null(strstr(e.text, RESOLV));
    i = inside("192.168.127.2", "192.168.127.1");
    assert_true(i.has_ip && i.has_route);
    assert_file_has(HOSTS, "gateway.rancher-desktop.internal");
    assert_file_has(RESOLV, "9.9.9.9");
    assert_int_equal(umount(RESOLV), 0);
    apply(&l);
    assert_file_has(RESOLV, "192.168.127.1");
}

static void without_a_device_everything_that_failed_is_said(void **state)
{
    struct guest_lease l = lease("192.168.127.2", "192.168.127.1");
    struct errmsg e = { .text = "" };

    open_net();
    assert_int_equal(guest_net_apply(net, &l, &e), ST_NOTFOUND);
    assert_non_null(strstr(e.text, "eth0"));
    assert_file_has(HOSTS, "gateway.rancher-desktop.internal");
}

static void no_files_are_touched_when_none_are_named(void **state)
{
    struct guest_net_config quiet = config;
    struct guest_lease l = lease("192.168.127.2", "192.168.127.1");

    quiet.resolv_conf = quiet.hosts = "";
    unlink(RESOLV);
    unlink(HOSTS);
    assert_int_equal(guest_net_open(&net, c.loop, &quiet, NULL), ST_OK);
    open_tap(1500);
    apply(&l);
    assert_int_equal(access(RESOLV, F_OK), -1);
    assert_int_equal(access(HOSTS, F_OK), -1);
}

/* ---- what the unit's capabilities allow ------------------------------------------------ */

/* CapabilityBoundingSet= of rdlink-net.service. */
static const unsigned unit_capabilities[] = { CAP_NET_ADMIN, CAP_SYS_ADMIN };

static bool keep_unit_capabilities(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct set[2] = { { 0 } };

    for (size_t i = 0; i < ARRAY_SIZE(unit_capabilities); i++) {
        set[0].effective |= 1U << unit_capabilities[i];
        set[0].permitted |= 1U << unit_capabilities[i];
    }
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_capset, &head, set) == 0;
}

/* In a child: the number of the step that failed, 0 = none. */
static int live_with_unit_capabilities(void)
{
    struct guest_lease l = lease("192.168.127.2", "192.168.127.1");
    struct errmsg e = { .text = "" };
    int failed = 0;

    if (!keep_unit_capabilities())
        failed = 1;
    else if (guest_net_open(&net, c.loop, &config, &e))
        failed = 2;
    else if (guest_net_open_tap(net, &mac, 1500, &handler, NULL, &tap, &e))
        failed = 3;
    else if (guest_net_apply(net, &l, &e) || *e.text)
        failed = 4;
    else if (!guest_net_is_current(net))
        failed = 5;
    if (failed)
        printf("step %d: %s\n", failed, e.text);
    fflush(NULL);
    tap_close(tap);
    guest_net_close(net);
    return failed;
}

static void the_units_capabilities_are_enough(void **state)
{
    int code = -1;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0)
        _exit(live_with_unit_capabilities());
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    assert_int_equal(sandbox_mtu(OUTSIDE), -1);
}

#define WITH_OWNER(test) cmocka_unit_test_setup_teardown(test, with_owner, without_owner)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_OWNER(the_pair_joins_both_namespaces),
        WITH_OWNER(closing_takes_the_pair_away_and_leaves_the_namespace),
        WITH_OWNER(a_killed_predecessors_pair_is_replaced),
        WITH_OWNER(a_stale_inner_end_alone_is_replaced_too),
        WITH_OWNER(a_restarted_owner_gets_the_pair_anew),
        WITH_OWNER(an_interface_that_is_no_veth_is_not_ours_to_remove),
        WITH_OWNER(a_unit_that_does_not_run_is_not_found),
        WITH_OWNER(in_its_own_namespace_it_needs_no_pair),
        WITH_OWNER(a_configuration_that_makes_no_sense_is_refused),
        WITH_OWNER(the_tap_is_in_the_guests_namespace_and_up),
        WITH_OWNER(a_taken_name_of_the_tap_is_said_so),
        WITH_OWNER(an_mtu_beyond_the_device_leaves_no_device),
        WITH_OWNER(a_lease_is_applied_as_often_as_one_likes),
        WITH_OWNER(another_lease_takes_the_place_of_the_first),
        WITH_OWNER(a_lease_without_a_gateway_leaves_no_route),
        WITH_OWNER(a_gateway_outside_of_the_prefix_is_reached_on_the_link),
        WITH_OWNER(a_read_only_resolver_is_said_and_the_rest_is_done),
        WITH_OWNER(without_a_device_everything_that_failed_is_said),
        WITH_OWNER(no_files_are_touched_when_none_are_named),
        WITH_OWNER(the_units_capabilities_are_enough),
    };

    if (!sandbox_enter() || !sandbox_has_tun())
        return SANDBOX_SKIP;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
