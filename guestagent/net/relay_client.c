/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *
 *     OFF --some port is wanted--> dial --> greeting --> OPEN: lease and wishes are said, and again
 *      ^                            | ^                   |    at each change; answers are kept
 *      '-- nothing is wanted -------' '-- RETRY_MS -- ended
 *
 * Wishes are a host's. One that is proved is not overruled by one that is not, as with its network
 * (uplink.c). A host that is gone wants what it wanted: a controller that restarts must not cut the
 * connections of a switch that goes on.
 *
 * What is relayed is known from an open channel only: the sockets are the relay unit's, and go with
 * it.
 */
#include "guestagent/net/relay_client.h"

#include "base/condition.h"
#include "base/log.h"
#include "guestagent/net/guest_net.h"
#include "ipc/health.h"
#include "ipc/port_message.h"
#include "port/addr.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/sys.h"

#include <stdio.h>
#include <stdlib.h>

enum { DIAL_MS = 1000, RETRY_MS = 1000, SILENCE_MS = 5000 };

static const char relay_type[] = "LoopbackPortsRelayed";
static const Rdlink__V1__Role relay_role[] = { RDLINK__V1__ROLE__ROLE_AGENT_RELAY };

struct relay_client {
    struct loop *loop; /* borrowed */
    struct addr at;
    void (*on_change)(void *ctx);
    void *ctx;
    uint64_t host; /* whose wishes these are; 0 = one that is gone, or nobody yet */
    bool host_is_proved;
    Rdlink__V1__PublishedPorts *wanted;  /* owned; NULL: no host has asked */
    Rdlink__V1__PublishedPorts *relayed; /* owned; NULL: none is known of */
    bool has_lease;
    struct guest_lease lease;
    struct dial *dial;
    struct channel *channel; /* owned */
    struct timer again;
    struct condition_set own; /* while the relay unit does not report */
    bool reports;
    struct health_report report; /* the relay unit's */
};

static Rdlink__V1__PublishedPorts nothing = RDLINK__V1__PUBLISHED_PORTS__INIT;

static bool is_wanted(const struct relay_client *c)
{
    return c->wanted && c->wanted->n_ports > 0;
}

/* ---- what is told ---------------------------------------------------------------------------- */

static void set_condition(struct relay_client *c, const char *type, enum condition_status status,
                          const char *reason, const char *text)
{
    if (!condition_update(&c->own, type, status, reason, sys_wall_ms(), "%s", text))
        return;
    log_limited(status == COND_FALSE ? LOG_WARN : LOG_INFO, LOG_NET, "condition=%s %s reason=%s %s",
                type, condition_status_name(status), reason, text);
    c->on_change(c->ctx);
}

static void say_state(struct relay_client *c, const char *trouble)
{
    if (!is_wanted(c))
        set_condition(c, relay_type, COND_TRUE, "NothingToRelay",
                      "nothing is published at the guest's own loopback");
    else if (trouble)
        set_condition(c, relay_type, COND_FALSE, "RelayUnreachable", trouble);
    else if (!condition_find(&c->own, relay_type) ||
             condition_find(&c->own, relay_type)->status != COND_FALSE)
        set_condition(c, relay_type, COND_UNKNOWN, "RelayStarting", "the relay unit is asked");
}

static void forget_relayed(struct relay_client *c)
{
    rdlink__v1__published_ports__free_unpacked(c->relayed, NULL);
    c->relayed = NULL;
    c->reports = false;
}

/* ---- what is said ---------------------------------------------------------------------------- */

static void send_lease(struct relay_client *c)
{
    char address[IP_ADDR_TEXT_MAX + 4] = "", gateway[IP_ADDR_TEXT_MAX] = "", ip[IP_ADDR_TEXT_MAX];
    Rdlink__V1__NetworkOffer place = RDLINK__V1__NETWORK_OFFER__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    if (c->has_lease) {
        snprintf(address, sizeof address, "%s/%u", ip_addr_format(&c->lease.ip, ip),
                 c->lease.prefix_bits);
        ip_addr_format(&c->lease.gateway, gateway);
    }
    place.guest_address = address;
    place.gateway = gateway;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER;
    msg.network_offer = &place;
    (void)channel_send(c->channel, &msg); /* what cannot be sent ends the channel */
}

static void send_wanted(struct relay_client *c)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    msg.body_case = RDLINK__V1__ENVELOPE__BODY_RELAYED_PORTS;
    msg.relayed_ports = c->wanted ? c->wanted : &nothing;
    (void)channel_send(c->channel, &msg);
}

static bool is_open(const struct relay_client *c)
{
    return c->channel && channel_is_open(c->channel);
}

/* ---- the channel ----------------------------------------------------------------------------- */

static void on_open(void *ctx, const struct channel_peer *peer)
{
    struct relay_client *c = ctx;

    send_lease(c);
    send_wanted(c);
}

static void take_relayed(struct relay_client *c, const Rdlink__V1__PublishedPorts *ports)
{
    Rdlink__V1__PublishedPorts *copy = port_message_copy(ports, true);

    if (!copy)
        return; /* the host believes what it was told before, until the next change */
    rdlink__v1__published_ports__free_unpacked(c->relayed, NULL);
    c->relayed = copy;
    c->on_change(c->ctx);
}

static void take_report(struct relay_client *c, const Rdlink__V1__HealthReport *msg)
{
    struct health_report fresh;
    bool is_news;

    health_decode(&fresh, msg);
    is_news = !c->reports || !health_is_same(&c->report, &fresh);
    c->report = fresh;
    c->reports = true;
    if (is_news)
        c->on_change(c->ctx);
}

static void on_message(void *ctx, const Rdlink__V1__Envelope *msg)
{
    struct relay_client *c = ctx;

    if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_RELAYED_PORTS)
        take_relayed(c, msg->relayed_ports);
    else if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_HEALTH)
        take_report(c, msg->health);
}

static void lost(struct relay_client *c, const char *why)
{
    char text[CONDITION_MESSAGE_MAX];

    snprintf(text, sizeof text, "the relay unit (rdlink-relay): %.200s", why);
    forget_relayed(c);
    say_state(c, text);
    c->on_change(c->ctx);
    if (is_wanted(c))
        timer_start(&c->again, RETRY_MS);
}

static void on_end(void *ctx, enum channel_end why, const char *detail)
{
    struct relay_client *c = ctx;
    char text[200];

    snprintf(text, sizeof text, "%s%s%.150s", channel_end_name(why), detail ? ": " : "",
             detail ? detail : "");
    channel_free(c->channel);
    c->channel = NULL;
    lost(c, text);
}

static const struct channel_handler channel_handler = { on_open, on_message, on_end };

static void on_dialled(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    static const struct channel_config config = { .side = CHANNEL_OPENER,
                                                  .role = RDLINK__V1__ROLE__ROLE_AGENT_NET,
                                                  .instance = "",
                                                  .peer_roles = relay_role,
                                                  .peer_role_count = 1,
                                                  .silence_ms = SILENCE_MS,
                                                  .greeting_ms = SILENCE_MS };
    struct relay_client *c = ctx;

    c->dial = NULL;
    if (st == ST_OK)
        st = channel_new(&c->channel, c->loop, s, &config, &channel_handler, c);
    if (st == ST_OK)
        return;
    c->channel = NULL;
    lost(c, why && why->text[0] ? why->text : status_text(st));
}

static void connect_if_wanted(struct relay_client *c)
{
    struct errmsg e = { "" };
    enum status st;

    if (!is_wanted(c) || c->dial || c->channel)
        return;
    timer_stop(&c->again);
    st = dial_start(c->loop, &c->dial, &c->at, DIAL_MS, on_dialled, c, &e);
    if (st)
        on_dialled(c, st, NULL, &e);
}

static void on_again(void *ctx)
{
    connect_if_wanted(ctx);
}

/* ---- for the net unit ------------------------------------------------------------------------ */

void relay_client_set_lease(struct relay_client *c, const struct guest_lease *lease)
{
    if (c->has_lease == (lease != NULL) && (!lease || guest_lease_equal(lease, &c->lease)))
        return;
    c->has_lease = lease != NULL;
    if (lease)
        c->lease = *lease;
    if (is_open(c))
        send_lease(c);
}

void relay_client_want(struct relay_client *c, uint64_t channel, bool is_proved,
                       const Rdlink__V1__PublishedPorts *ports)
{
    Rdlink__V1__PublishedPorts *copy;

    if (c->host && c->host != channel && c->host_is_proved && !is_proved)
        return;
    copy = port_message_copy(ports, true);
    if (!copy)
        return; /* the host says it again at its next change */
    c->host = channel;
    c->host_is_proved = is_proved;
    rdlink__v1__published_ports__free_unpacked(c->wanted, NULL);
    c->wanted = copy;
    if (is_open(c))
        send_wanted(c);
    say_state(c, NULL);
    connect_if_wanted(c);
    c->on_change(c->ctx);
}

void relay_client_host_gone(struct relay_client *c, uint64_t channel)
{
    if (c->host == channel)
        c->host = 0;
}

Rdlink__V1__PublishedPorts *relay_client_message(const struct relay_client *c)
{
    if (!c->wanted)
        return NULL;
    return c->relayed ? c->relayed : &nothing;
}

void relay_client_report(const struct relay_client *c, struct health_component *out)
{
    const struct health_component *relay = c->reports ? health_find(&c->report, "relay") : NULL;
    const struct condition *theirs = relay ? condition_find(&relay->conditions, relay_type) : NULL;

    if (out->conditions.count < CONDITION_SET_MAX)
        out->conditions.items[out->conditions.count++] =
            theirs ? *theirs : *condition_find(&c->own, relay_type);
    out->conditions.generation += c->own.generation + (relay ? relay->conditions.generation : 0);
    for (unsigned i = 0; relay && i < relay->counter_count; i++)
        health_count(out, relay->counters[i].name, relay->counters[i].value);
}

/* ---- life ------------------------------------------------------------------------------------ */

enum status relay_client_new(struct relay_client **out, struct loop *loop, const struct addr *at,
                             void (*on_change)(void *ctx), void *ctx)
{
    struct relay_client *c = calloc(1, sizeof *c);

    if (!c)
        return ST_NOMEM;
    c->loop = loop;
    c->at = *at;
    c->on_change = on_change;
    c->ctx = ctx;
    timer_init(&c->again, loop, on_again, c);
    condition_update(&c->own, relay_type, COND_TRUE, "NothingToRelay", sys_wall_ms(),
                     "no host has asked for ports at the guest's own loopback");
    *out = c;
    return ST_OK;
}

void relay_client_free(struct relay_client *c)
{
    if (!c)
        return;
    timer_stop(&c->again);
    dial_cancel(c->loop, c->dial);
    channel_free(c->channel);
    rdlink__v1__published_ports__free_unpacked(c->wanted, NULL);
    rdlink__v1__published_ports__free_unpacked(c->relayed, NULL);
    free(c);
}
