/* SPDX-License-Identifier: Apache-2.0
 * relay_agent.h - `rdlink-agent relay`: port_relay.h in a process without any right, which does
 * what the net unit asks of it over a unix socket, and reports to it.
 *
 * Apart from the net unit, because that one may do almost anything with the guest's network, and
 * this one carries bytes that containers send. Runs on: one loop. Owns: all parts.
 */
#ifndef GUESTAGENT_NET_RELAY_AGENT_H
#define GUESTAGENT_NET_RELAY_AGENT_H

#include "base/status.h"

struct loop;
struct net;
struct relay_agent;
struct relay_config;

/* Listens at what systemd handed down, or at what @config says. @net is that of the namespace where
 * containers publish, its listeners bound to the tap; it and @config are borrowed until
 * relay_agent_free(). @on_stopped as agent_new()'s. Statuses of listener_open(), ST_NOMEM. */
enum status relay_agent_new(struct relay_agent **out, struct loop *loop, struct net *net,
                            const struct relay_config *config, void (*on_stopped)(void *ctx),
                            void *ctx, struct errmsg *e);
void relay_agent_stop(struct relay_agent *a);
/* NULL is fine. */
void relay_agent_free(struct relay_agent *a);

#endif
