/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * One socket, any number of peers; its datagrams are read into the net's one buffer and handed over
 * from there. Where libuv has recvmmsg (Linux) one system call fetches up to NET_UV_UDP_CHUNKS of
 * them; elsewhere it is one each. on_batch_end() comes at the end of the turn (net_uv.c), so the
 * answers to a burst leave in one batch either way.
 *
 * Sending is one system call a datagram, at once; a socket that is full loses it, as a network
 * does. Not done: sendmmsg, which would need a queue and a copy of its own.
 *
 * ICMP errors: on Linux they wait in the socket's error queue with the address they are about
 * (IP_RECVERR); the first sign of one is a failed send or receive, or a wake-up with nothing to
 * read, and then the queue is emptied (an error left there would wake the loop for ever). A send
 * that fails for an older datagram's error is tried once more. Windows does not say which
 * datagram an error was about, so it stays silent there.
 */
#include "port/uv/net_uv_internal.h"
#include "port/uv/uv_status.h"

#include <stdlib.h>

enum { RECEIVE_BUFFER_BYTES = 1024 * 1024 };

struct net_udp {
    uv_udp_t udp;
    struct net_uv *net; /* borrowed; not touched once closing */
    const struct net_udp_handler *h;
    void *ctx;
    struct list fed;  /* on net->udp_fed while on_batch_end() is owed */
    bool errors_wait; /* a send failed for an older one: there are some in the queue */
    bool closing;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* ---- receiving ------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct net_udp *u = handle->data;

    *buf = uv_buf_init((char *)u->net->udp_buffer, NET_UV_UDP_CHUNKS * NET_UV_UDP_CHUNK_BYTES);
}

static void udp_drain_errors(struct net_udp *u)
{
    struct ip_endpoint to;
    enum status why;
    uv_os_fd_t fd;

    u->errors_wait = false;
    if (uv_fileno((uv_handle_t *)&u->udp, &fd) != 0)
        return;
    while (!u->closing && net_os_next_udp_error(fd, &to, &why))
        if (u->h->on_unreachable)
            u->h->on_unreachable(u->ctx, &to, why);
}

static void on_received(uv_udp_t *handle, ssize_t nread, const uv_buf_t *buf,
                        const struct sockaddr *from, unsigned flags)
{
    struct net_udp *u = handle->data;
    struct ip_endpoint peer;

    if (u->closing)
        return;
    if (nread >= 0 && from) {
        if (flags & UV_UDP_PARTIAL || !net_uv_from_sockaddr(&peer, from))
            return;
        if (list_is_empty(&u->fed))
            list_append(&u->net->udp_fed, &u->fed);
        u->h->on_datagram(u->ctx, &peer, (const uint8_t *)buf->base, (size_t)nread);
    } else if (nread < 0 || u->errors_wait || list_is_empty(&u->fed)) {
        udp_drain_errors(u);
    }
}

void net_uv_udp_turn_end(struct net_uv *n)
{
    while (!list_is_empty(&n->udp_fed)) {
        struct net_udp *u = container_of(n->udp_fed.next, struct net_udp, fed);

        list_remove(&u->fed);
        if (u->h->on_batch_end)
            u->h->on_batch_end(u->ctx);
    }
}

/* ---- sending --------------------------------------------------------------------------- */

enum status net_uv_udp_send(struct net_udp *u, const struct ip_endpoint *to, const uint8_t *data,
                            size_t len_bytes)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)len_bytes);
    struct sockaddr_storage sa;
    enum status st;
    int n;

    net_uv_to_sockaddr(&sa, to);
    n = uv_udp_try_send(&u->udp, &buf, 1, (struct sockaddr *)&sa);
    if (n == UV_ECONNREFUSED || n == UV_EHOSTUNREACH || n == UV_ENETUNREACH) {
        u->errors_wait = true;
        n = uv_udp_try_send(&u->udp, &buf, 1, (struct sockaddr *)&sa);
    }
    if (n >= 0)
        return ST_OK;
    st = uv_status(n);
    return n == UV_EAGAIN || st == ST_NOFILES ? ST_FULL : st;
}

/* ---- life ------------------------------------------------------------------------------ */

static int udp_start(struct net_udp *u, const struct ip_endpoint *local)
{
    bool ip6 = !ip_addr_is_v4(&local->addr);
    int size = RECEIVE_BUFFER_BYTES;
    struct sockaddr_storage sa;
    uv_os_fd_t fd;
    int err;

    net_uv_to_sockaddr(&sa, local);
    err = uv_udp_bind(&u->udp, (struct sockaddr *)&sa, ip6 ? UV_UDP_IPV6ONLY : 0);
    if (err == 0)
        err = net_uv_bind_device(u->net, (uv_handle_t *)&u->udp, local);
    if (err)
        return err;
    uv_recv_buffer_size((uv_handle_t *)&u->udp, &size); /* the system gives what it allows */
    if (uv_fileno((uv_handle_t *)&u->udp, &fd) == 0)
        net_os_want_udp_errors(fd, ip6);
    return uv_udp_recv_start(&u->udp, on_alloc, on_received);
}

enum status net_uv_udp_open(struct net *n, struct net_udp **out, const struct ip_endpoint *local,
                            const struct net_udp_handler *h, void *ctx)
{
    struct net_udp *u = calloc(1, sizeof *u);
    int err;

    if (!u)
        return ST_NOMEM;
    u->net = net_uv_of(n);
    u->h = h;
    u->ctx = ctx;
    list_init(&u->fed);
    /* Without a family no socket is made yet: cannot fail. bind() makes it. */
    uv_udp_init_ex(net_uv_loop(u->net), &u->udp, AF_UNSPEC | UV_UDP_RECVMMSG);
    u->udp.data = u;
    err = udp_start(u, local);
    if (err) {
        net_uv_udp_close(u);
        return uv_status(err);
    }
    *out = u;
    return ST_OK;
}

struct ip_endpoint net_uv_udp_local(const struct net_udp *u)
{
    struct ip_endpoint at = { .port = 0 };
    struct sockaddr_storage sa;
    int len = sizeof sa;

    if (uv_udp_getsockname(&u->udp, (struct sockaddr *)&sa, &len) == 0)
        (void)net_uv_from_sockaddr(&at, (struct sockaddr *)&sa);
    return at;
}

void net_uv_udp_close(struct net_udp *u)
{
    if (!u)
        return;
    u->closing = true;
    list_remove(&u->fed);
    uv_close((uv_handle_t *)&u->udp, on_closed);
}
