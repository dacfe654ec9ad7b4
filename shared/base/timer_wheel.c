/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Four wheels of 64 slots; a slot of level n spans 64^n ticks. A timer hangs on the lowest level
 * whose span reaches it, in the slot of its due time. When time enters a slot of a higher level,
 * its timers move down, so a timer is touched at most four times however far away it was, and
 * setting or removing one is a few list moves. One bit per slot says where there is anything:
 * finding the next due time is four bit scans, and a long idle stretch is skipped, not walked.
 *
 *   level 0   1 tick    = 16 ms      reaches 1 s
 *   level 1   64 ticks  = 1 s        reaches 65 s
 *   level 2   4096      = 65 s       reaches 70 min
 *   level 3   262144    = 70 min     reaches 74 h
 *
 * Invariant: a timer on level n is due more than 0 and less than 64 slots of that level after
 * w->tick, so its slot number says without doubt when it is due.
 */
#include "base/timer_wheel.h"

#include "base/util.h"

#include <stddef.h>

enum { SLOT_BITS = 6, SLOT_MASK = WHEEL_SLOTS - 1 };

void wheel_init(struct timer_wheel *w, uint64_t now_ms)
{
    w->tick = now_ms / WHEEL_TICK_MS;
    list_init(&w->fired);
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        w->used[level] = 0;
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&w->slots[level][slot]);
    }
}

void wheel_timer_init(struct wheel_timer *t)
{
    list_init(&t->link);
}

bool wheel_is_set(const struct wheel_timer *t)
{
    return !list_is_empty(&t->link);
}

static void wheel_insert(struct timer_wheel *w, struct wheel_timer *t)
{
    unsigned level = 0;

    while (level < WHEEL_LEVELS - 1 &&
           (t->due_tick >> (level * SLOT_BITS)) - (w->tick >> (level * SLOT_BITS)) >= WHEEL_SLOTS)
        level++;
    t->level = (uint8_t)level;
    t->slot = (uint8_t)((t->due_tick >> (level * SLOT_BITS)) & SLOT_MASK);
    list_append(&w->slots[level][t->slot], &t->link);
    w->used[level] |= UINT64_C(1) << t->slot;
}

void wheel_set(struct timer_wheel *w, struct wheel_timer *t, uint64_t due_ms)
{
    uint64_t farthest = w->tick + ((uint64_t)(WHEEL_SLOTS - 1) << (SLOT_BITS * 3));

    wheel_remove(w, t);
    t->due_tick = due_ms / WHEEL_TICK_MS + 1;
    t->due_tick = MAX(t->due_tick, w->tick + 1);
    t->due_tick = MIN(t->due_tick, farthest);
    wheel_insert(w, t);
}

void wheel_remove(struct timer_wheel *w, struct wheel_timer *t)
{
    if (!wheel_is_set(t))
        return;
    list_remove(&t->link);
    if (t->level < WHEEL_LEVELS && list_is_empty(&w->slots[t->level][t->slot]))
        w->used[t->level] &= ~(UINT64_C(1) << t->slot);
}

/* The first tick after w->tick at which @level has something to do; UINT64_MAX = never. */
static uint64_t level_next(const struct timer_wheel *w, unsigned level)
{
    uint64_t at = w->tick >> (level * SLOT_BITS);
    unsigned turn = (unsigned)((at + 1) & SLOT_MASK);
    uint64_t bits = w->used[level];

    if (!bits)
        return UINT64_MAX;
    if (turn)
        bits = bits >> turn | bits << (WHEEL_SLOTS - turn);
    return (at + 1 + (unsigned)__builtin_ctzll(bits)) << (level * SLOT_BITS);
}

static uint64_t wheel_next_tick(const struct timer_wheel *w)
{
    uint64_t next = UINT64_MAX;

    for (unsigned level = 0; level < WHEEL_LEVELS; level++)
        next = MIN(next, level_next(w, level));
    return next;
}

/* Time is w->tick now: what this makes due goes to @fired, what it makes near moves down. */
static void wheel_enter(struct timer_wheel *w)
{
    for (unsigned level = WHEEL_LEVELS; level-- > 0;) {
        unsigned slot = (unsigned)(w->tick >> (level * SLOT_BITS)) & SLOT_MASK;
        struct list *head = &w->slots[level][slot];

        if (w->tick & ((UINT64_C(1) << (level * SLOT_BITS)) - 1))
            continue;
        w->used[level] &= ~(UINT64_C(1) << slot);
        while (!list_is_empty(head)) {
            struct wheel_timer *t = container_of(head->next, struct wheel_timer, link);

            list_remove(&t->link);
            if (t->due_tick > w->tick) {
                wheel_insert(w, t);
                continue;
            }
            t->level = WHEEL_LEVELS;
            list_append(&w->fired, &t->link);
        }
    }
}

struct wheel_timer *wheel_expire(struct timer_wheel *w, uint64_t now_ms)
{
    uint64_t now = now_ms / WHEEL_TICK_MS;

    while (list_is_empty(&w->fired)) {
        uint64_t next = wheel_next_tick(w);

        if (next > now) {
            w->tick = MAX(w->tick, now);
            return NULL;
        }
        w->tick = next;
        wheel_enter(w);
    }
    struct wheel_timer *t = container_of(w->fired.next, struct wheel_timer, link);
    list_remove(&t->link);
    return t;
}

uint64_t wheel_next_ms(const struct timer_wheel *w)
{
    uint64_t next = wheel_next_tick(w);

    if (!list_is_empty(&w->fired))
        return w->tick * WHEEL_TICK_MS;
    return next == UINT64_MAX ? UINT64_MAX : next * WHEEL_TICK_MS;
}
