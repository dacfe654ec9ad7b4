/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A listener of the host side: each connection becomes a struct net_tcp of its own and is handed
 * over at once. libuv holds one accepted client until uv_accept() takes it and polls for no more
 * before that; so when there is no memory for a client, it waits there, with the others in the
 * backlog behind it, and RETRY_MS later is tried again. Nothing is dropped, nothing spins.
 *
 * Out of descriptors: libuv sheds the waiting clients through a descriptor it keeps in reserve;
 * they see a closed connection, which for a forwarded port is the honest answer.
 */
#include "port/uv/net_uv_internal.h"
#include "port/uv/uv_status.h"

#include <stdlib.h>

enum { BACKLOG = 511, RETRY_MS = 100 };

struct net_listener {
    uv_tcp_t tcp;
    struct net_uv *net; /* borrowed */
    const struct net_listener_handler *h;
    void *ctx;
    struct timer retry;
    bool closing;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void listener_accept(void *ctx)
{
    struct net_listener *l = ctx;
    struct ip_endpoint from = { .port = 0 };
    struct sockaddr_storage sa;
    struct net_tcp *t;
    int len = sizeof sa;
    int err;

    if (net_uv_tcp_new(l->net, &t) != ST_OK) {
        timer_start(&l->retry, RETRY_MS);
        return;
    }
    err = uv_accept((uv_stream_t *)&l->tcp, net_uv_tcp_handle(t));
    if (err == 0)
        err = uv_tcp_getpeername((uv_tcp_t *)net_uv_tcp_handle(t), (struct sockaddr *)&sa, &len);
    if (err || !net_uv_from_sockaddr(&from, (struct sockaddr *)&sa)) {
        net_uv_tcp_close(t, true); /* it left before it was taken */
        return;
    }
    net_uv_tcp_connected(t);
    l->h->on_accept(l->ctx, t, &from);
}

static void on_connection(uv_stream_t *handle, int err)
{
    struct net_listener *l = handle->data;

    if (l->closing)
        return;
    if (err)
        l->h->on_error(l->ctx, uv_status(err));
    else
        listener_accept(l);
}

static int listener_open(struct net_listener *l, const struct ip_endpoint *at)
{
    bool ip6 = !ip_addr_is_v4(&at->addr);
    struct sockaddr_storage sa;
    uv_os_fd_t fd;
    int err = uv_tcp_init_ex(net_uv_loop(l->net), &l->tcp, ip6 ? AF_INET6 : AF_INET);

    l->tcp.data = l;
    if (err) {
        /* No socket, so no handle that libuv would know of: closing wants an initialised one. */
        uv_tcp_init(net_uv_loop(l->net), &l->tcp);
        l->tcp.data = l;
        return err;
    }
    if (uv_fileno((uv_handle_t *)&l->tcp, &fd) == 0)
        net_os_prepare_listener(fd);
    err = net_uv_bind_device(l->net, (uv_handle_t *)&l->tcp, at);
    if (err)
        return err;
    net_uv_to_sockaddr(&sa, at);
    err = uv_tcp_bind(&l->tcp, (struct sockaddr *)&sa, ip6 ? UV_TCP_IPV6ONLY : 0);
    if (err == 0)
        err = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
    return err;
}

enum status net_uv_tcp_listen(struct net *n, struct net_listener **out,
                              const struct ip_endpoint *at, const struct net_listener_handler *h,
                              void *ctx, struct errmsg *e)
{
    struct net_listener *l = calloc(1, sizeof *l);
    int err;

    if (!l) {
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    l->net = net_uv_of(n);
    l->h = h;
    l->ctx = ctx;
    timer_init(&l->retry, l->net->loop, listener_accept, l);
    err = listener_open(l, at);
    if (err) {
        net_uv_listener_close(l);
        net_uv_say_taken(e, false, at, uv_status(err), uv_strerror(err));
        return uv_status(err);
    }
    *out = l;
    return ST_OK;
}

struct ip_endpoint net_uv_listener_local(const struct net_listener *l)
{
    struct ip_endpoint at = { .port = 0 };
    struct sockaddr_storage sa;
    int len = sizeof sa;

    if (uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&sa, &len) == 0)
        (void)net_uv_from_sockaddr(&at, (struct sockaddr *)&sa);
    return at;
}

void net_uv_listener_close(struct net_listener *l)
{
    if (!l)
        return;
    l->closing = true;
    timer_stop(&l->retry);
    uv_close((uv_handle_t *)&l->tcp, on_closed);
}
