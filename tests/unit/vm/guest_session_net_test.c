/* SPDX-License-Identifier: Apache-2.0
 * The agent's network unit in a virtual machine (v2): it is offered a data link while the host
 * switch listens for it, and not otherwise.
 */
#include "vm/guest_session.h"

#include "base/log.h"
#include "ipc/envelope.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "unit/vm/session_case.h"

#include <stdio.h>

/* What the unit was told: how often, and the last offer. */
struct offers {
    unsigned count;
    uint32_t data_port, mtu;
    char why[64];
};

static void take_message(void *ctx, const uint8_t *data, size_t len_bytes)
{
    Rdlink__V1__Envelope *msg = rdlink__v1__envelope__unpack(NULL, len_bytes, data);
    struct offers *o = ctx;

    assert_non_null(msg);
    if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER) {
        o->count++;
        o->data_port = msg->network_offer->data_port;
        o->mtu = msg->network_offer->mtu;
        snprintf(o->why, sizeof o->why, "%s", msg->network_offer->unavailable_reason);
    }
    rdlink__v1__envelope__free_unpacked(msg, NULL);
}

/* All that came to @p so far; each message is preceded by its length, u32 little-endian. */
static struct offers offers_to(struct sim_peer *p)
{
    struct offers o = { 0 };
    size_t len_bytes, at = 0;
    const uint8_t *data = sim_peer_data(p, &len_bytes);

    while (at + 4 <= len_bytes) {
        size_t n = data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16;

        assert_true(at + 4 + n <= len_bytes);
        take_message(&o, data + at + 4, n);
        at += 4 + n;
    }
    return o;
}

static void unit_is_offered_the_port_and_links(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w, &NET);

    expect_state(w, SESSION_CONTROL, GUEST_V2);
    expect_reason(w, "GuestFound", COND_TRUE, "ControlOpen");
    expect_reason(w, "LinkUp", COND_FALSE, "WaitingForLink");
    expect_reason(w, "NetAgentHealthy", COND_UNKNOWN, "NoReport");
    expect_reason(w, "AgentHealthy", COND_UNKNOWN, "NoAgent");
    assert_int_equal(w->wanted_port[GUEST_V2], 6658);
    assert_int_equal(offers_to(p).count, 1);
    assert_int_equal(offers_to(p).data_port, 6658);
    guest_session_on_link_start(w->s, GUEST_V2);
    expect_reason(w, "LinkUp", COND_TRUE, "Linked");
    assert_int_equal(world_view(w).links, 1);
    guest_session_on_link_end(w->s, GUEST_V2, ST_EOF);
    expect_reason(w, "LinkUp", COND_FALSE, "LinkLost");
}

static void offer_waits_for_the_switch(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    w->switch_says = ST_QUEUED;
    p = agent_comes(w, &NET);
    expect_reason(w, "LinkUp", COND_FALSE, "SwitchStarting");
    assert_int_equal(offers_to(p).count, 0);
    world_switch_says(w, GUEST_V2, ST_OK, "");
    assert_int_equal(offers_to(p).data_port, 6658);
}

static void offer_is_withdrawn_and_made_again(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w, &NET);

    world_switch_says(w, GUEST_V2, ST_EXISTS, "somebody is there");
    expect_reason(w, "LinkUp", COND_FALSE, "DataPortTaken");
    assert_int_equal(offers_to(p).count, 2);
    assert_int_equal(offers_to(p).data_port, 0);
    assert_string_equal(offers_to(p).why, "somebody is there");
    world_switch_says(w, GUEST_V2, ST_OK, "");
    expect_reason(w, "LinkUp", COND_FALSE, "WaitingForLink");
    assert_int_equal(offers_to(p).count, 3);
    assert_int_equal(offers_to(p).data_port, 6658);
    assert_string_equal(offers_to(p).why, "");
}

static void channel_that_ends_releases_the_link_but_does_not_end_it(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w, &NET);

    guest_session_on_link_start(w->s, GUEST_V2);
    sim_peer_end(p);
    sim_run(w->sim);
    assert_false(w->wanted[GUEST_V2]);
    expect_reason(w, "NetAgentHealthy", COND_FALSE, "AgentLost");
    expect_reason(w, "LinkUp", COND_TRUE, "Linked");
    p = agent_comes(w, &NET);
    assert_true(w->wanted[GUEST_V2]);
    assert_int_equal(offers_to(p).count, 1);
    expect_reason(w, "LinkUp", COND_TRUE, "Linked");
}

static void both_units_and_a_rancher_guest_side_by_side(void **state)
{
    struct world *w = *state;

    agent_comes(w, &BRIDGE);
    expect_reason(w, "LinkUp", COND_UNKNOWN, "ControlOnly");
    agent_comes(w, &NET);
    expect_reason(w, "LinkUp", COND_FALSE, "WaitingForLink");
    assert_int_equal(world_view(w).bridge.pid, 77);
    assert_int_equal(world_view(w).net.pid, 77);
    guest_listens(w, &A);
    guest_session_probe_now(w->s);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_reason(w, "LinkUp", COND_TRUE, "Linked");
    assert_int_equal(world_view(w).lanes[GUEST_A], SESSION_LINKED);
    assert_int_equal(world_view(w).lanes[GUEST_V2], SESSION_CONTROL);
    expect_state(w, SESSION_CONTROL, GUEST_V2);
}

static void bridge_on_the_port_of_the_net_unit_is_refused(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    world_set_port(w, NET.port, ST_OK, 0);
    sim_run(w->sim);
    p = world_accepted(w, NET.port);
    agent_greets(w, p, &BRIDGE, IPC_MAJOR);
    assert_true(sim_peer_is_closed(p));
    expect_reason(w, "NetAgentHealthy", COND_FALSE, "AgentRefused");
    assert_int_equal(w->wants, 0);
}

static void host_without_a_switch_says_why(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    w->switch_says = ST_UNSUPPORTED;
    p = agent_comes(w, &NET);
    expect_reason(w, "LinkUp", COND_UNKNOWN, "NetworkDisabled");
    assert_int_equal(offers_to(p).data_port, 0);
    assert_string_equal(offers_to(p).why, "as told");
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(unit_is_offered_the_port_and_links),
        T(offer_waits_for_the_switch),
        T(offer_is_withdrawn_and_made_again),
        T(channel_that_ends_releases_the_link_but_does_not_end_it),
        T(both_units_and_a_rancher_guest_side_by_side),
        T(bridge_on_the_port_of_the_net_unit_is_refused),
        T(host_without_a_switch_says_why),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
