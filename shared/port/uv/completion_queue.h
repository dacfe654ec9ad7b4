/* SPDX-License-Identifier: Apache-2.0
 * completion_queue.h - hands finished work from other threads to a loop, in order.
 *
 * A completion is embedded in its owner, so posting never allocates and never fails; the queue is
 * as long as there is work under way. The lock is held for a few instructions; beside it only
 * log_writer and Windows' own (dns_calls, event_log, service_main) share data between threads. Runs
 * on: everything on the loop's thread, but completion_queue_post(), which any thread may call.
 * Owns: nothing that is posted.
 */
#ifndef SHARED_PORT_UV_COMPLETION_QUEUE_H
#define SHARED_PORT_UV_COMPLETION_QUEUE_H

#include "base/status.h"

struct completion_queue;
struct uv_loop_s;

struct completion {
    struct completion *next;           /* while queued */
    void (*run)(struct completion *c); /* on the loop; may free the owner */
};

/* Keeps the loop alive until it is freed. ST_NOMEM, ST_NOFILES. */
enum status completion_queue_new(struct completion_queue **out, struct uv_loop_s *uv);
/* @c must not be queued already. Order is kept per posting thread. */
void completion_queue_post(struct completion_queue *q, struct completion *c);
/* No thread may post any more. What is queued and has not run is forgotten: an owner that cares
 * counts what it has posted. May be called from within run(). NULL is fine. */
void completion_queue_free(struct completion_queue *q);

#endif
