/* SPDX-License-Identifier: Apache-2.0
 * port_relay.h - ports at the guest's own loopback addresses, made reachable for the host.
 *
 * The host says which (message relayed_ports: what containers publish at 127.0.0.1 and such), each
 * gets a port of the guest's own address that leads there, and the host is told which. Nothing but
 * a loopback address is ever led to, and nobody but the host switch is let in: only what comes in
 * by the tap (struct net sees to that) from the gateway.
 * Bounds: PORT_RELAY_MAX ports, PORT_RELAY_MAX_CONNECTIONS TCP connections, UDP_RELAY_MAX_FLOWS.
 * Runs on: one loop. Owns: its sockets. Theory of operation: port_relay.c.
 */
#ifndef GUESTAGENT_NET_PORT_RELAY_H
#define GUESTAGENT_NET_PORT_RELAY_H

#include "base/ip_addr.h"
#include "base/status.h"
#include "ipc/channel.h"

#include <stdbool.h>
#include <stdint.h>

enum { PORT_RELAY_MAX = 256, PORT_RELAY_MAX_CONNECTIONS = 512 };

struct health_component;
struct loop;
struct net;
struct port_relay;

enum port_relay_state {
    PORT_RELAY_IDLE,    /* nothing is wanted */
    PORT_RELAY_WAITING, /* there is no place */
    PORT_RELAY_FAILED,  /* some port cannot be had; tried again */
    PORT_RELAY_WORKING
};

/* Where it happens. */
struct port_relay_place {
    struct net *net;     /* its listeners get only what comes in by the tap; borrowed */
    struct ip_addr at;   /* the guest's address in the host's network */
    struct ip_addr peer; /* the gateway; unspecified: not known, everybody on the link counts */
};

/* @on_change: the message, the state or the summary may be another one; from the loop or from
 * within a call. ST_NOMEM. */
enum status port_relay_new(struct port_relay **out, struct loop *loop, void (*on_change)(void *ctx),
                           void *ctx);
/* NULL: nowhere for now; everything is closed, what was asked for is kept. The same place again
 * changes nothing. */
void port_relay_set_place(struct port_relay *r, const struct port_relay_place *place);
/* What is wanted from now on, all of it. Connections of a port that is not wanted any more go on
 * until they end by themselves. */
void port_relay_want(struct port_relay *r, const Rdlink__V1__PublishedPorts *ports);
/* What is relayed and where; borrowed until the next call. NULL: nobody has asked. */
Rdlink__V1__PublishedPorts *port_relay_message(struct port_relay *r);
enum port_relay_state port_relay_get_state(const struct port_relay *r);
/* For people. Returns @buf. */
const char *port_relay_summary(const struct port_relay *r, char *buf, size_t cap);
void port_relay_report(const struct port_relay *r, struct health_component *out);
/* NULL is fine. */
void port_relay_free(struct port_relay *r);

#endif
