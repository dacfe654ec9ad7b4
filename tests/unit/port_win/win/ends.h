/* SPDX-License-Identifier: Apache-2.0
 * ends.h - both ends of a connection in one loop, recorded: what port/win's tests look at.
 */
#ifndef TESTS_UNIT_PORT_WIN_WIN_ENDS_H
#define TESTS_UNIT_PORT_WIN_WIN_ENDS_H

#include "base/util.h"
#include "port/addr.h"
#include "port/listener.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/uv/loop_uv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { END_MAX = 2 * 1024 * 1024, ENDS_ACCEPT_MAX = 64 };

struct end {
    struct stream *s;
    uint8_t *got; /* END_MAX bytes */
    size_t len;
    unsigned eofs, drained, errors;
    enum status error;
    bool close_on_data;
};

struct ends {
    struct loop *loop;
    struct timer guard;
    struct listener *listener;
    struct end client, server; /* the server end is the first one accepted */
    struct stream *accepted[ENDS_ACCEPT_MAX];
    unsigned accepted_count;
    struct peer peer;
    enum status dialled;
    struct errmsg why;
    unsigned dials_done;
};

static inline void end_on_data(void *ctx, const uint8_t *data, size_t len)
{
    struct end *end = ctx;
    assert_int_equal(end->errors, 0);
    assert_int_equal(end->eofs, 0);
    assert_true(end->len + len <= END_MAX);
    memcpy(end->got + end->len, data, len);
    end->len += len;
    if (end->close_on_data) {
        stream_close(end->s);
        end->s = NULL;
    }
}

static inline void end_on_eof(void *ctx)
{
    ((struct end *)ctx)->eofs++;
}

static inline void end_on_drained(void *ctx)
{
    ((struct end *)ctx)->drained++;
}

static inline void end_on_error(void *ctx, enum status why)
{
    ((struct end *)ctx)->errors++;
    ((struct end *)ctx)->error = why;
}

static const struct stream_handler end_handler = {
    .on_data = end_on_data,
    .on_eof = end_on_eof,
    .on_drained = end_on_drained,
    .on_error = end_on_error,
};

static inline void end_take(struct end *end, struct stream *s)
{
    end->s = s;
    stream_set_handler(s, &end_handler, end);
}

static inline void ends_on_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    struct ends *t = ctx;
    assert_true(t->accepted_count < ENDS_ACCEPT_MAX);
    t->peer = *peer;
    if (t->accepted_count == 0)
        end_take(&t->server, s);
    else
        stream_set_handler(s, &end_handler, &t->server);
    t->accepted[t->accepted_count++] = s;
}

static const struct listener_handler ends_listener = { .on_accept = ends_on_accept };

static inline void ends_on_dial(void *ctx, enum status st, struct stream *s,
                                const struct errmsg *why)
{
    struct ends *t = ctx;
    t->dials_done++;
    t->dialled = st;
    t->why = *why;
    if (st == ST_OK)
        end_take(&t->client, s);
    else
        assert_null(s);
}

static inline void ends_too_late(void *ctx)
{
    fail_msg("nothing happened for 20 s");
}

static inline void ends_setup(struct ends *t)
{
    memset(t, 0, sizeof(*t));
    t->client.got = malloc(END_MAX);
    t->server.got = malloc(END_MAX);
    assert_int_equal(loop_uv_new(&t->loop, NULL), ST_OK);
    timer_init(&t->guard, t->loop, ends_too_late, t);
    timer_start(&t->guard, 20000);
}

/* Turns the loop until @cond holds. */
#define ENDS_RUN_UNTIL(t, cond)                       \
    do {                                              \
        timer_start(&(t)->guard, 20000);              \
        while (!(cond))                               \
            assert_true(loop_uv_run_once((t)->loop)); \
    } while (0)

static inline void ends_listen(struct ends *t, const struct addr *at,
                               const struct listener_opts *opts)
{
    struct errmsg e = { "" };
    if (listener_open(t->loop, &t->listener, at, opts, &ends_listener, t, &e) != ST_OK)
        fail_msg("listen: %s", e.text);
}

/* Returns once both ends are there. */
static inline void ends_connect(struct ends *t, const struct addr *to)
{
    struct dial *d;
    unsigned before = t->accepted_count;
    struct errmsg e = { "" };
    if (dial_start(t->loop, &d, to, 5000, ends_on_dial, t, &e) != ST_OK)
        fail_msg("dial: %s", e.text);
    ENDS_RUN_UNTIL(t, t->dials_done > 0 && (t->dialled || t->accepted_count > before));
    if (t->dialled)
        fail_msg("dial: %s: %s", status_text(t->dialled), t->why.text);
}

/* The streams the test has not closed, the listener, the loop: freeing it proves that nothing of
 * them is left. */
static inline void ends_teardown(struct ends *t)
{
    stream_close(t->client.s);
    for (unsigned i = 0; i < t->accepted_count; i++) {
        if (i > 0 || t->server.s)
            stream_close(t->accepted[i]);
    }
    listener_close(t->listener);
    timer_stop(&t->guard);
    loop_uv_free(t->loop);
    free(t->client.got);
    free(t->server.got);
}

#endif
