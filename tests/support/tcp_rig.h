/* SPDX-License-Identifier: Apache-2.0
 * tcp_rig.h - the switch's TCP between scripted guests and a scripted host, in virtual time.
 *
 *   tcp_guest <--wire: delay, loss, reorder, duplicates, rate--> tcp_*.c <--net_sim--> the test
 *
 * Stands in for the rest of the switch (out_begin() and its kin), so that a run costs microseconds
 * and every segment can be looked at.
 */
#ifndef TESTS_SUPPORT_TCP_RIG_H
#define TESTS_SUPPORT_TCP_RIG_H

#include "port/sim/net_sim.h"
#include "support/sim_tcp_guest.h"
#include "switch/switch_internal.h"

enum { RIG_GUESTS_MAX = 600 };

struct rig_wire {
    unsigned lose, reorder, duplicate; /* of 1000 packets, each way */
    bool lasts;                        /* packets to the switch last until the end of the batch */
};

struct tcp_rig {
    struct switch_ sw;
    struct sim *sim;
    struct net_sim *net;
    struct rig_wire wire;
    bool offload;
    size_t link_bytes;    /* room of the link; more is not taken */
    size_t rate_bytes_ms; /* what leaves the link each ms */
    bool cut;             /* the link takes nothing and delivers nothing */
    enum nat_verdict verdict;
    uint64_t rng;

    struct tcp_guest *guests[RIG_GUESTS_MAX];
    unsigned guest_count;
    struct list up, down; /* packets on their way */
    size_t down_bytes;
    bool want, was_full;
    uint8_t frame[70000];

    unsigned icmp_errors;
    enum icmp_error last_icmp;
    struct tcp_header last; /* the last segment to anybody */
    unsigned resets, segments;
    size_t largest; /* payload of one packet to the guest */
};

struct tcp_rig *tcp_rig_new(uint64_t seed, const struct switch_limits *limits);
/* Everything must be given back: flows, sockets, memory. */
void tcp_rig_free(struct tcp_rig *r);
/* A guest from 192.168.127.2:@port to 10.0.0.1:@to_port, not connected yet; owned by the rig. */
struct tcp_guest *tcp_rig_guest(struct tcp_rig *r, uint16_t port, uint16_t to_port);
/* The same, connected, with the far end of its socket. */
struct tcp_guest *tcp_rig_open(struct tcp_rig *r, uint16_t port, struct net_sim_peer **host);
void tcp_rig_run_ms(struct tcp_rig *r, unsigned ms);
/* A segment out of nowhere. */
void tcp_rig_inject(struct tcp_rig *r, const struct tcp_guest *g, const struct tcp_header *h,
                    const uint8_t *data, size_t len_bytes);

/* Few flows, little memory. */
extern const struct switch_limits tcp_rig_tight;
struct switch_census tcp_rig_census(struct tcp_rig *r);
struct tcp_flow;
struct tcp_flow *tcp_rig_flow(struct tcp_rig *r, const struct tcp_guest *g);
/* The host received exactly the first @len bytes of @g's stream. */
void tcp_rig_expect(struct net_sim_peer *host, const struct tcp_guest *g, uint64_t len);
/* @len bytes of the stream for @g, which starts at @from. */
void tcp_rig_host_sends(struct net_sim_peer *host, const struct tcp_guest *g, uint64_t from,
                        size_t len);
uint32_t tcp_rig_random(struct tcp_rig *r, uint32_t below);

#endif
