/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "http/refusal.h"
#include "port/sim/stream_sim.h"

#include <stdlib.h>
#include <string.h>

static const char want_head[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                "Content-Type: application/json\r\n"
                                "Content-Length: 29\r\n"
                                "Connection: close\r\n\r\n";
static const char want_body[] = "{\"message\":\"no \\\"VM\\\" is up\"}";

struct fixture {
    struct sim *sim;
    struct sim_peer *client;
    struct refusal *refusal;
    unsigned done;
};

static void on_done(void *ctx)
{
    struct fixture *f = ctx;

    f->done++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct stream *s;

    f->sim = sim_new();
    f->client = sim_stream(f->sim, &s);
    assert_int_equal(refusal_start(&f->refusal, sim_loop(f->sim), s, "no \"VM\" is up", on_done, f),
                     ST_OK);
    assert_int_equal(f->done, 0);
    *state = f;
    return 0;
}

/* Every test ends with the refusal over, by itself or by abort, and never told twice. */
static int teardown(void **state)
{
    struct fixture *f = *state;

    if (!f->done)
        refusal_abort(f->refusal);
    assert_true(f->done <= 1);
    assert_true(sim_peer_is_closed(f->client));
    sim_free(f->sim);
    free(f);
    return 0;
}

static void assert_full_answer(struct fixture *f)
{
    const char *text = sim_peer_text(f->client);

    assert_memory_equal(text, want_head, sizeof want_head - 1);
    assert_string_equal(text + sizeof want_head - 1, want_body);
}

static void a_get_is_answered_and_closed_after_the_client_ends(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->client, "GET /containers/json HTTP/1.1\r\nHost: x\r\n\r\n");
    sim_run(f->sim);
    assert_full_answer(f);
    assert_true(sim_peer_saw_end(f->client));
    assert_int_equal(f->done, 0);
    sim_peer_end(f->client);
    sim_run(f->sim);
    assert_int_equal(f->done, 1);
    assert_false(sim_peer_saw_reset(f->client));
}

static void head_gets_the_headers_and_no_body(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->client, "HEAD /_ping HTTP/1.1\r\nHost: x\r\n\r\n");
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(f->client), want_head);
    assert_true(sim_peer_saw_end(f->client));
}

static void nothing_is_said_before_the_head_is_complete(void **state)
{
    struct fixture *f = *state;

    sim_peer_set_piece(f->client, 1);
    sim_peer_send_text(f->client, "GET / HTTP/1.1\r\nHost: x\r\n\r");
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(f->client), "");
    sim_peer_send_text(f->client, "\n");
    sim_run(f->sim);
    assert_full_answer(f);
}

static void a_big_unread_body_does_not_turn_the_answer_into_a_reset(void **state)
{
    struct fixture *f = *state;
    char block[1000];

    memset(block, 'x', sizeof block);
    sim_peer_send_text(f->client, "POST /load HTTP/1.1\r\nContent-Length: 2900000\r\n\r\n");
    for (int i = 0; i < 3000; i++)
        sim_peer_send(f->client, block, sizeof block);
    sim_run(f->sim);
    assert_full_answer(f);
    assert_int_equal(sim_peer_undelivered(f->client), 0);
    assert_int_equal(f->done, 0);
    sim_peer_end(f->client);
    sim_run(f->sim);
    assert_int_equal(f->done, 1);
    assert_false(sim_peer_saw_reset(f->client));
}

static void a_client_that_never_ends_is_closed_after_the_linger_time(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->client, "GET / HTTP/1.1\r\n\r\n");
    sim_advance_ms(f->sim, 1999);
    assert_int_equal(f->done, 0);
    sim_advance_ms(f->sim, 1);
    assert_int_equal(f->done, 1);
}

static void a_client_that_takes_the_answer_late_gets_all_of_it(void **state)
{
    struct fixture *f = *state;

    sim_peer_set_room(f->client, 10);
    sim_peer_send_text(f->client, "GET / HTTP/1.1\r\n\r\n");
    sim_peer_end(f->client);
    sim_run(f->sim);
    assert_int_equal(f->done, 0);
    sim_peer_set_room(f->client, SIZE_MAX);
    sim_run(f->sim);
    assert_full_answer(f);
    assert_int_equal(f->done, 1);
    assert_true(sim_peer_saw_end(f->client));
}

static void a_client_that_takes_nothing_is_closed_in_time(void **state)
{
    struct fixture *f = *state;

    sim_peer_set_room(f->client, 0);
    sim_peer_send_text(f->client, "GET / HTTP/1.1\r\n\r\n");
    sim_peer_end(f->client);
    sim_advance_ms(f->sim, 2000);
    assert_int_equal(f->done, 1);
}

static void a_silent_client_is_closed_after_the_head_timeout(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->client, "GET / HT");
    sim_advance_ms(f->sim, 4999);
    assert_int_equal(f->done, 0);
    sim_advance_ms(f->sim, 1);
    assert_int_equal(f->done, 1);
    assert_string_equal(sim_peer_text(f->client), "");
}

static void what_is_not_http_is_closed_without_a_word(void **state)
{
    struct fixture *f = *state;

    sim_peer_send(f->client, "\x16\x03\x01\x02\x00", 5);
    sim_run(f->sim);
    assert_int_equal(f->done, 1);
    assert_string_equal(sim_peer_text(f->client), "");
}

static void an_end_before_the_head_is_complete_is_closed_without_a_word(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->client, "GET / HTTP/1.1\r\n");
    sim_peer_end(f->client);
    sim_run(f->sim);
    assert_int_equal(f->done, 1);
    assert_string_equal(sim_peer_text(f->client), "");
}

static void a_head_too_large_is_closed_without_a_word(void **state)
{
    struct fixture *f = *state;
    char block[1001];

    memset(block, 'x', sizeof block);
    block[1000] = '\0';
    sim_peer_send_text(f->client, "GET /");
    for (int i = 0; i < 17; i++)
        sim_peer_send_text(f->client, block);
    sim_run(f->sim);
    assert_int_equal(f->done, 1);
    assert_string_equal(sim_peer_text(f->client), "");
}

static void a_reset_at_any_point_ends_it(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";
    struct fixture *f = *state;

    for (size_t sent = 0; sent < sizeof request; sent++) {
        struct fixture one = { .sim = f->sim };
        struct stream *s;

        one.client = sim_stream(one.sim, &s);
        assert_int_equal(refusal_start(&one.refusal, sim_loop(one.sim), s, "x", on_done, &one),
                         ST_OK);
        sim_peer_send(one.client, request, sent);
        sim_run(one.sim);
        sim_peer_reset(one.client, ST_RESET);
        sim_run(one.sim);
        assert_int_equal(one.done, 1);
        assert_true(sim_peer_is_closed(one.client));
    }
}

static void an_answer_that_cannot_be_written_closes(void **state)
{
    struct fixture *f = *state;

    sim_peer_next_write_fails(f->client, ST_NOMEM);
    sim_peer_send_text(f->client, "GET / HTTP/1.1\r\n\r\n");
    sim_run(f->sim);
    assert_int_equal(f->done, 1);
}

static void an_aborted_refusal_says_nothing(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->client, "GET / HTTP/1.1\r\n\r\n");
    sim_run(f->sim);
    refusal_abort(f->refusal);
    refusal_abort(NULL);
    sim_advance_ms(f->sim, 10000);
    assert_int_equal(f->done, 0);
    f->done = 1; /* teardown must not abort again */
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(a_get_is_answered_and_closed_after_the_client_ends),
        WITH_FIXTURE(head_gets_the_headers_and_no_body),
        WITH_FIXTURE(nothing_is_said_before_the_head_is_complete),
        WITH_FIXTURE(a_big_unread_body_does_not_turn_the_answer_into_a_reset),
        WITH_FIXTURE(a_client_that_never_ends_is_closed_after_the_linger_time),
        WITH_FIXTURE(a_client_that_takes_the_answer_late_gets_all_of_it),
        WITH_FIXTURE(a_client_that_takes_nothing_is_closed_in_time),
        WITH_FIXTURE(a_silent_client_is_closed_after_the_head_timeout),
        WITH_FIXTURE(what_is_not_http_is_closed_without_a_word),
        WITH_FIXTURE(an_end_before_the_head_is_complete_is_closed_without_a_word),
        WITH_FIXTURE(a_head_too_large_is_closed_without_a_word),
        WITH_FIXTURE(a_reset_at_any_point_ends_it),
        WITH_FIXTURE(an_answer_that_cannot_be_written_closes),
        WITH_FIXTURE(an_aborted_refusal_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
