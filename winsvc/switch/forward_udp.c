/* SPDX-License-Identifier: Apache-2.0
 * THEORY: UDP forwards. A datagram of a host-side client reaches the guest from a port of the
 * gateway that is that client's for as long as it talks, so the guest's answer says by its
 * destination whom it is for.
 *
 *   client -> host socket -> slot (forward, socket, client) -> gateway:49152+slot -> guest
 *   guest -> gateway:49152+slot -> forward_udp_input() -> slot -> host socket -> client
 *
 * All slots are one array, made with the first UDP forward; each is on the free list (the longest
 * free is used next, so that a late answer does not reach a new client) or on the list of used ones
 * in the order of their last datagram, and there also in a hash chain by client. When none is free
 * the least recently used client loses its slot (forward_udp_evicted). 90 s without a datagram
 * either way end it. Only the guest endpoint of the forward is heard on a slot's port.
 */
#include "switch/forward_internal.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 256, SWEEP_MS = 10 * 1000 };

struct client {
    struct list link;  /* free or used */
    struct list chain; /* of its bucket while used */
    struct forward_socket *socket;
    struct ip_endpoint from;
    uint64_t last_ms;
};

struct forward_udp {
    struct switch_ *owner;
    struct list free, used;
    struct list buckets[BUCKETS];
    uint32_t seed;
    struct timer sweep;
    unsigned client_count;
    struct client clients[]; /* limits.forward_udp_clients of them */
};

static void give_back(struct forward_udp *u, struct client *c)
{
    list_remove(&c->chain);
    list_remove(&c->link);
    list_append(&u->free, &c->link);
    c->socket = NULL;
}

static void on_sweep(void *ctx)
{
    struct forward_udp *u = ctx;
    uint64_t now_ms = switch_now_ms(u->owner);

    while (!list_is_empty(&u->used)) {
        struct client *c = container_of(u->used.next, struct client, link);

        if (c->last_ms + FORWARD_UDP_IDLE_MS > now_ms) {
            timer_start(&u->sweep, SWEEP_MS);
            return;
        }
        give_back(u, c);
    }
}

static struct list *bucket_of(struct forward_udp *u, const struct forward_socket *fs,
                              const struct ip_endpoint *from)
{
    uint32_t h = u->seed ^ fs->at.port ^ (uint32_t)from->port << 16;

    for (size_t i = 0; i < sizeof from->addr.b; i++)
        h = (h ^ from->addr.b[i]) * 16777619u;
    return &u->buckets[(h ^ h >> 16) % BUCKETS];
}

static struct client *find(struct list *bucket, const struct forward_socket *fs,
                           const struct ip_endpoint *from)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, bucket)
    {
        struct client *c = container_of(it, struct client, chain);

        if (c->socket == fs && c->from.port == from->port &&
            ip_addr_equal(&c->from.addr, &from->addr))
            return c;
    }
    return NULL;
}

static struct client *client_of(struct forward_udp *u, struct forward_socket *fs,
                                const struct ip_endpoint *from)
{
    struct list *bucket = bucket_of(u, fs, from);
    struct client *c = find(bucket, fs, from);

    if (c)
        return c;
    if (list_is_empty(&u->free)) {
        u->owner->count.forward_udp_evicted++;
        give_back(u, container_of(u->used.next, struct client, link));
    }
    c = container_of(u->free.next, struct client, link);
    c->socket = fs;
    c->from = *from;
    list_append(bucket, &c->chain);
    u->owner->count.udp_opened++;
    if (!timer_is_running(&u->sweep))
        timer_start(&u->sweep, SWEEP_MS);
    return c;
}

static void touch(struct forward_udp *u, struct client *c)
{
    c->last_ms = switch_now_ms(u->owner);
    list_remove(&c->link);
    list_append(&u->used, &c->link);
}

static void on_datagram(void *ctx, const struct ip_endpoint *from, const uint8_t *data,
                        size_t len_bytes)
{
    struct forward_socket *fs = ctx;
    struct switch_ *s = fs->owner->owner;
    struct forward_udp *u = s->forwards->udp;
    struct client *c = client_of(u, fs, from);
    struct ip_endpoint gateway = { *forward_gateway(fs->owner),
                                   (uint16_t)(FORWARD_UDP_FIRST_PORT + (c - u->clients)) };

    touch(u, c);
    s->count.udp_received++;
    out_udp(s, &gateway, &fs->owner->guest, data, len_bytes);
}

static void on_batch_end(void *ctx)
{
    struct forward_socket *fs = ctx;

    switch_want_flush(fs->owner->owner);
}

/* A client that is gone: its slot ends with its idle time. */
static void on_unreachable(void *ctx, const struct ip_endpoint *to, enum status why)
{
}

static const struct net_udp_handler handler = { on_datagram, on_batch_end, on_unreachable };

bool forward_udp_input(struct switch_ *s, const struct packet *p, const struct udp_header *h,
                       const uint8_t *payload, size_t len_bytes)
{
    struct forward_udp *u = s->forwards->udp;
    unsigned slot = (unsigned)h->dst_port - FORWARD_UDP_FIRST_PORT;
    struct client *c;

    if (!u || h->dst_port < FORWARD_UDP_FIRST_PORT || slot >= u->client_count)
        return false;
    c = &u->clients[slot];
    if (!c->socket || !ip_addr_equal(&p->ip.dst, forward_gateway(c->socket->owner)) ||
        !ip_addr_equal(&p->ip.src, &c->socket->owner->guest.addr) ||
        h->src_port != c->socket->owner->guest.port)
        return false;
    touch(u, c);
    s->count.udp_sent++;
    s->env.net->ops->udp_send(c->socket->udp, &c->from, payload, len_bytes);
    return true;
}

static enum status make_table(struct switch_ *s)
{
    unsigned count = s->config.limits.forward_udp_clients;
    struct forward_udp *u = calloc(1, sizeof *u + count * sizeof u->clients[0]);
    enum status st = u ? s->env.random(&u->seed, sizeof u->seed) : ST_NOMEM;

    if (st) {
        free(u);
        return st;
    }
    u->owner = s;
    u->client_count = count;
    list_init(&u->free);
    list_init(&u->used);
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&u->buckets[i]);
    for (size_t i = 0; i < count; i++) {
        list_init(&u->clients[i].chain);
        list_append(&u->free, &u->clients[i].link);
    }
    timer_init(&u->sweep, s->env.loop, on_sweep, u);
    s->forwards->udp = u;
    return ST_OK;
}

enum status forward_udp_open(struct forward_socket *fs, struct errmsg *e)
{
    struct switch_ *s = fs->owner->owner;
    struct net *net = s->env.net;
    char text[IP_ENDPOINT_TEXT_MAX];
    enum status st = s->forwards->udp ? ST_OK : make_table(s);

    if (!st)
        st = net->ops->udp_open(net, &fs->udp, &fs->at, &handler, fs);
    if (st && net->ops->udp_explain)
        net->ops->udp_explain(net, &fs->at, st, e);
    else if (st)
        errmsg_set(e, "listen at udp %s: %s", ip_endpoint_format(&fs->at, text), status_text(st));
    return st;
}

void forward_udp_forget(struct forward *f)
{
    struct forward_udp *u = f->owner->forwards->udp;
    struct list *it, *tmp;

    if (!u)
        return;
    list_for_each(it, tmp, &u->used)
    {
        struct client *c = container_of(it, struct client, link);

        if (c->socket->owner == f)
            give_back(u, c);
    }
}

void forward_udp_free(struct forward_table *t)
{
    if (!t->udp)
        return;
    timer_stop(&t->udp->sweep);
    free(t->udp);
    t->udp = NULL;
}
