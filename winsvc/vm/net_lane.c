/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/net_lane.h"

#include "base/log.h"
#include "ipc/port_message.h"
#include "port/sys.h"

#include <stdio.h>

enum { RELAY_SINCE_MINOR = 3 };

static void set_trouble(struct net_lane *l, enum lane_trouble trouble, const char *text)
{
    l->trouble = trouble;
    snprintf(l->trouble_text, sizeof l->trouble_text, "%s", text);
}

/* A channel that does not take it ends, and the next one gets the offer of its time. */
static void send_offer(struct net_lane *l)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__NetworkOffer offer = RDLINK__V1__NETWORK_OFFER__INIT;
    bool is_there = l->link.answer == LANE_IS_READY;

    if (l->link.answer == LANE_NO_ANSWER)
        return;
    offer.data_port = is_there ? l->data_port : 0;
    offer.mtu = is_there ? l->times->mtu : 0;
    offer.unavailable_reason = l->link.text;
    if (is_there && l->has_token) {
        offer.link_token.data = l->token.bytes;
        offer.link_token.len = sizeof l->token.bytes;
    }
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER;
    msg.network_offer = &offer;
    (void)agent_lane_send(&l->agent, &msg);
}

static void take_answer(struct net_lane *l)
{
    if (l->link.answer == LANE_NOT_READY)
        set_trouble(l, lane_link_trouble(&l->link), l->link.text);
    else if (lane_trouble_is_of_host(l->trouble))
        set_trouble(l, LANE_NO_TROUBLE, "");
    send_offer(l);
}

/* ---- ports at the guest's own loopback --------------------------------------------------- */

/* An agent that was asked by a host before us relays what that one wanted: it is told also when
 * that is nothing. */
static void send_wanted(struct net_lane *l)
{
    Rdlink__V1__PublishedPorts none = RDLINK__V1__PUBLISHED_PORTS__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    if (!l->agent.is_open || l->agent.peer.minor < RELAY_SINCE_MINOR)
        return;
    if (l->times->relays_ports && !l->wanted)
        return;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_RELAYED_PORTS;
    msg.relayed_ports = l->times->relays_ports ? l->wanted : &none;
    (void)agent_lane_send(&l->agent, &msg);
}

void net_lane_publish(struct net_lane *l, const Rdlink__V1__PublishedPorts *ports)
{
    Rdlink__V1__PublishedPorts *wanted = port_message_copy(ports, true);

    if (!wanted) {
        log_limited(LOG_ERROR, LOG_VM, "vm=%s its loopback ports are not taken: %s",
                    l->agent.config.vm_id, status_text(ST_NOMEM));
        return;
    }
    rdlink__v1__published_ports__free_unpacked(l->wanted, NULL);
    l->wanted = wanted;
    send_wanted(l);
}

void net_lane_relays_changed(struct net_lane *l)
{
    send_wanted(l);
}

static void on_relayed(void *ctx, const Rdlink__V1__PublishedPorts *ports)
{
    const struct net_lane *l = ctx;

    l->on_relayed(l->ctx, ports);
}

/* ---- the channel ------------------------------------------------------------------------- */

/* Without random bytes a token would be none. Then the agent gets no network, rather than one that
 * anybody in its machine could take from it. */
static bool make_token(struct net_lane *l)
{
    l->has_token = l->agent.peer.proved == CHANNEL_PROVED;
    if (!l->has_token || sys_random(l->token.bytes, sizeof l->token.bytes) == ST_OK)
        return true;
    set_trouble(l, LANE_LISTEN_FAILED, "the system gives no random bytes");
    return false;
}

static void opened(struct net_lane *l)
{
    if (!make_token(l))
        return;
    send_wanted(l);
    set_trouble(l, LANE_NO_TROUBLE, "");
    l->link.wanted = true;
    l->asking = true; /* the answer may come from within */
    l->ops->want_link(l->ctx, GUEST_V2);
    l->asking = false;
    take_answer(l);
}

static void ended(struct net_lane *l)
{
    const Rdlink__V1__PublishedPorts none = RDLINK__V1__PUBLISHED_PORTS__INIT;

    l->link.wanted = false;
    l->link.answer = LANE_NO_ANSWER;
    l->on_relayed(l->ctx, &none);
    l->ops->release_link(l->ctx, GUEST_V2);
}

static void on_agent_change(void *ctx)
{
    struct net_lane *l = ctx;

    if (l->agent.is_open && !l->link.wanted)
        opened(l);
    else if (!l->agent.is_open && l->link.wanted)
        ended(l);
    l->ops->on_change(l->ctx);
}

static void on_agent_failure(void *ctx, enum guest_generation generation, bool nobody,
                             const char *text)
{
    const struct net_lane *l = ctx;

    l->ops->on_failure(l->ctx, generation, nobody, text);
}

static const struct agent_lane_ops agent_ops = { .on_change = on_agent_change,
                                                 .on_failure = on_agent_failure,
                                                 .on_relayed = on_relayed };

/* ---- for the session --------------------------------------------------------------------- */

void net_lane_init(struct net_lane *l, struct loop *loop, const struct agent_lane_config *config,
                   const struct rancher_lane_ops *ops,
                   void (*on_relayed_ports)(void *ctx, const Rdlink__V1__PublishedPorts *ports),
                   void *ctx)
{
    *l = (struct net_lane){ .ops = ops,
                            .on_relayed = on_relayed_ports,
                            .ctx = ctx,
                            .data_port = config->times->data_v2,
                            .times = config->times };
    agent_lane_init(&l->agent, loop, config, &agent_ops, l);
}

void net_lane_link_ready(struct net_lane *l, enum status st, const char *why)
{
    if (!lane_link_answer(&l->link, st, why) || l->asking)
        return;
    take_answer(l);
    l->ops->on_change(l->ctx);
}

void net_lane_link_started(struct net_lane *l)
{
    l->agent.config.totals->links++;
    l->link.live = true;
    l->link.start_ms = l->link.active_ms = loop_now_ms(l->agent.loop);
    set_trouble(l, LANE_NO_TROUBLE, "");
    l->ops->on_change(l->ctx);
}

void net_lane_link_active(struct net_lane *l)
{
    if (l->link.live)
        l->link.active_ms = loop_now_ms(l->agent.loop);
}

void net_lane_link_ended(struct net_lane *l, enum status why)
{
    if (!l->link.live)
        return;
    l->link.live = false;
    if (l->trouble == LANE_NO_TROUBLE)
        set_trouble(l, LANE_LINK_LOST, status_text(why));
    l->ops->on_change(l->ctx);
}

void net_lane_fini(struct net_lane *l)
{
    agent_lane_fini(&l->agent);
    rdlink__v1__published_ports__free_unpacked(l->wanted, NULL);
}
