/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "http/http_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a reader told, as one line: "GET /x [Host=a] ka | body". */
struct seen {
    char text[4096];
    unsigned heads;
};

static void add(struct seen *s, const char *text, size_t len)
{
    size_t have = strlen(s->text);

    assert_true(have + len < sizeof s->text);
    memcpy(s->text + have, text, len);
    s->text[have + len] = '\0';
}

static void on_head(void *ctx, const struct http_head *head)
{
    struct seen *s = ctx;
    char line[512];

    s->heads++;
    if (head->status)
        snprintf(line, sizeof line, "%u", head->status);
    else
        snprintf(line, sizeof line, "%s %s", head->method, head->target);
    add(s, line, strlen(line));
    for (unsigned i = 0; i < head->header_count; i++) {
        snprintf(line, sizeof line, " [%s=%s]", head->headers[i].name, head->headers[i].value);
        add(s, line, strlen(line));
    }
    if (head->keep_alive)
        add(s, " ka", 3);
    if (head->upgrade)
        add(s, " up", 3);
    add(s, " |", 2);
}

static void on_body(void *ctx, const uint8_t *data, size_t len_bytes)
{
    add(ctx, (const char *)data, len_bytes);
}

static const struct http_handler handler = { on_head, on_body };

static const struct row {
    const char *name;
    enum http_kind kind;
    const char *bytes;
    enum status want;
    const char *seen;
    size_t left; /* bytes that belong to the next message */
} rows[] = {
    { "request without body", HTTP_KIND_REQUEST,
      "GET /v1/status?wait=1s HTTP/1.1\r\nHost: localhost\r\nX-Empty:\r\n\r\n", ST_OK,
      "GET /v1/status?wait=1s [Host=localhost] [X-Empty=] ka |", 0 },
    { "pipelined: stops after the first", HTTP_KIND_REQUEST,
      "HEAD /_ping HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", ST_OK, "HEAD /_ping ka |", 18 },
    { "length body", HTTP_KIND_REQUEST, "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyzGET",
      ST_OK, "POST /a [Content-Length=3] ka |xyz", 3 },
    { "chunked body with trailer", HTTP_KIND_REQUEST,
      "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n"
      "\r\n",
      ST_OK, "POST /a [Transfer-Encoding=chunked] ka |abcde", 0 },
    { "close", HTTP_KIND_REQUEST, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", ST_OK,
      "GET / [Connection=close] |", 0 },
    { "upgrade", HTTP_KIND_REQUEST,
      "POST /exec HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nraw", ST_OK,
      "POST /exec [Connection=Upgrade] [Upgrade=tcp] ka up |", 3 },
    { "response", HTTP_KIND_RESPONSE, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", ST_OK,
      "200 [Content-Length=2] ka |OK", 0 },
    { "response without length is not over", HTTP_KIND_RESPONSE, "HTTP/1.1 200 OK\r\n\r\nabc",
      ST_QUEUED, "200 |abc", 0 },
    { "304 has no body", HTTP_KIND_RESPONSE, "HTTP/1.1 304 Not Modified\r\nETag: \"7\"\r\n\r\n",
      ST_OK, "304 [ETag=\"7\"] ka |", 0 },
    { "incomplete head", HTTP_KIND_REQUEST, "GET / HTTP/1.1\r\nHost: a\r\n", ST_QUEUED, "", 0 },
    { "body beyond the bound", HTTP_KIND_REQUEST,
      "POST /a HTTP/1.1\r\nContent-Length: 101\r\n\r\n"
      "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhhiiiiiiiiii"
      "jjjjjjjjjjk",
      ST_FULL, NULL, 0 },
    { "a TLS hello", HTTP_KIND_REQUEST, "\x16\x03\x01\x02", ST_PROTO, "", 0 },
    { "ssh", HTTP_KIND_REQUEST, "SSH-2.0-OpenSSH_9.2\r\n", ST_PROTO, "", 0 },
    { "two lengths", HTTP_KIND_REQUEST,
      "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ST_PROTO, "", 0 },
    { "length and chunked", HTTP_KIND_REQUEST,
      "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", ST_PROTO, "",
      0 },
    { "a request where a response belongs", HTTP_KIND_RESPONSE, "GET / HTTP/1.1\r\n\r\n", ST_PROTO,
      "", 0 },
};

/* Feeds @len bytes in pieces of @piece; the last status, and in *left what was not consumed. */
static enum status feed(struct http_reader *r, const char *bytes, size_t len, size_t piece,
                        size_t *left)
{
    enum status st = ST_QUEUED;
    size_t done = 0;

    while (done < len && st == ST_QUEUED) {
        size_t n = MIN(piece, len - done), rest = n;
        uint8_t *copy = malloc(n); /* exactly that long, so that ASan sees a read beyond */
        const uint8_t *at = copy;

        memcpy(copy, bytes + done, n);
        st = http_reader_feed(r, &at, &rest);
        done += n - rest;
        free(copy);
    }
    *left = len - done;
    return st;
}

static void messages_are_read_the_same_in_one_piece_and_in_any_other(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];
        size_t len = strlen(row->bytes);

        for (size_t piece = 1; piece <= len; piece++) {
            struct seen seen = { .text = "" };
            struct http_reader *r;
            size_t left;
            enum status st;

            assert_int_equal(http_reader_new(&r, row->kind, 100, &handler, &seen), ST_OK);
            st = feed(r, row->bytes, len, piece, &left);
            if (st != row->want)
                fail_msg("%s, pieces of %u: %s", row->name, (unsigned)piece, status_name(st));
            if (row->seen)
                assert_string_equal(seen.text, row->seen);
            if (st == ST_OK)
                assert_int_equal(left, row->left);
            if (st == ST_PROTO || st == ST_FULL)
                assert_int_equal(feed(r, "GET", 3, 3, &left), st);
            http_reader_free(r);
        }
    }
}

static void a_connection_carries_several_messages(void **state)
{
    static const char both[] = "POST /a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"
                               "GET /b HTTP/1.1\r\nHost: b\r\n\r\n";
    const uint8_t *at = (const uint8_t *)both;
    size_t len = sizeof both - 1;
    struct seen seen = { .text = "" };
    struct http_reader *r;

    assert_int_equal(http_reader_new(&r, HTTP_KIND_REQUEST, 0, &handler, &seen), ST_OK);
    assert_int_equal(http_reader_feed(r, &at, &len), ST_OK);
    assert_int_equal(http_reader_feed(r, &at, &len), ST_OK);
    assert_int_equal(len, 0);
    assert_string_equal(seen.text, "POST /a [Content-Length=1] ka |xGET /b [Host=b] ka |");
    assert_int_equal(http_reader_end(r), ST_EOF);
    http_reader_free(r);
}

static void the_end_of_the_stream_completes_or_breaks_a_message(void **state)
{
    static const struct {
        const char *bytes;
        enum status want;
    } ends[] = {
        { "", ST_EOF },
        { "HTTP/1.1 200 OK\r\n\r\nabc", ST_OK },
        { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", ST_PROTO },
        { "HTTP/1.1 2", ST_PROTO },
    };

    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        struct seen seen = { .text = "" };
        struct http_reader *r;
        size_t left;

        assert_int_equal(http_reader_new(&r, HTTP_KIND_RESPONSE, 0, &handler, &seen), ST_OK);
        feed(r, ends[i].bytes, strlen(ends[i].bytes), 1000, &left);
        assert_int_equal(http_reader_end(r), ends[i].want);
        http_reader_free(r);
    }
}

/* A head built of @prefix, @count times @unit, and never its end. */
static enum status feed_endless(const char *prefix, const char *unit, size_t count)
{
    struct seen seen = { .text = "" };
    struct http_reader *r;
    size_t left;
    enum status st;

    assert_int_equal(http_reader_new(&r, HTTP_KIND_REQUEST, 0, &handler, &seen), ST_OK);
    st = feed(r, prefix, strlen(prefix), 1000, &left);
    while (count-- && st == ST_QUEUED)
        st = feed(r, unit, strlen(unit), 1000, &left);
    http_reader_free(r);
    return st;
}

static void a_head_without_end_is_cut_off_at_its_bound(void **state)
{
    static const char ten[] = "aaaaaaaaaa";

    assert_int_equal(feed_endless("GET /", ten, 1000), ST_QUEUED);
    assert_int_equal(feed_endless("GET /", ten, 2000), ST_FULL);
    assert_int_equal(feed_endless("GET / HTTP/1.1\r\nA: ", ten, 2000), ST_FULL);
    assert_int_equal(feed_endless("GET / HTTP/1.1\r\n", ten, 2000), ST_FULL);
    assert_int_equal(feed_endless("GET / HTTP/1.1\r\n", "A: b\r\n", HTTP_HEADERS_MAX), ST_QUEUED);
    assert_int_equal(feed_endless("GET / HTTP/1.1\r\n", "A: b\r\n", HTTP_HEADERS_MAX + 1), ST_FULL);
    assert_int_equal(feed_endless("", "\r\n\r\n\r\n\r\n\r\n", 2000), ST_FULL);
}

static void headers_are_found_in_any_case(void **state)
{
    static const struct http_header headers[] = { { "Host", "a" }, { "IF-none-Match", "\"7\"" } };
    const struct http_head head = { .headers = headers, .header_count = 2 };

    assert_string_equal(http_head_find(&head, "If-None-Match"), "\"7\"");
    assert_null(http_head_find(&head, "If-None"));
}

static void a_target_splits_at_its_query(void **state)
{
    const char *query;

    assert_int_equal(http_target_path("/v1/status?wait=25s&since=3", &query), 10);
    assert_string_equal(query, "wait=25s&since=3");
    assert_int_equal(http_target_path("/healthz", &query), 8);
    assert_null(query);
}

static void heads_are_formatted_and_truncation_is_reported(void **state)
{
    char buf[200];

    http_format_response_head(buf, sizeof buf, 503, "application/json", 12,
                              "Connection: close\r\n");
    assert_string_equal(buf,
                        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
                        "Content-Length: 12\r\nConnection: close\r\n\r\n");
    http_format_request_head(buf, sizeof buf, "GET", "/_ping", "docker", NULL);
    assert_string_equal(buf, "GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n");
    assert_true(http_format_request_head(buf, 10, "GET", "/_ping", "docker", NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_read_the_same_in_one_piece_and_in_any_other),
        cmocka_unit_test(a_connection_carries_several_messages),
        cmocka_unit_test(the_end_of_the_stream_completes_or_breaks_a_message),
        cmocka_unit_test(a_head_without_end_is_cut_off_at_its_bound),
        cmocka_unit_test(headers_are_found_in_any_case),
        cmocka_unit_test(a_target_splits_at_its_query),
        cmocka_unit_test(heads_are_formatted_and_truncation_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
