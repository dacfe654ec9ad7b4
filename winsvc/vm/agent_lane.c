/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/agent_lane.h"

#include "base/log.h"
#include "ipc/peer_text.h"
#include "port/crypto.h"
#include "port/stream.h"
#include "port/sys.h"
#include "vm/keyring.h"

#include <stdio.h>
#include <string.h>

/* The agent reports every second from its data loop; five missed reports are a dead agent. Whose
 * key is wrong is asked less and less often, up to MAX_PACE times: the keyring tells when it
 * changes, but the agent's own key may be put right without a word. */
enum { AGENT_SILENCE_MS = 5000, AGENT_ANSWER_MS = 1500, MAX_PACE_BITS = 2 };

/* A machine that has just been found, and an agent that was there and is gone, are soon to be heard
 * of: they are asked QUICK_TIMES as often for as long as it takes to ask QUICK_PROBES times. An
 * agent that hangs up on us at once each time gets no such haste. */
enum { QUICK_TIMES = 4, QUICK_PROBES = 8 };

static void schedule_probe(struct agent_lane *l)
{
    unsigned bits = MIN(l->proof_failures, (unsigned)MAX_PACE_BITS);
    uint64_t pace_ms = (uint64_t)l->config.times->probe_interval_ms << bits;

    if (bits == 0 && l->quick_probes > 0) {
        l->quick_probes--;
        pace_ms /= QUICK_TIMES;
    }
    timer_start(&l->probe_timer, pace_ms);
}

static bool was_there(const struct agent_lane *l)
{
    return l->is_open && loop_now_ms(l->loop) - l->open_ms >= l->config.times->probe_interval_ms;
}

static enum status find_key(void *ctx, const char *instance, struct proof_key *out)
{
    struct agent_lane *l = ctx;
    enum status st = keyring_find(l->config.times->keys, instance, out);

    l->used.is_there = st == ST_OK;
    if (st == ST_OK)
        l->used.key = *out;
    return st;
}

/* ---- the channel ------------------------------------------------------------------------- */

static void on_open(void *ctx, const struct channel_peer *peer)
{
    struct agent_lane *l = ctx;

    l->is_open = true;
    l->levels = (struct levels_told){ "" };
    l->open_ms = loop_now_ms(l->loop);
    l->peer = *peer;
    l->clock = (struct guest_clock){ .is_known = false };
    l->config.totals->matches++;
    if (peer->proved == CHANNEL_PROVED) {
        l->config.totals->proofs++;
        l->proof_failures = 0;
    }
    log_limited(LOG_INFO, LOG_VM,
                "vm=%s agent=%s version=%s pid=%llu instance=%s proof=%s: control channel open",
                l->config.vm_id, l->config.unit, peer->version, (unsigned long long)peer->pid,
                peer->instance, channel_proved_name(peer->proved));
    l->ops->on_change(l->ctx);
}

static void take_report(struct agent_lane *l, const Rdlink__V1__HealthReport *msg)
{
    struct health_report fresh;
    bool is_news;

    levels_follow(&l->levels, l->channel);
    health_decode(&fresh, msg);
    is_news = !l->reports || !health_is_same(&l->report, &fresh);
    is_news |= guest_clock_look(&l->clock, fresh.wall_ms, sys_wall_ms());
    l->report = fresh;
    l->reports = true;
    if (is_news)
        l->ops->on_change(l->ctx);
}

/* An agent that does not take us says so before it hangs up. */
static enum agent_end refusal_of(const char *reason)
{
    if (!strcmp(reason, channel_end_name(CHANNEL_END_PROOF_FAILED)))
        return AGENT_PROOF_FAILED;
    if (!strcmp(reason, channel_end_name(CHANNEL_END_PROOF_MISSING)))
        return AGENT_PROOF_MISSING;
    return AGENT_NEVER_SEEN;
}

static void on_message(void *ctx, const Rdlink__V1__Envelope *msg)
{
    struct agent_lane *l = ctx;

    switch (msg->body_case) {
    case RDLINK__V1__ENVELOPE__BODY_HEALTH: take_report(l, msg->health); break;
    case RDLINK__V1__ENVELOPE__BODY_EXIT_NOTICE:
        peer_text_copy(l->notice, sizeof l->notice, msg->exit_notice->message);
        l->refusal = refusal_of(msg->exit_notice->reason);
        break;
    case RDLINK__V1__ENVELOPE__BODY_PUBLISHED_PORTS:
        if (l->ops->on_published)
            l->ops->on_published(l->ctx, msg->published_ports);
        break;
    case RDLINK__V1__ENVELOPE__BODY_RELAYED_PORTS:
        if (l->ops->on_relayed)
            l->ops->on_relayed(l->ctx, msg->relayed_ports);
        break;
    default: break; /* Ready says nothing that the reports do not */
    }
}

static enum agent_end end_of(const struct agent_lane *l, enum channel_end why)
{
    if (why == CHANNEL_END_VERSION_MISMATCH)
        return AGENT_WRONG_VERSION;
    if (why == CHANNEL_END_PROOF_FAILED)
        return AGENT_PROOF_FAILED;
    if (why == CHANNEL_END_PROOF_MISSING)
        return AGENT_PROOF_MISSING;
    if (l->refusal != AGENT_NEVER_SEEN)
        return l->refusal;
    return l->is_open ? AGENT_LOST : AGENT_REFUSED;
}

static void on_end(void *ctx, enum channel_end why, const char *detail)
{
    struct agent_lane *l = ctx;
    const char *said = l->notice[0] ? l->notice : detail;

    l->end = end_of(l, why);
    if (l->end == AGENT_PROOF_FAILED || l->end == AGENT_PROOF_MISSING) {
        l->config.totals->proof_failures++;
        l->proof_failures++;
    }
    snprintf(l->end_text, sizeof l->end_text, "%s%s%s", channel_end_name(why),
             said && said[0] ? ": " : "", said ? said : "");
    log_warn_limited(LOG_VM, "vm=%s agent=%s control channel ended, %s; dialling again",
                     l->config.vm_id, l->config.unit, l->end_text);
    if (was_there(l))
        l->quick_probes = QUICK_PROBES;
    channel_free(l->channel);
    l->channel = NULL;
    l->is_open = false;
    l->reports = false;
    schedule_probe(l);
    l->ops->on_failure(l->ctx, GUEST_V2, false, l->end_text);
    l->ops->on_change(l->ctx);
}

static const struct channel_handler channel_handler = { on_open, on_message, on_end };

static void on_dialled(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct agent_lane *l = ctx;
    const struct channel_config config = { .side = CHANNEL_OPENER,
                                           .role = RDLINK__V1__ROLE__ROLE_CONTROLLER,
                                           .instance = l->config.instance,
                                           .peer_roles = l->config.role,
                                           .peer_role_count = 1,
                                           .silence_ms = AGENT_SILENCE_MS,
                                           .greeting_ms = AGENT_SILENCE_MS,
                                           .proof = &l->proof };
    bool is_first = !l->tried;

    l->dial = NULL;
    l->tried = true;
    if (st == ST_OK) {
        l->notice[0] = '\0';
        l->refusal = AGENT_NEVER_SEEN;
        st = channel_new(&l->channel, l->loop, s, &config, &channel_handler, l);
        if (st == ST_OK)
            return;
        l->channel = NULL;
    }
    if (st == ST_TIMEOUT)
        l->config.totals->timeouts++;
    schedule_probe(l);
    l->ops->on_failure(l->ctx, GUEST_V2, true, why && why->text[0] ? why->text : status_text(st));
    if (is_first)
        l->ops->on_change(l->ctx);
}

static void on_probe_timer(void *ctx)
{
    struct agent_lane *l = ctx;
    struct errmsg e = { "" };
    enum status st;

    l->config.totals->probes++;
    st = dial_start(l->loop, &l->dial, &l->config.at, l->config.times->dial_timeout_ms, on_dialled,
                    l, &e);
    if (st != ST_OK)
        on_dialled(l, st, NULL, &e);
}

/* ---- for the session --------------------------------------------------------------------- */

void agent_lane_init(struct agent_lane *l, struct loop *loop,
                     const struct agent_lane_config *config, const struct agent_lane_ops *ops,
                     void *ctx)
{
    *l = (struct agent_lane){ .loop = loop, .config = *config, .ops = ops, .ctx = ctx };
    l->quick_probes = QUICK_PROBES;
    l->proof = (struct channel_proof){ .find_key = find_key,
                                       .ctx = l,
                                       .is_required = config->times->require_proof };
    timer_init(&l->probe_timer, loop, on_probe_timer, l);
    timer_start(&l->probe_timer, 0);
}

/* A stream may have died in a sleep without a word. */
void agent_lane_probe_now(struct agent_lane *l)
{
    if (l->channel) {
        channel_ask(l->channel, AGENT_ANSWER_MS);
        return;
    }
    dial_cancel(l->loop, l->dial);
    l->dial = NULL;
    timer_start(&l->probe_timer, 0);
}

static bool is_same_key(const struct agent_key *used, enum status st, const struct proof_key *now)
{
    if (!used->is_there || st != ST_OK)
        return used->is_there == (st == ST_OK);
    return crypto_equal(&used->key, now, sizeof *now);
}

void agent_lane_keys_changed(struct agent_lane *l)
{
    struct proof_key now;
    enum status st;

    l->proof_failures = 0;
    if (l->is_open && l->peer.proved == CHANNEL_PEER_TOO_OLD)
        return;
    if (l->is_open) {
        st = keyring_find(l->config.times->keys, l->peer.instance, &now);
        if (is_same_key(&l->used, st, &now))
            return;
        log_limited(LOG_INFO, LOG_VM,
                    "vm=%s agent=%s instance=%s: its key is another one now; greeting anew",
                    l->config.vm_id, l->config.unit, l->peer.instance);
        channel_free(l->channel);
        l->channel = NULL;
        l->is_open = l->reports = false;
        l->end = AGENT_LOST;
        snprintf(l->end_text, sizeof l->end_text, "its key is another one now");
        l->ops->on_change(l->ctx);
    }
    agent_lane_probe_now(l);
}

bool agent_lane_is_serving(const struct agent_lane *l)
{
    if (!l->reports || l->report.count == 0)
        return false;
    for (unsigned i = 0; i < l->report.count; i++)
        if (l->report.components[i].state != HEALTH_SERVING)
            return false;
    return true;
}

enum status agent_lane_send(struct agent_lane *l, Rdlink__V1__Envelope *msg)
{
    return l->is_open ? channel_send(l->channel, msg) : ST_CLOSED;
}

static void copy_condition(struct condition_set *set, const struct condition *c)
{
    if (set->count < CONDITION_SET_MAX && !condition_find(set, c->type))
        set->items[set->count++] = *c;
}

/* All components of the agent in one list each; of two of the same name the first counts. */
void agent_lane_view(const struct agent_lane *l, struct agent_view *out)
{
    memset(out, 0, sizeof *out);
    out->reports = l->reports;
    out->serving = agent_lane_is_serving(l);
    if (l->is_open) {
        memcpy(out->version, l->peer.version, sizeof out->version);
        out->pid = (int64_t)l->peer.pid;
        out->proved = l->peer.proved;
        memcpy(out->instance, l->peer.instance, sizeof out->instance);
    }
    if (!l->reports)
        return;
    out->clock = l->clock;
    for (unsigned i = 0; i < l->report.count; i++) {
        const struct health_component *c = &l->report.components[i];

        out->conditions.generation += c->conditions.generation;
        for (unsigned k = 0; k < c->conditions.count; k++)
            copy_condition(&out->conditions, &c->conditions.items[k]);
        for (unsigned k = 0; k < c->counter_count; k++)
            if (out->counter_count < HEALTH_MAX_COUNTERS)
                out->counters[out->counter_count++] = c->counters[k];
    }
}

void agent_lane_fini(struct agent_lane *l)
{
    timer_stop(&l->probe_timer);
    dial_cancel(l->loop, l->dial);
    l->dial = NULL;
    channel_free(l->channel);
    l->channel = NULL;
    crypto_wipe(&l->used, sizeof l->used);
}
