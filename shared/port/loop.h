/* SPDX-License-Identifier: Apache-2.0
 * loop.h - the environment a feature runs in: clock, timers, and the ways to reach a peer.
 *
 * A loop is one thread's event loop. Everything that takes a struct loop runs on that thread only.
 * port/uv implements it over libuv (production, both systems); port/sim implements it with a
 * virtual clock and scripted peers (tests). Features never see which one they got.
 *
 * Timers are embedded in their owner and hang on one intrusive list, so that stopping one is
 * immediate and an owner can be freed at once; only the earliest deadline is armed below.
 */
#ifndef SHARED_PORT_LOOP_H
#define SHARED_PORT_LOOP_H

#include "base/list.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct addr;
struct dial;
struct listener;
struct listener_handler;
struct listener_opts;
struct loop;
struct stream;

/* ---- timers ---------------------------------------------------------------------------- */

typedef void timer_fn(void *ctx);

struct timer {
    struct list link;  /* on loop->timers, ordered by due_ms; self-linked when stopped */
    struct loop *loop; /* borrowed, outlives the timer */
    uint64_t due_ms;
    timer_fn *fire;
    void *ctx;
};

void timer_init(struct timer *t, struct loop *loop, timer_fn *fire, void *ctx);
/* Fires once, never before the caller returned to the loop, even for @delay_ms == 0. Starting a
 * running timer moves it. */
void timer_start(struct timer *t, uint64_t delay_ms);
void timer_stop(struct timer *t);
bool timer_is_running(const struct timer *t);

/* ---- the loop -------------------------------------------------------------------------- */

/* Ends a dial: @st is ST_OK and @s the caller's to close, or @s is NULL and @why says the reason.
 */
typedef void dial_done_fn(void *ctx, enum status st, struct stream *s, const struct errmsg *why);

/* What a loop may be told to expect: that it came in time is learnt for each apart. */
enum loop_expectation { LOOP_ANSWER, LOOP_QUESTION, LOOP_EXPECTATIONS };

struct loop_ops {
    uint64_t (*now_ms)(struct loop *);
    /* The earliest timer changed; UINT64_MAX = none. */
    void (*arm)(struct loop *, uint64_t due_ms);
    enum status (*dial)(struct loop *, struct dial **out, const struct addr *to,
                        uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e);
    void (*dial_cancel)(struct dial *);
    enum status (*listen)(struct loop *, struct listener **out, const struct addr *at,
                          const struct listener_opts *opts, const struct listener_handler *handler,
                          void *ctx, struct errmsg *e);
    void (*expect)(struct loop *, enum loop_expectation what); /* NULL: makes no difference */
};

struct loop {
    const struct loop_ops *ops;
    struct list timers;
};

/* For implementations: once at start, and when the armed deadline has come. */
void loop_init(struct loop *loop, const struct loop_ops *ops);
void loop_run_timers(struct loop *loop);

/* Monotonic milliseconds; constant while one event is handled. */
static inline uint64_t loop_now_ms(struct loop *loop)
{
    return loop->ops->now_ms(loop);
}

/* An event is likely to come within microseconds, for somebody who waits for it: the loop looks for
 * it awake, if that has paid before and nobody else needs the core (port/vigil.c). */
static inline void loop_expect(struct loop *loop, enum loop_expectation what)
{
    if (loop->ops->expect)
        loop->ops->expect(loop, what);
}

/* Starts to connect. @done is called exactly once, never before this returns, unless the dial is
 * cancelled first. @timeout_ms covers everything up to a usable stream, name of the port in a
 * hybrid socket included. On a status other than ST_OK nothing was started. *out is borrowed: it
 * is valid until @done is called or dial_cancel() returns. */
static inline enum status dial_start(struct loop *loop, struct dial **out, const struct addr *to,
                                     uint64_t timeout_ms, dial_done_fn *done, void *ctx,
                                     struct errmsg *e)
{
    return loop->ops->dial(loop, out, to, timeout_ms, done, ctx, e);
}

/* @done will not be called. NULL is fine. */
static inline void dial_cancel(struct loop *loop, struct dial *d)
{
    if (d)
        loop->ops->dial_cancel(d);
}

#endif
