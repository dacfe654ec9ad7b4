/* SPDX-License-Identifier: Apache-2.0
 * relay_client.h - the net unit's end of the relay unit (relay_agent.h): passes on what hosts want,
 * and where the guest's address is, and knows what came of it.
 *
 * The relay unit is started by the first connection (rdlink-relay.socket), which is made when a
 * host first wants a port. A lost one is made again every second as long as some port is wanted.
 * Runs on: one loop. Owns: the connection. Theory of operation: relay_client.c.
 */
#ifndef GUESTAGENT_NET_RELAY_CLIENT_H
#define GUESTAGENT_NET_RELAY_CLIENT_H

#include "base/status.h"
#include "ipc/channel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addr;
struct guest_lease;
struct health_component;
struct loop;
struct relay_client;

/* @at is copied. @on_change: the message or what is reported may be another one; from the loop, and
 * from within the calls below. ST_NOMEM. */
enum status relay_client_new(struct relay_client **out, struct loop *loop, const struct addr *at,
                             void (*on_change)(void *ctx), void *ctx);
/* The address that the interface has; NULL: none for now. */
void relay_client_set_lease(struct relay_client *c, const struct guest_lease *lease);
/* A host, proved or not, on a control channel (never 0), says what it wants, all of it. It counts
 * until another host speaks that is worth no less, or any once this one has gone. */
void relay_client_want(struct relay_client *c, uint64_t channel, bool is_proved,
                       const Rdlink__V1__PublishedPorts *ports);
/* That channel has ended. What it wanted stays. */
void relay_client_host_gone(struct relay_client *c, uint64_t channel);
/* What is relayed and where; borrowed until the loop is reached again. NULL: no host has asked. */
Rdlink__V1__PublishedPorts *relay_client_message(const struct relay_client *c);
/* Adds the condition LoopbackPortsRelayed, and the relay's counters. */
void relay_client_report(const struct relay_client *c, struct health_component *out);
/* NULL is fine. */
void relay_client_free(struct relay_client *c);

#endif
