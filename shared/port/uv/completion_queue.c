/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Posting threads append to a singly linked list under a lock and wake the loop through a uv_async.
 * libuv merges wake-ups, so each wake-up takes the whole list at once and runs it outside the lock:
 *
 *   pump thread --\                    lock                       loop thread
 *   wait thread ---> post(): append, wake  ==>  on_wake(): take all, unlock, run each
 *
 * A wake-up is sent only by the post that finds the list empty: later ones are covered by it,
 * because on_wake() takes the list after libuv has cleared the wake-up.
 *
 * run() may free the queue: on_wake() then stops before it looks at the queue again, and the memory
 * itself goes with libuv's close callback. What was taken in the same round but not run is dropped
 * as the header says.
 */
#include "port/uv/completion_queue.h"

#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

struct completion_queue {
    uv_async_t wake;
    uv_mutex_t lock; /* guards first, last */
    struct completion *first, *last;
    bool freed; /* loop thread only */
};

static void on_wake(uv_async_t *wake)
{
    struct completion_queue *q = wake->data;

    uv_mutex_lock(&q->lock);
    struct completion *c = q->first;
    q->first = q->last = NULL;
    uv_mutex_unlock(&q->lock);

    while (c && !q->freed) {
        struct completion *next = c->next; /* run() may free the owner or post it again */
        c->next = NULL;
        c->run(c);
        c = next;
    }
}

enum status completion_queue_new(struct completion_queue **out, struct uv_loop_s *uv)
{
    struct completion_queue *q = calloc(1, sizeof(*q));
    if (!q)
        return ST_NOMEM;
    if (uv_mutex_init(&q->lock)) {
        free(q);
        return ST_NOMEM;
    }
    if (uv_async_init(uv, &q->wake, on_wake)) {
        uv_mutex_destroy(&q->lock);
        free(q);
        return ST_NOFILES;
    }
    q->wake.data = q;
    *out = q;
    return ST_OK;
}

void completion_queue_post(struct completion_queue *q, struct completion *c)
{
    c->next = NULL;
    uv_mutex_lock(&q->lock);
    bool was_empty = !q->first;
    if (was_empty)
        q->first = c;
    else
        q->last->next = c;
    q->last = c;
    if (was_empty)
        uv_async_send(&q->wake); /* under the lock: after it, the queue may be gone */
    uv_mutex_unlock(&q->lock);
}

static void on_closed(uv_handle_t *wake)
{
    struct completion_queue *q = wake->data;
    uv_mutex_destroy(&q->lock);
    free(q);
}

void completion_queue_free(struct completion_queue *q)
{
    if (!q)
        return;
    q->freed = true;
    uv_close((uv_handle_t *)&q->wake, on_closed);
}
