/* SPDX-License-Identifier: Apache-2.0
 * The agent's bridge in a virtual machine (v2): how it is found, what it reports, and how it is
 * lost.
 */
#include "vm/guest_session.h"

#include "base/log.h"
#include "ipc/envelope.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "unit/vm/session_case.h"

#include <stdio.h>

static void agent_reports(struct world *w, struct sim_peer *p, uint64_t sequence,
                          enum health_state state)
{
    struct health_report r = { .sequence = sequence };
    struct health_component *c = health_add(&r, "bridge");
    Rdlink__V1__HealthReport *health;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    c->state = state;
    condition_update(&c->conditions, "DockerReachable",
                     state == HEALTH_SERVING ? COND_TRUE : COND_FALSE, "Tested", 5, "%s", "x");
    health_count(c, "accepted", sequence * 10);
    assert_int_equal(health_encode(&r, &health), ST_OK);
    health->sequence = sequence;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HEALTH;
    msg.health = health;
    agent_sends(w, p, &msg);
    health_message_free(health);
}

static void agent_is_found_and_its_health_shown(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w, &BRIDGE);
    struct session_view v = world_view(w);

    expect_state(w, SESSION_CONTROL, GUEST_V2);
    expect_reason(w, "GuestFound", COND_TRUE, "ControlOpen");
    expect_reason(w, "LinkUp", COND_UNKNOWN, "ControlOnly");
    expect_reason(w, "AgentHealthy", COND_UNKNOWN, "NoReport");
    assert_string_equal(v.bridge.version, "9.8.7");
    assert_int_equal(v.bridge.pid, 77);
    assert_false(v.bridge.reports);

    agent_reports(w, p, 1, HEALTH_SERVING);
    v = world_view(w);
    assert_true(v.bridge.reports && v.bridge.serving);
    expect_reason(w, "AgentHealthy", COND_TRUE, "Serving");
    assert_int_equal(v.bridge.conditions.count, 1);
    assert_string_equal(v.bridge.conditions.items[0].type, "DockerReachable");
    assert_int_equal(v.bridge.counter_count, 1);
    assert_string_equal(v.bridge.counters[0].name, "accepted");
    assert_int_equal(v.bridge.counters[0].value, 10);

    agent_reports(w, p, 2, HEALTH_NOT_SERVING);
    v = world_view(w);
    assert_true(v.bridge.reports && !v.bridge.serving);
    expect_reason(w, "AgentHealthy", COND_FALSE, "NotServing");
}

static void what_containers_publish_is_passed_on(void **state)
{
    static char tcp[] = "tcp";
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w, &BRIDGE);
    Rdlink__V1__PublishedPorts ports = RDLINK__V1__PUBLISHED_PORTS__INIT;
    Rdlink__V1__PublishedPort port = RDLINK__V1__PUBLISHED_PORT__INIT, *list[] = { &port };
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    port.protocol = tcp;
    port.port = 80;
    ports.n_ports = 1;
    ports.ports = list;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_PUBLISHED_PORTS;
    msg.published_ports = &ports;
    agent_sends(w, p, &msg);
    assert_int_equal(w->published, 1);
}

/* "127.0.0.1" is at the guest's loopback, "" is not. */
static void say_ports(struct world *w, struct sim_peer *p, Rdlink__V1__Envelope__BodyCase body,
                      const char *address, unsigned relay_port)
{
    char tcp[] = "tcp", text[16];
    Rdlink__V1__PublishedPorts ports = RDLINK__V1__PUBLISHED_PORTS__INIT;
    Rdlink__V1__PublishedPort port = RDLINK__V1__PUBLISHED_PORT__INIT, *list[] = { &port };
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    snprintf(text, sizeof text, "%s", address);
    port.protocol = tcp;
    port.host_address = text;
    port.port = 80;
    port.relay_port = relay_port;
    ports.n_ports = 1;
    ports.ports = list;
    msg.body_case = body;
    msg.published_ports = &ports; /* the same member of the union as relayed_ports */
    agent_sends(w, p, &msg);
}

/* How many ports the net unit was asked for last; -1: it was not. Forgets what it read. */
static int ports_asked(struct sim_peer *p)
{
    struct envelope_reader r = { .have_bytes = 0 };
    enum channel_end why;
    Rdlink__V1__Envelope *msg;
    size_t len;
    const uint8_t *data = sim_peer_data(p, &len);
    int asked = -1;

    while (envelope_read(&r, &data, &len, &msg, &why) == ST_OK) {
        if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_RELAYED_PORTS)
            asked = (int)msg->relayed_ports->n_ports;
        rdlink__v1__envelope__free_unpacked(msg, NULL);
    }
    envelope_reader_fini(&r);
    sim_peer_drop_received(p);
    return asked;
}

static void the_net_unit_is_asked_for_what_is_at_the_guests_loopback(void **state)
{
    struct world *w = *state;
    struct session_config off = { .relays_ports = false };
    struct session_config on = { .relays_ports = true };
    struct sim_peer *bridge = agent_comes(w, &BRIDGE);
    struct sim_peer *net = agent_comes(w, &NET);

    assert_int_equal(ports_asked(net), -1); /* the bridge has not said anything */
    say_ports(w, bridge, RDLINK__V1__ENVELOPE__BODY_PUBLISHED_PORTS, "127.0.0.1", 0);
    assert_int_equal(ports_asked(net), 1);
    say_ports(w, net, RDLINK__V1__ENVELOPE__BODY_RELAYED_PORTS, "127.0.0.1", 41000);
    assert_int_equal(w->relayed, 1);
    assert_int_equal(w->relay_port, 41000);
    guest_session_set(w->s, &off);
    sim_run(w->sim);
    assert_int_equal(ports_asked(net), 0);
    guest_session_set(w->s, &on);
    sim_run(w->sim);
    assert_int_equal(ports_asked(net), 1);
    say_ports(w, bridge, RDLINK__V1__ENVELOPE__BODY_PUBLISHED_PORTS, "", 0);
    assert_int_equal(ports_asked(net), 0);
}

static void a_net_unit_that_is_gone_relays_nothing_and_the_next_one_is_asked(void **state)
{
    struct world *w = *state;
    struct sim_peer *bridge = agent_comes(w, &BRIDGE);
    struct sim_peer *net = agent_comes(w, &NET);

    say_ports(w, bridge, RDLINK__V1__ENVELOPE__BODY_PUBLISHED_PORTS, "127.0.0.1", 0);
    say_ports(w, net, RDLINK__V1__ENVELOPE__BODY_RELAYED_PORTS, "127.0.0.1", 41000);
    sim_peer_end(net);
    sim_run(w->sim);
    assert_int_equal(w->relayed, 0);
    net = agent_comes(w, &NET);
    assert_int_equal(ports_asked(net), 1);
}

static void same_report_again_is_no_change(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w, &BRIDGE);
    unsigned before;

    agent_reports(w, p, 1, HEALTH_SERVING);
    before = w->changes;
    agent_reports(w, p, 2, HEALTH_SERVING);
    assert_int_equal(w->changes, before);
    assert_int_equal(world_view(w).bridge.counters[0].value, 20); /* counters move all the same */
    agent_reports(w, p, 3, HEALTH_NOT_SERVING);
    assert_int_equal(w->changes, before + 1);
}

static void count_line(void *ctx, const struct log_record *r)
{
    ++*(unsigned *)ctx;
}

static void a_guest_cannot_flood_the_log(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w, &BRIDGE);
    unsigned lines = 0;

    log_set_level(LOG_INFO);
    log_set_sink(count_line, &lines);
    for (uint64_t i = 1; i <= 400; i++)
        agent_reports(w, p, i, i % 2 ? HEALTH_SERVING : HEALTH_NOT_SERVING);
    log_set_sink(NULL, NULL);
    log_set_level(LOG_ERROR);
    assert_in_range(lines, 2, 200);
}

static void agent_that_goes_silent_is_lost_and_dialled_again(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w, &BRIDGE);

    agent_reports(w, p, 1, HEALTH_SERVING);
    sim_advance_ms(w->sim, 6000);
    assert_true(sim_peer_is_closed(p));
    expect_reason(w, "AgentHealthy", COND_FALSE, "AgentLost");
    assert_int_equal(world_view(w).bridge.conditions.count, 0);
    assert_false(world_view(w).bridge.reports);
    p = world_accepted(w, 6680);
    assert_non_null(p);
    agent_greets(w, p, &BRIDGE, IPC_MAJOR);
    expect_state(w, SESSION_CONTROL, GUEST_V2);
}

static void agent_that_is_asked_after_a_sleep_has_less_time(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w, &BRIDGE);

    agent_reports(w, p, 1, HEALTH_SERVING);
    guest_session_probe_now(w->s);
    sim_advance_ms(w->sim, 1400);
    agent_reports(w, p, 2, HEALTH_SERVING);
    sim_advance_ms(w->sim, 1000);
    assert_false(sim_peer_is_closed(p)); /* it lives */
    guest_session_probe_now(w->s);
    sim_advance_ms(w->sim, 1500);
    assert_true(sim_peer_is_closed(p));
    expect_reason(w, "AgentHealthy", COND_FALSE, "AgentLost");
    sim_advance_ms(w->sim, 250);
    assert_non_null(world_accepted(w, 6680));
}

static void agent_of_another_version_is_named(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    world_set_port(w, 6680, ST_OK, 0);
    sim_run(w->sim);
    p = world_accepted(w, 6680);
    agent_greets(w, p, &BRIDGE, IPC_MAJOR + 1);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "AgentHealthy", COND_FALSE, "VersionMismatch");
}

static void somebody_else_on_the_agents_port_is_named(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    world_set_port(w, 6680, ST_OK, 0);
    sim_run(w->sim);
    p = world_accepted(w, 6680);
    sim_peer_send_text(p, "HTTP/1.1 400 Bad Request\r\n\r\n");
    sim_run(w->sim);
    assert_true(sim_peer_is_closed(p));
    expect_reason(w, "AgentHealthy", COND_FALSE, "AgentRefused");
}

static void probes_slow_down_but_go_on_beside_an_agent(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w, &BRIDGE);
    uint64_t before;

    agent_reports(w, p, 1, HEALTH_SERVING);
    sim_advance_ms(w->sim, 3000); /* the haste after it was found is over */
    before = world_view(w).probes;
    for (unsigned i = 0; i < 20; i++) {
        agent_reports(w, p, i + 2, HEALTH_SERVING);
        sim_advance_ms(w->sim, 1000);
    }
    /* two lanes every five seconds, and the agent's network unit, which may start at any time */
    assert_int_equal(world_view(w).probes - before, 8 + 20);
    guest_listens(w, &A);
    for (unsigned i = 0; i < 5; i++) {
        agent_reports(w, p, i + 22, HEALTH_SERVING);
        sim_advance_ms(w->sim, 1000);
    }
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_state(w, SESSION_CONTROL, GUEST_V2);
    assert_int_equal(world_view(w).lanes[GUEST_A], SESSION_LINKED);
    expect_reason(w, "LinkUp", COND_TRUE, "Linked");
}

static void agent_that_ends_is_soon_asked_again(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w, &BRIDGE);

    for (unsigned i = 0; i < 5; i++) {
        agent_reports(w, p, i + 1, HEALTH_SERVING);
        sim_advance_ms(w->sim, 1000);
    }
    sim_peer_end(p);
    sim_run(w->sim);
    expect_reason(w, "AgentHealthy", COND_FALSE, "AgentLost");
    assert_null(world_accepted(w, BRIDGE.port));
    sim_advance_ms(w->sim, 250);
    assert_non_null(world_accepted(w, BRIDGE.port));
}

/* It is a bad agent, or none: it is asked as often as one that was never there. */
static void agent_that_hangs_up_each_time_is_not_hurried_for(void **state)
{
    struct world *w = *state;

    sim_advance_ms(w->sim, 3000); /* the haste after the machine was found is over */
    sim_peer_end(agent_comes(w, &BRIDGE));
    sim_run(w->sim);
    sim_advance_ms(w->sim, 999);
    assert_null(world_accepted(w, BRIDGE.port));
    sim_advance_ms(w->sim, 1);
    assert_non_null(world_accepted(w, BRIDGE.port));
}

/* The guest that lost its link is about to start again: no time for the pace of probes_slow_down.
 */
static void lost_link_is_hurried_for_even_beside_an_agent(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w, &BRIDGE);
    uint64_t sequence = 1;

    agent_reports(w, p, sequence++, HEALTH_SERVING);
    guest_listens(w, &A);
    guest_session_probe_now(w->s);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    sim_advance_ms(w->sim, 2000);
    agent_reports(w, p, sequence++, HEALTH_SERVING);
    guest_session_on_link_end(w->s, GUEST_A, ST_EOF);
    for (unsigned i = 0; i < 3; i++) { /* it takes its time */
        sim_advance_ms(w->sim, 1000);
        agent_reports(w, p, sequence++, HEALTH_SERVING);
    }
    guest_listens(w, &A);
    sim_advance_ms(w->sim, 1000);
    guest_answers_probe(w, &A);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(agent_is_found_and_its_health_shown),
        T(what_containers_publish_is_passed_on),
        T(the_net_unit_is_asked_for_what_is_at_the_guests_loopback),
        T(a_net_unit_that_is_gone_relays_nothing_and_the_next_one_is_asked),
        T(same_report_again_is_no_change),
        T(a_guest_cannot_flood_the_log),
        T(agent_that_goes_silent_is_lost_and_dialled_again),
        T(agent_that_is_asked_after_a_sleep_has_less_time),
        T(agent_that_ends_is_soon_asked_again),
        T(agent_that_hangs_up_each_time_is_not_hurried_for),
        T(agent_of_another_version_is_named),
        T(somebody_else_on_the_agents_port_is_named),
        T(probes_slow_down_but_go_on_beside_an_agent),
        T(lost_link_is_hurried_for_even_beside_an_agent),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
