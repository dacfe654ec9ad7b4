/* SPDX-License-Identifier: Apache-2.0
 * net_agent.h - `rdlink-agent net`: the parts put together, and systemd told.
 *
 *     uplink -> tap_bridge <-> tap -> guest's kernel        dhcp_client -> guest_net
 *
 * The tap, its address and everything in the kernel outlive the link. READY=1 when the guest has
 * its address and frames went both ways; STATUS at each change; WATCHDOG from the data loop.
 * Runs on: one loop. Owns: all parts.
 */
#ifndef GUESTAGENT_NET_NET_AGENT_H
#define GUESTAGENT_NET_NET_AGENT_H

#include "base/status.h"

struct loop;
struct net_agent;
struct net_config;

/* @config is borrowed until net_agent_free(). @on_stopped as agent_new()'s. */
enum status net_agent_new(struct net_agent **out, struct loop *loop,
                          const struct net_config *config, void (*on_stopped)(void *ctx), void *ctx,
                          struct errmsg *e);
void net_agent_stop(struct net_agent *a);
/* NULL is fine. */
void net_agent_free(struct net_agent *a);

#endif
