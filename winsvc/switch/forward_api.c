/* SPDX-License-Identifier: Apache-2.0
 * THEORY: gvisor-tap-vsock's forwarder API, HTTP on port 80 of the gateway, with the bodies and
 * codes that guest agents in the field expect:
 *
 *   any  /services/forwarder/all       200 [{"local":"...","remote":"...","protocol":"tcp"}]\n
 *   POST /services/forwarder/expose    200, empty; 400 not understood; 500 not done, text says why
 *   POST /services/forwarder/unexpose  200, empty; 400; 500 "proxy not found"
 *   else                               404
 *
 * Different from the original on purpose: exposing what is exposed already, to the same place, is
 * 200 (there it is 500, and the agent drops the binding); with a token configured the two writes
 * need it (401), because any container can reach this port.
 *
 * The same three are routes of the control socket (control_api.c), where each forward has also its
 * "state", and why it waits for its port: that is nothing for a container to know. The HTTP is
 * http/api.c's.
 */
#include "switch/forward_internal.h"

#include <cjson/cJSON.h>

#include <string.h>

struct listing {
    cJSON *array;
    bool has_states;
};

static void add_to_json(void *ctx, const struct switch_forward *f)
{
    const struct listing *l = ctx;
    cJSON *object = cJSON_CreateObject();
    char remote[IP_ENDPOINT_TEXT_MAX];

    cJSON_AddStringToObject(object, "local", f->local);
    cJSON_AddStringToObject(object, "remote", ip_endpoint_format(&f->guest, remote));
    cJSON_AddStringToObject(object, "protocol", forward_proto_names[f->proto]);
    if (l->has_states) {
        cJSON_AddStringToObject(object, "state", f->is_listening ? "listening" : "waiting");
        cJSON_AddStringToObject(object, "message", f->why);
    }
    cJSON_AddItemToArray(l->array, object);
}

void forward_api_all(struct api_conn *c, const struct api_request *r)
{
    struct listing l = { cJSON_CreateArray(), r->is_control };

    switch_forward_each(r->owner, add_to_json, &l);
    api_respond_json(c, l.array);
}

/* ---- writes ------------------------------------------------------------------------------ */

/* A member that is a string, or not there (""); NULL: something else. */
static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(object, key); /* any case, as Go reads it */

    if (!item || cJSON_IsNull(item))
        return "";
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* "ip:port"; without an ip the client's own, on the control socket the guest's. 0, or the status of
 * the refusal in @why. */
static unsigned parse_remote(const struct api_request *r, const char *remote,
                             struct ip_endpoint *out, struct errmsg *why)
{
    const struct switch_ *s = r->owner;

    if (!strchr(remote, ':')) {
        errmsg_set(why, "address %.64s: missing port in address", remote);
        return 400;
    }
    if (ip_endpoint_parse(out, remote)) {
        errmsg_set(why, "invalid remote addr");
        return 500;
    }
    if (remote[0] == ':')
        out->addr = r->is_control ? s->config.guest : r->from.addr;
    return 0;
}

struct order {
    enum switch_forward_proto proto;
    const char *local, *remote; /* borrowed from the JSON */
};

/* The status of the answer; not 200: @why says why. */
typedef unsigned carry_out_fn(const struct api_request *r, const struct order *o,
                              struct errmsg *why);

/* deny_lan: nobody but this host may reach what a container publishes. A @local that is no address
 * is refused for that. */
static bool is_denied(const struct api_request *r, const char *local)
{
    const struct switch_ *s = r->owner;
    struct ip_endpoint at;

    return s->config.deny_lan && !r->is_control && ip_endpoint_parse(&at, local) == ST_OK &&
           !ip_addr_is_loopback(&at.addr);
}

static unsigned expose(const struct api_request *r, const struct order *o, struct errmsg *why)
{
    struct switch_ *s = r->owner;
    struct ip_endpoint guest;
    unsigned refusal = parse_remote(r, o->remote, &guest, why);
    enum status st;

    if (refusal)
        return refusal;
    if (is_denied(r, o->local)) {
        s->count.forward_denied++;
        errmsg_set(why, "listen %.80s: only loopback addresses are allowed here", o->local);
        return 403;
    }
    st = forward_expose(s, o->proto, o->local, &guest, why);
    if (st && !why->text[0])
        errmsg_set(why, "%s", status_text(st));
    return st ? 500 : 200;
}

static unsigned unexpose(const struct api_request *r, const struct order *o, struct errmsg *why)
{
    if (forward_unexpose(r->owner, o->proto, o->local) == ST_OK)
        return 200;
    errmsg_set(why, "proxy not found");
    return 500;
}

static unsigned parse_and(const struct api_request *r, const cJSON *json, carry_out_fn *carry_out,
                          struct errmsg *why)
{
    struct order o = { SWITCH_FORWARD_TCP, text_of(json, "local"), text_of(json, "remote") };
    const char *protocol = text_of(json, "protocol");

    if (!cJSON_IsObject(json) || !o.local || !o.remote || !protocol) {
        errmsg_set(why, "invalid JSON");
        return 400;
    }
    if (strcmp(protocol, "udp") == 0) {
        o.proto = SWITCH_FORWARD_UDP;
    } else if (*protocol && strcmp(protocol, "tcp") != 0) {
        errmsg_set(why, "unknown protocol");
        return 500;
    }
    return carry_out(r, &o, why);
}

static void write_request(struct api_conn *c, const struct api_request *r, carry_out_fn *carry_out)
{
    struct errmsg why = { "" };
    cJSON *json;
    unsigned status;

    if (!api_may_write(c, r))
        return;
    json = cJSON_ParseWithLength((const char *)r->body, r->body_bytes);
    status = parse_and(r, json, carry_out, &why);
    cJSON_Delete(json);
    if (status == 200)
        api_respond(c, 200, "text/plain; charset=utf-8", NULL, 0);
    else
        api_respond_text(c, status, why.text);
}

void forward_api_expose(struct api_conn *c, const struct api_request *r)
{
    write_request(c, r, expose);
}

void forward_api_unexpose(struct api_conn *c, const struct api_request *r)
{
    write_request(c, r, unexpose);
}

/* ---- life -------------------------------------------------------------------------------- */

static void on_accept(void *ctx, struct stream *stream, const struct ip_endpoint *from)
{
    struct switch_ *s = ctx;

    api_accept(s->forwards->api, stream, from);
}

enum status forward_api_start(struct switch_ *s)
{
    static const struct api_route routes[] = {
        { FORWARD_API_ALL, forward_api_all, NULL, NULL },
        { FORWARD_API_EXPOSE, forward_api_expose, NULL, NULL },
        { FORWARD_API_UNEXPOSE, forward_api_unexpose, NULL, NULL },
    };
    const struct api_config config = {
        .loop = s->env.loop,
        .owner = s,
        .routes = routes,
        .route_count = ARRAY_SIZE(routes),
        .token = s->config.api_token,
        .conns_max = s->config.limits.api_connections,
        .head_ms = s->config.limits.api_head_ms,
        .body_max = s->config.limits.api_body_bytes,
        .requests = &s->count.api_requests,
        .limit_hits = &s->count.api_limit_hits,
    };
    enum status st = api_new(&s->forwards->api, &config);

    return st ? st : tcp_serve(s, &s->config.gateway, API_PORT, on_accept, s);
}

void forward_api_stop(struct switch_ *s)
{
    api_free(s->forwards->api);
    s->forwards->api = NULL;
}
