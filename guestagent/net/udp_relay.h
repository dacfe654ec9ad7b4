/* SPDX-License-Identifier: Apache-2.0
 * udp_relay.h - relayed UDP ports: datagrams of a peer to a port of this machine, and the answers
 * back.
 *
 * Each source that sends is a flow with a socket of its own, which is how the port's program tells
 * them apart. All flows of all ports are one set, bounded: the one that was silent longest makes
 * room. Runs on: one loop. Owns: all sockets.
 */
#ifndef GUESTAGENT_NET_UDP_RELAY_H
#define GUESTAGENT_NET_UDP_RELAY_H

#include "base/list.h"
#include "base/status.h"
#include "port/loop.h"
#include "port/net.h"

enum { UDP_RELAY_MAX_FLOWS = 256, UDP_RELAY_IDLE_MS = 90000 };

struct udp_relay;

/* The flows of all relays of one owner. */
struct udp_flows {
    struct loop *loop; /* borrowed */
    struct list used;  /* the most recently used first */
    unsigned count;
    struct timer sweep;
    uint64_t refused; /* datagrams of somebody else than the peer */
    uint64_t evicted; /* flows that made room for another */
    uint64_t failed;  /* datagrams that there was no socket for */
};

struct udp_relay_config {
    struct net *net;           /* borrowed */
    struct ip_addr at;         /* where it is reached, at a port that the system chooses */
    struct ip_addr peer;       /* whose datagrams are taken; unspecified = everybody's */
    struct ip_endpoint target; /* a loopback address */
};

void udp_flows_init(struct udp_flows *f, struct loop *loop);
/* Every relay was closed before. */
void udp_flows_fini(struct udp_flows *f);

/* Statuses of net_ops.udp_open(), ST_NOMEM. */
enum status udp_relay_open(struct udp_relay **out, struct udp_flows *flows,
                           const struct udp_relay_config *config);
uint16_t udp_relay_port(const struct udp_relay *r);
/* With its flows. NULL is fine. */
void udp_relay_close(struct udp_relay *r);

#endif
