/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/rancher_lane.h"

#include "base/log.h"
#include "port/addr.h"

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

/* A fresh guest is expected at any moment: while one is being linked, and for a while after a link
 * was lost. */
static bool is_waiting(const struct rancher_lane *l)
{
    return l->state == SESSION_HANDSHAKE || l->state == SESSION_WAIT_LINK ||
           timer_is_running(&l->link_timer);
}

static void schedule_probe(struct rancher_lane *l)
{
    uint32_t pace_ms = l->config.times->probe_interval_ms;

    if (l->finding == LANE_WRONG_PHRASE || lane_trouble_is_of_host(l->trouble) ||
        (l->unhurried && !is_waiting(l)))
        pace_ms *= UNHURRIED_FACTOR;
    timer_start(&l->probe_timer, pace_ms);
}

/* ---- the data link ----------------------------------------------------------------------- */

/* The answer may come from within: then @asking keeps it from being acted on twice. */
static void want_link(struct rancher_lane *l)
{
    l->link.wanted = true;
    l->asking = true;
    l->ops->want_link(l->ctx, l->config.generation);
    l->asking = false;
}

static void release_link(struct rancher_lane *l)
{
    timer_stop(&l->link_timer);
    if (!l->link.wanted)
        return;
    l->link.wanted = false;
    l->link.answer = LANE_NO_ANSWER;
    l->ops->release_link(l->ctx, l->config.generation);
}

/* No link this time. What is the host's trouble keeps the question open, for as long as a guest
 * goes on answering; otherwise the guest is not coming after all, and the data port is given back,
 * unless a link is still in use. */
static void give_up_waiting(struct rancher_lane *l, enum lane_trouble trouble, const char *text)
{
    set_trouble(l, trouble, text);
    l->ops->on_failure(l->ctx, l->config.generation, false, text);
    if (l->link.live)
        timer_stop(&l->link_timer);
    else if (lane_trouble_is_of_host(trouble))
        timer_start(&l->link_timer, l->config.times->link_timeout_ms);
    else
        release_link(l);
    change_state(l, l->link.live ? SESSION_LINKED : SESSION_PROBING);
    l->ops->on_change(l->ctx);
}

static void on_link_timeout(void *ctx)
{
    struct rancher_lane *l = ctx;

    if (l->state == SESSION_WAIT_LINK)
        give_up_waiting(l, LANE_LINK_TIMEOUT, "READY was sent, but no data link came");
    else if (l->state == SESSION_HANDSHAKE)
        give_up_waiting(l, LANE_LISTEN_FAILED, "the host switch did not come up in time");
    else if (!l->link.live)
        release_link(l); /* kept for a while after a lost link */
}

/* ---- conversations ----------------------------------------------------------------------- */

static void dial_handshake_port(struct addr *to, const struct rancher_lane *l)
{
    *to = addr_at_port(l->config.vm, l->config.handshake_port);
}

static void send_ready(struct rancher_lane *l)
{
    struct addr at;

    timer_stop(&l->link_timer);
    timer_stop(&l->probe_timer);
    dial_handshake_port(&at, l);
    handshake_send_ready(&l->handshake, &at, l->config.signature, l->config.times->dial_timeout_ms,
                         l->config.times->read_timeout_ms);
}

static void matched(struct rancher_lane *l)
{
    l->config.totals->matches++;
    if (l->link.live && loop_now_ms(l->loop) - l->link.active_ms < l->config.times->link_quiet_ms) {
        schedule_probe(l); /* frames flow: a second distribution asks, and may not have this link */
        return;
    }
    want_link(l);
    if (l->link.answer == LANE_NOT_READY) {
        give_up_waiting(l, lane_link_trouble(&l->link), l->link.text);
        schedule_probe(l);
        return;
    }
    timer_start(&l->link_timer, l->config.times->link_timeout_ms);
    change_state(l, SESSION_HANDSHAKE);
    l->ops->on_change(l->ctx);
    if (l->link.answer == LANE_IS_READY)
        send_ready(l);
    else
        schedule_probe(l);
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
    rancher_lane_probe_now(l);
}

/* A probe under way may hang on a connection that died in the meantime; READY is let finish. */
void rancher_lane_probe_now(struct rancher_lane *l)
{
    if (l->config.times->require_proof)
        return; /* its handshake proves nothing */
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

/* READY must not be on its way to a guest that would find nobody at the data port. */
static void listener_is_gone(struct rancher_lane *l)
{
    enum lane_trouble trouble = lane_link_trouble(&l->link);
    bool is_linking = l->state == SESSION_HANDSHAKE || l->state == SESSION_WAIT_LINK;
    bool is_sending = l->handshake.is_ready && !handshake_is_idle(&l->handshake);

    if (is_sending)
        handshake_cancel(&l->handshake);
    if (is_linking) {
        give_up_waiting(l, trouble, l->link.text);
    } else if (lane_trouble_is_of_host(l->trouble)) {
        set_trouble(l, trouble, l->link.text);
        l->ops->on_change(l->ctx);
    }
    if ((is_sending || is_linking) && handshake_is_idle(&l->handshake))
        schedule_probe(l);
}

static void listener_is_there(struct rancher_lane *l)
{
    if (l->state == SESSION_HANDSHAKE && handshake_is_idle(&l->handshake)) {
        send_ready(l);
    } else if (lane_trouble_is_of_host(l->trouble)) {
        set_trouble(l, LANE_NO_TROUBLE, "");
        rancher_lane_probe_now(l);
    }
    l->ops->on_change(l->ctx);
}

void rancher_lane_link_ready(struct rancher_lane *l, enum status st, const char *why)
{
    if (!lane_link_answer(&l->link, st, why) || l->asking)
        return;
    if (st == ST_OK)
        listener_is_there(l);
    else
        listener_is_gone(l);
}

void rancher_lane_link_started(struct rancher_lane *l)
{
    if (l->link.live)
        log_warn_limited(LOG_VM, "vm=%s generation=%s a second data link replaces the first",
                         l->config.vm_id, guest_generation_name(l->config.generation));
    timer_stop(&l->link_timer);
    l->config.totals->links++;
    l->link.live = true;
    l->link.start_ms = l->link.active_ms = loop_now_ms(l->loop);
    set_trouble(l, LANE_NO_TROUBLE, "");
    change_state(l, SESSION_LINKED);
    if (!l->link.wanted)
        want_link(l); /* the guest dialled again although nobody waited for it any more */
    l->ops->on_change(l->ctx);
}

/* The guest is probed at once, so that its restart costs no interval; not when the link was
 * short-lived, or a guest that drops every link would be answered at full speed for ever. The data
 * port stays open for the time a link is waited for: a guest may dial again without a handshake. */
void rancher_lane_link_ended(struct rancher_lane *l, enum status why)
{
    uint64_t lived_ms = loop_now_ms(l->loop) - l->link.start_ms;

    if (!l->link.live)
        return;
    l->link.live = false;
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
    if (l->link.live)
        l->link.active_ms = loop_now_ms(l->loop);
}

void rancher_lane_fini(struct rancher_lane *l)
{
    timer_stop(&l->probe_timer);
    timer_stop(&l->link_timer);
    handshake_cancel(&l->handshake);
}
