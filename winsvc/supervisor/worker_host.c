/* SPDX-License-Identifier: Apache-2.0 */
/* THEORY: real workers below the pure supervisor
 *
 *      supervisor (decides)        worker_host               process          owner
 *          start(i)  ------------> spawn, channel (Hello) --> runs
 *                                  greeting done ----------------------------> on_open()
 *          on_ready  <------------ Ready
 *          on_heartbeat <--------- HealthReport -----------------------------> on_health()
 *          on_notice <------------ ExitNotice, protocol broken
 *          on_lost   <------------ channel closed
 *          drain(i), kill(i) ----> Drain, kill ------------>
 *          on_exit   <------------ exit (after the channel was read to its end)
 *          changed(i) -----------------------------------------------------> on_change()
 *
 * An exit and the last bytes of the channel come from different sources in any order, and the last
 * message may be the ExitNotice that explains the exit, or the last line of its standard error the
 * crash report. So an exit is held back until both have ended, at most LAST_WORDS_MS (something
 * else may hold their other end).
 *
 * The supervisor is not asked from within its own callbacks: changed() only marks a worker, and
 * the owner is told in settle(), which follows every event. There too the one timer is set to the
 * next deadline.
 */
#include "supervisor/worker_host.h"

#include "base/log.h"
#include "base/util.h"
#include "ipc/levels_message.h"
#include "ipc/peer_text.h"
#include "port/loop.h"
#include "port/process.h"
#include "port/process_identity.h"
#include "port/stream.h"
#include "port/sys.h"
#include "supervisor/worker_output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 512, LAST_WORDS_MS = 100 };

struct hosted {
    struct worker_host *host; /* borrowed */
    unsigned index;
    Rdlink__V1__Role role;
    char file[FILE_MAX];
    struct process_spec spec;
    struct process *process; /* owned; NULL = none */
    struct channel *channel; /* owned; NULL = none, or ended */
    struct stream *errors;   /* owned: its standard error; NULL = none, or ended */
    struct worker_output output;
    struct levels_told levels;
    bool has_exited; /* held back until the channel and `errors` have ended */
    int64_t exit_code;
    int exit_signal;
    struct timer last_words;
    struct process_identity identity;
    bool has_health;
    struct health_report health;
};

struct worker_host {
    struct loop *loop; /* borrowed */
    const struct worker_host_ops *ops;
    void *ctx;
    char instance[64];
    struct supervisor *supervisor; /* owned */
    struct hosted *workers[SUPERVISOR_MAX_WORKERS];
    unsigned count;
    uint32_t changed;   /* bit per worker */
    uint32_t escalated; /* bit per worker */
    bool is_stopping;
    struct timer tick;    /* the supervisor's next deadline */
    struct timer stopped; /* on_stopped() is due */
};

static const char *name_of(const struct hosted *w)
{
    struct worker_view v;

    supervisor_view(w->host->supervisor, w->index, &v);
    return v.name;
}

/* ---- after every event --------------------------------------------------------------------- */

static void tell_escalations(struct worker_host *h)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (!(h->escalated >> i & 1u))
            continue;
        h->escalated &= ~(1u << i);
        log_error(LOG_SUPERVISOR, "worker=%s keeps ending: all behind it begins anew",
                  name_of(h->workers[i]));
        if (h->ops->on_escalate)
            h->ops->on_escalate(h->ctx, i);
    }
}

static void tell_changes(struct worker_host *h)
{
    while (h->changed) {
        unsigned index = 0;

        while (!(h->changed >> index & 1u))
            index++;
        h->changed &= ~(1u << index);
        if (h->ops->on_change)
            h->ops->on_change(h->ctx, index);
    }
}

static void settle(struct worker_host *h)
{
    uint64_t now_ms = loop_now_ms(h->loop);
    uint64_t next_ms = supervisor_tick(h->supervisor, now_ms);

    if (next_ms == UINT64_MAX)
        timer_stop(&h->tick);
    else
        timer_start(&h->tick, next_ms - now_ms);
    if (h->is_stopping && supervisor_is_stopped(h->supervisor)) {
        h->is_stopping = false;
        timer_start(&h->stopped, 0);
    }
    tell_changes(h);
    tell_escalations(h);
}

static void on_tick(void *ctx)
{
    settle(ctx);
}

static void on_stopped(void *ctx)
{
    struct worker_host *h = ctx;

    if (h->ops->on_stopped)
        h->ops->on_stopped(h->ctx);
}

/* ---- the end of a process ------------------------------------------------------------------- */

static void log_end(const struct hosted *w)
{
    static const char format[] = "worker=%s ended: %s (%s), now %s";
    struct worker_view v;

    supervisor_view(w->host->supervisor, w->index, &v);
    if (strcmp(v.last_exit.reason, "Stopped") != 0)
        log_write_event(LOG_EVENT_WORKER_ENDED, LOG_WARN, LOG_SUPERVISOR, format, v.name,
                        v.last_exit.reason, v.last_exit.message, worker_state_name(v.state));
    else
        log_info(LOG_SUPERVISOR, format, v.name, v.last_exit.reason, v.last_exit.message,
                 worker_state_name(v.state));
}

static void release(struct hosted *w)
{
    timer_stop(&w->last_words);
    channel_abort(w->channel); /* there is nobody left to read what is queued */
    w->channel = NULL;
    stream_close(w->errors);
    w->errors = NULL;
    process_free(w->process);
    w->process = NULL;
    w->has_exited = false;
    w->has_health = false;
    w->identity = (struct process_identity){ .account = "" };
}

static void finish_exit(struct hosted *w)
{
    struct worker_host *h = w->host;
    char words[WORKER_WORDS_MAX];

    release(w);
    worker_output_end(&w->output);
    memcpy(words, w->output.words, sizeof words); /* the next process may start at once */
    supervisor_on_exit(h->supervisor, w->index, w->exit_code, w->exit_signal, loop_now_ms(h->loop));
    supervisor_add_words(h->supervisor, w->index, words);
    log_end(w);
    settle(h);
}

/* Nothing of it is left to be read. */
static bool is_silent(const struct hosted *w)
{
    return !w->channel && !w->errors;
}

static void on_last_words_over(void *ctx)
{
    finish_exit(ctx);
}

static void on_process_exit(void *ctx, int64_t code, int signal)
{
    struct hosted *w = ctx;

    w->has_exited = true;
    w->exit_code = code;
    w->exit_signal = signal;
    if (is_silent(w))
        finish_exit(w);
    else
        timer_start(&w->last_words, LAST_WORDS_MS);
}

/* ---- its standard error ---------------------------------------------------------------------- */

static void on_errors_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct hosted *w = ctx;

    worker_output_take(&w->output, data, len_bytes);
}

static void on_errors_eof(void *ctx)
{
    struct hosted *w = ctx;

    stream_close(w->errors);
    w->errors = NULL;
    if (w->has_exited && is_silent(w))
        finish_exit(w);
}

static void on_errors_error(void *ctx, enum status why)
{
    on_errors_eof(ctx);
}

static const struct stream_handler errors_handler = {
    .on_data = on_errors_data,
    .on_eof = on_errors_eof,
    .on_error = on_errors_error,
};

/* ---- the channel ---------------------------------------------------------------------------- */

static void on_channel_open(void *ctx, const struct channel_peer *peer)
{
    struct hosted *w = ctx;

    log_debug(LOG_SUPERVISOR, "worker=%s pid=%llu greeted, version %s", name_of(w),
              (unsigned long long)peer->pid, peer->version);
    process_identity_of(process_pid(w->process), &w->identity); /* it has confined itself by now */
    if (w->host->ops->on_open)
        w->host->ops->on_open(w->host->ctx, w->index, peer);
}

static void take_health(struct hosted *w, const Rdlink__V1__HealthReport *msg)
{
    struct worker_host *h = w->host;
    struct health_report before = w->health;
    bool is_news;

    levels_follow(&w->levels, w->channel);
    health_decode(&w->health, msg);
    is_news = !w->has_health || !health_is_same(&before, &w->health);
    w->has_health = true;
    supervisor_on_heartbeat(h->supervisor, w->index, loop_now_ms(h->loop));
    settle(h);
    if (is_news && w->has_health && h->ops->on_health)
        h->ops->on_health(h->ctx, w->index, &w->health);
}

static void take_exit_notice(struct hosted *w, const Rdlink__V1__ExitNotice *msg)
{
    struct worker_host *h = w->host;
    char reason[40], message[128];

    peer_text_copy(reason, sizeof reason, msg->reason);
    peer_text_copy(message, sizeof message, msg->message);
    supervisor_on_notice(h->supervisor, w->index, reason[0] ? reason : "ExitNotice", message,
                         loop_now_ms(h->loop));
    settle(h);
}

static void on_channel_message(void *ctx, const Rdlink__V1__Envelope *msg)
{
    struct hosted *w = ctx;
    struct worker_host *h = w->host;

    switch (msg->body_case) {
    case RDLINK__V1__ENVELOPE__BODY_HEALTH: take_health(w, msg->health); break;
    case RDLINK__V1__ENVELOPE__BODY_READY:
        supervisor_on_ready(h->supervisor, w->index, loop_now_ms(h->loop));
        settle(h);
        break;
    case RDLINK__V1__ENVELOPE__BODY_EXIT_NOTICE: take_exit_notice(w, msg->exit_notice); break;
    default:
        if (h->ops->on_message)
            h->ops->on_message(h->ctx, w->index, msg);
        break;
    }
}

/* A stream that just ends says nothing that the exit of the process would not say better. */
static bool is_mere_end(enum channel_end why)
{
    return why == CHANNEL_END_CLOSED_BY_PEER || why == CHANNEL_END_TRUNCATED ||
           why == CHANNEL_END_STREAM_ERROR;
}

static void on_channel_end(void *ctx, enum channel_end why, const char *detail)
{
    struct hosted *w = ctx;
    struct worker_host *h = w->host;
    uint64_t now_ms = loop_now_ms(h->loop);

    if (is_mere_end(why))
        supervisor_on_lost(h->supervisor, w->index, now_ms);
    else
        supervisor_on_notice(h->supervisor, w->index, channel_end_name(why), detail, now_ms);
    channel_free(w->channel);
    w->channel = NULL;
    if (w->has_exited && is_silent(w))
        finish_exit(w);
    else
        settle(h);
}

static const struct channel_handler channel_handler = {
    .on_open = on_channel_open,
    .on_message = on_channel_message,
    .on_end = on_channel_end,
};

/* ---- what the supervisor asks for ----------------------------------------------------------- */

static enum status op_start(void *ctx, unsigned index, struct errmsg *e)
{
    struct worker_host *h = ctx;
    struct hosted *w = h->workers[index];
    const struct channel_config config = {
        .side = CHANNEL_OPENER,
        .role = RDLINK__V1__ROLE__ROLE_CONTROLLER,
        .instance = h->instance,
        .peer_roles = &w->role,
        .peer_role_count = 1,
    };
    struct process_spec spec = w->spec;
    struct stream *control = NULL;
    enum status st;

    spec.output = &w->errors;
    st = process_spawn(h->loop, &w->process, &spec, &control, on_process_exit, w, e);
    if (st) {
        log_warn(LOG_SUPERVISOR, "worker=%s cannot be started: %s", name_of(w),
                 e->text[0] ? e->text : status_text(st));
        return st;
    }
    w->levels = (struct levels_told){ "" };
    worker_output_init(&w->output, name_of(w), process_pid(w->process));
    stream_set_handler(w->errors, &errors_handler, w);
    stream_read_start(w->errors);
    st = channel_new(&w->channel, h->loop, control, &config, &channel_handler, w);
    if (st) {
        errmsg_set(e, "open its channel: %s", status_text(st));
        release(w);
        return st;
    }
    log_info(LOG_SUPERVISOR, "worker=%s pid=%lld started", name_of(w),
             (long long)process_pid(w->process));
    supervisor_on_started(h->supervisor, index, process_pid(w->process), loop_now_ms(h->loop));
    return ST_OK;
}

static void op_kill(void *ctx, unsigned index)
{
    struct worker_host *h = ctx;

    if (h->workers[index]->process)
        process_kill(h->workers[index]->process);
}

static void op_drain(void *ctx, unsigned index, uint32_t deadline_ms)
{
    struct worker_host *h = ctx;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Drain drain = RDLINK__V1__DRAIN__INIT;

    drain.deadline_ms = deadline_ms;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_DRAIN;
    msg.drain = &drain;
    if (worker_host_send(h, index, &msg) != ST_OK)
        op_kill(h, index); /* it cannot hear us */
}

static void op_changed(void *ctx, unsigned index)
{
    struct worker_host *h = ctx;

    h->changed |= 1u << index;
}

static void op_escalate(void *ctx, unsigned index)
{
    struct worker_host *h = ctx;

    h->escalated |= 1u << index;
}

static uint32_t op_random(void *ctx)
{
    uint32_t r = 0;

    /* Without randomness the delay is at its ceiling: slow is better than in step. */
    return sys_random(&r, sizeof r) == ST_OK ? r : UINT32_MAX;
}

static int64_t op_wall_ms(void *ctx)
{
    return sys_wall_ms();
}

static const struct supervisor_ops supervisor_ops = {
    .start = op_start,
    .drain = op_drain,
    .kill = op_kill,
    .changed = op_changed,
    .escalate = op_escalate,
    .random = op_random,
    .wall_ms = op_wall_ms,
};

/* ---- for the owner -------------------------------------------------------------------------- */

enum status worker_host_new(struct worker_host **out, struct loop *loop,
                            const struct worker_host_config *config,
                            const struct worker_host_ops *ops, void *ctx)
{
    struct worker_host *h = calloc(1, sizeof *h);
    enum status st;

    if (!h)
        return ST_NOMEM;
    st = supervisor_new(&h->supervisor, &config->supervisor, &supervisor_ops, h);
    if (st) {
        free(h);
        return st;
    }
    h->loop = loop;
    h->ops = ops;
    h->ctx = ctx;
    snprintf(h->instance, sizeof h->instance, "%s", config->instance ? config->instance : "");
    timer_init(&h->tick, loop, on_tick, h);
    timer_init(&h->stopped, loop, on_stopped, h);
    *out = h;
    return ST_OK;
}

enum status worker_host_add(struct worker_host *h, const struct worker_spec *spec, unsigned *index)
{
    size_t name_bytes = strlen(spec->name);
    struct hosted *w;
    enum status st;

    if (name_bytes == 0 || name_bytes >= 40 || strlen(spec->file) >= FILE_MAX)
        return ST_INVAL;
    w = calloc(1, sizeof *w);
    if (!w)
        return ST_NOMEM;
    st = supervisor_add(h->supervisor, spec->name, &w->index);
    if (st) {
        free(w);
        return st;
    }
    w->host = h;
    w->role = spec->role;
    snprintf(w->file, sizeof w->file, "%s", spec->file);
    w->spec = (struct process_spec){
        .file = w->file,
        .argv = spec->argv,
        .inherit_fd = spec->inherit_fd,
    };
    timer_init(&w->last_words, h->loop, on_last_words_over, w);
    h->workers[w->index] = w;
    h->count++;
    *index = w->index;
    return ST_OK;
}

void worker_host_start(struct worker_host *h)
{
    h->is_stopping = false;
    timer_stop(&h->stopped);
    supervisor_start(h->supervisor, loop_now_ms(h->loop));
    settle(h);
}

void worker_host_stop(struct worker_host *h)
{
    h->is_stopping = true;
    supervisor_stop(h->supervisor, loop_now_ms(h->loop));
    settle(h);
}

void worker_host_restart(struct worker_host *h, unsigned index)
{
    ASSERT(index < h->count);
    supervisor_restart(h->supervisor, index, loop_now_ms(h->loop));
    settle(h);
}

void worker_host_kill_all(struct worker_host *h)
{
    worker_host_stop(h);
    for (unsigned i = 0; i < h->count; i++)
        op_kill(h, i);
}

void worker_host_set_drain(struct worker_host *h, uint32_t drain_ms)
{
    supervisor_set_drain(h->supervisor, drain_ms);
}

enum status worker_host_send(struct worker_host *h, unsigned index, Rdlink__V1__Envelope *msg)
{
    struct hosted *w;

    ASSERT(index < h->count);
    w = h->workers[index];
    return w->channel ? channel_send(w->channel, msg) : ST_CLOSED;
}

void worker_host_look_now(struct worker_host *h)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__LookNow look = RDLINK__V1__LOOK_NOW__INIT;

    msg.body_case = RDLINK__V1__ENVELOPE__BODY_LOOK_NOW;
    msg.look_now = &look;
    for (unsigned i = 0; i < h->count; i++)
        (void)worker_host_send(h, i, &msg);
}

void worker_host_view(const struct worker_host *h, unsigned index, struct worker_view *out)
{
    supervisor_view(h->supervisor, index, out);
}

const struct health_report *worker_host_health(const struct worker_host *h, unsigned index)
{
    ASSERT(index < h->count);
    return h->workers[index]->has_health ? &h->workers[index]->health : NULL;
}

const struct process_identity *worker_host_identity(const struct worker_host *h, unsigned index)
{
    ASSERT(index < h->count);
    return &h->workers[index]->identity;
}

void worker_host_free(struct worker_host *h)
{
    if (!h)
        return;
    timer_stop(&h->tick);
    timer_stop(&h->stopped);
    for (unsigned i = 0; i < h->count; i++) {
        release(h->workers[i]);
        free(h->workers[i]);
    }
    supervisor_free(h->supervisor);
    free(h);
}
