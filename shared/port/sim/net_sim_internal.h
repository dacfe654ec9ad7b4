/* SPDX-License-Identifier: Apache-2.0
 * net_sim_internal.h - what net_sim.c and net_sim_udp.c share. Private to port/sim.
 */
#ifndef SHARED_PORT_SIM_NET_SIM_INTERNAL_H
#define SHARED_PORT_SIM_NET_SIM_INTERNAL_H

#include "port/sim/net_sim.h"
#include "port/sim/sim_internal.h"

enum { NET_SIM_UDP_RULES = 32 };

struct net_sim {
    struct net net;
    struct sim *sim;

    struct list peers;     /* all, until net_sim_free() */
    struct list connected; /* by connected_link, until taken */
    struct list listeners;
    struct list connect_script, ping_script; /* of struct net_sim_scripted */
    net_sim_connect_fn *decide;
    void *decide_ctx;
    enum status next_connect_start, next_listen;
    const char *next_listen_why;
    unsigned connect_count;
    size_t new_room;

    struct list udp, kept;        /* sockets; datagrams waiting for the test */
    struct net_sim_packet *taken; /* owned: what net_sim_take_datagram() gave last */
    enum net_sim_udp udp_default;
    struct {
        struct ip_endpoint to;
        enum net_sim_udp what;
    } udp_rules[NET_SIM_UDP_RULES];
    unsigned udp_rule_count, udp_sent;
    enum status next_udp_open, next_udp_send;
    uint16_t last_port;

    struct list pings;
    enum status ping_fails;
    struct ip_addr last_ping;
};

struct net_sim_scripted {
    struct list link;
    struct net_sim_answer answer;
};

void net_sim_script(struct list *script, enum status st, uint64_t delay_ms);
/* Takes the next answer off; false when there is none. */
bool net_sim_scripted(struct list *script, struct net_sim_answer *out);
enum status net_sim_take_fault(enum status *fault);
bool net_sim_endpoint_equal(const struct ip_endpoint *a, const struct ip_endpoint *b);
/* A port nothing was bound to yet. */
uint16_t net_sim_new_port(struct net_sim *n);

static inline struct net_sim *net_sim_of(struct net *net)
{
    return container_of(net, struct net_sim, net);
}

/* net_sim_udp.c: its part of struct net_ops and of net_sim_free(). */
enum status net_sim_op_udp_open(struct net *net, struct net_udp **out,
                                const struct ip_endpoint *local, const struct net_udp_handler *h,
                                void *ctx);
enum status net_sim_op_udp_send(struct net_udp *u, const struct ip_endpoint *to,
                                const uint8_t *data, size_t len_bytes);
struct ip_endpoint net_sim_op_udp_local(const struct net_udp *u);
void net_sim_op_udp_close(struct net_udp *u);
enum status net_sim_op_ping(struct net *net, struct net_ping **out, const struct ip_addr *to,
                            uint16_t sequence, const uint8_t *data, size_t len_bytes,
                            uint32_t timeout_ms, net_ping_fn *done, void *ctx);
void net_sim_op_ping_cancel(struct net_ping *p);
void net_sim_udp_fini(struct net_sim *n);

#endif
