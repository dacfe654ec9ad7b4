/* SPDX-License-Identifier: Apache-2.0
 * worker_link.h - the worker's side: its tie to the controller over standard input.
 *
 * Opened first thing in a worker process. From the greeting on it sends a HealthReport every
 * second, filled by the worker from its own loop, so that a stuck loop is a missed heartbeat. One
 * that turns and gets nowhere (spin_watch.h) is an ExitNotice, and the controller ends the process.
 * When the link ends the controller is gone or wants us gone: on_end() means exit.
 *
 * Owns: the channel. Runs on: the worker's loop. Callbacks may call anything here; only on_end(),
 * on_drain() and on_shutdown() may call worker_link_free().
 */
#ifndef WINSVC_SUPERVISOR_WORKER_LINK_H
#define WINSVC_SUPERVISOR_WORKER_LINK_H

#include "base/status.h"
#include "ipc/channel.h"
#include "ipc/health.h"

#include <stdint.h>

struct loop;
struct stream;
struct worker_link;

struct worker_link_config {
    Rdlink__V1__Role role; /* ROLE_WORKER_x: ours */
    const char *instance;  /* copied; NULL = "" */
    uint32_t health_ms;    /* 0 = 1,000: between two reports */
    uint32_t spin_ms;      /* 0 = SPIN_WATCH_MS: busy with nothing for so long, and it gives up */
};

/* fill_health() is needed, all else may be NULL. */
struct worker_link_ops {
    /* Greeting done; configuration messages follow. */
    void (*on_open)(void *ctx, const struct channel_peer *controller);
    /* What do you have to report? @out comes empty; called once per report. */
    void (*fill_health)(void *ctx, struct health_report *out);
    /* Anything but Drain and Shutdown; borrowed for the call. */
    void (*on_message)(void *ctx, const Rdlink__V1__Envelope *msg);
    /* Finish what is under way within @deadline_ms, accept nothing new, then exit with 0. */
    void (*on_drain)(void *ctx, uint32_t deadline_ms);
    /* Exit now. @reason is borrowed for the call. */
    void (*on_shutdown)(void *ctx, const char *reason);
    /* The link is over; exit. Last callback. */
    void (*on_end)(void *ctx, enum channel_end why, const char *detail);
};

/* Ties this process to its parent and takes its standard input as the control stream. ST_NOMEM,
 * or what process_control_stream() says: this process was not started by a controller. */
enum status worker_link_open(struct worker_link **out, struct loop *loop,
                             const struct worker_link_config *config,
                             const struct worker_link_ops *ops, void *ctx, struct errmsg *e);
/* The same over a stream that the caller has (tests); takes @s in every case. ST_NOMEM. */
enum status worker_link_new(struct worker_link **out, struct loop *loop, struct stream *s,
                            const struct worker_link_config *config,
                            const struct worker_link_ops *ops, void *ctx);

/* Tells the controller that we do our job from now on; once, later calls do nothing. Before the
 * greeting it is remembered and sent then. @detail is for people. */
void worker_link_ready(struct worker_link *l, const char *detail);
/* Sends a report now instead of at the next second: something changed. */
void worker_link_report(struct worker_link *l);
/* A message of another kind; as channel_send(). */
enum status worker_link_send(struct worker_link *l, Rdlink__V1__Envelope *msg);
/* Says why we are about to exit; the caller then frees the link (which sends what is queued) and
 * exits with @code. @reason is CamelCase. */
void worker_link_exit_notice(struct worker_link *l, int32_t code, const char *reason,
                             const char *message);
/* No callback afterwards. What is queued gets up to one second to leave; the loop's end waits for
 * that. NULL is fine. */
void worker_link_free(struct worker_link *l);

#endif
