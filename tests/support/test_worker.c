/* SPDX-License-Identifier: Apache-2.0
 * test_worker.c - a worker that fails in the way it is told, for the tests of worker_host.
 *
 * `test_worker MODE`: healthy, never-ready, garbage. A healthy one obeys Shutdown, whose reason is
 * a command: exit:N, kill, stop (SIGSTOP), hang, spin, notice, close, out-of-order, assert,
 * complain.
 */
#include "base/log.h"
#include "base/util.h"
#include "port/process.h"
#include "port/stream.h"
#include "port/uv/loop_uv.h"
#include "supervisor/worker_link.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    struct loop *loop;
    struct worker_link *link;
    uint64_t reports;
    struct timer stay; /* keeps the loop busy when nothing else does */
    struct timer spin; /* ... and the processor */
    bool spins;
};

static void fill_health(void *ctx, struct health_report *out)
{
    struct worker *w = ctx;
    struct health_component *c = health_add(out, "test");

    c->state = HEALTH_SERVING;
    condition_update(&c->conditions, "Testing", COND_TRUE, "AsTold", 1000, "all is well");
    w->reports += !w->spins;
    health_count(c, "reports", w->reports);
}

static void on_drain(void *ctx, uint32_t deadline_ms)
{
    struct worker *w = ctx;

    loop_uv_stop(w->loop);
}

static void on_stay_over(void *ctx)
{
}

/* Under Wine a turn of the loop is mostly the work of another process. */
static void on_spin(void *ctx)
{
    struct worker *w = ctx;

    for (volatile unsigned i = 0; i < 500000; i++)
        ;
    timer_start(&w->spin, 0);
}

static void send_what_is_never_taken(struct worker *w)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Drain drain = RDLINK__V1__DRAIN__INIT;

    msg.body_case = RDLINK__V1__ENVELOPE__BODY_DRAIN;
    msg.drain = &drain;
    worker_link_send(w->link, &msg);
}

static void hang(void)
{
    volatile int forever = 1;

    while (forever)
        ;
}

static void on_shutdown(void *ctx, const char *command)
{
    struct worker *w = ctx;

    if (!strcmp(command, "assert")) {
        ASSERT(!"as told");
    } else if (!strcmp(command, "complain")) {
        log_error(LOG_MAIN, "the moon is full");
        exit(7);
    } else if (!strncmp(command, "exit:", 5)) {
        exit(atoi(command + 5));
    } else if (!strcmp(command, "kill")) {
#ifdef SIGKILL
        raise(SIGKILL);
#endif
    } else if (!strcmp(command, "stop")) {
#ifdef SIGSTOP
        raise(SIGSTOP);
#endif
    } else if (!strcmp(command, "hang")) {
        hang();
    } else if (!strcmp(command, "spin")) {
        w->spins = true;
        timer_start(&w->spin, 0);
    } else if (!strcmp(command, "notice")) {
        worker_link_exit_notice(w->link, 3, "ListenFailed", "the port is taken");
        worker_link_free(w->link);
        exit(3);
    } else if (!strcmp(command, "close")) {
        worker_link_free(w->link);
        w->link = NULL;
        fclose(stdin); /* libuv leaves standard descriptors open */
        timer_start(&w->stay, 60000);
    } else if (!strcmp(command, "out-of-order")) {
        send_what_is_never_taken(w);
    }
}

static void on_end(void *ctx, enum channel_end why, const char *detail)
{
    struct worker *w = ctx;

    loop_uv_stop(w->loop);
}

static const struct worker_link_ops ops = {
    .fill_health = fill_health,
    .on_drain = on_drain,
    .on_shutdown = on_shutdown,
    .on_end = on_end,
};

static int run_link(struct worker *w, bool is_ready)
{
    const struct worker_link_config config = {
        .role = RDLINK__V1__ROLE__ROLE_WORKER_DOCKER,
        .instance = "test",
        .health_ms = 50,
        .spin_ms = 400,
    };
    struct errmsg e = { .text = "" };

    if (worker_link_open(&w->link, w->loop, &config, &ops, w, &e) != ST_OK) {
        fprintf(stderr, "test_worker: %s\n", e.text);
        return 1;
    }
    if (is_ready)
        worker_link_ready(w->link, "ready for tests");
    loop_uv_run(w->loop);
    worker_link_free(w->link);
    timer_stop(&w->stay);
    return 0;
}

static void ignore_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
}

static void ignore(void *ctx)
{
}

static void stop_loop(void *ctx, enum status why)
{
    struct worker *w = ctx;

    loop_uv_stop(w->loop);
}

/* Speaks HTTP where rdlink.v1 is expected, and waits to be ended. */
static int run_garbage(struct worker *w)
{
    static const struct stream_handler handler = { ignore_data, ignore, ignore, stop_loop };
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";
    struct errmsg e = { .text = "" };
    struct stream *s = NULL;

    if (process_control_stream(w->loop, &s, &e) != ST_OK)
        return 1;
    stream_set_handler(s, &handler, w);
    stream_read_start(s);
    stream_write(s, request, sizeof request - 1);
    loop_uv_run(w->loop);
    stream_close(s);
    return 0;
}

int main(int argc, char **argv)
{
    struct worker w = { .reports = 0 };
    const char *mode = argc > 1 ? argv[1] : "";
    struct errmsg e = { .text = "" };
    int code;

    if (loop_uv_new(&w.loop, &e) != ST_OK)
        return 1;
    timer_init(&w.stay, w.loop, on_stay_over, &w);
    timer_init(&w.spin, w.loop, on_spin, &w);
    if (!strcmp(mode, "garbage"))
        code = run_garbage(&w);
    else
        code = run_link(&w, strcmp(mode, "never-ready") != 0);
    loop_uv_free(w.loop);
    return code;
}
