/* SPDX-License-Identifier: Apache-2.0
 * docker_endpoint.h - serves docker clients: each connection is relayed to the guest's bridge.
 *
 * Lives in the docker worker. The controller says which guest is behind it (docker_endpoint_
 * set_target()); while there is none, or it does not answer, clients get HTTP 503 with the reason
 * within a second. Whether docker really answers is found out by asking it (docker_probe.h) and
 * told as the condition DockerReachable. While that says EngineSilent new clients are still carried
 * to the engine, and told if it says nothing to them either; those from before wait on.
 * Owns: the forwarder and the probe. Runs on: the worker's loop.
 */
#ifndef WINSVC_DOCKER_DOCKER_ENDPOINT_H
#define WINSVC_DOCKER_DOCKER_ENDPOINT_H

#include "base/status.h"
#include "port/addr.h"

#include <stdbool.h>
#include <stdint.h>

struct docker_endpoint;
struct health_report;
struct listener_opts;
struct loop;

struct docker_endpoint_config {
    uint32_t max_connections; /* 0 = forwarder's default */
    uint32_t dial_timeout_ms; /* 0 = forwarder's default, below a second */
    uint32_t probe_ms;        /* 0 = 2,000: between two questions to docker */
};

struct docker_endpoint_ops {
    /* A condition changed: report it. */
    void (*on_change)(void *ctx);
    /* docker_endpoint_drain() is complete. */
    void (*on_drained)(void *ctx);
};

enum status docker_endpoint_new(struct docker_endpoint **out, struct loop *loop,
                                const struct docker_endpoint_config *config,
                                const struct docker_endpoint_ops *ops, void *ctx, struct errmsg *e);
/* Statuses of listener_open(). */
enum status docker_endpoint_listen(struct docker_endpoint *d, const struct addr *at,
                                   const struct listener_opts *opts, struct errmsg *e);
/* @to == NULL: nowhere, and clients are told @reason. @instance is the guest's name. */
void docker_endpoint_set_target(struct docker_endpoint *d, const struct addr *to,
                                const char *instance, const char *reason);
/* As forwarder_set_limits(). */
void docker_endpoint_set_limits(struct docker_endpoint *d, uint32_t max_connections,
                                uint32_t dial_timeout_ms);
/* Asks the engine at once. */
void docker_endpoint_look_now(struct docker_endpoint *d);
/* Appends the component "docker": state, conditions, counters. */
void docker_endpoint_fill_health(const struct docker_endpoint *d, struct health_report *out);
/* Accepts nothing new; on_drained() when the last connection has ended. */
void docker_endpoint_drain(struct docker_endpoint *d);
/* Cuts what is left. NULL is fine. */
void docker_endpoint_free(struct docker_endpoint *d);

#endif
