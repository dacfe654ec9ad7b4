/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * A pipe has no backlog: a client that finds no listening instance gets ERROR_PIPE_BUSY, and many
 * clients (Java's, for one) do not wait and try again. So the number of instances that listen at
 * any moment is the reliability of the endpoint; it is kept at `want`, and an instance that was
 * taken is replaced before its client is served.
 *
 *   claim ---------------------------------------------------------------- holds the name
 *   instance:  create -> ConnectNamedPipe ... client -> replace -> pipe_stream -> on_accept
 *                                          \-> client left again: close, replace
 *
 * The claim is ours, or with opts->join somebody else's (port/claim.h); either way the instances
 * join it, so the name and its descriptor exist before the first instance and after the last one.
 *
 * When the system has no room for another instance, we go on with those that are left, tell
 * on_state(), and try again after a back-off. Paused, clients are taken by the instances that
 * listen and wait there; they are handed over by listener_resume().
 *
 * Lifetime: the kernel owns the OVERLAPPED of each listening instance, so the listener goes when it
 * was closed and the last of them has come back (held).
 */
#include "port/win/pipe_listener.h"

#include "base/backoff.h"
#include "base/log.h"
#include "port/claim.h"
#include "port/stream.h"
#include "port/sys.h"
#include "port/win/io_pump.h"
#include "port/win/pipe_claim.h"
#include "port/win/pipe_handle.h"
#include "port/win/pipe_stream.h"
#include "port/win/win_error.h"

#include <stdlib.h>

enum { RETRY_BASE_MS = 50, RETRY_CAP_MS = 1000, RETRY_RESET_MS = 10000 };

struct pipe_listener {
    struct listener base;
    struct loop *loop;
    struct io_pump *pump; /* acquired */
    struct claim *claim;  /* owned; NULL when joined */
    wchar_t path[PIPE_PATH_MAX];
    bool byte_mode;
    unsigned want, listening;
    struct list instances; /* all that have not become a stream */
    struct timer retry;
    struct backoff backoff;
    uint64_t ok_since_ms;
    enum status state; /* last told to on_state() */
    unsigned held;     /* operations under way, callbacks running */
    bool paused, closed;
};

struct pipe_instance {
    struct list link;
    struct io_op op;
    struct pipe_listener *l;
    HANDLE h;
    bool waiting; /* connected while paused */
};

static void on_connected(struct io_op *op);

static void release(struct pipe_listener *l)
{
    if (--l->held > 0 || !l->closed)
        return;
    io_pump_release(l->pump);
    free(l);
}

static void instance_free(struct pipe_instance *i)
{
    list_remove(&i->link);
    CloseHandle(i->h);
    free(i);
}

static enum status instance_new(struct pipe_listener *l, struct errmsg *e)
{
    struct pipe_instance *i = calloc(1, sizeof(*i));
    if (!i)
        return ST_NOMEM;
    enum status st = pipe_create(&i->h, l->path, PIPE_JOIN, l->byte_mode, NULL, e);
    if (st) {
        free(i);
        return st;
    }
    i->l = l;
    list_append(&l->instances, &i->link);
    st = io_pump_attach(l->pump, i->h, e);
    if (st)
        goto fail;
    io_op_prepare(&i->op, on_connected);
    DWORD error = ConnectNamedPipe(i->h, &i->op.ov) ? ERROR_SUCCESS : GetLastError();
    switch (error) {
    case ERROR_SUCCESS:
    case ERROR_IO_PENDING: break; /* a packet will come */
    case ERROR_PIPE_CONNECTED: io_op_finish_later(l->pump, &i->op, ERROR_SUCCESS); break;
    case ERROR_NO_DATA: io_op_finish_later(l->pump, &i->op, ERROR_NO_DATA); break;
    default: st = win_error_set(e, "listen on pipe instance", error); goto fail;
    }
    l->listening++;
    l->held++;
    return ST_OK;
fail:
    instance_free(i);
    return st;
}

static void tell_state(struct pipe_listener *l, enum status st, const struct errmsg *why)
{
    if (st == l->state)
        return;
    l->state = st;
    if (st)
        log_warn_limited(LOG_PORT, "pipe listener: %s; %u instances left, trying again", why->text,
                         l->listening);
    if (l->base.handler->on_state)
        l->base.handler->on_state(l->base.ctx, st, why);
}

/* Brings the number of listening instances back to what is wanted, or arms a retry. */
static void refill(struct pipe_listener *l)
{
    struct errmsg why = { "" };
    enum status st = ST_OK;

    if (l->closed || l->paused)
        return;
    while (l->listening < l->want && st == ST_OK)
        st = instance_new(l, &why);
    if (st == ST_OK) {
        if (l->state != ST_OK)
            l->ok_since_ms = loop_now_ms(l->loop);
    } else if (!timer_is_running(&l->retry)) {
        uint64_t now = loop_now_ms(l->loop);
        uint32_t random = 0;
        sys_random(&random, sizeof(random)); /* without it the delay is the shortest, no harm */
        l->base.stats.limit_hits++;
        timer_start(&l->retry, 1 + backoff_next_ms(&l->backoff, now - l->ok_since_ms, random));
        l->ok_since_ms = now;
    }
    tell_state(l, st, &why);
}

static void on_retry(void *ctx)
{
    refill(ctx);
}

static void hand_over(struct pipe_listener *l, HANDLE h)
{
    struct peer peer = { .uid = -1 };
    struct stream *s;
    ULONG pid;

    if (GetNamedPipeClientProcessId(h, &pid)) {
        peer.has_pid = true;
        peer.pid = pid;
    }
    if (pipe_stream_new(l->loop, &s, h, !l->byte_mode, true, NULL)) {
        CloseHandle(h);
        l->base.stats.aborted++;
        return;
    }
    l->base.stats.accepted++;
    l->base.handler->on_accept(l->base.ctx, s, &peer);
}

static void on_connected(struct io_op *op)
{
    struct pipe_instance *i = container_of(op, struct pipe_instance, op);
    struct pipe_listener *l = i->l;

    if (!i->waiting)
        l->listening--;
    if (l->closed) {
        instance_free(i);
    } else if (op->error) { /* came and went, as a rule */
        instance_free(i);
        l->base.stats.aborted++;
        refill(l);
    } else if (l->paused) {
        i->waiting = true; /* not under way any more: resume() or close() finds it on the list */
    } else {
        HANDLE h = i->h;
        list_remove(&i->link);
        free(i);
        refill(l);
        if (l->closed)
            CloseHandle(h); /* by on_state() */
        else
            hand_over(l, h);
    }
    release(l);
}

static struct pipe_listener *from_base(struct listener *base)
{
    return container_of(base, struct pipe_listener, base);
}

static void listener_pipe_pause(struct listener *base)
{
    from_base(base)->paused = true;
}

static void listener_pipe_resume(struct listener *base)
{
    struct pipe_listener *l = from_base(base);
    struct list *it, *tmp;

    l->paused = false;
    list_for_each(it, tmp, &l->instances)
    {
        struct pipe_instance *i = container_of(it, struct pipe_instance, link);
        if (!i->waiting)
            continue;
        i->waiting = false;
        l->listening++;
        l->held++;
        io_op_prepare(&i->op, on_connected);
        io_op_finish_later(l->pump, &i->op, ERROR_SUCCESS);
    }
    refill(l);
}

static void listener_pipe_close(struct listener *base)
{
    struct pipe_listener *l = from_base(base);
    struct list *it, *tmp;

    l->closed = true;
    timer_stop(&l->retry);
    list_for_each(it, tmp, &l->instances)
    {
        struct pipe_instance *i = container_of(it, struct pipe_instance, link);
        if (i->waiting)
            instance_free(i);
        else
            CancelIoEx(i->h, NULL); /* on_connected() frees it */
    }
    claim_close(l->claim);
    l->claim = NULL;
    l->held++;
    release(l);
}

static enum status listener_pipe_regrant(struct listener *base, const char *sddl, struct errmsg *e)
{
    struct pipe_listener *l = from_base(base);

    return l->claim ? claim_regrant(l->claim, sddl, e) : ST_UNSUPPORTED;
}

static const struct listener_ops ops = {
    .pause = listener_pipe_pause,
    .resume = listener_pipe_resume,
    .close = listener_pipe_close,
    .regrant = listener_pipe_regrant,
};

/* The name: our own claim, or proof that there is one to join. */
static enum status take_name(struct pipe_listener *l, const char *name,
                             const struct listener_opts *opts, struct errmsg *e)
{
    if (opts->join) {
        if (pipe_exists(l->path))
            return ST_OK;
        errmsg_set(e, "no pipe of that name to join");
        return ST_NOTFOUND;
    }
    const struct claim_opts claim = { .sddl = opts->sddl, .byte_mode = opts->byte_mode };
    return pipe_claim_open(name, &claim, &l->claim, NULL, e);
}

enum status pipe_listener_open(struct loop *loop, struct listener **out, const char *name,
                               const struct listener_opts *opts,
                               const struct listener_handler *handler, void *ctx, struct errmsg *e)
{
    unsigned want = opts->pipe_instances ? opts->pipe_instances : PIPE_DEFAULT_INSTANCES;
    struct pipe_listener *l = calloc(1, sizeof(*l));
    if (!l)
        return ST_NOMEM;
    l->base = (struct listener){ .ops = &ops, .handler = handler, .ctx = ctx };
    l->loop = loop;
    l->byte_mode = opts->byte_mode;
    l->want = MIN(want, (unsigned)PIPE_MAX_INSTANCES);
    l->ok_since_ms = loop_now_ms(loop);
    list_init(&l->instances);
    timer_init(&l->retry, loop, on_retry, l);
    backoff_init(&l->backoff, RETRY_BASE_MS, RETRY_CAP_MS, RETRY_RESET_MS);

    enum status st = pipe_path(l->path, name, e);
    if (st == ST_OK)
        st = take_name(l, name, opts, e);
    if (st)
        goto fail;
    st = io_pump_acquire(&l->pump, loop, e);
    if (st)
        goto fail;
    st = instance_new(l, e); /* one is enough to serve; the others may come later */
    if (st) {
        io_pump_release(l->pump);
        goto fail;
    }
    refill(l);
    *out = &l->base;
    return ST_OK;
fail:
    claim_close(l->claim);
    free(l);
    return st;
}
