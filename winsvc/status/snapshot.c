/* SPDX-License-Identifier: Apache-2.0
 * THEORY: the parts know their own state; nobody but this file knows what they mean together.
 *
 *   worker_view  --add_worker-->   component  \
 *   HealthReport --health------->              \
 *   session_view --add_session-->  instance    --conclude--> phase, Ready=True|False, reason
 *   claim        --add_endpoint->  endpoint    /
 *
 * conclude() is a list of questions in order of what a person should be told first: a thing that
 * keeps dying hides everything below it; a missing guest explains a docker endpoint that does not
 * serve, so it comes before "not serving"; a name that is someone else's comes last, because all
 * else works. Each answer is one reason, and each reason has an entry in docs/troubleshooting.md.
 *
 * A component's SERVING is taken at its word: the docker worker says so only after a real answer
 * from the engine. The guests' switches are the exception: there may be several, of guests that
 * nobody uses or that have just gone, so they are not asked one by one. The owner draws
 * NetworkReady from those behind its endpoints, and that is asked when such a guest has a network
 * or wants one.
 */
#include "status/snapshot.h"

#include "base/util.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CLOCK_JUMP_MS = 1000, FORWARD_FRAME_BYTES = 128 /* of its names and fixed values */ };

static const char *const endpoint_states[] = {
    [SNAPSHOT_ENDPOINT_OFF] = "off",
    [SNAPSHOT_ENDPOINT_LISTENING] = "listening",
    [SNAPSHOT_ENDPOINT_FALLBACK] = "fallback",
    [SNAPSHOT_ENDPOINT_TAKEN] = "taken",
};
_Static_assert(ARRAY_SIZE(endpoint_states) == SNAPSHOT_ENDPOINT_STATE_COUNT, "a name for each");

static const char *const phases[] = {
    [PHASE_STARTING] = "Starting", [PHASE_WAITING] = "Waiting",   [PHASE_READY] = "Ready",
    [PHASE_DEGRADED] = "Degraded", [PHASE_STOPPING] = "Stopping",
};
_Static_assert(ARRAY_SIZE(phases) == PHASE_COUNT, "a name for each phase");

/* Cut at the end when too long. */
static void copy(char *dst, size_t cap, const char *text)
{
    snprintf(dst, cap, "%s", text ? text : "");
}

const char *snapshot_endpoint_state_name(enum snapshot_endpoint_state s)
{
    return (unsigned)s < SNAPSHOT_ENDPOINT_STATE_COUNT ? endpoint_states[s] : "unknown";
}

const char *snapshot_phase_name(enum snapshot_phase p)
{
    return (unsigned)p < PHASE_COUNT ? phases[p] : "Unknown";
}

void snapshot_clock_update(struct snapshot_clock *c, int64_t wall_ms, uint64_t monotonic_ms)
{
    int64_t offset_ms = wall_ms - (int64_t)monotonic_ms;
    int64_t moved_ms =
        offset_ms > c->offset_ms ? offset_ms - c->offset_ms : c->offset_ms - offset_ms;

    if (c->set && moved_ms <= CLOCK_JUMP_MS)
        return;
    c->set = true;
    c->offset_ms = offset_ms;
}

int64_t snapshot_clock_wall(const struct snapshot_clock *c, uint64_t monotonic_ms)
{
    return (int64_t)monotonic_ms + c->offset_ms;
}

bool snapshot_counter_set(struct snapshot_counters *c, const char *name, uint64_t value)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (!strcmp(c->items[i].name, name)) {
            c->items[i].value = value;
            return true;
        }
    }
    if (c->count == HEALTH_MAX_COUNTERS)
        return false;
    copy(c->items[c->count].name, sizeof c->items[0].name, name);
    c->items[c->count++].value = value;
    return true;
}

void snapshot_init(struct snapshot *s, const char *program, const char *version, int64_t pid,
                   int64_t started_ms)
{
    memset(s, 0, sizeof *s);
    copy(s->program, sizeof s->program, program);
    copy(s->version, sizeof s->version, version);
    s->pid = pid;
    s->started_ms = started_ms;
}

static void copy_counters(struct snapshot_counters *to, const struct health_counter *from,
                          unsigned count)
{
    to->count = MIN(count, (unsigned)HEALTH_MAX_COUNTERS);
    memcpy(to->items, from, to->count * sizeof to->items[0]);
}

/* At most so many bytes become of @text in JSON. */
static size_t json_bytes(const char *text)
{
    size_t n = 0;

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            n += 2;
        else
            n += c < ' ' || c > '~' ? 3 : 1; /* a byte that is no text becomes U+FFFD */
    }
    return n;
}

/* ---- parts ----------------------------------------------------------------------------- */

/* The worker's own process decides until a report refines it. */
static enum health_state worker_serving(const struct worker_view *v)
{
    if (v->state == WORKER_RUNNING)
        return HEALTH_SERVING;
    return v->restarts == 0 && !v->last_exit.any ? HEALTH_UNKNOWN : HEALTH_NOT_SERVING;
}

struct snapshot_component *snapshot_add_worker(struct snapshot *s, const struct worker_view *v,
                                               const struct snapshot_clock *clock)
{
    struct snapshot_component *c;

    if (s->component_count == SNAPSHOT_MAX_COMPONENTS) {
        s->left_out++;
        return NULL;
    }
    c = &s->components[s->component_count++];
    copy(c->name, sizeof c->name, v->name);
    c->state = worker_serving(v);
    c->process = v->state;
    c->pid = v->pid;
    c->restarts = v->restarts;
    c->since_ms = snapshot_clock_wall(clock, v->since_ms);
    if (v->state == WORKER_BACKOFF)
        c->next_start_ms = snapshot_clock_wall(clock, v->next_start_ms);
    c->crash_loop = v->crash_loop;
    c->last_exit = v->last_exit;
    return c;
}

/* How often we tried to reach the guest, and what came of it. */
static void session_counters(struct snapshot_counters *c, const struct session_view *v)
{
    snapshot_counter_set(c, "probes", v->probes);
    snapshot_counter_set(c, "matches", v->matches);
    snapshot_counter_set(c, "mismatches", v->mismatches);
    snapshot_counter_set(c, "timeouts", v->timeouts);
    snapshot_counter_set(c, "handshakes", v->handshakes);
    snapshot_counter_set(c, "links", v->links);
    snapshot_counter_set(c, "proofs", v->proofs);
    snapshot_counter_set(c, "proof_failures", v->proof_failures);
}

static void add_agent(struct snapshot_agent *a, const struct agent_view *v)
{
    a->reports = v->reports;
    if (!a->reports)
        return;
    a->serving = v->serving;
    copy(a->version, sizeof a->version, v->version);
    a->pid = v->pid;
    copy(a->instance, sizeof a->instance, v->instance);
    a->is_proved = v->proved == CHANNEL_PROVED;
    a->clock = v->clock;
    a->conditions = v->conditions;
    copy_counters(&a->counters, v->counters, v->counter_count);
}

struct snapshot_instance *snapshot_add_session(struct snapshot *s, const struct session_view *v,
                                               const struct snapshot_clock *clock)
{
    struct snapshot_instance *i;

    if (s->instance_count == SNAPSHOT_MAX_INSTANCES) {
        s->left_out++;
        return NULL;
    }
    i = &s->instances[s->instance_count++];
    copy(i->vm, sizeof i->vm, v->vm_id);
    addr_format(&v->addr, i->address, sizeof i->address);
    i->state = v->state;
    i->generation = v->generation;
    memcpy(i->lanes, v->lanes, sizeof i->lanes);
    i->since_ms = snapshot_clock_wall(clock, v->since_ms);
    copy(i->last_error, sizeof i->last_error, v->last_error);
    add_agent(&i->bridge, &v->bridge);
    add_agent(&i->net, &v->net);
    i->conditions = v->conditions;
    session_counters(&i->counters, v);
    return i;
}

struct snapshot_endpoint *snapshot_add_endpoint(struct snapshot *s, const char *name,
                                                enum snapshot_endpoint_state state,
                                                const char *requested, const char *address,
                                                int64_t since_ms)
{
    struct snapshot_endpoint *e;

    if (s->endpoint_count == SNAPSHOT_MAX_ENDPOINTS) {
        s->left_out++;
        return NULL;
    }
    e = &s->endpoints[s->endpoint_count++];
    copy(e->name, sizeof e->name, name);
    copy(e->requested, sizeof e->requested, requested);
    copy(e->address, sizeof e->address, address);
    e->state = state;
    e->since_ms = since_ms;
    return e;
}

void snapshot_add_forward(struct snapshot *s, const struct snapshot_forward *f)
{
    size_t bytes = FORWARD_FRAME_BYTES + json_bytes(f->vm) + json_bytes(f->proto) +
                   json_bytes(f->host) + json_bytes(f->guest) + json_bytes(f->reason) +
                   json_bytes(f->message);

    if (s->forward_count == SNAPSHOT_MAX_FORWARDS ||
        s->forward_bytes + bytes > SNAPSHOT_FORWARDS_BYTES) {
        s->left_out++;
        return;
    }
    s->forward_bytes += bytes;
    s->forwards[s->forward_count++] = *f;
}

void snapshot_component_health(struct snapshot_component *c, const struct health_component *h)
{
    if (!h)
        return;
    if (c->process == WORKER_RUNNING)
        c->state = h->state;
    c->conditions = h->conditions;
    copy_counters(&c->counters, h->counters, h->counter_count);
}

/* ---- what the parts mean together ------------------------------------------------------ */

struct verdict {
    enum snapshot_phase phase;
    const char *reason;
    char message[CONDITION_MESSAGE_MAX];
};

/* Always true, so that a question reads "if (...) return verdict_set(...)". */
static bool verdict_set(struct verdict *v, enum snapshot_phase phase, const char *reason,
                        const char *fmt, ...) PRINTF_LIKE(4, 5);
static bool verdict_set(struct verdict *v, enum snapshot_phase phase, const char *reason,
                        const char *fmt, ...)
{
    va_list ap;

    v->phase = phase;
    v->reason = reason;
    va_start(ap, fmt);
    vsnprintf(v->message, sizeof v->message, fmt, ap);
    va_end(ap);
    return true;
}

static bool ask_crash_loop(struct verdict *v, const struct snapshot *s)
{
    for (unsigned i = 0; i < s->component_count; i++) {
        const struct snapshot_component *c = &s->components[i];

        if (c->crash_loop && !c->is_network)
            return verdict_set(v, PHASE_DEGRADED, "ComponentCrashLoop",
                               "%s keeps ending (%" PRIu64 " restarts): %s", c->name, c->restarts,
                               c->last_exit.message);
    }
    return false;
}

/* Down and on its way up again, or on its way up for the first time. */
static bool ask_processes(struct verdict *v, const struct snapshot *s)
{
    for (unsigned i = 0; i < s->component_count; i++) {
        const struct snapshot_component *c = &s->components[i];

        if (c->process == WORKER_RUNNING || c->is_network)
            continue;
        if (c->restarts == 0 && !c->last_exit.any)
            return verdict_set(v, PHASE_STARTING, "ComponentStarting", "%s is starting", c->name);
        return verdict_set(v, PHASE_DEGRADED, "ComponentRestarting", "%s is down (%s: %s)", c->name,
                           c->last_exit.reason, c->last_exit.message);
    }
    return false;
}

/* "pid 12 (x.exe)", or as much of it as is known. */
static const char *owner_text(const struct snapshot_endpoint *e, char *buf, size_t cap)
{
    const char *image = e->owner_image[0] ? e->owner_image : "unknown program";

    if (e->owner_pid)
        snprintf(buf, cap, "pid %" PRId64 " (%.80s)", e->owner_pid, image);
    else
        snprintf(buf, cap, "another program");
    return buf;
}

static bool ask_endpoints(struct verdict *v, const struct snapshot *s)
{
    char owner[120];

    for (unsigned i = 0; i < s->endpoint_count; i++) {
        const struct snapshot_endpoint *e = &s->endpoints[i];

        if (e->state == SNAPSHOT_ENDPOINT_TAKEN)
            return verdict_set(v, PHASE_DEGRADED, "EndpointTaken", "%s: %.80s is held by %s",
                               e->name, e->requested, owner_text(e, owner, sizeof owner));
        if (e->state == SNAPSHOT_ENDPOINT_OFF)
            return verdict_set(v, PHASE_DEGRADED, "EndpointOff", "%s: not listening on %.80s%s%s",
                               e->name, e->requested, e->message[0] ? ": " : "", e->message);
    }
    return false;
}

static const struct snapshot_component *first_not_serving(const struct snapshot *s)
{
    for (unsigned i = 0; i < s->component_count; i++)
        if (s->components[i].state != HEALTH_SERVING && !s->components[i].is_network)
            return &s->components[i];
    return NULL;
}

/* Whatever has become of its link since. */
static bool has_answered(const struct snapshot_instance *i)
{
    const struct condition *found = condition_find(&i->conditions, "GuestFound");

    return i->generation != GUEST_NONE || (found && found->status == COND_TRUE);
}

/* A guest that cannot be told from an empty machine: not our fault, and not a component's. */
static bool ask_guests(struct verdict *v, const struct snapshot *s)
{
    if (s->instance_count == 0 && !s->source_exists)
        return verdict_set(v, PHASE_WAITING, "SourceMissing", "%s does not exist yet",
                           s->source[0] ? s->source : "the list of virtual machines");
    if (s->instance_count == 0)
        return verdict_set(v, PHASE_WAITING, "NoVirtualMachine", "no virtual machine in %s",
                           s->source[0] ? s->source : "the list");
    if (!first_not_serving(s))
        return false;
    for (unsigned i = 0; i < s->instance_count; i++)
        if (has_answered(&s->instances[i]))
            return false;
    return verdict_set(v, PHASE_WAITING, "GuestNotAnswering", "%s: %s", s->instances[0].vm,
                       s->instances[0].last_error[0] ? s->instances[0].last_error
                                                     : "no answer to the handshake yet");
}

static bool ask_serving(struct verdict *v, const struct snapshot *s)
{
    const struct snapshot_component *c = first_not_serving(s);

    if (!c)
        return false;
    for (unsigned i = 0; i < c->conditions.count; i++) {
        const struct condition *cond = &c->conditions.items[i];

        if (cond->status != COND_TRUE)
            return verdict_set(v, PHASE_DEGRADED, "ComponentNotServing", "%s: %s: %.180s", c->name,
                               cond->reason, cond->message);
    }
    return verdict_set(v, PHASE_DEGRADED, "ComponentNotServing", "%s does not serve", c->name);
}

static bool ask_network(struct verdict *v, const struct snapshot *s,
                        const struct condition_set *own)
{
    const struct condition *c = s->needs_network ? condition_find(own, "NetworkReady") : NULL;

    if (!c || c->status == COND_TRUE)
        return false;
    return verdict_set(v, PHASE_DEGRADED, "NetworkNotReady", "%s: %.200s", c->reason, c->message);
}

static bool ask_fallback(struct verdict *v, const struct snapshot *s)
{
    char owner[120];

    for (unsigned i = 0; i < s->endpoint_count; i++) {
        const struct snapshot_endpoint *e = &s->endpoints[i];

        if (e->state == SNAPSHOT_ENDPOINT_FALLBACK)
            return verdict_set(v, PHASE_DEGRADED, "EndpointFallback",
                               "%s: serving %.60s, as %.60s is held by %s", e->name, e->address,
                               e->requested, owner_text(e, owner, sizeof owner));
    }
    return false;
}

static void judge(struct verdict *v, const struct snapshot *s, const struct condition_set *own)
{
    if (s->stopping) {
        verdict_set(v, PHASE_STOPPING, "Stopping", "%s is ending", s->program);
        return;
    }
    if (ask_crash_loop(v, s) || ask_processes(v, s) || ask_endpoints(v, s) || ask_guests(v, s) ||
        ask_serving(v, s) || ask_network(v, s, own) || ask_fallback(v, s))
        return;
    verdict_set(v, PHASE_READY, "AllServing", "everything serves");
}

bool snapshot_conclude(struct snapshot *s, struct condition_set *own, int64_t wall_ms)
{
    struct verdict v;
    bool changed;

    judge(&v, s, own);
    s->phase = v.phase;
    s->ready = v.phase == PHASE_READY;
    changed = condition_update(own, "Ready", s->ready ? COND_TRUE : COND_FALSE, v.reason, wall_ms,
                               "%s", v.message);
    s->conditions = *own;
    return changed;
}
