/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * One uv_loop_t, one uv_timer_t for all of our timers, one receive buffer for all streams.
 *
 * A timer that is started without a delay while timers run waits for the end of the next turn, when
 * its events were handled. libuv alone would run it at once, and one that starts itself again (a
 * link being filled as long as it takes more) would keep the loop from looking for events.
 *
 * While something is expected at once (loop_expect()) an idle handle keeps libuv from sleeping. It
 * offers the core to others each turn, and sees by the clock whether it was taken.
 *
 * The buffer: libuv asks for memory when bytes are there, not before (readiness on Linux, zero-byte
 * reads on Windows), and a handler has copied or forwarded what it wants when it returns. So one
 * buffer serves every stream of the loop, and an idle connection costs its handle only. Its size is
 * the most that one wake-up reads at a time: see LOOP_UV_SCRATCH_BYTES.
 *
 * End of life: closing a libuv handle takes a turn of the loop, so loop_uv_free() turns it until
 * the last one is gone, after it gave last bytes their time. What nobody closed is a leak of the
 * program and stops it there, instead of hanging for ever in that turn; children that were killed
 * and forgotten are waited for.
 */
#include "port/uv/loop_uv.h"

#include "port/addr.h"
#include "port/listener.h"
#include "port/uv/hybrid.h"
#include "port/uv/loop_uv_internal.h"
#include "port/uv/uv_status.h"

#include <signal.h>
#include <stdlib.h>

/* A unix socket holds a good 200 KiB by default. With 64 KiB a bulk stream takes four times the
 * system calls of 128 KiB for the same bytes; 256 KiB gains nothing more and crowds the cache. */
enum { LOOP_UV_SCRATCH_BYTES = 128 * 1024 };

/* SIGBREAK and SIGHUP are what libuv makes of Ctrl-Break, a closed console window and the end of
 * the session on Windows. */
static const int stop_signals[] = {
    SIGINT,
    SIGTERM,
#ifdef SIGBREAK
    SIGBREAK,
    SIGHUP,
#endif
};

_Static_assert(ARRAY_SIZE(stop_signals) <= LOOP_UV_MAX_SIGNALS, "a handle for each signal");

static uint64_t loop_uv_now_ms(struct loop *loop)
{
    return uv_now(&loop_uv_of(loop)->uv);
}

static void run_timers(struct loop_uv *self)
{
    self->in_timers = true;
    loop_run_timers(&self->base);
    self->in_timers = false;
}

static void on_timer(uv_timer_t *timer)
{
    struct loop_uv *self = timer->data;

    run_timers(self);
    /* libuv would go on to wait for an event, but something has happened in this turn already. */
    if (self->single_turn)
        uv_stop(&self->uv);
}

static void on_turn_end(uv_check_t *check)
{
    struct loop_uv *self = check->data;

    if (uv_is_active((uv_handle_t *)&self->awake))
        run_timers(self);
}

static void on_awake(uv_idle_t *idle)
{
    /* That it runs is all. */
}

static void on_lookout(uv_idle_t *idle)
{
    struct loop_uv *self = idle->data;
    uint64_t before_ns = uv_hrtime(), now_ns;

    os_yield();
    now_ns = uv_hrtime();
    if (!vigil_goes_on(&self->vigil, now_ns, now_ns - before_ns))
        uv_idle_stop(idle);
}

static void loop_uv_expect(struct loop *loop, enum loop_expectation what)
{
    struct loop_uv *self = loop_uv_of(loop);

    if (vigil_begin(&self->vigil, what, uv_hrtime()))
        uv_idle_start(&self->lookout, on_lookout);
    else
        uv_idle_stop(&self->lookout);
}

static void loop_uv_arm(struct loop *loop, uint64_t due_ms)
{
    struct loop_uv *self = loop_uv_of(loop);
    uint64_t now = uv_now(&self->uv);

    if (due_ms <= now && self->in_timers) {
        uv_timer_stop(&self->timer);
        uv_idle_start(&self->awake, on_awake);
        return;
    }
    uv_idle_stop(&self->awake);
    if (due_ms == UINT64_MAX)
        uv_timer_stop(&self->timer);
    else
        uv_timer_start(&self->timer, on_timer, due_ms > now ? due_ms - now : 0, 0);
}

static enum status loop_uv_dial(struct loop *loop, struct dial **out, const struct addr *to,
                                uint64_t timeout_ms, dial_done_fn *done, void *ctx,
                                struct errmsg *e)
{
    switch (to->kind) {
    case ADDR_VSOCK_HYBRID:
    case ADDR_TCP_HYBRID: return hybrid_dial_start(loop, out, to, timeout_ms, done, ctx, e);
    case ADDR_TCP: return dial_uv_start(loop, out, to, timeout_ms, done, ctx, e);
    default: return os_dial(loop, out, to, timeout_ms, done, ctx, e);
    }
}

static void loop_uv_dial_cancel(struct dial *dial)
{
    dial->cancel(dial);
}

static enum status loop_uv_listen(struct loop *loop, struct listener **out, const struct addr *at,
                                  const struct listener_opts *opts,
                                  const struct listener_handler *handler, void *ctx,
                                  struct errmsg *e)
{
    static const struct listener_opts defaults = { .adopt_fd = -1 };

    if (!opts)
        opts = &defaults;
    if (at->kind == ADDR_VSOCK_HYBRID || at->kind == ADDR_TCP_HYBRID)
        return hybrid_listen(loop, out, at, opts, handler, ctx, e);
    return os_listen(loop, out, at, opts, handler, ctx, e);
}

static const struct loop_ops loop_uv_ops = {
    .now_ms = loop_uv_now_ms,
    .arm = loop_uv_arm,
    .dial = loop_uv_dial,
    .dial_cancel = loop_uv_dial_cancel,
    .listen = loop_uv_listen,
    .expect = loop_uv_expect,
};

enum status loop_uv_new(struct loop **out, struct errmsg *e)
{
    struct loop_uv *self = calloc(1, sizeof *self);
    enum status st = ST_NOMEM;
    int err;

    if (!self)
        goto fail;
    self->scratch = malloc(LOOP_UV_SCRATCH_BYTES);
    if (!self->scratch)
        goto fail;
    err = uv_loop_init(&self->uv);
    if (err) {
        st = uv_status(err);
        goto fail;
    }
    loop_init(&self->base, &loop_uv_ops);
    list_init(&self->hybrid_hubs);
    uv_timer_init(&self->uv, &self->timer);
    self->timer.data = self;
    uv_idle_init(&self->uv, &self->awake);
    uv_idle_init(&self->uv, &self->lookout);
    self->lookout.data = self;
    uv_check_init(&self->uv, &self->turn_end);
    self->turn_end.data = self;
    /* The first of all: libuv runs the last one first, and what others do then is in time. */
    uv_check_start(&self->turn_end, on_turn_end);
    uv_unref((uv_handle_t *)&self->turn_end);
#ifdef SIGPIPE
    signal(SIGPIPE, SIG_IGN); /* a peer that went away is an error of the write, not our end */
#endif
    *out = &self->base;
    return ST_OK;
fail:
    errmsg_set(e, "create event loop: %s", status_text(st));
    if (self)
        free(self->scratch);
    free(self);
    return st;
}

void loop_uv_run(struct loop *loop)
{
    uv_run(&loop_uv_of(loop)->uv, UV_RUN_DEFAULT);
}

bool loop_uv_run_once(struct loop *loop)
{
    struct loop_uv *self = loop_uv_of(loop);
    bool alive;

    self->single_turn = true;
    alive = uv_run(&self->uv, UV_RUN_ONCE) != 0;
    self->single_turn = false;
    return alive;
}

void loop_uv_stop(struct loop *loop)
{
    uv_stop(&loop_uv_of(loop)->uv);
}

static void assert_closing(uv_handle_t *handle, void *ctx)
{
    uv_handle_type type = uv_handle_get_type(handle);

    /* An async is a completion_queue, which closes itself with the last cancelled operation. */
    ASSERT(uv_is_closing(handle) || type == UV_PROCESS || type == UV_ASYNC);
}

enum { LOOP_UV_LAST_BYTES_MS = 1500 }; /* half as much again as a channel lingers */

/* A stream whose owner is gone may still send its last bytes (channel_free), bounded by a timer. */
static void let_last_bytes_leave(struct loop_uv *self)
{
    struct list *timers = &self->base.timers;
    uint64_t limit_ms;

    uv_update_time(&self->uv);
    limit_ms = uv_now(&self->uv) + LOOP_UV_LAST_BYTES_MS;
    while (!list_is_empty(timers) &&
           container_of(timers->next, struct timer, link)->due_ms <= limit_ms)
        uv_run(&self->uv, UV_RUN_ONCE);
}

void loop_uv_free(struct loop *loop)
{
    struct loop_uv *self = loop_uv_of(loop);

    ASSERT(list_is_empty(&self->hybrid_hubs));
    for (unsigned i = 0; i < self->signal_count; i++)
        uv_close((uv_handle_t *)&self->signals[i], NULL);
    if (self->has_reload_signal)
        uv_close((uv_handle_t *)&self->reload_signal, NULL);
    let_last_bytes_leave(self);
    uv_close((uv_handle_t *)&self->timer, NULL);
    uv_close((uv_handle_t *)&self->awake, NULL);
    uv_close((uv_handle_t *)&self->lookout, NULL);
    uv_close((uv_handle_t *)&self->turn_end, NULL);
    uv_walk(&self->uv, assert_closing, NULL);
    while (uv_run(&self->uv, UV_RUN_ONCE) != 0)
        ;
    ASSERT(uv_loop_close(&self->uv) == 0);
    free(self->scratch);
    free(self);
}

struct uv_loop_s *loop_uv_handle(struct loop *loop)
{
    return &loop_uv_of(loop)->uv;
}

uint8_t *loop_uv_scratch(struct loop *loop, size_t *cap)
{
    *cap = LOOP_UV_SCRATCH_BYTES;
    return loop_uv_of(loop)->scratch;
}

static void on_uv_signal(uv_signal_t *handle, int signum)
{
    struct loop_uv *self = handle->data;

    self->on_signal(self->signal_ctx, signum);
}

enum status loop_uv_on_stop_signals(struct loop *loop, loop_uv_signal_fn *on_signal, void *ctx)
{
    struct loop_uv *self = loop_uv_of(loop);

    ASSERT(self->signal_count == 0);
    self->on_signal = on_signal;
    self->signal_ctx = ctx;
    for (unsigned i = 0; i < ARRAY_SIZE(stop_signals); i++) {
        uv_signal_t *handle = &self->signals[i];
        int err = uv_signal_init(&self->uv, handle);

        if (err)
            return uv_status(err);
        self->signal_count++;
        handle->data = self;
        err = uv_signal_start(handle, on_uv_signal, stop_signals[i]);
        if (err)
            return uv_status(err);
    }
    return ST_OK;
}

#ifdef SIGBREAK /* Windows: SIGHUP is a stop signal */
enum status loop_uv_on_reload_signal(struct loop *loop, loop_uv_signal_fn *on_signal, void *ctx)
{
    return ST_OK;
}
#else
static void on_uv_reload(uv_signal_t *handle, int signum)
{
    struct loop_uv *self = handle->data;

    self->on_reload_signal(self->reload_ctx, signum);
}

enum status loop_uv_on_reload_signal(struct loop *loop, loop_uv_signal_fn *on_signal, void *ctx)
{
    struct loop_uv *self = loop_uv_of(loop);
    int err = uv_signal_init(&self->uv, &self->reload_signal);

    if (err)
        return uv_status(err);
    self->has_reload_signal = true;
    self->reload_signal.data = self;
    self->on_reload_signal = on_signal;
    self->reload_ctx = ctx;
    err = uv_signal_start(&self->reload_signal, on_uv_reload, SIGHUP);
    return err ? uv_status(err) : ST_OK;
}
#endif
