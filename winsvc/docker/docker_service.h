/* SPDX-License-Identifier: Apache-2.0
 * docker_service.h - the controller's side of one docker endpoint: its name and its worker.
 *
 * The name is claimed for life (port/claim.h) and served by a worker that inherits it. When
 * somebody else has the name, the fallback name is served instead and the wanted one is tried again
 * every second; once it is free it is claimed and served too, and the fallback stays, because
 * clients may have been pointed at it by then.
 * Owns: up to two claims with a worker host each. Runs on: the controller's loop.
 */
#ifndef WINSVC_DOCKER_DOCKER_SERVICE_H
#define WINSVC_DOCKER_DOCKER_SERVICE_H

#include "base/status.h"
#include "port/addr.h"

#include <stdbool.h>
#include <stdint.h>

struct docker_service;
struct loop;
struct snapshot;
struct snapshot_clock;

struct docker_service_config {
    const char *name;      /* of the endpoint, "docker"; copied */
    const char *program;   /* absolute path of rdlinkd; copied */
    struct addr wanted;    /* unix or npipe */
    struct addr fallback;  /* ADDR_NONE = none */
    const char *sddl;      /* npipe: who may connect; NULL = default; borrowed */
    unsigned unix_mode;    /* unix: permission bits, 0 = 0600 */
    const char *log_level; /* for the worker; copied */
    uint32_t max_connections, dial_timeout_ms, drain_ms;
};

struct docker_service_ops {
    void (*on_change)(void *ctx);   /* something a status reader can see */
    void (*on_escalate)(void *ctx); /* a worker keeps ending: find the guest anew */
    void (*on_stopped)(void *ctx);  /* docker_service_stop() is complete */
};

/* Claims and starts. A name that is taken or cannot be claimed now is no error: it is tried again,
 * and the snapshot says so. ST_NOMEM, ST_INVAL. */
enum status docker_service_new(struct docker_service **out, struct loop *loop,
                               const struct docker_service_config *config,
                               const struct docker_service_ops *ops, void *ctx, struct errmsg *e);
/* Where clients go from now on; @to == NULL: nowhere, because of @reason. */
void docker_service_set_target(struct docker_service *s, const struct addr *to,
                               const char *instance, const char *reason);
/* What may change while it runs; connections go on. */
struct docker_service_limits {
    uint32_t max_connections, dial_timeout_ms, drain_ms;
    const char *log_level; /* of the next process; copied */
};
void docker_service_set_limits(struct docker_service *s, const struct docker_service_limits *l);
/* Its workers ask the engine now. */
void docker_service_look_now(struct docker_service *s);
/* npipe: who may connect from now on; @sddl is borrowed as config.sddl. The names stay ours. With
 * @revokes the workers are drained and replaced, so that nobody stays who may not any more. */
void docker_service_regrant(struct docker_service *s, const char *sddl, bool revokes);
/* Adds its workers as components and its names as endpoints. */
void docker_service_fill(const struct docker_service *s, struct snapshot *out,
                         const struct snapshot_clock *clock);
/* Drains the worker @name and starts another one; *restarts gets how often that was done before, so
 * that a reader of the status sees when it has been done. ST_NOTFOUND. */
enum status docker_service_restart(struct docker_service *s, const char *name, uint64_t *restarts);
/* Drains and ends the workers; on_stopped() follows, never before this returns. */
void docker_service_stop(struct docker_service *s);
/* Cuts a running stop short. */
void docker_service_kill(struct docker_service *s);
/* NULL is fine. */
void docker_service_free(struct docker_service *s);

#endif
