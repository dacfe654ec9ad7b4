/* SPDX-License-Identifier: Apache-2.0
 * Guests of generations A and B in a virtual machine: how each is found, told apart from what is no
 * guest, and linked, and what becomes of it while the host switch is not there.
 */
#include "vm/guest_session.h"

#include "base/log.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "unit/vm/session_case.h"
#include "vm/handshake.h"

#include <string.h>

/* ---- generations A and B ------------------------------------------------------------------ */

static void nobody_there_is_said_with_a_reason(void **state)
{
    struct world *w = *state;

    expect_reason(w, "GuestFound", COND_FALSE, "Probing");
    sim_run(w->sim);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "GuestFound", COND_FALSE, "NoListener");
    expect_reason(w, "LinkUp", COND_FALSE, "NoGuest");
    expect_reason(w, "AgentHealthy", COND_UNKNOWN, "NoAgent");
    assert_true(world_view(w).last_error[0] != '\0');
}

static void error_shown_is_the_telling_one_and_stays(void **state)
{
    struct world *w = *state;
    char before[sizeof world_view(w).last_error];

    sim_run(w->sim);
    memcpy(before, world_view(w).last_error, sizeof before);
    assert_non_null(strstr(before, "generation A, port 6669"));
    sim_advance_ms(w->sim, 5000);
    assert_string_equal(world_view(w).last_error, before);
    guest_listens(w, &B);
    sim_advance_ms(w->sim, 1000);
    sim_peer_send_text(world_accepted(w, B.handshake), "x");
    sim_run(w->sim);
    assert_string_equal(world_view(w).last_error,
                        "generation B, port 6670: wrong signature at byte 1 of 69");
    sim_advance_ms(w->sim, 4000); /* A finds nobody in the meantime */
    assert_non_null(strstr(world_view(w).last_error, "wrong signature"));
    guest_links(w, &A);
    assert_string_equal(world_view(w).last_error, "");
}

/* Rancher's two handshakes and the agent's two units. The agent's are asked four times as often for
 * the first two seconds. */
static void first_probes_go_out_at_once_and_then_every_second(void **state)
{
    struct world *w = *state;

    sim_run(w->sim);
    assert_int_equal(sim_dial_count(w->sim), 4);
    sim_advance_ms(w->sim, 249);
    assert_int_equal(sim_dial_count(w->sim), 4);
    sim_advance_ms(w->sim, 1);
    assert_int_equal(sim_dial_count(w->sim), 6);
    sim_advance_ms(w->sim, 750);
    assert_int_equal(sim_dial_count(w->sim), 4 + 2 + 4 * 2);
    sim_advance_ms(w->sim, 1000);
    assert_int_equal(sim_dial_count(w->sim), 4 + 2 * (2 + 4 * 2));
    sim_advance_ms(w->sim, 999);
    assert_int_equal(sim_dial_count(w->sim), 24);
    sim_advance_ms(w->sim, 1);
    assert_int_equal(sim_dial_count(w->sim), 28);
    assert_int_equal(world_view(w).probes, 28);
}

static void handshake_reaches_the_link(struct world *w, const struct guest_kind *k)
{
    guest_listens(w, k);
    sim_run(w->sim);
    assert_false(world_is_listening(w, k->generation));
    guest_answers_probe(w, k);
    assert_true(world_is_listening(w, k->generation)); /* before READY */
    expect_state(w, SESSION_HANDSHAKE, k->generation);
    expect_reason(w, "LinkUp", COND_FALSE, "Handshaking");
    expect_reason(w, "GuestFound", COND_TRUE, "SignatureMatched");
    guest_takes_ready(w, k);
    expect_state(w, SESSION_WAIT_LINK, k->generation);
    expect_reason(w, "LinkUp", COND_FALSE, "WaitingForLink");
    guest_dials_data(w, k);
    expect_state(w, SESSION_LINKED, k->generation);
    expect_reason(w, "LinkUp", COND_TRUE, "Linked");
    assert_int_equal(world_view(w).handshakes, 1);
    assert_int_equal(world_view(w).links, 1);
    assert_int_equal(world_view(w).matches, 1);
}

static void generation_a_comes_up(void **state)
{
    struct world *w = *state;

    handshake_reaches_the_link(w, &A);
    assert_int_equal(w->wanted_port[GUEST_A], 6656);
}

static void generation_b_comes_up(void **state)
{
    struct world *w = *state;

    handshake_reaches_the_link(w, &B);
    assert_int_equal(w->wanted_port[GUEST_B], 6657);
}

static void both_generations_in_one_machine_have_a_link_each(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    guest_links(w, &B);
    assert_int_equal(world_view(w).links, 2);
    guest_session_on_link_end(w->s, GUEST_A, ST_EOF);
    assert_int_equal(world_view(w).lanes[GUEST_A], SESSION_PROBING);
    assert_int_equal(world_view(w).lanes[GUEST_B], SESSION_LINKED);
    expect_reason(w, "LinkUp", COND_TRUE, "Linked");
}

static void wrong_phrase(struct world *w, const struct guest_kind *port, const char *phrase)
{
    struct sim_peer *p;

    guest_listens(w, port);
    sim_run(w->sim);
    p = world_accepted(w, port->handshake);
    sim_peer_send_text(p, phrase);
    sim_run(w->sim);
    assert_true(sim_peer_is_closed(p));
    assert_false(world_is_listening(w, port->generation));
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "GuestFound", COND_FALSE, "WrongPhrase");
    assert_int_equal(world_view(w).mismatches, 1);
}

static void phrase_of_a_on_the_port_of_b_is_refused(void **state)
{
    wrong_phrase(*state, &B, SIGNATURE_A.text);
}

static void phrase_of_b_on_the_port_of_a_is_refused(void **state)
{
    wrong_phrase(*state, &A, SIGNATURE_B.text);
}

/* Something that is no guest may be replaced by one: probing goes on, five times slower. */
static void wrong_phrase_is_probed_again_later(void **state)
{
    struct world *w = *state;

    wrong_phrase(w, &A, "github.com/somebody/else");
    sim_advance_ms(w->sim, 4999);
    assert_null(world_accepted(w, 6669));
    sim_advance_ms(w->sim, 1);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

static void phrase_in_one_byte_pieces_is_taken(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    guest_listens(w, &B);
    sim_run(w->sim);
    p = world_accepted(w, B.handshake);
    for (size_t i = 0; i < B.signature->len_bytes; i++) {
        sim_peer_send(p, B.signature->text + i, 1);
        sim_advance_ms(w->sim, 10);
    }
    expect_state(w, SESSION_HANDSHAKE, GUEST_B);
}

static void silent_peer_costs_its_time_and_is_probed_again(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    guest_listens(w, &A);
    sim_run(w->sim);
    p = world_accepted(w, A.handshake);
    sim_advance_ms(w->sim, 5000);
    assert_true(sim_peer_is_closed(p));
    expect_reason(w, "GuestFound", COND_FALSE, "PeerSilent");
    assert_int_equal(world_view(w).timeouts, 1);
    sim_advance_ms(w->sim, 1000);
    guest_answers_probe(w, &A);
    expect_state(w, SESSION_HANDSHAKE, GUEST_A);
}

static void silent_peer_on_one_port_does_not_delay_the_other(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    guest_listens(w, &B);
    sim_run(w->sim);
    assert_non_null(world_accepted(w, A.handshake)); /* and never a word */
    guest_answers_probe(w, &B);
    guest_takes_ready(w, &B);
    guest_dials_data(w, &B);
    expect_state(w, SESSION_LINKED, GUEST_B);
    assert_int_equal(sim_now_ms(w->sim), 1000); /* no time has passed since the start */
}

static void peer_that_hangs_up_is_named(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    sim_peer_end(world_accepted(w, A.handshake));
    sim_run(w->sim);
    expect_reason(w, "GuestFound", COND_FALSE, "PeerClosed");
}

static void dial_that_hangs_is_bounded_and_tried_again(void **state)
{
    struct world *w = *state;

    world_set_port(w, 6669, ST_OK, SIM_NEVER);
    sim_run(w->sim);
    sim_advance_ms(w->sim, 2000);
    assert_int_equal(world_view(w).timeouts, 1);
    guest_listens(w, &A);
    sim_advance_ms(w->sim, 1000);
    guest_answers_probe(w, &A);
    expect_state(w, SESSION_HANDSHAKE, GUEST_A);
}

/* ---- the host switch ---------------------------------------------------------------------- */

static void ready_waits_for_the_switch(void **state)
{
    struct world *w = *state;

    w->switch_says = ST_QUEUED;
    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    expect_state(w, SESSION_HANDSHAKE, GUEST_A);
    expect_reason(w, "LinkUp", COND_FALSE, "SwitchStarting");
    assert_null(world_accepted(w, A.handshake));
    sim_advance_ms(w->sim, 200);
    world_switch_says(w, GUEST_A, ST_OK, "");
    expect_reason(w, "LinkUp", COND_FALSE, "Handshaking");
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

static void switch_that_never_says_a_word_is_not_waited_for_for_ever(void **state)
{
    struct world *w = *state;

    w->switch_says = ST_QUEUED;
    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    sim_advance_ms(w->sim, 1000);
    assert_non_null(world_accepted(w, A.handshake)); /* probing goes on, and hears nothing */
    sim_advance_ms(w->sim, 9000);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "LinkUp", COND_FALSE, "ListenFailed");
    assert_true(w->wanted[GUEST_A]);
    sim_advance_ms(w->sim, 10000); /* nor does the guest answer any more */
    assert_false(w->wanted[GUEST_A]);
}

static void taken_data_port_is_named_and_ready_not_sent(void **state)
{
    struct world *w = *state;

    w->switch_says = ST_EXISTS;
    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "GuestFound", COND_TRUE, "SignatureMatched");
    expect_reason(w, "LinkUp", COND_FALSE, "DataPortTaken");
    assert_null(world_accepted(w, A.handshake));
    sim_advance_ms(w->sim, 4999); /* nothing to hurry for */
    assert_null(world_accepted(w, A.handshake));
    world_switch_says(w, GUEST_A, ST_OK, ""); /* but now there is */
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

static void switch_that_cannot_listen_is_named(void **state)
{
    struct world *w = *state;

    w->switch_says = ST_CLOSED;
    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    expect_reason(w, "LinkUp", COND_FALSE, "ListenFailed");
}

static void host_without_a_switch_says_so_and_sends_no_ready(void **state)
{
    struct world *w = *state;

    w->switch_says = ST_UNSUPPORTED;
    guest_listens(w, &B);
    sim_run(w->sim);
    guest_answers_probe(w, &B);
    expect_reason(w, "LinkUp", COND_UNKNOWN, "NetworkDisabled");
    assert_null(world_accepted(w, B.handshake));
}

static void switch_that_dies_under_ready_cuts_it_off(void **state)
{
    struct world *w = *state;
    struct sim_peer *ready;

    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    ready = world_accepted(w, A.handshake);
    assert_non_null(ready);
    world_switch_says(w, GUEST_A, ST_CLOSED, "it was killed");
    assert_true(sim_peer_is_closed(ready));
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "LinkUp", COND_FALSE, "ListenFailed");
    world_switch_says(w, GUEST_A, ST_OK, "");
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
}

static void switch_that_dies_while_the_guest_dials_is_a_fresh_start(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    world_switch_says(w, GUEST_A, ST_CLOSED, "it was killed");
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    guest_listens(w, &A); /* it found nobody, and starts again */
    world_switch_says(w, GUEST_A, ST_OK, "");
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

/* What the network service tells when a worker is killed: the link, then the listener. */
static void switch_that_dies_under_a_link_is_followed_by_a_new_one(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    sim_advance_ms(w->sim, 5000);
    guest_session_on_link_end(w->s, GUEST_A, ST_CLOSED);
    world_switch_says(w, GUEST_A, ST_CLOSED, "it was killed");
    expect_reason(w, "LinkUp", COND_FALSE, "LinkLost");
    world_switch_says(w, GUEST_A, ST_OK, "");
    guest_links(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

static void answer_to_a_question_that_was_taken_back_is_nothing(void **state)
{
    struct world *w = *state;

    guest_session_link_ready(w->s, GUEST_A, ST_OK, "");
    guest_session_link_ready(w->s, GUEST_V2, ST_EXISTS, "x");
    sim_run(w->sim);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "LinkUp", COND_FALSE, "NoGuest");
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nobody_there_is_said_with_a_reason),
        T(error_shown_is_the_telling_one_and_stays),
        T(first_probes_go_out_at_once_and_then_every_second),
        T(generation_a_comes_up),
        T(generation_b_comes_up),
        T(both_generations_in_one_machine_have_a_link_each),
        T(phrase_of_a_on_the_port_of_b_is_refused),
        T(phrase_of_b_on_the_port_of_a_is_refused),
        T(wrong_phrase_is_probed_again_later),
        T(phrase_in_one_byte_pieces_is_taken),
        T(silent_peer_costs_its_time_and_is_probed_again),
        T(silent_peer_on_one_port_does_not_delay_the_other),
        T(peer_that_hangs_up_is_named),
        T(dial_that_hangs_is_bounded_and_tried_again),
        T(taken_data_port_is_named_and_ready_not_sent),
        T(ready_waits_for_the_switch),
        T(switch_that_never_says_a_word_is_not_waited_for_for_ever),
        T(switch_that_cannot_listen_is_named),
        T(host_without_a_switch_says_so_and_sends_no_ready),
        T(switch_that_dies_under_ready_cuts_it_off),
        T(switch_that_dies_while_the_guest_dials_is_a_fresh_start),
        T(switch_that_dies_under_a_link_is_followed_by_a_new_one),
        T(answer_to_a_question_that_was_taken_back_is_nothing),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
