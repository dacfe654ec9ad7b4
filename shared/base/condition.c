/* SPDX-License-Identifier: Apache-2.0 */
#include "base/condition.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *condition_status_name(enum condition_status s)
{
    switch (s) {
    case COND_TRUE: return "True";
    case COND_FALSE: return "False";
    case COND_UNKNOWN: break;
    }
    return "Unknown";
}

static struct condition *find(struct condition_set *set, const char *type)
{
    for (unsigned i = 0; i < set->count; i++)
        if (!strcmp(set->items[i].type, type))
            return &set->items[i];
    return NULL;
}

const struct condition *condition_find(const struct condition_set *set, const char *type)
{
    for (unsigned i = 0; i < set->count; i++)
        if (!strcmp(set->items[i].type, type))
            return &set->items[i];
    return NULL;
}

bool condition_update(struct condition_set *set, const char *type, enum condition_status status,
                      const char *reason, int64_t wall_ms, const char *fmt, ...)
{
    struct condition *c = find(set, type);
    char message[CONDITION_MESSAGE_MAX];
    va_list ap;
    bool is_new = !c;

    ASSERT(type[0] && reason[0]);
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    if (is_new) {
        ASSERT(set->count < CONDITION_SET_MAX);
        c = &set->items[set->count++];
        memset(c, 0, sizeof *c);
        snprintf(c->type, sizeof c->type, "%s", type);
    } else if (c->status == status && !strcmp(c->reason, reason) && !strcmp(c->message, message)) {
        return false;
    }
    if (is_new || c->status != status)
        c->last_transition_ms = wall_ms;
    c->status = status;
    snprintf(c->reason, sizeof c->reason, "%s", reason);
    memcpy(c->message, message, sizeof message);
    c->observed_generation = ++set->generation;
    return true;
}
