/* SPDX-License-Identifier: Apache-2.0
 * The simulator keeps the contracts of loop.h, stream.h and listener.h: otherwise every test that
 * stands on it proves nothing.
 */
#include "support/cmocka_all.h"

#include "port/addr.h"
#include "port/sim/stream_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes down what reached the code under test: "d3 e r d1" = data, end, drained, error. */
struct witness {
    char events[256];
    char data[256];
    size_t data_len;
    enum status error;
    struct stream *stream;
    bool close_on_data;
};

static void note(struct witness *w, const char *what)
{
    size_t len = strlen(w->events);

    snprintf(w->events + len, sizeof w->events - len, "%s%s", len ? " " : "", what);
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct witness *w = ctx;
    char text[24];

    snprintf(text, sizeof text, "d%u", (unsigned)len_bytes);
    note(w, text);
    assert_true(w->data_len + len_bytes < sizeof w->data);
    memcpy(w->data + w->data_len, data, len_bytes);
    w->data_len += len_bytes;
    if (w->close_on_data)
        stream_close(w->stream);
}

static void on_eof(void *ctx)
{
    note(ctx, "end");
}

static void on_drained(void *ctx)
{
    note(ctx, "drained");
}

static void on_error(void *ctx, enum status why)
{
    struct witness *w = ctx;

    w->error = why;
    note(w, "error");
}

static const struct stream_handler handler = { on_data, on_eof, on_drained, on_error };

struct fixture {
    struct sim *sim;
    struct sim_peer *peer;
    struct witness w;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->sim = sim_new();
    f->peer = sim_stream(f->sim, &f->w.stream);
    stream_set_handler(f->w.stream, &handler, &f->w);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (!sim_peer_is_closed(f->peer))
        stream_close(f->w.stream);
    sim_free(f->sim);
    free(f);
    return 0;
}

static void data_comes_only_while_reading_and_before_the_end(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->peer, "abc");
    sim_peer_end(f->peer);
    sim_run(f->sim);
    assert_string_equal(f->w.events, "");
    stream_read_start(f->w.stream);
    assert_string_equal(f->w.events, "");
    sim_run(f->sim);
    assert_string_equal(f->w.events, "d3 end");
}

static void a_piece_size_of_one_delivers_byte_by_byte(void **state)
{
    struct fixture *f = *state;

    sim_peer_set_piece(f->peer, 1);
    sim_peer_send_text(f->peer, "abc");
    stream_read_start(f->w.stream);
    sim_run(f->sim);
    assert_string_equal(f->w.events, "d1 d1 d1");
    assert_memory_equal(f->w.data, "abc", 3);
}

static void reading_stopped_from_within_a_callback_stops_at_once(void **state)
{
    struct fixture *f = *state;

    sim_peer_set_piece(f->peer, 1);
    sim_peer_send_text(f->peer, "abc");
    stream_read_start(f->w.stream);
    assert_true(sim_step(f->sim));
    stream_read_stop(f->w.stream);
    sim_run(f->sim);
    assert_string_equal(f->w.events, "d1");
    assert_int_equal(sim_peer_undelivered(f->peer), 2);
}

static void unread_bytes_come_again_first(void **state)
{
    struct fixture *f = *state;

    stream_read_start(f->w.stream);
    sim_peer_send_text(f->peer, "abc");
    sim_run(f->sim);
    sim_peer_send_text(f->peer, "def");
    assert_int_equal(stream_unread(f->w.stream, "xy", 2), ST_OK);
    sim_run(f->sim);
    assert_memory_equal(f->w.data, "abcxydef", 8);
    sim_peer_next_unread_fails(f->peer, ST_NOMEM);
    assert_int_equal(stream_unread(f->w.stream, "xy", 2), ST_NOMEM);
}

static void an_end_comes_again_behind_unread_bytes(void **state)
{
    struct fixture *f = *state;

    stream_read_start(f->w.stream);
    sim_peer_send_text(f->peer, "abc");
    sim_peer_end(f->peer);
    sim_run(f->sim);
    assert_int_equal(stream_unread(f->w.stream, "ab", 2), ST_OK);
    sim_run(f->sim);
    assert_string_equal(f->w.events, "d3 end d2 end");
}

static void a_stalled_peer_makes_writes_queue_and_then_drain_once(void **state)
{
    struct fixture *f = *state;

    sim_peer_set_room(f->peer, 4);
    assert_int_equal(stream_write(f->w.stream, "abcdef", 6), ST_QUEUED);
    assert_int_equal(stream_queued_bytes(f->w.stream), 2);
    assert_string_equal(sim_peer_text(f->peer), "abcd");
    assert_int_equal(stream_write(f->w.stream, "gh", 2), ST_QUEUED);
    sim_peer_set_room(f->peer, 3);
    sim_run(f->sim);
    assert_string_equal(f->w.events, "");
    sim_peer_set_room(f->peer, SIZE_MAX);
    sim_run(f->sim);
    assert_string_equal(f->w.events, "drained");
    assert_string_equal(sim_peer_text(f->peer), "abcdefgh");
    assert_int_equal(stream_write(f->w.stream, "i", 1), ST_OK);
}

static void a_write_beyond_the_bound_is_refused_whole(void **state)
{
    struct fixture *f = *state;
    uint8_t *big = calloc(1, STREAM_MAX_QUEUED);

    sim_peer_set_room(f->peer, 0);
    assert_int_equal(stream_write(f->w.stream, big, STREAM_MAX_QUEUED), ST_QUEUED);
    assert_int_equal(stream_write(f->w.stream, big, 1), ST_FULL);
    assert_int_equal(stream_queued_bytes(f->w.stream), STREAM_MAX_QUEUED);
    free(big);
}

static void shutdown_waits_for_what_is_queued_and_refuses_later_writes(void **state)
{
    struct fixture *f = *state;

    sim_peer_set_room(f->peer, 0);
    assert_int_equal(stream_write(f->w.stream, "abc", 3), ST_QUEUED);
    assert_int_equal(stream_shutdown(f->w.stream), ST_OK);
    assert_int_equal(stream_shutdown(f->w.stream), ST_OK);
    assert_int_equal(stream_write(f->w.stream, "d", 1), ST_CLOSED);
    sim_run(f->sim);
    assert_false(sim_peer_saw_end(f->peer));
    sim_peer_set_room(f->peer, SIZE_MAX);
    sim_run(f->sim);
    assert_true(sim_peer_saw_end(f->peer));
    assert_string_equal(sim_peer_text(f->peer), "abc");
}

static void a_reset_is_noticed_when_something_is_under_way_and_told_once(void **state)
{
    struct fixture *f = *state;

    sim_peer_send_text(f->peer, "lost");
    sim_peer_reset(f->peer, ST_RESET);
    sim_run(f->sim);
    assert_string_equal(f->w.events, "");
    assert_int_equal(stream_write(f->w.stream, "a", 1), ST_RESET);
    assert_string_equal(f->w.events, "");
    sim_run(f->sim);
    assert_string_equal(f->w.events, "error");
    assert_int_equal(f->w.error, ST_RESET);
    stream_read_start(f->w.stream);
    sim_run(f->sim);
    assert_string_equal(f->w.events, "error");
}

static void a_failing_write_accepts_nothing_and_the_next_one_works(void **state)
{
    struct fixture *f = *state;

    sim_peer_next_write_fails(f->peer, ST_NOMEM);
    assert_int_equal(stream_write(f->w.stream, "a", 1), ST_NOMEM);
    assert_int_equal(stream_write(f->w.stream, "b", 1), ST_OK);
    assert_string_equal(sim_peer_text(f->peer), "b");
}

static void nothing_comes_after_a_close_from_within_on_data(void **state)
{
    struct fixture *f = *state;

    f->w.close_on_data = true;
    sim_peer_set_piece(f->peer, 1);
    sim_peer_send_text(f->peer, "abc");
    sim_peer_end(f->peer);
    stream_read_start(f->w.stream);
    sim_run(f->sim);
    assert_string_equal(f->w.events, "d1");
    assert_true(sim_peer_is_closed(f->peer));
    assert_true(sim_peer_saw_reset(f->peer));
}

static void a_pair_passes_bytes_and_ends_both_ways_through_its_window(void **state)
{
    struct fixture *f = *state;
    struct witness a = { .stream = NULL }, b = { .stream = NULL };

    sim_stream_pair(f->sim, &a.stream, &b.stream, 4);
    stream_set_handler(a.stream, &handler, &a);
    stream_set_handler(b.stream, &handler, &b);
    stream_read_start(a.stream);
    assert_int_equal(stream_write(a.stream, "abcdef", 6), ST_QUEUED);
    assert_int_equal(stream_shutdown(a.stream), ST_OK);
    sim_run(f->sim);
    assert_string_equal(a.events, "");
    stream_read_start(b.stream);
    sim_run(f->sim);
    assert_string_equal(b.events, "d4 d2 end");
    assert_string_equal(a.events, "drained");
    assert_int_equal(stream_write(b.stream, "z", 1), ST_OK);
    sim_run(f->sim);
    assert_string_equal(a.events, "drained d1");
    stream_close(b.stream);
    sim_run(f->sim);
    assert_string_equal(a.events, "drained d1 end");
    stream_close(a.stream);
}

static void closing_one_of_a_pair_with_unread_bytes_resets_the_other(void **state)
{
    struct fixture *f = *state;
    struct witness a = { .stream = NULL };
    struct stream *b;

    sim_stream_pair(f->sim, &a.stream, &b, 0);
    stream_set_handler(a.stream, &handler, &a);
    stream_read_start(a.stream);
    stream_write(a.stream, "abc", 3);
    stream_close(b);
    sim_run(f->sim);
    assert_string_equal(a.events, "error");
    stream_close(a.stream);
}

/* ---- clock, timers, order ---------------------------------------------------------------- */

struct alarm {
    struct timer timer;
    struct sim *sim;
    uint64_t fired_at;
    char *order;
    char name;
};

static void on_alarm(void *ctx)
{
    struct alarm *a = ctx;
    size_t len = strlen(a->order);

    a->fired_at = sim_now_ms(a->sim);
    a->order[len] = a->name;
    a->order[len + 1] = '\0';
}

static void timers_fire_at_their_moment_and_never_inside_timer_start(void **state)
{
    struct fixture *f = *state;
    uint64_t start = sim_now_ms(f->sim);
    char order[16] = "";
    struct alarm a = { .sim = f->sim, .order = order, .name = 'a' };
    struct alarm b = { .sim = f->sim, .order = order, .name = 'b' };

    timer_init(&a.timer, sim_loop(f->sim), on_alarm, &a);
    timer_init(&b.timer, sim_loop(f->sim), on_alarm, &b);
    timer_start(&a.timer, 20);
    timer_start(&b.timer, 0);
    assert_string_equal(order, "");
    sim_run(f->sim);
    assert_string_equal(order, "b");
    assert_int_equal(sim_next_due_ms(f->sim), start + 20);
    sim_advance_ms(f->sim, 100);
    assert_string_equal(order, "ba");
    assert_int_equal(a.fired_at, start + 20);
    assert_int_equal(sim_now_ms(f->sim), start + 100);
}

static void a_shuffle_changes_the_order_and_repeats_with_its_seed(void **state)
{
    char first[32] = "", orders[8][32];
    bool differs = false;

    for (unsigned seed = 1; seed <= 8; seed++) {
        for (int again = 0; again < 2; again++) {
            struct sim *sim = sim_new();
            struct witness w[3];
            char order[32] = "";

            memset(w, 0, sizeof w);
            sim_shuffle(sim, seed);
            for (int i = 0; i < 3; i++) {
                struct sim_peer *p = sim_stream(sim, &w[i].stream);

                stream_set_handler(w[i].stream, &handler, &w[i]);
                stream_read_start(w[i].stream);
                sim_peer_send_text(p, "a");
            }
            while (sim_step(sim)) {
                for (int i = 0; i < 3; i++) {
                    if (w[i].data_len == 1) {
                        size_t len = strlen(order);

                        order[len] = (char)('0' + i);
                        order[len + 1] = '\0';
                        w[i].data_len = 2;
                    }
                }
            }
            for (int i = 0; i < 3; i++)
                stream_close(w[i].stream);
            sim_free(sim);
            assert_int_equal(strlen(order), 3);
            if (again)
                assert_string_equal(order, orders[seed - 1]);
            else
                strcpy(orders[seed - 1], order);
        }
        if (seed == 1)
            strcpy(first, orders[0]);
        differs |= strcmp(first, orders[seed - 1]) != 0;
    }
    assert_true(differs);
}

/* ---- dials ------------------------------------------------------------------------------- */

struct dialling {
    unsigned calls;
    enum status st;
    struct stream *stream;
    char why[256];
};

static void on_dial_done(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct dialling *d = ctx;

    d->calls++;
    d->st = st;
    d->stream = s;
    snprintf(d->why, sizeof d->why, "%s", why->text);
}

static struct addr unix_addr(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse(&a, text, NULL), ST_OK);
    return a;
}

static void start_dial(struct fixture *f, struct dialling *d, const char *to, uint64_t timeout_ms,
                       struct dial **out)
{
    struct addr a = unix_addr(to);

    assert_int_equal(dial_start(sim_loop(f->sim), out, &a, timeout_ms, on_dial_done, d, NULL),
                     ST_OK);
    assert_int_equal(d->calls, 0);
}

static void dials_end_as_scripted(void **state)
{
    static const struct {
        const char *name;
        enum status scripted;
        uint64_t delay_ms, wait_ms;
        enum status want;
    } rows[] = {
        { "connected at once", ST_OK, 0, 0, ST_OK },
        { "connected later", ST_OK, 50, 50, ST_OK },
        { "refused", ST_REFUSED, 0, 0, ST_REFUSED },
        { "too slow", ST_OK, 101, 100, ST_TIMEOUT },
        { "never answered", ST_OK, SIM_NEVER, 100, ST_TIMEOUT },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fixture *f = *state;
        struct dialling d = { 0 };
        struct dial *dial;

        print_message("row: %s\n", rows[i].name);
        sim_next_dial(f->sim, rows[i].scripted, rows[i].delay_ms);
        start_dial(f, &d, "unix:/d.sock", 100, &dial);
        if (rows[i].wait_ms) {
            sim_advance_ms(f->sim, rows[i].wait_ms - 1);
            assert_int_equal(d.calls, 0);
            sim_advance_ms(f->sim, 1);
        }
        sim_run(f->sim);
        assert_int_equal(d.calls, 1);
        assert_int_equal(d.st, rows[i].want);
        assert_true((d.stream != NULL) == (rows[i].want == ST_OK));
        stream_close(d.stream);
    }
}

static void a_cancelled_dial_is_silent(void **state)
{
    struct fixture *f = *state;
    struct dialling d = { 0 };
    struct dial *dial;

    sim_next_dial(f->sim, ST_OK, 10);
    start_dial(f, &d, "unix:/d.sock", 100, &dial);
    assert_int_equal(sim_dials_pending(f->sim), 1);
    dial_cancel(sim_loop(f->sim), dial);
    assert_int_equal(sim_dials_pending(f->sim), 0);
    sim_advance_ms(f->sim, 1000);
    assert_int_equal(d.calls, 0);
}

static struct sim_dial_answer only_a(void *ctx, const struct addr *to)
{
    struct addr a = unix_addr("unix:/a");

    return addr_equal(to, &a) ? (struct sim_dial_answer){ ST_OK, 0 }
                              : (struct sim_dial_answer){ ST_NOTFOUND, 0 };
}

static void a_decider_answers_by_address(void **state)
{
    struct fixture *f = *state;
    struct dialling a = { 0 }, b = { 0 };
    struct addr to_a = unix_addr("unix:/a"), to_b = unix_addr("unix:/b");
    struct dial *dial;
    struct sim_peer *p;

    sim_on_dial(f->sim, only_a, NULL);
    start_dial(f, &a, "unix:/a", 100, &dial);
    start_dial(f, &b, "unix:/b", 100, &dial);
    sim_run(f->sim);
    assert_int_equal(a.st, ST_OK);
    assert_int_equal(b.st, ST_NOTFOUND);
    assert_non_null(strstr(b.why, "/b"));
    assert_null(sim_take_dialled_to(f->sim, &to_b));
    p = sim_take_dialled_to(f->sim, &to_a);
    assert_non_null(p);
    assert_true(addr_equal(sim_peer_dialled_to(p), &to_a));
    assert_null(sim_take_dialled(f->sim));
    assert_int_equal(sim_dial_count(f->sim), 2);
    stream_close(a.stream);
}

/* ---- listeners --------------------------------------------------------------------------- */

struct host {
    unsigned accepted;
    uint32_t last_cid;
    enum status state;
    struct stream *stream;
};

static void on_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    struct host *h = ctx;

    h->accepted++;
    h->last_cid = peer->cid;
    h->stream = s;
}

static void on_state(void *ctx, enum status st, const struct errmsg *why)
{
    struct host *h = ctx;

    h->state = st;
}

static const struct listener_handler listener_handler = { on_accept, on_state };

static void a_listener_accepts_reports_and_holds_back_while_paused(void **state)
{
    struct fixture *f = *state;
    struct addr at = unix_addr("vsock:6660");
    struct peer who = sim_vsock_peer(7);
    struct host h = { 0 };
    struct listener *l, *second;
    struct sim_peer *p;

    assert_null(sim_connect(f->sim, &at, &who));
    sim_next_listen_fails(f->sim, ST_DENIED);
    assert_int_equal(listener_open(sim_loop(f->sim), &l, &at, &(struct listener_opts){ 0 },
                                   &listener_handler, &h, NULL),
                     ST_DENIED);
    assert_int_equal(listener_open(sim_loop(f->sim), &l, &at, &(struct listener_opts){ 0 },
                                   &listener_handler, &h, NULL),
                     ST_OK);
    assert_int_equal(listener_open(sim_loop(f->sim), &second, &at, &(struct listener_opts){ 0 },
                                   &listener_handler, &h, NULL),
                     ST_EXISTS);
    listener_pause(l);
    p = sim_connect(f->sim, &at, &who);
    sim_run(f->sim);
    assert_int_equal(h.accepted, 0);
    listener_resume(l);
    sim_run(f->sim);
    assert_int_equal(h.accepted, 1);
    assert_int_equal(h.last_cid, 7);
    assert_int_equal(l->stats.accepted, 1);
    sim_listener_report(f->sim, &at, ST_NOFILES, "out of descriptors");
    assert_int_equal(h.state, ST_NOFILES);
    stream_close(h.stream);
    assert_true(sim_peer_is_closed(p));
    listener_close(l);
    assert_false(sim_is_listening(f->sim, &at));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(data_comes_only_while_reading_and_before_the_end),
        WITH_FIXTURE(a_piece_size_of_one_delivers_byte_by_byte),
        WITH_FIXTURE(reading_stopped_from_within_a_callback_stops_at_once),
        WITH_FIXTURE(unread_bytes_come_again_first),
        WITH_FIXTURE(an_end_comes_again_behind_unread_bytes),
        WITH_FIXTURE(a_stalled_peer_makes_writes_queue_and_then_drain_once),
        WITH_FIXTURE(a_write_beyond_the_bound_is_refused_whole),
        WITH_FIXTURE(shutdown_waits_for_what_is_queued_and_refuses_later_writes),
        WITH_FIXTURE(a_reset_is_noticed_when_something_is_under_way_and_told_once),
        WITH_FIXTURE(a_failing_write_accepts_nothing_and_the_next_one_works),
        WITH_FIXTURE(nothing_comes_after_a_close_from_within_on_data),
        WITH_FIXTURE(a_pair_passes_bytes_and_ends_both_ways_through_its_window),
        WITH_FIXTURE(closing_one_of_a_pair_with_unread_bytes_resets_the_other),
        WITH_FIXTURE(timers_fire_at_their_moment_and_never_inside_timer_start),
        cmocka_unit_test(a_shuffle_changes_the_order_and_repeats_with_its_seed),
        WITH_FIXTURE(dials_end_as_scripted),
        WITH_FIXTURE(a_cancelled_dial_is_silent),
        WITH_FIXTURE(a_decider_answers_by_address),
        WITH_FIXTURE(a_listener_accepts_reports_and_holds_back_while_paused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
