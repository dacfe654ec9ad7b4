/* SPDX-License-Identifier: Apache-2.0
 * timer_wheel.h - time-outs for thousands of objects at a cost that does not depend on how many.
 *
 * For what is set often and rarely fires (retransmission, idle probes); for a few exact timers use
 * port/loop.h. Fires up to WHEEL_TICK_MS late, never early. Pure: the owner asks when the next one
 * is due and comes back then. Runs on: one thread. THEORY: timer_wheel.c.
 */
#ifndef SHARED_BASE_TIMER_WHEEL_H
#define SHARED_BASE_TIMER_WHEEL_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

enum { WHEEL_TICK_MS = 16, WHEEL_LEVELS = 4, WHEEL_SLOTS = 64 };

struct wheel_timer {
    struct list link; /* self-linked when not set */
    uint64_t due_tick;
    uint8_t level, slot;
};

struct timer_wheel {
    uint64_t tick; /* everything up to here has fired */
    uint64_t used[WHEEL_LEVELS];
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct list fired; /* due, not handed out yet */
};

void wheel_init(struct timer_wheel *w, uint64_t now_ms);
void wheel_timer_init(struct wheel_timer *t);
/* Sets or moves. Beyond 64^4 ticks (74 hours) it fires then. */
void wheel_set(struct timer_wheel *w, struct wheel_timer *t, uint64_t due_ms);
void wheel_remove(struct timer_wheel *w, struct wheel_timer *t);
bool wheel_is_set(const struct wheel_timer *t);
/* The next one that is due at @now_ms, no longer set; NULL: none any more. */
struct wheel_timer *wheel_expire(struct timer_wheel *w, uint64_t now_ms);
/* When to call wheel_expire() next, at the latest; UINT64_MAX = nothing is set. */
uint64_t wheel_next_ms(const struct timer_wheel *w);

#endif
