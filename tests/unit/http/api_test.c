/* SPDX-License-Identifier: Apache-2.0
 * api_test.c - how a request finds its route, and what its bounds are. What the switch's APIs do
 * with it is in switch_control_test.c and forward_api_test.c.
 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "http/api.h"
#include "port/sim/stream_sim.h"

#include <stdio.h>
#include <string.h>

struct bench {
    struct sim *sim;
    struct api *api;
    uint64_t requests, limit_hits;
    char said[256]; /* what the route was given */
};

static void serve(struct api_conn *c, const struct api_request *r)
{
    struct bench *b = r->owner;

    snprintf(b->said, sizeof b->said, "%s name=%s query=%s body=%.*s", r->route->what, r->name,
             r->query, (int)r->body_bytes, r->body ? (const char *)r->body : "");
    api_respond_text(c, 200, b->said);
}

static void serve_write(struct api_conn *c, const struct api_request *r)
{
    if (api_may_write(c, r))
        api_respond_text(c, 200, "written");
}

static const struct api_route routes[] = {
    { "/plain", serve, NULL, "plain" },   { "/thing", serve, "GET", "get" },
    { "/thing", serve, "PUT", "put" },    { "/parts/*/restart", serve, "POST", "restart" },
    { "/parts/*", serve, "GET", "part" }, { "/write", serve_write, NULL, "write" },
};

static void open_bench(struct bench *b, const char *token)
{
    struct api_config config = { .owner = b,
                                 .routes = routes,
                                 .route_count = ARRAY_SIZE(routes),
                                 .token = token,
                                 .requests = &b->requests,
                                 .limit_hits = &b->limit_hits };

    *b = (struct bench){ .sim = sim_new() };
    config.loop = sim_loop(b->sim);
    assert_int_equal(api_new(&b->api, &config), ST_OK);
}

static void close_bench(struct bench *b)
{
    api_free(b->api);
    sim_free(b->sim);
}

static struct sim_peer *client(struct bench *b, enum status want)
{
    struct stream *stream;
    struct sim_peer *p = sim_stream(b->sim, &stream);

    assert_int_equal(api_accept(b->api, stream, NULL), want);
    return p;
}

/* The answer's code and body: "200 text\n". */
static const char *ask(struct bench *b, const char *request)
{
    static char result[1024];
    struct sim_peer *p = client(b, ST_OK);
    const char *text, *body;

    sim_peer_send_text(p, request);
    sim_run(b->sim);
    text = sim_peer_text(p);
    body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    snprintf(result, sizeof result, "%.3s %s", text + 9, body + 4);
    sim_peer_end(p);
    sim_run(b->sim);
    assert_true(sim_peer_is_closed(p));
    return result;
}

static void a_request_finds_its_route_by_path_and_method(void **state)
{
    static const struct {
        const char *line, *want;
    } rows[] = {
        { "GET /plain", "200 plain name= query= body=\n" },
        { "DELETE /plain", "200 plain name= query= body=\n" },
        { "GET /plain?a=b", "200 plain name= query=a=b body=\n" },
        { "GET /thing", "200 get name= query= body=\n" },
        { "PUT /thing", "200 put name= query= body=\n" },
        { "POST /thing", "405 405 method not allowed\n" },
        { "POST /parts/docker/restart", "200 restart name=docker query= body=\n" },
        { "POST /parts/vm%201~2-B/restart?x", "200 restart name=vm 1~2-B query=x body=\n" },
        { "POST /parts/a+b/restart", "200 restart name=a+b query= body=\n" },
        { "GET /parts/restart", "200 part name=restart query= body=\n" },
        { "GET /parts/docker/restart", "405 405 method not allowed\n" },
        { "POST /parts//restart", "404 404 page not found\n" },
        { "POST /parts/a/b/restart", "404 404 page not found\n" },
        { "POST /parts/%4/restart", "404 404 page not found\n" },
        { "POST /parts/%00/restart", "404 404 page not found\n" },
        { "GET /parts/", "404 404 page not found\n" },
        { "GET /plain/", "404 404 page not found\n" },
        { "GET /", "404 404 page not found\n" },
    };
    struct bench b;

    open_bench(&b, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        char request[256];
        const char *got;

        snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: x\r\n\r\n", rows[i].line);
        got = ask(&b, request);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", rows[i].line, got, rows[i].want);
    }
    assert_int_equal(b.requests, ARRAY_SIZE(rows));
    close_bench(&b);
}

static void head_is_a_get_without_a_body(void **state)
{
    struct bench b;

    open_bench(&b, NULL);
    assert_string_equal(ask(&b, "HEAD /thing HTTP/1.1\r\nHost: x\r\n\r\n"), "200 ");
    assert_string_equal(b.said, "get name= query= body=");
    close_bench(&b);
}

static void a_name_that_is_too_long_is_no_name(void **state)
{
    char request[API_NAME_MAX + 128], name[API_NAME_MAX + 1] = "";
    struct bench b;

    open_bench(&b, NULL);
    memset(name, 'a', API_NAME_MAX);
    name[API_NAME_MAX] = '\0';
    snprintf(request, sizeof request, "GET /parts/%s HTTP/1.1\r\nHost: x\r\n\r\n", name);
    assert_string_equal(ask(&b, request), "404 404 page not found\n");
    snprintf(request, sizeof request, "GET /parts/%s HTTP/1.1\r\nHost: x\r\n\r\n", name + 1);
    assert_true(!strncmp(ask(&b, request), "200 part name=aaaa", 18));
    close_bench(&b);
}

static void the_body_gets_to_the_route_and_is_bounded(void **state)
{
    static char request[API_BODY_MAX + 256];
    struct bench b;
    int head;

    open_bench(&b, NULL);
    assert_string_equal(ask(&b, "PUT /thing HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"),
                        "200 put name= query= body={}\n");
    head =
        snprintf(request, sizeof request,
                 "PUT /thing HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", API_BODY_MAX + 1);
    memset(request + head, ' ', API_BODY_MAX + 1);
    assert_true(!strncmp(ask(&b, request), "413 ", 4));
    close_bench(&b);
}

static void a_token_is_asked_for_where_one_is_set(void **state)
{
    static const struct {
        const char *header, *want;
    } rows[] = {
        { "X: y", "401 a token is needed\n" },
        { "Authorization: Bearer s3cre", "401 a token is needed\n" },
        { "Authorization: Bearer s3creT", "401 a token is needed\n" },
        { "Authorization: s3cret", "401 a token is needed\n" },
        { "Authorization: Bearer s3cret", "200 written\n" },
    };
    struct bench b;

    open_bench(&b, "s3cret");
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        char request[256];

        snprintf(request, sizeof request, "POST /write HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n",
                 rows[i].header);
        assert_string_equal(ask(&b, request), rows[i].want);
    }
    assert_string_equal(ask(&b, "GET /write HTTP/1.1\r\nHost: x\r\n\r\n"), "400 post only\n");
    close_bench(&b);
}

static void one_more_than_there_may_be_is_closed_and_counted(void **state)
{
    struct bench b;

    open_bench(&b, NULL);
    for (unsigned i = 0; i < API_CONNS_MAX; i++)
        (void)client(&b, ST_OK);
    assert_true(sim_peer_is_closed(client(&b, ST_FULL)));
    assert_int_equal(b.limit_hits, 1);
    sim_advance_ms(b.sim, API_HEAD_MS);
    assert_int_equal(b.limit_hits, 1 + API_CONNS_MAX);
    (void)client(&b, ST_OK);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_finds_its_route_by_path_and_method),
        cmocka_unit_test(head_is_a_get_without_a_body),
        cmocka_unit_test(a_name_that_is_too_long_is_no_name),
        cmocka_unit_test(the_body_gets_to_the_route_and_is_bounded),
        cmocka_unit_test(a_token_is_asked_for_where_one_is_set),
        cmocka_unit_test(one_more_than_there_may_be_is_closed_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
