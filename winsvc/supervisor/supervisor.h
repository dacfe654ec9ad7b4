/* SPDX-License-Identifier: Apache-2.0
 * supervisor.h - keeps workers alive: a pure state machine. Clock, randomness and process control
 * come in from outside, so that a test decides all of them.
 *
 * Per worker: STOPPED -> STARTING -> RUNNING -> (DRAINING) -> STOPPED, and BACKOFF after any end
 * that was not asked for. A worker is ended and restarted when it exits, when its channel breaks,
 * when it is silent for heartbeat_ms, when it is not ready within start_ms, or when it says so
 * itself (ExitNotice). Order is rest_for_one: when a worker goes down, those after it are stopped
 * too and come back in order. Never gives up: ten restarts in a minute are a crash loop, a state
 * that a reader sees, and the owner is asked once a minute to tear down and find anew what the
 * worker works for (escalate), since that may be what ends it; the back-off stays at its cap. A
 * controller drives it with supervisor_tick().
 */
#ifndef WINSVC_SUPERVISOR_SUPERVISOR_H
#define WINSVC_SUPERVISOR_SUPERVISOR_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct supervisor;

enum worker_state {
    WORKER_STOPPED,
    WORKER_STARTING,
    WORKER_RUNNING,
    WORKER_DRAINING,
    WORKER_BACKOFF,
    WORKER_STATE_COUNT
};
const char *worker_state_name(enum worker_state s); /* "running" */

/* Why a worker ended the last time. */
struct worker_exit {
    bool any;
    int64_t code;
    int signal;
    char reason[40]; /* CamelCase: Exited, Killed, HeartbeatMissed, StartTimeout, StartFailed,
                      * ChannelLost, DrainTimeout, Stopped, or what a notice said */
    char message[256];
    int64_t wall_ms;
};

struct worker_view {
    const char *name;
    enum worker_state state;
    int64_t pid; /* 0 = none */
    uint64_t restarts;
    uint64_t since_ms;      /* monotonic, of the current state */
    uint64_t next_start_ms; /* in BACKOFF */
    bool crash_loop;
    struct worker_exit last_exit;
};

struct supervisor_ops {
    /* Start worker @index; ST_OK or the reason it could not be started (counts as a failure).
     * supervisor_on_started() may be called from within. */
    enum status (*start)(void *ctx, unsigned index, struct errmsg *e);
    /* Ask it to finish (Drain); supervisor kills after drain_ms. */
    void (*drain)(void *ctx, unsigned index, uint32_t deadline_ms);
    /* End it now; supervisor_on_exit() must follow. */
    void (*kill)(void *ctx, unsigned index);
    /* Anything a status reader can see has changed. */
    void (*changed)(void *ctx, unsigned index);
    /* Restarting it alone has not helped: begin with all behind it from the start. The worker is
     * started again all the same. May be NULL. */
    void (*escalate)(void *ctx, unsigned index);
    uint32_t (*random)(void *ctx);
    int64_t (*wall_ms)(void *ctx);
};

struct supervisor_config {
    uint32_t start_ms;                                   /* 0 = 10,000: from start to ready */
    uint32_t heartbeat_ms;                               /* 0 = 5,000 */
    uint32_t drain_ms;                                   /* 0 = 5,000 */
    uint32_t backoff_base_ms, backoff_cap_ms, stable_ms; /* 0 = 100; 10,000; 30,000 */
};

enum { SUPERVISOR_MAX_WORKERS = 16 };

/* ST_NOMEM. */
enum status supervisor_new(struct supervisor **out, const struct supervisor_config *config,
                           const struct supervisor_ops *ops, void *ctx);
/* Order of adding is order of starting. ST_FULL (SUPERVISOR_MAX_WORKERS). @name is copied, 39 bytes
 * of it at most. */
enum status supervisor_add(struct supervisor *s, const char *name, unsigned *index);
/* Of drains from now on; 0 = default. */
void supervisor_set_drain(struct supervisor *s, uint32_t drain_ms);
void supervisor_start(struct supervisor *s, uint64_t now_ms);
/* Drain all in reverse order; supervisor_is_stopped() afterwards tells when it is done. */
void supervisor_stop(struct supervisor *s, uint64_t now_ms);
/* Drain @index and those after it, and start them again; what waits in BACKOFF starts at once. It
 * is no failure: the crash loop and the back-off know nothing of it. Nothing while stopping. */
void supervisor_restart(struct supervisor *s, unsigned index, uint64_t now_ms);
bool supervisor_is_stopped(const struct supervisor *s);

/* Events, all with the monotonic clock. */
void supervisor_on_started(struct supervisor *s, unsigned index, int64_t pid, uint64_t now_ms);
void supervisor_on_ready(struct supervisor *s, unsigned index, uint64_t now_ms);
void supervisor_on_heartbeat(struct supervisor *s, unsigned index, uint64_t now_ms);
/* The worker announced its end or broke the protocol: @reason is kept for last_exit. */
void supervisor_on_notice(struct supervisor *s, unsigned index, const char *reason,
                          const char *message, uint64_t now_ms);
/* Its channel closed without a word, so it should be about to exit; what its exit says is kept. One
 * that stays is killed, and the reason is ChannelLost. */
void supervisor_on_lost(struct supervisor *s, unsigned index, uint64_t now_ms);
void supervisor_on_exit(struct supervisor *s, unsigned index, int64_t code, int signal,
                        uint64_t now_ms);
/* What the process that just ended said last (its log, a crash report), for people: added to the
 * message of its exit, unless it ended as it was asked to. */
void supervisor_add_words(struct supervisor *s, unsigned index, const char *words);
/* Acts on every deadline that has come; returns the next one (UINT64_MAX = none), which events may
 * change: call it after each of them. */
uint64_t supervisor_tick(struct supervisor *s, uint64_t now_ms);

void supervisor_view(const struct supervisor *s, unsigned index, struct worker_view *out);
void supervisor_free(struct supervisor *s);

#endif
