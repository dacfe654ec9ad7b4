/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/worker_link.h"

#include "ipc/levels_message.h"
#include "ipc/peer_text.h"
#include "port/log_pipe.h"
#include "port/loop.h"
#include "port/process.h"
#include "port/stream.h"
#include "port/sys.h"
#include "supervisor/spin_watch.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_HEALTH_MS = 1000, TEXT_MAX = 256 };

struct worker_link {
    struct channel *channel; /* owned */
    const struct worker_link_ops *ops;
    void *ctx;
    uint32_t health_ms, spin_ms;
    struct spin_watch spin;
    struct timer next_report;
    enum { READY_NOT_YET, READY_WAITS_FOR_GREETING, READY_SENT } ready;
    char ready_detail[TEXT_MAX];
    struct health_report report; /* what fill_health() fills; too large for the stack of a loop */
};

static void send_ready(struct worker_link *l)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Ready ready = RDLINK__V1__READY__INIT;

    ready.detail = l->ready_detail;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_READY;
    msg.ready = &ready;
    if (channel_send(l->channel, &msg) == ST_OK)
        l->ready = READY_SENT;
}

static void look_for_spin(struct worker_link *l)
{
    if (spin_watch_look(&l->spin, l->spin_ms, sys_monotonic_ms(), sys_cpu_ms(),
                        spin_watch_progress(&l->report)))
        worker_link_exit_notice(l, 1, "Spinning", "busy all the time, and nothing moved");
}

void worker_link_report(struct worker_link *l)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    if (!channel_is_open(l->channel))
        return;
    timer_start(&l->next_report, l->health_ms);
    memset(&l->report, 0, sizeof l->report);
    l->ops->fill_health(l->ctx, &l->report);
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HEALTH;
    if (health_encode(&l->report, &msg.health) != ST_OK)
        return; /* the next one may find memory; without it this is a missed heartbeat */
    channel_send(l->channel, &msg);
    health_message_free(msg.health);
    look_for_spin(l);
}

static void on_next_report(void *ctx)
{
    worker_link_report(ctx);
}

static void on_open(void *ctx, const struct channel_peer *peer)
{
    struct worker_link *l = ctx;

    if (l->ops->on_open)
        l->ops->on_open(l->ctx, peer);
    worker_link_report(l);
    if (l->ready == READY_WAITS_FOR_GREETING)
        send_ready(l);
}

/* Drain and Shutdown may free the link, so nothing touches it after the switch. */
static void on_message(void *ctx, const Rdlink__V1__Envelope *msg)
{
    struct worker_link *l = ctx;
    char reason[TEXT_MAX];

    switch (msg->body_case) {
    case RDLINK__V1__ENVELOPE__BODY_DRAIN:
        if (l->ops->on_drain)
            l->ops->on_drain(l->ctx, msg->drain->deadline_ms);
        break;
    case RDLINK__V1__ENVELOPE__BODY_SHUTDOWN:
        peer_text_copy(reason, sizeof reason, msg->shutdown->reason);
        if (l->ops->on_shutdown)
            l->ops->on_shutdown(l->ctx, reason);
        break;
    case RDLINK__V1__ENVELOPE__BODY_LOG_LEVELS: levels_take(msg->log_levels); break;
    default:
        if (l->ops->on_message)
            l->ops->on_message(l->ctx, msg);
        break;
    }
}

static void on_end(void *ctx, enum channel_end why, const char *detail)
{
    struct worker_link *l = ctx;

    timer_stop(&l->next_report);
    if (l->ops->on_end)
        l->ops->on_end(l->ctx, why, detail);
}

static const struct channel_handler handler = {
    .on_open = on_open,
    .on_message = on_message,
    .on_end = on_end,
};

enum status worker_link_new(struct worker_link **out, struct loop *loop, struct stream *s,
                            const struct worker_link_config *config,
                            const struct worker_link_ops *ops, void *ctx)
{
    static const Rdlink__V1__Role controller = RDLINK__V1__ROLE__ROLE_CONTROLLER;
    const struct channel_config channel_config = {
        .side = CHANNEL_ACCEPTOR,
        .role = config->role,
        .instance = config->instance,
        .peer_roles = &controller,
        .peer_role_count = 1,
    };
    struct worker_link *l = calloc(1, sizeof *l);
    enum status st;

    if (!l) {
        stream_close(s);
        return ST_NOMEM;
    }
    l->ops = ops;
    l->ctx = ctx;
    l->health_ms = config->health_ms ? config->health_ms : DEFAULT_HEALTH_MS;
    l->spin_ms = config->spin_ms ? config->spin_ms : SPIN_WATCH_MS;
    timer_init(&l->next_report, loop, on_next_report, l);
    st = channel_new(&l->channel, loop, s, &channel_config, &handler, l);
    if (st) {
        free(l);
        return st;
    }
    *out = l;
    return ST_OK;
}

enum status worker_link_open(struct worker_link **out, struct loop *loop,
                             const struct worker_link_config *config,
                             const struct worker_link_ops *ops, void *ctx, struct errmsg *e)
{
    struct stream *s = NULL;
    enum status st;

    process_die_with_parent();
    log_pipe_open();
    st = process_control_stream(loop, &s, e);
    if (st) {
        errmsg_wrap(e, "not started by a controller");
        return st;
    }
    st = worker_link_new(out, loop, s, config, ops, ctx);
    if (st)
        errmsg_set(e, "open the control channel: %s", status_text(st));
    return st;
}

void worker_link_ready(struct worker_link *l, const char *detail)
{
    if (l->ready != READY_NOT_YET)
        return;
    snprintf(l->ready_detail, sizeof l->ready_detail, "%s", detail);
    l->ready = READY_WAITS_FOR_GREETING;
    if (channel_is_open(l->channel))
        send_ready(l);
}

enum status worker_link_send(struct worker_link *l, Rdlink__V1__Envelope *msg)
{
    return channel_send(l->channel, msg);
}

void worker_link_exit_notice(struct worker_link *l, int32_t code, const char *reason,
                             const char *message)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__ExitNotice notice = RDLINK__V1__EXIT_NOTICE__INIT;
    char reason_copy[TEXT_MAX], message_copy[TEXT_MAX];

    snprintf(reason_copy, sizeof reason_copy, "%s", reason);
    snprintf(message_copy, sizeof message_copy, "%s", message);
    notice.code = code;
    notice.reason = reason_copy;
    notice.message = message_copy;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_EXIT_NOTICE;
    msg.exit_notice = &notice;
    channel_send(l->channel, &msg);
}

void worker_link_free(struct worker_link *l)
{
    if (!l)
        return;
    timer_stop(&l->next_report);
    channel_free(l->channel);
    free(l);
}
