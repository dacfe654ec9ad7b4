/* SPDX-License-Identifier: Apache-2.0
 * net_lane.h - our own agent's network unit in one virtual machine: its control channel (vsock port
 * 6681), and the offer of a data link over it.
 *
 *     channel open -> want_link -> it is listened for -> NetworkOffer{data_port, token}
 *                                  ... not any more   -> NetworkOffer{0, why}
 *     channel ends -> release_link; a link that exists goes on
 *
 * An agent that is proved gets a token, new for each channel, with which its link has to begin; one
 * that is not gets none.
 *
 * The bridge tells which ports containers publish at the guest's own loopback, this unit is asked
 * to relay them, and says where it does.
 *
 * The agent dials, and dials again, by itself: there is nothing to wait for here. Embedded in a
 * guest session, which owns it. Runs on: the controller's loop.
 */
#ifndef WINSVC_VM_NET_LANE_H
#define WINSVC_VM_NET_LANE_H

#include "link/link_token.h"
#include "vm/agent_lane.h"
#include "vm/rancher_lane.h"

struct net_lane {
    struct agent_lane agent;
    const struct rancher_lane_ops *ops; /* the generation in them is always GUEST_V2 */
    void *ctx;
    uint32_t data_port;
    const struct session_config *times; /* borrowed */
    struct lane_link link;
    /* Which of the guest's ports its agent relays (agent_lane_ops.on_relayed); none once its
     * channel has ended. */
    void (*on_relayed)(void *ctx, const Rdlink__V1__PublishedPorts *ports);
    Rdlink__V1__PublishedPorts *wanted; /* owned; to be relayed. NULL: not known yet */
    bool asking;                        /* within want_link() */
    bool has_token;
    struct link_token token;
    enum lane_trouble trouble;
    char trouble_text[160];
};

/* @config is the channel's; @on_relayed as above. */
void net_lane_init(struct net_lane *l, struct loop *loop, const struct agent_lane_config *config,
                   const struct rancher_lane_ops *ops,
                   void (*on_relayed)(void *ctx, const Rdlink__V1__PublishedPorts *ports),
                   void *ctx);
/* What the guest's containers publish, all of it: the agent is asked to relay what of it is at the
 * guest's own loopback. It is asked for nothing while session_config.relays_ports is false. */
void net_lane_publish(struct net_lane *l, const Rdlink__V1__PublishedPorts *ports);
/* session_config.relays_ports is another one. */
void net_lane_relays_changed(struct net_lane *l);
/* The four things that the owner of the data link tells. */
void net_lane_link_ready(struct net_lane *l, enum status st, const char *why);
void net_lane_link_started(struct net_lane *l);
void net_lane_link_active(struct net_lane *l);
void net_lane_link_ended(struct net_lane *l, enum status why);
void net_lane_fini(struct net_lane *l);

#endif
