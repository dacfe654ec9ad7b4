/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: a `struct served` is one name and everything behind it.
 *
 *     CLOSED --claim_open()--> SERVING --name lost--> STOPPING --worker gone--> CLOSED
 *
 * The wanted name is always worth a try (every RETRY_MS while CLOSED); the fallback is claimed only
 * while the wanted one is somebody else's, and never given up again. A name can be lost on Linux,
 * where anybody with rights on the directory may remove a socket file; on Windows it cannot.
 * When others may connect than before, the claim gets the new descriptor and is kept; where
 * somebody may not any more the worker is replaced too (SERVING -> REPLACING -> SERVING), since it
 * holds their connections. Clients that come meanwhile wait. A claim that takes no other descriptor
 * is given up and made anew.
 *
 * A worker gets its target at each greeting, so that one that was restarted knows what the old one
 * knew; the controller remembers it here.
 */
#include "docker/docker_service.h"

#include "base/log.h"
#include "port/claim.h"
#include "port/loop.h"
#include "port/process_identity.h"
#include "status/snapshot.h"
#include "supervisor/worker_argv.h"
#include "supervisor/worker_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 1000, NAMES = 2, WANTED = 0, FALLBACK = 1 };

enum served_state { SERVED_CLOSED, SERVED_SERVING, SERVED_STOPPING, SERVED_REPLACING };

struct served {
    struct docker_service *service;
    struct addr at; /* ADDR_NONE: there is no such name */
    char text[ADDR_TEXT_MAX];
    char worker_name[40];
    enum served_state state;
    struct claim *claim;      /* owned */
    struct worker_host *host; /* owned */
    struct claim_owner owner; /* who has it, while we do not */
    enum status why;          /* last failure to claim it */
    char message[256];
    uint64_t since_ms;
    /* What the worker is started with; the host borrows it. */
    char limit[WORKER_NUMBER_MAX], dial_ms[WORKER_NUMBER_MAX];
    char *argv[20];
};

struct docker_service {
    struct loop *loop; /* borrowed */
    const struct docker_service_ops *ops;
    void *ctx;
    char name[40], program[1024], log_level[LOG_LEVELS_MAX];
    const char *sddl; /* borrowed */
    unsigned unix_mode;
    uint32_t max_connections, dial_timeout_ms, drain_ms;
    struct served names[NAMES];
    struct timer retry;
    bool stopping, stopped;
    bool has_target;
    struct addr target;
    char instance[64], reason[256];
};

static void changed(struct docker_service *s)
{
    s->ops->on_change(s->ctx);
}

/* ---- the worker of one name ------------------------------------------------------------------ */

static void send_target(struct served *n)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__DockerTarget target = RDLINK__V1__DOCKER_TARGET__INIT;
    char text[ADDR_TEXT_MAX] = "";
    struct docker_service *s = n->service;

    if (s->has_target)
        addr_format(&s->target, text, sizeof text);
    target.address = text;
    target.instance = s->instance;
    target.unreachable_reason = s->reason;
    target.max_connections = s->max_connections;
    target.dial_timeout_ms = s->dial_timeout_ms;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_DOCKER_TARGET;
    msg.docker_target = &target;
    if (n->host)
        (void)worker_host_send(n->host, 0, &msg); /* a closed channel asks again: on_open() */
}

static void on_open(void *ctx, unsigned index, const struct channel_peer *peer)
{
    send_target(ctx);
}

static void on_worker_change(void *ctx, unsigned index)
{
    struct served *n = ctx;

    changed(n->service);
}

static void on_health(void *ctx, unsigned index, const struct health_report *report)
{
    struct served *n = ctx;

    changed(n->service);
}

static void on_worker_escalate(void *ctx, unsigned index)
{
    struct served *n = ctx;

    n->service->ops->on_escalate(n->service->ctx);
}

static void on_worker_stopped(void *ctx)
{
    struct served *n = ctx;

    if (n->state == SERVED_REPLACING) {
        n->state = SERVED_SERVING;
        worker_host_start(n->host);
        return;
    }
    n->state = SERVED_CLOSED; /* the host is freed from the timer: it is calling us */
    timer_start(&n->service->retry, 0);
}

static const struct worker_host_ops host_ops = {
    .on_open = on_open,
    .on_health = on_health,
    .on_change = on_worker_change,
    .on_escalate = on_worker_escalate,
    .on_stopped = on_worker_stopped,
};

static void build_argv(struct served *n)
{
    const struct docker_service *s = n->service;
    struct worker_argv v = { .at = n->argv, .cap = ARRAY_SIZE(n->argv) };

    worker_argv_add(&v, s->program);
    worker_argv_text(&v, "--worker", "docker");
    worker_argv_text(&v, "--instance", n->worker_name);
    worker_argv_text(&v, "--listen", claim_inherit_fd(n->claim) >= 0 ? "fd:3" : n->text);
    worker_argv_number(&v, "--max-connections", s->max_connections, "", n->limit);
    worker_argv_number(&v, "--dial-timeout", s->dial_timeout_ms, "ms", n->dial_ms);
    worker_argv_text(&v, "--log-level", s->log_level);
}

static enum status start_worker(struct served *n, struct errmsg *e)
{
    const struct docker_service *s = n->service;
    const struct worker_host_config config = { .instance = n->worker_name,
                                               .supervisor = { .drain_ms = s->drain_ms } };
    struct worker_spec spec = { .name = n->worker_name,
                                .role = RDLINK__V1__ROLE__ROLE_WORKER_DOCKER,
                                .file = s->program,
                                .inherit_fd = claim_inherit_fd(n->claim) };
    unsigned index;
    enum status st;

    build_argv(n);
    spec.argv = n->argv;
    st = worker_host_new(&n->host, s->loop, &config, &host_ops, n);
    if (st == ST_OK)
        st = worker_host_add(n->host, &spec, &index);
    if (st != ST_OK) {
        errmsg_set(e, "worker of %s: %s", n->text, status_text(st));
        worker_host_free(n->host);
        n->host = NULL;
        return st;
    }
    worker_host_start(n->host);
    return ST_OK;
}

/* ---- names ----------------------------------------------------------------------------------- */

static void release(struct served *n)
{
    worker_host_free(n->host);
    n->host = NULL;
    claim_close(n->claim);
    n->claim = NULL;
    n->state = SERVED_CLOSED;
}

/* Logs and reports a failure once, not at each retry. */
static void note_failure(struct served *n, enum status st, const struct errmsg *e)
{
    if (n->why == st && !strcmp(n->message, e->text))
        return;
    n->why = st;
    n->since_ms = loop_now_ms(n->service->loop);
    snprintf(n->message, sizeof n->message, "%s", e->text);
    log_warn(LOG_DOCKER, "endpoint=%s cannot be served: %s; trying again every second", n->text,
             e->text);
    changed(n->service);
}

static bool try_claim(struct served *n)
{
    const struct docker_service *s = n->service;
    const struct claim_opts opts = { .unix_mode = s->unix_mode, .sddl = s->sddl };
    struct errmsg e = { "" };
    enum status st = claim_open(s->loop, &n->at, &opts, &n->claim, &n->owner, &e);

    if (st == ST_OK)
        st = start_worker(n, &e);
    if (st != ST_OK) {
        release(n);
        note_failure(n, st, &e);
        return false;
    }
    n->state = SERVED_SERVING;
    n->why = ST_OK;
    n->message[0] = '\0';
    n->since_ms = loop_now_ms(s->loop);
    log_info(LOG_DOCKER, "endpoint=%s is ours", n->text);
    changed(n->service);
    return true;
}

/* One name's turn: clean up behind an ended worker, notice a lost name, claim a free one. */
static void attend(struct served *n)
{
    if (n->state == SERVED_CLOSED && n->host)
        release(n);
    if (n->state == SERVED_SERVING && !claim_still_held(n->claim)) {
        log_warn(LOG_DOCKER, "endpoint=%s: the name does not lead to us any more; claiming it anew",
                 n->text);
        n->state = SERVED_STOPPING;
        worker_host_stop(n->host);
    }
    if (n->state == SERVED_CLOSED)
        (void)try_claim(n);
}

static void check_stopped(struct docker_service *s)
{
    for (unsigned i = 0; i < NAMES; i++) {
        if (s->names[i].state != SERVED_CLOSED)
            return;
        release(&s->names[i]);
    }
    if (s->stopped)
        return;
    s->stopped = true;
    s->ops->on_stopped(s->ctx);
}

static void on_retry(void *ctx)
{
    struct docker_service *s = ctx;

    if (s->stopping) {
        check_stopped(s);
        return;
    }
    attend(&s->names[WANTED]);
    if (s->names[FALLBACK].at.kind != ADDR_NONE &&
        (s->names[FALLBACK].state != SERVED_CLOSED || s->names[FALLBACK].host ||
         s->names[WANTED].state == SERVED_CLOSED))
        attend(&s->names[FALLBACK]);
    timer_start(&s->retry, RETRY_MS);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void init_name(struct docker_service *s, unsigned i, const struct addr *at)
{
    struct served *n = &s->names[i];

    n->service = s;
    n->at = *at;
    n->since_ms = loop_now_ms(s->loop);
    if (at->kind != ADDR_NONE)
        addr_format(at, n->text, sizeof n->text);
    snprintf(n->worker_name, sizeof n->worker_name, "%.30s%s", s->name,
             i == FALLBACK ? "-fallback" : "");
}

enum status docker_service_new(struct docker_service **out, struct loop *loop,
                               const struct docker_service_config *config,
                               const struct docker_service_ops *ops, void *ctx, struct errmsg *e)
{
    struct docker_service *s = calloc(1, sizeof *s);

    if (!s) {
        errmsg_set(e, "docker service: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    s->loop = loop;
    s->ops = ops;
    s->ctx = ctx;
    snprintf(s->name, sizeof s->name, "%s", config->name);
    snprintf(s->program, sizeof s->program, "%s", config->program);
    s->sddl = config->sddl;
    snprintf(s->log_level, sizeof s->log_level, "%s", config->log_level);
    snprintf(s->reason, sizeof s->reason, "no guest has been found yet");
    s->unix_mode = config->unix_mode;
    s->max_connections = config->max_connections;
    s->dial_timeout_ms = config->dial_timeout_ms;
    s->drain_ms = config->drain_ms;
    init_name(s, WANTED, &config->wanted);
    init_name(s, FALLBACK, &config->fallback);
    timer_init(&s->retry, loop, on_retry, s);
    timer_start(&s->retry, 0);
    *out = s;
    return ST_OK;
}

void docker_service_set_target(struct docker_service *s, const struct addr *to,
                               const char *instance, const char *reason)
{
    bool same = s->has_target == (to != NULL) && !strcmp(s->instance, instance) &&
                !strcmp(s->reason, reason) && (!to || addr_equal(to, &s->target));

    if (same)
        return;
    s->has_target = to != NULL;
    if (to)
        s->target = *to;
    snprintf(s->instance, sizeof s->instance, "%s", instance);
    snprintf(s->reason, sizeof s->reason, "%s", reason);
    for (unsigned i = 0; i < NAMES; i++)
        send_target(&s->names[i]);
    changed(s);
}

enum status docker_service_restart(struct docker_service *s, const char *name, uint64_t *restarts)
{
    for (unsigned i = 0; i < NAMES; i++) {
        struct served *n = &s->names[i];
        struct worker_view v;

        if (n->state != SERVED_SERVING || strcmp(n->worker_name, name) != 0)
            continue;
        worker_host_view(n->host, 0, &v);
        *restarts = v.restarts;
        log_info(LOG_DOCKER, "worker=%s is restarted, as it was asked for", name);
        worker_host_restart(n->host, 0);
        return ST_OK;
    }
    return ST_NOTFOUND;
}

void docker_service_set_limits(struct docker_service *s, const struct docker_service_limits *l)
{
    bool is_news =
        s->max_connections != l->max_connections || s->dial_timeout_ms != l->dial_timeout_ms;

    s->max_connections = l->max_connections;
    s->dial_timeout_ms = l->dial_timeout_ms;
    s->drain_ms = l->drain_ms;
    snprintf(s->log_level, sizeof s->log_level, "%s", l->log_level);
    for (unsigned i = 0; i < NAMES; i++) {
        struct served *n = &s->names[i];

        if (!n->host)
            continue;
        build_argv(n); /* in place: the next process gets them */
        worker_host_set_drain(n->host, l->drain_ms);
        if (is_news)
            send_target(n);
    }
}

void docker_service_look_now(struct docker_service *s)
{
    for (unsigned i = 0; i < NAMES; i++)
        if (s->names[i].host)
            worker_host_look_now(s->names[i].host);
}

static void regrant(struct served *n, bool revokes)
{
    struct errmsg e = { "" };
    enum status st;

    if (n->state != SERVED_SERVING && n->state != SERVED_REPLACING)
        return;
    st = claim_regrant(n->claim, n->service->sddl, &e);
    if (st == ST_OK && n->state == SERVED_REPLACING)
        return;
    if (st == ST_OK && !revokes) {
        log_info(LOG_DOCKER, "endpoint=%s others may connect now", n->text);
        return;
    }
    if (st == ST_OK) {
        log_info(LOG_DOCKER,
                 "endpoint=%s somebody may not connect any more: its worker is replaced", n->text);
        n->state = SERVED_REPLACING;
    } else {
        log_warn(LOG_DOCKER, "endpoint=%s: %s; claiming the name anew", n->text, e.text);
        n->state = SERVED_STOPPING;
    }
    worker_host_stop(n->host);
}

void docker_service_regrant(struct docker_service *s, const char *sddl, bool revokes)
{
    s->sddl = sddl;
    for (unsigned i = 0; i < NAMES && !s->stopping; i++)
        regrant(&s->names[i], revokes);
}

void docker_service_stop(struct docker_service *s)
{
    s->stopping = true;
    for (unsigned i = 0; i < NAMES; i++) {
        if (s->names[i].state == SERVED_SERVING)
            worker_host_stop(s->names[i].host);
        if (s->names[i].state != SERVED_CLOSED)
            s->names[i].state = SERVED_STOPPING; /* one that is being replaced is not started */
    }
    timer_start(&s->retry, 0);
}

void docker_service_kill(struct docker_service *s)
{
    for (unsigned i = 0; i < NAMES; i++)
        if (s->names[i].host)
            worker_host_kill_all(s->names[i].host);
}

void docker_service_free(struct docker_service *s)
{
    if (!s)
        return;
    timer_stop(&s->retry);
    for (unsigned i = 0; i < NAMES; i++)
        release(&s->names[i]);
    free(s);
}

/* ---- what a reader sees ---------------------------------------------------------------------- */

static void fill_worker(const struct served *n, struct snapshot *out,
                        const struct snapshot_clock *clock)
{
    const struct health_report *health = worker_host_health(n->host, 0);
    struct snapshot_component *to;
    struct worker_view view;

    worker_host_view(n->host, 0, &view);
    to = snapshot_add_worker(out, &view, clock);
    if (to)
        to->identity = *worker_host_identity(n->host, 0);
    if (to)
        snapshot_component_health(to, health ? health_find(health, "docker") : NULL);
}

static void fill_endpoint(const struct docker_service *s, struct snapshot *out,
                          const struct snapshot_clock *clock)
{
    const struct served *wanted = &s->names[WANTED], *fallback = &s->names[FALLBACK];
    const struct served *shown = wanted->state == SERVED_SERVING ? wanted : fallback;
    enum snapshot_endpoint_state state =
        wanted->state == SERVED_SERVING     ? SNAPSHOT_ENDPOINT_LISTENING
        : fallback->state == SERVED_SERVING ? SNAPSHOT_ENDPOINT_FALLBACK
        : wanted->why == ST_EXISTS          ? SNAPSHOT_ENDPOINT_TAKEN
                                            : SNAPSHOT_ENDPOINT_OFF;
    struct snapshot_endpoint *to =
        snapshot_add_endpoint(out, s->name, state, wanted->text,
                              shown->state == SERVED_SERVING ? shown->text : "",
                              snapshot_clock_wall(clock, shown->since_ms));

    if (!to)
        return;
    if (wanted->why == ST_EXISTS) {
        to->owner_pid = wanted->owner.pid;
        snprintf(to->owner_image, sizeof to->owner_image, "%s", wanted->owner.image);
    }
    snprintf(to->instance, sizeof to->instance, "%s", s->has_target ? s->instance : "");
    snprintf(to->message, sizeof to->message, "%s", wanted->message);
}

void docker_service_fill(const struct docker_service *s, struct snapshot *out,
                         const struct snapshot_clock *clock)
{
    for (unsigned i = 0; i < NAMES; i++)
        if (s->names[i].host)
            fill_worker(&s->names[i], out, clock);
    fill_endpoint(s, out, clock);
}
