/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 *
 *     STARTING --target looked at once--> RUNNING --agent_stop()--> DRAINING --> STOPPED
 *        |  READY=1 with STATUS              |  STATUS at each change  |  STOPPING=1,
 *        |                                   |  WATCHDOG=1             |  EXTEND_TIMEOUT_USEC
 *        +----------- agent_stop() ----------+------------------------>+  WATCHDOG=1
 *
 * Ready means: whoever connects now gets an answer. Not: docker runs. A guest without an engine is
 * a guest whose STATUS says so; waiting for docker here would make systemd kill the one process
 * that can tell the host.
 *
 * Sockets handed down by systemd replace the configured addresses: those named "bridge" and
 * "control" (FileDescriptorName=) are what they say; without names the first is the bridge's and
 * the second the control port. A control port that was not handed down is opened as configured.
 * The socket unit keeps the port bound while we restart, so that
 * clients wait in the backlog instead of being refused.
 *
 * Watchdog: a timer of the loop sends WATCHDOG=1 at half the asked interval, if the bridge's own
 * timer has run lately. A loop that is stuck, or has lost its timers, is restarted by systemd.
 *
 * Draining tells systemd how much longer we need (drain timeout plus a margin), whatever the unit's
 * TimeoutStopSec says.
 */
#include "guestagent/agent.h"

#include "base/log.h"
#include "guestagent/config.h"
#include "guestagent/control_server.h"
#include "guestagent/docker_bridge.h"
#include "guestagent/published_ports.h"
#include "guestagent/sd_notify.h"
#include "guestagent/service.h"
#include "ipc/health.h"
#include "port/listener.h"
#include "port/loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_MAX = 400, STOP_MARGIN_MS = 2000 };

enum agent_state { AGENT_STARTING, AGENT_RUNNING, AGENT_DRAINING, AGENT_STOPPED };

struct agent {
    struct loop *loop;
    const struct config *config; /* borrowed */
    struct identity identity;
    enum agent_state state;
    struct docker_bridge *bridge;   /* owned */
    struct control_server *control; /* owned */
    struct published_ports *ports;  /* owned */
    struct service_watchdog watchdog;
    struct timer drain_deadline, stopped;
    void (*on_stopped)(void *ctx);
    void *ctx;
};

/* ---- systemd ----------------------------------------------------------------------------- */

static void notify_status(struct agent *a, const char *first_lines)
{
    char summary[STATUS_MAX];

    service_notify_status(first_lines, docker_bridge_summary(a->bridge, summary, sizeof summary));
}

static bool is_alive(void *ctx)
{
    struct agent *a = ctx;

    return docker_bridge_is_alive(a->bridge);
}

/* ---- what the parts say ------------------------------------------------------------------ */

static void on_bridge_change(void *ctx)
{
    struct agent *a = ctx;

    if (a->state == AGENT_STARTING && docker_bridge_is_checked(a->bridge)) {
        a->state = AGENT_RUNNING;
        notify_status(a, "READY=1\n");
    } else {
        notify_status(a, "");
    }
    if (a->ports)
        published_ports_set_engine(a->ports, docker_bridge_is_serving(a->bridge));
    if (a->control)
        control_server_changed(a->control);
}

static void on_ports_change(void *ctx)
{
    struct agent *a = ctx;

    if (a->control) {
        control_server_publish(a->control);
        control_server_changed(a->control);
    }
}

static void stop_now(struct agent *a)
{
    if (a->state == AGENT_STOPPED)
        return;
    a->state = AGENT_STOPPED;
    timer_stop(&a->drain_deadline);
    timer_start(&a->stopped, 0);
}

static void on_bridge_drained(void *ctx)
{
    log_info(LOG_MAIN, "all streams have ended");
    stop_now(ctx);
}

static void on_drain_deadline(void *ctx)
{
    struct agent *a = ctx;

    log_warn(LOG_MAIN, "drain deadline reached; cutting %u streams",
             docker_bridge_active(a->bridge));
    stop_now(a);
}

static void on_stopped_timer(void *ctx)
{
    struct agent *a = ctx;

    a->on_stopped(a->ctx);
}

static const struct docker_bridge_ops bridge_ops = {
    .on_change = on_bridge_change,
    .on_drained = on_bridge_drained,
};

static void report(void *ctx, struct health_report *out)
{
    struct agent *a = ctx;
    struct health_component *c = health_add(out, "bridge");

    if (!c)
        return;
    docker_bridge_report(a->bridge, c);
    published_ports_report(a->ports, c);
}

static bool publish(void *ctx, Rdlink__V1__Envelope *out)
{
    struct agent *a = ctx;

    out->published_ports = published_ports_message(a->ports);
    out->body_case = RDLINK__V1__ENVELOPE__BODY_PUBLISHED_PORTS;
    return out->published_ports != NULL;
}

static bool is_serving(void *ctx)
{
    struct agent *a = ctx;

    return a->state == AGENT_RUNNING && docker_bridge_is_serving(a->bridge);
}

static const struct control_source control_source = {
    .role = RDLINK__V1__ROLE__ROLE_AGENT_BRIDGE,
    .peer = RDLINK__V1__ROLE__ROLE_CONTROLLER,
    .ready_detail = "docker bridge",
    .report = report,
    .is_serving = is_serving,
    .publish = publish,
};

/* ---- listening --------------------------------------------------------------------------- */

static enum status listen_at(struct agent *a, bool control, const struct addr *at, int adopt_fd,
                             struct errmsg *e)
{
    const struct listener_opts opts = { .adopt_fd = adopt_fd };
    char text[ADDR_TEXT_MAX];
    enum status st = control ? control_server_listen(a->control, at, &opts, e)
                             : docker_bridge_listen(a->bridge, at, &opts, e);

    if (st == ST_OK)
        log_info(LOG_MAIN, "%s listens on %s", control ? "control" : "bridge",
                 addr_format(at, text, sizeof text));
    return st;
}

/* What systemd handed down; how many there were of each kind. */
static enum status listen_on_inherited(struct agent *a, unsigned *bridges, unsigned *controls,
                                       struct errmsg *e)
{
    struct sd_listen_fd fds[SD_LISTEN_MAX];
    unsigned count = sd_notify_listen_fds(fds);
    enum status st = ST_OK;

    *bridges = *controls = 0;
    for (unsigned i = 0; i < count && st == ST_OK; i++) {
        struct addr at = { .kind = ADDR_FD, .fd = fds[i].fd };
        bool named = !strcmp(fds[i].name, "bridge") || !strcmp(fds[i].name, "control");
        bool control = named ? !strcmp(fds[i].name, "control") : i == 1;

        ++*(control ? controls : bridges);
        if (*controls > 1) {
            errmsg_set(e, "two control sockets were handed down");
            return ST_INVAL;
        }
        st = listen_at(a, control, &at, fds[i].fd, e);
        if (st)
            errmsg_wrap(e, "socket %u from systemd (%s)", i, fds[i].name);
    }
    return st;
}

static enum status listen_everywhere(struct agent *a, struct errmsg *e)
{
    const struct config *c = a->config;
    unsigned bridges, controls;
    enum status st = listen_on_inherited(a, &bridges, &controls, e);

    for (unsigned i = 0; i < c->listen_count && st == ST_OK && !bridges; i++)
        st = listen_at(a, false, &c->listen_at[i], -1, e);
    if (st == ST_OK && c->has_control && !controls)
        st = listen_at(a, true, &c->control_at, -1, e);
    return st;
}

/* ---- life -------------------------------------------------------------------------------- */

enum status agent_new(struct agent **out, struct loop *loop, const struct config *config,
                      void (*on_stopped)(void *ctx), void *ctx, struct errmsg *e)
{
    const struct docker_bridge_config bridge = { .target = config->target_at,
                                                 .target_owner = config->target_owner,
                                                 .max_connections = config->max_connections,
                                                 .dial_timeout_ms = config->dial_timeout_ms };
    struct agent *a = calloc(1, sizeof *a);
    enum status st;

    if (!a) {
        errmsg_set(e, "agent: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    a->loop = loop;
    a->config = config;
    a->on_stopped = on_stopped;
    a->ctx = ctx;
    timer_init(&a->drain_deadline, loop, on_drain_deadline, a);
    timer_init(&a->stopped, loop, on_stopped_timer, a);
    service_watchdog_start(&a->watchdog, loop, is_alive, a);
    st = identity_init(&a->identity, &config->identity, e);
    if (st == ST_OK)
        st = docker_bridge_new(&a->bridge, loop, &bridge, &bridge_ops, a, e);
    if (st == ST_OK)
        st = published_ports_new(&a->ports, loop, &config->target_at, on_ports_change, a);
    if (st == ST_OK)
        st = control_server_new(&a->control, loop, &a->identity, &control_source, a, e);
    if (st == ST_OK)
        st = listen_everywhere(a, e);
    if (st != ST_OK) {
        agent_free(a);
        return st;
    }
    *out = a;
    return ST_OK;
}

void agent_stop(struct agent *a)
{
    char lines[96];

    if (a->state == AGENT_DRAINING) {
        log_warn(LOG_MAIN, "asked again to stop; cutting %u streams",
                 docker_bridge_active(a->bridge));
        stop_now(a);
    }
    if (a->state >= AGENT_DRAINING)
        return;
    a->state = AGENT_DRAINING;
    log_info(LOG_MAIN, "stopping: %u streams may end within %u ms", docker_bridge_active(a->bridge),
             a->config->drain_timeout_ms);
    snprintf(lines, sizeof lines, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64,
             ((uint64_t)a->config->drain_timeout_ms + STOP_MARGIN_MS) * 1000);
    service_notify(lines);
    timer_start(&a->drain_deadline, a->config->drain_timeout_ms);
    docker_bridge_drain(a->bridge);
}

void agent_free(struct agent *a)
{
    if (!a)
        return;
    service_watchdog_stop(&a->watchdog);
    timer_stop(&a->drain_deadline);
    timer_stop(&a->stopped);
    control_server_free(a->control);
    published_ports_free(a->ports);
    docker_bridge_free(a->bridge);
    free(a);
}
