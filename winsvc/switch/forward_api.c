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
 * Connections are few, bounded in number, and each by one deadline at a time that arriving bytes do
 * not move: to a complete head, to a complete body, to having read the answer. So a client that
 * sends a byte a second holds one of 32 places for five seconds. The reader calls back into the
 * connection, which therefore never ends on the way: conn_over() marks, on_data() frees.
 */
#include "switch/forward_internal.h"

#include "http/http_message.h"
#include "port/stream.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct forward_api {
    struct list conns;
    unsigned count;
};

struct api_conn {
    struct list link;
    struct switch_ *owner;
    struct stream *stream;      /* owned */
    struct http_reader *reader; /* owned */
    struct ip_endpoint from;
    struct timer deadline;
    bool is_busy, is_over;
    bool is_closing; /* the last answer is on its way */
    bool is_ended;   /* the client sends no more */
    /* The request being read: */
    bool has_head, is_post, is_head, keep_alive, is_authorized;
    enum { PATH_ALL, PATH_EXPOSE, PATH_UNEXPOSE, PATH_UNKNOWN } path;
    uint8_t *body; /* owned */
    size_t body_bytes;
};

static void conn_over(struct api_conn *c)
{
    if (c->is_busy) {
        c->is_over = true;
        return;
    }
    c->owner->forwards->api->count--;
    list_remove(&c->link);
    timer_stop(&c->deadline);
    stream_close(c->stream);
    http_reader_free(c->reader);
    free(c->body);
    free(c);
}

/* ---- answers ----------------------------------------------------------------------------- */

static void write_bytes(struct api_conn *c, const void *data, size_t len_bytes)
{
    enum status st = c->is_over ? ST_CLOSED : stream_write(c->stream, data, len_bytes);

    if ((st && st != ST_QUEUED) || stream_queued_bytes(c->stream) > API_QUEUED_MAX)
        conn_over(c);
}

static void respond(struct api_conn *c, unsigned status, const char *type, const char *body,
                    size_t len_bytes)
{
    char head[512];
    size_t n = http_format_response_head(head, sizeof head, status, type, len_bytes,
                                         c->keep_alive ? NULL : "Connection: close\r\n");

    ASSERT(n < sizeof head);
    write_bytes(c, head, n);
    if (!c->is_head && len_bytes)
        write_bytes(c, body, len_bytes);
    if (!c->keep_alive && !c->is_over) {
        c->is_closing = true;
        stream_shutdown(c->stream);
    }
}

/* Go's http.Error(): the text and a newline. */
static void respond_text(struct api_conn *c, unsigned status, const char *text)
{
    char body[sizeof((struct errmsg *)0)->text + 2];
    int n = snprintf(body, sizeof body, "%s\n", text);

    respond(c, status, "text/plain; charset=utf-8", body, MIN((size_t)n, sizeof body - 1));
}

static void add_to_json(void *ctx, const struct switch_forward *f)
{
    cJSON *object = cJSON_CreateObject();
    char remote[IP_ENDPOINT_TEXT_MAX];

    cJSON_AddStringToObject(object, "local", f->local);
    cJSON_AddStringToObject(object, "remote", ip_endpoint_format(&f->guest, remote));
    cJSON_AddStringToObject(object, "protocol", forward_proto_names[f->proto]);
    cJSON_AddItemToArray(ctx, object);
}

static void respond_all(struct api_conn *c)
{
    cJSON *array = cJSON_CreateArray();
    char *text;
    size_t n;

    switch_forward_each(c->owner, add_to_json, array);
    text = cJSON_PrintUnformatted(array);
    cJSON_Delete(array);
    if (!text) {
        respond_text(c, 500, status_text(ST_NOMEM));
        return;
    }
    n = strlen(text);
    text[n] = '\n'; /* in the place of the terminator */
    respond(c, 200, "application/json", text, n + 1);
    cJSON_free(text);
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

/* "ip:port"; without an ip the client's own. 0, or the status of the refusal in @why. */
static unsigned parse_remote(const struct api_conn *c, const char *remote, struct ip_endpoint *out,
                             struct errmsg *why)
{
    if (!strchr(remote, ':')) {
        errmsg_set(why, "address %.64s: missing port in address", remote);
        return 400;
    }
    if (ip_endpoint_parse(out, remote)) {
        errmsg_set(why, "invalid remote addr");
        return 500;
    }
    if (remote[0] == ':')
        out->addr = c->from.addr;
    return 0;
}

static unsigned expose(struct api_conn *c, enum switch_forward_proto proto, const char *local,
                       const char *remote, struct errmsg *why)
{
    struct ip_endpoint guest;
    unsigned refusal = parse_remote(c, remote, &guest, why);
    enum status st;

    if (refusal)
        return refusal;
    st = forward_expose(c->owner, proto, local, &guest, why);
    if (st && !why->text[0])
        errmsg_set(why, "%s", status_text(st));
    return st ? 500 : 200;
}

static unsigned unexpose(struct api_conn *c, enum switch_forward_proto proto, const char *local,
                         struct errmsg *why)
{
    if (forward_unexpose(c->owner, proto, local) == ST_OK)
        return 200;
    errmsg_set(why, "proxy not found");
    return 500;
}

/* What expose or unexpose comes to. */
static unsigned carry_out(struct api_conn *c, const cJSON *json, struct errmsg *why)
{
    const char *local = text_of(json, "local");
    const char *remote = text_of(json, "remote");
    const char *protocol = text_of(json, "protocol");
    enum switch_forward_proto proto;

    if (!cJSON_IsObject(json) || !local || !remote || !protocol) {
        errmsg_set(why, "invalid JSON");
        return 400;
    }
    if (!*protocol || strcmp(protocol, "tcp") == 0) {
        proto = SWITCH_FORWARD_TCP;
    } else if (strcmp(protocol, "udp") == 0) {
        proto = SWITCH_FORWARD_UDP;
    } else {
        errmsg_set(why, "unknown protocol");
        return 500;
    }
    return c->path == PATH_EXPOSE ? expose(c, proto, local, remote, why)
                                  : unexpose(c, proto, local, why);
}

static void respond_write(struct api_conn *c)
{
    struct errmsg why = { "" };
    cJSON *json;
    unsigned status;

    if (!c->is_post) {
        respond_text(c, 400, "post only");
        return;
    }
    if (!c->is_authorized) {
        respond_text(c, 401, "a token is needed");
        return;
    }
    json = cJSON_ParseWithLength((const char *)c->body, c->body_bytes);
    status = carry_out(c, json, &why);
    cJSON_Delete(json);
    if (status == 200)
        respond(c, 200, "text/plain; charset=utf-8", NULL, 0);
    else
        respond_text(c, status, why.text);
}

/* ---- requests ---------------------------------------------------------------------------- */

/* Takes as long whatever the difference. */
static bool is_token(const struct switch_ *s, const char *authorization)
{
    static const char bearer[] = "Bearer ";
    const char *token = s->config.api_token;
    size_t len = strlen(token);
    unsigned difference = 0;

    if (!len)
        return true;
    if (!authorization || strncmp(authorization, bearer, sizeof bearer - 1) != 0)
        return false;
    authorization += sizeof bearer - 1;
    if (strlen(authorization) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        difference |= (unsigned)(authorization[i] ^ token[i]);
    return difference == 0;
}

static void on_head(void *ctx, const struct http_head *head)
{
    static const char *const paths[] = { [PATH_ALL] = "/services/forwarder/all",
                                         [PATH_EXPOSE] = "/services/forwarder/expose",
                                         [PATH_UNEXPOSE] = "/services/forwarder/unexpose" };
    struct api_conn *c = ctx;
    const char *query;
    size_t len = http_target_path(head->target, &query);
    unsigned path = 0;

    while (path < PATH_UNKNOWN &&
           (strlen(paths[path]) != len || memcmp(paths[path], head->target, len) != 0))
        path++;
    c->path = path;
    c->has_head = true;
    c->is_post = strcmp(head->method, "POST") == 0;
    c->is_head = strcmp(head->method, "HEAD") == 0;
    c->keep_alive = head->keep_alive && !head->upgrade;
    c->is_authorized = is_token(c->owner, http_head_find(head, "Authorization"));
    timer_start(&c->deadline, API_BODY_MS);
}

/* The reader bounds the body by API_BODY_MAX. */
static void on_body(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct api_conn *c = ctx;
    uint8_t *body = realloc(c->body, c->body_bytes + len_bytes);

    if (!body) {
        c->is_over = true;
        return;
    }
    memcpy(body + c->body_bytes, data, len_bytes);
    c->body = body;
    c->body_bytes += len_bytes;
}

static const struct http_handler http_handler = { on_head, on_body };

static void respond_request(struct api_conn *c)
{
    c->owner->count.api_requests++;
    timer_start(&c->deadline, API_HEAD_MS);
    if (c->path == PATH_ALL)
        respond_all(c);
    else if (c->path == PATH_UNKNOWN)
        respond_text(c, 404, "404 page not found");
    else
        respond_write(c);
    free(c->body);
    c->body = NULL;
    c->body_bytes = 0;
    c->has_head = false;
}

static void refuse(struct api_conn *c, enum status st)
{
    c->keep_alive = false;
    c->is_head = false;
    respond_text(c, st == ST_PROTO ? 400 : c->has_head ? 413 : 431, status_text(st));
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct api_conn *c = ctx;

    c->is_busy = true;
    while (len_bytes && !c->is_closing && !c->is_over) {
        enum status st = http_reader_feed(c->reader, &data, &len_bytes);

        if (c->is_over)
            break;
        if (st == ST_OK)
            respond_request(c);
        else if (st != ST_QUEUED)
            refuse(c, st);
    }
    c->is_busy = false;
    if (c->is_over)
        conn_over(c);
}

/* Nothing more is asked; what was answered still has to leave. */
static void on_eof(void *ctx)
{
    struct api_conn *c = ctx;

    c->is_ended = c->is_closing = true;
    if (!stream_queued_bytes(c->stream))
        conn_over(c);
}

static void on_drained(void *ctx)
{
    struct api_conn *c = ctx;

    if (c->is_ended)
        conn_over(c);
}

static void on_error(void *ctx, enum status why)
{
    conn_over(ctx);
}

static void on_deadline(void *ctx)
{
    struct api_conn *c = ctx;

    if (!c->is_closing)
        c->owner->count.api_limit_hits++;
    conn_over(c);
}

static const struct stream_handler stream_handler = { on_data, on_eof, on_drained, on_error };

/* ---- life -------------------------------------------------------------------------------- */

static struct api_conn *new_conn(struct switch_ *s, const struct ip_endpoint *from)
{
    struct api_conn *c = calloc(1, sizeof *c);

    if (c && http_reader_new(&c->reader, HTTP_KIND_REQUEST, API_BODY_MAX, &http_handler, c)) {
        free(c);
        return NULL;
    }
    if (c) {
        c->owner = s;
        c->from = *from;
    }
    return c;
}

static void on_accept(void *ctx, struct stream *stream, const struct ip_endpoint *from)
{
    struct switch_ *s = ctx;
    struct forward_api *api = s->forwards->api;
    struct api_conn *c = api->count < API_CONNS_MAX ? new_conn(s, from) : NULL;

    if (!c) {
        s->count.api_limit_hits++;
        stream_close(stream);
        return;
    }
    c->stream = stream;
    list_append(&api->conns, &c->link);
    api->count++;
    timer_init(&c->deadline, s->env.loop, on_deadline, c);
    timer_start(&c->deadline, API_HEAD_MS);
    stream_set_handler(stream, &stream_handler, c);
    stream_read_start(stream);
}

enum status forward_api_start(struct switch_ *s)
{
    struct forward_api *api = calloc(1, sizeof *api);

    if (!api)
        return ST_NOMEM;
    list_init(&api->conns);
    s->forwards->api = api;
    return tcp_serve(s, &s->config.gateway, API_PORT, on_accept, s);
}

void forward_api_stop(struct switch_ *s)
{
    struct forward_api *api = s->forwards->api;
    struct list *it, *tmp;

    if (!api)
        return;
    list_for_each(it, tmp, &api->conns) conn_over(container_of(it, struct api_conn, link));
    free(api);
    s->forwards->api = NULL;
}
