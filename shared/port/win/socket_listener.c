/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 *   listening socket, on our completion port
 *     slot[i]: AcceptEx(new socket) ... packet --> on_accepted --> stream_uv --> on_accept
 *                                                  \-> next AcceptEx in the same slot
 *
 * A few accepts are always under way, so the backlog is emptied without a round trip each. The
 * accepted socket has not joined any port, so libuv can take it.
 *
 * What can go wrong with one accept: the client has gone (skipped), the system is out of sockets
 * (the slot waits for the retry timer), or the listening socket is dead, which for a Hyper-V socket
 * is the end of its virtual machine: all slots are taken back, and it is opened again on the timer
 * until that works. Paused, no new accepts are started and what was accepted waits in its slot.
 *
 * Lifetime: the kernel owns each slot's OVERLAPPED; the listener goes when it was closed and the
 * last one has come back (held).
 */
#include "port/win/socket_listener.h"

#include "base/backoff.h"
#include "base/log.h"
#include "port/stream.h"
#include "port/sys.h"
#include "port/uv/stream_uv.h"
#include "port/win/io_pump.h"
#include "port/win/win_error.h"

#include <mswsock.h>
#include <stdlib.h>

enum { SLOT_COUNT = 8, RETRY_BASE_MS = 50, RETRY_CAP_MS = 1000, RETRY_RESET_MS = 10000 };
/* AcceptEx wants 16 bytes beyond each address. */
enum { ADDRESS_ROOM = sizeof(struct sockaddr_storage) + 16 };

struct slot {
    struct io_op op;
    struct socket_listener *l;
    SOCKET sock; /* the one being accepted into */
    bool pending;
    bool ready; /* accepted while paused */
    uint8_t addresses[2 * ADDRESS_ROOM];
};

struct socket_listener {
    struct listener base;
    struct loop *loop;
    struct io_pump *pump; /* acquired */
    struct socket_listener_spec spec;
    int backlog;
    SOCKET sock; /* INVALID_SOCKET while dead */
    LPFN_ACCEPTEX accept_ex;
    struct slot slots[SLOT_COUNT];
    struct timer retry;
    struct backoff backoff;
    uint64_t ok_since_ms;
    enum status state; /* last told to on_state() */
    unsigned held;     /* accepts under way, callbacks running */
    bool paused, closed;
};

static void on_accepted(struct io_op *op);

static void slot_drop(struct slot *slot)
{
    if (slot->sock != INVALID_SOCKET)
        closesocket(slot->sock);
    slot->sock = INVALID_SOCKET;
    slot->ready = false;
}

static void release(struct socket_listener *l)
{
    if (--l->held > 0 || !l->closed)
        return;
    io_pump_release(l->pump);
    free(l);
}

static enum status load_accept_ex(struct socket_listener *l, struct errmsg *e)
{
    GUID id = WSAID_ACCEPTEX;
    DWORD bytes;
    if (WSAIoctl(l->sock, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof(id), &l->accept_ex,
                 sizeof(l->accept_ex), &bytes, NULL, NULL))
        return win_error_set(e, "AcceptEx", (uint32_t)WSAGetLastError());
    return ST_OK;
}

static bool is_ip(const struct socket_listener *l)
{
    return l->spec.at.sa.ss_family == AF_INET || l->spec.at.sa.ss_family == AF_INET6;
}

static enum status open_socket(struct socket_listener *l, struct errmsg *e)
{
    const struct socket_name *at = &l->spec.at;
    BOOL yes = TRUE;
    enum status st;

    l->sock = WSASocketW(at->sa.ss_family, SOCK_STREAM, at->protocol, NULL, 0,
                         WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (l->sock == INVALID_SOCKET)
        return win_error_set(e, "socket", (uint32_t)WSAGetLastError());
    /* On Windows others may share a TCP port unless told not to. Hyper-V sockets do not know it. */
    if (setsockopt(l->sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&yes, sizeof(yes)) &&
        is_ip(l)) {
        st = win_error_set(e, "exclusive address", (uint32_t)WSAGetLastError());
        goto fail;
    }
    if (bind(l->sock, (const struct sockaddr *)&at->sa, at->len_bytes) ||
        listen(l->sock, l->backlog)) {
        DWORD error = (DWORD)WSAGetLastError();
        st = win_error_set(e, "listen", error);
        /* Exclusive use refused is how Windows says that another socket has the port. */
        if (error == WSAEACCES && is_ip(l))
            st = ST_EXISTS;
        goto fail;
    }
    st = load_accept_ex(l, e);
    if (st == ST_OK)
        st = io_pump_attach(l->pump, (HANDLE)l->sock, e);
    if (st == ST_OK)
        return ST_OK;
fail:
    closesocket(l->sock);
    l->sock = INVALID_SOCKET;
    return st;
}

static enum status slot_start(struct slot *slot, struct errmsg *e)
{
    struct socket_listener *l = slot->l;
    const struct socket_name *at = &l->spec.at;
    DWORD bytes;

    slot->sock = WSASocketW(at->sa.ss_family, SOCK_STREAM, at->protocol, NULL, 0,
                            WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (slot->sock == INVALID_SOCKET)
        return win_error_set(e, "socket to accept into", (uint32_t)WSAGetLastError());
    io_op_prepare(&slot->op, on_accepted);
    if (!l->accept_ex(l->sock, slot->sock, slot->addresses, 0, ADDRESS_ROOM, ADDRESS_ROOM, &bytes,
                      &slot->op.ov)) {
        DWORD error = (DWORD)WSAGetLastError();
        if (error != ERROR_IO_PENDING) {
            slot_drop(slot);
            return win_error_set(e, "accept", error);
        }
    }
    slot->pending = true;
    l->held++;
    return ST_OK;
}

static void tell_state(struct socket_listener *l, enum status st, const struct errmsg *why)
{
    if (st == l->state)
        return;
    l->state = st;
    if (st)
        log_warn_limited(LOG_PORT, "socket listener: %s; trying again", why->text);
    if (l->base.handler->on_state)
        l->base.handler->on_state(l->base.ctx, st, why);
}

static void arm_retry(struct socket_listener *l)
{
    uint64_t now = loop_now_ms(l->loop);
    uint32_t random = 0;
    if (timer_is_running(&l->retry))
        return;
    sys_random(&random, sizeof(random)); /* without it the delay is the shortest, no harm */
    timer_start(&l->retry, 1 + backoff_next_ms(&l->backoff, now - l->ok_since_ms, random));
    l->ok_since_ms = now;
}

/* The listening socket is of no use any more; its accepts come back one by one. */
static void socket_died(struct socket_listener *l)
{
    if (l->sock == INVALID_SOCKET)
        return;
    closesocket(l->sock);
    l->sock = INVALID_SOCKET;
}

static bool has_pending(const struct socket_listener *l)
{
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        if (l->slots[i].pending)
            return true;
    }
    return false;
}

/* Brings socket and accepts to what is wanted, or arms a retry. */
static void refill(struct socket_listener *l)
{
    struct errmsg why = { "" };
    enum status st = ST_OK;

    if (l->closed || l->paused)
        return;
    if (l->sock == INVALID_SOCKET) {
        if (has_pending(l)) { /* the old socket's: their errors would be taken for the new one's */
            arm_retry(l);
            return;
        }
        st = open_socket(l, &why);
        if (st == ST_OK)
            l->base.stats.reopened++;
    }
    for (size_t i = 0; i < SLOT_COUNT && st == ST_OK; i++) {
        if (!l->slots[i].pending && !l->slots[i].ready)
            st = slot_start(&l->slots[i], &why);
    }
    if (st) {
        if (st == ST_NOFILES || st == ST_NOMEM)
            l->base.stats.limit_hits++;
        else
            socket_died(l);
        arm_retry(l);
    } else if (l->state) {
        l->ok_since_ms = loop_now_ms(l->loop);
    }
    tell_state(l, st, &why);
}

static void on_retry(void *ctx)
{
    refill(ctx);
}

/* Gives the accepted socket to its owner. */
static void hand_over(struct socket_listener *l, SOCKET sock)
{
    struct stream *s;
    if (setsockopt(sock, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (const char *)&l->sock,
                   sizeof(l->sock)) ||
        stream_uv_from_tcp_socket(l->loop, sock, &s)) {
        closesocket(sock);
        l->base.stats.aborted++;
        return;
    }
    l->base.stats.accepted++;
    l->base.handler->on_accept(l->base.ctx, s, &l->spec.peer);
}

/* Errors that say something of this one client only. */
static bool is_client_error(uint32_t error)
{
    return error == ERROR_NETNAME_DELETED || error == ERROR_CONNECTION_ABORTED ||
           error == WSAECONNRESET || error == WSAECONNABORTED || error == ERROR_SEM_TIMEOUT;
}

static void on_accepted(struct io_op *op)
{
    struct slot *slot = container_of(op, struct slot, op);
    struct socket_listener *l = slot->l;

    slot->pending = false;
    if (l->closed) {
        slot_drop(slot);
    } else if (op->error) {
        slot_drop(slot);
        if (is_client_error(op->error)) {
            l->base.stats.aborted++;
            refill(l);
        } else {
            struct errmsg why;
            enum status st = win_error_set(&why, "accept", op->error);
            socket_died(l);
            arm_retry(l); /* not at once: a socket that dies at each accept must not spin */
            tell_state(l, st, &why);
        }
    } else if (l->paused) {
        slot->ready = true;
    } else {
        SOCKET sock = slot->sock;
        slot->sock = INVALID_SOCKET;
        hand_over(l, sock);
        refill(l);
    }
    release(l);
}

static struct socket_listener *from_base(struct listener *base)
{
    return container_of(base, struct socket_listener, base);
}

static void listener_socket_pause(struct listener *base)
{
    from_base(base)->paused = true;
}

static void listener_socket_resume(struct listener *base)
{
    struct socket_listener *l = from_base(base);

    l->paused = false;
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        struct slot *slot = &l->slots[i];
        if (!slot->ready)
            continue;
        slot->ready = false;
        slot->pending = true;
        l->held++;
        io_op_prepare(&slot->op, on_accepted);
        io_op_finish_later(l->pump, &slot->op, ERROR_SUCCESS);
    }
    refill(l);
}

static void listener_socket_close(struct listener *base)
{
    struct socket_listener *l = from_base(base);

    l->closed = true;
    timer_stop(&l->retry);
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        if (l->slots[i].ready)
            slot_drop(&l->slots[i]);
    }
    socket_died(l); /* ends the accepts under way */
    l->held++;
    release(l);
}

static const struct listener_ops ops = {
    .pause = listener_socket_pause,
    .resume = listener_socket_resume,
    .close = listener_socket_close,
};

enum status socket_listener_open(struct loop *loop, struct listener **out,
                                 const struct socket_listener_spec *spec,
                                 const struct listener_opts *opts,
                                 const struct listener_handler *handler, void *ctx,
                                 struct errmsg *e)
{
    struct socket_listener *l = calloc(1, sizeof(*l));
    if (!l)
        return ST_NOMEM;
    l->base = (struct listener){ .ops = &ops, .handler = handler, .ctx = ctx };
    l->loop = loop;
    l->spec = *spec;
    l->backlog = opts->backlog ? (int)MIN(opts->backlog, (unsigned)SOMAXCONN) : 1024;
    l->sock = INVALID_SOCKET;
    l->ok_since_ms = loop_now_ms(loop);
    timer_init(&l->retry, loop, on_retry, l);
    backoff_init(&l->backoff, RETRY_BASE_MS, RETRY_CAP_MS, RETRY_RESET_MS);
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        l->slots[i].l = l;
        l->slots[i].sock = INVALID_SOCKET;
    }
    enum status st = io_pump_acquire(&l->pump, loop, e);
    if (st == ST_OK)
        st = open_socket(l, e);
    if (st) {
        if (l->pump)
            io_pump_release(l->pump);
        free(l);
        return st;
    }
    refill(l);
    *out = &l->base;
    return ST_OK;
}
