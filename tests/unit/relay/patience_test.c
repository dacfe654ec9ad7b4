/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "http/http_message.h"
#include "port/sim/stream_sim.h"
#include "relay/patience.h"
#include "relay/relay.h"

#include <stdlib.h>
#include <string.h>

enum { TIME_MS = 600 };

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool fail_next_realloc;

void *__wrap_realloc(void *p, size_t size)
{
    if (fail_next_realloc) {
        fail_next_realloc = false;
        return NULL;
    }
    return __real_realloc(p, size);
}

struct fixture {
    struct sim *sim;
    struct sim_peer *client, *engine;
    struct relay relay;
    struct patience *patience;
    unsigned over, silent, done;
};

static void on_done(void *ctx, enum status why, enum relay_side where)
{
    ((struct fixture *)ctx)->done++;
}

static void on_over(void *ctx, bool is_silent)
{
    struct fixture *f = ctx;

    f->over++;
    f->silent += is_silent;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct stream *a, *b;

    f->sim = sim_new();
    f->client = sim_stream(f->sim, &a);
    f->engine = sim_stream(f->sim, &b);
    relay_start(&f->relay, a, b, on_done, f);
    assert_int_equal(patience_new(&f->patience, sim_loop(f->sim), &f->relay, TIME_MS, on_over, f),
                     ST_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    patience_free(f->patience);
    if (!f->done)
        relay_abort(&f->relay);
    sim_free(f->sim);
    free(f);
    return 0;
}

/* What is read from the client's stream once it was taken back. */
struct reader {
    size_t len;
    char last;
    unsigned eofs;
};

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct reader *r = ctx;

    r->len += len_bytes;
    r->last = (char)data[len_bytes - 1];
}

static void on_eof(void *ctx)
{
    ((struct reader *)ctx)->eofs++;
}

static const struct stream_handler reader_handler = { .on_data = on_data, .on_eof = on_eof };

static struct reader read_again(struct fixture *f)
{
    struct stream *s = patience_take_client(f->patience);
    struct reader r = { 0 };

    assert_non_null(s);
    assert_true(sim_peer_is_closed(f->engine));
    stream_set_handler(s, &reader_handler, &r);
    stream_read_start(s);
    sim_run(f->sim);
    stream_close(s);
    return r;
}

static void the_time_begins_with_the_first_byte(void **state)
{
    struct fixture *f = *state;

    sim_advance_ms(f->sim, 100 * TIME_MS);
    assert_int_equal(f->over, 0);
    sim_peer_send_text(f->client, "G");
    sim_advance_ms(f->sim, TIME_MS - 1);
    sim_peer_send_text(f->client, "ET");
    sim_advance_ms(f->sim, 0);
    assert_int_equal(f->over, 0);
    sim_advance_ms(f->sim, 1);
    assert_int_equal(f->silent, 1);
    assert_string_equal(sim_peer_text(f->engine), "GET");
    sim_advance_ms(f->sim, 100 * TIME_MS);
    assert_int_equal(f->over, 1);
}

static void what_was_said_is_read_again_and_its_end_too(void **state)
{
    struct fixture *f = *state;
    struct reader r;

    sim_peer_set_piece(f->client, 1);
    sim_peer_send_text(f->client, "GET / HTTP/1.1");
    sim_peer_end(f->client);
    sim_advance_ms(f->sim, TIME_MS);
    assert_int_equal(f->silent, 1);
    r = read_again(f);
    assert_int_equal(r.len, strlen("GET / HTTP/1.1"));
    assert_int_equal(r.last, '1');
    assert_int_equal(r.eofs, 1);
    assert_int_equal(f->done, 0);
}

static void an_upload_is_kept_no_further_than_a_head_may_be_long(void **state)
{
    struct fixture *f = *state;
    char *upload = malloc(3 * HTTP_HEAD_MAX);
    struct reader r;

    memset(upload, 'a', 3 * HTTP_HEAD_MAX);
    sim_peer_set_piece(f->client, 1000);
    sim_peer_send(f->client, upload, 3 * HTTP_HEAD_MAX);
    sim_advance_ms(f->sim, TIME_MS);
    r = read_again(f);
    assert_int_equal(r.len, HTTP_HEAD_MAX);
    free(upload);
}

static void what_the_engine_did_not_take_yet_is_still_to_be_read(void **state)
{
    struct fixture *f = *state;
    struct reader r;

    sim_peer_set_room(f->engine, 0);
    sim_peer_send_text(f->client, "POST");
    sim_run(f->sim);
    sim_peer_send_text(f->client, "body");
    sim_advance_ms(f->sim, TIME_MS);
    assert_int_equal(sim_peer_undelivered(f->client), 4);
    r = read_again(f);
    assert_int_equal(r.len, 8);
    assert_int_equal(r.last, 'y');
}

static void who_says_anything_in_time_is_not_silent(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->client, "GET");
    sim_advance_ms(f->sim, TIME_MS - 1);
    sim_peer_send_text(f->engine, "H");
    sim_advance_ms(f->sim, 1);
    assert_int_equal(f->over, 1);
    assert_int_equal(f->silent, 0);
    sim_peer_send_text(f->engine, "TTP");
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(f->client), "HTTP");
}

static void who_ended_without_a_word_is_not_silent(void **state)
{
    struct fixture *f = *state;

    sim_peer_end(f->engine);
    sim_peer_send_text(f->client, "GET");
    sim_advance_ms(f->sim, TIME_MS);
    assert_int_equal(f->over, 1);
    assert_int_equal(f->silent, 0);
}

static void a_client_that_is_dead_cannot_be_had_back(void **state)
{
    struct fixture *f = *state;

    sim_peer_set_room(f->engine, 0);
    sim_peer_send_text(f->client, "GET");
    sim_run(f->sim);
    sim_peer_reset(f->client, ST_RESET); /* what it had said still waits for the engine */
    stream_read_start(f->relay.half[RELAY_A].stream);
    sim_run(f->sim);
    assert_null(f->relay.half[RELAY_A].stream);
    sim_advance_ms(f->sim, TIME_MS);
    assert_int_equal(f->over, 1);
    assert_int_equal(f->silent, 0);
}

static void without_memory_for_the_request_the_client_waits(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->client, "GET");
    fail_next_realloc = true;
    sim_run(f->sim);
    assert_false(fail_next_realloc);
    sim_peer_send_text(f->client, " / HTTP/1.1");
    sim_advance_ms(f->sim, TIME_MS);
    assert_int_equal(f->over, 1);
    assert_int_equal(f->silent, 0);
    assert_string_equal(sim_peer_text(f->engine), "GET / HTTP/1.1");
}

static void without_memory_to_put_it_back_both_are_closed(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->client, "GET");
    sim_advance_ms(f->sim, TIME_MS);
    sim_peer_next_unread_fails(f->client, ST_NOMEM);
    assert_null(patience_take_client(f->patience));
    assert_true(sim_peer_is_closed(f->client) && sim_peer_is_closed(f->engine));
}

static void given_up_early_it_leaves_the_relay_alone(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->client, "GET");
    sim_run(f->sim);
    patience_free(f->patience);
    f->patience = NULL;
    sim_peer_send_text(f->client, " /");
    sim_advance_ms(f->sim, TIME_MS);
    assert_int_equal(f->over, 0);
    assert_string_equal(sim_peer_text(f->engine), "GET /");
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(the_time_begins_with_the_first_byte),
        WITH_FIXTURE(what_was_said_is_read_again_and_its_end_too),
        WITH_FIXTURE(an_upload_is_kept_no_further_than_a_head_may_be_long),
        WITH_FIXTURE(what_the_engine_did_not_take_yet_is_still_to_be_read),
        WITH_FIXTURE(who_says_anything_in_time_is_not_silent),
        WITH_FIXTURE(who_ended_without_a_word_is_not_silent),
        WITH_FIXTURE(a_client_that_is_dead_cannot_be_had_back),
        WITH_FIXTURE(without_memory_for_the_request_the_client_waits),
        WITH_FIXTURE(without_memory_to_put_it_back_both_are_closed),
        WITH_FIXTURE(given_up_early_it_leaves_the_relay_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
