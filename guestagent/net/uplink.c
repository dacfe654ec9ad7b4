/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Who may be linked to is one decision, made anew at each event by choose():
 *
 *     --link ............................. fixed
 *     a v2 host offers its network ....... v2, its data port
 *     READY was heard .................... A or B, whose port 6656 or 6657 the host listens at
 *     nothing of these ................... nobody: wait
 *
 *     WAITING --choice--> dial --ok--> LINKED --uplink_link_ended()--> dial at once
 *                          ^ |
 *                          | +-fails-> UNREACHABLE
 *                          +--back-off------+
 *
 * Offers are remembered by control channel and forgotten with it, because an offer is its host's
 * word and the host is the channel: one that restarts offers anew. The youngest offer counts, a
 * proved host's first. A link does not depend on it: it lives until its stream ends, so a
 * controller that restarts while the data path goes on costs nothing.
 *
 * A v2 host that is there, offering or not yet, keeps the ports of A and B closed: they belong to
 * whatever other distribution of this virtual machine wants them. Without such a host they are
 * opened after legacy_after_ms. A READY is remembered until another choice takes its place: one
 * kind of host listens on after a lost link and never shakes hands again, the other shakes hands
 * anew.
 *
 * Make before break: when a host asks anew (another offer, READY again) while a link is there, the
 * new one is dialled beside it and takes its place only when it stands, and only if the old one is
 * quiet. Otherwise two hosts that both want this guest would take it from each other for ever.
 *
 * A host that has proved itself (ipc/proof.h) comes before one that has not, and gives a token with
 * which its link begins: the link's port is open to every program of this virtual machine. With
 * require-proof no other host is listened to, and Rancher's handshakes, which prove nothing, are
 * not answered.
 */
#include "guestagent/net/uplink.h"

#include "base/backoff.h"
#include "base/log.h"
#include "guestagent/control_server.h"
#include "guestagent/net/handshake_server.h"
#include "guestagent/net/net_config.h"
#include "link/link_token.h"
#include "port/listener.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIAL_MS = 5000,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_LAST_MS = 5000,
    STABLE_MS = 5000, /* a link that lived so long is dialled again without a delay */
    LISTEN_AGAIN_MS = 5000
};

enum source { SOURCE_NONE, SOURCE_FIXED, SOURCE_V2, SOURCE_A, SOURCE_B, SOURCE_COUNT };

static const char *const source_names[] = {
    [SOURCE_NONE] = "nobody", [SOURCE_FIXED] = "fixed", [SOURCE_V2] = "v2",
    [SOURCE_A] = "A",         [SOURCE_B] = "B",
};
_Static_assert(ARRAY_SIZE(source_names) == SOURCE_COUNT, "a name for each source");

static const uint32_t data_ports[] = { [RANCHER_A] = 6656, [RANCHER_B] = 6657 };

/* What one host said last. */
struct offer {
    uint64_t channel; /* 0 = free row */
    bool is_proved;   /* its host is */
    uint32_t data_port;
    bool has_token;
    struct link_token token;
    struct uplink_terms terms;
    char reason[80]; /* why there is no port */
};

/* Whom to dial, and for whom. */
struct choice {
    enum source source;
    uint64_t channel; /* v2: whose offer */
    struct addr at;
    bool has_token;
    struct link_token token;
    struct uplink_terms terms;
};

struct uplink {
    struct loop *loop;
    const struct net_config *config;
    const struct control_source *owner; /* whose report it is */
    const struct uplink_ops *ops;
    void *ctx;
    struct identity identity;
    struct control_server *control; /* owned; NULL: none */
    struct offer offers[CONTROL_MAX_CHANNELS];
    struct handshake_server *handshakes[RANCHER_GENERATION_COUNT]; /* owned */
    struct timer legacy;
    struct errmsg legacy_trouble; /* why a handshake port is not listened at; "" = it is */
    enum source ready;            /* SOURCE_A or _B once READY was heard */
    /* The dial under way, or the next one. */
    struct dial *dial;
    struct choice dialled;
    struct timer again;
    struct backoff backoff;
    struct errmsg trouble; /* of the last dial; "" = none */
    /* The link. */
    struct choice linked; /* SOURCE_NONE: there is none */
    uint64_t linked_since_ms;
};

static void reconsider(struct uplink *u);

/* ---- the choice ------------------------------------------------------------------------------ */

/* A proved host's before others', one with a port before one without, the youngest. */
static bool is_better(const struct offer *a, const struct offer *b)
{
    if (a->is_proved != b->is_proved)
        return a->is_proved;
    if ((a->data_port != 0) != (b->data_port != 0))
        return a->data_port != 0;
    return a->channel > b->channel;
}

/* NULL: no v2 host is there. */
static const struct offer *best_offer(const struct uplink *u)
{
    const struct offer *best = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(u->offers); i++) {
        const struct offer *o = &u->offers[i];

        if (o->channel && (!best || is_better(o, best)))
            best = o;
    }
    return best;
}

static struct choice choose_rancher(const struct uplink *u, enum source source)
{
    struct choice c = { .source = source, .terms = { .protocol = FRAME_STDIO } };
    uint32_t port = data_ports[source == SOURCE_A ? RANCHER_A : RANCHER_B];

    if (addr_guest_to_host(&c.at, &u->config->host_at, port, NULL) != ST_OK)
        c.source = SOURCE_NONE;
    return c;
}

static struct choice choose(const struct uplink *u)
{
    const struct offer *o = best_offer(u);
    struct choice c = { .source = SOURCE_NONE };

    if (u->config->has_link) {
        c.source = SOURCE_FIXED;
        c.at = u->config->link_at;
        c.terms.protocol = u->config->link_protocol;
    } else if (o && o->data_port) {
        c.source = SOURCE_V2;
        c.channel = o->channel;
        c.terms = o->terms;
        c.has_token = o->has_token;
        c.token = o->token;
        if (addr_guest_to_host(&c.at, &u->config->host_at, o->data_port, NULL) != ST_OK)
            c.source = SOURCE_NONE;
    } else if (!o && u->ready != SOURCE_NONE) {
        c = choose_rancher(u, u->ready);
    }
    c.terms.source = source_names[c.source];
    return c;
}

/* Whether a link to @a is what @b asks for. */
static bool is_same(const struct choice *a, const struct choice *b)
{
    return a->source == b->source && a->channel == b->channel && addr_equal(&a->at, &b->at) &&
           a->terms.has_lease == b->terms.has_lease && mac_equal(&a->terms.mac, &b->terms.mac) &&
           (!a->terms.has_lease || guest_lease_equal(&a->terms.lease, &b->terms.lease));
}

/* ---- dialling -------------------------------------------------------------------------------- */

static void stop_dialling(struct uplink *u)
{
    dial_cancel(u->loop, u->dial);
    u->dial = NULL;
    timer_stop(&u->again);
}

static uint32_t random_number(void)
{
    uint32_t n;

    return sys_random(&n, sizeof n) == ST_OK ? n : UINT32_MAX; /* without jitter then */
}

static void dial_later(struct uplink *u, const char *why)
{
    log_warn_limited(LOG_NET, "link=%s %s; trying again", source_names[u->dialled.source], why);
    snprintf(u->trouble.text, sizeof u->trouble.text, "%s", why);
    timer_start(&u->again, backoff_next_ms(&u->backoff, 0, random_number()));
    u->ops->on_change(u->ctx);
}

/* A stream that has just been dialled takes so little at once or keeps it; it fails only when it is
 * dead, or without memory. */
static bool say_token(struct stream *s, const struct choice *c)
{
    uint8_t preamble[LINK_PREAMBLE_BYTES];
    enum status st;

    if (!c->has_token)
        return true;
    link_token_preamble(&c->token, preamble);
    st = stream_write(s, preamble, sizeof preamble);
    return st == ST_OK || st == ST_QUEUED;
}

static void on_dialled(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct uplink *u = ctx;

    u->dial = NULL;
    if (st != ST_OK) {
        dial_later(u, why->text);
        return;
    }
    if (!say_token(s, &u->dialled)) {
        stream_close(s);
        dial_later(u, "the host did not take the link's token");
        return;
    }
    log_limited(LOG_INFO, LOG_NET, "link=%s established", source_names[u->dialled.source]);
    u->linked = u->dialled;
    u->linked_since_ms = loop_now_ms(u->loop);
    u->trouble.text[0] = '\0';
    u->ops->on_link(u->ctx, s, &u->linked.terms);
    u->ops->on_change(u->ctx);
    reconsider(u); /* the offer may be another one by now */
}

static void dial_now(struct uplink *u, const struct choice *c)
{
    struct errmsg e = { "" };
    enum status st;

    stop_dialling(u);
    u->dialled = *c;
    st = dial_start(u->loop, &u->dial, &u->dialled.at, DIAL_MS, on_dialled, u, &e);
    if (st) {
        u->dial = NULL;
        dial_later(u, e.text);
    }
}

/* A host has just said that it is there: what came before does not count. */
static void dial_fresh(struct uplink *u, const struct choice *c)
{
    u->trouble.text[0] = '\0';
    backoff_reset(&u->backoff);
    dial_now(u, c);
}

static void on_again(void *ctx)
{
    struct uplink *u = ctx;
    struct choice c = choose(u);

    if (c.source != SOURCE_NONE)
        dial_now(u, &c);
}

/* Holds what there is against what is wanted. */
static void reconsider(struct uplink *u)
{
    struct choice c = choose(u);
    bool dialling = u->dial || timer_is_running(&u->again);

    if (c.source == SOURCE_NONE) {
        stop_dialling(u);
        u->trouble.text[0] = '\0';
    } else if (u->linked.source != SOURCE_NONE && is_same(&c, &u->linked)) {
        stop_dialling(u);
    } else if (dialling && is_same(&c, &u->dialled)) {
        return;
    } else if (u->linked.source != c.source || u->ops->is_quiet(u->ctx)) {
        dial_fresh(u, &c);
    }
}

void uplink_link_ended(struct uplink *u, enum status why)
{
    uint64_t up_ms = loop_now_ms(u->loop) - u->linked_since_ms;

    log_warn_limited(LOG_NET, "link=%s ended after %llu ms: %s", source_names[u->linked.source],
                     (unsigned long long)up_ms, status_text(why));
    u->linked.source = SOURCE_NONE;
    if (!u->dial) {
        u->dialled = choose(u);
        if (u->dialled.source == SOURCE_NONE)
            timer_stop(&u->again);
        else if (up_ms >= STABLE_MS)
            timer_start(&u->again, 0);
        else
            timer_start(&u->again, backoff_next_ms(&u->backoff, up_ms, random_number()));
    }
    u->ops->on_change(u->ctx);
}

/* ---- Rancher's own hosts --------------------------------------------------------------------- */

static void close_handshakes(struct uplink *u)
{
    for (size_t g = 0; g < ARRAY_SIZE(u->handshakes); g++) {
        handshake_server_free(u->handshakes[g]);
        u->handshakes[g] = NULL;
    }
    u->legacy_trouble.text[0] = '\0';
}

static void on_ready(void *ctx, enum rancher_generation generation)
{
    struct uplink *u = ctx;
    enum source source = generation == RANCHER_A ? SOURCE_A : SOURCE_B;
    struct choice c;

    log_limited(LOG_INFO, LOG_NET, "link=%s the host is ready", source_names[source]);
    if (best_offer(u) || (u->linked.source != SOURCE_NONE && !u->ops->is_quiet(u->ctx)))
        return;
    u->ready = source;
    c = choose(u);
    if (c.source != SOURCE_NONE)
        dial_fresh(u,
                   &c); /* also beside a link, or in place of a dial to where nobody listened yet */
    u->ops->on_change(u->ctx);
}

static void open_handshake(struct uplink *u, enum rancher_generation g)
{
    struct errmsg e = { "" };

    if (u->handshakes[g])
        return;
    if (handshake_server_new(&u->handshakes[g], u->loop, g, &u->config->handshake_at[g], on_ready,
                             u, &e) == ST_OK)
        return;
    u->handshakes[g] = NULL;
    log_warn_limited(LOG_NET, "%s; trying again", e.text);
    u->legacy_trouble = e;
}

static void on_legacy(void *ctx)
{
    struct uplink *u = ctx;

    u->legacy_trouble.text[0] = '\0';
    if (u->config->answers_a)
        open_handshake(u, RANCHER_A);
    if (u->config->answers_b)
        open_handshake(u, RANCHER_B);
    if (u->legacy_trouble.text[0])
        timer_start(&u->legacy, LISTEN_AGAIN_MS);
    u->ops->on_change(u->ctx);
}

/* A v2 host came or went. */
static void follow_presence(struct uplink *u)
{
    if (best_offer(u)) {
        timer_stop(&u->legacy);
        close_handshakes(u);
        u->ready = SOURCE_NONE;
    } else if (!timer_is_running(&u->legacy)) {
        timer_start(&u->legacy, u->config->legacy_after_ms);
    }
}

/* ---- our own host ---------------------------------------------------------------------------- */

/* It goes into resolv.conf. */
static bool is_search_text(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_. ";

    return strspn(text, allowed) == strlen(text);
}

/* What cannot be right counts as not said. */
static void understand(struct offer *o, const Rdlink__V1__NetworkOffer *m)
{
    struct guest_lease *l = &o->terms.lease;

    o->data_port = m->data_port;
    o->has_token = link_token_take(&o->token, m->link_token.data, m->link_token.len);
    o->terms = (struct uplink_terms){ .protocol = FRAME_V2 };
    snprintf(o->reason, sizeof o->reason, "%s", m->unavailable_reason);
    if (*m->guest_mac &&
        (mac_parse(&o->terms.mac, m->guest_mac) || mac_is_multicast(&o->terms.mac)))
        o->terms.mac = (struct mac){ { 0 } };
    if (net_config_parse_cidr(&l->ip, &l->prefix_bits, m->guest_address) != ST_OK)
        return;
    o->terms.has_lease = true;
    if (ip_addr_parse(&l->gateway, m->gateway) || !ip_addr_is_v4(&l->gateway))
        l->gateway = ip_addr_v4(0);
    l->dns = l->gateway;
    l->mtu = m->mtu >= 576 && m->mtu <= 65520 ? (uint16_t)m->mtu : 0;
    if (is_search_text(m->search))
        snprintf(l->search, sizeof l->search, "%s", m->search);
}

static struct offer *offer_of(struct uplink *u, uint64_t channel)
{
    for (size_t i = 0; i < ARRAY_SIZE(u->offers); i++) {
        if (u->offers[i].channel == channel)
            return &u->offers[i];
    }
    return NULL;
}

static void on_offer(void *ctx, uint64_t channel, bool is_proved, const Rdlink__V1__NetworkOffer *m)
{
    struct uplink *u = ctx;
    struct offer *o = offer_of(u, channel);

    if (!o)
        o = offer_of(u, 0);
    ASSERT(o); /* there are as many rows as channels */
    o->channel = channel;
    o->is_proved = is_proved;
    understand(o, m);
    log_limited(LOG_INFO, LOG_NET, "offer channel=%llu port=%u%s%s", (unsigned long long)channel,
                o->data_port, o->data_port ? "" : " not now: ", o->data_port ? "" : o->reason);
    follow_presence(u);
    reconsider(u);
    u->ops->on_change(u->ctx);
}

static void on_relay(void *ctx, uint64_t channel, bool is_proved,
                     const Rdlink__V1__PublishedPorts *ports)
{
    struct uplink *u = ctx;

    if (u->owner->on_relay)
        u->owner->on_relay(u->ctx, channel, is_proved, ports);
}

static void on_gone(void *ctx, uint64_t channel)
{
    struct uplink *u = ctx;
    struct offer *o = offer_of(u, channel);

    if (u->owner->on_gone)
        u->owner->on_gone(u->ctx, channel);
    if (!o)
        return;
    o->channel = 0;
    follow_presence(u);
    reconsider(u);
    u->ops->on_change(u->ctx);
}

static void report(void *ctx, struct health_report *out)
{
    struct uplink *u = ctx;

    u->owner->report(u->ctx, out);
}

static bool is_serving(void *ctx)
{
    struct uplink *u = ctx;

    return u->owner->is_serving(u->ctx);
}

static bool publish(void *ctx, Rdlink__V1__Envelope *out)
{
    struct uplink *u = ctx;

    return u->owner->publish && u->owner->publish(u->ctx, out);
}

static const struct control_source control_source = {
    .role = RDLINK__V1__ROLE__ROLE_AGENT_NET,
    .peer = RDLINK__V1__ROLE__ROLE_CONTROLLER,
    .ready_detail = "network",
    .report = report,
    .is_serving = is_serving,
    .publish = publish,
    .on_relay = on_relay,
    .on_offer = on_offer,
    .on_gone = on_gone,
};

static enum status open_control(struct uplink *u, struct errmsg *e)
{
    const struct listener_opts opts = { .adopt_fd = -1 };
    enum status st = identity_init(&u->identity, &u->config->identity, e);

    if (st == ST_OK)
        st = control_server_new(&u->control, u->loop, &u->identity, &control_source, u, e);
    if (st == ST_OK)
        st = control_server_listen(u->control, &u->config->control_at, &opts, e);
    if (st)
        errmsg_wrap(e, "control port");
    return st;
}

/* ---- life ------------------------------------------------------------------------------------ */

enum status uplink_new(struct uplink **out, struct loop *loop, const struct net_config *config,
                       const struct control_source *source, const struct uplink_ops *ops, void *ctx,
                       struct errmsg *e)
{
    struct uplink *u = calloc(1, sizeof *u);
    enum status st = ST_OK;

    if (!u) {
        errmsg_set(e, "uplink: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    u->loop = loop;
    u->config = config;
    u->owner = source;
    u->ops = ops;
    u->ctx = ctx;
    timer_init(&u->legacy, loop, on_legacy, u);
    timer_init(&u->again, loop, on_again, u);
    backoff_init(&u->backoff, BACKOFF_FIRST_MS, BACKOFF_LAST_MS, STABLE_MS);
    if (config->has_control)
        st = open_control(u, e);
    if (st) {
        uplink_free(u);
        return st;
    }
    if (config->answers_a || config->answers_b)
        timer_start(&u->legacy, config->has_control ? config->legacy_after_ms : 0);
    if (config->has_link)
        timer_start(&u->again, 0);
    *out = u;
    return ST_OK;
}

void uplink_changed(struct uplink *u)
{
    if (u->control)
        control_server_changed(u->control);
}

void uplink_publish(struct uplink *u)
{
    if (u->control)
        control_server_publish(u->control);
}

enum uplink_state uplink_get_state(const struct uplink *u)
{
    if (u->linked.source != SOURCE_NONE)
        return UPLINK_LINKED;
    if (u->trouble.text[0])
        return UPLINK_UNREACHABLE;
    return u->dial || timer_is_running(&u->again) ? UPLINK_DIALLING : UPLINK_WAITING;
}

static const char *summarize_waiting(const struct uplink *u, char *buf, size_t cap)
{
    const struct offer *o = best_offer(u);

    if (o)
        snprintf(buf, cap, "the host has no network to offer: %s",
                 o->reason[0] ? o->reason : "it does not say why");
    else if (u->legacy_trouble.text[0])
        snprintf(buf, cap, "waiting for a host; %s", u->legacy_trouble.text);
    else if (u->handshakes[RANCHER_A] || u->handshakes[RANCHER_B])
        snprintf(buf, cap, "waiting for a host (rdlinkd, or Rancher Desktop's own%s%s)",
                 u->handshakes[RANCHER_A] ? " A" : "", u->handshakes[RANCHER_B] ? " B" : "");
    else
        snprintf(buf, cap, "waiting for a host (rdlinkd)");
    return buf;
}

const char *uplink_summary(const struct uplink *u, char *buf, size_t cap)
{
    switch (uplink_get_state(u)) {
    case UPLINK_LINKED: snprintf(buf, cap, "linked by %s", u->linked.terms.source); break;
    case UPLINK_UNREACHABLE:
        snprintf(buf, cap, "cannot reach the host: %s", u->trouble.text);
        break;
    case UPLINK_DIALLING: snprintf(buf, cap, "dialling the host"); break;
    case UPLINK_WAITING: return summarize_waiting(u, buf, cap);
    }
    return buf;
}

void uplink_free(struct uplink *u)
{
    if (!u)
        return;
    stop_dialling(u);
    timer_stop(&u->legacy);
    close_handshakes(u);
    control_server_free(u->control);
    free(u);
}
