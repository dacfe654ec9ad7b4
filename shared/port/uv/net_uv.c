/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * struct net over libuv, one file a kind of object:
 *
 *   net_uv_tcp.c     a connection: reads into the flow's memory, one system call a write
 *   net_uv_listen.c  a listener, whose connections are those of net_uv_tcp.c
 *   net_uv_udp.c     a socket for many peers, read by recvmmsg where there is one
 *   ping_*.c         an echo request, which each operating system does its own way
 *
 * An object is a libuv handle with our state around it. Closing takes libuv a turn of the loop;
 * until then the object is a husk that calls nobody (its handler is gone), and its memory goes in
 * the close callback. So every close is safe inside any callback.
 *
 * What all of them share is here: addresses, and the end of a turn. libuv runs a check handle after
 * all I/O of a turn; there, each UDP socket that was fed says so once, however many datagrams there
 * were and however many calls it took to read them. Both systems have it, and a turn in which
 * nothing happened costs one empty list.
 */
#include "port/uv/net_uv.h"

#include "port/uv/net_uv_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- addresses ------------------------------------------------------------------------- */

void net_uv_to_sockaddr(struct sockaddr_storage *out, const struct ip_endpoint *from)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof *out);
    if (ip_addr_is_v4(&from->addr)) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(from->port);
        memcpy(&v4->sin_addr, from->addr.b + 12, 4);
    } else {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(from->port);
        memcpy(&v6->sin6_addr, from->addr.b, 16);
    }
}

bool net_uv_from_sockaddr(struct ip_endpoint *out, const struct sockaddr *from)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

    if (from->sa_family == AF_INET) {
        out->addr = ip_addr_of_v4((const uint8_t *)&v4->sin_addr);
        out->port = ntohs(v4->sin_port);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        out->addr = ip_addr_of_v6((const uint8_t *)&v6->sin6_addr);
        out->port = ntohs(v6->sin6_port);
        return true;
    }
    return false;
}

/* ---- one interface only ---------------------------------------------------------------- */

enum status net_uv_set_device(struct net *n, const char *device)
{
    struct net_uv *self = net_uv_of(n);

    if (strlen(device) >= sizeof self->device)
        return ST_INVAL;
    memcpy(self->device, device, strlen(device) + 1);
    return ST_OK;
}

int net_uv_bind_device(const struct net_uv *n, const uv_handle_t *handle,
                       const struct ip_endpoint *at)
{
    uv_os_fd_t fd;
    int err;

    if (!n->device[0] || ip_addr_is_loopback(&at->addr))
        return 0;
    err = uv_fileno(handle, &fd);
    return err ? err : net_os_bind_device(fd, n->device);
}

/* ---- life ------------------------------------------------------------------------------ */

void net_uv_say_taken(struct errmsg *e, bool is_udp, const struct ip_endpoint *at, enum status st,
                      const char *otherwise)
{
    char text[IP_ENDPOINT_TEXT_MAX], why[160];

    errmsg_set(e, "listen at %s %s: %s", is_udp ? "udp" : "tcp", ip_endpoint_format(at, text),
               net_os_why_taken(is_udp, at, st, why, sizeof why) ? why : otherwise);
}

static void udp_explain(struct net *n, const struct ip_endpoint *local, enum status st,
                        struct errmsg *e)
{
    (void)n;
    net_uv_say_taken(e, true, local, st, status_text(st));
}

static const struct net_ops net_uv_ops = {
    .tcp_connect = net_uv_tcp_connect,
    .tcp_set_handler = net_uv_tcp_set_handler,
    .tcp_read = net_uv_tcp_read,
    .tcp_write = net_uv_tcp_write,
    .tcp_shutdown = net_uv_tcp_shutdown,
    .tcp_close = net_uv_tcp_close,
    .udp_open = net_uv_udp_open,
    .udp_explain = udp_explain,
    .udp_send = net_uv_udp_send,
    .udp_local = net_uv_udp_local,
    .udp_close = net_uv_udp_close,
    .tcp_listen = net_uv_tcp_listen,
    .listener_local = net_uv_listener_local,
    .listener_close = net_uv_listener_close,
    .ping = net_os_ping,
    .ping_cancel = net_os_ping_cancel,
};

static void on_turn_end(uv_check_t *check)
{
    net_uv_udp_turn_end(check->data);
}

enum status net_uv_new(struct net **out, struct loop *loop, struct errmsg *e)
{
    struct net_uv *self = calloc(1, sizeof *self);

    if (self)
        self->udp_buffer = malloc((size_t)NET_UV_UDP_CHUNKS * NET_UV_UDP_CHUNK_BYTES);
    if (!self || !self->udp_buffer) {
        free(self);
        errmsg_set(e, "host network: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    self->base.ops = &net_uv_ops;
    self->loop = loop;
    list_init(&self->udp_fed);
    list_init(&self->farewell);
    uv_check_init(net_uv_loop(self), &self->turn_end);
    self->turn_end.data = self;
    uv_check_start(&self->turn_end, on_turn_end);
    uv_unref((uv_handle_t *)&self->turn_end);
    *out = &self->base;
    return ST_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct net_uv *self = handle->data;

    free(self->udp_buffer);
    free(self);
}

void net_uv_free(struct net *n)
{
    struct net_uv *self;

    if (!n)
        return;
    self = net_uv_of(n);
    net_uv_tcp_end_all(self);
    ASSERT(list_is_empty(&self->udp_fed));
    uv_close((uv_handle_t *)&self->turn_end, on_closed);
}
