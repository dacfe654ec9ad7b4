/* SPDX-License-Identifier: Apache-2.0
 * Readers that wait for news: long polls and event streams, and the small resources beside them.
 */
#include "support/cmocka_all.h"

#include "unit/status/status_case.h"

#include <string.h>

#define GET(target) "GET " target " HTTP/1.1\r\nHost: x\r\n\r\n"

static int setup(void **state)
{
    return status_case_setup(state, 8);
}

static void change(struct status_case *f, enum snapshot_phase to)
{
    f->phase = to;
    status_server_changed(f->server);
    sim_run(f->sim);
}

static bool has(const char *text, const char *what)
{
    return strstr(text, what) != NULL;
}

static unsigned waiting(struct status_case *f)
{
    return status_case_stats(f)->waiting;
}

/* ---- long poll --------------------------------------------------------------------------- */

static void a_long_poll_is_answered_when_something_changes(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    assert_true(has(status_case_ask(f, p, GET("/v1/status")), "\"generation\":1,"));
    assert_string_equal(status_case_ask(f, p, GET("/v1/status?wait=25s&since=1")), "");
    sim_advance_ms(f->sim, 20000);
    assert_string_equal(sim_peer_text(p), "");
    assert_int_equal(waiting(f), 1);
    change(f, PHASE_DEGRADED);
    sim_advance_ms(f->sim, 100); /* it was woken for counters just now */
    assert_true(has(sim_peer_text(p), "HTTP/1.1 200 OK"));
    assert_true(has(sim_peer_text(p), "\"generation\":2,"));
    assert_int_equal(waiting(f), 0);
    assert_true(has(status_case_ask(f, p, GET("/v1/status")),
                    "HTTP/1.1 200 OK")); /* the connection goes on */
}

static void a_long_poll_with_the_tag_is_the_same(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    status_case_ask(f, p, GET("/v1/status"));
    assert_string_equal(status_case_ask(f, p,
                                        "GET /v1/status?wait=25s HTTP/1.1\r\nHost: x\r\n"
                                        "If-None-Match: \"1000-ff-1\"\r\n\r\n"),
                        "");
    change(f, PHASE_DEGRADED);
    assert_true(has(sim_peer_text(p), "HTTP/1.1 200 OK"));
}

static void nothing_new_in_time_is_304(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    status_case_ask(f, p, GET("/v1/status"));
    status_case_ask(f, p, GET("/v1/status?wait=25s&since=1"));
    sim_advance_ms(f->sim, 24999);
    assert_string_equal(sim_peer_text(p), "");
    sim_advance_ms(f->sim, 1);
    assert_true(has(sim_peer_text(p), "HTTP/1.1 304 Not Modified"));
    assert_true(has(sim_peer_text(p), "ETag: \"1000-ff-1\""));
    sim_run(f->sim);
    assert_int_equal(waiting(f), 0);
}

static void who_is_behind_is_answered_at_once(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    status_case_ask(f, p, GET("/v1/status"));
    assert_true(has(status_case_ask(f, p, GET("/v1/status?wait=25s&since=0")), "HTTP/1.1 200 OK"));
    assert_true(has(status_case_ask(f, p, GET("/v1/status?wait=25s&since=9")), "HTTP/1.1 200 OK"));
    assert_true(has(status_case_ask(f, p, GET("/v1/status?wait=25s")), "HTTP/1.1 200 OK"));
}

static void counters_alone_are_news_every_5_s(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    status_case_ask(f, p, GET("/v1/status"));
    status_case_ask(f, p, GET("/v1/status?wait=25s&since=1"));
    f->counter++;
    sim_advance_ms(f->sim, 4900);
    assert_string_equal(sim_peer_text(p), "");
    sim_advance_ms(f->sim, 200);
    assert_true(has(sim_peer_text(p), "HTTP/1.1 200 OK"));
}

static void a_client_that_leaves_while_it_waits_is_forgotten(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    status_case_ask(f, p, GET("/v1/status"));
    status_case_ask(f, p, GET("/v1/status?wait=25s&since=1"));
    sim_peer_end(p);
    sim_run(f->sim);
    assert_true(sim_peer_is_closed(p));
    assert_int_equal(waiting(f), 0);
}

static void a_request_behind_a_long_poll_waits_for_its_answer(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    status_case_ask(f, p, GET("/v1/status"));
    assert_string_equal(status_case_ask(f, p, GET("/v1/status?wait=25s&since=1") GET("/healthz")),
                        "");
    change(f, PHASE_DEGRADED);
    assert_true(has(sim_peer_text(p), "\"generation\":2,"));
    assert_true(has(sim_peer_text(p), "\r\n\r\nok\n"));
}

/* ---- events ------------------------------------------------------------------------------ */

static void an_event_stream_has_the_present_state_and_each_change(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);
    const char *text = status_case_ask(f, p, GET("/v1/events"));

    assert_true(has(text, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
    assert_true(has(text, "\r\n\r\nretry: 1000\n\nevent: status\nid: 1000-ff-1\n"
                          "data: {\"apiVersion\":\"rdlink.v1\",\"generation\":1,"));
    assert_string_equal(text + strlen(text) - 3, "}\n\n");
    sim_peer_drop_received(p);
    sim_advance_ms(f->sim, 1000);
    change(f, PHASE_READY);
    assert_true(has(sim_peer_text(p), "event: status\nid: 1000-ff-2\ndata: {"));
    status_server_changed(f->server); /* nothing that can be seen */
    sim_peer_drop_received(p);
    sim_advance_ms(f->sim, 1000);
    assert_string_equal(sim_peer_text(p), "");
}

static void who_may_read_no_more_hears_no_more(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *stream = status_case_client(f), *idle = status_case_client(f);

    status_case_ask(f, stream, GET("/v1/events"));
    status_case_ask(f, idle, GET("/v1/status"));
    (void)status_server_regrant(f->server, "", false, NULL); /* the sim has no descriptors */
    sim_run(f->sim);
    assert_false(sim_peer_is_closed(stream) || sim_peer_is_closed(idle));
    (void)status_server_regrant(f->server, "", true, NULL);
    sim_run(f->sim);
    assert_true(sim_peer_is_closed(stream) && sim_peer_is_closed(idle));
}

static void a_resumed_stream_begins_with_what_is_new(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f), *again;

    status_case_ask(f, p, GET("/v1/events"));
    again = status_case_client(f);
    assert_false(has(status_case_ask(f, again,
                                     "GET /v1/events HTTP/1.1\r\nHost: x\r\n"
                                     "Last-Event-ID: 1000-ff-1\r\n\r\n"),
                     "data:"));
    change(f, PHASE_READY);
    sim_advance_ms(f->sim, 100);
    assert_true(has(sim_peer_text(again), "id: 1000-ff-2\n"));
    again = status_case_client(f);
    assert_true(has(status_case_ask(f, again,
                                    "GET /v1/events HTTP/1.1\r\nHost: x\r\n"
                                    "Last-Event-ID: 1000-ff-1\r\n\r\n"),
                    "id: 1000-ff-2\n"));
}

static void a_quiet_stream_has_a_heartbeat(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    status_case_ask(f, p, GET("/v1/events"));
    sim_peer_drop_received(p);
    sim_advance_ms(f->sim, 15001);
    assert_string_equal(sim_peer_text(p), ":\n\n");
}

static void a_slow_reader_of_events_gets_the_latest_state_only(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    status_case_ask(f, p, GET("/v1/events"));
    sim_peer_drop_received(p);
    sim_peer_set_room(p, 10);
    for (unsigned i = 0; i < 20; i++) {
        sim_advance_ms(f->sim, 200);
        change(f, i % 2 ? PHASE_READY : PHASE_DEGRADED);
    }
    sim_peer_set_room(p, SIZE_MAX);
    sim_advance_ms(f->sim, 200);
    assert_true(has(sim_peer_text(p), "id: 1000-ff-2\n"));
    assert_false(has(sim_peer_text(p), "id: 1000-ff-3\n"));
    assert_true(has(sim_peer_text(p), "id: 1000-ff-21\n"));
}

static void a_reader_that_takes_no_event_is_cut_after_10_s(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    status_case_ask(f, p, GET("/v1/events"));
    sim_peer_set_room(p, 0);
    change(f, PHASE_READY);
    sim_advance_ms(f->sim, 9000);
    assert_false(sim_peer_is_closed(p));
    sim_advance_ms(f->sim, 2000);
    assert_true(sim_peer_is_closed(p));
}

static void at_most_half_of_all_may_wait(void **state)
{
    struct status_case *f = *state;

    for (unsigned i = 0; i < 4; i++)
        assert_true(has(status_case_ask(f, status_case_client(f), GET("/v1/events")), "200 OK"));
    assert_true(has(status_case_ask(f, status_case_client(f), GET("/v1/events")), "HTTP/1.1 503 "));
    assert_true(has(status_case_ask(f, status_case_client(f), GET("/v1/status?wait=9s&since=1")),
                    "HTTP/1.1 200 OK"));
    for (unsigned i = 0; i < 20; i++) /* the others evict each other, not those that wait */
        status_case_client(f);
    assert_int_equal(waiting(f), 4);
}

static void head_of_events_is_a_head(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    status_case_ask(f, p, "HEAD /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(has(sim_peer_text(p), "text/event-stream"));
    assert_false(has(sim_peer_text(p), "retry"));
    assert_true(sim_peer_saw_end(p));
    sim_peer_end(p);
    sim_run(f->sim);
}

/* ---- the small ones ---------------------------------------------------------------------- */

static void readyz_says_whether_and_why_not(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    assert_true(has(status_case_ask(f, p, GET("/readyz")), "HTTP/1.1 503 "));
    assert_true(has(status_case_ask(f, p, GET("/healthz")), "HTTP/1.1 200 "));
    change(f, PHASE_READY);
    assert_true(has(status_case_ask(f, p, GET("/readyz")), "HTTP/1.1 200 "));
}

static void metrics_are_openmetrics(void **state)
{
    struct status_case *f = *state;
    const char *text = status_case_ask(f, status_case_client(f), GET("/metrics"));

    assert_true(has(text, "Content-Type: application/openmetrics-text; version=1.0.0"));
    assert_true(has(text, "# EOF\n"));
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, status_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(a_long_poll_is_answered_when_something_changes),
        WITH_SERVER(a_long_poll_with_the_tag_is_the_same),
        WITH_SERVER(nothing_new_in_time_is_304),
        WITH_SERVER(who_is_behind_is_answered_at_once),
        WITH_SERVER(counters_alone_are_news_every_5_s),
        WITH_SERVER(a_client_that_leaves_while_it_waits_is_forgotten),
        WITH_SERVER(a_request_behind_a_long_poll_waits_for_its_answer),
        WITH_SERVER(an_event_stream_has_the_present_state_and_each_change),
        WITH_SERVER(who_may_read_no_more_hears_no_more),
        WITH_SERVER(a_resumed_stream_begins_with_what_is_new),
        WITH_SERVER(a_quiet_stream_has_a_heartbeat),
        WITH_SERVER(a_slow_reader_of_events_gets_the_latest_state_only),
        WITH_SERVER(a_reader_that_takes_no_event_is_cut_after_10_s),
        WITH_SERVER(at_most_half_of_all_may_wait),
        WITH_SERVER(head_of_events_is_a_head),
        WITH_SERVER(readyz_says_whether_and_why_not),
        WITH_SERVER(metrics_are_openmetrics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
