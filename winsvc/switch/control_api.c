/* SPDX-License-Identifier: Apache-2.0
 * THEORY: the control API, HTTP for whoever may reach the control socket of a switch. Paths, bodies
 * and codes are those of gvisor-tap-vsock, so that its clients work; capture is ours.
 *
 *     /services/forwarder/all, expose, unexpose   as on the gateway's port 80, without a token
 *     /services/dns/all, POST /services/dns/add   the zones; one more
 *     /services/dhcp/leases, /leases              {"192.168.127.2":"5a:94:ef:e4:0c:ee"}
 *     /cam                                        {"5a:94:ef:e4:0c:ee":1}: who is on the link
 *     /stats                                      BytesSent, BytesReceived, the switch's own
 *     POST /tunnel?ip=A&port=N                    "OK", then a connection into the guest
 *     /capture?filter=E&bytes=N&seconds=N&...     a pcapng file as long as the capture runs
 *
 * A tunnel: the client's stream -- relay -- tcp_dial_guest(). As in the original "OK" comes before
 * the guest has answered; a guest that refuses closes the stream. Only addresses of the virtual
 * network are dialled, so this is no way out of it.
 *
 * Not done: /connect (a link is not made through here), unix and npipe forwards.
 */

#include "base/list.h"
#include "base/util.h"
#include "http/api.h"
#include "port/stream.h"
#include "relay/relay.h"
#include "switch/capture.h"
#include "switch/forward_internal.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPTURE_SECONDS_DEFAULT = 600, CAPTURE_BYTES_DEFAULT = 64 * 1024 * 1024 };

/* Far beyond any disk: a bound only on what the caller may ask for. */
#define CAPTURE_BYTES_MAX (UINT64_C(1) << 40)

struct control {
    struct switch_ *owner;
    struct api *api;           /* owned */
    struct captures *captures; /* owned */
    struct list tunnels;
    unsigned tunnel_count;
};

struct tunnel {
    struct list link;
    struct control *control;
    struct relay relay;
};

/* ---- names and leases -------------------------------------------------------------------- */

static void dns_all(struct api_conn *c, const struct api_request *r)
{
    char *text = switch_dns_zones_json(r->owner);
    size_t n = text ? strlen(text) : 0;

    if (text) {
        text[n] = '\n'; /* in the place of the terminator, as the original ends it */
        api_respond(c, 200, "application/json", text, n + 1);
    } else {
        api_respond_text(c, 500, status_text(ST_NOMEM));
    }
    free(text);
}

static void dns_add(struct api_conn *c, const struct api_request *r)
{
    struct errmsg why = { "" };
    enum status st;

    if (!api_may_write(c, r))
        return;
    st = switch_dns_zone_add(r->owner, (const char *)r->body, r->body_bytes, &why);
    if (!st)
        api_respond(c, 200, "text/plain; charset=utf-8", NULL, 0);
    else
        api_respond_text(c, st == ST_INVAL || st == ST_UNSUPPORTED ? 400 : 500,
                         why.text[0] ? why.text : status_text(st));
}

static void add_lease(void *ctx, const struct switch_lease *l)
{
    char ip[IP_ADDR_TEXT_MAX], mac[18];

    cJSON_AddStringToObject(ctx, ip_addr_format(&l->ip, ip), mac_format(&l->mac, mac));
}

static void leases(struct api_conn *c, const struct api_request *r)
{
    cJSON *json = cJSON_CreateObject();

    switch_lease_each(r->owner, add_lease, json);
    api_respond_json(c, json);
}

static void add_neighbour(void *ctx, const struct switch_neighbour *n)
{
    char mac[18];

    cJSON_AddNumberToObject(ctx, mac_format(&n->mac, mac), 1);
}

static void cam(struct api_conn *c, const struct api_request *r)
{
    cJSON *json = cJSON_CreateObject();

    switch_neighbour_each(r->owner, add_neighbour, json);
    api_respond_json(c, json);
}

/* ---- numbers ----------------------------------------------------------------------------- */

static void add_census(cJSON *json, const struct switch_ *s)
{
    struct switch_census census;

    switch_get_census(s, &census);
    cJSON_AddNumberToObject(json, "tcp_flows", census.tcp_flows);
    cJSON_AddNumberToObject(json, "tcp_half_open", census.tcp_half_open);
    cJSON_AddNumberToObject(json, "udp_flows", census.udp_flows);
    cJSON_AddNumberToObject(json, "pings", census.pings);
    cJSON_AddNumberToObject(json, "fragments", census.fragments);
    cJSON_AddNumberToObject(json, "neighbours", census.neighbours);
    cJSON_AddNumberToObject(json, "forwards", census.forwards);
    cJSON_AddNumberToObject(json, "buffer_bytes", (double)census.buffer_bytes);
}

/* BytesSent and BytesReceived as there: to and from the guest. */
static void stats(struct api_conn *c, const struct api_request *r)
{
    const struct switch_counters *count = switch_get_counters(r->owner);
    cJSON *json = cJSON_CreateObject(), *own;

    cJSON_AddNumberToObject(json, "BytesSent", (double)count->tx_bytes);
    cJSON_AddNumberToObject(json, "BytesReceived", (double)count->rx_bytes);
    own = cJSON_AddObjectToObject(json, "counters");
#define X(name) cJSON_AddNumberToObject(own, #name, (double)count->name);
    SWITCH_COUNTER_LIST(X)
#undef X
    add_census(cJSON_AddObjectToObject(json, "now"), r->owner);
    api_respond_json(c, json);
}

/* ---- tunnels ----------------------------------------------------------------------------- */

static void tunnel_end(struct tunnel *t)
{
    t->control->tunnel_count--;
    list_remove(&t->link);
    free(t);
}

static void on_tunnel_done(void *ctx, enum status why, enum relay_side where)
{
    (void)why;
    (void)where;
    tunnel_end(ctx);
}

/* Dials @to, an address of the guest; the other half comes with the answer (tunnel()). */
static enum status tunnel_dial(struct switch_ *s, const struct ip_endpoint *to, struct tunnel **out,
                               struct stream **guest)
{
    struct control *control = s->control;
    struct ip_endpoint from = { ip_addr_is_v4(&to->addr) ? s->config.gateway : s->gateway6, 0 };
    struct tunnel *t;
    enum status st;

    if (control->tunnel_count >= s->config.limits.tunnels) {
        s->count.tunnel_limit_hits++;
        return ST_FULL;
    }
    t = calloc(1, sizeof *t);
    if (!t)
        return ST_NOMEM;
    st = tcp_dial_guest(s, guest, &from, to);
    if (st) {
        free(t);
        return st;
    }
    t->control = control;
    list_append(&control->tunnels, &t->link);
    control->tunnel_count++;
    *out = t;
    return ST_OK;
}

/* The original's texts. */
static bool tunnel_target(struct api_conn *c, const struct api_request *r, struct ip_endpoint *to)
{
    char ip[IP_ADDR_TEXT_MAX];
    uint64_t port = 0;

    if (api_query_find(r->query, "ip", ip, sizeof ip) == ST_NOTFOUND || !ip[0]) {
        api_respond_text(c, 500, "ip is mandatory");
        return false;
    }
    if (ip_addr_parse(&to->addr, ip) || !nat_is_guest(r->owner, &to->addr)) {
        api_respond_text(c, 500, "ip is no address of the virtual network");
        return false;
    }
    if (!api_query_number(r->query, "port", 1, 65535, &port) || !port) {
        api_respond_text(c, 500, "port is no number from 1 to 65535");
        return false;
    }
    to->port = (uint16_t)port;
    return true;
}

static void tunnel(struct api_conn *c, const struct api_request *r)
{
    struct ip_endpoint to;
    struct stream *guest, *client;
    struct tunnel *t;
    enum status st;

    if (!tunnel_target(c, r, &to))
        return;
    st = tunnel_dial(r->owner, &to, &t, &guest);
    if (st) {
        api_respond_text(c, 500, status_text(st));
        return;
    }
    client = api_take_stream(c);
    if (!client) {
        stream_close(guest);
        tunnel_end(t);
        return;
    }
    (void)stream_write(client, "OK", 2); /* a client that is gone already: the relay hears of it */
    relay_start(&t->relay, client, guest, on_tunnel_done, t);
}

/* ---- captures ---------------------------------------------------------------------------- */

static bool read_config(struct api_conn *c, const struct api_request *r, struct capture_config *out)
{
    uint64_t seconds = CAPTURE_SECONDS_DEFAULT, snaplen = CAPTURE_SNAPLEN_MAX;
    struct errmsg why = { "" };

    out->max_bytes = CAPTURE_BYTES_DEFAULT;
    if (api_query_find(r->query, "filter", out->filter_text, sizeof out->filter_text) == ST_INVAL)
        errmsg_set(&why, "filter is no text of less than %d bytes", CAPTURE_TEXT_MAX);
    else if (!api_query_number(r->query, "seconds", 1, CAPTURE_SECONDS_MAX, &seconds))
        errmsg_set(&why, "seconds is no number from 1 to %d", CAPTURE_SECONDS_MAX);
    else if (!api_query_number(r->query, "bytes", CAPTURE_BYTES_MIN, CAPTURE_BYTES_MAX,
                               &out->max_bytes))
        errmsg_set(&why, "bytes is no number from %d up", CAPTURE_BYTES_MIN);
    else if (!api_query_number(r->query, "snaplen", CAPTURE_SNAPLEN_MIN, CAPTURE_SNAPLEN_MAX,
                               &snaplen))
        errmsg_set(&why, "snaplen is no number from %d to %d", CAPTURE_SNAPLEN_MIN,
                   CAPTURE_SNAPLEN_MAX);
    else if (capture_filter_parse(&out->filter, out->filter_text, &why) == ST_OK)
        why.text[0] = '\0';
    out->seconds = (uint32_t)seconds;
    out->snaplen = (uint32_t)snaplen;
    if (why.text[0])
        api_respond_text(c, 400, why.text);
    return !why.text[0];
}

static void capture(struct api_conn *c, const struct api_request *r)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n"
                               "Content-Type: application/x-pcapng\r\n"
                               "Cache-Control: no-store\r\n"
                               "Connection: close\r\n\r\n";
    struct switch_ *s = r->owner;
    struct captures *captures = s->control->captures;
    struct capture_config config;
    struct stream *stream;

    if (r->is_head) {
        api_respond_text(c, 405, "GET only");
        return;
    }
    if (!read_config(c, r, &config))
        return;
    if (captures_are_full(captures)) {
        s->count.capture_limit_hits++;
        api_respond_text(c, 503, "as many captures as there may be are running");
        return;
    }
    stream = api_take_stream(c);
    if (!stream)
        return;
    (void)stream_write(stream, head, sizeof head - 1); /* a failure is told by on_error() */
    (void)capture_start(captures, stream, &config);    /* out of memory: the client sees an end */
}

/* ---- life -------------------------------------------------------------------------------- */

enum status control_new(struct switch_ *s)
{
    static const struct api_route routes[] = {
        { FORWARD_API_ALL, forward_api_all, NULL, NULL },
        { FORWARD_API_EXPOSE, forward_api_expose, NULL, NULL },
        { FORWARD_API_UNEXPOSE, forward_api_unexpose, NULL, NULL },
        { "/services/dns/all", dns_all, NULL, NULL },
        { "/services/dns/add", dns_add, NULL, NULL },
        { "/services/dhcp/leases", leases, NULL, NULL },
        { "/leases", leases, NULL, NULL },
        { "/cam", cam, NULL, NULL },
        { "/stats", stats, NULL, NULL },
        { "/tunnel", tunnel, NULL, NULL },
        { "/capture", capture, NULL, NULL },
    };
    const struct api_config config = {
        .loop = s->env.loop,
        .owner = s,
        .routes = routes,
        .route_count = ARRAY_SIZE(routes),
        .is_control = true,
        .conns_max = s->config.limits.api_connections,
        .head_ms = s->config.limits.api_head_ms,
        .body_max = s->config.limits.api_body_bytes,
        .requests = &s->count.api_requests,
        .limit_hits = &s->count.api_limit_hits,
    };
    struct control *c = calloc(1, sizeof *c);
    enum status st;

    if (!c)
        return ST_NOMEM;
    c->owner = s;
    list_init(&c->tunnels);
    s->control = c;
    st = api_new(&c->api, &config);
    if (!st)
        st = captures_new(&c->captures, s);
    if (st)
        control_free(s);
    return st;
}

void control_free(struct switch_ *s)
{
    struct control *c = s->control;
    struct list *it, *tmp;

    if (!c)
        return;
    api_free(c->api);
    captures_free(c->captures);
    list_for_each(it, tmp, &c->tunnels)
    {
        struct tunnel *t = container_of(it, struct tunnel, link);

        relay_abort(&t->relay);
        tunnel_end(t);
    }
    free(c);
    s->control = NULL;
}

enum status switch_control_serve(struct switch_ *s, struct stream *stream)
{
    return api_accept(s->control->api, stream, NULL);
}
