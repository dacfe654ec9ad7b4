/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * loop->timers is ordered by due time; equal times keep the order in which they were started.
 * Most timers of a program are the same few time-outs, so a new one nearly always belongs at the
 * tail (a time-out) or at the head (delay 0): both are tried before anything is walked.
 *
 * A pass (loop_run_timers) first moves what is due to a list of its own and then fires from there.
 * So a timer that is started during the pass, even with delay 0, waits for the next one, and a
 * timer that is stopped during the pass, by whomever, unlinks itself from wherever it hangs.
 */
#include "port/loop.h"

static struct timer *timer_of(struct list *link)
{
    return container_of(link, struct timer, link);
}

static void loop_rearm(struct loop *loop)
{
    uint64_t due = UINT64_MAX;

    if (!list_is_empty(&loop->timers))
        due = timer_of(loop->timers.next)->due_ms;
    loop->ops->arm(loop, due);
}

void loop_init(struct loop *loop, const struct loop_ops *ops)
{
    loop->ops = ops;
    list_init(&loop->timers);
}

void loop_run_timers(struct loop *loop)
{
    uint64_t now = loop_now_ms(loop);
    struct list due;

    list_init(&due);
    while (!list_is_empty(&loop->timers) && timer_of(loop->timers.next)->due_ms <= now) {
        struct list *first = loop->timers.next;

        list_remove(first);
        list_append(&due, first);
    }
    while (!list_is_empty(&due)) {
        struct timer *t = timer_of(due.next);

        list_remove(&t->link);
        t->fire(t->ctx);
    }
    loop_rearm(loop);
}

void timer_init(struct timer *t, struct loop *loop, timer_fn *fire, void *ctx)
{
    list_init(&t->link);
    t->loop = loop;
    t->due_ms = 0;
    t->fire = fire;
    t->ctx = ctx;
}

static void timer_insert(struct timer *t)
{
    struct list *head = &t->loop->timers;
    struct list *at = head->prev;

    if (list_is_empty(head) || t->due_ms < timer_of(head->next)->due_ms) {
        list_insert_after(head, &t->link);
        return;
    }
    while (timer_of(at)->due_ms > t->due_ms)
        at = at->prev;
    list_insert_after(at, &t->link);
}

void timer_start(struct timer *t, uint64_t delay_ms)
{
    struct list *head = &t->loop->timers;
    uint64_t now = loop_now_ms(t->loop);
    bool was_first = head->next == &t->link;

    list_remove(&t->link);
    t->due_ms = delay_ms < UINT64_MAX - now ? now + delay_ms : UINT64_MAX - 1;
    timer_insert(t);
    if (was_first || head->next == &t->link)
        loop_rearm(t->loop);
}

void timer_stop(struct timer *t)
{
    bool was_first = t->loop->timers.next == &t->link;

    list_remove(&t->link);
    if (was_first)
        loop_rearm(t->loop);
}

bool timer_is_running(const struct timer *t)
{
    return !list_is_empty(&t->link);
}
