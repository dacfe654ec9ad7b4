/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Opening a pipe is immediate: it is there, absent, or busy. Busy means that its server lives but
 * no instance listens right now, which the next few milliseconds change; WaitNamedPipe() would
 * block the loop, so the open is tried again from a timer until the time is over.
 *
 * The server may only identify us, not act as us (SECURITY_IDENTIFICATION): a program that took the
 * pipe's name first must not borrow an administrator's rights from `rdlink status`.
 *
 * A message-type pipe is read in message mode, or an empty message (end of data) would be lost.
 */
#include "port/win/pipe_dial.h"

#include "port/stream.h"
#include "port/uv/dial_base.h"
#include "port/win/pipe_handle.h"
#include "port/win/pipe_stream.h"
#include "port/win/win_error.h"

#include <stdlib.h>

enum { BUSY_RETRY_MS = 10 };

struct pipe_dial {
    struct dial dial;
    struct loop *loop;
    struct timer timer; /* the next try */
    uint64_t deadline_ms;
    wchar_t path[PIPE_PATH_MAX];
    dial_done_fn *done;
    void *ctx;
};

static void pipe_dial_cancel(struct dial *dial)
{
    struct pipe_dial *d = container_of(dial, struct pipe_dial, dial);
    timer_stop(&d->timer);
    free(d);
}

static enum status make_stream(struct loop *loop, HANDLE h, struct stream **out, struct errmsg *e)
{
    DWORD flags = 0, mode = PIPE_READMODE_MESSAGE;
    if (!GetNamedPipeInfo(h, &flags, NULL, NULL, NULL))
        return win_error_set(e, "ask for the pipe's type", GetLastError());
    bool message = flags & PIPE_TYPE_MESSAGE;
    if (message && !SetNamedPipeHandleState(h, &mode, NULL, NULL))
        return win_error_set(e, "set message mode", GetLastError());
    return pipe_stream_new(loop, out, h, message, false, e);
}

/* ST_EXISTS: there, but busy. */
static enum status try_open(struct pipe_dial *d, struct stream **out, struct errmsg *e)
{
    HANDLE h =
        CreateFileW(d->path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                    FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
    if (h == INVALID_HANDLE_VALUE)
        return win_error_set(e, "open pipe", GetLastError());
    enum status st = make_stream(d->loop, h, out, e);
    if (st)
        CloseHandle(h);
    return st;
}

static void on_try(void *ctx)
{
    struct pipe_dial *d = ctx;
    struct stream *s = NULL;
    struct errmsg why = { "" };
    enum status st = try_open(d, &s, &why);
    uint64_t now = loop_now_ms(d->loop);

    if (st == ST_EXISTS) {
        if (now < d->deadline_ms) {
            timer_start(&d->timer, MIN((uint64_t)BUSY_RETRY_MS, d->deadline_ms - now));
            return;
        }
        errmsg_wrap(&why, "no instance became free in time");
        st = ST_TIMEOUT;
    }
    dial_done_fn *done = d->done;
    void *done_ctx = d->ctx;
    free(d);
    done(done_ctx, st, s, &why);
}

enum status pipe_dial_start(struct loop *loop, struct dial **out, const char *name,
                            uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e)
{
    struct pipe_dial *d = calloc(1, sizeof(*d));
    if (!d)
        return ST_NOMEM;
    enum status st = pipe_path(d->path, name, e);
    if (st) {
        free(d);
        return st;
    }
    d->dial.cancel = pipe_dial_cancel;
    d->loop = loop;
    d->deadline_ms = loop_now_ms(loop) + timeout_ms;
    d->done = done;
    d->ctx = ctx;
    timer_init(&d->timer, loop, on_try, d);
    timer_start(&d->timer, 0);
    *out = &d->dial;
    return ST_OK;
}
