/* SPDX-License-Identifier: Apache-2.0
 * forwarder.h - accepts streams, decides, dials the other end, relays. Both docker paths are one of
 * these: the guest's bridge (vsock -> docker.sock) and the host's endpoint (pipe -> guest).
 *
 * Bounds: at most max_connections at a time; above that, whenever the target cannot be reached, and
 * when it is silent where it should not be (patience_ms()), the client is answered with HTTP 503 in
 * docker's error shape (http/refusal.h) and never left hanging. A peer that admit() rejects is
 * closed before anything else happens and counted. Runs on: one loop. Owns: its listeners and all
 * its connections.
 */
#ifndef SHARED_RELAY_FORWARDER_H
#define SHARED_RELAY_FORWARDER_H

#include "base/status.h"
#include "port/addr.h"

#include <stdbool.h>
#include <stdint.h>

struct forwarder;
struct listener_opts;
struct listener_stats;
struct loop;
struct peer;

struct forwarder_config {
    unsigned max_connections; /* 0 = 1024 */
    uint32_t dial_timeout_ms; /* 0 = 800: all tries together, so that a client hears in a second */
};

struct forwarder_stats {
    uint64_t accepted;                           /* admitted */
    uint64_t rejected_peers;                     /* by admit() */
    uint64_t refused_full;                       /* answered 503: max_connections */
    uint64_t refused_target;                     /* answered 503: no target, or dial failed */
    uint64_t refused_silent;                     /* answered 503: the target said nothing */
    uint64_t completed;                          /* both directions ended cleanly */
    uint64_t broken;                             /* ended by an error of either side */
    uint64_t bytes_to_target, bytes_from_target; /* relayed, of those that still are too */
    unsigned active;                             /* right now */
};

struct forwarder_ops {
    /* ST_OK or the connection is closed without a word. NULL = everybody. */
    enum status (*admit)(void *ctx, const struct peer *peer);
    /* Where this connection goes; otherwise @why is what the client is told. */
    enum status (*target)(void *ctx, struct addr *to, struct errmsg *why);
    /* Each dial's end (a retried one only at its last), for conditions; @st is ST_OK or the
     * failure. May be NULL. */
    void (*on_dial)(void *ctx, enum status st, const struct errmsg *why);
    /* A connection stands: how long its target may take for a first byte, once the client has
     * asked. 0 = as long as it likes. May be NULL. */
    uint32_t (*patience_ms)(void *ctx);
    /* So long it has said nothing. True: the client is told @why and both ends are let go; false:
     * it waits on, and this is not asked again. */
    bool (*on_silence)(void *ctx, uint32_t waited_ms, struct errmsg *why);
    /* A listener was opened or changed state (listener.h): ST_OK once all of them are well,
     * otherwise what is wrong with one that is not. May be NULL. */
    void (*on_listener)(void *ctx, enum status st, const struct errmsg *why);
    /* The last connection ended while draining. May be NULL. */
    void (*on_drained)(void *ctx);
};

enum status forwarder_new(struct forwarder **out, struct loop *loop,
                          const struct forwarder_config *config, const struct forwarder_ops *ops,
                          void *ctx, struct errmsg *e);
/* May be called for several addresses. Statuses of listener_open(). */
enum status forwarder_listen(struct forwarder *f, const struct addr *at,
                             const struct listener_opts *opts, struct errmsg *e);
/* For connections from now on; those that there are go on, even when they are too many now. 0 keeps
 * a value as it is. */
void forwarder_set_limits(struct forwarder *f, const struct forwarder_config *config);
/* Closes all listeners; connections go on. */
void forwarder_stop_listening(struct forwarder *f);
/* forwarder_stop_listening(), then on_drained() once no connection is left (never before this
 * returns). Deadlines are the caller's. */
void forwarder_drain(struct forwarder *f);
/* Looks at each connection: for a report, not for each byte. */
struct forwarder_stats forwarder_get_stats(const struct forwarder *f);
/* Sum over all listeners there have been. */
void forwarder_get_listener_stats(const struct forwarder *f, struct listener_stats *sum);
/* Cuts what is left and frees. NULL is fine. */
void forwarder_free(struct forwarder *f);

#endif
