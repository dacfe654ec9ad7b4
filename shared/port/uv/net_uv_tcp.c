/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *
 *   socket -> libuv's read -> memory from on_space() -> on_data()      nothing copied, nothing kept
 *   socket <- uv_try_write <- tcp_write                     one call for IOV_MAX_AT_ONCE pieces
 *                | would block: the next piece (<= 16 KiB) is copied
 *                `-> uv_write, and its end is on_writable()
 *
 * Life of a connection: CONNECTING (dialled) -> OPEN -> closed by its owner. Death comes as
 * on_error() once; then it only wants closing.
 *
 * Waiting for room: libuv cannot be asked whether a socket it owns is writable; what it can do is
 * take a write and say when it is done. So the piece that no longer fits is copied and given to it,
 * and counts as taken. One piece a blocked connection: 16 KiB is a sixth of what a Linux socket has
 * free when it says "writable", so the copy is small beside what goes out without one, and it is
 * freed as soon as it is out. Rejected: uv_poll on the same descriptor (libuv forbids two
 * handles on one), and a poll on a dup() of it (a descriptor more for each blocked flow).
 *
 * Reading stops when on_space() gives nothing: libuv then reports ENOBUFS with an empty buffer,
 * and it is taken off the poller. What a reader does not want stays in the kernel, whose window
 * closes.
 *
 * A write that fails says so through on_error() from the loop. While the connection is being read,
 * it is the read that tells: what the peer sent before it died is delivered first (a server that
 * answers early and closes), and the end after it is told as the error it is.
 *
 * Closing without a reset while a piece is still queued: the owner is done with it, but bytes that
 * were "taken" must go first. The husk stays on net_uv.farewell until the piece is out, FAREWELL_MS
 * at most. With a reset nothing is waited for.
 *
 * The timer has one meaning a state: connect time-out, an error to be told, end of the farewell.
 *
 * Limits: about half a KiB per idle connection, two thirds of it libuv's handle; 17 KiB more while
 * blocked. Not done: MSG_ZEROCOPY (pins the flow's memory and needs the error queue, gains nothing
 * below 10 Gbit/s), splice (bytes must pass through the guest's frames anyway).
 */
#include "port/uv/net_uv_internal.h"
#include "port/uv/uv_status.h"

#include <stdlib.h>
#include <string.h>

enum {
    PIECE_MAX_BYTES = 16 * 1024,
    IOV_MAX_AT_ONCE = 128, /* more than MTU-sized segments fit into one read of the link */
    KEEPALIVE_S = 60,
    FAREWELL_MS = 10000
};

enum conn_state {
    CONN_CONNECTING, /* tcp_connect() until on_connected(); nothing is read or written */
    CONN_OPEN,
    CONN_DEAD,    /* on_error() or a failed on_connected() was called, or is about to be */
    CONN_LEAVING, /* closed by its owner, the last piece still to go */
    CONN_CLOSING  /* given to uv_close() */
};

/* Bytes taken that the socket had no room for. */
struct piece {
    uv_write_t req;
    struct net_tcp *owner; /* alive: libuv ends every request before it closes the handle */
    size_t len;
    uint8_t data[PIECE_MAX_BYTES];
};

struct net_tcp {
    uv_tcp_t tcp;
    union {
        uv_connect_t connect; /* CONN_CONNECTING */
        uv_shutdown_t shutdown;
    } req;
    struct net_uv *net; /* borrowed; not touched once CONN_CLOSING */
    const struct net_tcp_handler *h;
    void *ctx;
    struct timer timer;
    struct list farewell; /* on net->farewell */
    struct piece *piece;  /* libuv has it; freed in its callback */
    enum conn_state state;
    enum status broken; /* ST_OK, or what will be told */
    bool reading;       /* libuv was asked for data */
    bool want_read;     /* tcp_read() came before the connection stood */
    bool eof;           /* told, or turned into an error */
    bool shut;          /* our direction ended or will */
    bool starved;       /* tcp_write() took less than it was given */
};

/* ---- ends ------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void tcp_finish_close(struct net_tcp *t, bool reset)
{
    /* Of a socket with a request under way libuv refuses to make a reset; the option does. */
    const struct linger cut = { .l_onoff = 1, .l_linger = 0 };
    uv_os_fd_t fd;

    list_remove(&t->farewell);
    timer_stop(&t->timer);
    t->state = CONN_CLOSING;
    if (reset && uv_tcp_close_reset(&t->tcp, on_closed) == 0)
        return;
    if (reset && uv_fileno((uv_handle_t *)&t->tcp, &fd) == 0)
        setsockopt((uv_os_sock_t)fd, SOL_SOCKET, SO_LINGER, (const void *)&cut, sizeof cut);
    uv_close((uv_handle_t *)&t->tcp, on_closed);
}

static void tcp_stop_reading(struct net_tcp *t)
{
    if (t->reading)
        uv_read_stop((uv_stream_t *)&t->tcp);
    t->reading = false;
}

/* From the loop only. */
static void tcp_fail(struct net_tcp *t, enum status why)
{
    bool connecting = t->state == CONN_CONNECTING;

    if (t->state > CONN_OPEN)
        return;
    t->state = CONN_DEAD;
    timer_stop(&t->timer);
    tcp_stop_reading(t);
    if (!t->h)
        return;
    if (connecting)
        t->h->on_connected(t->ctx, why);
    else
        t->h->on_error(t->ctx, why);
}

/* From within a call: the loop will tell. */
static void tcp_fail_later(struct net_tcp *t, enum status why)
{
    if (t->broken)
        return;
    t->broken = why;
    if (!t->reading)
        timer_start(&t->timer, 0);
}

static void on_timer(void *ctx)
{
    struct net_tcp *t = ctx;

    if (t->state == CONN_LEAVING)
        tcp_finish_close(t, true);
    else
        tcp_fail(t, t->broken ? t->broken : ST_TIMEOUT);
}

void net_uv_tcp_end_all(struct net_uv *n)
{
    while (!list_is_empty(&n->farewell))
        tcp_finish_close(container_of(n->farewell.next, struct net_tcp, farewell), true);
}

/* ---- reading --------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct net_tcp *t = handle->data;
    uint8_t *space = NULL;
    size_t len = t->h ? t->h->on_space(t->ctx, &space) : 0;

    *buf = uv_buf_init((char *)space, (unsigned)MIN(len, INT32_MAX));
}

static void on_read(uv_stream_t *handle, ssize_t nread, const uv_buf_t *buf)
{
    struct net_tcp *t = handle->data;

    if (nread > 0) {
        t->h->on_data(t->ctx, (size_t)nread);
    } else if (nread == UV_ENOBUFS && buf->len == 0) {
        tcp_stop_reading(t);
        if (t->broken)
            tcp_fail(t, t->broken);
    } else if (nread == UV_EOF) {
        tcp_stop_reading(t);
        t->eof = true;
        if (t->broken)
            tcp_fail(t, t->broken);
        else
            t->h->on_eof(t->ctx);
    } else if (nread < 0) {
        tcp_fail(t, uv_status((int)nread));
    }
}

void net_uv_tcp_read(struct net_tcp *t)
{
    int err;

    t->want_read = true;
    if (t->state != CONN_OPEN || t->reading || t->eof || t->broken)
        return;
    t->reading = true;
    err = uv_read_start((uv_stream_t *)&t->tcp, on_alloc, on_read);
    if (err) {
        t->reading = false;
        tcp_fail_later(t, uv_status(err));
    }
}

/* ---- writing --------------------------------------------------------------------------- */

static void on_piece_written(uv_write_t *req, int err)
{
    struct piece *piece = container_of(req, struct piece, req);
    struct net_tcp *t = piece->owner;
    bool starved = t->starved;

    free(piece);
    t->piece = NULL;
    if (t->state == CONN_LEAVING) {
        tcp_finish_close(t, err != 0);
        return;
    }
    if (t->state != CONN_OPEN)
        return;
    t->starved = false;
    if (err)
        tcp_fail_later(t, uv_status(err));
    else if (starved && !t->broken)
        t->h->on_writable(t->ctx);
}

/* Copies the next piece of @iov behind the first @skip bytes; the rest waits for on_writable(). */
static size_t tcp_queue_piece(struct net_tcp *t, const struct net_iov *iov, unsigned count,
                              size_t skip)
{
    struct piece *piece = malloc(sizeof *piece);
    uv_buf_t buf;
    int err;

    if (!piece) {
        tcp_fail_later(t, ST_NOMEM);
        return 0;
    }
    piece->owner = t;
    piece->len = 0;
    for (unsigned i = 0; i < count && piece->len < PIECE_MAX_BYTES; i++) {
        size_t from = MIN(skip, iov[i].len_bytes);
        size_t n = MIN(iov[i].len_bytes - from, PIECE_MAX_BYTES - piece->len);

        memcpy(piece->data + piece->len, iov[i].data + from, n);
        piece->len += n;
        skip -= from;
    }
    buf = uv_buf_init((char *)piece->data, (unsigned)piece->len);
    err = uv_write(&piece->req, (uv_stream_t *)&t->tcp, &buf, 1, on_piece_written);
    if (err) {
        free(piece);
        tcp_fail_later(t, uv_status(err));
        return 0;
    }
    t->piece = piece;
    return piece->len;
}

/* What the socket takes at once, from the front; a failure is told by the loop. */
static size_t tcp_try_write(struct net_tcp *t, const struct net_iov *iov, unsigned count)
{
    uv_buf_t bufs[IOV_MAX_AT_ONCE];
    size_t taken = 0;

    for (unsigned at = 0; at < count;) {
        unsigned used = 0;
        size_t asked = 0;
        int n;

        for (; at < count && used < IOV_MAX_AT_ONCE; at++) {
            if (iov[at].len_bytes == 0)
                continue;
            bufs[used++] =
                uv_buf_init((char *)(uintptr_t)iov[at].data, (unsigned)iov[at].len_bytes);
            asked += iov[at].len_bytes;
        }
        n = used ? uv_try_write((uv_stream_t *)&t->tcp, bufs, used) : 0;
        if (n < 0 && n != UV_EAGAIN)
            tcp_fail_later(t, uv_status(n));
        taken += n > 0 ? (size_t)n : 0;
        if (n < 0 || (size_t)n < asked)
            break;
    }
    return taken;
}

size_t net_uv_tcp_write(struct net_tcp *t, const struct net_iov *iov, unsigned count)
{
    size_t total = 0, taken;

    if (t->state != CONN_OPEN || t->shut || t->broken)
        return 0;
    for (unsigned i = 0; i < count; i++)
        total += iov[i].len_bytes;
    if (total == 0)
        return 0;
    if (t->piece) {
        t->starved = true;
        return 0;
    }
    taken = tcp_try_write(t, iov, count);
    if (taken < total && !t->broken)
        taken += tcp_queue_piece(t, iov, count, taken);
    t->starved = taken < total;
    return taken;
}

static void on_shut(uv_shutdown_t *req, int err)
{
    /* What went wrong with it, reading or the next write tells too. */
}

void net_uv_tcp_shutdown(struct net_tcp *t)
{
    int err;

    if (t->state != CONN_OPEN || t->shut || t->broken)
        return;
    t->shut = true;
    if (!t->piece && os_shutdown_now((uv_stream_t *)&t->tcp))
        return;
    err = uv_shutdown(&t->req.shutdown, (uv_stream_t *)&t->tcp, on_shut);
    if (err)
        tcp_fail_later(t, uv_status(err));
}

/* ---- life ------------------------------------------------------------------------------ */

enum status net_uv_tcp_new(struct net_uv *n, struct net_tcp **out)
{
    struct net_tcp *t = calloc(1, sizeof *t);

    if (!t)
        return ST_NOMEM;
    t->net = n;
    t->state = CONN_OPEN;
    timer_init(&t->timer, n->loop, on_timer, t);
    list_init(&t->farewell);
    uv_tcp_init(net_uv_loop(n), &t->tcp); /* makes no socket yet: cannot fail */
    t->tcp.data = t;
    *out = t;
    return ST_OK;
}

void net_uv_tcp_connected(struct net_tcp *t)
{
    /* Comforts, each lacking somewhere (keep-alive times under Wine): not worth a failure. */
    uv_tcp_nodelay(&t->tcp, 1);
    uv_tcp_keepalive(&t->tcp, 1, KEEPALIVE_S);
}

uv_stream_t *net_uv_tcp_handle(struct net_tcp *t)
{
    return (uv_stream_t *)&t->tcp;
}

/* A port of this machine that nobody listens at, but which the system chose as the dialler's own:
 * the two SYNs meet, and the connection is with itself (RFC 9293, figure 7). */
static bool is_with_itself(const struct net_tcp *t)
{
    struct sockaddr_storage own, other;
    int own_len = sizeof own, other_len = sizeof other;
    struct ip_endpoint a, b;

    return uv_tcp_getsockname(&t->tcp, (struct sockaddr *)&own, &own_len) == 0 &&
           uv_tcp_getpeername(&t->tcp, (struct sockaddr *)&other, &other_len) == 0 &&
           net_uv_from_sockaddr(&a, (struct sockaddr *)&own) &&
           net_uv_from_sockaddr(&b, (struct sockaddr *)&other) && a.port == b.port &&
           ip_addr_equal(&a.addr, &b.addr);
}

static void on_connect(uv_connect_t *req, int err)
{
    struct net_tcp *t = container_of(req, struct net_tcp, req.connect);

    if (t->state != CONN_CONNECTING || t->broken)
        return;
    if (err) {
        tcp_fail(t, uv_status(err));
        return;
    }
    if (is_with_itself(t)) {
        tcp_fail(t, ST_REFUSED);
        return;
    }
    timer_stop(&t->timer);
    t->state = CONN_OPEN;
    net_uv_tcp_connected(t);
    t->h->on_connected(t->ctx, ST_OK);
    if (t->want_read)
        net_uv_tcp_read(t);
}

enum status net_uv_tcp_connect(struct net *n, struct net_tcp **out, const struct ip_endpoint *to,
                               uint32_t timeout_ms, const struct net_tcp_handler *h, void *ctx)
{
    struct sockaddr_storage sa;
    struct net_tcp *t;
    enum status st = net_uv_tcp_new(net_uv_of(n), &t);
    int err;

    if (st)
        return st;
    net_uv_to_sockaddr(&sa, to);
    t->state = CONN_CONNECTING;
    t->h = h;
    t->ctx = ctx;
    err = uv_tcp_connect(&t->req.connect, &t->tcp, (const struct sockaddr *)&sa, on_connect);
    st = err ? uv_status(err) : ST_OK;
    if (st == ST_NOFILES || st == ST_NOMEM || st == ST_UNSUPPORTED) {
        tcp_finish_close(t, false);
        return st;
    }
    if (st)
        tcp_fail_later(t, st);
    else
        timer_start(&t->timer, timeout_ms);
    *out = t;
    return ST_OK;
}

void net_uv_tcp_set_handler(struct net_tcp *t, const struct net_tcp_handler *h, void *ctx)
{
    t->h = h;
    t->ctx = ctx;
}

void net_uv_tcp_close(struct net_tcp *t, bool reset)
{
    if (!t)
        return;
    tcp_stop_reading(t);
    if (reset || !t->piece || t->state != CONN_OPEN || t->broken) {
        tcp_finish_close(t, reset);
        return;
    }
    t->state = CONN_LEAVING;
    list_append(&t->net->farewell, &t->farewell);
    timer_start(&t->timer, FAREWELL_MS);
}
