/* SPDX-License-Identifier: Apache-2.0
 * health.h - a HealthReport as a value of fixed size, and the way from and to the message.
 *
 * Reporters fill it and encode it; receivers decode what a peer sent into it, cut to these bounds
 * and cleaned of bytes that are not UTF-8, so that nothing a peer says can grow or break a status.
 * Pure: no clock, no I/O.
 */
#ifndef SHARED_IPC_HEALTH_H
#define SHARED_IPC_HEALTH_H

#include "base/condition.h"
#include "base/status.h"

#include <rdlink/v1/control.pb-c.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEALTH_NAME_MAX = 40, HEALTH_MAX_COUNTERS = 32, HEALTH_MAX_COMPONENTS = 4 };

/* The numbers of control.proto, which are gRPC's. */
enum health_state {
    HEALTH_UNKNOWN,
    HEALTH_SERVING,
    HEALTH_NOT_SERVING,
    HEALTH_SERVICE_UNKNOWN,
    HEALTH_STATE_COUNT
};

struct health_counter {
    char name[HEALTH_NAME_MAX];
    uint64_t value;
};

struct health_component {
    char name[HEALTH_NAME_MAX];
    enum health_state state;
    struct condition_set conditions;
    struct health_counter counters[HEALTH_MAX_COUNTERS];
    unsigned counter_count;
};

struct health_report {
    int64_t wall_ms;   /* the sender's clock when it was sent; 0 = it does not say */
    uint64_t sequence; /* as received; filled in by the channel when sent */
    struct health_component components[HEALTH_MAX_COMPONENTS];
    unsigned count;
    unsigned ignored; /* components, conditions and counters that were above the bounds */
};

/* "SERVING", as gRPC spells it. */
const char *health_state_name(enum health_state s);

/* The next component of @r, empty and named; NULL when there are HEALTH_MAX_COMPONENTS already. */
struct health_component *health_add(struct health_report *r, const char *name);
/* Appends a counter; above HEALTH_MAX_COUNTERS it is left out. */
void health_count(struct health_component *c, const char *name, uint64_t value);
/* NULL when there is none of that name. */
const struct health_component *health_find(const struct health_report *r, const char *name);
/* True when both say the same but for sequence, clock, counters and timestamps. */
bool health_is_same(const struct health_report *a, const struct health_report *b);

void health_decode(struct health_report *out, const Rdlink__V1__HealthReport *msg);
/* A message that borrows its strings from @r; health_message_free() it before @r changes.
 * ST_NOMEM. */
enum status health_encode(const struct health_report *r, Rdlink__V1__HealthReport **out);
void health_message_free(Rdlink__V1__HealthReport *msg);

#endif
