/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "http/http_message.h"
#include "status/status_gate.h"

#include <stdio.h>

static const struct status_gate gate = { .port = 8080, .token = "0123abcd" };
static const struct status_gate at_80 = { .port = 80, .token = "x" };

static struct http_head head_of(const struct http_header *headers, unsigned count)
{
    return (struct http_head){ .method = "GET", .headers = headers, .header_count = count };
}

static void only_our_own_names_are_hosts(void **state)
{
    static const struct {
        const char *host;
        const struct status_gate *gate;
        unsigned answer;
    } rows[] = {
        { "127.0.0.1:8080", &gate, 200 },
        { "localhost:8080", &gate, 200 },
        { "LocalHost:8080", &gate, 200 },
        { "[::1]:8080", &gate, 200 },
        { "127.0.0.1", &at_80, 200 },
        { "localhost:80", &at_80, 200 },
        { "127.0.0.1", &gate, 421 },
        { "127.0.0.1:80", &gate, 421 },
        { "127.0.0.1:80800", &gate, 421 },
        { "127.0.0.1:8080.", &gate, 421 },
        { "localhost.:8080", &gate, 421 },
        { "evil.example:8080", &gate, 421 },
        { "localhost.evil.example:8080", &gate, 421 },
        { "127.0.0.1:8080@evil.example", &gate, 421 },
        { "0.0.0.0:8080", &gate, 421 },
        { "[::ffff:127.0.0.1]:8080", &gate, 421 },
        { "", &gate, 421 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct http_header headers[] = { { "Accept", "*/*" }, { "Host", rows[i].host } };
        const struct http_head head = head_of(headers, 2);

        print_message("row: %s\n", rows[i].host);
        assert_int_equal(status_gate_origin(rows[i].gate, &head), rows[i].answer);
    }
}

static void a_host_is_there_once(void **state)
{
    const struct http_header none[] = { { "Accept", "*/*" } };
    const struct http_header two[] = { { "Host", "127.0.0.1:8080" }, { "host", "evil.example" } };
    const struct http_head without = head_of(none, 1), twice = head_of(two, 2);

    assert_int_equal(status_gate_origin(&gate, &without), 421);
    assert_int_equal(status_gate_origin(&gate, &twice), 421);
}

static void pages_of_other_sites_are_refused(void **state)
{
    static const struct {
        const char *name, *value;
        unsigned answer;
    } rows[] = {
        { "Origin", "http://127.0.0.1:8080", 200 },
        { "origin", "http://localhost:8080", 200 },
        { "Origin", "https://127.0.0.1:8080", 403 },
        { "Origin", "http://127.0.0.1:9090", 403 },
        { "Origin", "http://evil.example", 403 },
        { "Origin", "http://127.0.0.1:8080.evil.example", 403 },
        { "Origin", "null", 403 },
        { "Origin", "", 403 },
        { "Sec-Fetch-Site", "same-origin", 200 },
        { "Sec-Fetch-Site", "none", 200 },
        { "Sec-Fetch-Site", "same-site", 403 },
        { "Sec-Fetch-Site", "cross-site", 403 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct http_header headers[] = { { "Host", "localhost:8080" },
                                               { rows[i].name, rows[i].value } };
        const struct http_head head = head_of(headers, 2);

        print_message("row: %s: %s\n", rows[i].name, rows[i].value);
        assert_int_equal(status_gate_origin(&gate, &head), rows[i].answer);
    }
}

static void one_of_two_origins_is_not_enough(void **state)
{
    const struct http_header headers[] = { { "Host", "localhost:8080" },
                                           { "Origin", "http://localhost:8080" },
                                           { "Origin", "http://evil.example" } };
    const struct http_head head = head_of(headers, 3);

    assert_int_equal(status_gate_origin(&gate, &head), 403);
}

static void the_token_is_all_of_it(void **state)
{
    static const struct {
        const char *value;
        unsigned answer;
    } rows[] = {
        { "Bearer 0123abcd", 200 },  { "Bearer 0123abc", 401 },
        { "Bearer 0123abcde", 401 }, { "Bearer 0123abcD", 401 },
        { "Bearer  0123abcd", 401 }, { "Basic 0123abcd", 401 },
        { "Bearer ", 401 },          { "Bearer", 401 },
        { "0123abcd", 401 },         { "", 401 },
    };
    const struct http_head bare = head_of(NULL, 0);

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct http_header headers[] = { { "authorization", rows[i].value } };
        const struct http_head head = head_of(headers, 1);

        print_message("row: %s\n", rows[i].value);
        assert_int_equal(status_gate_token(&gate, &head), rows[i].answer);
    }
    assert_int_equal(status_gate_token(&gate, &bare), 401);
}

static void of_two_tokens_none_counts(void **state)
{
    const struct http_header headers[] = { { "Authorization", "Bearer 0123abcd" },
                                           { "Authorization", "Bearer 0123abcd" } };
    const struct http_head head = head_of(headers, 2);

    assert_int_equal(status_gate_token(&gate, &head), 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_our_own_names_are_hosts),
        cmocka_unit_test(a_host_is_there_once),
        cmocka_unit_test(pages_of_other_sites_are_refused),
        cmocka_unit_test(one_of_two_origins_is_not_enough),
        cmocka_unit_test(the_token_is_all_of_it),
        cmocka_unit_test(of_two_tokens_none_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
