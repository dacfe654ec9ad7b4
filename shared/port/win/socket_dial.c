/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * connect() to a virtual machine where nobody listens takes up to 30 s, and the machine may go
 * meanwhile; so it is ConnectEx, whose end is an event:
 *
 *   ConnectEx(ov, event) ... event --> io_wait --> on_event: result, stream --> done
 *   timer: done(ST_TIMEOUT), abandon     cancel: abandon     abandoned: on_event only frees
 *
 * The event is waited for, not taken from our completion port, because the connected socket becomes
 * a libuv stream and has to join libuv's port: a handle joins one port only.
 *
 * Abandoning cancels the connect and closes the socket, either of which ends it at once; OVERLAPPED
 * stays until the event says that the kernel is done with it.
 */
#include "port/win/socket_dial.h"

#include "port/uv/dial_base.h"
#include "port/uv/stream_uv.h"
#include "port/win/io_pump.h"
#include "port/win/win_error.h"

#include <mswsock.h>
#include <stdlib.h>

struct socket_dial {
    struct dial dial;
    struct loop *loop;
    struct io_pump *pump; /* acquired */
    SOCKET sock;
    OVERLAPPED ov;
    HANDLE event; /* owned, manual reset; ov.hEvent */
    struct io_wait wait;
    struct timer timer;
    dial_done_fn *done;
    void *ctx;
    bool abandoned; /* nobody waits for the result */
};

static void dial_free(struct socket_dial *d)
{
    timer_stop(&d->timer);
    if (d->sock != INVALID_SOCKET)
        closesocket(d->sock);
    if (d->event)
        CloseHandle(d->event);
    if (d->pump)
        io_pump_release(d->pump);
    free(d);
}

static enum status make_stream(struct socket_dial *d, struct stream **out, struct errmsg *e)
{
    DWORD bytes, flags;
    if (!WSAGetOverlappedResult(d->sock, &d->ov, &bytes, FALSE, &flags))
        return win_error_set(e, "connect", (uint32_t)WSAGetLastError());
    /* Without it, shutdown() and getpeername() do not know that the socket is connected. */
    if (setsockopt(d->sock, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0))
        return win_error_set(e, "finish connect", (uint32_t)WSAGetLastError());
    enum status st = stream_uv_from_tcp_socket(d->loop, d->sock, out);
    if (st)
        errmsg_set(e, "stream over socket: %s", status_text(st));
    else
        d->sock = INVALID_SOCKET;
    return st;
}

static void on_event(struct io_wait *w)
{
    struct socket_dial *d = container_of(w, struct socket_dial, wait);
    dial_done_fn *done = d->done;
    void *ctx = d->ctx;
    bool abandoned = d->abandoned;
    struct stream *s = NULL;
    struct errmsg why = { "" };
    enum status st = abandoned ? ST_CANCELLED : make_stream(d, &s, &why);

    dial_free(d);
    if (!abandoned)
        done(ctx, st, s, &why);
}

static void abandon(struct socket_dial *d)
{
    d->abandoned = true;
    timer_stop(&d->timer);
    CancelIoEx((HANDLE)d->sock, &d->ov);
    closesocket(d->sock);
    d->sock = INVALID_SOCKET;
}

static void socket_dial_cancel(struct dial *dial)
{
    abandon(container_of(dial, struct socket_dial, dial));
}

static void on_timeout(void *ctx)
{
    struct socket_dial *d = ctx;
    struct errmsg why;

    if (WaitForSingleObject(d->event, 0) == WAIT_OBJECT_0)
        return; /* just in time: on_event() comes */
    abandon(d);
    errmsg_set(&why, "no answer in time");
    d->done(d->ctx, ST_TIMEOUT, NULL, &why);
}

static enum status load_connect_ex(SOCKET s, LPFN_CONNECTEX *out, struct errmsg *e)
{
    GUID id = WSAID_CONNECTEX;
    DWORD bytes;
    if (WSAIoctl(s, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof(id), out, sizeof(*out), &bytes,
                 NULL, NULL))
        return win_error_set(e, "ConnectEx", (uint32_t)WSAGetLastError());
    return ST_OK;
}

static enum status begin(struct socket_dial *d, const struct socket_target *t, uint64_t timeout_ms,
                         struct errmsg *e)
{
    LPFN_CONNECTEX connect_ex;

    d->sock = WSASocketW(t->to.sa.ss_family, SOCK_STREAM, t->to.protocol, NULL, 0,
                         WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (d->sock == INVALID_SOCKET)
        return win_error_set(e, "socket", (uint32_t)WSAGetLastError());
    enum status st = load_connect_ex(d->sock, &connect_ex, e);
    if (st)
        return st;
    if (t->prepare)
        t->prepare(d->sock, timeout_ms);
    if (bind(d->sock, (const struct sockaddr *)&t->from.sa, t->from.len_bytes))
        return win_error_set(e, "bind", (uint32_t)WSAGetLastError());
    d->event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (!d->event)
        return win_error_set(e, "create event", GetLastError());
    d->ov.hEvent = d->event;
    st = io_wait_start(d->pump, &d->wait, d->event, on_event, e);
    if (st)
        return st;
    if (connect_ex(d->sock, (const struct sockaddr *)&t->to.sa, t->to.len_bytes, NULL, 0, NULL,
                   &d->ov))
        return ST_OK;
    DWORD error = (DWORD)WSAGetLastError();
    if (error == ERROR_IO_PENDING)
        return ST_OK;
    io_wait_stop(&d->wait); /* nothing was started, so nothing signals the event */
    return win_error_set(e, "connect", error);
}

enum status socket_dial_start(struct loop *loop, struct dial **out,
                              const struct socket_target *target, uint64_t timeout_ms,
                              dial_done_fn *done, void *ctx, struct errmsg *e)
{
    struct socket_dial *d = calloc(1, sizeof(*d));
    if (!d)
        return ST_NOMEM;
    d->dial.cancel = socket_dial_cancel;
    d->loop = loop;
    d->sock = INVALID_SOCKET;
    d->done = done;
    d->ctx = ctx;
    timer_init(&d->timer, loop, on_timeout, d);
    enum status st = io_pump_acquire(&d->pump, loop, e);
    if (st == ST_OK)
        st = begin(d, target, timeout_ms, e);
    if (st) {
        dial_free(d);
        return st;
    }
    timer_start(&d->timer, timeout_ms);
    *out = &d->dial;
    return ST_OK;
}
