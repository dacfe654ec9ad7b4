/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: the worker knows nothing of guests. It gets its listening address on the command line
 * (an inherited socket, or the name of a pipe whose first instance the controller holds) and its
 * target by message. It listens when it has heard for the first time where clients go (or why
 * nowhere): those who waited in the backlog while its predecessor was replaced are then served, not
 * refused by a process that knows nothing yet. It is Ready once it listens: that is all the
 * controller can restart it for. That no guest answers is a condition, not a reason to be
 * restarted.
 *
 * Ends: Drain -> no new clients, 0 when the last one is done; Shutdown, end of the link -> at once;
 * a listener that cannot be opened -> ExitNotice and 1.
 */
#include "docker/docker_worker.h"

#include "base/log.h"
#include "base/options.h"
#include "base/util.h"
#include "docker/docker_endpoint.h"
#include "ipc/health.h"
#include "port/addr.h"
#include "port/listener.h"
#include "port/sys.h"
#include "supervisor/worker_link.h"

#include <stdbool.h>
#include <stdlib.h>

struct worker_config {
    char instance[OPTION_VALUE_MAX];
    char listen[OPTION_VALUE_MAX];
    char log_level[OPTION_VALUE_MAX];
    uint32_t max_connections;
    uint32_t dial_timeout_ms;
};

#define AT(field) offsetof(struct worker_config, field)
static const struct option options[] = {
    { "instance", OPTION_STRING, AT(instance), "", 0, 0, NULL, "NAME",
      "what this endpoint is called" },
    { "listen", OPTION_STRING, AT(listen), "fd:3", 0, 0, NULL, "ADDR", "where clients connect" },
    { "log-level", OPTION_STRING, AT(log_level), "info", 0, 0, options_check_log_level, "LEVELS",
      "how much is logged" },
    { "max-connections", OPTION_UINT, AT(max_connections), "1024", 1, 65536, NULL, "N",
      "connections at a time" },
    { "dial-timeout", OPTION_DURATION, AT(dial_timeout_ms), "800ms", 10, 60000, NULL, "TIME",
      "how long the guest may take to accept" },
};

struct docker_worker {
    struct loop *loop;                /* borrowed */
    struct worker_link *link;         /* owned */
    struct docker_endpoint *endpoint; /* owned */
    struct addr at;                   /* where clients connect */
    bool listens;
    docker_worker_done_fn *done;
    void *ctx;
};

static void finish(struct docker_worker *w, int code)
{
    w->done(w->ctx, code);
}

/* ---- what the endpoint tells ----------------------------------------------------------------- */

static void on_endpoint_change(void *ctx)
{
    struct docker_worker *w = ctx;

    if (w->link)
        worker_link_report(w->link);
}

static void on_endpoint_drained(void *ctx)
{
    struct docker_worker *w = ctx;

    log_info(LOG_DOCKER, "drained: the last connection has ended");
    finish(w, 0);
}

static const struct docker_endpoint_ops endpoint_ops = {
    .on_change = on_endpoint_change,
    .on_drained = on_endpoint_drained,
};

/* ---- what the controller tells --------------------------------------------------------------- */

static void fill_health(void *ctx, struct health_report *out)
{
    struct docker_worker *w = ctx;

    docker_endpoint_fill_health(w->endpoint, out);
}

static void set_target(struct docker_worker *w, const Rdlink__V1__DockerTarget *msg)
{
    struct errmsg why = { "" };
    struct addr to;

    if (!msg->address[0]) {
        log_limited(LOG_INFO, LOG_DOCKER, "no target: %s", msg->unreachable_reason);
        docker_endpoint_set_target(w->endpoint, NULL, "", msg->unreachable_reason);
        return;
    }
    if (addr_parse(&to, msg->address, &why) != ST_OK) {
        log_limited(LOG_ERROR, LOG_DOCKER, "controller sent an unusable target: %s", why.text);
        docker_endpoint_set_target(w->endpoint, NULL, "", why.text);
        return;
    }
    log_limited(LOG_INFO, LOG_DOCKER, "target=%s instance=%s", msg->address, msg->instance);
    docker_endpoint_set_target(w->endpoint, &to, msg->instance, "");
}

static void listen_now(struct docker_worker *w)
{
    const struct listener_opts opts = { .adopt_fd = -1, .join = true };
    struct errmsg e = { "" };
    char text[ADDR_TEXT_MAX];

    if (docker_endpoint_listen(w->endpoint, &w->at, &opts, &e) != ST_OK) {
        log_error(LOG_DOCKER, "listen: %s", e.text);
        worker_link_exit_notice(w->link, 1, "ListenFailed", e.text);
        finish(w, 1);
        return;
    }
    w->listens = true;
    worker_link_ready(w->link, addr_format(&w->at, text, sizeof text));
}

static void on_message(void *ctx, const Rdlink__V1__Envelope *msg)
{
    struct docker_worker *w = ctx;

    if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_LOOK_NOW)
        docker_endpoint_look_now(w->endpoint);
    if (msg->body_case != RDLINK__V1__ENVELOPE__BODY_DOCKER_TARGET)
        return;
    docker_endpoint_set_limits(w->endpoint, msg->docker_target->max_connections,
                               msg->docker_target->dial_timeout_ms);
    set_target(w, msg->docker_target);
    if (!w->listens)
        listen_now(w);
}

static void on_drain(void *ctx, uint32_t deadline_ms)
{
    struct docker_worker *w = ctx;

    log_info(LOG_DOCKER, "draining for at most %u ms", deadline_ms);
    docker_endpoint_drain(w->endpoint);
}

static void on_shutdown(void *ctx, const char *reason)
{
    log_info(LOG_DOCKER, "shut down by the controller: %s", reason);
    finish(ctx, 0);
}

static void on_end(void *ctx, enum channel_end why, const char *detail)
{
    log_warn(LOG_DOCKER, "link to the controller ended: %s: %s", channel_end_name(why), detail);
    finish(ctx, why == CHANNEL_END_CLOSED_BY_PEER ? 0 : 1);
}

static const struct worker_link_ops link_ops = {
    .fill_health = fill_health,
    .on_message = on_message,
    .on_drain = on_drain,
    .on_shutdown = on_shutdown,
    .on_end = on_end,
};

/* ---- life ------------------------------------------------------------------------------------ */

static enum status start(struct docker_worker *w, const struct worker_config *config,
                         struct errmsg *e)
{
    const struct docker_endpoint_config endpoint = { .max_connections = config->max_connections,
                                                     .dial_timeout_ms = config->dial_timeout_ms };
    const struct worker_link_config link = { .role = RDLINK__V1__ROLE__ROLE_WORKER_DOCKER,
                                             .instance = config->instance };
    enum status st = addr_parse(&w->at, config->listen, e);

    if (st != ST_OK)
        return st;
    st = docker_endpoint_new(&w->endpoint, w->loop, &endpoint, &endpoint_ops, w, e);
    if (st != ST_OK)
        return st;
    return worker_link_open(&w->link, w->loop, &link, &link_ops, w, e);
}

enum status docker_worker_start(struct docker_worker **out, struct loop *loop, int argc,
                                const char *const *argv, docker_worker_done_fn *done, void *ctx,
                                struct errmsg *e)
{
    struct docker_worker *w = calloc(1, sizeof *w);
    struct worker_config config = { 0 };
    enum status st;
    int rest;

    if (!w) {
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    w->loop = loop;
    w->done = done;
    w->ctx = ctx;
    options_defaults(options, ARRAY_SIZE(options), &config);
    st = options_parse_argv(options, ARRAY_SIZE(options), &config, argc, argv, &rest, e);
    if (st == ST_OK) {
        log_set_levels_text(config.log_level);
        log_set_process(config.instance, sys_pid());
        st = start(w, &config, e);
    }
    if (st != ST_OK) {
        docker_worker_free(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

void docker_worker_free(struct docker_worker *w)
{
    if (!w)
        return;
    docker_endpoint_free(w->endpoint);
    worker_link_free(w->link); /* sends what is queued: an exit notice */
    free(w);
}
