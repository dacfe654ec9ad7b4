/* SPDX-License-Identifier: Apache-2.0
 * The relay of loopback ports; the guest's sockets are the simulator's.
 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "guestagent/net/port_relay.h"
#include "guestagent/net/tcp_splice.h"
#include "guestagent/net/udp_relay.h"
#include "ipc/health.h"
#include "port/sim/net_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORTS_MAX = 300 };

struct fixture {
    struct sim *sim;
    struct net_sim *net;
    struct port_relay *relay;
    struct port_relay_place place;
    unsigned changes;
};

static struct ip_endpoint endpoint(const char *text)
{
    struct ip_endpoint e;

    assert_int_equal(ip_endpoint_parse(&e, text), ST_OK);
    return e;
}

static void on_change(void *ctx)
{
    struct fixture *f = ctx;

    f->changes++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->sim = sim_new();
    f->net = net_sim_new(f->sim);
    f->place.net = net_sim_net(f->net);
    f->place.at = endpoint("192.168.127.2:1").addr;
    f->place.peer = endpoint("192.168.127.1:1").addr;
    assert_int_equal(port_relay_new(&f->relay, sim_loop(f->sim), on_change, f), ST_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    port_relay_free(f->relay);
    net_sim_free(f->net); /* aborts if a socket was left open */
    sim_free(f->sim);
    free(f);
    return 0;
}

/* ---- what is asked and told ------------------------------------------------------------------ */

/* "tcp 127.0.0.1 80|udp ::1 53" */
static void want(struct fixture *f, const char *text)
{
    static char words[PORTS_MAX][2][24];
    Rdlink__V1__PublishedPort items[PORTS_MAX], *list[PORTS_MAX];
    Rdlink__V1__PublishedPorts msg = RDLINK__V1__PUBLISHED_PORTS__INIT;

    msg.ports = list;
    for (const char *at = text; at && *at; at = strchr(at, '|')) {
        size_t i = msg.n_ports++;

        at += *at == '|';
        rdlink__v1__published_port__init(&items[i]);
        assert_int_equal(sscanf(at, "%23s %23s %u", words[i][0], words[i][1], &items[i].port), 3);
        items[i].protocol = words[i][0];
        items[i].host_address = words[i][1];
        list[i] = &items[i];
    }
    port_relay_want(f->relay, &msg);
}

/* Where that port is reached; 0 = it is not. */
static uint16_t port_of(struct fixture *f, const char *protocol, const char *address, unsigned port)
{
    const Rdlink__V1__PublishedPorts *msg = port_relay_message(f->relay);

    for (size_t i = 0; msg && i < msg->n_ports; i++)
        if (!strcmp(msg->ports[i]->protocol, protocol) &&
            !strcmp(msg->ports[i]->host_address, address) && msg->ports[i]->port == port)
            return (uint16_t)msg->ports[i]->relay_port;
    return 0;
}

static uint64_t counter(struct fixture *f, const char *name)
{
    struct health_report report = { .count = 0 };
    struct health_component *c = health_add(&report, "net");

    port_relay_report(f->relay, c);
    for (unsigned i = 0; i < c->counter_count; i++)
        if (!strcmp(c->counters[i].name, name))
            return c->counters[i].value;
    fail_msg("no counter %s", name);
    return 0;
}

/* ---- TCP ------------------------------------------------------------------------------------- */

/* @from connects to the relay of 127.0.0.1:80. */
static struct net_sim_peer *client(struct fixture *f, const char *from)
{
    struct ip_endpoint source = endpoint(from);
    struct ip_endpoint at = { f->place.at, port_of(f, "tcp", "127.0.0.1", 80) };
    struct net_sim_peer *p = net_sim_connect(f->net, &at, &source);

    assert_non_null(p);
    sim_run(f->sim);
    return p;
}

static void start_tcp(struct fixture *f)
{
    port_relay_set_place(f->relay, &f->place);
    want(f, "tcp 127.0.0.1 80");
}

static void bytes_go_both_ways_and_each_end_by_itself(void **state)
{
    struct fixture *f = *state;
    struct ip_endpoint target = endpoint("127.0.0.1:80");
    struct net_sim_peer *c, *s;

    start_tcp(f);
    net_sim_next_connect(f->net, ST_OK, 5);
    c = client(f, "192.168.127.1:5000");
    net_sim_peer_send_text(c, "early"); /* before the other side stands */
    sim_advance_ms(f->sim, 5);
    s = net_sim_take_connected_to(f->net, &target);
    assert_non_null(s);
    sim_run(f->sim);
    assert_string_equal(net_sim_peer_text(s), "early");
    net_sim_peer_end(c);
    sim_run(f->sim);
    assert_true(net_sim_peer_saw_end(s));
    net_sim_peer_send_text(s, "answer after the question's end");
    sim_run(f->sim);
    assert_string_equal(net_sim_peer_text(c), "answer after the question's end");
    assert_false(net_sim_peer_saw_end(c));
    net_sim_peer_end(s);
    sim_run(f->sim);
    assert_true(net_sim_peer_saw_end(c) && net_sim_peer_is_closed(c));
    assert_false(net_sim_peer_saw_reset(c));
    assert_int_equal(counter(f, "relay_connections"), 0);
    assert_int_equal(counter(f, "relay_failed"), 0);
}

static void who_does_not_read_stops_the_other_side(void **state)
{
    static uint8_t much[3 * SPLICE_BUFFER_BYTES];
    struct fixture *f = *state;
    struct net_sim_peer *c, *s;
    size_t len;

    for (size_t i = 0; i < sizeof much; i++)
        much[i] = (uint8_t)(i * 7 + i / 256);
    start_tcp(f);
    net_sim_next_connect(f->net, ST_OK, 0);
    c = client(f, "192.168.127.1:5000");
    s = net_sim_take_connected(f->net);
    net_sim_peer_set_room(s, 1000);
    net_sim_peer_send(c, much, sizeof much);
    net_sim_peer_end(c);
    sim_run(f->sim);
    assert_int_equal(net_sim_peer_unread(c), 2 * SPLICE_BUFFER_BYTES);
    assert_false(net_sim_peer_is_read(c));
    net_sim_peer_set_room(s, SIZE_MAX);
    sim_run(f->sim);
    assert_memory_equal(net_sim_peer_data(s, &len), much, sizeof much);
    assert_int_equal(len, sizeof much);
    assert_true(net_sim_peer_saw_end(s)); /* after the last byte */
    net_sim_peer_end(s);
    sim_run(f->sim);
    assert_int_equal(counter(f, "relay_connections"), 0);
}

static void a_reset_and_a_refusal_are_passed_on(void **state)
{
    struct fixture *f = *state;
    struct net_sim_peer *c, *s;

    start_tcp(f);
    net_sim_next_connect(f->net, ST_REFUSED, 0);
    c = client(f, "192.168.127.1:5000");
    assert_true(net_sim_peer_saw_reset(c));
    net_sim_next_connect_start_fails(f->net, ST_NOFILES);
    c = client(f, "192.168.127.1:5001");
    assert_true(net_sim_peer_saw_reset(c));
    net_sim_next_connect(f->net, ST_OK, 0);
    c = client(f, "192.168.127.1:5002");
    s = net_sim_take_connected(f->net);
    net_sim_peer_reset(s, ST_RESET);
    sim_run(f->sim);
    assert_true(net_sim_peer_saw_reset(c));
    assert_int_equal(counter(f, "relay_failed"), 3);
    assert_int_equal(counter(f, "relay_connections"), 0);
}

static void only_the_gateway_is_let_in(void **state)
{
    struct fixture *f = *state;

    start_tcp(f);
    assert_true(net_sim_peer_saw_reset(client(f, "172.17.0.2:5000")));
    assert_int_equal(net_sim_connect_count(f->net), 0);
    assert_int_equal(counter(f, "relay_refused_strangers"), 1);
}

static void connections_are_bounded(void **state)
{
    struct fixture *f = *state;

    start_tcp(f);
    for (unsigned i = 0; i < PORT_RELAY_MAX_CONNECTIONS; i++) {
        net_sim_next_connect(f->net, ST_OK, 0);
        assert_false(net_sim_peer_saw_reset(client(f, "192.168.127.1:5000")));
    }
    assert_true(net_sim_peer_saw_reset(client(f, "192.168.127.1:5000")));
    assert_int_equal(counter(f, "relay_refused_full"), 1);
    assert_int_equal(counter(f, "relay_connections"), PORT_RELAY_MAX_CONNECTIONS);
    port_relay_set_place(f->relay, NULL); /* the tap is gone: so are they */
    assert_int_equal(counter(f, "relay_connections"), 0);
    assert_int_equal(net_sim_open_tcp(f->net), 0);
}

/* ---- UDP ------------------------------------------------------------------------------------- */

static void answers_go_to_whom_they_are_for(void **state)
{
    struct fixture *f = *state;
    struct ip_endpoint a = endpoint("192.168.127.1:5000"), b = endpoint("192.168.127.1:5001");
    struct ip_endpoint target = endpoint("127.0.0.1:53"), stranger = endpoint("127.0.0.1:54");
    struct ip_endpoint face = { f->place.at, 0 };
    struct net_sim_datagram of_a, of_b, answer;
    struct ip_endpoint socket_a, socket_b;

    port_relay_set_place(f->relay, &f->place);
    want(f, "udp 127.0.0.1 53");
    face.port = port_of(f, "udp", "127.0.0.1", 53);
    assert_true(net_sim_udp_send(f->net, &a, &face, "from a", 6));
    sim_run(f->sim);
    assert_true(net_sim_take_datagram(f->net, &of_a));
    assert_memory_equal(of_a.data, "from a", 6);
    assert_int_equal(of_a.to.port, 53);
    assert_true(ip_addr_is_loopback(&of_a.to.addr) && ip_addr_is_loopback(&of_a.from.addr));
    socket_a = of_a.from;
    assert_true(net_sim_udp_send(f->net, &b, &face, "from b", 6));
    sim_run(f->sim);
    assert_true(net_sim_take_datagram(f->net, &of_b));
    socket_b = of_b.from;
    assert_int_not_equal(socket_a.port, socket_b.port);
    assert_true(net_sim_udp_send(f->net, &stranger, &socket_b, "forged", 6));
    assert_true(net_sim_udp_send(f->net, &target, &socket_b, "to b", 4));
    sim_run(f->sim);
    assert_true(net_sim_take_datagram(f->net, &answer));
    assert_memory_equal(answer.data, "to b", 4);
    assert_int_equal(answer.from.port, face.port);
    assert_int_equal(answer.to.port, b.port);
    assert_false(net_sim_take_datagram(f->net, &answer));
    assert_int_equal(counter(f, "relay_udp_flows"), 2);
    sim_advance_ms(f->sim, UDP_RELAY_IDLE_MS + 10000);
    assert_int_equal(counter(f, "relay_udp_flows"), 0);
}

static void flows_are_bounded_and_strangers_make_none(void **state)
{
    struct fixture *f = *state;
    struct ip_endpoint face = { f->place.at, 0 }, from = endpoint("172.17.0.2:5000");

    net_sim_udp_default(f->net, NET_SIM_UDP_DROP);
    port_relay_set_place(f->relay, &f->place);
    want(f, "udp ::1 53|udp 127.0.0.1 53");
    face.port = port_of(f, "udp", "::1", 53);
    assert_true(net_sim_udp_send(f->net, &from, &face, "x", 1));
    sim_run(f->sim);
    assert_int_equal(counter(f, "relay_udp_flows"), 0);
    assert_int_equal(counter(f, "relay_refused_strangers"), 1);
    from.addr = f->place.peer;
    for (unsigned i = 0; i < UDP_RELAY_MAX_FLOWS + 3; i++) {
        from.port = (uint16_t)(6000 + i);
        assert_true(net_sim_udp_send(f->net, &from, &face, "x", 1));
        sim_run(f->sim);
    }
    assert_int_equal(counter(f, "relay_udp_flows"), UDP_RELAY_MAX_FLOWS);
    assert_int_equal(counter(f, "relay_udp_evicted"), 3);
    net_sim_next_udp_open_fails(f->net, ST_NOFILES);
    from.port++;
    assert_true(net_sim_udp_send(f->net, &from, &face, "x", 1));
    sim_run(f->sim);
    assert_int_equal(counter(f, "relay_failed"), 1);
    want(f, "udp 127.0.0.1 53"); /* a port's flows go with it */
    assert_int_equal(counter(f, "relay_udp_flows"), 0);
}

/* ---- which ports ----------------------------------------------------------------------------- */

static void only_loopback_ports_are_led_to(void **state)
{
    static const char *const refused[] = { "tcp 192.168.127.254 80", "tcp 10.0.0.1 80",
                                           "tcp 0.0.0.0 80",         "tcp :: 80",
                                           "sctp 127.0.0.1 80",      "tcp 127.0.0.1 0",
                                           "tcp 127.0.0.1 65616",    "tcp localhost 80",
                                           "tcp ::ffff:10.0.0.1 80" };
    static const char *const taken[] = { "tcp 127.0.0.1 80", "udp 127.0.0.1 80", "tcp ::1 80",
                                         "tcp 127.9.9.9 80" };
    struct fixture *f = *state;

    port_relay_set_place(f->relay, &f->place);
    for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
        want(f, refused[i]);
        if (port_relay_message(f->relay)->n_ports != 0)
            fail_msg("%s", refused[i]);
    }
    assert_int_equal(port_relay_get_state(f->relay), PORT_RELAY_IDLE);
    for (unsigned i = 0; i < ARRAY_SIZE(taken); i++) {
        want(f, taken[i]);
        if (port_relay_message(f->relay)->n_ports != 1)
            fail_msg("%s", taken[i]);
    }
    assert_int_equal(port_relay_get_state(f->relay), PORT_RELAY_WORKING);
}

static void ports_that_stay_are_left_alone(void **state)
{
    struct fixture *f = *state;
    struct ip_endpoint gone = { f->place.at, 0 };
    struct net_sim_peer *c;
    uint16_t before;

    start_tcp(f);
    net_sim_next_connect(f->net, ST_OK, 0);
    c = client(f, "192.168.127.1:5000");
    before = port_of(f, "tcp", "127.0.0.1", 80);
    want(f, "tcp 127.0.0.1 81|tcp 127.0.0.1 80");
    assert_int_equal(port_of(f, "tcp", "127.0.0.1", 80), before);
    gone.port = port_of(f, "tcp", "127.0.0.1", 81);
    assert_true(gone.port != 0 && gone.port != before);
    port_relay_set_place(f->relay, &f->place); /* the same */
    assert_int_equal(port_of(f, "tcp", "127.0.0.1", 80), before);
    want(f, "tcp 127.0.0.1 80");
    assert_false(net_sim_is_listening(f->net, &gone));
    want(f, "");
    assert_int_equal(net_sim_open_listeners(f->net), 0);
    assert_false(net_sim_peer_is_closed(c)); /* it ends when its container does */
    assert_int_equal(counter(f, "relay_connections"), 1);
}

static void too_many_ports_are_cut(void **state)
{
    struct fixture *f = *state;
    char text[PORTS_MAX * 24] = "";
    size_t n = 0;

    port_relay_set_place(f->relay, &f->place);
    for (unsigned i = 0; i < PORTS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%stcp 127.0.0.1 %u", i ? "|" : "",
                              1000 + i);
    want(f, text);
    assert_int_equal(port_relay_message(f->relay)->n_ports, PORT_RELAY_MAX);
    want(f, "tcp 127.0.0.1 80"); /* what went made room */
    assert_true(port_of(f, "tcp", "127.0.0.1", 80) != 0);
}

static void what_was_asked_waits_for_an_address_and_moves_with_it(void **state)
{
    struct fixture *f = *state;
    struct port_relay_place elsewhere = f->place;
    struct ip_endpoint at;
    char text[256];

    assert_null(port_relay_message(f->relay));
    want(f, "tcp 127.0.0.1 80");
    assert_int_equal(port_relay_message(f->relay)->n_ports, 0);
    assert_int_equal(port_relay_get_state(f->relay), PORT_RELAY_WAITING);
    assert_string_equal(port_relay_summary(f->relay, text, sizeof text),
                        "1 ports wait for the guest's address");
    port_relay_set_place(f->relay, &f->place);
    assert_int_equal(port_relay_get_state(f->relay), PORT_RELAY_WORKING);
    elsewhere.at = endpoint("192.168.127.7:1").addr;
    port_relay_set_place(f->relay, &elsewhere);
    at = (struct ip_endpoint){ elsewhere.at, port_of(f, "tcp", "127.0.0.1", 80) };
    assert_true(net_sim_is_listening(f->net, &at));
    assert_int_equal(net_sim_open_listeners(f->net), 1);
}

static void a_port_that_cannot_be_had_is_said_and_tried_again(void **state)
{
    struct fixture *f = *state;
    struct ip_endpoint at = { f->place.at, 0 };
    char text[256];

    port_relay_set_place(f->relay, &f->place);
    net_sim_next_listen_fails(f->net, ST_NOFILES, "no descriptors");
    net_sim_next_udp_open_fails(f->net, ST_NOFILES);
    want(f, "tcp 127.0.0.1 80|udp 127.0.0.1 80");
    assert_int_equal(port_relay_message(f->relay)->n_ports, 0);
    assert_int_equal(port_relay_get_state(f->relay), PORT_RELAY_FAILED);
    assert_non_null(strstr(port_relay_summary(f->relay, text, sizeof text), "tcp 127.0.0.1:80: "));
    f->changes = 0;
    sim_advance_ms(f->sim, 1000);
    assert_int_equal(port_relay_message(f->relay)->n_ports, 2);
    assert_int_equal(port_relay_get_state(f->relay), PORT_RELAY_WORKING);
    assert_int_equal(f->changes, 1);
    at.port = port_of(f, "tcp", "127.0.0.1", 80);
    net_sim_listener_error(f->net, &at, ST_IO);
    sim_run(f->sim);
    assert_int_equal(port_relay_message(f->relay)->n_ports, 1);
    assert_int_equal(port_relay_get_state(f->relay), PORT_RELAY_FAILED);
    sim_advance_ms(f->sim, 1000);
    assert_int_equal(port_relay_message(f->relay)->n_ports, 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(bytes_go_both_ways_and_each_end_by_itself),
        T(who_does_not_read_stops_the_other_side),
        T(a_reset_and_a_refusal_are_passed_on),
        T(only_the_gateway_is_let_in),
        T(connections_are_bounded),
        T(answers_go_to_whom_they_are_for),
        T(flows_are_bounded_and_strangers_make_none),
        T(only_loopback_ports_are_led_to),
        T(ports_that_stay_are_left_alone),
        T(too_many_ports_are_cut),
        T(what_was_asked_waits_for_an_address_and_moves_with_it),
        T(a_port_that_cannot_be_had_is_said_and_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
