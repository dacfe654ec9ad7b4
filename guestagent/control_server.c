/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/control_server.h"

#include "base/log.h"
#include "guestagent/admit.h"
#include "guestagent/identity.h"
#include "ipc/channel.h"
#include "ipc/health.h"
#include "ipc/levels_message.h"
#include "port/crypto.h"
#include "port/listener.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/sys.h"

#include <stdio.h>
#include <stdlib.h>

enum { REPORT_MS = 1000, GREETING_MS = 5000 };

struct lane {
    struct control_server *server;
    struct channel *channel; /* owned; NULL = free lane */
    uint64_t number;         /* of the channel; the higher the younger */
    bool greeted;
    bool is_proved;
    bool told_ready;
    bool has_set_levels;
};

struct control_server {
    struct loop *loop;
    const struct identity *identity;
    const struct control_source *source;
    void *ctx;
    struct listener *listener; /* owned */
    struct timer tick;
    bool has_key; /* at the last look, and which */
    struct proof_key key;
    struct lane lanes[CONTROL_MAX_CHANNELS];
    uint64_t youngest;
    struct log_limit channels_log; /* whoever can connect on the host decides how often */
};

/* ---- telling ----------------------------------------------------------------------------- */

static void send_ready(struct lane *lane)
{
    char detail[64];
    Rdlink__V1__Ready ready = RDLINK__V1__READY__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    snprintf(detail, sizeof detail, "%s", lane->server->source->ready_detail);
    ready.detail = detail;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_READY;
    msg.ready = &ready;
    lane->told_ready = channel_send(lane->channel, &msg) == ST_OK;
}

/* Everything there is to say, to one lane or (NULL) to all. */
static void report_to(struct control_server *c, struct lane *only)
{
    struct health_report report = { .count = 0 };
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    bool serving = c->source->is_serving(c->ctx);

    c->source->report(c->ctx, &report);
    report.wall_ms = sys_wall_ms();
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HEALTH;
    if (health_encode(&report, &msg.health) != ST_OK)
        return; /* no memory now; the next report is a second away */
    for (unsigned i = 0; i < CONTROL_MAX_CHANNELS; i++) {
        struct lane *lane = &c->lanes[i];

        if (!lane->channel || !channel_is_open(lane->channel) || (only && lane != only))
            continue;
        if (channel_send(lane->channel, &msg) == ST_OK && serving && !lane->told_ready)
            send_ready(lane);
    }
    health_message_free(msg.health);
}

/* What the source publishes, to one lane or (NULL) to all. */
static void publish_to(struct control_server *c, struct lane *only)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    if (!c->source->publish || !c->source->publish(c->ctx, &msg))
        return;
    for (unsigned i = 0; i < CONTROL_MAX_CHANNELS; i++) {
        struct lane *lane = &c->lanes[i];

        if (lane->channel && channel_is_open(lane->channel) && (!only || lane == only))
            (void)channel_send(lane->channel, &msg); /* a lane that fails asks anew, as another */
    }
}

void control_server_publish(struct control_server *c)
{
    publish_to(c, NULL);
}

void control_server_changed(struct control_server *c)
{
    report_to(c, NULL);
}

/* ---- channels ---------------------------------------------------------------------------- */

static void on_open(void *ctx, const struct channel_peer *peer)
{
    struct lane *lane = ctx;

    log_write_limited(&lane->server->channels_log, LOG_INFO, LOG_IPC,
                      "control: host connected version=%s pid=%llu proof=%s", peer->version,
                      (unsigned long long)peer->pid, channel_proved_name(peer->proved));
    lane->greeted = true;
    lane->is_proved = peer->proved == CHANNEL_PROVED;
    report_to(lane->server, lane);
    publish_to(lane->server, lane);
}

static void on_message(void *ctx, const Rdlink__V1__Envelope *msg)
{
    struct lane *lane = ctx;
    struct control_server *c = lane->server;

    if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_LOG_LEVELS) {
        levels_take(msg->log_levels);
        lane->has_set_levels = true;
    }
    if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER && c->source->on_offer)
        c->source->on_offer(c->ctx, lane->number, lane->is_proved, msg->network_offer);
    if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_RELAYED_PORTS && c->source->on_relay)
        c->source->on_relay(c->ctx, lane->number, lane->is_proved, msg->relayed_ports);
}

/* The lane is free from here on. */
static void tell_gone(struct lane *lane)
{
    struct control_server *c = lane->server;

    if (lane->has_set_levels)
        (void)log_set_override("", NULL);
    if (lane->greeted && c->source->on_gone)
        c->source->on_gone(c->ctx, lane->number);
}

static void drop(struct lane *lane)
{
    channel_free(lane->channel);
    lane->channel = NULL;
    tell_gone(lane);
}

static void on_end(void *ctx, enum channel_end why, const char *detail)
{
    struct lane *lane = ctx;
    struct channel *ended = lane->channel;

    log_write_limited(&lane->server->channels_log,
                      why == CHANNEL_END_CLOSED_BY_PEER ? LOG_INFO : LOG_WARN, LOG_IPC,
                      "control: channel ended: %s%s%s", channel_end_name(why), detail ? ": " : "",
                      detail ? detail : "");
    lane->channel = NULL;
    channel_free(ended);
    tell_gone(lane);
}

static const struct channel_handler channel_handler = {
    .on_open = on_open,
    .on_message = on_message,
    .on_end = on_end,
};

static unsigned worth(const struct lane *lane)
{
    return lane->greeted + lane->is_proved;
}

/* A free lane, or one made free: of those that are worth least the oldest. */
static struct lane *take_lane(struct control_server *c)
{
    struct lane *least = &c->lanes[0];

    for (unsigned i = 0; i < CONTROL_MAX_CHANNELS; i++) {
        struct lane *lane = &c->lanes[i];

        if (!lane->channel)
            return lane;
        if (worth(lane) < worth(least) ||
            (worth(lane) == worth(least) && lane->number < least->number))
            least = lane;
    }
    log_warn_limited(LOG_IPC, "control: more than %d channels; closed one%s", CONTROL_MAX_CHANNELS,
                     least->greeted ? "" : " that had not greeted");
    drop(least);
    return least;
}

static void on_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    struct control_server *c = ctx;
    const struct channel_config config = { .side = CHANNEL_ACCEPTOR,
                                           .role = c->source->role,
                                           .instance = c->identity->options->instance,
                                           .peer_roles = &c->source->peer,
                                           .peer_role_count = 1,
                                           .greeting_ms = GREETING_MS,
                                           .proof = &c->identity->proof };
    struct lane *lane;

    if (admit_peer(peer, "control") != ST_OK) {
        stream_close(s);
        return;
    }
    lane = take_lane(c);
    *lane = (struct lane){ .server = c, .number = ++c->youngest };
    if (channel_new(&lane->channel, c->loop, s, &config, &channel_handler, lane) != ST_OK)
        lane->channel = NULL;
}

static void on_listener_state(void *ctx, enum status st, const struct errmsg *why)
{
    if (st == ST_OK)
        log_limited(LOG_INFO, LOG_IPC, "control: accepting again");
    else
        log_limited(LOG_WARN, LOG_IPC, "control: listener: %s", why->text);
}

static const struct listener_handler listener_handler = {
    .on_accept = on_accept,
    .on_state = on_listener_state,
};

static void say_goodbye(struct channel *channel, char *reason, char *message)
{
    Rdlink__V1__ExitNotice notice = RDLINK__V1__EXIT_NOTICE__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    notice.reason = reason;
    notice.message = message;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_EXIT_NOTICE;
    msg.exit_notice = &notice;
    if (channel_is_open(channel))
        channel_send(channel, &msg);
}

/* Whether our key is another one than at the last look. A look that could not be says nothing. */
static bool key_has_changed(struct control_server *c)
{
    const struct channel_proof *proof = &c->identity->proof;
    struct proof_key now;
    enum status st = proof->find_key(proof->ctx, c->identity->options->instance, &now);
    bool had_key = c->has_key;
    bool is_same;

    if (st == ST_IO)
        return false;
    c->has_key = st == ST_OK;
    if (!c->has_key)
        return had_key;
    is_same = had_key && crypto_equal(&now, &c->key, sizeof now);
    c->key = now;
    crypto_wipe(&now, sizeof now);
    return !is_same;
}

/* Whoever greeted us with the key we had, or with none, is to do it again. */
static void greet_anew(struct control_server *c)
{
    static char reason[] = "KeyChanged", message[] = "the agent's key is another one now";

    log_limited(LOG_INFO, LOG_IPC, "control: our key is another one now; hosts greet anew");
    for (unsigned i = 0; i < CONTROL_MAX_CHANNELS; i++) {
        if (!c->lanes[i].channel)
            continue;
        say_goodbye(c->lanes[i].channel, reason, message);
        drop(&c->lanes[i]);
    }
}

static void on_tick(void *ctx)
{
    struct control_server *c = ctx;

    timer_start(&c->tick, REPORT_MS);
    if (key_has_changed(c))
        greet_anew(c);
    report_to(c, NULL);
}

/* ---- the server -------------------------------------------------------------------------- */

enum status control_server_new(struct control_server **out, struct loop *loop,
                               const struct identity *identity, const struct control_source *source,
                               void *ctx, struct errmsg *e)
{
    struct control_server *c = calloc(1, sizeof *c);

    if (!c) {
        errmsg_set(e, "control server: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    c->loop = loop;
    c->identity = identity;
    c->source = source;
    c->ctx = ctx;
    c->channels_log.burst = LOG_BURST;
    (void)key_has_changed(c); /* the first look */
    timer_init(&c->tick, loop, on_tick, c);
    timer_start(&c->tick, REPORT_MS);
    *out = c;
    return ST_OK;
}

enum status control_server_listen(struct control_server *c, const struct addr *at,
                                  const struct listener_opts *opts, struct errmsg *e)
{
    ASSERT(!c->listener);
    return listener_open(c->loop, &c->listener, at, opts, &listener_handler, c, e);
}

void control_server_free(struct control_server *c)
{
    static char reason[] = "Stopped", message[] = "the agent was asked to stop";

    if (!c)
        return;
    timer_stop(&c->tick);
    listener_close(c->listener);
    for (unsigned i = 0; i < CONTROL_MAX_CHANNELS; i++) {
        if (!c->lanes[i].channel)
            continue;
        say_goodbye(c->lanes[i].channel, reason, message);
        channel_free(c->lanes[i].channel);
    }
    crypto_wipe(&c->key, sizeof c->key);
    free(c);
}
