/* SPDX-License-Identifier: Apache-2.0
 * Questions to the kernel of a namespace of our own; what became of them is read another way.
 */
#define _GNU_SOURCE
#include "guestagent/linux/rtnetlink.h"

#include "support/cmocka_all.h"
#include "unit/guest_net/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct rtnetlink nl;
static pid_t other; /* a process in another namespace */
static int other_fd;

static struct ip_addr ip(const char *text)
{
    struct ip_addr a;

    assert_int_equal(ip_addr_parse(&a, text), ST_OK);
    return a;
}

static int index_of(const char *name)
{
    struct rtnetlink_link link = { .index = 0 };

    assert_int_equal(rtnetlink_find_link(&nl, name, &link, NULL), ST_OK);
    assert_true(link.index > 0);
    return link.index;
}

static int with_pair(void **state)
{
    char path[64];

    assert_int_equal(rtnetlink_open(&nl, NULL), ST_OK);
    other = sandbox_process(true);
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)other);
    other_fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(other_fd >= 0);
    assert_int_equal(rtnetlink_add_veth(&nl, "here", "there", other_fd, NULL), ST_OK);
    assert_int_equal(rtnetlink_change_link(&nl, index_of("here"),
                                           &(struct rtnetlink_change){ .up = true }, NULL),
                     ST_OK);
    return 0;
}

static int without_pair(void **state)
{
    struct rtnetlink_link link;

    if (rtnetlink_find_link(&nl, "here", &link, NULL) == ST_OK)
        assert_int_equal(rtnetlink_delete_link(&nl, link.index, NULL), ST_OK);
    close(other_fd);
    sandbox_kill(other);
    rtnetlink_close(&nl);
    return 0;
}

static void links_are_found_by_name_with_their_kind(void **state)
{
    struct rtnetlink_link link;
    struct errmsg e = { .text = "" };

    assert_int_equal(rtnetlink_find_link(&nl, "lo", &link, NULL), ST_OK);
    assert_int_equal(link.index, 1);
    assert_string_equal(link.kind, "");
    assert_int_equal(rtnetlink_find_link(&nl, "here", &link, NULL), ST_OK);
    assert_string_equal(link.kind, "veth");
    assert_int_equal(rtnetlink_find_link(&nl, "missing", &link, &e), ST_NOTFOUND);
    assert_non_null(strstr(e.text, "missing"));
    assert_int_equal(rtnetlink_find_link(&nl, "a-name-of-16-byt", &link, &e), ST_INVAL);
    assert_int_equal(rtnetlink_find_link(&nl, "", &link, &e), ST_INVAL);
}

static void see_other_end(void *ctx)
{
    bool *seen = ctx;

    *seen = sandbox_mtu("there") > 0 && sandbox_mtu("here") < 0;
}

static void a_pair_has_one_end_in_each_namespace(void **state)
{
    bool seen = false;

    assert_true(sandbox_mtu("here") > 0);
    assert_int_equal(sandbox_mtu("there"), -1);
    sandbox_in(other, see_other_end, &seen);
    assert_true(seen);
}

static void a_taken_name_is_said_so(void **state)
{
    struct errmsg e = { .text = "" };

    assert_int_equal(rtnetlink_add_veth(&nl, "here", "else", other_fd, &e), ST_EXISTS);
    assert_string_not_equal(e.text, "");
    assert_int_equal(rtnetlink_add_veth(&nl, "else", "there", other_fd, &e), ST_EXISTS);
    assert_int_equal(sandbox_mtu("else"), -1);
}

static void a_link_is_changed_in_part(void **state)
{
    struct rtnetlink_change change = { .mtu = 9000 };
    struct mac mac = { { 2, 0, 0, 0, 0, 1 } };
    int index = index_of("here");

    assert_int_equal(rtnetlink_change_link(&nl, index, &change, NULL), ST_OK);
    assert_int_equal(sandbox_mtu("here"), 9000);
    assert_true(sandbox_is_up("here"));
    change = (struct rtnetlink_change){ .mac = &mac, .queue_frames = 77 };
    assert_int_equal(rtnetlink_change_link(&nl, index, &change, NULL), ST_OK);
    assert_int_equal(sandbox_mtu("here"), 9000);
    change = (struct rtnetlink_change){ .mtu = 10 };
    assert_int_equal(rtnetlink_change_link(&nl, index, &change, NULL), ST_INVAL);
    assert_int_equal(rtnetlink_change_link(&nl, 12345, &change, NULL), ST_NOTFOUND);
}

static void deleting_twice_is_fine_and_takes_both_ends(void **state)
{
    int index = index_of("here");
    bool seen = true;

    assert_int_equal(rtnetlink_delete_link(&nl, index, NULL), ST_OK);
    assert_int_equal(rtnetlink_delete_link(&nl, index, NULL), ST_OK);
    assert_int_equal(sandbox_mtu("here"), -1);
    sandbox_in(other, see_other_end, &seen);
    assert_false(seen);
}

static void an_address_is_put_and_removed_as_often_as_one_likes(void **state)
{
    struct ip_addr a = ip("192.168.127.2");
    int index = index_of("here");

    for (int i = 0; i < 2; i++)
        assert_int_equal(rtnetlink_put_address(&nl, index, &a, 24, NULL), ST_OK);
    assert_true(sandbox_has_address("here", "192.168.127.2"));
    for (int i = 0; i < 2; i++)
        assert_int_equal(rtnetlink_remove_address(&nl, index, &a, 24, NULL), ST_OK);
    assert_false(sandbox_has_address("here", "192.168.127.2"));
    assert_int_equal(rtnetlink_put_address(&nl, index, &a, 33, NULL), ST_INVAL);
}

static void there_is_one_default_route(void **state)
{
    struct ip_addr a = ip("192.168.127.2");
    struct ip_addr first = ip("192.168.127.1");
    struct ip_addr second = ip("192.168.127.9");
    int index = index_of("here");

    assert_int_equal(rtnetlink_put_address(&nl, index, &a, 24, NULL), ST_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rtnetlink_put_default_route(&nl, index, &first, false, NULL), ST_OK);
    assert_true(sandbox_has_default_route("here", "192.168.127.1"));
    assert_int_equal(rtnetlink_put_default_route(&nl, index, &second, false, NULL), ST_OK);
    assert_true(sandbox_has_default_route("here", "192.168.127.9"));
    assert_int_equal(sandbox_default_routes(), 1);
    assert_int_equal(rtnetlink_remove_default_route(&nl, index, &first, NULL), ST_OK);
    assert_int_equal(sandbox_default_routes(), 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rtnetlink_remove_default_route(&nl, index, &second, NULL), ST_OK);
    assert_int_equal(sandbox_default_routes(), 0);
}

static void the_kernel_says_why_in_words(void **state)
{
    struct ip_addr gateway = ip("10.0.0.1");
    struct errmsg e = { .text = "" };
    int index = index_of("here");

    assert_int_equal(rtnetlink_put_default_route(&nl, index, &gateway, false, &e), ST_UNREACHABLE);
    assert_non_null(strstr(e.text, "gateway"));
    assert_int_equal(rtnetlink_put_default_route(&nl, index, &gateway, true, NULL), ST_OK);
    assert_true(sandbox_has_default_route("here", "10.0.0.1"));
}

static void ipv6_is_assigned_without_waiting(void **state)
{
    struct ip_addr a = ip("fd00:7f::2");
    struct ip_addr gateway = ip("fd00:7f::1");
    int index = index_of("here");
    char *text = NULL;

    if (access("/proc/net/if_inet6", R_OK) != 0)
        skip(); /* a kernel without IPv6 */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rtnetlink_put_address(&nl, index, &a, 64, NULL), ST_OK);
        assert_int_equal(rtnetlink_put_default_route(&nl, index, &gateway, false, NULL), ST_OK);
    }
    text = sandbox_read("/proc/thread-self/net/if_inet6");
    assert_non_null(strstr(text, "fd00007f000000000000000000000002"));
    free(text);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rtnetlink_remove_default_route(&nl, index, &gateway, NULL), ST_OK);
        assert_int_equal(rtnetlink_remove_address(&nl, index, &a, 64, NULL), ST_OK);
    }
    text = sandbox_read("/proc/thread-self/net/if_inet6");
    assert_null(strstr(text, "fd00007f"));
    free(text);
}

/* In a child: 0 when the change is refused and says what is missing. */
static int change_without_capabilities(int index)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { { 0 } };
    struct rtnetlink_change change = { .mtu = 1400 };
    struct errmsg e = { .text = "" };

    if (syscall(SYS_capset, &head, none) != 0)
        return 1;
    if (rtnetlink_change_link(&nl, index, &change, &e) != ST_DENIED)
        return 2;
    return strstr(e.text, "CAP_NET_ADMIN") ? 0 : 3;
}

static void without_the_capability_it_is_denied(void **state)
{
    int index = index_of("here");
    int code = -1;
    pid_t child = fork();

    if (child == 0)
        _exit(change_without_capabilities(index));
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
}

#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, with_pair, without_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(links_are_found_by_name_with_their_kind),
        WITH_PAIR(a_pair_has_one_end_in_each_namespace),
        WITH_PAIR(a_taken_name_is_said_so),
        WITH_PAIR(a_link_is_changed_in_part),
        WITH_PAIR(deleting_twice_is_fine_and_takes_both_ends),
        WITH_PAIR(an_address_is_put_and_removed_as_often_as_one_likes),
        WITH_PAIR(there_is_one_default_route),
        WITH_PAIR(the_kernel_says_why_in_words),
        WITH_PAIR(ipv6_is_assigned_without_waiting),
        WITH_PAIR(without_the_capability_it_is_denied),
    };

    if (!sandbox_enter())
        return SANDBOX_SKIP;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
