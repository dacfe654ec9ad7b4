/* SPDX-License-Identifier: Apache-2.0
 * Both ends of what the net unit and the relay unit say to each other, each against a script of the
 * other: relay_client.h and relay_agent.h.
 */
#include "support/cmocka_all.h"

#include "guestagent/net/guest_net.h"
#include "guestagent/net/relay_agent.h"
#include "guestagent/net/relay_client.h"
#include "guestagent/net/relay_config.h"
#include "ipc/envelope.h"
#include "ipc/health.h"
#include "port/sim/net_sim.h"
#include "port/sim/stream_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct sim *sim;
    struct net_sim *net;
    struct relay_config config;
    struct relay_client *client;
    struct relay_agent *agent;
    unsigned changes;
    bool refuses;
};

/* What a peer was told last; forgotten with each look. */
struct told {
    int ports; /* of relayed_ports; -1: none came */
    unsigned relay_port;
    char address[40], gateway[40]; /* of the offer */
    bool offered;
    struct health_report report;
};

static void on_change(void *ctx)
{
    struct fixture *f = ctx;

    f->changes++;
}

static void on_stopped(void *ctx)
{
}

static struct sim_dial_answer decide(void *ctx, const struct addr *to)
{
    const struct fixture *f = ctx;

    return (struct sim_dial_answer){ .st = f->refuses ? ST_REFUSED : ST_OK };
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->sim = sim_new();
    f->net = net_sim_new(f->sim);
    sim_on_dial(f->sim, decide, f);
    assert_int_equal(relay_config_load(&f->config, 0, NULL, NULL), ST_OK);
    assert_int_equal(relay_client_new(&f->client, sim_loop(f->sim), &f->config.listen_at, on_change,
                                      f),
                     ST_OK);
    assert_int_equal(relay_agent_new(&f->agent, sim_loop(f->sim), net_sim_net(f->net), &f->config,
                                     on_stopped, f, NULL),
                     ST_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    relay_client_free(f->client);
    relay_agent_free(f->agent);
    sim_advance_ms(f->sim, 1500); /* what was queued has left */
    net_sim_free(f->net);
    sim_free(f->sim);
    free(f);
    return 0;
}

/* ---- the script ------------------------------------------------------------------------------ */

static void say(struct fixture *f, struct sim_peer *p, Rdlink__V1__Envelope *msg)
{
    uint8_t *frame;
    size_t len;

    assert_int_equal(envelope_pack(msg, &frame, &len), ST_OK);
    sim_peer_send(p, frame, len);
    free(frame);
    sim_run(f->sim);
}

/* "127.0.0.1" port 80, as many as @count; each relayed from @relay_port. */
static void fill(Rdlink__V1__PublishedPorts *ports, Rdlink__V1__PublishedPort items[2],
                 Rdlink__V1__PublishedPort *list[2], unsigned count, unsigned relay_port)
{
    static char tcp[] = "tcp", address[] = "127.0.0.1";

    rdlink__v1__published_ports__init(ports);
    for (unsigned i = 0; i < count; i++) {
        rdlink__v1__published_port__init(&items[i]);
        items[i].protocol = tcp;
        items[i].host_address = address;
        items[i].port = 80 + i;
        items[i].relay_port = relay_port;
        list[i] = &items[i];
    }
    ports->n_ports = count;
    ports->ports = list;
}

static void say_ports(struct fixture *f, struct sim_peer *p, unsigned count, unsigned relay_port)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__PublishedPort items[2], *list[2];
    Rdlink__V1__PublishedPorts ports;

    fill(&ports, items, list, count, relay_port);
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_RELAYED_PORTS;
    msg.relayed_ports = &ports;
    say(f, p, &msg);
}

static void host_wants(struct fixture *f, uint64_t channel, bool is_proved, unsigned count)
{
    Rdlink__V1__PublishedPort items[2], *list[2];
    Rdlink__V1__PublishedPorts ports;

    fill(&ports, items, list, count, 0);
    relay_client_want(f->client, channel, is_proved, &ports);
    sim_run(f->sim);
}

static struct told look(struct sim_peer *p)
{
    struct told t = { .ports = -1 };
    struct envelope_reader r = { .have_bytes = 0 };
    enum channel_end why;
    Rdlink__V1__Envelope *msg;
    size_t len;
    const uint8_t *data = sim_peer_data(p, &len);

    while (envelope_read(&r, &data, &len, &msg, &why) == ST_OK) {
        if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_RELAYED_PORTS) {
            t.ports = (int)msg->relayed_ports->n_ports;
            t.relay_port = t.ports > 0 ? msg->relayed_ports->ports[0]->relay_port : 0;
        }
        if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER) {
            t.offered = true;
            snprintf(t.address, sizeof t.address, "%s", msg->network_offer->guest_address);
            snprintf(t.gateway, sizeof t.gateway, "%s", msg->network_offer->gateway);
        }
        if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_HEALTH)
            health_decode(&t.report, msg->health);
        rdlink__v1__envelope__free_unpacked(msg, NULL);
    }
    envelope_reader_fini(&r);
    sim_peer_drop_received(p);
    return t;
}

/* The relay unit answers the client's greeting. */
static struct sim_peer *relay_comes(struct fixture *f)
{
    Rdlink__V1__HelloAck ack = RDLINK__V1__HELLO_ACK__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    struct sim_peer *p = sim_take_dialled(f->sim);

    assert_non_null(p);
    ack.major = IPC_MAJOR;
    ack.minor = IPC_MINOR;
    ack.role = RDLINK__V1__ROLE__ROLE_AGENT_RELAY;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HELLO_ACK;
    msg.hello_ack = &ack;
    say(f, p, &msg);
    return p;
}

/* What the client reports, as "Reason". */
static const char *reason(struct fixture *f)
{
    static struct health_report r;
    struct health_component *c;

    r = (struct health_report){ .count = 0 };
    c = health_add(&r, "net");
    relay_client_report(f->client, c);
    return condition_find(&c->conditions, "LoopbackPortsRelayed")->reason;
}

static struct guest_lease lease(void)
{
    return (struct guest_lease){ .ip = ip_addr_v4(0xc0a87f02),
                                 .prefix_bits = 24,
                                 .gateway = ip_addr_v4(0xc0a87f01) };
}

/* ---- the net unit's end ---------------------------------------------------------------------- */

static void the_relay_unit_is_asked_when_a_port_is_wanted_and_not_before(void **state)
{
    struct fixture *f = *state;
    struct guest_lease l = lease();
    struct sim_peer *p;
    struct told t;

    assert_null(relay_client_message(f->client));
    relay_client_set_lease(f->client, &l);
    host_wants(f, 1, false, 0);
    assert_int_equal(sim_dial_count(f->sim), 0);
    assert_string_equal(reason(f), "NothingToRelay");
    assert_int_equal(relay_client_message(f->client)->n_ports, 0);
    host_wants(f, 1, false, 2);
    assert_string_equal(reason(f), "RelayStarting");
    p = relay_comes(f);
    t = look(p);
    assert_int_equal(t.ports, 2);
    assert_string_equal(t.address, "192.168.127.2/24");
    assert_string_equal(t.gateway, "192.168.127.1");
    f->changes = 0;
    say_ports(f, p, 2, 41000);
    assert_int_equal(f->changes, 1);
    assert_int_equal(relay_client_message(f->client)->ports[1]->relay_port, 41000);
    relay_client_set_lease(f->client, NULL);
    sim_run(f->sim);
    t = look(p);
    assert_true(t.offered && !t.address[0]);
    host_wants(f, 1, false, 0);
    assert_int_equal(look(p).ports, 0);
}

static void a_relay_unit_that_is_lost_relays_nothing_and_is_asked_again(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p;

    f->refuses = true;
    host_wants(f, 1, false, 1);
    assert_string_equal(reason(f), "RelayUnreachable");
    f->refuses = false;
    sim_advance_ms(f->sim, 1000);
    p = relay_comes(f);
    say_ports(f, p, 1, 41000);
    assert_int_equal(relay_client_message(f->client)->n_ports, 1);
    sim_peer_end(p);
    sim_run(f->sim);
    assert_int_equal(relay_client_message(f->client)->n_ports, 0);
    assert_string_equal(reason(f), "RelayUnreachable");
    sim_advance_ms(f->sim, 1000);
    assert_int_equal(look(relay_comes(f)).ports, 1);
}

static void a_proved_host_is_not_overruled_by_one_that_is_not(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p;

    host_wants(f, 1, false, 1);
    p = relay_comes(f);
    look(p);
    host_wants(f, 2, true, 2);
    assert_int_equal(look(p).ports, 2);
    host_wants(f, 1, false, 0);
    assert_int_equal(look(p).ports, -1);
    relay_client_host_gone(f->client, 2); /* what it wanted stays until another one speaks */
    assert_int_equal(look(p).ports, -1);
    host_wants(f, 1, false, 1);
    assert_int_equal(look(p).ports, 1);
}

/* ---- the relay unit's end -------------------------------------------------------------------- */

static void greet_and_offer(struct fixture *f, struct sim_peer *p, Rdlink__V1__Role role)
{
    static char address[] = "192.168.127.2/24", gateway[] = "192.168.127.1";
    Rdlink__V1__Hello hello = RDLINK__V1__HELLO__INIT;
    Rdlink__V1__NetworkOffer offer = RDLINK__V1__NETWORK_OFFER__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    hello.major = IPC_MAJOR;
    hello.minor = IPC_MINOR;
    hello.role = role;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HELLO;
    msg.hello = &hello;
    say(f, p, &msg);
    offer.guest_address = address;
    offer.gateway = gateway;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER;
    msg.network_offer = &offer;
    say(f, p, &msg);
}

static void what_the_net_unit_asks_is_done_and_told(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p = sim_connect(f->sim, &f->config.listen_at, &sim_local_peer);
    struct ip_endpoint at = { ip_addr_v4(0xc0a87f02), 0 };
    struct told t;

    assert_non_null(p);
    greet_and_offer(f, p, RDLINK__V1__ROLE__ROLE_AGENT_NET);
    say_ports(f, p, 1, 0);
    t = look(p);
    assert_int_equal(t.ports, 1);
    at.port = (uint16_t)t.relay_port;
    assert_true(net_sim_is_listening(f->net, &at));
    assert_string_equal(condition_find(&health_find(&t.report, "relay")->conditions,
                                       "LoopbackPortsRelayed")
                            ->reason,
                        "Relayed");
    sim_peer_end(p);
    sim_run(f->sim);
    assert_true(net_sim_is_listening(f->net, &at)); /* until its successor says otherwise */
}

static void another_net_unit_at_the_same_place_gets_other_sockets(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p = sim_connect(f->sim, &f->config.listen_at, &sim_local_peer);
    unsigned before;

    greet_and_offer(f, p, RDLINK__V1__ROLE__ROLE_AGENT_NET);
    say_ports(f, p, 1, 0);
    before = look(p).relay_port;
    assert_true(before > 0);
    sim_peer_end(p);
    sim_run(f->sim);
    p = sim_connect(f->sim, &f->config.listen_at, &sim_local_peer);
    greet_and_offer(f, p, RDLINK__V1__ROLE__ROLE_AGENT_NET);
    say_ports(f, p, 1, 0);
    assert_int_not_equal(look(p).relay_port, before);
    assert_int_equal(net_sim_open_listeners(f->net), 1);
}

static void nobody_but_the_net_unit_is_taken(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p = sim_connect(f->sim, &f->config.listen_at, &sim_local_peer);

    greet_and_offer(f, p, RDLINK__V1__ROLE__ROLE_CONTROLLER);
    say_ports(f, p, 1, 0);
    assert_int_equal(look(p).ports, -1);
    assert_int_equal(net_sim_open_listeners(f->net), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_relay_unit_is_asked_when_a_port_is_wanted_and_not_before),
        T(a_relay_unit_that_is_lost_relays_nothing_and_is_asked_again),
        T(a_proved_host_is_not_overruled_by_one_that_is_not),
        T(what_the_net_unit_asks_is_done_and_told),
        T(another_net_unit_at_the_same_place_gets_other_sockets),
        T(nobody_but_the_net_unit_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
