/* SPDX-License-Identifier: Apache-2.0 */
/* THEORY: when workers start and end
 *
 * Purpose: decide, from events and a clock, what supervisor_ops is told to do. Nothing here knows
 * processes, streams or messages.
 *
 *                 start()             ready
 *      STOPPED ------------> STARTING ------> RUNNING
 *         ^                   |    |           |   |
 *         |  asked            |    | late      |   | silent, a notice, channel lost, asked
 *         |  exit             |    v           |   v
 *         +---------------- DRAINING <---------|---+
 *         |                   |   exit         |
 *         |                   v                | exit
 *         `----- stop ----- BACKOFF <----------+----- exit in STARTING, start() fails
 *                             |
 *                             `--> STARTING when its time has come
 *
 * DRAINING means that the process is on its way out, with a deadline after which it is killed.
 * Why it has to go (@doom) is settled when that is decided, before it is gone, and becomes
 * last_exit. Until on_exit() the worker counts as having a process, so that no second one can be
 * started beside it. An end we asked for (stop, or a worker before it went down) leads to STOPPED
 * and is no failure; every other one leads to BACKOFF.
 *
 * rest_for_one: when a worker is on its way out or gone, all later ones are asked to go too. What
 * may start is one rule, asked after each event (start_next): the first worker that is not RUNNING,
 * if it has no process and its back-off is over. So workers come up in order, and each waits for
 * the one before it to be ready. supervisor_stop() takes them down one after the other, last first.
 *
 * Back-off: full jitter from base doubling to the cap, forgotten after stable_ms of RUNNING. Crash
 * loop: CRASH_RESTARTS restarts after failures within CRASH_WINDOW_MS; a reader sees it (the
 * back-off is near its cap by then), and it is cleared by being stable. As long as it lasts the
 * owner is told to escalate, at most once in CRASH_WINDOW_MS: before a start, so that the new
 * process meets the new chain.
 *
 * Late ticks: when a deadline is noticed LATE_MS after it was due, it was us who did not run (the
 * computer slept, the process was stopped). The worker's messages may wait unread, so it gets one
 * more full period instead of the blame.
 *
 * Reentrancy: events may come from within start(); the rule for starting is then asked again by
 * the outermost call.
 */
#include "supervisor/supervisor.h"

#include "base/backoff.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_START_MS = 10000,
    DEFAULT_HEARTBEAT_MS = 5000,
    DEFAULT_DRAIN_MS = 5000,
    DEFAULT_BACKOFF_BASE_MS = 100,
    DEFAULT_BACKOFF_CAP_MS = 10000,
    DEFAULT_STABLE_MS = 30000,
    NOTICE_GRACE_MS = 250, /* from a worker's last word to the kill: exiting takes a moment */
    LATE_MS = 1000,
    CRASH_RESTARTS = 10,
    CRASH_WINDOW_MS = 60000
};

#define NEVER UINT64_MAX

/* Why a process that still exists has to go. */
struct doom {
    char reason[40]; /* "" = nothing decided */
    char message[128];
    bool is_guess; /* its own exit, should it come before our kill, says more */
};

struct worker {
    char name[40];
    enum worker_state state;
    uint64_t since_ms;    /* of @state */
    uint64_t deadline_ms; /* of @state: ready, heartbeat, gone, next start */
    bool has_process;     /* started, exit not seen */
    bool is_asked;        /* DRAINING: no failure */
    bool is_killed;
    bool has_failed; /* the end before this start was a failure */
    int64_t pid;
    uint64_t starts;
    struct doom doom;
    struct worker_exit last_exit;
    struct backoff backoff;
    uint64_t restarted_ms[CRASH_RESTARTS]; /* ring of the last restarts after a failure */
    unsigned restarted_count;
    bool crash_loop;
    bool has_escalated; /* in this crash loop, the last time at ... */
    uint64_t escalated_ms;
};

struct supervisor {
    struct supervisor_config config;
    const struct supervisor_ops *ops; /* borrowed */
    void *ctx;
    struct worker workers[SUPERVISOR_MAX_WORKERS];
    unsigned count;
    bool is_wanted; /* started and not stopped */
    bool is_advancing, must_advance;
};

static const char *const state_names[] = {
    [WORKER_STOPPED] = "stopped",   [WORKER_STARTING] = "starting", [WORKER_RUNNING] = "running",
    [WORKER_DRAINING] = "draining", [WORKER_BACKOFF] = "backoff",
};

_Static_assert(ARRAY_SIZE(state_names) == WORKER_STATE_COUNT, "a name for each state");

const char *worker_state_name(enum worker_state s)
{
    return (unsigned)s < WORKER_STATE_COUNT ? state_names[s] : "unknown";
}

/* ---- small steps ------------------------------------------------------------------------- */

static unsigned index_of(const struct supervisor *s, const struct worker *w)
{
    return (unsigned)(w - s->workers);
}

static void set_state(struct supervisor *s, struct worker *w, enum worker_state state,
                      uint64_t now_ms, uint64_t deadline_ms)
{
    w->state = state;
    w->since_ms = now_ms;
    w->deadline_ms = deadline_ms;
    s->ops->changed(s->ctx, index_of(s, w));
}

static void set_doom(struct worker *w, const char *reason, const char *message)
{
    if (w->doom.reason[0] && !w->doom.is_guess)
        return;
    snprintf(w->doom.reason, sizeof w->doom.reason, "%s", reason);
    snprintf(w->doom.message, sizeof w->doom.message, "%s", message);
    w->doom.is_guess = false;
}

static void kill_worker(struct supervisor *s, struct worker *w)
{
    if (w->is_killed)
        return;
    w->is_killed = true;
    w->deadline_ms = NEVER;
    s->ops->kill(s->ctx, index_of(s, w));
}

static void record_exit(struct supervisor *s, struct worker *w, int64_t code, int signal,
                        const char *reason, const char *message)
{
    struct worker_exit *x = &w->last_exit;

    x->any = true;
    x->code = code;
    x->signal = signal;
    snprintf(x->reason, sizeof x->reason, "%s", reason);
    snprintf(x->message, sizeof x->message, "%s", message);
    x->wall_ms = s->ops->wall_ms(s->ctx);
}

/* ---- going down --------------------------------------------------------------------------- */

/* Asked to go; nothing is under way in a worker that is not ready, so it is not asked twice. */
static void take_down(struct supervisor *s, struct worker *w, uint64_t now_ms)
{
    if (!w->has_process || w->state == WORKER_DRAINING)
        return;
    w->is_asked = true;
    if (w->state == WORKER_STARTING) {
        set_doom(w, "Stopped", "ended before it was ready");
        set_state(s, w, WORKER_DRAINING, now_ms, NEVER);
        kill_worker(s, w);
        return;
    }
    set_state(s, w, WORKER_DRAINING, now_ms, now_ms + s->config.drain_ms);
    s->ops->drain(s->ctx, index_of(s, w), s->config.drain_ms);
}

static void take_down_later_ones(struct supervisor *s, const struct worker *than, uint64_t now_ms)
{
    for (unsigned i = s->count; i-- > index_of(s, than) + 1;)
        take_down(s, &s->workers[i], now_ms);
}

/* A failure of a process that is still there: it has until @deadline_ms to go by itself. */
static void give_up_on(struct supervisor *s, struct worker *w, uint64_t now_ms,
                       uint64_t deadline_ms)
{
    set_state(s, w, WORKER_DRAINING, now_ms, deadline_ms);
    take_down_later_ones(s, w, now_ms);
}

static void back_off(struct supervisor *s, struct worker *w, uint64_t now_ms)
{
    uint32_t delay_ms = backoff_next_ms(&w->backoff, 0, s->ops->random(s->ctx));

    w->has_failed = true;
    /* Never "at once": a worker that cannot be started must not become a loop without an end. */
    set_state(s, w, WORKER_BACKOFF, now_ms, now_ms + MAX(delay_ms, 1u));
    take_down_later_ones(s, w, now_ms);
}

/* ---- coming up ---------------------------------------------------------------------------- */

static void count_restart(struct worker *w, uint64_t now_ms)
{
    uint64_t *oldest = &w->restarted_ms[w->restarted_count % CRASH_RESTARTS];

    *oldest = now_ms;
    w->restarted_count++;
    oldest = &w->restarted_ms[w->restarted_count % CRASH_RESTARTS];
    if (w->restarted_count >= CRASH_RESTARTS && now_ms - *oldest <= CRASH_WINDOW_MS)
        w->crash_loop = true;
}

static void escalate(struct supervisor *s, struct worker *w, uint64_t now_ms)
{
    if (!w->crash_loop || (w->has_escalated && now_ms - w->escalated_ms < CRASH_WINDOW_MS))
        return;
    w->has_escalated = true;
    w->escalated_ms = now_ms;
    if (s->ops->escalate)
        s->ops->escalate(s->ctx, index_of(s, w));
}

static void start_worker(struct supervisor *s, struct worker *w, uint64_t now_ms)
{
    struct errmsg e = { .text = "" };

    if (w->has_failed) {
        count_restart(w, now_ms);
        escalate(s, w, now_ms);
    }
    w->has_failed = false;
    w->starts++;
    w->has_process = true;
    w->is_asked = w->is_killed = false;
    w->doom = (struct doom){ .reason = "" };
    set_state(s, w, WORKER_STARTING, now_ms, now_ms + s->config.start_ms);
    if (s->ops->start(s->ctx, index_of(s, w), &e) == ST_OK)
        return;
    w->has_process = false;
    w->pid = 0;
    record_exit(s, w, 0, 0, "StartFailed", e.text);
    back_off(s, w, now_ms);
}

static bool all_run_before(const struct supervisor *s, const struct worker *w)
{
    for (const struct worker *p = s->workers; p < w; p++)
        if (p->state != WORKER_RUNNING)
            return false;
    return true;
}

static void start_next(struct supervisor *s, uint64_t now_ms)
{
    for (struct worker *w = s->workers; w < s->workers + s->count; w++) {
        if (w->state == WORKER_RUNNING)
            continue;
        if (w->state == WORKER_STOPPED || (w->state == WORKER_BACKOFF && now_ms >= w->deadline_ms))
            start_worker(s, w, now_ms);
        return;
    }
}

static void stop_next(struct supervisor *s, uint64_t now_ms)
{
    for (struct worker *w = s->workers; w < s->workers + s->count; w++)
        if (w->state == WORKER_BACKOFF)
            set_state(s, w, WORKER_STOPPED, now_ms, NEVER);
    for (unsigned i = s->count; i-- > 0;) {
        if (s->workers[i].has_process) {
            take_down(s, &s->workers[i], now_ms);
            return;
        }
    }
}

static void advance(struct supervisor *s, uint64_t now_ms)
{
    s->must_advance = true;
    if (s->is_advancing)
        return;
    s->is_advancing = true;
    while (s->must_advance) {
        s->must_advance = false;
        if (s->is_wanted)
            start_next(s, now_ms);
        else
            stop_next(s, now_ms);
    }
    s->is_advancing = false;
}

/* ---- deadlines ---------------------------------------------------------------------------- */

static uint64_t stable_at_ms(const struct supervisor *s, const struct worker *w)
{
    if (w->state != WORKER_RUNNING || (!w->crash_loop && w->backoff.failures == 0))
        return NEVER;
    return w->since_ms + s->config.stable_ms;
}

static void become_stable(struct supervisor *s, struct worker *w)
{
    bool was_crash_loop = w->crash_loop;

    backoff_reset(&w->backoff);
    w->crash_loop = w->has_escalated = false;
    w->restarted_count = 0;
    if (was_crash_loop)
        s->ops->changed(s->ctx, index_of(s, w));
}

/* True when the worker was given more time because we ourselves were late. */
static bool forgive(struct worker *w, uint32_t period_ms, uint64_t now_ms)
{
    if (now_ms - w->deadline_ms < LATE_MS)
        return false;
    w->deadline_ms = now_ms + period_ms;
    return true;
}

static void on_deadline(struct supervisor *s, struct worker *w, uint64_t now_ms)
{
    char message[sizeof w->doom.message];

    switch (w->state) {
    case WORKER_STARTING:
        if (forgive(w, s->config.start_ms, now_ms))
            return;
        snprintf(message, sizeof message, "not ready within %u ms", (unsigned)s->config.start_ms);
        set_doom(w, "StartTimeout", message);
        break;
    case WORKER_RUNNING:
        if (forgive(w, s->config.heartbeat_ms, now_ms))
            return;
        snprintf(message, sizeof message, "no health report for %u ms",
                 (unsigned)s->config.heartbeat_ms);
        set_doom(w, "HeartbeatMissed", message);
        break;
    case WORKER_DRAINING:
        if (w->is_asked) {
            snprintf(message, sizeof message, "not finished within %u ms",
                     (unsigned)s->config.drain_ms);
            set_doom(w, "DrainTimeout", message);
        }
        kill_worker(s, w);
        return;
    case WORKER_STOPPED:
    case WORKER_BACKOFF:
    case WORKER_STATE_COUNT: return; /* start_next() looks at these */
    }
    give_up_on(s, w, now_ms, NEVER);
    kill_worker(s, w);
}

static uint64_t next_deadline_ms(const struct supervisor *s)
{
    uint64_t next_ms = NEVER;

    for (const struct worker *w = s->workers; w < s->workers + s->count; w++) {
        /* A back-off that waits for a worker before it is that worker's deadline, not its own. */
        if (w->state != WORKER_BACKOFF || all_run_before(s, w))
            next_ms = MIN(next_ms, w->deadline_ms);
        next_ms = MIN(next_ms, stable_at_ms(s, w));
    }
    return next_ms;
}

uint64_t supervisor_tick(struct supervisor *s, uint64_t now_ms)
{
    for (struct worker *w = s->workers; w < s->workers + s->count; w++) {
        if (now_ms >= stable_at_ms(s, w))
            become_stable(s, w);
        if (now_ms >= w->deadline_ms)
            on_deadline(s, w, now_ms);
    }
    advance(s, now_ms);
    return next_deadline_ms(s);
}

/* ---- events ------------------------------------------------------------------------------- */

static struct worker *worker_at(struct supervisor *s, unsigned index)
{
    ASSERT(index < s->count);
    return &s->workers[index];
}

void supervisor_on_started(struct supervisor *s, unsigned index, int64_t pid, uint64_t now_ms)
{
    struct worker *w = worker_at(s, index);

    if (!w->has_process)
        return;
    w->pid = pid;
    s->ops->changed(s->ctx, index);
}

void supervisor_on_ready(struct supervisor *s, unsigned index, uint64_t now_ms)
{
    struct worker *w = worker_at(s, index);

    if (w->state != WORKER_STARTING)
        return;
    set_state(s, w, WORKER_RUNNING, now_ms, now_ms + s->config.heartbeat_ms);
    advance(s, now_ms);
}

void supervisor_on_heartbeat(struct supervisor *s, unsigned index, uint64_t now_ms)
{
    struct worker *w = worker_at(s, index);

    if (w->state == WORKER_RUNNING)
        w->deadline_ms = now_ms + s->config.heartbeat_ms;
}

void supervisor_on_notice(struct supervisor *s, unsigned index, const char *reason,
                          const char *message, uint64_t now_ms)
{
    struct worker *w = worker_at(s, index);

    if (!w->has_process)
        return;
    set_doom(w, reason, message);
    if (w->state != WORKER_DRAINING)
        give_up_on(s, w, now_ms, now_ms + NOTICE_GRACE_MS);
}

void supervisor_on_lost(struct supervisor *s, unsigned index, uint64_t now_ms)
{
    struct worker *w = worker_at(s, index);

    if (!w->has_process || w->state == WORKER_DRAINING)
        return;
    set_doom(w, "ChannelLost", "closed its control stream and stayed");
    w->doom.is_guess = true;
    give_up_on(s, w, now_ms, now_ms + NOTICE_GRACE_MS);
}

static void record_end(struct supervisor *s, struct worker *w, int64_t code, int signal)
{
    char message[sizeof w->last_exit.message];

    if (w->doom.reason[0] && (!w->doom.is_guess || w->is_killed)) {
        record_exit(s, w, code, signal, w->doom.reason, w->doom.message);
    } else if (signal) {
        snprintf(message, sizeof message, "killed by signal %d", signal);
        record_exit(s, w, code, signal, "Killed", message);
    } else if (code == 0 && w->is_asked) {
        record_exit(s, w, code, signal, "Stopped", "finished when asked to");
    } else {
        snprintf(message, sizeof message, "exited with code %lld", (long long)code);
        record_exit(s, w, code, signal, "Exited", message);
    }
}

void supervisor_on_exit(struct supervisor *s, unsigned index, int64_t code, int signal,
                        uint64_t now_ms)
{
    struct worker *w = worker_at(s, index);

    if (!w->has_process)
        return;
    if (now_ms >= stable_at_ms(s, w))
        become_stable(s, w);
    record_end(s, w, code, signal);
    w->has_process = false;
    w->pid = 0;
    if (w->is_asked || !s->is_wanted) {
        set_state(s, w, WORKER_STOPPED, now_ms, NEVER);
        take_down_later_ones(s, w, now_ms);
    } else {
        back_off(s, w, now_ms);
    }
    advance(s, now_ms);
}

void supervisor_add_words(struct supervisor *s, unsigned index, const char *words)
{
    struct worker_exit *x = &s->workers[index].last_exit;
    size_t len = strlen(x->message);

    if (!words[0] || !strcmp(x->reason, "Stopped"))
        return;
    snprintf(x->message + len, sizeof x->message - len, "; its last words: %s", words);
    s->ops->changed(s->ctx, index);
}

/* ---- life --------------------------------------------------------------------------------- */

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

enum status supervisor_new(struct supervisor **out, const struct supervisor_config *config,
                           const struct supervisor_ops *ops, void *ctx)
{
    struct supervisor *s = calloc(1, sizeof *s);

    if (!s)
        return ST_NOMEM;
    s->ops = ops;
    s->ctx = ctx;
    s->config = (struct supervisor_config){
        .start_ms = or_default(config->start_ms, DEFAULT_START_MS),
        .heartbeat_ms = or_default(config->heartbeat_ms, DEFAULT_HEARTBEAT_MS),
        .drain_ms = or_default(config->drain_ms, DEFAULT_DRAIN_MS),
        .backoff_base_ms = or_default(config->backoff_base_ms, DEFAULT_BACKOFF_BASE_MS),
        .backoff_cap_ms = or_default(config->backoff_cap_ms, DEFAULT_BACKOFF_CAP_MS),
        .stable_ms = or_default(config->stable_ms, DEFAULT_STABLE_MS),
    };
    *out = s;
    return ST_OK;
}

void supervisor_set_drain(struct supervisor *s, uint32_t drain_ms)
{
    s->config.drain_ms = or_default(drain_ms, DEFAULT_DRAIN_MS);
}

enum status supervisor_add(struct supervisor *s, const char *name, unsigned *index)
{
    struct worker *w;

    if (s->count == SUPERVISOR_MAX_WORKERS)
        return ST_FULL;
    *index = s->count;
    w = &s->workers[s->count++];
    snprintf(w->name, sizeof w->name, "%s", name);
    w->deadline_ms = NEVER;
    backoff_init(&w->backoff, s->config.backoff_base_ms, s->config.backoff_cap_ms,
                 s->config.stable_ms);
    return ST_OK;
}

void supervisor_start(struct supervisor *s, uint64_t now_ms)
{
    s->is_wanted = true;
    advance(s, now_ms);
}

void supervisor_stop(struct supervisor *s, uint64_t now_ms)
{
    s->is_wanted = false;
    advance(s, now_ms);
}

void supervisor_restart(struct supervisor *s, unsigned index, uint64_t now_ms)
{
    struct worker *w = worker_at(s, index);

    if (!s->is_wanted)
        return;
    take_down_later_ones(s, w, now_ms);
    take_down(s, w, now_ms);
    if (w->state == WORKER_BACKOFF) {
        w->has_failed = false; /* this start is ours */
        set_state(s, w, WORKER_STOPPED, now_ms, NEVER);
    }
    advance(s, now_ms);
}

bool supervisor_is_stopped(const struct supervisor *s)
{
    if (s->is_wanted)
        return false;
    for (unsigned i = 0; i < s->count; i++)
        if (s->workers[i].state != WORKER_STOPPED)
            return false;
    return true;
}

void supervisor_view(const struct supervisor *s, unsigned index, struct worker_view *out)
{
    const struct worker *w;

    ASSERT(index < s->count);
    w = &s->workers[index];
    *out = (struct worker_view){
        .name = w->name,
        .state = w->state,
        .pid = w->pid,
        .restarts = w->starts > 0 ? w->starts - 1 : 0,
        .since_ms = w->since_ms,
        .next_start_ms = w->state == WORKER_BACKOFF ? w->deadline_ms : 0,
        .crash_loop = w->crash_loop,
        .last_exit = w->last_exit,
    };
}

void supervisor_free(struct supervisor *s)
{
    free(s);
}
