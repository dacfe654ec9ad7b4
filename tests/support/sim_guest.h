/* SPDX-License-Identifier: Apache-2.0
 * sim_guest.h - a whole switch between a scripted guest and a scripted host, in one virtual clock.
 *
 *     struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
 *     struct frame_path to_web = frame_path("192.168.127.2", "10.1.2.3");
 *     struct frame f;
 *     struct frame_view v;
 *
 *     frame_udp(&f, &to_web, 4000, 80, "hello", 5);
 *     guest_sends(g, &f);
 *     assert_true(net_sim_take_datagram(g->net, &d));
 *     net_sim_udp_send(g->net, &d.to, &d.from, "hi", 2);
 *     expect_guest_gets(g, &v);
 *     frame_expect_udp(&v, 80, 4000);
 *     sim_guest_free(g);                      aborts if the switch left anything open
 *
 * What the guest gets is checked (frame_expect_offload): every length and checksum must be right.
 * Like a kernel, the guest answers ARP and neighbour solicits for its own addresses by itself and
 * takes router advertisements; set shows_neighbours to see those frames instead.
 */
#ifndef TESTS_SUPPORT_SIM_GUEST_H
#define TESTS_SUPPORT_SIM_GUEST_H

#include "port/sim/net_sim.h"
#include "port/sim/resolver_sim.h"
#include "port/sim/stream_sim.h"
#include "support/frame_build.h"
#include "support/frame_expect.h"
#include "switch/switch.h"

struct sim_guest {
    struct sim *sim;
    struct net_sim *net;
    struct resolver_sim *resolver;
    struct switch_ *sw;
    struct sim_peer *link; /* NULL: cut */
    enum frame_protocol protocol;
    struct ip_addr ip4, ip6; /* answered for */
    bool shows_neighbours;
    unsigned adverts;  /* router advertisements taken so far */
    size_t taken;      /* bytes of the link looked at */
    struct frame last; /* what a view points into */
    struct frame_offload last_offload;
};

/* @config NULL: the defaults with IPv6; the guest is .2 and ::2 of its networks. A link is
 * attached.
 */
struct sim_guest *sim_guest_new(const struct switch_config *config, enum frame_protocol protocol);
/* Frees the switch first. NULL is fine. */
void sim_guest_free(struct sim_guest *g);

/* Another link; an older one is replaced. */
void sim_guest_attach(struct sim_guest *g);
/* The link dies. */
void sim_guest_cut(struct sim_guest *g);

/* The frame arrives and everything it causes happens; no time passes. */
void guest_sends(struct sim_guest *g, const struct frame *f);
/* On v2, with this virtio-net header. */
void guest_sends_offload(struct sim_guest *g, const struct frame *f,
                         const struct frame_offload *off);
/* The same without letting anything happen yet: several frames become one read. */
void guest_queues(struct sim_guest *g, const struct frame *f);
void clock_advance_ms(struct sim_guest *g, uint64_t ms);

/* The next frame, into @v, which stays valid until the next one is asked for. False: none. */
bool guest_gets(struct sim_guest *g, struct frame_view *v);
/* These fail the test. */
void expect_guest_gets(struct sim_guest *g, struct frame_view *v);
void expect_guest_gets_nothing(struct sim_guest *g);

const struct switch_counters *guest_counters(const struct sim_guest *g);
struct switch_census guest_census(const struct sim_guest *g);

#endif
