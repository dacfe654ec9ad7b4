/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *
 *     peer:p --> face (at:relay_port) --> flow of peer:p --> its socket 127.0.0.1:x --> target
 *     peer:p <-- face <------------------ flow of peer:p <-- its socket 127.0.0.1:x <-- target
 *
 * A flow begins with a source's first datagram and ends UDP_RELAY_IDLE_MS after its last one in
 * either direction, or when its place is needed. The list of flows is in the order of use and short
 * (UDP_RELAY_MAX_FLOWS), so a busy source is found at its head and looking for a new one is a walk
 * over a few KiB: no table.
 *
 * What the kernel cannot take now is lost, as anywhere in UDP. That nobody listens at the target is
 * not passed on: it is a moment between a container's end and our hearing of it.
 */
#include "guestagent/net/udp_relay.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum { SWEEP_MS = 10000 };

struct udp_relay {
    struct udp_flows *flows; /* borrowed */
    struct udp_relay_config config;
    struct net_udp *face; /* owned */
};

struct flow {
    struct list link; /* udp_flows.used */
    struct udp_relay *relay;
    struct ip_endpoint from;
    struct net_udp *socket; /* owned */
    uint64_t used_ms;
};

static bool is_endpoint(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
    return a->port == b->port && ip_addr_equal(&a->addr, &b->addr);
}

/* ---- flows ----------------------------------------------------------------------------------- */

static void end_flow(struct flow *f)
{
    struct udp_relay *r = f->relay;

    list_remove(&f->link);
    r->flows->count--;
    r->config.net->ops->udp_close(f->socket);
    free(f);
}

static struct flow *oldest(const struct udp_flows *flows)
{
    return container_of(flows->used.prev, struct flow, link);
}

static void on_sweep(void *ctx)
{
    struct udp_flows *flows = ctx;
    uint64_t now_ms = loop_now_ms(flows->loop);
    struct list *it, *tmp;

    list_for_each(it, tmp, &flows->used)
    {
        struct flow *f = container_of(it, struct flow, link);

        if (now_ms - f->used_ms >= UDP_RELAY_IDLE_MS)
            end_flow(f);
    }
    if (flows->count > 0)
        timer_start(&flows->sweep, SWEEP_MS);
}

static void touch(struct flow *f)
{
    struct udp_flows *flows = f->relay->flows;

    f->used_ms = loop_now_ms(flows->loop);
    list_remove(&f->link);
    list_insert_after(&flows->used, &f->link);
}

static struct flow *find_flow(const struct udp_relay *r, const struct ip_endpoint *from)
{
    for (struct list *it = r->flows->used.next; it != &r->flows->used; it = it->next) {
        struct flow *f = container_of(it, struct flow, link);

        if (f->relay == r && is_endpoint(&f->from, from))
            return f;
    }
    return NULL;
}

static void on_answer(void *ctx, const struct ip_endpoint *from, const uint8_t *data,
                      size_t len_bytes)
{
    struct flow *f = ctx;
    struct udp_relay *r = f->relay;

    if (!is_endpoint(from, &r->config.target))
        return;
    touch(f);
    (void)r->config.net->ops->udp_send(r->face, &f->from, data, len_bytes);
}

static const struct net_udp_handler flow_handler = { .on_datagram = on_answer };

/* NULL: no socket, or no memory. */
static struct flow *new_flow(struct udp_relay *r, const struct ip_endpoint *from)
{
    struct udp_flows *flows = r->flows;
    /* The same loopback address: of 127.0.0.0/8, or ::1. */
    const struct ip_endpoint local = { r->config.target.addr, 0 };
    struct flow *f = calloc(1, sizeof *f);

    if (!f)
        return NULL;
    if (flows->count == UDP_RELAY_MAX_FLOWS) {
        flows->evicted++;
        end_flow(oldest(flows));
    }
    list_init(&f->link);
    f->relay = r;
    f->from = *from;
    if (r->config.net->ops->udp_open(r->config.net, &f->socket, &local, &flow_handler, f)) {
        free(f);
        return NULL;
    }
    flows->count++;
    if (!timer_is_running(&flows->sweep))
        timer_start(&flows->sweep, SWEEP_MS);
    return f;
}

/* ---- relays ---------------------------------------------------------------------------------- */

static void on_datagram(void *ctx, const struct ip_endpoint *from, const uint8_t *data,
                        size_t len_bytes)
{
    struct udp_relay *r = ctx;
    struct flow *f;

    if (!ip_addr_is_unspecified(&r->config.peer) && !ip_addr_equal(&r->config.peer, &from->addr)) {
        r->flows->refused++;
        return;
    }
    f = find_flow(r, from);
    if (!f)
        f = new_flow(r, from);
    if (!f) {
        r->flows->failed++;
        return;
    }
    touch(f);
    (void)r->config.net->ops->udp_send(f->socket, &r->config.target, data, len_bytes);
}

static const struct net_udp_handler face_handler = { .on_datagram = on_datagram };

enum status udp_relay_open(struct udp_relay **out, struct udp_flows *flows,
                           const struct udp_relay_config *config)
{
    const struct ip_endpoint local = { config->at, 0 };
    struct udp_relay *r = calloc(1, sizeof *r);
    enum status st;

    if (!r)
        return ST_NOMEM;
    r->flows = flows;
    r->config = *config;
    st = config->net->ops->udp_open(config->net, &r->face, &local, &face_handler, r);
    if (st) {
        free(r);
        return st;
    }
    *out = r;
    return ST_OK;
}

uint16_t udp_relay_port(const struct udp_relay *r)
{
    return r->config.net->ops->udp_local(r->face).port;
}

void udp_relay_close(struct udp_relay *r)
{
    struct list *it, *tmp;

    if (!r)
        return;
    list_for_each(it, tmp, &r->flows->used)
    {
        struct flow *f = container_of(it, struct flow, link);

        if (f->relay == r)
            end_flow(f);
    }
    r->config.net->ops->udp_close(r->face);
    free(r);
}

void udp_flows_init(struct udp_flows *f, struct loop *loop)
{
    *f = (struct udp_flows){ .loop = loop };
    list_init(&f->used);
    timer_init(&f->sweep, loop, on_sweep, f);
}

void udp_flows_fini(struct udp_flows *f)
{
    ASSERT(f->count == 0);
    timer_stop(&f->sweep);
}
