/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/health.h"

#include "base/util.h"
#include "ipc/peer_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {
    [HEALTH_UNKNOWN] = "UNKNOWN",
    [HEALTH_SERVING] = "SERVING",
    [HEALTH_NOT_SERVING] = "NOT_SERVING",
    [HEALTH_SERVICE_UNKNOWN] = "SERVICE_UNKNOWN",
};

_Static_assert(ARRAY_SIZE(state_names) == HEALTH_STATE_COUNT, "a name for each state");

const char *health_state_name(enum health_state s)
{
    return (unsigned)s < HEALTH_STATE_COUNT ? state_names[s] : state_names[HEALTH_UNKNOWN];
}

/* ---- reporting ------------------------------------------------------------------------- */

struct health_component *health_add(struct health_report *r, const char *name)
{
    struct health_component *c;

    if (r->count == HEALTH_MAX_COMPONENTS)
        return NULL;
    c = &r->components[r->count++];
    memset(c, 0, sizeof *c);
    snprintf(c->name, sizeof c->name, "%s", name);
    return c;
}

void health_count(struct health_component *c, const char *name, uint64_t value)
{
    struct health_counter *n;

    if (c->counter_count == HEALTH_MAX_COUNTERS)
        return;
    n = &c->counters[c->counter_count++];
    snprintf(n->name, sizeof n->name, "%s", name);
    n->value = value;
}

const struct health_component *health_find(const struct health_report *r, const char *name)
{
    for (unsigned i = 0; i < r->count; i++)
        if (!strcmp(r->components[i].name, name))
            return &r->components[i];
    return NULL;
}

static bool same_condition(const struct condition *a, const struct condition *b)
{
    return a->status == b->status && !strcmp(a->type, b->type) && !strcmp(a->reason, b->reason) &&
           !strcmp(a->message, b->message);
}

static bool same_component(const struct health_component *a, const struct health_component *b)
{
    if (a->state != b->state || strcmp(a->name, b->name) ||
        a->conditions.count != b->conditions.count)
        return false;
    for (unsigned i = 0; i < a->conditions.count; i++)
        if (!same_condition(&a->conditions.items[i], &b->conditions.items[i]))
            return false;
    return true;
}

bool health_is_same(const struct health_report *a, const struct health_report *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++)
        if (!same_component(&a->components[i], &b->components[i]))
            return false;
    return true;
}

/* ---- from the message ------------------------------------------------------------------ */

/* Values of a newer minor version are unknown to us, and that is what they become. */
static enum condition_status decode_status(Rdlink__V1__ConditionStatus s)
{
    switch (s) {
    case RDLINK__V1__CONDITION_STATUS__CONDITION_TRUE: return COND_TRUE;
    case RDLINK__V1__CONDITION_STATUS__CONDITION_FALSE: return COND_FALSE;
    default: return COND_UNKNOWN;
    }
}

static enum health_state decode_state(Rdlink__V1__ServingState s)
{
    return (unsigned)s < HEALTH_STATE_COUNT ? (enum health_state)s : HEALTH_UNKNOWN;
}

static void decode_condition(struct condition *out, const Rdlink__V1__Condition *msg)
{
    peer_text_copy(out->type, sizeof out->type, msg->type);
    peer_text_copy(out->reason, sizeof out->reason, msg->reason);
    if (!out->reason[0])
        snprintf(out->reason, sizeof out->reason, "Unknown");
    peer_text_copy(out->message, sizeof out->message, msg->message);
    out->status = decode_status(msg->status);
    out->last_transition_ms = msg->last_transition_ms;
    out->observed_generation = msg->observed_generation;
}

static void decode_component(struct health_report *r, const Rdlink__V1__ComponentHealth *msg)
{
    struct health_component *c;
    size_t n;

    c = health_add(r, "");
    if (!c) {
        r->ignored++;
        return;
    }
    peer_text_copy(c->name, sizeof c->name, msg->name);
    c->state = decode_state(msg->state);
    n = MIN(msg->n_conditions, (size_t)CONDITION_SET_MAX);
    r->ignored += (unsigned)(msg->n_conditions - n);
    for (size_t i = 0; i < n; i++) {
        decode_condition(&c->conditions.items[i], msg->conditions[i]);
        c->conditions.generation =
            MAX(c->conditions.generation, c->conditions.items[i].observed_generation);
    }
    c->conditions.count = (unsigned)n;
    n = MIN(msg->n_counters, (size_t)HEALTH_MAX_COUNTERS);
    r->ignored += (unsigned)(msg->n_counters - n);
    for (size_t i = 0; i < n; i++) {
        peer_text_copy(c->counters[i].name, sizeof c->counters[i].name, msg->counters[i]->name);
        c->counters[i].value = msg->counters[i]->value;
    }
    c->counter_count = (unsigned)n;
}

void health_decode(struct health_report *out, const Rdlink__V1__HealthReport *msg)
{
    memset(out, 0, sizeof *out);
    out->sequence = msg->sequence;
    out->wall_ms = msg->wall_ms;
    for (size_t i = 0; i < msg->n_components; i++)
        decode_component(out, msg->components[i]);
}

/* ---- to the message -------------------------------------------------------------------- */

/* One component with all it can hold; pointers in it lead to its own arrays and to the report. */
struct component_message {
    Rdlink__V1__ComponentHealth msg;
    Rdlink__V1__Condition conditions[CONDITION_SET_MAX];
    Rdlink__V1__Condition *condition_list[CONDITION_SET_MAX];
    Rdlink__V1__Counter counters[HEALTH_MAX_COUNTERS];
    Rdlink__V1__Counter *counter_list[HEALTH_MAX_COUNTERS];
};

struct report_message {
    Rdlink__V1__HealthReport msg; /* first, so that freeing it frees all */
    Rdlink__V1__ComponentHealth *component_list[HEALTH_MAX_COMPONENTS];
    struct component_message components[];
};

/* protobuf-c's messages have no const strings, yet packing only reads them. */
static char *borrow(const char *text)
{
    union {
        const char *from;
        char *to;
    } u = { .from = text };

    return u.to;
}

static void encode_condition(Rdlink__V1__Condition *m, const struct condition *c)
{
    rdlink__v1__condition__init(m);
    m->type = borrow(c->type);
    m->status = (Rdlink__V1__ConditionStatus)c->status;
    m->reason = borrow(c->reason);
    m->message = borrow(c->message);
    m->last_transition_ms = c->last_transition_ms;
    m->observed_generation = c->observed_generation;
}

static void encode_component(struct component_message *m, const struct health_component *c)
{
    rdlink__v1__component_health__init(&m->msg);
    m->msg.name = borrow(c->name);
    m->msg.state = (Rdlink__V1__ServingState)c->state;
    for (unsigned i = 0; i < c->conditions.count; i++) {
        encode_condition(&m->conditions[i], &c->conditions.items[i]);
        m->condition_list[i] = &m->conditions[i];
    }
    m->msg.n_conditions = c->conditions.count;
    m->msg.conditions = m->condition_list;
    for (unsigned i = 0; i < c->counter_count; i++) {
        rdlink__v1__counter__init(&m->counters[i]);
        m->counters[i].name = borrow(c->counters[i].name);
        m->counters[i].value = c->counters[i].value;
        m->counter_list[i] = &m->counters[i];
    }
    m->msg.n_counters = c->counter_count;
    m->msg.counters = m->counter_list;
}

enum status health_encode(const struct health_report *r, Rdlink__V1__HealthReport **out)
{
    struct report_message *m;

    ASSERT(r->count <= HEALTH_MAX_COMPONENTS);
    m = calloc(1, sizeof *m + r->count * sizeof m->components[0]);
    if (!m)
        return ST_NOMEM;
    rdlink__v1__health_report__init(&m->msg);
    for (unsigned i = 0; i < r->count; i++) {
        encode_component(&m->components[i], &r->components[i]);
        m->component_list[i] = &m->components[i].msg;
    }
    m->msg.sequence = r->sequence;
    m->msg.wall_ms = r->wall_ms;
    m->msg.n_components = r->count;
    m->msg.components = m->component_list;
    *out = &m->msg;
    return ST_OK;
}

void health_message_free(Rdlink__V1__HealthReport *msg)
{
    free(msg);
}
