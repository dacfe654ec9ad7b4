/* SPDX-License-Identifier: Apache-2.0
 * The net unit as a whole; its kernel is a script, its host too. With a whole switch as the host it
 * is tested in scenario/agent_net_test.c.
 */
#include "support/cmocka_all.h"

#include "guestagent/net/net_agent.h"
#include "guestagent/net/net_config.h"
#include "port/sim/stream_sim.h"
#include "support/control_host.h"
#include "support/frame_build.h"
#include "support/script_guest_net.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
    struct sim *sim;
    struct net_config config;
    struct net_agent *agent;
    struct sim_peer *host, *link;
    struct addr data;
    unsigned stopped;
    struct control_news news;
};

static void on_stopped(void *ctx)
{
    struct fixture *f = ctx;

    f->stopped++;
}

static void start(struct fixture *f, const char *const *words, int count)
{
    struct errmsg e = { "" };

    if (net_config_load(&f->config, count, words, &e) != ST_OK ||
        net_agent_new(&f->agent, sim_loop(f->sim), &f->config, on_stopped, f, &e) != ST_OK)
        fail_msg("%s", e.text);
    assert_int_equal(addr_guest_to_host(&f->data, &f->config.host_at, 6658, NULL), ST_OK);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    script_guest_reset();
    f->sim = sim_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    net_agent_free(f->agent);
    assert_false(script_guest.is_open || script_guest.has_tap);
    sim_advance_ms(f->sim, 1500);
    sim_free(f->sim);
    free(f);
    return 0;
}

/* What the host was told last, a second from now at the latest. */
static const struct condition *condition(struct fixture *f, const char *type)
{
    const struct health_component *c;

    if (!f->host)
        f->host = control_host(f->sim, &f->config.control_at);
    sim_advance_ms(f->sim, 1000);
    control_host_hears(f->host, &f->news);
    c = health_find(&f->news.report, "net");
    assert_non_null(c);
    return condition_find(&c->conditions, type);
}

static void expect(struct fixture *f, const char *type, const char *reason)
{
    const struct condition *c = condition(f, type);

    if (!c || strcmp(c->reason, reason) != 0)
        fail_msg("%s is %s, not %s", type, c ? c->reason : "not there", reason);
}

static void offer_and_link(struct fixture *f, const char *mac)
{
    f->host = control_host(f->sim, &f->config.control_at);
    sim_next_dial(f->sim, ST_OK, 0);
    control_host_offers(f->sim, f->host, 6658, "192.168.127.2/24", mac);
    sim_run(f->sim);
    f->link = sim_take_dialled_to(f->sim, &f->data);
    assert_non_null(f->link);
}

/* Any frame from the host. */
static void host_sends(struct fixture *f)
{
    static struct frame frame;
    static uint8_t wrapped[FRAME_MAX_BYTES + 16];
    struct frame_path path = frame_path("192.168.127.1", "192.168.127.2");

    frame_arp_reply(&frame, &path);
    sim_peer_send(f->link, wrapped, frame_wrap(wrapped, FRAME_V2, frame.b, frame.len_bytes));
    sim_run(f->sim);
}

static void the_interface_is_there_before_any_host(void **state)
{
    struct fixture *f = *state;

    start(f, NULL, 0);
    sim_run(f->sim);
    assert_true(script_guest.is_open && script_guest.has_tap);
    assert_int_equal(script_guest.mtu, 1500);
    assert_true(mac_equal(&script_guest.mac, &frame_guest_mac));
    expect(f, "LinkUp", "WaitingForHost");
    expect(f, "AddressAssigned", "WaitingForAddress");
    assert_int_equal(script_guest.applied, 0);
}

static void what_is_in_the_way_of_the_interface_is_said_and_tried_again(void **state)
{
    static const struct {
        enum status open, tap;
        const char *type, *reason;
    } rows[] = {
        { ST_NOTFOUND, ST_OK, "NamespaceReady", "NamespaceMissing" },
        { ST_DENIED, ST_OK, "NamespaceReady", "NamespaceFailed" },
        { ST_OK, ST_EXISTS, "InterfaceReady", "InterfaceTaken" },
        { ST_OK, ST_UNSUPPORTED, "InterfaceReady", "TunMissing" },
        { ST_OK, ST_DENIED, "InterfaceReady", "InterfaceFailed" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fixture *f = *state;

        script_guest.open_fails = rows[i].open;
        script_guest.tap_fails = rows[i].tap;
        start(f, NULL, 0);
        expect(f, rows[i].type, rows[i].reason);
        assert_false(script_guest.has_tap);
        script_guest.open_fails = script_guest.tap_fails = ST_OK;
        expect(f, "NamespaceReady", "NamespaceOpen");
        expect(f, "InterfaceReady", "InterfaceUp");
        teardown(state);
        setup(state);
    }
}

static void an_offered_address_is_set_without_dhcp(void **state)
{
    struct fixture *f = *state;
    char ip[IP_ADDR_TEXT_MAX];

    start(f, NULL, 0);
    sim_run(f->sim);
    offer_and_link(f, NULL);
    assert_int_equal(script_guest.applied, 1);
    assert_string_equal(ip_addr_format(&script_guest.lease.ip, ip), "192.168.127.2");
    assert_int_equal(script_guest.lease.mtu, 4000);
    assert_true(script_guest.offload);
    expect(f, "AddressAssigned", "AddressOffered");
    expect(f, "ResolverWritten", "ResolverWritten");
    assert_int_equal(script_guest.applied, 1);
}

static void ready_waits_for_a_word_from_the_host(void **state)
{
    struct fixture *f = *state;
    size_t len, before;

    start(f, NULL, 0);
    sim_run(f->sim);
    offer_and_link(f, NULL);
    expect(f, "LinkUp", "Linked");
    assert_false(f->news.ready);
    assert_int_equal(f->news.report.components[0].state, HEALTH_NOT_SERVING);
    sim_peer_data(f->link, &before);
    sim_advance_ms(f->sim, 1000);
    sim_peer_data(f->link, &len);
    assert_true(len > before); /* the gateway is asked again and again */
    host_sends(f);
    expect(f, "LinkUp", "Linked");
    assert_true(f->news.ready);
    assert_int_equal(f->news.report.components[0].state, HEALTH_SERVING);
    sim_peer_data(f->link, &before);
    sim_advance_ms(f->sim, 60000);
    sim_peer_data(f->link, &len);
    assert_int_equal(len, before); /* and then no more */
}

static void a_lost_link_leaves_interface_and_address(void **state)
{
    struct fixture *f = *state;

    start(f, NULL, 0);
    sim_run(f->sim);
    offer_and_link(f, NULL);
    host_sends(f);
    sim_peer_reset(f->link, ST_RESET);
    sim_run(f->sim);
    expect(f, "LinkUp", "HostUnreachable");
    expect(f, "AddressAssigned", "AddressOffered");
    assert_int_equal(script_guest.taps_opened, 1);
    sim_next_dial(f->sim, ST_OK, 0);
    sim_advance_ms(f->sim, 5000);
    expect(f, "LinkUp", "Linked");
    assert_int_equal(script_guest.applied, 1);
    assert_int_equal(script_guest.closed, 0);
}

static void a_namespace_whose_owner_restarted_is_opened_anew_with_the_lease(void **state)
{
    struct fixture *f = *state;

    start(f, NULL, 0);
    sim_run(f->sim);
    offer_and_link(f, NULL);
    host_sends(f);
    script_guest.owner_restarted = true;
    sim_advance_ms(f->sim, 1000);
    assert_int_equal(script_guest.closed, 1);
    assert_int_equal(script_guest.opened, 2);
    assert_int_equal(script_guest.taps_opened, 2);
    assert_int_equal(script_guest.applied, 2);
    assert_true(script_guest.offload);
    expect(f, "LinkUp", "Linked");
}

static void a_device_that_dies_is_made_anew(void **state)
{
    struct fixture *f = *state;

    start(f, NULL, 0);
    sim_run(f->sim);
    offer_and_link(f, NULL);
    script_guest_tap_error(ST_IO);
    assert_false(script_guest.has_tap);
    expect(f, "InterfaceReady", "InterfaceUp");
    assert_int_equal(script_guest.taps_opened, 2);
    assert_int_equal(script_guest.applied, 2);
}

static void an_address_that_cannot_be_set_is_said_and_tried_again(void **state)
{
    struct fixture *f = *state;

    script_guest.apply_fails = ST_DENIED;
    start(f, NULL, 0);
    sim_run(f->sim);
    offer_and_link(f, NULL);
    host_sends(f);
    expect(f, "AddressAssigned", "AddressNotSet");
    assert_false(f->news.ready);
    sim_advance_ms(f->sim, 60000);
    assert_in_range(script_guest.applied, 4, 8); /* no flood of them */
    script_guest.apply_fails = ST_OK;
    sim_advance_ms(f->sim, 10000);
    expect(f, "AddressAssigned", "AddressOffered");
}

static void a_file_that_cannot_be_written_is_said_but_keeps_nobody_waiting(void **state)
{
    struct fixture *f = *state;

    script_guest.file_trouble = "/etc/resolv.conf: read-only";
    start(f, NULL, 0);
    sim_run(f->sim);
    offer_and_link(f, NULL);
    host_sends(f);
    expect(f, "ResolverWritten", "ResolverNotWritten");
    assert_true(f->news.ready);
    expect(f, "AddressAssigned", "AddressOffered");
}

static void the_host_may_know_the_guest_by_another_mac(void **state)
{
    static const struct mac other = { { 2, 0, 0, 0, 0, 9 } };
    struct fixture *f = *state;

    start(f, NULL, 0);
    sim_run(f->sim);
    offer_and_link(f, "02:00:00:00:00:09");
    assert_true(mac_equal(&script_guest.mac, &other));
    assert_int_equal(script_guest.taps_opened, 2);
    assert_true(script_guest.offload);
    assert_int_equal(script_guest.applied, 1);
}

static void a_link_over_which_nobody_answers_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *mute;

    start(f, NULL, 0);
    sim_run(f->sim);
    offer_and_link(f, NULL);
    mute = f->link;
    sim_next_dial(f->sim, ST_OK, 0);
    sim_advance_ms(f->sim, 14000);
    assert_false(sim_peer_is_closed(mute));
    sim_advance_ms(f->sim, 2000);
    assert_true(sim_peer_is_closed(mute));
    f->link = sim_take_dialled_to(f->sim, &f->data);
    assert_non_null(f->link);
    host_sends(f);
    sim_advance_ms(f->sim, 60000);
    assert_false(sim_peer_is_closed(f->link));
}

static void a_fixed_address_wins_over_the_offer(void **state)
{
    static const char *const words[] = { "--address", "10.0.0.5/16" };
    struct fixture *f = *state;
    char ip[IP_ADDR_TEXT_MAX];

    start(f, words, 2);
    sim_run(f->sim);
    offer_and_link(f, NULL);
    assert_string_equal(ip_addr_format(&script_guest.lease.ip, ip), "10.0.0.5");
    expect(f, "AddressAssigned", "AddressFixed");
}

static void stopping_gives_back_what_was_made(void **state)
{
    struct fixture *f = *state;

    start(f, NULL, 0);
    sim_run(f->sim);
    offer_and_link(f, NULL);
    net_agent_stop(f->agent);
    net_agent_stop(f->agent);
    assert_int_equal(f->stopped, 0); /* from the loop, not from the call */
    sim_run(f->sim);
    assert_int_equal(f->stopped, 1);
    net_agent_free(f->agent);
    f->agent = NULL;
    assert_int_equal(script_guest.closed, 1);
    assert_true(sim_peer_is_closed(f->link));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(the_interface_is_there_before_any_host),
        WITH_FIXTURE(what_is_in_the_way_of_the_interface_is_said_and_tried_again),
        WITH_FIXTURE(an_offered_address_is_set_without_dhcp),
        WITH_FIXTURE(ready_waits_for_a_word_from_the_host),
        WITH_FIXTURE(a_lost_link_leaves_interface_and_address),
        WITH_FIXTURE(a_namespace_whose_owner_restarted_is_opened_anew_with_the_lease),
        WITH_FIXTURE(a_device_that_dies_is_made_anew),
        WITH_FIXTURE(an_address_that_cannot_be_set_is_said_and_tried_again),
        WITH_FIXTURE(a_file_that_cannot_be_written_is_said_but_keeps_nobody_waiting),
        WITH_FIXTURE(the_host_may_know_the_guest_by_another_mac),
        WITH_FIXTURE(a_link_over_which_nobody_answers_is_given_up),
        WITH_FIXTURE(a_fixed_address_wins_over_the_offer),
        WITH_FIXTURE(stopping_gives_back_what_was_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
