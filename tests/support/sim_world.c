/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_world.h"

#include "base/util.h"
#include "support/frame_build.h"
#include "support/sim_world_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- connections -------------------------------------------------------------------------- */

static struct world_flow *begin(struct sim_world *w, unsigned slot, enum world_flow_kind kind)
{
    struct world_flow *f = &w->flows[slot];
    uint32_t last = f->g.snd_max;

    ASSERT(slot < WORLD_FLOWS_MAX && slot <= w->flow_count);
    w->flow_count = MAX(w->flow_count, slot + 1);
    *f = (struct world_flow){ .kind = kind, .outcome = ST_OK };
    tcp_guest_init(&f->g, w->lives++, world_guest_segment, w);
    /* Above what the last one between these ports had, as a kernel's clock would make it. */
    f->g.iss = last + 0x100000 + sim_wire_random(&w->wire, 0x10000000);
    f->g.self = (struct ip_endpoint){ w->ip4, (uint16_t)(WORLD_GUEST_PORT + slot) };
    return f;
}

static uint16_t mss_of(const struct sim_world *w, const struct ip_addr *a)
{
    unsigned headers = TCP_HEADER_BYTES + (ip_addr_is_v4(a) ? IP4_HEADER_BYTES : IP6_HEADER_BYTES);

    return (uint16_t)(w->config.mtu - headers);
}

struct world_flow *sim_world_dial(struct sim_world *w, unsigned slot, const struct ip_addr *to,
                                  enum status outcome)
{
    struct world_flow *f = begin(w, slot, WORLD_OUT);

    f->outcome = outcome;
    f->g.remote = (struct ip_endpoint){ *to, (uint16_t)(WORLD_HOST_PORT + slot) };
    f->g.self.addr = ip_addr_is_v4(to) ? w->ip4 : w->ip6;
    f->g.mss = f->g.segment = mss_of(w, to);
    return f;
}

void sim_world_connect(struct sim_world *w, struct world_flow *f)
{
    tcp_guest_connect(&f->g, f->g.iss, sim_now_ms(w->sim));
}

struct world_flow *sim_world_dial_in(struct sim_world *w, unsigned slot)
{
    struct world_flow *f = begin(w, slot, WORLD_IN);
    struct ip_endpoint from = { frame_addr("127.0.0.1"), (uint16_t)(50000 + slot) };
    struct ip_endpoint to = { w->ip4, (uint16_t)(WORLD_LISTEN_PORT + slot) };
    struct errmsg e = { "" };
    enum status st;
    char local[32];

    snprintf(local, sizeof local, "127.0.0.1:%u", WORLD_FORWARD_PORT + slot);
    f->forward = (struct ip_endpoint){ from.addr, (uint16_t)(WORLD_FORWARD_PORT + slot) };
    f->g.self = to;
    f->g.mss = f->g.segment = mss_of(w, &w->ip4);
    f->g.state = TG_LISTEN;
    st = switch_forward_add(w->sw, SWITCH_FORWARD_TCP, local, &to, false, &e);
    if (st == ST_FULL) {
        ASSERT(sim_world_census(w).forwards == w->config.limits.forwards);
        f->outcome = st;
    }
    if (st == ST_OK)
        f->host = net_sim_connect(w->net, &f->forward, &from);
    if (!f->host)
        f->g.state = TG_CLOSED;
    return f->host ? f : NULL;
}

static void take_answer(void *ctx, struct tcp_guest *g, const uint8_t *data, size_t len_bytes)
{
    struct world_flow *f = container_of(g, struct world_flow, g);

    for (size_t i = 0; i < len_bytes && g->received + i < sizeof f->answer - 1; i++)
        f->answer[g->received + i] = (char)data[i];
}

struct world_flow *world_begin_service(struct sim_world *w, unsigned slot,
                                       enum world_flow_kind kind, uint16_t port)
{
    struct world_flow *f = begin(w, slot, kind);

    f->g.remote = (struct ip_endpoint){ w->config.gateway, port };
    f->g.mss = f->g.segment = mss_of(w, &w->ip4);
    f->g.takes_all = true;
    return f;
}

struct world_flow *sim_world_ask_api(struct sim_world *w, unsigned slot)
{
    static const char request[] = "GET /services/forwarder/all HTTP/1.1\r\nHost: gateway\r\n"
                                  "Connection: close\r\n\r\n";
    struct world_flow *f = world_begin_service(w, slot, WORLD_API, 80);

    f->g.text = request;
    f->g.to_send = sizeof request - 1;
    f->g.on_text = take_answer;
    sim_world_connect(w, f);
    return f;
}

void sim_world_host_sends(struct world_flow *f, uint64_t most)
{
    static uint8_t data[65536];
    uint64_t left = f->host && !f->host_ended ? MIN(most, f->down_total - f->down_sent) : 0;

    while (left > 0) {
        size_t n = (size_t)MIN(left, sizeof data);

        tcp_guest_fill(data, f->g.id * 2, f->down_sent, n);
        net_sim_peer_send(f->host, data, n);
        f->down_sent += n;
        left -= n;
    }
    if (f->host && f->host_ends && !f->host_ended && f->down_sent == f->down_total) {
        f->host_ended = true;
        net_sim_peer_end(f->host);
    }
}

void sim_world_host_resets(struct world_flow *f, enum status why)
{
    if (!f->host || net_sim_peer_is_closed(f->host))
        return;
    f->host_reset = true;
    net_sim_peer_reset(f->host, why);
}

void sim_world_guest_resets(struct world_flow *f)
{
    if (f->g.state != TG_OPEN)
        return;
    f->guest_reset = true;
    tcp_guest_reset(&f->g);
}

/* The host's side of a dial: one answer for each destination. */
static struct net_sim_answer decide(void *ctx, const struct ip_endpoint *to)
{
    struct sim_world *w = ctx;
    unsigned slot = (unsigned)to->port - WORLD_HOST_PORT;
    enum status st = slot < w->flow_count ? w->flows[slot].outcome : ST_REFUSED;

    return (struct net_sim_answer){ st, st == ST_TIMEOUT ? SIM_NEVER : w->dial_delay_ms };
}

/* Where @f dialled, as the host sees it: its alias is its loopback. */
static bool is_destination(const struct world_flow *f, const struct ip_endpoint *at)
{
    bool alias = f->g.remote.addr.b[15] == (ip_addr_is_v4(&f->g.remote.addr) ? 254 : 0x54);

    return f->kind == WORLD_OUT && at->port == f->g.remote.port &&
           (ip_addr_equal(&at->addr, &f->g.remote.addr) ||
            (alias && ip_addr_is_loopback(&at->addr)));
}

/* A dial that was given up may have been repeated by the guest: the newest counts. One that a late
 * duplicate of an earlier life's SYN began is nobody's, and the guest will refuse it. */
static void meet_new_peers(struct sim_world *w)
{
    struct net_sim_peer *p;

    while ((p = net_sim_take_connected(w->net)) != NULL) {
        unsigned slot = (unsigned)net_sim_peer_at(p)->port - WORLD_HOST_PORT;
        struct world_flow *f = &w->flows[slot];

        ASSERT(slot < w->flow_count);
        if (!is_destination(f, net_sim_peer_at(p)))
            continue;
        if (f->host) {
            ASSERT(net_sim_peer_is_closed(f->host) && f->up_seen == 0 && f->g.received == 0);
            f->down_sent = 0;
            f->host_ended = f->host_reset = false;
        }
        f->host = p;
    }
}

static void look_at_host(struct sim_world *w, struct world_flow *f)
{
    const uint8_t *data;
    size_t len;

    if (!f->host)
        return;
    data = net_sim_peer_data(f->host, &len);
    if (len > 0) {
        tcp_guest_check(data, f->g.id * 2 + 1, f->up_seen, len);
        f->up_seen += len;
        net_sim_peer_drop_received(f->host);
    }
    ASSERT(f->up_seen <= f->g.to_send);
    ASSERT(!net_sim_peer_saw_end(f->host) || (f->g.ends && f->up_seen == f->g.to_send));
}

/* An end that was told is the true one. */
static void look_at_guest(const struct world_flow *f)
{
    if (f->g.takes_all)
        return;
    ASSERT(f->g.received <= f->down_sent);
    ASSERT(!f->g.got_fin || (f->host_ended && f->g.received == f->down_total));
}

bool world_flow_is_done(const struct world_flow *f)
{
    bool both = f->g.state == TG_OPEN && f->g.fin_acked && f->g.got_fin;

    if (f->g.takes_all)
        return both;
    return both && f->host && net_sim_peer_is_closed(f->host) && net_sim_peer_saw_end(f->host);
}

bool world_flow_is_over(const struct world_flow *f)
{
    bool dead = f->g.state == TG_RESET || f->g.state == TG_CLOSED;

    /* A host may reset what it has not read when the guest has ended long since. */
    dead |= f->host_reset && f->g.fin_acked && f->g.got_fin;
    return world_flow_is_done(f) || (dead && (!f->host || net_sim_peer_is_closed(f->host)));
}

/* ---- rules -------------------------------------------------------------------------------- */

struct switch_census sim_world_census(const struct sim_world *w)
{
    struct switch_census c;

    switch_get_census(w->sw, &c);
    return c;
}

void sim_world_check(struct sim_world *w)
{
    const struct switch_limits *l = &w->config.limits;
    struct switch_census c = sim_world_census(w);
    unsigned inward = 0;

    ASSERT(c.tcp_flows <= l->tcp_flows && c.tcp_half_open <= l->tcp_half_open);
    ASSERT(c.udp_flows <= l->udp_flows && c.pings <= l->pings);
    ASSERT(c.fragments <= l->fragments && c.neighbours <= l->neighbours);
    ASSERT(c.forwards <= l->forwards && c.buffer_bytes <= l->total_buffer_bytes);
    for (unsigned i = 0; i < w->flow_count; i++) {
        look_at_host(w, &w->flows[i]);
        look_at_guest(&w->flows[i]);
        inward += w->flows[i].kind == WORLD_IN;
        (void)world_flow_answers(&w->flows[i]);
    }
    world_look_at_clients(w);
    ASSERT(net_sim_open_tcp(w->net) <= c.tcp_flows + inward); /* some wait to be accepted */
    ASSERT(net_sim_open_udp(w->net) == c.udp_flows + w->udp_forwards &&
           net_sim_open_pings(w->net) == c.pings);
}

/* ---- time --------------------------------------------------------------------------------- */

static void run_now(struct sim_world *w)
{
    uint64_t now = sim_now_ms(w->sim);

    for (unsigned i = 0; i < w->flow_count; i++)
        tcp_guest_run(&w->flows[i].g, now);
    sim_wire_run(&w->wire);
    meet_new_peers(w);
    sim_world_check(w);
}

static uint64_t next_due_ms(const struct sim_world *w)
{
    uint64_t due = MIN(sim_next_due_ms(w->sim), sim_wire_next_due_ms(&w->wire));

    for (unsigned i = 0; i < w->flow_count; i++)
        due = MIN(due, tcp_guest_due_ms(&w->flows[i].g));
    return due;
}

void sim_world_run_ms(struct sim_world *w, uint64_t ms)
{
    uint64_t end = sim_now_ms(w->sim) + ms;

    for (;;) {
        uint64_t now, next;

        run_now(w);
        now = sim_now_ms(w->sim);
        next = next_due_ms(w);
        if (now >= end)
            return;
        sim_advance_ms(w->sim, MIN(end, MAX(next, now + 1)) - now);
    }
}

/* ---- names -------------------------------------------------------------------------------- */

void sim_world_resolve(struct sim_world *w, enum status st)
{
    enum { RESPONSE = 0x80, QUESTION_MAX = 512 };

    while (resolver_sim_waiting(w->resolver) > 0) {
        uint8_t answer[QUESTION_MAX];
        size_t len;
        const uint8_t *question = resolver_sim_question(w->resolver, 0, &len);

        ASSERT(len >= 12 && len <= sizeof answer);
        memcpy(answer, question, len);
        answer[2] |= RESPONSE;
        resolver_sim_answer(w->resolver, 0, st, answer, len);
    }
}

/* ---- life --------------------------------------------------------------------------------- */

static uint64_t random_state;

static enum status repeatable_random(void *buf, size_t len_bytes)
{
    uint8_t *p = buf;

    for (size_t i = 0; i < len_bytes; i++) {
        random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p[i] = (uint8_t)(random_state >> 56);
    }
    return ST_OK;
}

struct sim_world *sim_world_new(uint64_t seed, enum frame_protocol protocol,
                                const struct switch_config *config)
{
    struct sim_world *w = calloc(1, sizeof *w);
    struct switch_env env = { .random = repeatable_random };
    struct errmsg e = { "" };

    ASSERT(w);
    w->config = config ? *config : (struct switch_config){ .ip6 = true };
    ASSERT(switch_config_finish(&w->config, &e) == ST_OK);
    random_state = seed;
    w->sim = sim_new();
    w->net = net_sim_new(w->sim);
    w->resolver = resolver_sim_new(w->sim);
    w->ip4 = w->config.guest;
    w->ip6 = w->config.net6;
    w->ip6.b[15] = 2;
    net_sim_udp_default(w->net, NET_SIM_UDP_ECHO);
    net_sim_on_connect(w->net, decide, w);
    env.loop = sim_loop(w->sim);
    env.net = net_sim_net(w->net);
    env.resolver = resolver_sim_resolver(w->resolver);
    ASSERT(switch_new(&w->sw, &env, &w->config, &e) == ST_OK);
    sim_wire_init(&w->wire, w->sim, w->sw, protocol, w->config.mtu, seed);
    w->wire.on_frame = world_guest_frame;
    w->wire.ctx = w;
    return w;
}

void sim_world_free(struct sim_world *w)
{
    if (!w)
        return;
    switch_free(w->sw);
    sim_wire_fini(&w->wire);
    net_sim_free(w->net);
    resolver_sim_free(w->resolver);
    sim_free(w->sim);
    free(w);
}
