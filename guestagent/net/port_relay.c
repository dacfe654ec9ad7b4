/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *
 *   host's client -> host 127.0.0.1:8080 -> switch -> tap, guest:41234 -> 127.0.0.1:8080 -> docker
 *                    (a forward)                      (a relay, here)
 *
 * docker's proxy listens at the guest's 127.0.0.1, and no packet of a network gets there: the
 * kernel drops those it calls martians, and docker drops what a changed sysctl would let through.
 * So a connection ends here and another one is made; this process is in the namespace where
 * docker listens.
 *
 * The relay's own port is one that the system chooses, not the container's: a container that
 * publishes that port at every address next must find it free.
 *
 * Who gets in. The sockets are bound to the tap, so that containers, other distributions (veth) and
 * the guest's own programs find nothing there; and only the gateway is served, which is whom the
 * switch's forwards come from. Where to: a loopback address or nowhere, whatever the host asks.
 *
 * Asked and given are apart. What is wanted is kept while there is no place (no address, or no
 * tap), and while a socket cannot be had, which is tried again every RETRY_MS.
 */
#include "guestagent/net/port_relay.h"

#include "base/log.h"
#include "base/util.h"
#include "guestagent/net/tcp_splice.h"
#include "guestagent/net/udp_relay.h"
#include "ipc/health.h"
#include "ipc/port_message.h"
#include "port/loop.h"
#include "port/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 1000 };

static const char *const protocol_names[] = { "tcp", "udp" };

struct relay {
    struct port_relay *owner;
    bool is_udp;
    struct ip_endpoint target;
    char address[IP_ADDR_TEXT_MAX]; /* as the host said it */
    struct net_listener *tcp;       /* one of both, or none yet; owned */
    struct udp_relay *udp;
    uint16_t port; /* where it is reached; 0 = it is not */
    bool keep;     /* within drop_unwanted() */
};

struct port_relay {
    struct loop *loop; /* borrowed */
    void (*on_change)(void *ctx);
    void *ctx;
    struct port_relay_place place; /* net NULL: nowhere */
    bool was_asked;
    struct relay *relays[PORT_RELAY_MAX]; /* owned */
    unsigned count;
    struct timer retry;
    struct errmsg trouble;
    struct list splices;
    unsigned connections;
    struct udp_flows flows;
    uint64_t accepted, refused, full, failed;
    struct log_limit log;
    /* The message, which points into @relays. */
    Rdlink__V1__PublishedPorts message;
    Rdlink__V1__PublishedPort entries[PORT_RELAY_MAX];
    Rdlink__V1__PublishedPort *entry_list[PORT_RELAY_MAX];
};

/* ---- TCP ------------------------------------------------------------------------------------- */

static void on_splice_end(void *ctx, struct tcp_splice *s, enum status why)
{
    struct port_relay *r = ctx;

    (void)s;
    r->connections--;
    r->failed += why != ST_OK;
}

static void on_accept(void *ctx, struct net_tcp *conn, const struct ip_endpoint *from)
{
    struct relay *relay = ctx;
    struct port_relay *r = relay->owner;
    struct net *net = r->place.net;

    if (!ip_addr_is_unspecified(&r->place.peer) && !ip_addr_equal(&r->place.peer, &from->addr)) {
        r->refused++;
        net->ops->tcp_close(conn, true);
        return;
    }
    if (r->connections == PORT_RELAY_MAX_CONNECTIONS) {
        r->full++;
        net->ops->tcp_close(conn, true);
        return;
    }
    r->accepted++;
    if (tcp_splice_start(&r->splices, net, conn, &relay->target, on_splice_end, r) == ST_OK)
        r->connections++;
    else
        r->failed++;
}

static void close_relay(struct relay *relay)
{
    struct net *net = relay->owner->place.net;

    if (relay->tcp)
        net->ops->listener_close(relay->tcp);
    udp_relay_close(relay->udp);
    relay->tcp = NULL;
    relay->udp = NULL;
    relay->port = 0;
}

static void on_listener_error(void *ctx, enum status why)
{
    struct relay *relay = ctx;
    struct port_relay *r = relay->owner;

    close_relay(relay);
    errmsg_set(&r->trouble, "tcp %s:%u: %s", relay->address, relay->target.port, status_text(why));
    timer_start(&r->retry, RETRY_MS);
    r->on_change(r->ctx);
}

static const struct net_listener_handler listener_handler = { on_accept, on_listener_error };

/* ---- opening --------------------------------------------------------------------------------- */

static enum status open_tcp(struct relay *relay, struct errmsg *e)
{
    const struct port_relay_place *p = &relay->owner->place;
    const struct ip_endpoint at = { p->at, 0 };
    enum status st = p->net->ops->tcp_listen(p->net, &relay->tcp, &at, &listener_handler, relay, e);

    if (st == ST_OK)
        relay->port = p->net->ops->listener_local(relay->tcp).port;
    else
        relay->tcp = NULL;
    return st;
}

static enum status open_udp(struct relay *relay, struct errmsg *e)
{
    struct port_relay *r = relay->owner;
    const struct udp_relay_config config = {
        .net = r->place.net, .at = r->place.at, .peer = r->place.peer, .target = relay->target
    };
    enum status st = udp_relay_open(&relay->udp, &r->flows, &config);

    if (st == ST_OK) {
        relay->port = udp_relay_port(relay->udp);
        return ST_OK;
    }
    relay->udp = NULL;
    errmsg_set(e, "%s", status_text(st));
    return st;
}

/* Everything that is not open and could be; on_change() is the caller's. */
static void open_all(struct port_relay *r)
{
    unsigned failures = 0;

    timer_stop(&r->retry);
    r->trouble.text[0] = '\0';
    for (unsigned i = 0; i < r->count && r->place.net; i++) {
        struct relay *relay = r->relays[i];
        struct errmsg e = { "" };

        if (relay->port)
            continue;
        if ((relay->is_udp ? open_udp(relay, &e) : open_tcp(relay, &e)) == ST_OK)
            continue;
        if (failures++ == 0)
            errmsg_set(&r->trouble, "%s %s:%u: %s", protocol_names[relay->is_udp], relay->address,
                       relay->target.port, e.text);
    }
    if (failures == 0)
        return;
    log_write_limited(&r->log, LOG_WARN, LOG_NET, "%u loopback ports are not relayed: %s", failures,
                      r->trouble.text);
    timer_start(&r->retry, RETRY_MS);
}

static void on_retry(void *ctx)
{
    struct port_relay *r = ctx;

    open_all(r);
    r->on_change(r->ctx);
}

/* ---- where ----------------------------------------------------------------------------------- */

static void close_all(struct port_relay *r)
{
    struct list *it, *tmp;

    timer_stop(&r->retry);
    for (unsigned i = 0; i < r->count; i++)
        close_relay(r->relays[i]);
    list_for_each(it, tmp, &r->splices)
    {
        tcp_splice_cut(container_of(it, struct tcp_splice, link));
        r->connections--;
    }
}

void port_relay_set_place(struct port_relay *r, const struct port_relay_place *place)
{
    static const struct port_relay_place nowhere = { .net = NULL };
    const struct port_relay_place *to = place ? place : &nowhere;

    if (r->place.net == to->net && (!to->net || (ip_addr_equal(&r->place.at, &to->at) &&
                                                 ip_addr_equal(&r->place.peer, &to->peer))))
        return;
    close_all(r);
    r->place = *to;
    open_all(r);
    r->on_change(r->ctx);
}

/* ---- what ------------------------------------------------------------------------------------ */

static struct relay *find(const struct port_relay *r, bool is_udp, const struct ip_endpoint *target)
{
    for (unsigned i = 0; i < r->count; i++) {
        struct relay *relay = r->relays[i];

        if (relay->is_udp == is_udp && relay->target.port == target->port &&
            ip_addr_equal(&relay->target.addr, &target->addr))
            return relay;
    }
    return NULL;
}

/* False: nothing that is led to. */
static bool understand(const Rdlink__V1__PublishedPort *p, bool *is_udp, struct ip_endpoint *target)
{
    *is_udp = strcmp(p->protocol, protocol_names[1]) == 0;
    target->port = (uint16_t)p->port;
    return port_message_is_sound(p) && port_message_is_loopback(p, &target->addr);
}

static void take(struct port_relay *r, const Rdlink__V1__PublishedPort *p)
{
    struct ip_endpoint target;
    struct relay *relay;
    bool is_udp;

    if (!understand(p, &is_udp, &target))
        return;
    relay = find(r, is_udp, &target);
    if (relay || r->count == PORT_RELAY_MAX)
        return;
    relay = calloc(1, sizeof *relay);
    if (!relay)
        return; /* the next message may find some */
    relay->owner = r;
    relay->is_udp = is_udp;
    relay->target = target;
    ip_addr_format(&target.addr, relay->address);
    r->relays[r->count++] = relay;
}

/* Those that are not wanted any more, first: their places are needed. */
static void drop_unwanted(struct port_relay *r, const Rdlink__V1__PublishedPorts *ports,
                          size_t count)
{
    unsigned kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct ip_endpoint target;
        struct relay *relay;
        bool is_udp;

        if (!understand(ports->ports[i], &is_udp, &target))
            continue;
        relay = find(r, is_udp, &target);
        if (relay)
            relay->keep = true;
    }
    for (unsigned i = 0; i < r->count; i++) {
        struct relay *relay = r->relays[i];

        if (relay->keep) {
            relay->keep = false;
            r->relays[kept++] = relay;
            continue;
        }
        close_relay(relay);
        free(relay);
    }
    r->count = kept;
}

void port_relay_want(struct port_relay *r, const Rdlink__V1__PublishedPorts *ports)
{
    size_t count = MIN(ports->n_ports, (size_t)PORT_RELAY_MAX);

    r->was_asked = true;
    drop_unwanted(r, ports, count);
    for (size_t i = 0; i < count; i++)
        take(r, ports->ports[i]);
    open_all(r);
    r->on_change(r->ctx);
}

/* ---- telling --------------------------------------------------------------------------------- */

Rdlink__V1__PublishedPorts *port_relay_message(struct port_relay *r)
{
    static char names[][4] = { "tcp", "udp" };

    if (!r->was_asked)
        return NULL;
    rdlink__v1__published_ports__init(&r->message);
    r->message.ports = r->entry_list;
    for (unsigned i = 0; i < r->count; i++) {
        struct relay *relay = r->relays[i];
        Rdlink__V1__PublishedPort *p = &r->entries[r->message.n_ports];

        if (!relay->port)
            continue;
        rdlink__v1__published_port__init(p);
        p->protocol = names[relay->is_udp];
        p->host_address = relay->address;
        p->port = relay->target.port;
        p->relay_port = relay->port;
        r->entry_list[r->message.n_ports++] = p;
    }
    return &r->message;
}

enum port_relay_state port_relay_get_state(const struct port_relay *r)
{
    if (r->count == 0)
        return PORT_RELAY_IDLE;
    if (!r->place.net)
        return PORT_RELAY_WAITING;
    return r->trouble.text[0] ? PORT_RELAY_FAILED : PORT_RELAY_WORKING;
}

const char *port_relay_summary(const struct port_relay *r, char *buf, size_t cap)
{
    switch (port_relay_get_state(r)) {
    case PORT_RELAY_IDLE:
        snprintf(buf, cap, "%s",
                 r->was_asked ? "nothing is published at the guest's own loopback"
                              : "nobody has asked for ports at the guest's own loopback");
        break;
    case PORT_RELAY_WAITING:
        snprintf(buf, cap, "%u ports wait for the guest's address", r->count);
        break;
    case PORT_RELAY_FAILED: snprintf(buf, cap, "%s", r->trouble.text); break;
    case PORT_RELAY_WORKING:
        snprintf(buf, cap, "%u ports at the guest's own loopback are relayed", r->count);
        break;
    }
    return buf;
}

void port_relay_report(const struct port_relay *r, struct health_component *out)
{
    health_count(out, "relayed_ports", r->count);
    health_count(out, "relay_connections", r->connections);
    health_count(out, "relay_accepted", r->accepted);
    health_count(out, "relay_refused_strangers", r->refused + r->flows.refused);
    health_count(out, "relay_refused_full", r->full);
    health_count(out, "relay_failed", r->failed + r->flows.failed);
    health_count(out, "relay_udp_flows", r->flows.count);
    health_count(out, "relay_udp_evicted", r->flows.evicted);
}

/* ---- life ------------------------------------------------------------------------------------ */

enum status port_relay_new(struct port_relay **out, struct loop *loop, void (*on_change)(void *ctx),
                           void *ctx)
{
    struct port_relay *r = calloc(1, sizeof *r);

    if (!r)
        return ST_NOMEM;
    r->loop = loop;
    r->on_change = on_change;
    r->ctx = ctx;
    r->log.burst = LOG_BURST;
    list_init(&r->splices);
    timer_init(&r->retry, loop, on_retry, r);
    udp_flows_init(&r->flows, loop);
    *out = r;
    return ST_OK;
}

void port_relay_free(struct port_relay *r)
{
    if (!r)
        return;
    close_all(r);
    udp_flows_fini(&r->flows);
    for (unsigned i = 0; i < r->count; i++)
        free(r->relays[i]);
    free(r);
}
