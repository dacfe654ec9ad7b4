/* SPDX-License-Identifier: Apache-2.0
 * sim_world.h - a whole switch between a guest with a small TCP of its own and a host, by script:
 * connections both ways, datagrams, names, pings, over a wire that may do anything (sim_wire.h).
 *
 *   struct world_flow: tcp_guest --wire--> switch --net_sim--> far end
 *
 * Each connection carries a known byte at each offset, both ways, and is compared as it arrives.
 * Checked all the time, whatever was made to fail:
 *   - what arrives is a prefix of what was sent, and an end means that all of it arrived;
 *   - no table, no memory is above its limit, and sockets are what the tables say;
 *   - each frame of the switch is right (sim_wire.h), each segment too (sim_tcp_guest.h).
 * Time is virtual and jumps to what is due next. A broken rule is an ASSERT.
 */
#ifndef TESTS_SUPPORT_SIM_WORLD_H
#define TESTS_SUPPORT_SIM_WORLD_H

#include "port/sim/net_sim.h"
#include "port/sim/resolver_sim.h"
#include "support/sim_tcp_guest.h"
#include "support/sim_wire.h"

enum { WORLD_FLOWS_MAX = 24 };
enum { WORLD_GUEST_PORT = 20000, WORLD_HOST_PORT = 7000, WORLD_FORWARD_PORT = 8000 };
enum { WORLD_LISTEN_PORT = 5000, WORLD_UDP_SERVICE_PORT = 5900 };
enum { WORLD_UDP_CLIENTS = 8, WORLD_UDP_IN_MAX = 1200, WORLD_NAMES_MAX = 6 };

enum world_flow_kind {
    WORLD_OUT,  /* the guest dials */
    WORLD_IN,   /* the host dials a forward */
    WORLD_API,  /* the guest asks the gateway's port 80 */
    WORLD_NAMES /* the guest asks for names by TCP */
};

struct world_flow {
    enum world_flow_kind kind;
    struct tcp_guest g;
    struct net_sim_peer *host;    /* the newest; NULL: not connected yet */
    struct ip_endpoint forward;   /* of WORLD_IN */
    enum status outcome;          /* of its dial */
    uint64_t down_total;          /* length of the host's stream */
    uint64_t down_sent, up_seen;  /* given to the socket; arrived there and compared */
    bool host_ends, host_ended;   /* its end follows the last byte; was told */
    bool host_reset, guest_reset; /* by the test */
    bool was_open;                /* in the guest */
    bool is_unreachable;          /* an ICMP error said so */
    char answer[1024];            /* of the gateway's services: how it begins */
    uint8_t question[512];        /* of WORLD_NAMES: all of them, as they are sent */
    unsigned questions;           /* of WORLD_NAMES: their ids count from 0 */
};

struct sim_world {
    struct sim *sim;
    struct net_sim *net;
    struct resolver_sim *resolver;
    struct switch_ *sw;
    struct sim_wire wire;
    struct switch_config config; /* finished */
    struct ip_addr ip4, ip6;     /* of the guest */
    struct world_flow flows[WORLD_FLOWS_MAX];
    unsigned flow_count;
    unsigned lives;        /* connections so far; each has other bytes */
    unsigned udp_forwards; /* 1: the UDP forward is there */
    unsigned udp_in_sent, udp_in_seen, udp_in_answered;
    unsigned udp_answers, dns_answers, pings_answered, dhcp_answers;
    uint32_t dial_delay_ms;
};

/* @config NULL: the defaults with IPv6. */
struct sim_world *sim_world_new(uint64_t seed, enum frame_protocol protocol,
                                const struct switch_config *config);
/* Aborts if the switch left anything open. */
void sim_world_free(struct sim_world *w);

/* Things happen for @ms, or until nothing is due any more. */
void sim_world_run_ms(struct sim_world *w, uint64_t ms);
/* The limits and the sums; run_ms() calls it. */
void sim_world_check(struct sim_world *w);
struct switch_census sim_world_census(const struct sim_world *w);

/* A connection in @slot, in place of one that ended: the guest's to @to, port 7000 + slot; the
 * host's answer is @outcome. Set what you like in the result, then connect. */
struct world_flow *sim_world_dial(struct sim_world *w, unsigned slot, const struct ip_addr *to,
                                  enum status outcome);
void sim_world_connect(struct sim_world *w, struct world_flow *f);
/* NULL: the forward could not be made, or nobody listens there. */
struct world_flow *sim_world_dial_in(struct sim_world *w, unsigned slot);
struct world_flow *sim_world_ask_api(struct sim_world *w, unsigned slot);
/* @count questions on one connection; set what you like in the result, then connect. */
struct world_flow *sim_world_ask_names(struct sim_world *w, unsigned slot, const char *const *names,
                                       unsigned count);
/* How many of them are answered; an answer that nobody asked for is an ASSERT. */
unsigned world_flow_answers(const struct world_flow *f);
/* The host sends up to @most bytes more of its stream, and its end behind the last one. */
void sim_world_host_sends(struct world_flow *f, uint64_t most);
void sim_world_host_resets(struct world_flow *f, enum status why);
void sim_world_guest_resets(struct world_flow *f);

/* Everything arrived and ended, both ways. */
bool world_flow_is_done(const struct world_flow *f);
/* It is over, in whatever way, and both sides know. */
bool world_flow_is_over(const struct world_flow *f);

void sim_world_udp(struct sim_world *w, uint16_t port, const struct ip_addr *to, size_t len_bytes);
/* A client of the host's sends to the guest's service over a UDP forward, which is made with the
 * first one. The service answers with the same bytes. */
void sim_world_udp_in(struct sim_world *w, unsigned client, size_t len_bytes);
void sim_world_ping(struct sim_world *w, const struct ip_addr *to, size_t len_bytes);
/* An A question to the gateway, by UDP. */
void sim_world_ask_name(struct sim_world *w, uint16_t id, const char *name);
void sim_world_ask_address(struct sim_world *w); /* DHCP */
/* What is asked of the host's resolver is answered, or fails. */
void sim_world_resolve(struct sim_world *w, enum status st);

#endif
