/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "http/http_message.h"
#include "status/status_route.h"

#include <stdio.h>
#include <string.h>

static unsigned route(struct status_request *out, const char *method, const char *target,
                      const char *name, const char *value)
{
    const struct http_header header = { name, value };
    struct http_head head = {
        .target = target, .keep_alive = true, .headers = &header, .header_count = name ? 1 : 0
    };

    snprintf(head.method, sizeof head.method, "%s", method);
    return status_route(out, &head);
}

static void each_path_is_a_resource(void **state)
{
    static const struct {
        const char *target;
        unsigned answer;
        enum status_resource resource;
    } rows[] = {
        { "/v1/status", 200, STATUS_RESOURCE_STATUS },
        { "/v1/status?", 200, STATUS_RESOURCE_STATUS },
        { "/v1/events?x=y", 200, STATUS_RESOURCE_EVENTS },
        { "/metrics", 200, STATUS_RESOURCE_METRICS },
        { "/healthz", 200, STATUS_RESOURCE_HEALTHZ },
        { "/readyz", 200, STATUS_RESOURCE_READYZ },
        { "/", 200, STATUS_RESOURCE_PAGE },
        { "/v1/diagnostics", 200, STATUS_RESOURCE_DIAGNOSTICS },
        { "/v1/health", 200, STATUS_RESOURCE_HEALTH },
        { "/v1/health/watch?service=", 200, STATUS_RESOURCE_HEALTH_WATCH },
        { "//", 404, 0 },
        { "/v1/statu", 404, 0 },
        { "/v1/status/", 404, 0 },
        { "*", 404, 0 },
        { "", 404, 0 },
    };
    struct status_request r;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("row: %s\n", rows[i].target);
        assert_int_equal(route(&r, "GET", rows[i].target, NULL, NULL), rows[i].answer);
        if (rows[i].answer == 200)
            assert_int_equal(r.resource, rows[i].resource);
    }
}

static void the_service_of_a_health_check_is_decoded_and_bounded(void **state)
{
    static const struct {
        const char *target;
        unsigned answer;
        const char *service;
    } rows[] = {
        { "/v1/health", 200, "" },
        { "/v1/health?service=", 200, "" },
        { "/v1/health?service=docker", 200, "docker" },
        { "/v1/health/watch?service=vm1%2Fbridge", 200, "vm1/bridge" },
        { "/v1/health?service=%4", 400, "" },
        { "/v1/health?service=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          400, "" },
    };
    struct status_request r;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("row: %s\n", rows[i].target);
        assert_int_equal(route(&r, "GET", rows[i].target, NULL, NULL), rows[i].answer);
        assert_string_equal(r.service, rows[i].service);
    }
}

static void nothing_but_get_and_head(void **state)
{
    struct status_request r;

    assert_int_equal(route(&r, "HEAD", "/metrics", NULL, NULL), 200);
    assert_true(r.head_only);
    assert_int_equal(route(&r, "POST", "/metrics", NULL, NULL), 405);
    assert_int_equal(route(&r, "get", "/metrics", NULL, NULL), 405);
    assert_int_equal(route(&r, "POST", "/nowhere", NULL, NULL), 404);
}

static void the_query_says_how_long_to_wait_and_for_what(void **state)
{
    static const struct {
        const char *target;
        unsigned answer, wait_ms;
        bool has_since;
        uint64_t since;
    } rows[] = {
        { "/v1/status?wait=25s&since=4", 200, 25000, true, 4 },
        { "/v1/status?since=18446744073&wait=250ms", 200, 250, true, 18446744073u },
        { "/v1/status?wait=2h", 200, STATUS_WAIT_MAX_MS, false, 0 },
        { "/v1/status?x=1&&waits=9&=&wait=1s&", 200, 1000, false, 0 },
        { "/v1/status?wait", 400, 0, false, 0 },
        { "/v1/status?wait=", 400, 0, false, 0 },
        { "/v1/status?wait=soon", 400, 0, false, 0 },
        { "/v1/status?wait=00000000000000000000000000001s", 400, 0, false, 0 },
        { "/v1/status?since=", 400, 0, false, 0 },
        { "/v1/status?since=4x", 400, 0, false, 0 },
        { "/v1/status?since=99999999999999999999", 400, 0, false, 0 },
    };
    struct status_request r;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("row: %s\n", rows[i].target);
        assert_int_equal(route(&r, "GET", rows[i].target, NULL, NULL), rows[i].answer);
        if (rows[i].answer != 200)
            continue;
        assert_int_equal(r.wait_ms, rows[i].wait_ms);
        assert_int_equal(r.has_since, rows[i].has_since);
        assert_int_equal(r.since, rows[i].since);
    }
}

static void the_tag_comes_from_the_header_that_fits(void **state)
{
    struct status_request r;
    char longest[STATUS_TAG_MAX + 1];

    route(&r, "GET", "/v1/status", "if-none-match", "\"a-b-1\"");
    assert_string_equal(r.tag, "\"a-b-1\"");
    route(&r, "GET", "/v1/events", "if-none-match", "\"a-b-1\"");
    assert_string_equal(r.tag, "");
    route(&r, "GET", "/v1/events", "Last-Event-ID", "a-b-1");
    assert_string_equal(r.tag, "a-b-1");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    route(&r, "GET", "/v1/status", "If-None-Match", longest);
    assert_string_equal(r.tag, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_path_is_a_resource),
        cmocka_unit_test(the_service_of_a_health_check_is_decoded_and_bounded),
        cmocka_unit_test(nothing_but_get_and_head),
        cmocka_unit_test(the_query_says_how_long_to_wait_and_for_what),
        cmocka_unit_test(the_tag_comes_from_the_header_that_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
