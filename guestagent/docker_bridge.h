/* SPDX-License-Identifier: Apache-2.0
 * docker_bridge.h - streams from the host to docker.sock, and what is known about docker.sock.
 *
 * A forwarder with the guest's rules: only the host may connect (admit.h), and only a socket of the
 * right owner is connected to. What stands in the way is a condition, a log line and the answer
 * that clients get; it never stops the bridge. Theory of operation: docker_bridge.c.
 * Runs on: one loop. Owns: the forwarder.
 */
#ifndef GUESTAGENT_DOCKER_BRIDGE_H
#define GUESTAGENT_DOCKER_BRIDGE_H

#include "base/status.h"
#include "guestagent/sock_owner.h"
#include "port/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct docker_bridge;
struct health_component;
struct listener_opts;
struct loop;

struct docker_bridge_config {
    struct addr target;
    int64_t target_owner; /* of a unix socket */
    unsigned max_connections;
    uint32_t dial_timeout_ms;
    /* Whose a socket is; NULL = sock_owner_get(). A seam for tests. */
    enum status (*owner_of)(const char *path, struct sock_owner *out);
};

/* Any may be NULL. */
struct docker_bridge_ops {
    /* A condition changed; the first time is when the target has been looked at. */
    void (*on_change)(void *ctx);
    /* docker_bridge_drain() is done. */
    void (*on_drained)(void *ctx);
};

/* ST_NOMEM. Starts to look at the target from the loop. */
enum status docker_bridge_new(struct docker_bridge **out, struct loop *loop,
                              const struct docker_bridge_config *config,
                              const struct docker_bridge_ops *ops, void *ctx, struct errmsg *e);
/* Statuses of listener_open(). */
enum status docker_bridge_listen(struct docker_bridge *b, const struct addr *at,
                                 const struct listener_opts *opts, struct errmsg *e);
/* Closes the listeners; on_drained() once the last stream has ended. */
void docker_bridge_drain(struct docker_bridge *b);
/* The target has been looked at once, whatever was found. */
bool docker_bridge_is_checked(const struct docker_bridge *b);
/* A client that came now would be served. */
bool docker_bridge_is_serving(const struct docker_bridge *b);
/* The periodic look at the target still happens: false = the loop or the timers are stuck. */
bool docker_bridge_is_alive(const struct docker_bridge *b);
/* Streams right now. */
unsigned docker_bridge_active(const struct docker_bridge *b);
/* State, conditions and counters. */
void docker_bridge_report(const struct docker_bridge *b, struct health_component *out);
/* One line for people: "serving 3 streams" or what stands in the way. Returns @buf. */
const char *docker_bridge_summary(const struct docker_bridge *b, char *buf, size_t cap);
/* Cuts what is left. NULL is fine. */
void docker_bridge_free(struct docker_bridge *b);

#endif
