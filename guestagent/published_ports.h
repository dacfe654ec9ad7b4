/* SPDX-License-Identifier: Apache-2.0
 * published_ports.h - which ports the guest's containers publish, as docker says.
 *
 * docker tells of changes by its events; after each the list of containers is read, so what is
 * known is always a whole state, never a sum of changes. The host makes its forwards the same
 * (message PublishedPorts); of those at the guest's own loopback addresses, where its network does
 * not lead, the net unit is asked to relay them (net/port_relay.h), by the host.
 * Owns: its two questions to docker. Runs on: one loop. Theory of operation: published_ports.c.
 */
#ifndef GUESTAGENT_PUBLISHED_PORTS_H
#define GUESTAGENT_PUBLISHED_PORTS_H

#include "base/status.h"
#include "ipc/channel.h"

#include <stdbool.h>
#include <stdint.h>

struct addr;
struct health_component;
struct loop;
struct published_ports;

/* @engine is copied. @on_change: the ports, or a condition, are others; from the loop. ST_NOMEM. */
enum status published_ports_new(struct published_ports **out, struct loop *loop,
                                const struct addr *engine, void (*on_change)(void *ctx), void *ctx);
/* Whether the engine may be asked: it is there, and it is whose it should be. Repeated calls are
 * fine. An engine that is gone for EMPTY_MS publishes nothing. */
void published_ports_set_engine(struct published_ports *p, bool is_there);
/* The whole state; borrowed until the loop is reached again. NULL: not known yet. */
Rdlink__V1__PublishedPorts *published_ports_message(struct published_ports *p);
/* Adds the condition PortsKnown and counters to the unit's report. */
void published_ports_report(const struct published_ports *p, struct health_component *out);
/* NULL is fine. */
void published_ports_free(struct published_ports *p);

#endif
