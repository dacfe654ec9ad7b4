/* SPDX-License-Identifier: Apache-2.0
 * services_rig.h - the gateway's services (DHCP, DNS, forwards, API) without a switch around them:
 * what they send is recorded, streams and sockets are the simulator's.
 */
#ifndef TESTS_SUPPORT_SERVICES_RIG_H
#define TESTS_SUPPORT_SERVICES_RIG_H

#include "port/sim/loop_sim.h"
#include "port/sim/net_sim.h"
#include "port/sim/resolver_sim.h"
#include "port/sim/stream_sim.h"
#include "switch/switch_internal.h"

enum { RIG_DATAGRAMS = 64, RIG_DATAGRAM_BYTES = 2048, RIG_SERVICES = 8, RIG_OPENED = 8 };

struct rig_datagram {
    struct ip_endpoint from, to;
    uint8_t data[RIG_DATAGRAM_BYTES];
    size_t len_bytes;
};

struct rig {
    struct sim *sim;
    struct net_sim *net;
    struct resolver_sim *resolver;
    struct switch_ s;
    struct rig_datagram sent[RIG_DATAGRAMS]; /* to the guest; further ones are counted only */
    unsigned sent_count;
    struct mac learned_mac;
    struct ip_addr learned_ip;
    unsigned learned_count, flushes;
    struct {
        struct ip_endpoint at;
        tcp_accept_fn *accept;
        void *ctx;
    } services[RIG_SERVICES];
    unsigned service_count;
    struct {
        struct ip_endpoint from, to;
    } opened[RIG_OPENED]; /* connections to the guest; closed at once here */
    unsigned opened_count;
};

/* With the wire protocol's addresses; no service is started. @ip6: has the virtual network IPv6. */
struct rig *rig_new(bool ip6);
/* Frees the services that were started. */
void rig_free(struct rig *r);
/* The guest connects to a service at the gateway; its end of the stream. */
struct sim_peer *rig_connect(struct rig *r, uint16_t port);
/* A datagram of the guest's, from 192.168.127.2. */
struct packet rig_packet(const struct rig *r);
const struct rig_datagram *rig_last(const struct rig *r);
struct ip_endpoint rig_endpoint(const char *text);

#endif
