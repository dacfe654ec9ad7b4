/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: be honest about docker.sock before, while and after somebody wants it.
 *
 *     every CHECK_MS: stat() ----------------> missing, no socket, wrong owner
 *                       | looks right
 *                       +-- last dial failed, or none to this inode yet --> probe: connect, close
 *     every stream:   stat() again, then the forwarder's dial --> its result counts like a probe's
 *
 * Three conditions say what came out, each about one thing:
 *     DockerSocketReady    can it be connected to        (the last dial or probe, or the stat)
 *     DockerSocketTrusted  is it the right owner's       (somebody else's is never connected to)
 *     ListenerReady        can clients reach us
 *
 * Why a stat per stream as well: a socket that was replaced a moment ago must not get one stream.
 * Between that stat and the connect there still is a gap, but whoever can use it can write to
 * /run, and that is root. Why no probe while all is well: dockerd need not be woken every second to
 * prove what the last stream has just proved; a dead engine is noticed by the next stream, which is
 * told so.
 *
 * Log: a change of a condition is one line; what a client can repeat is rate-limited.
 * Limits: see forwarder.c. The bridge itself allocates nothing per stream.
 */
#include "guestagent/docker_bridge.h"

#include "base/condition.h"
#include "base/log.h"
#include "guestagent/admit.h"
#include "ipc/health.h"
#include "port/listener.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/sys.h"
#include "relay/forwarder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHECK_MS = 1000, STUCK_MS = 5 * CHECK_MS };

static const char ready_type[] = "DockerSocketReady";
static const char trusted_type[] = "DockerSocketTrusted";
static const char listener_type[] = "ListenerReady";

struct docker_bridge {
    struct loop *loop;
    struct docker_bridge_config config;
    const struct docker_bridge_ops *ops;
    void *ctx;
    struct forwarder *forwarder; /* owned */
    struct condition_set conditions;
    struct timer check;
    uint64_t last_check_ms;
    struct dial *probe; /* NULL = none under way */
    bool checked;
    bool last_dial_ok; /* as far as we know, connecting works */
    bool trusted;      /* the socket that was last looked at has the right owner */
    uint64_t inode;    /* of it */
    bool draining;
    char target_text[ADDR_TEXT_MAX];
};

/* ---- conditions -------------------------------------------------------------------------- */

static bool is_true(const struct docker_bridge *b, const char *type)
{
    const struct condition *c = condition_find(&b->conditions, type);

    return c && c->status == COND_TRUE;
}

/* Sets a condition; logs and tells when it is news. */
static void set_condition(struct docker_bridge *b, const char *type, enum condition_status status,
                          const char *reason, const char *message)
{
    static const enum log_level levels[] = {
        [COND_UNKNOWN] = LOG_DEBUG, [COND_TRUE] = LOG_INFO, [COND_FALSE] = LOG_WARN
    };

    if (!condition_update(&b->conditions, type, status, reason, sys_wall_ms(), "%s", message))
        return;
    log_limited(levels[status], LOG_BRIDGE, "condition=%s %s reason=%s %s", type,
                condition_status_name(status), reason, message);
    if (b->checked && b->ops->on_change)
        b->ops->on_change(b->ctx);
}

static const char *reason_of(enum status st)
{
    switch (st) {
    case ST_NOTFOUND: return "SocketMissing";
    case ST_REFUSED: return "ConnectionRefused";
    case ST_DENIED: return "AccessDenied";
    case ST_INVAL: return "NotASocket";
    case ST_TIMEOUT: return "NotAnswering";
    default: return "ConnectFailed";
    }
}

static void set_dial_result(struct docker_bridge *b, enum status st, const char *why)
{
    if (b->last_dial_ok && st == ST_OK)
        return; /* no news, at the price of one comparison per stream */
    b->last_dial_ok = st == ST_OK;
    if (st == ST_OK)
        set_condition(b, ready_type, COND_TRUE, "Connected", b->target_text);
    else
        set_condition(b, ready_type, COND_FALSE, reason_of(st), why);
}

/* ---- looking at the target --------------------------------------------------------------- */

/* ST_OK: it may be connected to. Otherwise @why says why not, and the conditions do too. */
static enum status examine(struct docker_bridge *b, struct errmsg *why)
{
    struct sock_owner owner;
    enum status st;

    if (b->config.target.kind != ADDR_UNIX) {
        set_condition(b, trusted_type, COND_TRUE, "NoOwner", "the target is not a unix socket");
        return ST_OK;
    }
    st = b->config.owner_of(b->config.target.path, &owner);
    if (st == ST_OK && b->trusted && owner.inode == b->inode && owner.uid == b->config.target_owner)
        return ST_OK; /* no news */
    b->trusted = false;
    if (st == ST_UNSUPPORTED) {
        set_condition(b, trusted_type, COND_UNKNOWN, "OwnerUnknown", status_text(st));
        return ST_OK;
    }
    if (st != ST_OK) {
        errmsg_set(why, "%s: %s", b->target_text,
                   st == ST_INVAL ? "exists but is no socket" : status_text(st));
        set_condition(b, trusted_type, COND_UNKNOWN, reason_of(st), why->text);
        set_dial_result(b, st, why->text);
        return st;
    }
    if (owner.uid != b->config.target_owner) {
        errmsg_set(why, "%s is owned by uid %" PRId64 ", not by uid %" PRId64 "; not connecting",
                   b->target_text, owner.uid, b->config.target_owner);
        set_condition(b, trusted_type, COND_FALSE, "OwnerUnexpected", why->text);
        b->last_dial_ok = false; /* what was connected to before is not what is there now */
        set_condition(b, ready_type, COND_UNKNOWN, "OwnerUnexpected", "not connected to");
        return ST_DENIED;
    }
    if (owner.inode != b->inode) {
        log_limited(LOG_INFO, LOG_BRIDGE, "target=%s owner=%" PRId64 " inode=%" PRIu64,
                    b->target_text, owner.uid, owner.inode);
        b->inode = owner.inode;
        b->last_dial_ok = false; /* a new socket has proved nothing yet */
    }
    b->trusted = true;
    set_condition(b, trusted_type, COND_TRUE, "OwnerExpected", b->target_text);
    return ST_OK;
}

/* The first look is over: from now on changes are told, this one included. */
static void finish_check(struct docker_bridge *b)
{
    bool first = !b->checked;

    b->checked = true;
    if (first && b->ops->on_change)
        b->ops->on_change(b->ctx);
}

static void on_probe_done(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct docker_bridge *b = ctx;

    b->probe = NULL;
    stream_close(s);
    set_dial_result(b, st, why ? why->text : status_text(st));
    finish_check(b);
}

static void check(void *ctx)
{
    struct docker_bridge *b = ctx;
    struct errmsg why = { "" };
    enum status st;

    timer_start(&b->check, CHECK_MS);
    b->last_check_ms = loop_now_ms(b->loop);
    if (b->probe)
        return;
    if (examine(b, &why) != ST_OK) {
        finish_check(b);
        return;
    }
    if (b->last_dial_ok)
        return;
    st = dial_start(b->loop, &b->probe, &b->config.target, b->config.dial_timeout_ms, on_probe_done,
                    b, &why);
    if (st != ST_OK) {
        b->probe = NULL;
        on_probe_done(b, st, NULL, &why);
    }
}

/* ---- the forwarder's questions ----------------------------------------------------------- */

static enum status admit(void *ctx, const struct peer *peer)
{
    return admit_peer(peer, "bridge");
}

static enum status target(void *ctx, struct addr *to, struct errmsg *why)
{
    struct docker_bridge *b = ctx;
    enum status st = examine(b, why);

    if (st == ST_OK)
        *to = b->config.target;
    return st;
}

static void on_dial(void *ctx, enum status st, const struct errmsg *why)
{
    struct docker_bridge *b = ctx;

    if (st != ST_OK)
        log_warn_limited(LOG_BRIDGE, "client refused with 503: %s", why->text);
    set_dial_result(b, st, why ? why->text : status_text(st));
}

static void on_listener(void *ctx, enum status st, const struct errmsg *why)
{
    struct docker_bridge *b = ctx;

    if (st == ST_OK)
        set_condition(b, listener_type, COND_TRUE, "Accepting", "clients are accepted");
    else
        set_condition(b, listener_type, COND_FALSE,
                      st == ST_NOFILES ? "OutOfDescriptors" : "ListenerLost", why->text);
}

static void on_drained(void *ctx)
{
    struct docker_bridge *b = ctx;

    if (b->ops->on_drained)
        b->ops->on_drained(b->ctx);
}

static const struct forwarder_ops forwarder_ops = {
    .admit = admit,
    .target = target,
    .on_dial = on_dial,
    .on_listener = on_listener,
    .on_drained = on_drained,
};

/* ---- the bridge -------------------------------------------------------------------------- */

enum status docker_bridge_new(struct docker_bridge **out, struct loop *loop,
                              const struct docker_bridge_config *config,
                              const struct docker_bridge_ops *ops, void *ctx, struct errmsg *e)
{
    const struct forwarder_config limits = { .max_connections = config->max_connections,
                                             .dial_timeout_ms = config->dial_timeout_ms };
    struct docker_bridge *b = calloc(1, sizeof *b);
    enum status st;

    if (!b) {
        errmsg_set(e, "docker bridge: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    b->loop = loop;
    b->config = *config;
    if (!b->config.owner_of)
        b->config.owner_of = sock_owner_get;
    b->ops = ops;
    b->ctx = ctx;
    addr_format(&config->target, b->target_text, sizeof b->target_text);
    st = forwarder_new(&b->forwarder, loop, &limits, &forwarder_ops, b, e);
    if (st) {
        free(b);
        return st;
    }
    set_condition(b, ready_type, COND_UNKNOWN, "NotChecked", b->target_text);
    set_condition(b, trusted_type, COND_UNKNOWN, "NotChecked", b->target_text);
    set_condition(b, listener_type, COND_UNKNOWN, "NotListening", "no listening address yet");
    b->last_check_ms = loop_now_ms(loop);
    timer_init(&b->check, loop, check, b);
    timer_start(&b->check, 0);
    *out = b;
    return ST_OK;
}

enum status docker_bridge_listen(struct docker_bridge *b, const struct addr *at,
                                 const struct listener_opts *opts, struct errmsg *e)
{
    return forwarder_listen(b->forwarder, at, opts, e);
}

void docker_bridge_drain(struct docker_bridge *b)
{
    b->draining = true;
    set_condition(b, listener_type, COND_FALSE, "Draining", "no new clients; the rest may finish");
    forwarder_drain(b->forwarder);
}

bool docker_bridge_is_checked(const struct docker_bridge *b)
{
    return b->checked;
}

bool docker_bridge_is_serving(const struct docker_bridge *b)
{
    const struct condition *trusted = condition_find(&b->conditions, trusted_type);

    return is_true(b, ready_type) && is_true(b, listener_type) && trusted->status != COND_FALSE;
}

bool docker_bridge_is_alive(const struct docker_bridge *b)
{
    return loop_now_ms(b->loop) - b->last_check_ms < STUCK_MS;
}

unsigned docker_bridge_active(const struct docker_bridge *b)
{
    return forwarder_get_stats(b->forwarder).active;
}

void docker_bridge_report(const struct docker_bridge *b, struct health_component *out)
{
    const struct forwarder_stats s = forwarder_get_stats(b->forwarder);
    struct listener_stats l;

    forwarder_get_listener_stats(b->forwarder, &l);
    out->state = docker_bridge_is_serving(b) ? HEALTH_SERVING : HEALTH_NOT_SERVING;
    out->conditions = b->conditions;
    health_count(out, "active", s.active);
    health_count(out, "accepted", s.accepted);
    health_count(out, "rejected_peers", s.rejected_peers);
    health_count(out, "refused_full", s.refused_full);
    health_count(out, "refused_target", s.refused_target);
    health_count(out, "completed", s.completed);
    health_count(out, "broken", s.broken);
    health_count(out, "bytes_to_target", s.bytes_to_target);
    health_count(out, "bytes_from_target", s.bytes_from_target);
    health_count(out, "listener_accepted", l.accepted);
    health_count(out, "listener_aborted", l.aborted);
    health_count(out, "listener_limit_hits", l.limit_hits);
    health_count(out, "listener_refused_by_reserve", l.refused_by_reserve);
    health_count(out, "listener_reopened", l.reopened);
}

const char *docker_bridge_summary(const struct docker_bridge *b, char *buf, size_t cap)
{
    static const char *const in_order[] = { trusted_type, ready_type, listener_type };

    for (size_t i = 0; !b->draining && i < ARRAY_SIZE(in_order); i++) {
        const struct condition *c = condition_find(&b->conditions, in_order[i]);

        if (c->status == COND_FALSE) {
            snprintf(buf, cap, "%s: %s", c->reason, c->message);
            return buf;
        }
    }
    snprintf(buf, cap, "%s %u streams to %s", b->draining ? "draining" : "serving",
             docker_bridge_active(b), b->target_text);
    return buf;
}

void docker_bridge_free(struct docker_bridge *b)
{
    if (!b)
        return;
    timer_stop(&b->check);
    dial_cancel(b->loop, b->probe);
    forwarder_free(b->forwarder);
    free(b);
}
