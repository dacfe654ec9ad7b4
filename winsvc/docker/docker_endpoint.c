/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: this file decides, the forwarder copies. A client's connection asks target() once: there
 * is a guest, so dial it, or there is none, so the client hears why. Dials and probes are the two
 * witnesses of the condition DockerReachable: a probe settles it, a failed dial only makes the next
 * probe come at once, because one client's bad luck is not yet the state of the engine.
 *
 * A dial that timed out has cost its client most of the second in which it must hear. One command
 * of the docker CLI asks up to five times, so until the probe that follows has its answer, other
 * clients are refused at once with the same reason. A guest that is merely slow is back as soon as
 * it answers the probe; one that is frozen costs every command one timeout, not five.
 *
 * An engine that takes connections and is silent is known by its probe: PROBE_TIMEOUT_MS without an
 * answer, asked every PROBE_INTERVAL_MS. From then on a new client is carried to it all the same,
 * because silence on /_ping is not yet silence on everything, but only for PATIENCE_MS: then it
 * hears 503, and the engine's connection is closed. For AGAIN_MS after that others get
 * SHORT_PATIENCE_MS, so that a command's five questions together end within the second: one long
 * wait and four short ones. Only a long wait begins that time anew: a client that asks all the time
 * does not keep it short for everybody. One answer to the probe, or another failure, ends all of
 * it, for those who are waiting too.
 *
 * Why not sooner, at the first second without an answer: on a busy computer a good engine takes as
 * long, and to refuse what would have been served a moment later is worse than to wait for it. Why
 * not those who came before: nothing tells a request that was lost from a `docker wait`.
 */
#include "docker/docker_endpoint.h"

#include "base/condition.h"
#include "base/log.h"
#include "docker/docker_probe.h"
#include "ipc/health.h"
#include "port/listener.h"
#include "port/loop.h"
#include "port/sys.h"
#include "relay/forwarder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROBE_INTERVAL_MS = 2000,
    PROBE_TIMEOUT_MS = 2000,
    PATIENCE_MS = 500,
    SHORT_PATIENCE_MS = 50,
    AGAIN_MS = 1000
};

struct docker_endpoint {
    struct loop *loop; /* borrowed */
    const struct docker_endpoint_ops *ops;
    void *ctx;
    struct forwarder *forwarder; /* owned */
    struct docker_probe *probe;  /* owned */
    bool has_target;
    struct addr target;
    char instance[64];
    char reason[CONDITION_MESSAGE_MAX]; /* what clients hear while there is no target */
    bool stalled;                       /* a dial timed out, and the probe has no answer yet */
    struct errmsg stalled_why;
    bool silent;             /* the last probe had no answer */
    uint64_t short_until_ms; /* patience is short: a client has just waited in vain */
    struct condition_set conditions;
};

static void set_condition(struct docker_endpoint *d, const char *type, enum condition_status status,
                          const char *reason, const char *message)
{
    if (!condition_update(&d->conditions, type, status, reason, sys_wall_ms(), "%s", message))
        return;
    log_limited(LOG_INFO, LOG_DOCKER, "condition %s=%s reason=%s: %s", type,
                condition_status_name(status), reason, message);
    d->ops->on_change(d->ctx);
}

/* ---- the forwarder's questions --------------------------------------------------------------- */

static enum status target(void *ctx, struct addr *to, struct errmsg *why)
{
    struct docker_endpoint *d = ctx;

    if (!d->has_target) {
        errmsg_set(why, "rdlink: docker is not reachable: %s", d->reason);
        return ST_UNREACHABLE;
    }
    if (d->stalled) {
        *why = d->stalled_why;
        return ST_UNREACHABLE;
    }
    *to = d->target;
    return ST_OK;
}

static void on_dial(void *ctx, enum status st, const struct errmsg *why)
{
    struct docker_endpoint *d = ctx;

    if (st == ST_OK)
        return;
    log_warn_limited(LOG_DOCKER, "instance=%s dial failed: %s", d->instance, why->text);
    if (st == ST_TIMEOUT && d->has_target) {
        d->stalled = true;
        d->stalled_why = *why;
        errmsg_wrap(&d->stalled_why, "cannot reach the docker engine");
    }
    docker_probe_now(d->probe);
}

static uint32_t patience_ms(void *ctx)
{
    const struct docker_endpoint *d = ctx;

    if (!d->silent)
        return 0;
    return loop_now_ms(d->loop) < d->short_until_ms ? SHORT_PATIENCE_MS : PATIENCE_MS;
}

static bool on_silence(void *ctx, uint32_t waited_ms, struct errmsg *why)
{
    struct docker_endpoint *d = ctx;

    if (!d->silent)
        return false;
    if (waited_ms == PATIENCE_MS)
        d->short_until_ms = loop_now_ms(d->loop) + AGAIN_MS;
    errmsg_set(why, "rdlink: the docker engine takes connections but does not answer; "
                    "in the guest: systemctl status docker");
    log_warn_limited(LOG_DOCKER, "instance=%s client refused: the engine said nothing for %u ms",
                     d->instance, waited_ms);
    return true;
}

static void on_listener(void *ctx, enum status st, const struct errmsg *why)
{
    struct docker_endpoint *d = ctx;

    if (st == ST_OK)
        set_condition(d, "EndpointListening", COND_TRUE, "Listening", "accepting clients");
    else if (st == ST_NOFILES)
        set_condition(d, "EndpointListening", COND_FALSE, "OutOfDescriptors", why->text);
    else
        set_condition(d, "EndpointListening", COND_FALSE, "ListenerFailed", why->text);
}

static void on_drained(void *ctx)
{
    struct docker_endpoint *d = ctx;

    d->ops->on_drained(d->ctx);
}

static const struct forwarder_ops forwarder_ops = {
    .target = target,
    .on_dial = on_dial,
    .patience_ms = patience_ms,
    .on_silence = on_silence,
    .on_listener = on_listener,
    .on_drained = on_drained,
};

/* ---- docker's answers ------------------------------------------------------------------------ */

static void on_answer(void *ctx, enum docker_answer answer, const char *detail)
{
    struct docker_endpoint *d = ctx;

    d->stalled = false;
    d->silent = answer == DOCKER_SILENT;
    switch (answer) {
    case DOCKER_ANSWERS:
        set_condition(d, "DockerReachable", COND_TRUE, "EngineAnswers", "GET /_ping answered 200");
        break;
    case DOCKER_UNREACHABLE:
        set_condition(d, "DockerReachable", COND_FALSE, "GuestUnreachable", detail);
        break;
    case DOCKER_SILENT:
        set_condition(d, "DockerReachable", COND_FALSE, "EngineSilent", detail);
        break;
    case DOCKER_REFUSES:
        set_condition(d, "DockerReachable", COND_FALSE, "EngineRefuses", detail);
        break;
    case DOCKER_GARBLED:
        set_condition(d, "DockerReachable", COND_FALSE, "EngineGarbled", detail);
        break;
    case DOCKER_ANSWER_COUNT: break;
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

enum status docker_endpoint_new(struct docker_endpoint **out, struct loop *loop,
                                const struct docker_endpoint_config *config,
                                const struct docker_endpoint_ops *ops, void *ctx, struct errmsg *e)
{
    struct forwarder_config forward = { .max_connections = config->max_connections,
                                        .dial_timeout_ms = config->dial_timeout_ms };
    struct docker_endpoint *d = calloc(1, sizeof *d);
    enum status st;

    if (!d) {
        errmsg_set(e, "docker endpoint: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    d->loop = loop;
    d->ops = ops;
    d->ctx = ctx;
    st = forwarder_new(&d->forwarder, loop, &forward, &forwarder_ops, d, e);
    if (st != ST_OK)
        goto fail;
    st = docker_probe_new(&d->probe, loop, config->probe_ms ? config->probe_ms : PROBE_INTERVAL_MS,
                          PROBE_TIMEOUT_MS, on_answer, d);
    if (st != ST_OK)
        goto fail;
    snprintf(d->reason, sizeof d->reason, "%s", "no guest has been found yet");
    condition_update(&d->conditions, "DockerReachable", COND_FALSE, "NoGuest", sys_wall_ms(), "%s",
                     d->reason);
    *out = d;
    return ST_OK;
fail:
    docker_endpoint_free(d);
    return st;
}

enum status docker_endpoint_listen(struct docker_endpoint *d, const struct addr *at,
                                   const struct listener_opts *opts, struct errmsg *e)
{
    return forwarder_listen(d->forwarder, at, opts, e);
}

void docker_endpoint_set_target(struct docker_endpoint *d, const struct addr *to,
                                const char *instance, const char *reason)
{
    if (to && d->has_target && addr_equal(to, &d->target))
        return;
    d->has_target = to != NULL;
    d->stalled = d->silent = false;
    d->short_until_ms = 0;
    snprintf(d->instance, sizeof d->instance, "%s", instance);
    snprintf(d->reason, sizeof d->reason, "%s", reason);
    if (to) {
        d->target = *to;
        set_condition(d, "DockerReachable", COND_UNKNOWN, "Probing", "waiting for docker's answer");
    } else {
        set_condition(d, "DockerReachable", COND_FALSE, "NoGuest", reason);
    }
    docker_probe_set_target(d->probe, to);
}

void docker_endpoint_set_limits(struct docker_endpoint *d, uint32_t max_connections,
                                uint32_t dial_timeout_ms)
{
    const struct forwarder_config config = { .max_connections = max_connections,
                                             .dial_timeout_ms = dial_timeout_ms };

    forwarder_set_limits(d->forwarder, &config);
}

void docker_endpoint_look_now(struct docker_endpoint *d)
{
    docker_probe_now(d->probe);
}

void docker_endpoint_fill_health(const struct docker_endpoint *d, struct health_report *out)
{
    const struct condition *reachable = condition_find(&d->conditions, "DockerReachable");
    const struct condition *listening = condition_find(&d->conditions, "EndpointListening");
    const struct forwarder_stats s = forwarder_get_stats(d->forwarder);
    struct health_component *c = health_add(out, "docker");

    if (!c)
        return;
    c->state = reachable->status == COND_TRUE && listening && listening->status == COND_TRUE
                   ? HEALTH_SERVING
                   : HEALTH_NOT_SERVING;
    c->conditions = d->conditions;
    health_count(c, "connections_active", s.active);
    health_count(c, "connections_accepted", s.accepted);
    health_count(c, "connections_completed", s.completed);
    health_count(c, "connections_broken", s.broken);
    health_count(c, "refused_full", s.refused_full);
    health_count(c, "refused_target", s.refused_target);
    health_count(c, "refused_silent", s.refused_silent);
    health_count(c, "bytes_to_guest", s.bytes_to_target);
    health_count(c, "bytes_from_guest", s.bytes_from_target);
}

void docker_endpoint_drain(struct docker_endpoint *d)
{
    set_condition(d, "EndpointListening", COND_FALSE, "Draining",
                  "no new clients; the rest may finish");
    forwarder_drain(d->forwarder);
}

void docker_endpoint_free(struct docker_endpoint *d)
{
    if (!d)
        return;
    docker_probe_free(d->probe);
    forwarder_free(d->forwarder);
    free(d);
}
