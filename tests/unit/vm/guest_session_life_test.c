/* SPDX-License-Identifier: Apache-2.0
 * The life of a session: guests that restart or vanish, budgets, a wake-up, and freeing it at every
 * state.
 */
#include "vm/guest_session.h"

#include "base/log.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "unit/vm/session_case.h"
#include "vm/handshake.h"

#include <string.h>

/* ---- restarts and phantoms ---------------------------------------------------------------- */

static void guest_restarted_before_ready_is_greeted_again(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    sim_peer_reset(world_accepted(w, A.handshake), ST_RESET); /* READY went to the one that died */
    sim_run(w->sim);
    expect_state(w, SESSION_WAIT_LINK, GUEST_A);
    sim_advance_ms(w->sim, 1000);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

static void ready_that_cannot_be_delivered_is_a_reason(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    world_set_port(w, 6669, ST_REFUSED, 0);
    guest_answers_probe(w, &A);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "LinkUp", COND_FALSE, "ReadyFailed");
    assert_false(world_is_listening(w, GUEST_A));
}

static void guest_restarted_after_ready_is_greeted_again(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_links(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
    assert_int_equal(world_view(w).handshakes, 2);
}

/* The old host's deadlock: network-setup starts again while its predecessor's link is still held.
 */
static void guest_restarted_with_a_live_link_replaces_it(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    sim_advance_ms(w->sim, 4000); /* no frame for longer than link_quiet_ms */
    guest_links(w, &A);
    assert_int_equal(world_view(w).links, 2);
    expect_state(w, SESSION_LINKED, GUEST_A);
    assert_int_equal(world_view(w).handshakes, 2);
}

static void link_with_frames_on_it_is_not_replaced(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    guest_listens(w, &A); /* a second distribution of the same generation */
    for (unsigned i = 0; i < 10; i++) {
        struct sim_peer *p;

        sim_advance_ms(w->sim, 1000);
        guest_session_on_link_activity(w->s, GUEST_A);
        p = world_accepted(w, A.handshake);
        assert_non_null(p);
        sim_peer_send_text(p, SIGNATURE_A.text);
        sim_run(w->sim);
        assert_string_equal(sim_peer_text(p), "");
    }
    assert_int_equal(world_view(w).handshakes, 1);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

static void link_that_ends_is_probed_for_at_once(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    sim_advance_ms(w->sim, 2500);
    guest_listens(w, &A);
    guest_session_on_link_end(w->s, GUEST_A, ST_EOF);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "LinkUp", COND_FALSE, "LinkLost");
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

/* A guest that drops every link at once is not chased at full speed. */
static void short_links_are_probed_for_at_the_usual_pace(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    guest_listens(w, &A);
    guest_session_on_link_end(w->s, GUEST_A, ST_EOF);
    sim_advance_ms(w->sim, 900);
    assert_null(world_accepted(w, A.handshake));
    sim_advance_ms(w->sim, 100);
    assert_non_null(world_accepted(w, A.handshake));
}

static void guest_may_dial_again_without_a_handshake(void **state)
{
    struct world *w = *state;

    guest_links(w, &B);
    guest_session_on_link_end(w->s, GUEST_B, ST_RESET);
    sim_advance_ms(w->sim, 3000);
    guest_dials_data(w, &B);
    expect_state(w, SESSION_LINKED, GUEST_B);
    assert_int_equal(world_view(w).links, 2);
}

static void guest_that_went_away_gives_the_data_port_back(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    guest_session_on_link_end(w->s, GUEST_A, ST_EOF);
    sim_advance_ms(w->sim, 9999);
    expect_reason(w, "GuestFound", COND_FALSE, "GuestGone");
    assert_true(world_is_listening(w, GUEST_A));
    sim_advance_ms(w->sim, 1);
    assert_false(world_is_listening(w, GUEST_A));
}

/* A machine that is going away answers from what is left of it and never dials. */
static void phantom_is_given_up_and_the_real_guest_found(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    sim_advance_ms(w->sim, 10000);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "LinkUp", COND_FALSE, "LinkTimeout");
    assert_false(world_is_listening(w, GUEST_A));
    guest_links(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

static void budget_is_a_reason_and_never_an_end(void **state)
{
    struct world *w = *state;

    sim_advance_ms(w->sim, 299999);
    expect_reason(w, "GuestFound", COND_FALSE, "NoListener");
    sim_advance_ms(w->sim, 1);
    expect_reason(w, "GuestFound", COND_FALSE, "HandshakeOverdue");
    guest_links(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
    expect_reason(w, "GuestFound", COND_TRUE, "SignatureMatched");
}

static void guest_that_never_links_is_overdue_too(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    for (unsigned i = 0; i < 320; i++) {
        struct sim_peer *p = world_accepted(w, A.handshake);

        if (p)
            sim_peer_send_text(p, SIGNATURE_A.text);
        sim_advance_ms(w->sim, 1000);
    }
    expect_reason(w, "GuestFound", COND_TRUE, "SignatureMatched");
    expect_reason(w, "LinkUp", COND_FALSE, "HandshakeOverdue");
}

/* ---- wake-up, notification, end ------------------------------------------------------------ */

static void probe_now_does_not_wait_for_a_hanging_probe(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    assert_non_null(world_accepted(w, A.handshake)); /* silent: its machine was asleep */
    guest_session_probe_now(w->s);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    expect_state(w, SESSION_HANDSHAKE, GUEST_A);
}

static void free_in_on_change(void *ctx, struct guest_session *s)
{
    struct world *w = ctx;

    guest_session_free(s);
    w->s = NULL;
}

static void session_may_be_freed_in_on_change(void **state)
{
    static const struct session_ops freeing = { .on_change = free_in_on_change,
                                                .want_link = world_on_want,
                                                .release_link = world_on_release };
    struct world *w = *state;

    world_new_session(w, &freeing);
    sim_run(w->sim);
    assert_null(w->s);
}

/* A guest that plays its part by itself, so that a test can stop anywhere in the story. */
struct auto_guest {
    const struct guest_kind *k;
    struct sim_peer *open;
    bool linked;
};

static void auto_guest_acts(struct world *w, struct auto_guest *g)
{
    struct sim_peer *p = world_accepted(w, g->k->handshake);

    if (p) {
        sim_peer_send_text(p, g->k->signature->text);
        g->open = p;
    }
    if (g->open && !g->linked && !strcmp(sim_peer_text(g->open), "READY")) {
        assert_true(world_is_listening(w, g->k->generation));
        guest_session_on_link_start(w->s, g->k->generation);
        g->linked = true;
    }
}

/* True when the story went on for @events events; the machine vanishes after that. Once both links
 * are up the first is lost, and the agent's torn greeting times out. */
static bool story_until(unsigned events, uint64_t seed)
{
    struct world w;
    struct auto_guest a = { .k = &A }, b = { .k = &B };
    bool agent_greeted = false, went_on = true;

    world_begin(&w);
    sim_shuffle(w.sim, seed);
    guest_listens(&w, &A);
    guest_listens(&w, &B);
    world_set_port(&w, 6680, ST_OK, 0);
    for (unsigned i = 0; i < events && went_on; i++) {
        struct sim_peer *agent;

        went_on = sim_step(w.sim);
        if (!went_on && sim_now_ms(w.sim) < 9000) {
            if (a.linked && b.linked)
                guest_session_on_link_end(w.s, GUEST_A, ST_RESET);
            sim_advance_ms(w.sim, 700);
            went_on = true;
        }
        auto_guest_acts(&w, &a);
        auto_guest_acts(&w, &b);
        agent = agent_greeted ? NULL : world_accepted(&w, 6680);
        if (agent) {
            uint8_t torn[] = { 40, 0, 0, 0, 8 }; /* a message that never ends */

            sim_peer_send(agent, torn, sizeof torn);
            agent_greeted = true;
        }
    }
    if (!went_on)
        assert_true(world_view(&w).links >= 2);
    world_end(&w);
    return went_on;
}

static void machine_may_vanish_after_any_event(void **state)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        unsigned events = 0;

        while (story_until(events, seed))
            events++;
        assert_true(events > 20);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(guest_restarted_before_ready_is_greeted_again),
        T(ready_that_cannot_be_delivered_is_a_reason),
        T(guest_restarted_after_ready_is_greeted_again),
        T(guest_restarted_with_a_live_link_replaces_it),
        T(link_with_frames_on_it_is_not_replaced),
        T(link_that_ends_is_probed_for_at_once),
        T(short_links_are_probed_for_at_the_usual_pace),
        T(guest_may_dial_again_without_a_handshake),
        T(guest_that_went_away_gives_the_data_port_back),
        T(phantom_is_given_up_and_the_real_guest_found),
        T(budget_is_a_reason_and_never_an_end),
        T(guest_that_never_links_is_overdue_too),
        T(probe_now_does_not_wait_for_a_hanging_probe),
        T(session_may_be_freed_in_on_change),
        cmocka_unit_test(machine_may_vanish_after_any_event),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
