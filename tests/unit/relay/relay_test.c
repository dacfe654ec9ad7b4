/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "port/sim/stream_sim.h"
#include "relay/relay.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
    struct sim *sim;
    struct sim_peer *a, *b;
    struct stream *sa, *sb;
    struct relay *relay; /* freed by on_done(), as an owner may */
    unsigned done;
    enum status why;
    enum relay_side where;
    uint64_t bytes_a, bytes_b;
};

static void on_done(void *ctx, enum status why, enum relay_side where)
{
    struct fixture *f = ctx;

    f->done++;
    f->why = why;
    f->where = where;
    f->bytes_a = f->relay->half[RELAY_A].bytes;
    f->bytes_b = f->relay->half[RELAY_B].bytes;
    free(f->relay);
    f->relay = NULL;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->sim = sim_new();
    f->a = sim_stream(f->sim, &f->sa);
    f->b = sim_stream(f->sim, &f->sb);
    f->relay = calloc(1, sizeof *f->relay);
    relay_start(f->relay, f->sa, f->sb, on_done, f);
    assert_int_equal(f->done, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_true(f->done <= 1);
    if (f->relay)
        relay_abort(f->relay);
    free(f->relay);
    assert_true(sim_peer_is_closed(f->a) && sim_peer_is_closed(f->b));
    sim_free(f->sim);
    free(f);
    return 0;
}

static void bytes_cross_both_ways(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->a, "ping");
    sim_peer_send_text(f->b, "pong!");
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(f->b), "ping");
    assert_string_equal(sim_peer_text(f->a), "pong!");
    assert_int_equal(f->done, 0);
}

static void an_end_ends_only_its_own_direction_whichever_side_is_first(void **state)
{
    for (int a_first = 0; a_first < 2; a_first++) {
        struct fixture *f;
        struct sim_peer *first, *second;

        setup((void **)&f);
        first = a_first ? f->a : f->b;
        second = a_first ? f->b : f->a;
        sim_peer_send_text(first, "stdin");
        sim_peer_end(first);
        sim_run(f->sim);
        assert_string_equal(sim_peer_text(second), "stdin");
        assert_true(sim_peer_saw_end(second));
        assert_false(sim_peer_saw_end(first));
        assert_int_equal(f->done, 0);
        sim_peer_send_text(second, "much later: stdout");
        sim_run(f->sim);
        assert_string_equal(sim_peer_text(first), "much later: stdout");
        sim_peer_end(second);
        sim_run(f->sim);
        assert_true(sim_peer_saw_end(first));
        assert_int_equal(f->done, 1);
        assert_int_equal(f->why, ST_OK);
        assert_int_equal(f->bytes_a, a_first ? 5 : 18);
        assert_int_equal(f->bytes_b, a_first ? 18 : 5);
        teardown((void **)&f);
    }
}

static void a_receiver_that_stalls_stops_the_sender_and_then_gets_the_rest(void **state)
{
    struct fixture *f = *state;

    sim_peer_set_room(f->b, 3);
    sim_peer_set_piece(f->a, 4);
    sim_peer_send_text(f->a, "abcdefghijkl");
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(f->b), "abc");
    assert_false(sim_peer_is_read(f->a));
    assert_int_equal(sim_peer_undelivered(f->a), 8);
    assert_int_equal(stream_queued_bytes(f->sb), 1);
    sim_peer_send_text(f->b, "the other way still works");
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(f->a), "the other way still works");
    sim_peer_set_room(f->b, SIZE_MAX);
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(f->b), "abcdefghijkl");
    assert_true(sim_peer_is_read(f->a));
}

static void the_end_waits_for_what_is_queued_before_it(void **state)
{
    struct fixture *f = *state;

    sim_peer_set_room(f->b, 2);
    sim_peer_send_text(f->a, "abcd");
    sim_peer_end(f->a);
    sim_peer_end(f->b);
    sim_run(f->sim);
    assert_int_equal(f->done, 0);
    assert_false(sim_peer_saw_end(f->b));
    sim_peer_set_room(f->b, SIZE_MAX);
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(f->b), "abcd");
    assert_true(sim_peer_saw_end(f->b));
    assert_int_equal(f->done, 1);
    assert_int_equal(f->why, ST_OK);
}

/* Where in its life a relay is when something breaks. */
enum point { IDLE, AFTER_DATA, WHILE_STALLED, AFTER_END_OF_A, AFTER_END_OF_B, POINTS };

static void bring_to(struct fixture *f, enum point point)
{
    switch (point) {
    case AFTER_DATA:
        sim_peer_send_text(f->a, "abc");
        sim_peer_send_text(f->b, "def");
        break;
    case WHILE_STALLED:
        sim_peer_set_room(f->b, 0);
        sim_peer_send_text(f->a, "abc");
        break;
    case AFTER_END_OF_A: sim_peer_end(f->a); break;
    case AFTER_END_OF_B: sim_peer_end(f->b); break;
    default: break;
    }
    sim_run(f->sim);
}

static void an_error_of_either_side_at_any_point_ends_both_once(void **state)
{
    for (int point = 0; point < POINTS; point++) {
        for (int side = 0; side < 2; side++) {
            struct fixture *f;

            setup((void **)&f);
            bring_to(f, (enum point)point);
            sim_peer_reset(side ? f->b : f->a, ST_RESET);
            sim_run(f->sim);
            sim_peer_set_room(f->b, SIZE_MAX);
            sim_run(f->sim);
            if (f->done != 1 || f->why != ST_RESET)
                fail_msg("point %d, side %d: done %u, %s", point, side, f->done,
                         status_name(f->why));
            assert_int_equal(f->where, side ? RELAY_B : RELAY_A);
            teardown((void **)&f);
        }
    }
}

static void a_write_without_memory_ends_both(void **state)
{
    struct fixture *f = *state;

    sim_peer_next_write_fails(f->b, ST_NOMEM);
    sim_peer_send_text(f->a, "abc");
    sim_run(f->sim);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->why, ST_NOMEM);
    assert_int_equal(f->where, RELAY_B);
}

static void an_early_answer_reaches_the_client_although_its_upload_is_cut(void **state)
{
    struct fixture *f = *state;

    sim_peer_break_writes(f->b, ST_RESET);
    sim_peer_send_text(f->a, "a large body");
    sim_peer_send_text(f->b, "400 no");
    sim_peer_end(f->b);
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(f->a), "400 no");
    assert_int_equal(f->done, 1);
    assert_int_equal(f->why, ST_RESET);
    assert_int_equal(f->where, RELAY_B);
}

static void last_words_queued_for_a_slow_client_still_get_out(void **state)
{
    struct fixture *f = *state;

    sim_peer_set_room(f->a, 2);
    sim_peer_send_text(f->b, "400 no");
    sim_run(f->sim);
    sim_peer_reset(f->b, ST_RESET);
    sim_peer_send_text(f->a, "more body");
    sim_run(f->sim);
    assert_true(sim_peer_is_closed(f->b));
    assert_int_equal(f->done, 0);
    sim_peer_set_room(f->a, SIZE_MAX);
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(f->a), "400 no");
    assert_int_equal(f->done, 1);
    assert_int_equal(f->where, RELAY_B);
}

static void a_client_that_dies_while_last_words_drain_ends_it(void **state)
{
    struct fixture *f = *state;

    sim_peer_set_room(f->a, 2);
    sim_peer_send_text(f->b, "400 no");
    sim_run(f->sim);
    sim_peer_reset(f->b, ST_RESET);
    sim_peer_send_text(f->a, "x");
    sim_run(f->sim);
    sim_peer_reset(f->a, ST_IO);
    sim_run(f->sim);
    assert_int_equal(f->done, 1);
}

static void an_end_cannot_be_passed_to_a_dead_side(void **state)
{
    struct fixture *f = *state;

    sim_peer_break_writes(f->b, ST_RESET);
    sim_peer_end(f->a);
    sim_run(f->sim);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->why, ST_RESET);
}

static void abort_closes_both_and_is_silent(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->a, "abc");
    relay_abort(f->relay);
    sim_run(f->sim);
    assert_true(sim_peer_is_closed(f->a) && sim_peer_is_closed(f->b));
    assert_int_equal(f->done, 0);
}

static void bytes_put_back_before_the_relay_cross_first(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->sim = sim_new();
    f->a = sim_stream(f->sim, &f->sa);
    f->b = sim_stream(f->sim, &f->sb);
    f->relay = calloc(1, sizeof *f->relay);
    assert_int_equal(stream_unread(f->sa, "first ", 6), ST_OK);
    sim_peer_set_piece(f->a, 1);
    relay_start(f->relay, f->sa, f->sb, on_done, f);
    sim_peer_send_text(f->a, "second");
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(f->b), "first second");
    teardown((void **)&f);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(bytes_cross_both_ways),
        cmocka_unit_test(an_end_ends_only_its_own_direction_whichever_side_is_first),
        WITH_FIXTURE(a_receiver_that_stalls_stops_the_sender_and_then_gets_the_rest),
        WITH_FIXTURE(the_end_waits_for_what_is_queued_before_it),
        cmocka_unit_test(an_error_of_either_side_at_any_point_ends_both_once),
        WITH_FIXTURE(a_write_without_memory_ends_both),
        WITH_FIXTURE(an_early_answer_reaches_the_client_although_its_upload_is_cut),
        WITH_FIXTURE(last_words_queued_for_a_slow_client_still_get_out),
        WITH_FIXTURE(a_client_that_dies_while_last_words_drain_ends_it),
        WITH_FIXTURE(an_end_cannot_be_passed_to_a_dead_side),
        WITH_FIXTURE(abort_closes_both_and_is_silent),
        cmocka_unit_test(bytes_put_back_before_the_relay_cross_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
