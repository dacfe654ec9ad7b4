/* SPDX-License-Identifier: Apache-2.0
 * gRPC's health semantics: what a check and a watch say of the whole, of parts, and of what is not
 * there; and the diagnostics beside them.
 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "status/health_check.h"
#include "unit/status/status_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GET(target) "GET " target " HTTP/1.1\r\nHost: x\r\n\r\n"

static int setup(void **state)
{
    return status_case_setup(state, 8);
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && !strcmp(text + len - end_len, end);
}

static void change(struct status_case *f, enum snapshot_phase to)
{
    f->phase = to;
    status_server_changed(f->server);
    sim_advance_ms(f->sim, 100);
}

/* ---- which state ------------------------------------------------------------------------- */

static void a_service_is_the_whole_a_component_or_a_guests_unit(void **state)
{
    static const struct {
        const char *service;
        enum health_state want, stopping;
    } rows[] = {
        { "", HEALTH_SERVING, HEALTH_NOT_SERVING },
        { "docker", HEALTH_SERVING, HEALTH_NOT_SERVING },
        { "docker-2", HEALTH_UNKNOWN, HEALTH_NOT_SERVING },
        { "vm1/bridge", HEALTH_NOT_SERVING, HEALTH_NOT_SERVING },
        { "vm1/net", HEALTH_UNKNOWN, HEALTH_NOT_SERVING },
        { "vm1/other", HEALTH_SERVICE_UNKNOWN, HEALTH_SERVICE_UNKNOWN },
        { "vm1", HEALTH_SERVICE_UNKNOWN, HEALTH_SERVICE_UNKNOWN },
        { "vm12/bridge", HEALTH_SERVICE_UNKNOWN, HEALTH_SERVICE_UNKNOWN },
        { "dock", HEALTH_SERVICE_UNKNOWN, HEALTH_SERVICE_UNKNOWN },
    };
    struct snapshot *s = calloc(1, sizeof *s);

    assert_non_null(s);
    s->ready = true;
    s->component_count = 2;
    snprintf(s->components[0].name, sizeof s->components[0].name, "docker");
    s->components[0].state = HEALTH_SERVING;
    snprintf(s->components[1].name, sizeof s->components[1].name, "docker-2");
    s->instance_count = 1;
    snprintf(s->instances[0].vm, sizeof s->instances[0].vm, "vm1");
    s->instances[0].bridge.reports = true;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("row: %s\n", rows[i].service);
        s->stopping = false;
        assert_int_equal(health_check(s, rows[i].service), rows[i].want);
        s->stopping = true; /* every part may still say that it serves */
        assert_int_equal(health_check(s, rows[i].service), rows[i].stopping);
    }
    free(s);
}

/* ---- over HTTP --------------------------------------------------------------------------- */

static void a_check_has_the_number_and_what_is_unknown_is_not_found(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);
    const char *text;

    f->phase = PHASE_READY;
    status_server_changed(f->server);
    assert_true(ends_with(status_case_ask(f, p, GET("/v1/health")), "\r\n\r\n{\"status\":1}\n"));
    change(f, PHASE_DEGRADED);
    assert_true(ends_with(status_case_ask(f, p, GET("/v1/health?service=")), "{\"status\":2}\n"));
    text = status_case_ask(f, p, GET("/v1/health?service=nobody"));
    assert_true(!strncmp(text, "HTTP/1.1 404 ", 13));
    assert_true(ends_with(text, "{\"code\":5,\"message\":\"unknown service\"}\n"));
}

static void a_watch_says_the_state_at_once_and_then_each_change(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);
    const char *text = status_case_ask(f, p, GET("/v1/health/watch"));

    assert_non_null(strstr(text, "Content-Type: text/event-stream\r\n"));
    assert_true(ends_with(text, "event: health\ndata: {\"status\":2}\n\n"));
    sim_peer_drop_received(p);
    change(f, PHASE_READY);
    assert_string_equal(sim_peer_text(p), "event: health\ndata: {\"status\":1}\n\n");
    sim_peer_drop_received(p);
    f->counter++; /* another generation of the status, the same state */
    change(f, PHASE_READY);
    assert_string_equal(sim_peer_text(p), "");
    change(f, PHASE_DEGRADED);
    assert_string_equal(sim_peer_text(p), "event: health\ndata: {\"status\":2}\n\n");
}

static void a_watch_of_what_is_not_there_is_no_error(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);
    const char *text = status_case_ask(f, p, GET("/v1/health/watch?service=switch-vm1-v2"));

    assert_true(!strncmp(text, "HTTP/1.1 200 ", 13));
    assert_true(ends_with(text, "data: {\"status\":3}\n\n"));
    assert_false(sim_peer_saw_end(p));
}

static void a_watcher_that_does_not_read_gets_the_latest_only(void **state)
{
    struct status_case *f = *state;
    struct sim_peer *p = status_case_client(f);

    status_case_ask(f, p, GET("/v1/health/watch"));
    sim_peer_drop_received(p);
    sim_peer_set_room(p, 0);
    change(f, PHASE_READY);
    change(f, PHASE_DEGRADED);
    change(f, PHASE_READY);
    sim_peer_set_room(p, SIZE_MAX);
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(p), "event: health\ndata: {\"status\":1}\n\n");
}

static void diagnostics_are_the_collection_alone(void **state)
{
    struct status_case *f = *state;
    const char *text = status_case_ask(f, status_case_client(f), GET("/v1/diagnostics"));
    const char *body = strstr(text, "\r\n\r\n");

    assert_non_null(body);
    assert_true(!strncmp(body + 4,
                         "{\"last_update\":\"1970-01-01T00:00:04.096Z\",\"checks\":[{\"id\":"
                         "\"RDLINK_COMPONENTS\",\"category\":\"Container Engine\",",
                         108));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, status_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_is_the_whole_a_component_or_a_guests_unit),
        TEST(a_check_has_the_number_and_what_is_unknown_is_not_found),
        TEST(a_watch_says_the_state_at_once_and_then_each_change),
        TEST(a_watch_of_what_is_not_there_is_no_error),
        TEST(a_watcher_that_does_not_read_gets_the_latest_only),
        TEST(diagnostics_are_the_collection_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
