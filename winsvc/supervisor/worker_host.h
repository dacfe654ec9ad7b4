/* SPDX-License-Identifier: Apache-2.0
 * worker_host.h - the controller's side of its workers: processes, their control channels and the
 * supervisor that decides when to start and end them.
 *
 * Per worker: spawn, open the channel (we send Hello), on_open() - the owner sends configuration -
 * Ready, a HealthReport at least every second, exit. Everything that goes wrong (exit, signal,
 * missed heartbeat, late Ready, broken protocol, ExitNotice) ends the process and brings it back
 * as supervisor.h says; on_open() comes again for the new one, which knows nothing of the old.
 *
 * Owns: processes and channels. Runs on: the controller's loop. Callbacks may call anything here
 * but worker_host_free().
 */
#ifndef WINSVC_SUPERVISOR_WORKER_HOST_H
#define WINSVC_SUPERVISOR_WORKER_HOST_H

#include "base/status.h"
#include "ipc/channel.h"
#include "ipc/health.h"
#include "supervisor/supervisor.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct process_identity;
struct worker_host;

struct worker_spec {
    const char *name;      /* copied; unique, "docker" */
    Rdlink__V1__Role role; /* ROLE_WORKER_x: the only kind of peer taken on its channel */
    const char *file;      /* absolute path of the program; copied */
    char *const *argv;     /* argv[0] first, NULL last; borrowed until worker_host_free() */
    int inherit_fd;        /* becomes fd 3 of each of its processes; borrowed as argv; -1 = none */
};

/* All may be NULL. */
struct worker_host_ops {
    /* A new process of worker @index finished its greeting: send it its configuration. */
    void (*on_open)(void *ctx, unsigned index, const struct channel_peer *peer);
    /* A report that says something new: first one, or a state or condition changed. Counters alone
     * do not count; worker_host_health() always has the newest. */
    void (*on_health)(void *ctx, unsigned index, const struct health_report *report);
    /* A message of the worker that is not about its life: anything but HealthReport, Ready and
     * ExitNotice. Borrowed for the call. */
    void (*on_message)(void *ctx, unsigned index, const Rdlink__V1__Envelope *msg);
    /* What worker_host_view() shows has changed. */
    void (*on_change)(void *ctx, unsigned index);
    /* Worker @index is in a crash loop; at most once a minute, see supervisor_ops.escalate(). */
    void (*on_escalate)(void *ctx, unsigned index);
    /* worker_host_stop() is complete: no process is left. */
    void (*on_stopped)(void *ctx);
};

struct worker_host_config {
    const char *instance;                /* ours, for Hello; copied; NULL = "" */
    struct supervisor_config supervisor; /* zeros = defaults */
};

/* ST_NOMEM. */
enum status worker_host_new(struct worker_host **out, struct loop *loop,
                            const struct worker_host_config *config,
                            const struct worker_host_ops *ops, void *ctx);
/* Before worker_host_start(); order of adding is order of starting, and what comes later depends
 * on what came before (rest_for_one). ST_FULL, ST_INVAL (no or too long a name or path). */
enum status worker_host_add(struct worker_host *h, const struct worker_spec *spec, unsigned *index);
/* Starts them; a program that cannot be started is retried like one that fails. */
void worker_host_start(struct worker_host *h);
/* Drains all in reverse order, kills what is not gone in time; then on_stopped(), never before
 * this returns. */
void worker_host_stop(struct worker_host *h);
/* Drains worker @index and those after it, and starts them again; see supervisor_restart(). */
void worker_host_restart(struct worker_host *h, unsigned index);
/* Cuts a running stop short: kills all now; on_stopped() still comes. */
void worker_host_kill_all(struct worker_host *h);

/* Of drains from now on; 0 = default. */
void worker_host_set_drain(struct worker_host *h, uint32_t drain_ms);
/* To worker @index. ST_CLOSED while it has no open channel (it gets on_open() then), otherwise as
 * channel_send(). */
enum status worker_host_send(struct worker_host *h, unsigned index, Rdlink__V1__Envelope *msg);

/* LookNow to all of them; who has no open channel is new and looks anyway. */
void worker_host_look_now(struct worker_host *h);
void worker_host_view(const struct worker_host *h, unsigned index, struct worker_view *out);
/* The newest report of the process that is there now; NULL before the first and after its end.
 * Borrowed until control returns to the loop. */
const struct health_report *worker_host_health(const struct worker_host *h, unsigned index);

/* What its process may do, measured when it greeted; empty texts while there is none. Borrowed as
 * above. */
const struct process_identity *worker_host_identity(const struct worker_host *h, unsigned index);

/* Kills what still runs; no callback afterwards. NULL is fine. */
void worker_host_free(struct worker_host *h);

#endif
