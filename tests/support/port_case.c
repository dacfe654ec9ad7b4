/* SPDX-License-Identifier: Apache-2.0 */
#include "support/port_case.h"

#include "base/util.h"
#include "port/sys.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

enum { WATCHDOG_MS = 10000, PORT_TRIES = 50 };

/* ---- recorder -------------------------------------------------------------------------- */

static void recorder_close_if(struct recorder *r, unsigned when)
{
    if (r->close_on & when)
        recorder_close(r);
}

static void on_data(void *ctx, const uint8_t *data, size_t len)
{
    struct recorder *r = ctx;

    if (r->bytes < sizeof r->data)
        memcpy(r->data + r->bytes, data, MIN(len, sizeof r->data - r->bytes));
    r->bytes += len;
    r->calls++;
    if (r->stop_after_calls && r->calls == r->stop_after_calls)
        stream_read_stop(r->stream);
    recorder_close_if(r, RECORDER_CLOSE_DATA);
}

static void on_eof(void *ctx)
{
    struct recorder *r = ctx;

    r->eofs++;
    recorder_close_if(r, RECORDER_CLOSE_EOF);
}

static void on_drained(void *ctx)
{
    struct recorder *r = ctx;

    r->drains++;
    recorder_close_if(r, RECORDER_CLOSE_DRAIN);
}

static void on_error(void *ctx, enum status why)
{
    struct recorder *r = ctx;

    assert_int_equal(r->error, ST_OK);
    r->error = why;
    recorder_close_if(r, RECORDER_CLOSE_ERROR);
}

static const struct stream_handler recorder_handler = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
};

void recorder_attach(struct recorder *r, struct stream *s)
{
    r->stream = s;
    stream_set_handler(s, &recorder_handler, r);
}

void recorder_close(struct recorder *r)
{
    stream_close(r->stream);
    r->stream = NULL;
}

/* ---- the loop -------------------------------------------------------------------------- */

static const char *watched;

static void on_watchdog(void *ctx)
{
    fail_msg("never came true: %s", watched);
}

void port_case_init(struct port_case *c)
{
    struct errmsg e;

    memset(c, 0, sizeof *c);
    if (loop_uv_new(&c->loop, &e))
        fail_msg("%s", e.text);
    timer_init(&c->watchdog, c->loop, on_watchdog, c);
}

void port_case_fini(struct port_case *c)
{
    listener_close(c->listener);
    for (unsigned i = 0; i < PORT_CASE_MAX_ACCEPTED; i++)
        recorder_close(&c->accepted[i]);
    recorder_close(&c->dialled);
    loop_uv_free(c->loop);
}

void port_case_watch(struct port_case *c, const char *what)
{
    watched = what;
    timer_start(&c->watchdog, WATCHDOG_MS);
}

void port_case_unwatch(struct port_case *c)
{
    timer_stop(&c->watchdog);
}

void port_case_turn(struct port_case *c)
{
    loop_uv_run_once(c->loop);
}

static void on_settled(void *ctx)
{
    bool *settled = ctx;

    *settled = true;
}

void port_case_settle(struct port_case *c)
{
    bool settled;
    struct timer t;

    /* A turn handles all that is ready and then the timers; a few turns for what follows from it.
     */
    for (int i = 0; i < 4; i++) {
        settled = false;
        timer_init(&t, c->loop, on_settled, &settled);
        timer_start(&t, 1);
        port_case_wait(c, settled);
    }
}

/* ---- listening and dialling ------------------------------------------------------------ */

static void on_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    struct port_case *c = ctx;

    if (c->accepted_count == PORT_CASE_MAX_ACCEPTED) {
        stream_close(s);
        return;
    }
    c->accepted[c->accepted_count].peer = *peer;
    recorder_attach(&c->accepted[c->accepted_count++], s);
}

static void on_state(void *ctx, enum status st, const struct errmsg *why)
{
    struct port_case *c = ctx;

    assert_true(why->text[0]);
    c->state = st;
    c->states++;
}

static const struct listener_handler listener_handler = {
    .on_accept = on_accept,
    .on_state = on_state,
};

static enum status try_listen(struct port_case *c, const char *text, struct errmsg *e)
{
    static const struct listener_opts opts = { .adopt_fd = -1 };

    assert_int_equal(addr_parse(&c->at, text, e), ST_OK);
    return listener_open(c->loop, &c->listener, &c->at, &opts, &listener_handler, c, e);
}

bool port_case_listen(struct port_case *c, const char *text)
{
    unsigned first = 20000 + (unsigned)(sys_pid() * 7 % 20000);
    enum status st = ST_EXISTS;
    struct errmsg e = { "" };

    for (unsigned i = 0; st == ST_EXISTS && i < PORT_TRIES; i++) {
        char numbered[ADDR_TEXT_MAX];
        const char *hole = strstr(text, "%u");

        if (hole)
            snprintf(numbered, sizeof numbered, "%.*s%u%s", (int)(hole - text), text, first + i,
                     hole + 2);
        else
            snprintf(numbered, sizeof numbered, "%s", text);
        st = try_listen(c, numbered, &e);
    }
    if (st == ST_UNSUPPORTED)
        return false;
    if (st)
        fail_msg("%s", e.text);
    return true;
}

static void on_dialled(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct port_case *c = ctx;

    c->dial_status = st;
    c->dials_done++;
    snprintf(c->dial_why, sizeof c->dial_why, "%s", why->text);
    if (st == ST_OK)
        recorder_attach(&c->dialled, s);
    else
        assert_null(s);
}

struct dial *port_case_dial(struct port_case *c, const struct addr *to, uint64_t timeout_ms)
{
    struct dial *d = NULL;
    struct errmsg e;
    unsigned before = c->dials_done;
    enum status st = dial_start(c->loop, &d, to ? to : &c->at, timeout_ms, on_dialled, c, &e);

    if (st)
        fail_msg("%s", e.text);
    assert_int_equal(c->dials_done, before);
    return d;
}

bool port_case_pair(struct port_case *c, const char *text)
{
    if (!port_case_listen(c, text))
        return false;
    port_case_dial(c, NULL, 5000);
    port_case_wait(c, c->dials_done > 0 && c->accepted_count > 0);
    assert_int_equal(c->dial_status, ST_OK);
    return true;
}
