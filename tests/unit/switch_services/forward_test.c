/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"
#include "support/services_rig.h"

#include "switch/forward_internal.h"

#include <stdio.h>
#include <string.h>

enum { UDP_CLIENTS = 1024 };

static struct rig *rig;

static int setup(void **state)
{
    rig = rig_new(false);
    return forward_new(&rig->s) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
    rig_free(rig);
    return 0;
}

static enum status add(enum switch_forward_proto proto, const char *local, const char *guest,
                       bool keep, struct errmsg *e)
{
    struct ip_endpoint to = rig_endpoint(guest);

    return switch_forward_add(&rig->s, proto, local, &to, keep, e);
}

static bool listens(const char *at)
{
    struct ip_endpoint e = rig_endpoint(at);

    return net_sim_is_listening(rig->net, &e);
}

static struct net_sim_peer *connect_to(const char *at)
{
    struct ip_endpoint e = rig_endpoint(at), from = rig_endpoint("127.0.0.1:50000");

    return net_sim_connect(rig->net, &e, &from);
}

static void append(void *ctx, const struct switch_forward *f)
{
    char *text = ctx, guest[IP_ENDPOINT_TEXT_MAX];
    size_t n = strlen(text);

    snprintf(text + n, 1024 - n, "%s%s>%s%s%s;", f->proto == SWITCH_FORWARD_UDP ? "udp:" : "",
             f->local, ip_endpoint_format(&f->guest, guest), f->is_kept ? " kept" : "",
             f->is_listening ? "" : " waiting");
}

static const char *listed(void)
{
    static char text[1024];

    text[0] = '\0';
    switch_forward_each(&rig->s, append, text);
    return text;
}

/* ---- the table --------------------------------------------------------------------------- */

static void forwards_are_listed_in_the_order_of_local_then_protocol(void **state)
{
    assert_int_equal(add(SWITCH_FORWARD_UDP, "127.0.0.1:80", "192.168.127.2:80", false, NULL),
                     ST_OK);
    assert_int_equal(add(SWITCH_FORWARD_TCP, "127.0.0.1:80", "192.168.127.2:80", false, NULL),
                     ST_OK);
    assert_int_equal(switch_forward_add_spec(&rig->s, "0.0.0.0:22=192.168.127.2:2222", NULL),
                     ST_OK);
    assert_string_equal(listed(), "0.0.0.0:22>192.168.127.2:2222 kept;"
                                  "127.0.0.1:80>192.168.127.2:80;"
                                  "udp:127.0.0.1:80>192.168.127.2:80;");
    assert_int_equal(forward_count(&rig->s), 3);
}

static void the_same_again_is_fine_and_another_target_is_not(void **state)
{
    struct errmsg e;

    assert_int_equal(add(SWITCH_FORWARD_TCP, "127.0.0.1:80", "192.168.127.2:80", false, NULL),
                     ST_OK);
    assert_int_equal(add(SWITCH_FORWARD_TCP, "127.0.0.1:80", "192.168.127.2:80", false, NULL),
                     ST_OK);
    assert_int_equal(net_sim_open_listeners(rig->net), 1);
    assert_int_equal(add(SWITCH_FORWARD_TCP, "127.0.0.1:80", "192.168.127.2:81", false, &e),
                     ST_EXISTS);
    assert_string_equal(e.text, "proxy already running for tcp on 127.0.0.1:80");
}

static void what_cannot_be_a_forward_is_refused(void **state)
{
    static const struct {
        const char *local, *guest;
    } bad[] = {
        { "127.0.0.1", "192.168.127.2:80" },
        { "127.0.0.1:0", "192.168.127.2:80" },
        { "127.0.0.1:65536", "192.168.127.2:8" },
        { "localhost:80", "192.168.127.2:80" },
        { "", "192.168.127.2:80" },
        { "127.0.0.1:80", "192.168.127.1:80" },
        { "127.0.0.1:80", "192.168.127.254:80" },
        { "127.0.0.1:80", "192.168.127.255:80" },
        { "127.0.0.1:80", "192.168.127.0:80" },
        { "127.0.0.1:80", "8.8.8.8:80" },
        { "127.0.0.1:80", "192.168.127.2:0" },
        { "127.0.0.1:80", "[fd00::2]:80" },
    };
    static const char *const specs[] = { "",
                                         "=",
                                         "127.0.0.1:80",
                                         "127.0.0.1:80=",
                                         "tcp:127.0.0.1:80=192.168.127.2:80",
                                         "127.0.0.1:80=192.168.127.2" };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(add(SWITCH_FORWARD_TCP, bad[i].local, bad[i].guest, false, NULL),
                         ST_INVAL);
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
        assert_int_equal(switch_forward_add_spec(&rig->s, specs[i], NULL), ST_INVAL);
    assert_int_equal(forward_count(&rig->s), 0);
}

static void the_table_is_bounded(void **state)
{
    char local[32];

    rig->s.config.limits.forwards = 3;
    for (unsigned i = 0; i < 4; i++) {
        snprintf(local, sizeof local, "127.0.0.1:%u", 8000 + i);
        assert_int_equal(add(SWITCH_FORWARD_TCP, local, "192.168.127.2:80", false, NULL),
                         i < 3 ? ST_OK : ST_FULL);
    }
    assert_int_equal(rig->s.count.forward_limit_hits, 1);
    assert_int_equal(net_sim_open_listeners(rig->net), 3);
}

/* ---- TCP --------------------------------------------------------------------------------- */

static void a_connection_reaches_the_guest_from_the_gateway(void **state)
{
    static const char *const locals[] = { "127.0.0.1:80", "[::1]:80", "0.0.0.0:81", "[::]:81" };
    char text[IP_ENDPOINT_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_SIZE(locals); i++) {
        assert_int_equal(add(SWITCH_FORWARD_TCP, locals[i], "192.168.127.2:8080", false, NULL),
                         ST_OK);
        assert_non_null(connect_to(locals[i]));
        sim_run(rig->sim);
        assert_int_equal(rig->opened_count, i + 1);
        assert_string_equal(ip_endpoint_format(&rig->opened[i].to, text), "192.168.127.2:8080");
        assert_string_equal(ip_endpoint_format(&rig->opened[i].from, text), "192.168.127.1:0");
    }
}

static void a_port_alone_listens_on_both_families(void **state)
{
    assert_int_equal(add(SWITCH_FORWARD_TCP, ":8801", "192.168.127.2:80", false, NULL), ST_OK);
    assert_true(listens("0.0.0.0:8801"));
    assert_true(listens("[::]:8801"));
    assert_int_equal(switch_forward_remove(&rig->s, SWITCH_FORWARD_TCP, ":8801"), ST_OK);
    assert_int_equal(net_sim_open_listeners(rig->net), 0);
    assert_int_equal(switch_forward_remove(&rig->s, SWITCH_FORWARD_TCP, ":8801"), ST_NOTFOUND);
}

static void a_taken_port_is_an_error_and_leaves_nothing(void **state)
{
    struct errmsg e;

    net_sim_next_listen_fails(rig->net, ST_EXISTS, "listen tcp 127.0.0.1:80: taken by pid 7");
    assert_int_equal(add(SWITCH_FORWARD_TCP, "127.0.0.1:80", "192.168.127.2:80", false, &e),
                     ST_EXISTS);
    assert_string_equal(e.text, "listen tcp 127.0.0.1:80: taken by pid 7");
    assert_string_equal(listed(), "");
    net_sim_next_udp_open_fails(rig->net, ST_DENIED);
    assert_int_equal(add(SWITCH_FORWARD_UDP, "127.0.0.1:80", "192.168.127.2:80", false, &e),
                     ST_DENIED);
    assert_string_equal(e.text, "listen at udp 127.0.0.1:80: access denied");
    assert_int_equal(sim_next_due_ms(rig->sim), SIM_NEVER);
}

static void a_kept_forward_waits_for_its_port(void **state)
{
    net_sim_next_listen_fails(rig->net, ST_EXISTS, "taken");
    assert_int_equal(switch_forward_add_spec(&rig->s, "127.0.0.1:80=192.168.127.2:80", NULL),
                     ST_OK);
    assert_string_equal(listed(), "127.0.0.1:80>192.168.127.2:80 kept waiting;");
    for (unsigned i = 0; i < 20; i++) { /* still taken, however often it is tried */
        net_sim_next_listen_fails(rig->net, ST_EXISTS, "taken");
        sim_advance_ms(rig->sim, sim_next_due_ms(rig->sim) - sim_now_ms(rig->sim));
        assert_string_equal(listed(), "127.0.0.1:80>192.168.127.2:80 kept waiting;");
    }
    sim_advance_ms(rig->sim, 5000);
    assert_string_equal(listed(), "127.0.0.1:80>192.168.127.2:80 kept;");
    assert_true(listens("127.0.0.1:80"));
}

static void a_listener_that_dies_comes_back(void **state)
{
    struct ip_endpoint at = rig_endpoint("127.0.0.1:80");

    assert_int_equal(add(SWITCH_FORWARD_TCP, "127.0.0.1:80", "192.168.127.2:80", false, NULL),
                     ST_OK);
    net_sim_listener_error(rig->net, &at, ST_IO);
    sim_run(rig->sim);
    sim_advance_ms(rig->sim, 5000);
    assert_true(listens("127.0.0.1:80"));
}

/* One up with whatever a reader of the list can see, and with nothing else. */
static void the_generation_follows_what_is_listed(void **state)
{
    struct ip_endpoint at = rig_endpoint("127.0.0.1:81");
    uint64_t before = switch_forward_generation(&rig->s);

    assert_int_equal(before, 0);
    add(SWITCH_FORWARD_TCP, "127.0.0.1:81", "192.168.127.2:81", false, NULL);
    assert_int_equal(switch_forward_generation(&rig->s), before + 1);
    add(SWITCH_FORWARD_TCP, "127.0.0.1:81", "192.168.127.2:81", false, NULL); /* the same again */
    net_sim_next_listen_fails(rig->net, ST_EXISTS, "taken");
    add(SWITCH_FORWARD_TCP, "127.0.0.1:80", "192.168.127.2:80", false, NULL); /* refused */
    assert_int_equal(switch_forward_generation(&rig->s), before + 1);
    net_sim_listener_error(rig->net, &at, ST_IO);
    sim_run(rig->sim);
    assert_int_equal(switch_forward_generation(&rig->s), before + 2);
    for (unsigned i = 0; i < 5; i++) { /* the first says another reason, the others the same */
        net_sim_next_listen_fails(rig->net, ST_EXISTS, "taken");
        sim_advance_ms(rig->sim, sim_next_due_ms(rig->sim) - sim_now_ms(rig->sim));
        assert_int_equal(switch_forward_generation(&rig->s), before + 3);
    }
    sim_advance_ms(rig->sim, 5000);
    assert_true(listens("127.0.0.1:81"));
    assert_int_equal(switch_forward_generation(&rig->s), before + 4);
    switch_forward_remove(&rig->s, SWITCH_FORWARD_TCP, "127.0.0.1:81");
    assert_int_equal(switch_forward_generation(&rig->s), before + 5);
}

static void closing_all_frees_every_port(void **state)
{
    net_sim_next_listen_fails(rig->net, ST_EXISTS, "taken");
    switch_forward_add_spec(&rig->s, "127.0.0.1:80=192.168.127.2:80", NULL);
    switch_forward_add_spec(&rig->s, "udp:127.0.0.1:53=192.168.127.2:53", NULL);
    add(SWITCH_FORWARD_TCP, ":81", "192.168.127.2:81", false, NULL);
    switch_forward_close_all(&rig->s);
    assert_int_equal(forward_count(&rig->s), 0);
    assert_int_equal(net_sim_open_listeners(rig->net), 0);
    assert_int_equal(net_sim_open_udp(rig->net), 0);
    assert_int_equal(sim_next_due_ms(rig->sim), SIM_NEVER);
}

/* ---- UDP --------------------------------------------------------------------------------- */

static bool client_sends(const char *from, const char *to, const char *text)
{
    struct ip_endpoint f = rig_endpoint(from), t = rig_endpoint(to);
    bool sent = net_sim_udp_send(rig->net, &f, &t, text, strlen(text));

    sim_run(rig->sim);
    return sent;
}

static bool guest_answers(const char *from, uint16_t gateway_port, const char *text)
{
    struct packet p = rig_packet(rig);
    struct ip_endpoint e = rig_endpoint(from);
    struct udp_header h = { .src_port = e.port, .dst_port = gateway_port };

    p.ip.src = e.addr;
    return forward_udp_input(&rig->s, &p, &h, (const uint8_t *)text, strlen(text));
}

static void assert_client_got(const char *from, const char *to, const char *text)
{
    struct net_sim_datagram d;
    char buf[IP_ENDPOINT_TEXT_MAX];

    assert_true(net_sim_take_datagram(rig->net, &d));
    assert_string_equal(ip_endpoint_format(&d.from, buf), from);
    assert_string_equal(ip_endpoint_format(&d.to, buf), to);
    assert_int_equal(d.len_bytes, strlen(text));
    assert_memory_equal(d.data, text, d.len_bytes);
}

static void each_udp_client_gets_its_own_answers(void **state)
{
    uint16_t a, b;

    assert_int_equal(add(SWITCH_FORWARD_UDP, "0.0.0.0:53", "192.168.127.2:5353", false, NULL),
                     ST_OK);
    assert_true(client_sends("10.0.0.1:1000", "0.0.0.0:53", "one"));
    a = rig_last(rig)->from.port;
    assert_true(client_sends("10.0.0.2:1000", "0.0.0.0:53", "two"));
    b = rig_last(rig)->from.port;
    assert_int_not_equal(a, b);
    assert_true(ip_addr_equal(&rig_last(rig)->from.addr, &rig->s.config.gateway));
    assert_int_equal(rig_last(rig)->to.port, 5353);
    assert_true(client_sends("10.0.0.1:1000", "0.0.0.0:53", "again"));
    assert_int_equal(rig_last(rig)->from.port, a);
    assert_true(guest_answers("192.168.127.2:5353", b, "to two"));
    assert_client_got("0.0.0.0:53", "10.0.0.2:1000", "to two");
    assert_true(guest_answers("192.168.127.2:5353", a, "to one"));
    assert_client_got("0.0.0.0:53", "10.0.0.1:1000", "to one");
}

static void a_forward_leads_to_an_ipv6_address_from_the_gateways(void **state)
{
    uint16_t port;
    struct packet p = rig_packet(rig);
    struct udp_header h = { .src_port = 53 };

    assert_int_equal(add(SWITCH_FORWARD_TCP, "127.0.0.1:80", "[fd00:72:64::2]:80", false, NULL),
                     ST_INVAL); /* the network has no IPv6 */
    rig->s.config.ip6 = true;
    assert_int_equal(add(SWITCH_FORWARD_TCP, "127.0.0.1:80", "[fe80::2]:80", false, NULL),
                     ST_INVAL);
    assert_int_equal(add(SWITCH_FORWARD_TCP, "127.0.0.1:80", "[fd00:72:64::1]:80", false, NULL),
                     ST_INVAL);
    assert_int_equal(add(SWITCH_FORWARD_TCP, "127.0.0.1:80", "[fd00:72:64::2]:80", false, NULL),
                     ST_OK);
    assert_non_null(connect_to("127.0.0.1:80"));
    sim_run(rig->sim);
    assert_int_equal(rig->opened_count, 1);
    assert_true(ip_addr_equal(&rig->opened[0].from.addr, &rig->s.gateway6));

    assert_int_equal(add(SWITCH_FORWARD_UDP, "0.0.0.0:53", "[fd00:72:64::2]:53", false, NULL),
                     ST_OK);
    assert_true(client_sends("10.0.0.1:1000", "0.0.0.0:53", "one"));
    port = rig_last(rig)->from.port;
    assert_true(ip_addr_equal(&rig_last(rig)->from.addr, &rig->s.gateway6));
    p.ip.src = rig_endpoint("[fd00:72:64::2]:53").addr;
    h.dst_port = port;
    assert_false(forward_udp_input(&rig->s, &p, &h, (const uint8_t *)"x", 1)); /* to .1 */
    p.ip.dst = rig->s.gateway6;
    assert_true(forward_udp_input(&rig->s, &p, &h, (const uint8_t *)"to one", 6));
    assert_client_got("0.0.0.0:53", "10.0.0.1:1000", "to one");
}

static void only_the_forwards_target_is_heard(void **state)
{
    uint16_t port;

    assert_false(guest_answers("192.168.127.2:5353", FORWARD_UDP_FIRST_PORT, "no forward yet"));
    add(SWITCH_FORWARD_UDP, "0.0.0.0:53", "192.168.127.2:5353", false, NULL);
    client_sends("10.0.0.1:1000", "0.0.0.0:53", "one");
    port = rig_last(rig)->from.port;
    assert_false(guest_answers("192.168.127.2:5354", port, "other port"));
    assert_false(guest_answers("192.168.127.3:5353", port, "other guest"));
    assert_false(guest_answers("192.168.127.2:5353", (uint16_t)(port + 1), "nobody's"));
    assert_false(guest_answers("192.168.127.2:5353", FORWARD_UDP_FIRST_PORT - 1, "below"));
    assert_false(
        guest_answers("192.168.127.2:5353", FORWARD_UDP_FIRST_PORT + UDP_CLIENTS, "above"));
    assert_int_equal(net_sim_udp_sent(rig->net), 0);
}

static void a_udp_client_is_forgotten_after_its_idle_time(void **state)
{
    uint16_t port;

    add(SWITCH_FORWARD_UDP, "0.0.0.0:53", "192.168.127.2:5353", false, NULL);
    client_sends("10.0.0.1:1000", "0.0.0.0:53", "one");
    port = rig_last(rig)->from.port;
    sim_advance_ms(rig->sim, 80 * 1000);
    assert_true(guest_answers("192.168.127.2:5353", port, "late")); /* counts as use */
    sim_advance_ms(rig->sim, 80 * 1000);
    assert_true(guest_answers("192.168.127.2:5353", port, "later"));
    sim_advance_ms(rig->sim, FORWARD_UDP_IDLE_MS + 10 * 1000);
    assert_false(guest_answers("192.168.127.2:5353", port, "too late"));
    assert_int_equal(sim_next_due_ms(rig->sim), SIM_NEVER); /* and the sweeping stops */
}

static void a_flood_of_udp_clients_evicts_the_idlest(void **state)
{
    uint16_t first, busy;
    char from[32];

    add(SWITCH_FORWARD_UDP, "0.0.0.0:53", "192.168.127.2:5353", false, NULL);
    client_sends("10.0.0.1:1000", "0.0.0.0:53", "idle");
    first = rig_last(rig)->from.port;
    client_sends("10.0.0.2:1000", "0.0.0.0:53", "busy");
    busy = rig_last(rig)->from.port;
    for (unsigned i = 0; i < UDP_CLIENTS - 1; i++) {
        snprintf(from, sizeof from, "10.1.0.1:%u", 2000 + i);
        client_sends(from, "0.0.0.0:53", "flood");
        if (i % 100 == 0)
            client_sends("10.0.0.2:1000", "0.0.0.0:53", "busy");
    }
    assert_int_equal(rig->s.count.forward_udp_evicted, 1);
    assert_int_equal(rig_last(rig)->from.port, first); /* its slot is the newest client's now */
    guest_answers("192.168.127.2:5353", busy, "still");
    assert_client_got("0.0.0.0:53", "10.0.0.2:1000", "still");
}

static void as_many_udp_clients_as_configured(void **state)
{
    uint16_t first;

    rig->s.config.limits.forward_udp_clients = 2;
    add(SWITCH_FORWARD_UDP, "0.0.0.0:53", "192.168.127.2:5353", false, NULL);
    client_sends("10.0.0.1:1000", "0.0.0.0:53", "a");
    first = rig_last(rig)->from.port;
    client_sends("10.0.0.2:1000", "0.0.0.0:53", "b");
    assert_int_equal(rig->s.count.forward_udp_evicted, 0);
    client_sends("10.0.0.3:1000", "0.0.0.0:53", "c");
    assert_int_equal(rig->s.count.forward_udp_evicted, 1);
    assert_int_equal(rig_last(rig)->from.port, first);
}

static void removing_a_udp_forward_forgets_its_clients_only(void **state)
{
    uint16_t port, other;

    add(SWITCH_FORWARD_UDP, "0.0.0.0:53", "192.168.127.2:5353", false, NULL);
    add(SWITCH_FORWARD_UDP, "0.0.0.0:54", "192.168.127.2:5354", false, NULL);
    client_sends("10.0.0.1:1000", "0.0.0.0:53", "one");
    port = rig_last(rig)->from.port;
    client_sends("10.0.0.1:1000", "0.0.0.0:54", "two");
    other = rig_last(rig)->from.port;
    assert_int_equal(switch_forward_remove(&rig->s, SWITCH_FORWARD_UDP, "0.0.0.0:53"), ST_OK);
    assert_false(guest_answers("192.168.127.2:5353", port, "gone"));
    assert_true(guest_answers("192.168.127.2:5354", other, "here"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(forwards_are_listed_in_the_order_of_local_then_protocol),
        T(the_same_again_is_fine_and_another_target_is_not),
        T(what_cannot_be_a_forward_is_refused),
        T(the_table_is_bounded),
        T(a_connection_reaches_the_guest_from_the_gateway),
        T(a_port_alone_listens_on_both_families),
        T(a_taken_port_is_an_error_and_leaves_nothing),
        T(a_kept_forward_waits_for_its_port),
        T(a_listener_that_dies_comes_back),
        T(the_generation_follows_what_is_listed),
        T(closing_all_frees_every_port),
        T(each_udp_client_gets_its_own_answers),
        T(a_forward_leads_to_an_ipv6_address_from_the_gateways),
        T(only_the_forwards_target_is_heard),
        T(a_udp_client_is_forgotten_after_its_idle_time),
        T(a_flood_of_udp_clients_evicts_the_idlest),
        T(as_many_udp_clients_as_configured),
        T(removing_a_udp_forward_forgets_its_clients_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
