/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/rancher_lane.h"

#include "base/log.h"
#include "port/listener.h"
#include "port/stream.h"

#include <stdio.h>

/* Between probes that have no reason to hurry: somebody else's phrase, a data port that cannot be
 * had, an agent that is there already. They go on, because a distribution may start at any time in
 * a machine that runs. */
enum { UNHURRIED_FACTOR = 5 };

static void change_state(struct rancher_lane *l, enum session_state to)
{
    if (l->state == to)
        return;
    log_write_limited(&l->changes_log, LOG_INFO, LOG_VM, "vm=%s generation=%s %s -> %s",
                      l->config.vm_id, guest_generation_name(l->config.generation),
                      session_state_name(l->state), session_state_name(to));
    l->state = to;
}

static void set_trouble(struct rancher_lane *l, enum lane_trouble trouble, const char *text)
{
    l->trouble = trouble;
    snprintf(l->trouble_text, sizeof l->trouble_text, "%s", text);
}

static void schedule_probe(struct rancher_lane *l)
{
    uint32_t pace_ms = l->config.times->probe_interval_ms;
    bool is_waiting = l->state == SESSION_HANDSHAKE || l->state == SESSION_WAIT_LINK;

    if (l->finding == LANE_WRONG_PHRASE || l->trouble == LANE_PORT_TAKEN ||
        l->trouble == LANE_LISTEN_FAILED || (l->unhurried && !is_waiting))
        pace_ms *= UNHURRIED_FACTOR;
    timer_start(&l->probe_timer, pace_ms);
}

static void stop_listening(struct rancher_lane *l)
{
    timer_stop(&l->link_timer);
    listener_close(l->listener);
    l->listener = NULL;
}

/* The guest is not coming after all: give the data port back, unless a link is still in use. */
static void give_up_waiting(struct rancher_lane *l, enum lane_trouble trouble, const char *text)
{
    set_trouble(l, trouble, text);
    l->ops->on_failure(l->ctx, l->config.generation, false, text);
    if (l->link_live) {
        timer_stop(&l->link_timer);
        change_state(l, SESSION_LINKED);
    } else {
        stop_listening(l);
        change_state(l, SESSION_PROBING);
    }
    l->ops->on_change(l->ctx);
}

/* ---- the data port ----------------------------------------------------------------------- */

/* On plain AF_VSOCK the data port is open to every guest of this computer; everywhere else it
 * belongs to one machine already. */
static bool is_from_our_vm(const struct rancher_lane *l, const struct peer *peer)
{
    if (l->config.vm->kind != ADDR_VSOCK)
        return true;
    return peer->has_cid && peer->cid == l->config.vm->cid;
}

static void on_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    struct rancher_lane *l = ctx;

    if (!is_from_our_vm(l, peer)) {
        log_warn_limited(LOG_VM, "vm=%s port=%u data link from another machine, closed",
                         l->config.vm_id, (unsigned)l->config.data_port);
        stream_close(s);
        return;
    }
    if (l->link_live)
        log_warn_limited(LOG_VM, "vm=%s generation=%s a second data link replaces the first",
                         l->config.vm_id, guest_generation_name(l->config.generation));
    timer_stop(&l->link_timer);
    l->config.totals->links++;
    l->link_live = true;
    l->link_start_ms = l->link_active_ms = loop_now_ms(l->loop);
    set_trouble(l, LANE_NO_TROUBLE, "");
    change_state(l, SESSION_LINKED);
    l->ops->on_change(l->ctx);
    l->ops->on_link(l->ctx, l->config.generation, s);
}

static void on_listener_state(void *ctx, enum status st, const struct errmsg *why)
{
    const struct rancher_lane *l = ctx;

    if (st != ST_OK)
        log_warn_limited(LOG_VM, "vm=%s port=%u data listener: %s", l->config.vm_id,
                         (unsigned)l->config.data_port, why ? why->text : status_text(st));
}

static const struct listener_handler listener_handler = { on_accept, on_listener_state };

static enum status listen_for_link(struct rancher_lane *l, struct errmsg *e)
{
    const struct listener_opts opts = { .backlog = 4, .adopt_fd = -1 };
    struct addr at;
    enum status st;

    if (l->listener)
        return ST_OK;
    st = addr_guest_to_host(&at, l->config.vm, l->config.data_port, e);
    if (st == ST_OK)
        st = listener_open(l->loop, &l->listener, &at, &opts, &listener_handler, l, e);
    if (st != ST_OK) {
        l->listener = NULL;
        errmsg_wrap(e, "listen for the data link");
    }
    return st;
}

static void on_link_timeout(void *ctx)
{
    struct rancher_lane *l = ctx;

    if (l->state == SESSION_WAIT_LINK)
        give_up_waiting(l, LANE_LINK_TIMEOUT, "READY was sent, but no data link came");
    else if (!l->link_live)
        stop_listening(l); /* kept open for a while after a lost link */
}

/* ---- conversations ----------------------------------------------------------------------- */

static void dial_handshake_port(struct addr *to, const struct rancher_lane *l)
{
    *to = addr_at_port(l->config.vm, l->config.handshake_port);
}

static void matched(struct rancher_lane *l)
{
    struct errmsg e = { "" };
    struct addr at;
    enum status st;

    l->config.totals->matches++;
    if (l->link_live && loop_now_ms(l->loop) - l->link_active_ms < l->config.times->link_quiet_ms) {
        schedule_probe(l); /* frames flow: a second distribution asks, and may not have this link */
        return;
    }
    st = listen_for_link(l, &e);
    if (st != ST_OK) {
        give_up_waiting(l, st == ST_EXISTS ? LANE_PORT_TAKEN : LANE_LISTEN_FAILED, e.text);
        schedule_probe(l);
        return;
    }
    timer_stop(&l->link_timer);
    change_state(l, SESSION_HANDSHAKE);
    l->ops->on_change(l->ctx);
    dial_handshake_port(&at, l);
    handshake_send_ready(&l->handshake, &at, l->config.signature, l->config.times->dial_timeout_ms,
                         l->config.times->read_timeout_ms);
}

/* A link that came while READY's connection was still winding up has moved the state on. */
static void ready_done(struct rancher_lane *l, enum handshake_outcome outcome, const char *detail)
{
    if (outcome == HANDSHAKE_READY) {
        l->config.totals->handshakes++;
        if (l->state == SESSION_HANDSHAKE) {
            change_state(l, SESSION_WAIT_LINK);
            timer_start(&l->link_timer, l->config.times->link_timeout_ms);
            l->ops->on_change(l->ctx);
        }
    } else if (l->state == SESSION_HANDSHAKE) {
        give_up_waiting(l, LANE_READY_FAILED, detail);
    }
    schedule_probe(l);
}

static enum lane_finding finding_of(enum handshake_outcome outcome)
{
    switch (outcome) {
    case HANDSHAKE_MATCHED: return LANE_ANSWERED;
    case HANDSHAKE_MISMATCH: return LANE_WRONG_PHRASE;
    case HANDSHAKE_SILENT: return LANE_PEER_SILENT;
    case HANDSHAKE_CUT: return LANE_PEER_CLOSED;
    default: return LANE_NOBODY;
    }
}

static void probe_done(struct rancher_lane *l, enum handshake_outcome outcome, enum status why,
                       const char *detail)
{
    enum lane_finding found = finding_of(outcome);

    if (outcome == HANDSHAKE_MISMATCH)
        l->config.totals->mismatches++;
    if (why == ST_TIMEOUT)
        l->config.totals->timeouts++;
    if (outcome != HANDSHAKE_MATCHED)
        l->ops->on_failure(l->ctx, l->config.generation, outcome == HANDSHAKE_NO_DIAL, detail);
    if (found != l->finding) {
        log_debug(LOG_VM, "vm=%s generation=%s port=%u: %s", l->config.vm_id,
                  guest_generation_name(l->config.generation), (unsigned)l->config.handshake_port,
                  detail);
        l->finding = found;
        l->ops->on_change(l->ctx);
    }
    if (outcome == HANDSHAKE_MATCHED)
        matched(l);
    else
        schedule_probe(l);
}

static void on_handshake_done(void *ctx, enum handshake_outcome outcome, enum status why,
                              const char *detail)
{
    struct rancher_lane *l = ctx;

    if (l->handshake.is_ready)
        ready_done(l, outcome, detail);
    else
        probe_done(l, outcome, why, detail);
}

static void on_probe_timer(void *ctx)
{
    struct rancher_lane *l = ctx;
    struct addr at;

    l->config.totals->probes++;
    dial_handshake_port(&at, l);
    handshake_probe(&l->handshake, &at, l->config.signature, l->config.times->dial_timeout_ms,
                    l->config.times->read_timeout_ms);
}

/* ---- for the session --------------------------------------------------------------------- */

void rancher_lane_init(struct rancher_lane *l, struct loop *loop,
                       const struct rancher_lane_config *config, const struct rancher_lane_ops *ops,
                       void *ctx)
{
    *l = (struct rancher_lane){
        .loop = loop, .config = *config, .ops = ops, .ctx = ctx, .changes_log.burst = LOG_BURST
    };
    handshake_init(&l->handshake, loop, on_handshake_done, l);
    timer_init(&l->probe_timer, loop, on_probe_timer, l);
    timer_init(&l->link_timer, loop, on_link_timeout, l);
    timer_start(&l->probe_timer, 0);
}

/* A probe under way may hang on a connection that died in the meantime; READY is let finish. */
void rancher_lane_probe_now(struct rancher_lane *l)
{
    if (!handshake_is_idle(&l->handshake)) {
        if (l->handshake.is_ready)
            return;
        handshake_cancel(&l->handshake);
    }
    timer_start(&l->probe_timer, 0);
}

void rancher_lane_set_unhurried(struct rancher_lane *l, bool unhurried)
{
    if (l->unhurried == unhurried)
        return;
    l->unhurried = unhurried;
    if (timer_is_running(&l->probe_timer))
        schedule_probe(l);
}

/* The guest is probed at once, so that its restart costs no interval; not when the link was
 * short-lived, or a guest that drops every link would be answered at full speed for ever. The data
 * port stays open for the time a link is waited for: a guest may dial again without a handshake. */
void rancher_lane_link_ended(struct rancher_lane *l, enum status why)
{
    uint64_t lived_ms = loop_now_ms(l->loop) - l->link_start_ms;

    if (!l->link_live)
        return;
    l->link_live = false;
    if (l->state != SESSION_LINKED)
        return; /* a handshake with the fresh guest is under way already */
    set_trouble(l, LANE_LINK_LOST, status_text(why));
    change_state(l, SESSION_PROBING);
    timer_start(&l->link_timer, l->config.times->link_timeout_ms);
    if (lived_ms >= l->config.times->probe_interval_ms)
        rancher_lane_probe_now(l);
    l->ops->on_change(l->ctx);
}

void rancher_lane_link_active(struct rancher_lane *l)
{
    if (l->link_live)
        l->link_active_ms = loop_now_ms(l->loop);
}

void rancher_lane_fini(struct rancher_lane *l)
{
    timer_stop(&l->probe_timer);
    handshake_cancel(&l->handshake);
    stop_listening(l);
}
