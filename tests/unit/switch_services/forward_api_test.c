/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"
#include "support/services_rig.h"

#include "switch/forward_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rig *rig;

static int setup(void **state)
{
    rig = rig_new(false);
    return forward_new(&rig->s) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
    rig_free(rig);
    return 0;
}

static void send_request(struct sim_peer *p, const char *method, const char *path,
                         const char *extra, const char *body)
{
    char text[2048];

    snprintf(text, sizeof text,
             "%s %s HTTP/1.1\r\nHost: 192.168.127.1\r\nContent-Length: %zu\r\n%s\r\n%s", method,
             path, strlen(body), extra, body);
    sim_peer_send_text(p, text);
}

/* One request on a connection of its own: "200 body". */
static const char *request(const char *method, const char *path, const char *extra,
                           const char *body)
{
    static char result[1024];
    struct sim_peer *p = rig_connect(rig, 80);
    const char *text, *end;

    send_request(p, method, path, extra, body);
    sim_run(rig->sim);
    text = sim_peer_text(p);
    end = strstr(text, "\r\n\r\n");
    assert_non_null(end);
    assert_memory_equal(text, "HTTP/1.1 ", 9);
    snprintf(result, sizeof result, "%.3s %s", text + 9, end + 4);
    sim_peer_end(p);
    sim_run(rig->sim);
    assert_true(sim_peer_is_closed(p));
    return result;
}

static const char *expose(const char *body)
{
    return request("POST", "/services/forwarder/expose", "", body);
}

static const char *unexpose(const char *body)
{
    return request("POST", "/services/forwarder/unexpose", "", body);
}

static const char *all(void)
{
    return request("GET", "/services/forwarder/all", "", "");
}

#define EXPOSED \
    "{\"local\":\"127.0.0.1:8080\",\"remote\":\"192.168.127.2:80\",\"protocol\":\"tcp\"}"

static void what_is_exposed_is_listed_and_can_be_unexposed(void **state)
{
    assert_string_equal(all(), "200 []\n");
    assert_string_equal(expose(EXPOSED), "200 ");
    assert_string_equal(expose("{\"local\":\"127.0.0.1:53\",\"remote\":\"192.168.127.2:53\","
                               "\"protocol\":\"udp\"}"),
                        "200 ");
    assert_string_equal(all(), "200 [{\"local\":\"127.0.0.1:53\",\"remote\":\"192.168.127.2:53\","
                               "\"protocol\":\"udp\"}," EXPOSED "]\n");
    assert_string_equal(unexpose("{\"local\":\"127.0.0.1:8080\"}"), "200 ");
    assert_string_equal(unexpose("{\"local\":\"127.0.0.1:53\",\"protocol\":\"udp\"}"), "200 ");
    assert_string_equal(all(), "200 []\n");
    assert_int_equal(net_sim_open_listeners(rig->net), 0);
}

static const struct row {
    const char *name, *method, *path, *body, *want;
} rows[] = {
    { "exposed already", "POST", "/services/forwarder/expose", EXPOSED, "200 " },
    { "no protocol is tcp", "POST", "/services/forwarder/expose",
      "{\"local\":\"127.0.0.1:8080\",\"remote\":\"192.168.127.2:80\"}", "200 " },
    { "exposed elsewhere", "POST", "/services/forwarder/expose",
      "{\"local\":\"127.0.0.1:8080\",\"remote\":\"192.168.127.2:81\",\"protocol\":\"tcp\"}",
      "500 proxy already running for tcp on 127.0.0.1:8080\n" },
    { "not there", "POST", "/services/forwarder/unexpose",
      "{\"local\":\"127.0.0.1:8080\",\"protocol\":\"udp\"}", "500 proxy not found\n" },
    { "method of expose", "GET", "/services/forwarder/expose", "", "400 post only\n" },
    { "method of unexpose", "PUT", "/services/forwarder/unexpose", "", "400 post only\n" },
    { "any method of all", "POST", "/services/forwarder/all", "x", "200 [" EXPOSED "]\n" },
    { "a query", "GET", "/services/forwarder/all?x=1", "", "200 [" EXPOSED "]\n" },
    { "no JSON", "POST", "/services/forwarder/expose", "{", "400 invalid JSON\n" },
    { "no body", "POST", "/services/forwarder/unexpose", "", "400 invalid JSON\n" },
    { "a number", "POST", "/services/forwarder/expose", "{\"local\":80}", "400 invalid JSON\n" },
    { "an array", "POST", "/services/forwarder/expose", "[]", "400 invalid JSON\n" },
    { "remote without a port", "POST", "/services/forwarder/expose",
      "{\"local\":\"127.0.0.1:81\",\"remote\":\"192.168.127.2\"}",
      "400 address 192.168.127.2: missing port in address\n" },
    { "remote with a name", "POST", "/services/forwarder/expose",
      "{\"local\":\"127.0.0.1:81\",\"remote\":\"guest:80\"}", "500 invalid remote addr\n" },
    { "remote outside", "POST", "/services/forwarder/expose",
      "{\"local\":\"127.0.0.1:81\",\"remote\":\"127.0.0.1:80\"}", "500 invalid remote addr\n" },
    { "protocol", "POST", "/services/forwarder/expose",
      "{\"local\":\"/tmp/x\",\"remote\":\"192.168.127.2:80\",\"protocol\":\"unix\"}",
      "500 unknown protocol\n" },
    { "local", "POST", "/services/forwarder/expose",
      "{\"local\":\"80\",\"remote\":\"192.168.127.2:80\"}",
      "500 listen 80: not an address and a port\n" },
    { "elsewhere", "GET", "/", "", "404 404 page not found\n" },
    { "beyond", "GET", "/services/forwarder/all/", "", "404 404 page not found\n" },
    { "stats", "GET", "/stats", "", "404 404 page not found\n" },
};

static void every_answer_is_the_one_that_agents_know(void **state)
{
    assert_string_equal(expose(EXPOSED), "200 ");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = request(rows[i].method, rows[i].path, "", rows[i].body);

        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", rows[i].name, got, rows[i].want);
    }
    assert_int_equal(forward_count(&rig->s), 1);
}

static void a_remote_without_a_host_is_the_caller(void **state)
{
    assert_string_equal(expose("{\"local\":\":8801\",\"remote\":\":80\"}"), "200 ");
    assert_string_equal(all(), "200 [{\"local\":\":8801\",\"remote\":\"192.168.127.2:80\","
                               "\"protocol\":\"tcp\"}]\n");
}

static void append_change(void *ctx, const struct switch_forward *f, bool removed)
{
    char *text = ctx;
    size_t n = strlen(text);

    snprintf(text + n, 256 - n, "%c%s;", removed ? '-' : '+', f->local);
}

static void changes_are_told_once_and_only_those_of_the_api(void **state)
{
    char text[256] = "";

    switch_on_forward_change(&rig->s, append_change, text);
    assert_int_equal(switch_forward_add_spec(&rig->s, "127.0.0.1:1=192.168.127.2:1", NULL), ST_OK);
    assert_string_equal(expose(EXPOSED), "200 ");
    assert_string_equal(expose(EXPOSED), "200 ");
    net_sim_next_listen_fails(rig->net, ST_EXISTS, "taken");
    assert_memory_equal(expose("{\"local\":\":2\",\"remote\":\":2\"}"), "500", 3);
    assert_string_equal(unexpose("{\"local\":\"127.0.0.1:8080\"}"), "200 ");
    assert_string_equal(unexpose("{\"local\":\"127.0.0.1:1\"}"), "200 ");
    assert_memory_equal(unexpose("{\"local\":\"127.0.0.1:1\"}"), "500", 3);
    assert_string_equal(text, "+127.0.0.1:8080;-127.0.0.1:8080;-127.0.0.1:1;");
}

static void by_policy_a_guest_publishes_to_this_host_only(void **state)
{
    static const char *const denied[] = { "0.0.0.0:80", ":80", "[::]:80", "10.0.0.1:80",
                                          "[fd00::9]:80" };
    static const char *const allowed[] = { "127.0.0.1:80", "127.0.0.2:80", "[::1]:80" };
    char body[128];

    rig->s.config.deny_lan = true;
    for (size_t i = 0; i < ARRAY_SIZE(denied); i++) {
        snprintf(body, sizeof body, "{\"local\":\"%s\",\"remote\":\":80\"}", denied[i]);
        assert_memory_equal(expose(body), "403", 3);
        assert_int_equal(rig->s.count.forward_denied, i + 1);
    }
    for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
        snprintf(body, sizeof body, "{\"local\":\"%s\",\"remote\":\":80\"}", allowed[i]);
        assert_string_equal(expose(body), "200 ");
    }
    assert_memory_equal(expose("{\"local\":\"80\",\"remote\":\":80\"}"), "500", 3);
    assert_int_equal(forward_count(&rig->s), ARRAY_SIZE(allowed));
}

static void a_taken_port_is_said(void **state)
{
    net_sim_next_listen_fails(rig->net, ST_EXISTS, "listen 127.0.0.1:8080: taken by pid 7 (nginx)");
    assert_string_equal(expose(EXPOSED), "500 listen 127.0.0.1:8080: taken by pid 7 (nginx)\n");
    assert_string_equal(all(), "200 []\n");
}

static void api_denied_from_container(void **state)
{
    static const char *const wrong[] = { "", "Authorization: Bearer \r\n",
                                         "Authorization: Bearer s3cres\r\n",
                                         "Authorization: Bearer s3cret2\r\n",
                                         "Authorization: s3cret\r\n" };

    strcpy(rig->s.config.api_token, "s3cret");
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_string_equal(request("POST", "/services/forwarder/expose", wrong[i], EXPOSED),
                            "401 a token is needed\n");
    assert_string_equal(request("POST", "/services/forwarder/expose",
                                "Authorization: Bearer s3cret\r\n", EXPOSED),
                        "200 ");
    assert_string_equal(unexpose("{\"local\":\"127.0.0.1:8080\"}"), "401 a token is needed\n");
    assert_string_equal(all(), "200 [" EXPOSED "]\n");
}

static void several_requests_in_any_pieces_share_a_connection(void **state)
{
    for (size_t piece = 1; piece < 300; piece += 37) {
        struct sim_peer *p = rig_connect(rig, 80);
        const char *text;
        char head[128];

        sim_peer_set_piece(p, piece);
        send_request(p, "POST", "/services/forwarder/expose", "", EXPOSED);
        send_request(p, "HEAD", "/services/forwarder/all", "", "");
        send_request(p, "GET", "/services/forwarder/all", "Connection: close\r\n", "");
        sim_run(rig->sim);
        text = sim_peer_text(p);
        assert_non_null(strstr(text, "Connection: close\r\n\r\n[" EXPOSED "]\n"));
        snprintf(head, sizeof head, "Content-Length: %zu\r\n\r\nHTTP/1.1 200 OK\r\n",
                 strlen("[" EXPOSED "]\n"));
        assert_non_null(strstr(text, head)); /* the answer to HEAD */
        assert_true(sim_peer_saw_end(p));
        sim_peer_end(p);
        sim_run(rig->sim);
        assert_true(sim_peer_is_closed(p));
    }
}

static void slow_requests_end_at_their_deadline(void **state)
{
    struct sim_peer *head = rig_connect(rig, 80), *body = rig_connect(rig, 80);

    sim_peer_send_text(head, "GET /services/forwarder/all HTT");
    send_request(body, "POST", "/services/forwarder/expose", "X: y\r\nContent-Type: a\r\n", "");
    sim_run(rig->sim);
    sim_peer_drop_received(body);
    sim_peer_send_text(body, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{");
    for (unsigned i = 0; i < 4; i++) { /* bytes that come do not help */
        sim_advance_ms(rig->sim, 1000);
        sim_peer_send_text(head, "P");
        sim_peer_send_text(body, " ");
        sim_run(rig->sim);
    }
    assert_false(sim_peer_is_closed(head));
    sim_advance_ms(rig->sim, 1000);
    assert_true(sim_peer_is_closed(head));
    assert_false(sim_peer_is_closed(body));
    sim_advance_ms(rig->sim, 5000);
    assert_true(sim_peer_is_closed(body));
}

static void connections_are_bounded(void **state)
{
    struct sim_peer *peers[API_CONNS_MAX], *more;

    for (unsigned i = 0; i < API_CONNS_MAX; i++)
        peers[i] = rig_connect(rig, 80);
    more = rig_connect(rig, 80);
    assert_true(sim_peer_is_closed(more));
    assert_int_equal(rig->s.count.api_limit_hits, 1);
    sim_advance_ms(rig->sim, API_HEAD_MS);
    for (unsigned i = 0; i < API_CONNS_MAX; i++)
        assert_true(sim_peer_is_closed(peers[i]));
    assert_string_equal(all(), "200 []\n");
}

static void its_bounds_are_as_configured(void **state)
{
    static const char request[] = "POST /services/forwarder/expose HTTP/1.1\r\nHost: x\r\n"
                                  "Content-Length: 101\r\n\r\n";
    struct sim_peer *one;
    char body[101];

    forward_free(&rig->s);
    rig->service_count = 0;
    rig->s.config.limits.api_connections = 1;
    rig->s.config.limits.api_head_ms = 100;
    rig->s.config.limits.api_body_bytes = 100;
    assert_int_equal(forward_new(&rig->s), ST_OK);
    one = rig_connect(rig, 80);
    assert_true(sim_peer_is_closed(rig_connect(rig, 80)));
    assert_int_equal(rig->s.count.api_limit_hits, 1);
    sim_advance_ms(rig->sim, 99);
    assert_false(sim_peer_is_closed(one));
    sim_advance_ms(rig->sim, 1);
    assert_true(sim_peer_is_closed(one));
    one = rig_connect(rig, 80);
    memset(body, ' ', sizeof body);
    sim_peer_send_text(one, request);
    sim_peer_send(one, body, sizeof body);
    sim_run(rig->sim);
    assert_memory_equal(sim_peer_text(one), "HTTP/1.1 413", 12);
}

/* The status line of what is answered to raw bytes. */
static void assert_refused(const char *head, size_t body_bytes, const char *status)
{
    struct sim_peer *p = rig_connect(rig, 80);
    char *body = malloc(body_bytes + 1);

    assert_non_null(body);
    memset(body, 'x', body_bytes);
    sim_peer_send_text(p, head);
    sim_peer_send(p, body, body_bytes);
    free(body);
    sim_run(rig->sim);
    assert_memory_equal(sim_peer_text(p) + 9, status, 3);
    assert_true(sim_peer_saw_end(p));
    sim_advance_ms(rig->sim, API_BODY_MS);
    assert_true(sim_peer_is_closed(p));
}

static void what_is_too_large_or_no_http_is_refused(void **state)
{
    assert_refused("POST /services/forwarder/expose HTTP/1.1\r\nHost: a\r\n"
                   "Content-Length: 70000\r\n\r\n",
                   API_BODY_MAX + 1, "413");
    assert_refused("GET /services/forwarder/all HTTP/1.1\r\nX: ", 20000, "431");
    assert_refused("\x16\x03\x01 what is this\r\n\r\n", 0, "400");
}

static void a_client_may_go_or_be_cut_at_any_time(void **state)
{
    struct sim_peer *p = rig_connect(rig, 80);

    sim_peer_send_text(p, "POST /services/forwarder/expose HTTP/1.1\r\nContent-Length: 9\r\n\r\n{");
    sim_run(rig->sim);
    sim_peer_reset(p, ST_RESET);
    sim_run(rig->sim);
    p = rig_connect(rig, 80);
    sim_peer_set_room(p, 0);
    send_request(p, "GET", "/services/forwarder/all", "", "");
    sim_peer_end(p);
    sim_run(rig->sim);
    assert_false(sim_peer_is_closed(p)); /* its answer is still under way */
    sim_peer_set_room(p, SIZE_MAX);
    sim_run(rig->sim);
    assert_non_null(strstr(sim_peer_text(p), "\r\n\r\n[]\n"));
    assert_true(sim_peer_is_closed(p));
    rig_connect(rig, 80); /* and one is open when everything ends */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_exposed_is_listed_and_can_be_unexposed),
        T(every_answer_is_the_one_that_agents_know),
        T(a_remote_without_a_host_is_the_caller),
        T(changes_are_told_once_and_only_those_of_the_api),
        T(by_policy_a_guest_publishes_to_this_host_only),
        T(a_taken_port_is_said),
        T(api_denied_from_container),
        T(several_requests_in_any_pieces_share_a_connection),
        T(slow_requests_end_at_their_deadline),
        T(connections_are_bounded),
        T(its_bounds_are_as_configured),
        T(what_is_too_large_or_no_http_is_refused),
        T(a_client_may_go_or_be_cut_at_any_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
