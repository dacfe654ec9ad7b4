/* SPDX-License-Identifier: Apache-2.0 */
#include "docker/docker_probe.h"

#include "port/addr.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

enum { INTERVAL_MS = 2000, AGAIN_MS = 200, TIMEOUT_MS = 1000 };

struct fixture {
    struct sim *sim;
    struct docker_probe *probe;
    unsigned answers;
    enum docker_answer last;
    char detail[256];
};

static void on_answer(void *ctx, enum docker_answer answer, const char *detail)
{
    struct fixture *f = ctx;

    f->answers++;
    f->last = answer;
    snprintf(f->detail, sizeof f->detail, "%s", detail);
}

static struct addr guest(void)
{
    struct addr a;

    assert_int_equal(addr_parse(&a, "vsock:3:6660", NULL), ST_OK);
    return a;
}

static void start(struct fixture *f)
{
    struct addr to = guest();

    *f = (struct fixture){ .sim = sim_new() };
    assert_int_equal(docker_probe_new(&f->probe, sim_loop(f->sim), INTERVAL_MS, TIMEOUT_MS,
                                      on_answer, f),
                     ST_OK);
    docker_probe_set_target(f->probe, &to);
}

static void stop(struct fixture *f)
{
    docker_probe_free(f->probe);
    sim_free(f->sim);
}

/* The peer that was asked, after its question arrived. */
static struct sim_peer *asked(struct fixture *f)
{
    struct sim_peer *p;

    sim_next_dial(f->sim, ST_OK, 0);
    sim_run(f->sim);
    p = sim_take_dialled(f->sim);
    assert_non_null(p);
    assert_memory_equal(sim_peer_text(p), "GET /_ping HTTP/1.1\r\n", 21);
    return p;
}

static void only_an_answer_200_counts(void **state)
{
    static const struct {
        const char *name, *answer;
        enum docker_answer want;
        const char *detail;
    } rows[] = {
        { "docker's own", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", DOCKER_ANSWERS, "" },
        { "until the end", "HTTP/1.1 200 OK\r\n\r\nOK", DOCKER_ANSWERS, "" },
        { "the bridge's refusal",
          "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 8\r\n\r\nno sock!", DOCKER_REFUSES,
          "GET /_ping answered 503: no sock!" },
        { "a refusal cut short", "HTTP/1.1 500 Oops\r\nContent-Length: 80\r\n\r\nsorry",
          DOCKER_REFUSES, "GET /_ping answered 500: sorry" },
        { "not HTTP", "SSH-2.0-OpenSSH\r\n", DOCKER_GARBLED, "GET /_ping: the answer is not HTTP" },
        { "nothing", "", DOCKER_GARBLED, "GET /_ping: the connection ended before the answer did" },
        { "half a head", "HTTP/1.1 200 OK\r\nCont", DOCKER_GARBLED,
          "GET /_ping: the connection ended before the answer did" },
    };

    for (unsigned piece = 0; piece < 2; piece++) {
        for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
            struct fixture f;
            struct sim_peer *p;

            start(&f);
            p = asked(&f);
            sim_peer_set_piece(p, piece);
            sim_peer_send_text(p, rows[i].answer);
            sim_peer_end(p);
            sim_run(f.sim);
            if (f.answers != 1 || f.last != rows[i].want || strcmp(f.detail, rows[i].detail) != 0)
                fail_msg("%s: %u answers, last %d '%s'", rows[i].name, f.answers, (int)f.last,
                         f.detail);
            assert_true(sim_peer_is_closed(p));
            stop(&f);
        }
    }
}

static void a_dial_that_fails_is_unreachable(void **state)
{
    struct fixture f;

    start(&f);
    sim_next_dial(f.sim, ST_REFUSED, 5);
    sim_advance_ms(f.sim, 5);
    assert_int_equal(f.last, DOCKER_UNREACHABLE);
    sim_next_dial_start_fails(f.sim, ST_NOFILES);
    sim_advance_ms(f.sim, AGAIN_MS);
    assert_int_equal(f.answers, 2);
    assert_int_equal(f.last, DOCKER_UNREACHABLE);
    stop(&f);
}

static void silence_is_told_after_the_timeout_and_asked_again_soon(void **state)
{
    struct fixture f;
    struct sim_peer *p;

    start(&f);
    p = asked(&f);
    sim_advance_ms(f.sim, TIMEOUT_MS - 1);
    assert_int_equal(f.answers, 0);
    sim_advance_ms(f.sim, 1);
    assert_int_equal(f.last, DOCKER_SILENT);
    assert_true(sim_peer_is_closed(p));
    sim_next_dial(f.sim, ST_OK, 0);
    sim_advance_ms(f.sim, AGAIN_MS);
    p = sim_take_dialled(f.sim);
    assert_non_null(p);
    sim_peer_reset(p, ST_RESET);
    sim_run(f.sim);
    assert_int_equal(f.last, DOCKER_GARBLED);
    assert_int_equal(f.answers, 2);
    stop(&f);
}

static void one_question_at_a_time(void **state)
{
    struct fixture f;

    start(&f);
    (void)asked(&f);
    docker_probe_now(f.probe);
    sim_run(f.sim);
    assert_int_equal(sim_dial_count(f.sim), 1);
    stop(&f); /* in the middle of a question: nothing may leak */
}

static void no_target_means_no_question(void **state)
{
    struct fixture f;

    start(&f);
    (void)asked(&f);
    docker_probe_set_target(f.probe, NULL);
    docker_probe_now(f.probe);
    sim_advance_ms(f.sim, 10 * INTERVAL_MS);
    assert_int_equal(f.answers, 0);
    assert_int_equal(sim_dial_count(f.sim), 1);
    assert_int_equal(sim_open_streams(f.sim), 0);
    stop(&f);
}

static void an_endless_answer_is_cut(void **state)
{
    struct fixture f;
    struct sim_peer *p;

    start(&f);
    p = asked(&f);
    sim_peer_send_text(p, "HTTP/1.1 200 OK\r\n\r\n");
    for (unsigned i = 0; i < 100; i++)
        sim_peer_send(p, (uint8_t[1024]){ 0 }, 1024);
    sim_run(f.sim);
    assert_int_equal(f.answers, 1);
    assert_int_equal(f.last, DOCKER_GARBLED);
    stop(&f);
}

static void a_long_refusal_is_a_refusal(void **state)
{
    struct fixture f;
    struct sim_peer *p;

    start(&f);
    p = asked(&f);
    sim_peer_send_text(p, "HTTP/1.1 502 Bad Gateway\r\n\r\n");
    for (unsigned i = 0; i < 100; i++)
        sim_peer_send_text(p, "<p>an error page of somebody's proxy, which goes on and on</p>\n");
    sim_run(f.sim);
    assert_int_equal(f.answers, 1);
    assert_int_equal(f.last, DOCKER_REFUSES);
    assert_memory_equal(f.detail, "GET /_ping answered 502", 23);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_an_answer_200_counts),
        cmocka_unit_test(a_dial_that_fails_is_unreachable),
        cmocka_unit_test(silence_is_told_after_the_timeout_and_asked_again_soon),
        cmocka_unit_test(one_question_at_a_time),
        cmocka_unit_test(no_target_means_no_question),
        cmocka_unit_test(an_endless_answer_is_cut),
        cmocka_unit_test(a_long_refusal_is_a_refusal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
