/* SPDX-License-Identifier: Apache-2.0
 * net_uv_internal.h - what the files of net_uv share, and the few things that each operating system
 * does its own way (net_os_*: linux/net_linux.c, linux/ping_linux.c, win/net_win.c,
 * win/ping_win.c). Private to port/. Runs on: the loop's thread.
 */
#ifndef SHARED_PORT_UV_NET_UV_INTERNAL_H
#define SHARED_PORT_UV_NET_UV_INTERNAL_H

#include "base/list.h"
#include "port/net.h"
#include "port/uv/loop_uv_internal.h"

#include <uv.h>

enum {
    /* One chunk is the largest datagram; libuv's recvmmsg fills as many as there are. */
    NET_UV_UDP_CHUNK_BYTES = 64 * 1024,
    NET_UV_UDP_CHUNKS = 16,
    NET_UV_DEVICE_MAX = 16 /* IFNAMSIZ */
};

struct net_uv {
    struct net base;
    struct loop *loop;              /* borrowed */
    uv_check_t turn_end;            /* calls on_batch_end(): every read of this turn is done */
    struct list udp_fed;            /* net_udp.fed: got datagrams in this turn */
    struct list farewell;           /* net_tcp.farewell: closed, with a last piece still to go */
    uint8_t *udp_buffer;            /* owned; every UDP socket receives into it */
    char device[NET_UV_DEVICE_MAX]; /* net_uv_set_device() */
};

static inline struct net_uv *net_uv_of(struct net *n)
{
    return container_of(n, struct net_uv, base);
}

static inline uv_loop_t *net_uv_loop(const struct net_uv *n)
{
    return loop_uv_handle(n->loop);
}

/* ---- addresses (net_uv.c) -------------------------------------------------------------- */

void net_uv_to_sockaddr(struct sockaddr_storage *out, const struct ip_endpoint *from);
/* False: neither IPv4 nor IPv6. */
bool net_uv_from_sockaddr(struct ip_endpoint *out, const struct sockaddr *from);

/* A socket that is to serve @at takes part in the net's device only, if it has one. */
int net_uv_bind_device(const struct net_uv *n, const uv_handle_t *handle,
                       const struct ip_endpoint *at);

/* "listen at tcp 127.0.0.1:80: taken by pid 7 (nginx)"; @otherwise where no reason is known. */
void net_uv_say_taken(struct errmsg *e, bool is_udp, const struct ip_endpoint *at, enum status st,
                      const char *otherwise);

/* ---- net_uv_tcp.c ---------------------------------------------------------------------- */

enum status net_uv_tcp_connect(struct net *n, struct net_tcp **out, const struct ip_endpoint *to,
                               uint32_t timeout_ms, const struct net_tcp_handler *h, void *ctx);
void net_uv_tcp_set_handler(struct net_tcp *t, const struct net_tcp_handler *h, void *ctx);
void net_uv_tcp_read(struct net_tcp *t);
size_t net_uv_tcp_write(struct net_tcp *t, const struct net_iov *iov, unsigned count);
void net_uv_tcp_shutdown(struct net_tcp *t);
void net_uv_tcp_close(struct net_tcp *t, bool reset);
/* A connection for uv_accept(); its handle is @out's. ST_NOMEM. */
enum status net_uv_tcp_new(struct net_uv *n, struct net_tcp **out);
uv_stream_t *net_uv_tcp_handle(struct net_tcp *t);
/* After uv_accept(). */
void net_uv_tcp_connected(struct net_tcp *t);
/* Cuts the connections that linger. */
void net_uv_tcp_end_all(struct net_uv *n);

/* ---- net_uv_listen.c ------------------------------------------------------------------- */

enum status net_uv_tcp_listen(struct net *n, struct net_listener **out,
                              const struct ip_endpoint *at, const struct net_listener_handler *h,
                              void *ctx, struct errmsg *e);
struct ip_endpoint net_uv_listener_local(const struct net_listener *l);
void net_uv_listener_close(struct net_listener *l);

/* ---- net_uv_udp.c ---------------------------------------------------------------------- */

enum status net_uv_udp_open(struct net *n, struct net_udp **out, const struct ip_endpoint *local,
                            const struct net_udp_handler *h, void *ctx);
enum status net_uv_udp_send(struct net_udp *u, const struct ip_endpoint *to, const uint8_t *data,
                            size_t len_bytes);
struct ip_endpoint net_uv_udp_local(const struct net_udp *u);
void net_uv_udp_close(struct net_udp *u);
/* All reads of this turn of the loop are done. */
void net_uv_udp_turn_end(struct net_uv *n);

/* ---- by operating system --------------------------------------------------------------- */

/* The socket gets only what comes in by that interface. An error of libuv's, or 0. */
int net_os_bind_device(uv_os_fd_t fd, const char *device);
/* Before bind: nobody else may bind the same address beside us. */
void net_os_prepare_listener(uv_os_fd_t fd);
/* After a bind or listen at @at failed with @st: what stands in the way, such as "taken by pid 7
 * (nginx)". False: nothing is known. */
bool net_os_why_taken(bool is_udp, const struct ip_endpoint *at, enum status st, char *buf,
                      size_t cap);
/* After bind: ICMP errors are to be kept for net_os_next_udp_error(). */
void net_os_want_udp_errors(uv_os_fd_t fd, bool ip6);
/* The next ICMP error that the socket holds: where the datagram had gone, and ST_REFUSED or
 * ST_UNREACHABLE. False: there are no more, or the system does not say for whom one was. */
bool net_os_next_udp_error(uv_os_fd_t fd, struct ip_endpoint *to, enum status *why);
/* struct net_ops */
enum status net_os_ping(struct net *n, struct net_ping **out, const struct ip_addr *to,
                        uint16_t sequence, const uint8_t *data, size_t len_bytes,
                        uint32_t timeout_ms, net_ping_fn *done, void *ctx);
void net_os_ping_cancel(struct net_ping *p);

#endif
