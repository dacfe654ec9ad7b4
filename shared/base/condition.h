/* SPDX-License-Identifier: Apache-2.0
 * condition.h - what is true of a component right now, with Kubernetes' six fields.
 *
 * A set is small and fixed: a component declares its condition types once and then only changes
 * them. last_transition moves only when the status changes, as Kubernetes does it. Pure.
 */
#ifndef SHARED_BASE_CONDITION_H
#define SHARED_BASE_CONDITION_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum condition_status { COND_UNKNOWN, COND_TRUE, COND_FALSE }; /* the numbers of control.proto */

enum {
    CONDITION_TYPE_MAX = 40,
    CONDITION_REASON_MAX = 40,
    CONDITION_MESSAGE_MAX = 256,
    CONDITION_SET_MAX = 8
};

struct condition {
    char type[CONDITION_TYPE_MAX];
    enum condition_status status;
    char reason[CONDITION_REASON_MAX]; /* CamelCase, never empty */
    char message[CONDITION_MESSAGE_MAX];
    int64_t last_transition_ms; /* wall clock */
    uint64_t observed_generation;
};

struct condition_set {
    struct condition items[CONDITION_SET_MAX];
    unsigned count;
    uint64_t generation; /* one up at each change of anything but the timestamps */
};

const char *condition_status_name(enum condition_status s); /* "True", "False", "Unknown" */

/* Adds the type when new (a full set is a broken invariant). True when anything changed, so that
 * the caller can log and report once. */
bool condition_update(struct condition_set *set, const char *type, enum condition_status status,
                      const char *reason, int64_t wall_ms, const char *fmt, ...) PRINTF_LIKE(6, 7);
/* NULL when there is none of that type. */
const struct condition *condition_find(const struct condition_set *set, const char *type);

#endif
