/* SPDX-License-Identifier: Apache-2.0
 * tcp_splice.h - one relayed TCP connection: an accepted one, and the one made for it.
 *
 * Both directions end independently; a reset of either side resets the other. What one side does
 * not take stops the reading of the other: SPLICE_BUFFER_BYTES wait in each direction at most.
 * Runs on: one loop. Owns: both connections. Theory of operation: tcp_splice.c.
 */
#ifndef GUESTAGENT_NET_TCP_SPLICE_H
#define GUESTAGENT_NET_TCP_SPLICE_H

#include "base/list.h"
#include "base/status.h"
#include "port/net.h"

enum { SPLICE_BUFFER_BYTES = 32 * 1024 };

struct tcp_splice;

struct tcp_splice_half {
    struct tcp_splice *splice;
    struct net_tcp *tcp; /* owned */
    bool eof;            /* its peer ended, and the other side was told or is to be */
    size_t at, held;     /* bytes read from it: [at, held) of @buf are still to go */
    uint8_t buf[SPLICE_BUFFER_BYTES];
};

struct tcp_splice {
    struct list link; /* the owner's */
    struct net *net;  /* borrowed */
    void (*on_end)(void *ctx, struct tcp_splice *s, enum status why);
    void *ctx;
    struct tcp_splice_half accepted, dialled;
};

/* Takes @conn in every case, and puts the new one on @list. @on_end comes once, from the loop, when
 * it is over: it is off the list, and freed right after. @why: ST_OK after two clean ends. Statuses
 * of net_ops.tcp_connect(), ST_NOMEM: nothing was made, @conn was reset. */
enum status tcp_splice_start(struct list *list, struct net *net, struct net_tcp *conn,
                             const struct ip_endpoint *to,
                             void (*on_end)(void *ctx, struct tcp_splice *s, enum status why),
                             void *ctx);
/* Resets both sides now and frees; on_end() is not called. */
void tcp_splice_cut(struct tcp_splice *s);

#endif
