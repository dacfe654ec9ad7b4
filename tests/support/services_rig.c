/* SPDX-License-Identifier: Apache-2.0
 * The parts of the switch that its services call, as recorders.
 */
#include "support/services_rig.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

static struct rig *rig_of(struct switch_ *s)
{
    return container_of(s, struct rig, s);
}

void out_udp(struct switch_ *s, const struct ip_endpoint *from, const struct ip_endpoint *to,
             const uint8_t *payload, size_t len_bytes)
{
    struct rig *r = rig_of(s);
    struct rig_datagram *d = &r->sent[r->sent_count % RIG_DATAGRAMS];

    ASSERT(len_bytes <= sizeof d->data);
    d->from = *from;
    d->to = *to;
    d->len_bytes = len_bytes;
    memcpy(d->data, payload, len_bytes);
    r->sent_count++;
}

void neigh_learn(struct switch_ *s, const struct mac *mac, const struct ip_addr *ip)
{
    struct rig *r = rig_of(s);

    r->learned_mac = *mac;
    r->learned_ip = *ip;
    r->learned_count++;
}

void switch_want_flush(struct switch_ *s)
{
    rig_of(s)->flushes++;
}

enum status tcp_serve(struct switch_ *s, const struct ip_addr *at, uint16_t port,
                      tcp_accept_fn *accept, void *ctx)
{
    struct rig *r = rig_of(s);

    ASSERT(r->service_count < RIG_SERVICES);
    r->services[r->service_count].at = (struct ip_endpoint){ *at, port };
    r->services[r->service_count].accept = accept;
    r->services[r->service_count++].ctx = ctx;
    return ST_OK;
}

enum status tcp_open_to_guest(struct switch_ *s, struct net_tcp *conn,
                              const struct ip_endpoint *from, const struct ip_endpoint *to)
{
    struct rig *r = rig_of(s);

    ASSERT(r->opened_count < RIG_OPENED);
    r->opened[r->opened_count].from = *from;
    r->opened[r->opened_count++].to = *to;
    s->env.net->ops->tcp_close(conn, false);
    return ST_OK;
}

/* Repeatable. */
static enum status random_bytes(void *buf, size_t len_bytes)
{
    static uint32_t state = 12345;
    uint8_t *p = buf;

    for (size_t i = 0; i < len_bytes; i++) {
        state = state * 1664525u + 1013904223u;
        p[i] = (uint8_t)(state >> 24);
    }
    return ST_OK;
}

static struct ip_addr address(const char *text)
{
    struct ip_addr a;

    ASSERT(ip_addr_parse(&a, text) == ST_OK);
    return a;
}

struct rig *rig_new(bool ip6)
{
    struct rig *r = calloc(1, sizeof *r);
    struct switch_config *c;

    ASSERT(r);
    r->sim = sim_new();
    r->net = net_sim_new(r->sim);
    r->resolver = resolver_sim_new(r->sim);
    r->s.env = (struct switch_env){ .loop = sim_loop(r->sim),
                                    .net = net_sim_net(r->net),
                                    .resolver = resolver_sim_resolver(r->resolver),
                                    .random = random_bytes };
    c = &r->s.config;
    c->net = address("192.168.127.0");
    c->prefix_bits = 24;
    c->gateway = address("192.168.127.1");
    c->guest = address("192.168.127.2");
    c->host = address("192.168.127.254");
    ASSERT(mac_parse(&c->gateway_mac, "5a:94:ef:e4:0c:dd") == ST_OK);
    ASSERT(mac_parse(&c->guest_mac, "5a:94:ef:e4:0c:ee") == ST_OK);
    c->mtu = 1500;
    c->ip6 = ip6;
    ASSERT(switch_limits_finish(&c->limits, NULL) == ST_OK);
    c->net6 = address("fd00:72:64::");
    r->s.gateway6 = address("fd00:72:64::1");
    r->s.host6 = address("fd00:72:64::254");
    return r;
}

void rig_free(struct rig *r)
{
    forward_free(&r->s);
    dns_free(&r->s);
    dhcp_free(&r->s);
    resolver_sim_free(r->resolver);
    net_sim_free(r->net);
    sim_free(r->sim);
    free(r);
}

struct sim_peer *rig_connect(struct rig *r, uint16_t port)
{
    struct ip_endpoint from = { r->s.config.guest, 40000 };

    for (unsigned i = 0; i < r->service_count; i++) {
        if (r->services[i].at.port == port) {
            struct stream *stream;
            struct sim_peer *peer = sim_stream(r->sim, &stream);

            r->services[i].accept(r->services[i].ctx, stream, &from);
            return peer;
        }
    }
    return NULL;
}

struct packet rig_packet(const struct rig *r)
{
    return (struct packet){ .from = r->s.config.guest_mac,
                            .ip = { .src = r->s.config.guest, .dst = r->s.config.gateway } };
}

const struct rig_datagram *rig_last(const struct rig *r)
{
    ASSERT(r->sent_count);
    return &r->sent[(r->sent_count - 1) % RIG_DATAGRAMS];
}

struct ip_endpoint rig_endpoint(const char *text)
{
    struct ip_endpoint e;

    ASSERT(ip_endpoint_parse(&e, text) == ST_OK);
    return e;
}
