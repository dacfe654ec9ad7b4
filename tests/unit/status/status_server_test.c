/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "http/http_message.h"
#include "unit/status/status_case.h"

#include <stdio.h>
#include <string.h>

#define GET "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"

static int setup(void **state)
{
    return status_case_setup(state, 3);
}

static bool starts_with(const char *text, const char *start)
{
    return !strncmp(text, start, strlen(start));
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned n = 0;

    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

/* The value of ETag in an answer, quotes included. */
static void etag_of(const char *answer, char *buf, size_t cap)
{
    const char *at = strstr(answer, "ETag: ");

    assert_non_null(at);
    snprintf(buf, cap, "%.*s", (int)strcspn(at + 6, "\r"), at + 6);
}

/* ---- answers --------------------------------------------------------------------------- */

static void get_answers_the_status_with_a_tag(void **state)
{
    struct status_case *f = *state;
    const char *text = status_case_ask(f, status_case_client(f), GET);
    const char *body = strstr(text, "\r\n\r\n");
    char length[64];

    assert_true(starts_with(text, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(text, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(text, "ETag: \"1000-ff-1\"\r\n"));
    assert_non_null(strstr(text, "Cache-Control: no-cache\r\n"));
    assert_non_null(body);
    assert_true(starts_with(body + 4, "{\"apiVersion\":\"rdlink.v1\",\"generation\":1,"));
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body + 4));
    assert_non_null(strstr(text, length));
}

static void head_answers_the_same_without_a_body(void **state)
{
    struct status_case *f = *state;
    const char *text =
        status_case_ask(f, status_case_client(f), "HEAD /v1/status HTTP/1.1\r\nHost: x\r\n\r\n");

    assert_true(starts_with(text, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(text, "ETag: "));
    assert_null(strstr(text, "Content-Length: 0\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
}

static void known_tag_is_answered_with_304_until_something_changes(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);
    char etag[64], request[256];

    etag_of(status_case_ask(f, p, GET), etag, sizeof etag);
    snprintf(request, sizeof request,
             "GET /v1/status HTTP/1.1\r\nHost: x\r\nif-none-match: %s\r\n\r\n", etag);
    for (unsigned i = 0; i < 3; i++) {
        const char *text = status_case_ask(f, p, request);

        assert_true(starts_with(text, "HTTP/1.1 304 Not Modified\r\n"));
        assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
        assert_non_null(strstr(text, etag));
    }
    assert_int_equal(status_case_stats(f)->renders, 1);
    assert_int_equal(status_case_stats(f)->not_modified, 3);
    f->phase = PHASE_STOPPING;
    status_server_changed(f->server);
    assert_true(starts_with(status_case_ask(f, p, request), "HTTP/1.1 200 OK\r\n"));
}

static void wrong_requests_are_told_what_is_wrong(void **state)
{
    static const struct {
        const char *request, *want;
        bool stays; /* the connection lives on */
    } rows[] = {
        { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", true },
        { "GET /v1/statusx HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", true },
        { "GET /v1 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", true },
        { "PUT /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404 ", true },
        { "GET /v1/status?wait=25s&since=4 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ", true },
        { "GET /v1/status?wait=long HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ", true },
        { "GET /v1/status?since=-1 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ", true },
        { "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 ", true },
        { "POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 405 ",
          true },
        { "DELETE /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 ", true },
        { "hello there\r\n\r\n", "HTTP/1.1 400 ", false },
        { "GET /v1/status HTTP/9.9\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ", false },
        { "GET /v1/status HTTP/1.1\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 400 ", false },
        { "\x16\x03\x01\x02 tls", "HTTP/1.1 400 ", false },
        { "GET /v1/status HTTP/1.0\r\n\r\n", "HTTP/1.1 200 ", false },
        { "GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ",
          false },
    };
    struct status_case *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sim_peer *p = status_case_client(f);
        const char *text = status_case_ask(f, p, rows[i].request);

        if (!starts_with(text, rows[i].want))
            fail_msg("row %u: %s", i, text);
        assert_int_equal(!sim_peer_saw_end(p), rows[i].stays);
        if (!starts_with(text, "HTTP/1.1 200 "))
            assert_true(starts_with(strstr(text, "\r\n\r\n"), "\r\n\r\n{\"message\":\""));
        sim_peer_end(p);
        sim_run(f->sim);
        assert_true(sim_peer_is_closed(p));
    }
}

static void method_not_allowed_names_the_allowed_ones(void **state)
{
    struct status_case *f = *state;

    assert_non_null(strstr(status_case_ask(f, status_case_client(f),
                                           "DELETE /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"),
                           "Allow: GET, HEAD\r\n"));
}

static void too_large_a_body_is_refused_with_413(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);
    char body[5001];

    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    status_case_ask(f, p, "POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n");
    sim_peer_send_text(p, body);
    sim_run(f->sim);
    assert_true(starts_with(sim_peer_text(p), "HTTP/1.1 413 "));
    assert_true(sim_peer_saw_end(p));
    sim_peer_end(p);
    sim_run(f->sim);
    assert_int_equal(status_case_stats(f)->rejected, 1);
}

static void too_large_a_head_is_refused_with_431(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    sim_peer_send_text(p, "GET /v1/status HTTP/1.1\r\nX: ");
    for (unsigned i = 0; i <= HTTP_HEAD_MAX / 64; i++)
        sim_peer_send_text(p, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    sim_run(f->sim);
    assert_true(starts_with(sim_peer_text(p), "HTTP/1.1 431 "));
    assert_true(sim_peer_saw_end(p));
    sim_peer_end(p);
    sim_run(f->sim);
}

/* ---- how it arrives -------------------------------------------------------------------- */

static void one_byte_at_a_time_is_the_same(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    sim_peer_set_piece(p, 1);
    assert_true(starts_with(status_case_ask(f, p, GET), "HTTP/1.1 200 "));
    assert_true(starts_with(status_case_ask(f, p, GET), "HTTP/1.1 200 "));
    assert_int_equal(status_case_stats(f)->requests, 2);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);
    const char *text =
        status_case_ask(f, p,
                        GET "GET /x HTTP/1.1\r\nHost: x\r\n\r\n" GET "HEAD /v1/status HTTP/1.1\r\n"
                            "Host: x\r\nConnection: close\r\n\r\n" GET);

    assert_int_equal(count_of(text, "HTTP/1.1 200 "), 3);
    assert_int_equal(count_of(text, "HTTP/1.1 404 "), 1);
    assert_true(strstr(text, "HTTP/1.1 404 ") > strstr(text, "HTTP/1.1 200 "));
    assert_true(sim_peer_saw_end(p));
    assert_int_equal(status_case_stats(f)->requests, 4); /* what follows "close" is not answered */
    sim_peer_end(p);
    sim_run(f->sim);
    assert_true(sim_peer_is_closed(p));
}

static void a_slow_reader_costs_one_answer_however_much_it_asks(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    sim_peer_set_room(p, 10);
    for (unsigned i = 0; i < 100; i++)
        sim_peer_send_text(p, GET);
    sim_run(f->sim);
    assert_int_equal(status_case_stats(f)->requests, 1);
    assert_false(sim_peer_is_read(p));
    sim_peer_set_room(p, SIZE_MAX);
    sim_run(f->sim);
    assert_int_equal(status_case_stats(f)->requests, 100);
    assert_int_equal(count_of(sim_peer_text(p), "HTTP/1.1 200 OK"), 100);
    assert_true(sim_peer_is_read(p));
}

static void a_reader_that_never_reads_is_cut(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    sim_peer_set_room(p, 0);
    sim_peer_send_text(p, GET);
    sim_advance_ms(f->sim, 9999);
    assert_false(sim_peer_is_closed(p));
    sim_advance_ms(f->sim, 2);
    assert_true(sim_peer_is_closed(p));
    assert_int_equal(status_case_stats(f)->timed_out, 1);
}

static void a_client_that_ends_its_direction_still_gets_the_answer(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    sim_peer_set_room(p, 10);
    sim_peer_send_text(p, GET);
    sim_peer_end(p);
    sim_run(f->sim);
    sim_peer_set_room(p, SIZE_MAX);
    sim_run(f->sim);
    assert_true(starts_with(sim_peer_text(p), "HTTP/1.1 200 "));
    assert_true(sim_peer_is_closed(p));
}

static void a_reset_frees_the_connection(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    sim_peer_send_text(p, "GET /v1/sta");
    sim_run(f->sim);
    sim_peer_reset(p, ST_RESET);
    sim_run(f->sim);
    assert_true(sim_peer_is_closed(p));
    assert_int_equal(status_case_stats(f)->active, 0);
}

static void a_failed_write_frees_the_connection(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    sim_peer_next_write_fails(p, ST_NOMEM);
    sim_peer_send_text(p, GET GET);
    sim_run(f->sim);
    assert_true(sim_peer_is_closed(p));
    assert_int_equal(status_case_stats(f)->active, 0);
}

static void pipelined_requests_that_cannot_wait_end_the_connection(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    sim_peer_set_room(p, 10);
    sim_peer_next_unread_fails(p, ST_NOMEM);
    sim_peer_send_text(p, GET GET);
    sim_run(f->sim);
    assert_true(sim_peer_is_closed(p));
}

/* ---- deadlines ------------------------------------------------------------------------- */

static void a_client_that_says_nothing_is_cut_after_5_s(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    sim_advance_ms(f->sim, 4999);
    assert_false(sim_peer_is_closed(p));
    sim_advance_ms(f->sim, 2);
    assert_true(sim_peer_is_closed(p));
}

static void a_head_in_drops_is_cut_5_s_after_its_first_byte(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);
    const char *request = GET;
    unsigned sent = 0;

    status_case_ask(f, p, GET); /* past the first request: the idle deadline is 60 s now */
    for (; !sim_peer_is_closed(p) && sent < 20; sent++) {
        sim_peer_send(p, request + sent, 1);
        sim_advance_ms(f->sim, 1000);
    }
    assert_in_range(sent, 5, 6);
    assert_int_equal(status_case_stats(f)->timed_out, 1);
}

static void an_idle_connection_is_kept_for_60_s_after_each_request(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    for (unsigned i = 0; i < 3; i++) {
        assert_true(starts_with(status_case_ask(f, p, GET), "HTTP/1.1 200 "));
        sim_advance_ms(f->sim, 59999);
        assert_false(sim_peer_is_closed(p));
    }
    sim_advance_ms(f->sim, 2);
    assert_true(sim_peer_is_closed(p));
}

static void a_client_that_keeps_sending_after_the_end_is_cut_after_1_s(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    status_case_ask(f, p, "nonsense\r\n\r\n");
    for (unsigned i = 0; i < 9; i++) {
        sim_peer_send_text(p, "more nonsense");
        sim_advance_ms(f->sim, 100);
        assert_int_equal(sim_peer_undelivered(p), 0);
        assert_false(sim_peer_is_closed(p));
    }
    sim_advance_ms(f->sim, 200);
    assert_true(sim_peer_is_closed(p));
}

/* ---- the cap --------------------------------------------------------------------------- */

static void at_the_cap_the_longest_idle_reader_makes_room(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *first = status_case_client(f), *second = status_case_client(f),
                    *third = status_case_client(f), *fourth;

    status_case_ask(f, first, GET); /* second is the longest idle one now */
    fourth = status_case_client(f);
    assert_true(sim_peer_is_closed(second));
    assert_false(sim_peer_is_closed(first));
    assert_false(sim_peer_is_closed(third));
    assert_true(starts_with(status_case_ask(f, fourth, GET), "HTTP/1.1 200 "));
    assert_int_equal(status_case_stats(f)->evicted, 1);
    assert_int_equal(status_case_stats(f)->active, 3);
}

static void clients_that_only_hold_connections_lock_nobody_out(void **state)
{
    struct status_case *f = *state;

    for (unsigned i = 0; i < 1000; i++) {
        sim_peer_send_text(status_case_client(f), "GET /v1/st");
        if (i % 100 == 99)
            assert_true(
                starts_with(status_case_ask(f, status_case_client(f), GET), "HTTP/1.1 200 "));
    }
    assert_int_equal(status_case_stats(f)->active, 3);
}

static void free_closes_everything_at_any_moment(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *slow = status_case_client(f), *half = status_case_client(f);

    sim_peer_set_room(slow, 5);
    sim_peer_send_text(slow, GET GET);
    sim_peer_send_text(half, "GET /v1/st");
    status_case_client(f);
    sim_run(f->sim);
    status_server_free(f->server);
    f->server = NULL;
    assert_int_equal(sim_open_streams(f->sim), 0);
    assert_int_equal(sim_open_listeners(f->sim), 0);
}

static void an_address_that_is_taken_is_reported(void **state)
{
    struct status_case *f = *state;
    struct status_server *second = NULL;
    struct errmsg e = { .text = "" };

    sim_next_listen_fails(f->sim, ST_EXISTS);
    assert_int_equal(status_server_new(&second, sim_loop(f->sim), &f->at, NULL, &status_case_ops, f,
                                       &e),
                     ST_EXISTS);
    assert_null(second);
}

static void listener_trouble_does_not_end_the_server(void **state)
{
    struct status_case *f = *state;

    sim_listener_report(f->sim, &f->at, ST_NOFILES, "out of descriptors");
    sim_listener_report(f->sim, &f->at, ST_OK, "");
    sim_run(f->sim);
    assert_true(starts_with(status_case_ask(f, status_case_client(f), GET), "HTTP/1.1 200 "));
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, status_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(get_answers_the_status_with_a_tag),
        WITH_SERVER(head_answers_the_same_without_a_body),
        WITH_SERVER(known_tag_is_answered_with_304_until_something_changes),
        WITH_SERVER(wrong_requests_are_told_what_is_wrong),
        WITH_SERVER(method_not_allowed_names_the_allowed_ones),
        WITH_SERVER(too_large_a_body_is_refused_with_413),
        WITH_SERVER(too_large_a_head_is_refused_with_431),
        WITH_SERVER(one_byte_at_a_time_is_the_same),
        WITH_SERVER(pipelined_requests_are_answered_in_order),
        WITH_SERVER(a_slow_reader_costs_one_answer_however_much_it_asks),
        WITH_SERVER(a_reader_that_never_reads_is_cut),
        WITH_SERVER(a_client_that_ends_its_direction_still_gets_the_answer),
        WITH_SERVER(a_reset_frees_the_connection),
        WITH_SERVER(a_failed_write_frees_the_connection),
        WITH_SERVER(pipelined_requests_that_cannot_wait_end_the_connection),
        WITH_SERVER(a_client_that_says_nothing_is_cut_after_5_s),
        WITH_SERVER(a_head_in_drops_is_cut_5_s_after_its_first_byte),
        WITH_SERVER(an_idle_connection_is_kept_for_60_s_after_each_request),
        WITH_SERVER(a_client_that_keeps_sending_after_the_end_is_cut_after_1_s),
        WITH_SERVER(at_the_cap_the_longest_idle_reader_makes_room),
        WITH_SERVER(clients_that_only_hold_connections_lock_nobody_out),
        WITH_SERVER(free_closes_everything_at_any_moment),
        WITH_SERVER(an_address_that_is_taken_is_reported),
        WITH_SERVER(listener_trouble_does_not_end_the_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
