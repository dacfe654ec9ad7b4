/* SPDX-License-Identifier: Apache-2.0
 * net_sim_udp.c - the host's UDP sockets and echo requests by script. See net_sim.h.
 *
 * A datagram is one allocation that moves: from udp_send() to the list of kept ones, or back into
 * its socket's inbox (echo), or it becomes the destination of an on_unreachable(). Inboxes are
 * bounded only by the test.
 */
#include "port/sim/net_sim_internal.h"

#include <stdlib.h>
#include <string.h>

struct net_sim_packet {
    struct list link;
    struct ip_endpoint from, to;
    enum status unreachable; /* ST_OK: a datagram; otherwise news about @to */
    size_t len_bytes;
    uint8_t data[];
};

struct net_udp {
    struct net_sim *net;
    struct list link;
    struct list inbox; /* of struct net_sim_packet */
    struct sim_event on_inbox;
    struct ip_endpoint local;
    const struct net_udp_handler *handler;
    void *ctx;
    bool busy, closed; /* closed from within a callback: freed behind it */
};

struct net_ping {
    struct net_sim *net;
    struct list link;
    struct sim_event on_end;
    enum status st;
    net_ping_fn *done;
    void *ctx;
    uint16_t sequence;
    size_t len_bytes;
    uint8_t data[];
};

/* ---- UDP ---------------------------------------------------------------------------------- */

static struct net_sim_packet *packet_new(const struct ip_endpoint *from,
                                         const struct ip_endpoint *to, const void *data, size_t len)
{
    struct net_sim_packet *p = sim_alloc(sizeof *p + len);

    p->from = *from;
    p->to = *to;
    p->len_bytes = len;
    if (len)
        memcpy(p->data, data, len);
    return p;
}

static void packets_free(struct list *packets)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, packets)
    {
        list_remove(it);
        free(container_of(it, struct net_sim_packet, link));
    }
}

static void deliver(struct net_udp *u, struct net_sim_packet *p)
{
    list_append(&u->inbox, &p->link);
    sim_event_post(u->net->sim, &u->on_inbox, 0);
}

static void hand_over(struct net_udp *u, const struct net_sim_packet *p)
{
    if (p->unreachable)
        u->handler->on_unreachable(u->ctx, &p->to, p->unreachable);
    else
        u->handler->on_datagram(u->ctx, &p->from, p->data, p->len_bytes);
}

static void inbox(struct sim_event *e)
{
    struct net_udp *u = container_of(e, struct net_udp, on_inbox);

    u->busy = true;
    while (!u->closed && !list_is_empty(&u->inbox)) {
        struct net_sim_packet *p = container_of(u->inbox.next, struct net_sim_packet, link);

        list_remove(&p->link);
        hand_over(u, p);
        free(p);
    }
    if (!u->closed && u->handler->on_batch_end)
        u->handler->on_batch_end(u->ctx);
    u->busy = false;
    if (u->closed)
        free(u);
}

enum status net_sim_op_udp_open(struct net *net, struct net_udp **out,
                                const struct ip_endpoint *local, const struct net_udp_handler *h,
                                void *ctx)
{
    struct net_sim *n = net_sim_of(net);
    enum status st = net_sim_take_fault(&n->next_udp_open);
    struct net_udp *u;

    if (st)
        return st;
    for (struct list *it = n->udp.next; it != &n->udp; it = it->next) {
        if (net_sim_endpoint_equal(&container_of(it, struct net_udp, link)->local, local))
            return ST_EXISTS;
    }
    u = sim_alloc(sizeof *u);
    u->net = n;
    u->local = *local;
    if (u->local.port == 0)
        u->local.port = net_sim_new_port(n);
    u->handler = h;
    u->ctx = ctx;
    list_init(&u->inbox);
    sim_event_init(&u->on_inbox, inbox);
    list_append(&n->udp, &u->link);
    *out = u;
    return ST_OK;
}

static enum net_sim_udp what_becomes(const struct net_sim *n, const struct ip_endpoint *to)
{
    for (unsigned i = 0; i < n->udp_rule_count; i++) {
        if (net_sim_endpoint_equal(&n->udp_rules[i].to, to))
            return n->udp_rules[i].what;
    }
    return n->udp_default;
}

enum status net_sim_op_udp_send(struct net_udp *u, const struct ip_endpoint *to,
                                const uint8_t *data, size_t len_bytes)
{
    struct net_sim *n = u->net;
    enum status st = net_sim_take_fault(&n->next_udp_send);
    struct net_sim_packet *p;

    ASSERT(ip_addr_is_v4(&u->local.addr) == ip_addr_is_v4(&to->addr));
    if (st)
        return st;
    n->udp_sent++;
    p = packet_new(&u->local, to, data, len_bytes);
    switch (what_becomes(n, to)) {
    case NET_SIM_UDP_KEEP: list_append(&n->kept, &p->link); break;
    case NET_SIM_UDP_ECHO:
        p->from = *to;
        p->to = u->local;
        deliver(u, p);
        break;
    case NET_SIM_UDP_DROP: free(p); break;
    case NET_SIM_UDP_REFUSED:
        p->unreachable = ST_REFUSED;
        deliver(u, p);
        break;
    case NET_SIM_UDP_UNREACHABLE:
        p->unreachable = ST_UNREACHABLE;
        deliver(u, p);
        break;
    }
    return ST_OK;
}

struct ip_endpoint net_sim_op_udp_local(const struct net_udp *u)
{
    return u->local;
}

void net_sim_op_udp_close(struct net_udp *u)
{
    if (!u)
        return;
    ASSERT(!u->closed);
    u->closed = true;
    sim_event_cancel(&u->on_inbox);
    packets_free(&u->inbox);
    list_remove(&u->link);
    if (!u->busy)
        free(u);
}

/* ---- echo requests ----------------------------------------------------------------------- */

static void ping_ends(struct sim_event *e)
{
    struct net_ping *p = container_of(e, struct net_ping, on_end);

    list_remove(&p->link);
    p->done(p->ctx, p->st, p->sequence, p->st ? NULL : p->data, p->st ? 0 : p->len_bytes);
    free(p);
}

enum status net_sim_op_ping(struct net *net, struct net_ping **out, const struct ip_addr *to,
                            uint16_t sequence, const uint8_t *data, size_t len_bytes,
                            uint32_t timeout_ms, net_ping_fn *done, void *ctx)
{
    struct net_sim *n = net_sim_of(net);
    struct net_sim_answer answer = { ST_OK, 0 };
    struct net_ping *p;

    if (n->ping_fails)
        return n->ping_fails;
    net_sim_scripted(&n->ping_script, &answer);
    if (answer.delay_ms > timeout_ms)
        answer = (struct net_sim_answer){ ST_TIMEOUT, timeout_ms };
    p = sim_alloc(sizeof *p + len_bytes);
    p->net = n;
    p->st = answer.st;
    p->done = done;
    p->ctx = ctx;
    p->sequence = sequence;
    p->len_bytes = len_bytes;
    if (len_bytes)
        memcpy(p->data, data, len_bytes);
    n->last_ping = *to;
    list_append(&n->pings, &p->link);
    sim_event_init(&p->on_end, ping_ends);
    sim_event_post(n->sim, &p->on_end, answer.delay_ms);
    *out = p;
    return ST_OK;
}

void net_sim_op_ping_cancel(struct net_ping *p)
{
    if (!p)
        return;
    sim_event_cancel(&p->on_end);
    list_remove(&p->link);
    free(p);
}

void net_sim_next_ping(struct net_sim *n, enum status st, uint64_t delay_ms)
{
    net_sim_script(&n->ping_script, st, delay_ms);
}

void net_sim_set_ping_fails(struct net_sim *n, enum status st)
{
    n->ping_fails = st;
}

struct ip_addr net_sim_last_ping(const struct net_sim *n)
{
    return n->last_ping;
}

/* ---- the test's side ---------------------------------------------------------------------- */

void net_sim_udp_default(struct net_sim *n, enum net_sim_udp what)
{
    n->udp_default = what;
}

void net_sim_udp_at(struct net_sim *n, const struct ip_endpoint *to, enum net_sim_udp what)
{
    unsigned i = 0;

    while (i < n->udp_rule_count && !net_sim_endpoint_equal(&n->udp_rules[i].to, to))
        i++;
    ASSERT(i < NET_SIM_UDP_RULES);
    n->udp_rules[i].to = *to;
    n->udp_rules[i].what = what;
    n->udp_rule_count = MAX(n->udp_rule_count, i + 1);
}

void net_sim_next_udp_open_fails(struct net_sim *n, enum status st)
{
    n->next_udp_open = st;
}

void net_sim_next_udp_send_fails(struct net_sim *n, enum status st)
{
    n->next_udp_send = st;
}

bool net_sim_take_datagram(struct net_sim *n, struct net_sim_datagram *out)
{
    struct net_sim_packet *p;

    free(n->taken);
    n->taken = NULL;
    if (list_is_empty(&n->kept))
        return false;
    p = container_of(n->kept.next, struct net_sim_packet, link);
    list_remove(&p->link);
    n->taken = p;
    *out = (struct net_sim_datagram){
        .from = p->from, .to = p->to, .data = p->data, .len_bytes = p->len_bytes
    };
    return true;
}

static bool is_any(const struct ip_addr *a)
{
    static const uint8_t zero[16];

    return memcmp(a->b, zero, sizeof zero) == 0 ||
           (ip_addr_is_v4(a) && memcmp(a->b + 12, zero, 4) == 0);
}

bool net_sim_udp_send(struct net_sim *n, const struct ip_endpoint *from,
                      const struct ip_endpoint *to, const void *data, size_t len_bytes)
{
    for (struct list *it = n->udp.next; it != &n->udp; it = it->next) {
        struct net_udp *u = container_of(it, struct net_udp, link);

        if (u->local.port != to->port)
            continue;
        if (!is_any(&u->local.addr) && !is_any(&to->addr) &&
            !ip_addr_equal(&u->local.addr, &to->addr))
            continue;
        deliver(u, packet_new(from, to, data, len_bytes));
        return true;
    }
    return false;
}

unsigned net_sim_udp_sent(const struct net_sim *n)
{
    return n->udp_sent;
}

static unsigned list_count(const struct list *l)
{
    unsigned count = 0;

    for (const struct list *it = l->next; it != l; it = it->next)
        count++;
    return count;
}

unsigned net_sim_open_udp(const struct net_sim *n)
{
    return list_count(&n->udp);
}

unsigned net_sim_open_pings(const struct net_sim *n)
{
    return list_count(&n->pings);
}

void net_sim_udp_fini(struct net_sim *n)
{
    packets_free(&n->kept);
    free(n->taken);
}
