/* SPDX-License-Identifier: Apache-2.0
 * net.h - the host's network as the switch sees it: TCP and UDP sockets, listeners, echo requests.
 *
 * Everything is asynchronous and bounded by the caller. port/uv/net_uv.c implements it over libuv;
 * port/sim/net_sim.c by script. Runs on: the switch's loop. Every object's callbacks come only from
 * the loop, never from within a call, and never after its close.
 *
 * TCP data is not queued here in either direction: what the host socket has is read straight into
 * memory that the flow offers (on_space), and what it does not accept is the flow's to keep.
 */
#ifndef SHARED_PORT_NET_H
#define SHARED_PORT_NET_H

#include "base/ip_addr.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net;
struct net_listener;
struct net_tcp;
struct net_udp;
struct net_ping;

struct net_iov {
    const uint8_t *data;
    size_t len_bytes;
};

/* ---- TCP ------------------------------------------------------------------------------- */

struct net_tcp_handler {
    /* The connect ended: ST_OK, REFUSED, UNREACHABLE, TIMEOUT, DENIED, NOFILES, RESET, IO. Failed
     * or not, the object is there until tcp_close(). */
    void (*on_connected)(void *ctx, enum status st);
    /* Where the next bytes may go; returns how many, 0 = stop reading until tcp_read(). Asked
     * before the end of the peer's data too, and sometimes for nothing: on_data() need not follow.
     */
    size_t (*on_space)(void *ctx, uint8_t **buf);
    /* @len_bytes now are in the memory that on_space() gave. */
    void (*on_data)(void *ctx, size_t len_bytes);
    /* The peer ended its direction. */
    void (*on_eof)(void *ctx);
    /* net_tcp_write() took less than it was given; now it would take more. */
    void (*on_writable)(void *ctx);
    /* The connection died; it wants closing. */
    void (*on_error)(void *ctx, enum status why);
};

/* ---- UDP and echo ---------------------------------------------------------------------- */

struct net_udp_handler {
    /* A datagram; borrowed for the call. */
    void (*on_datagram)(void *ctx, const struct ip_endpoint *from, const uint8_t *data,
                        size_t len_bytes);
    /* All datagrams that were waiting have been handed over: time to flush. May be NULL. */
    void (*on_batch_end)(void *ctx);
    /* The host said that @to cannot be reached: REFUSED = port unreachable, UNREACHABLE. */
    void (*on_unreachable)(void *ctx, const struct ip_endpoint *to, enum status why);
};

/* ST_OK: echo reply from @from; otherwise TIMEOUT, UNREACHABLE. */
typedef void net_ping_fn(void *ctx, enum status st, uint16_t sequence, const uint8_t *data,
                         size_t len_bytes);

struct net_listener_handler {
    /* @conn is connected; give it a handler with net_tcp_set_handler() or close it. */
    void (*on_accept)(void *ctx, struct net_tcp *conn, const struct ip_endpoint *from);
    void (*on_error)(void *ctx, enum status why);
};

/* ---- the contract ---------------------------------------------------------------------- */

struct net_ops {
    /* Connects; gives up after @timeout_ms. ST_NOFILES, ST_NOMEM, ST_UNSUPPORTED (no such family).
     */
    enum status (*tcp_connect)(struct net *n, struct net_tcp **out, const struct ip_endpoint *to,
                               uint32_t timeout_ms, const struct net_tcp_handler *h, void *ctx);
    void (*tcp_set_handler)(struct net_tcp *t, const struct net_tcp_handler *h, void *ctx);
    /* Starts (or goes on) asking on_space(). */
    void (*tcp_read)(struct net_tcp *t);
    /* Bytes taken, from the front; less than all: on_writable() will come. One system call but for
     * very many pieces. */
    size_t (*tcp_write)(struct net_tcp *t, const struct net_iov *iov, unsigned count);
    /* Ends our direction; everything taken before is sent first. */
    void (*tcp_shutdown)(struct net_tcp *t);
    /* @reset: the peer gets an RST. NULL is fine. */
    void (*tcp_close)(struct net_tcp *t, bool reset);

    /* A socket of @family's kind (that of @local's address); port 0 = any. EXISTS, DENIED,
     * NOFILES, NOMEM, UNSUPPORTED. */
    enum status (*udp_open)(struct net *n, struct net_udp **out, const struct ip_endpoint *local,
                            const struct net_udp_handler *h, void *ctx);
    /* After udp_open() failed with @st: says for a person what stands in the way, with the owner
     * where known. NULL: nothing is known here. */
    void (*udp_explain)(struct net *n, const struct ip_endpoint *local, enum status st,
                        struct errmsg *e);
    /* FULL: the socket takes no more now, the datagram is lost as on any network. INVAL: larger
     * than that destination takes. REFUSED, UNREACHABLE, DENIED: known at once. */
    enum status (*udp_send)(struct net_udp *u, const struct ip_endpoint *to, const uint8_t *data,
                            size_t len_bytes);
    struct ip_endpoint (*udp_local)(const struct net_udp *u);
    void (*udp_close)(struct net_udp *u);

    /* EXISTS with the owner where known, DENIED (excluded port range), UNSUPPORTED, NOFILES.
     * An IPv6 address, :: too, takes IPv6 only (here and in udp_open), so that 0.0.0.0 and :: are
     * two listeners that do not exclude each other. */
    enum status (*tcp_listen)(struct net *n, struct net_listener **out,
                              const struct ip_endpoint *at, const struct net_listener_handler *h,
                              void *ctx, struct errmsg *e);
    struct ip_endpoint (*listener_local)(const struct net_listener *l);
    void (*listener_close)(struct net_listener *l);

    /* One echo request without special rights; UNSUPPORTED where the system refuses that,
     * UNREACHABLE when there is no route, NOFILES, NOMEM. */
    enum status (*ping)(struct net *n, struct net_ping **out, const struct ip_addr *to,
                        uint16_t sequence, const uint8_t *data, size_t len_bytes,
                        uint32_t timeout_ms, net_ping_fn *done, void *ctx);
    void (*ping_cancel)(struct net_ping *p);
};

struct net {
    const struct net_ops *ops;
};

#endif
