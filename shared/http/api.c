/* SPDX-License-Identifier: Apache-2.0
 * THEORY: requests of few, bounded connections, answered from a table of routes.
 *
 *   accept -> HEAD -> BODY -> route -> answer -> HEAD ... or the last answer -> end -> closed
 *                              +----> api_take_stream(): the stream leaves, the connection is over
 *
 * Each connection has one deadline at a time that arriving bytes do not move: to a complete head,
 * to a complete body, to having read the answer. So a client that sends a byte a second holds one
 * of 32 places for five seconds (slowloris). What is read of a body is bounded, and so is what
 * waits to be read of the answers.
 *
 * The reader calls back into the connection, which therefore never ends on the way: conn_over()
 * marks, on_data() frees. A route runs after the reader is done with the message, so it may take
 * the stream: what the client sent behind its request is put back into it first.
 *
 * A token, where one is configured, is for writes from the virtual network, where any container can
 * speak; whoever can use a control socket was let in by the system.
 */
#include "http/api.h"

#include "base/hex.h"
#include "base/list.h"
#include "base/util.h"
#include "http/http_message.h"
#include "port/crypto.h"
#include "port/loop.h"
#include "port/stream.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct api {
    struct api_config config;
    struct list conns;
    unsigned count;
};

struct api_conn {
    struct list link;
    struct api *api;
    struct stream *stream;      /* owned; NULL: taken over */
    struct http_reader *reader; /* owned */
    struct timer deadline;
    bool is_busy, is_over;
    bool is_closing; /* the last answer is on its way */
    bool is_ended;   /* the client sends no more */
    /* what on_data() has in hand behind the request being answered */
    const uint8_t *rest;
    size_t rest_bytes;
    /* The request being read: */
    bool has_head, keep_alive, is_authorized, is_too_long;
    const struct api_route *route; /* NULL: there is none, */
    bool has_path;                 /* or none for that method */
    struct api_request request;
    char query[API_QUERY_MAX], name[API_NAME_MAX];
    uint8_t *body; /* owned */
};

static void conn_over(struct api_conn *c)
{
    if (c->is_busy) {
        c->is_over = true;
        return;
    }
    c->api->count--;
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

void api_respond(struct api_conn *c, unsigned status, const char *type, const char *body,
                 size_t len_bytes)
{
    char head[512];
    size_t n = http_format_response_head(head, sizeof head, status, type, len_bytes,
                                         c->keep_alive ? NULL : "Connection: close\r\n");

    ASSERT(n < sizeof head);
    write_bytes(c, head, n);
    if (!c->request.is_head && len_bytes)
        write_bytes(c, body, len_bytes);
    if (!c->keep_alive && !c->is_over) {
        c->is_closing = true;
        stream_shutdown(c->stream);
    }
}

void api_respond_text(struct api_conn *c, unsigned status, const char *text)
{
    char body[sizeof((struct errmsg *)0)->text + 2];
    int n = snprintf(body, sizeof body, "%s\n", text);

    api_respond(c, status, "text/plain; charset=utf-8", body, MIN((size_t)n, sizeof body - 1));
}

void api_respond_json_as(struct api_conn *c, unsigned status, struct cJSON *json)
{
    char *text = json ? cJSON_PrintUnformatted(json) : NULL;
    size_t n;

    cJSON_Delete(json);
    if (!text) {
        api_respond_text(c, 500, status_text(ST_NOMEM));
        return;
    }
    n = strlen(text);
    text[n] = '\n'; /* in the place of the terminator */
    api_respond(c, status, "application/json", text, n + 1);
    cJSON_free(text);
}

void api_respond_json(struct api_conn *c, struct cJSON *json)
{
    api_respond_json_as(c, 200, json);
}

bool api_may_write(struct api_conn *c, const struct api_request *r)
{
    if (!r->is_post) {
        api_respond_text(c, 400, "post only");
        return false;
    }
    if (!c->is_authorized) {
        api_respond_text(c, 401, "a token is needed");
        return false;
    }
    return true;
}

struct stream *api_take_stream(struct api_conn *c)
{
    struct stream *stream = c->stream;

    ASSERT(c->is_busy && stream && !c->is_closing);
    c->is_over = true;
    if (c->rest_bytes && stream_unread(stream, c->rest, c->rest_bytes))
        return NULL; /* conn_over() closes it */
    stream_read_stop(stream);
    c->stream = NULL;
    return stream;
}

/* ---- query ------------------------------------------------------------------------------- */

/* Decodes up to the next @stop or the end. False: no room, or something that is no text. */
static bool decode_value(const char *p, char stop, char *buf, size_t cap)
{
    size_t n = 0;

    for (; *p && *p != stop; p++) {
        char c = *p == '+' && stop == '&' ? ' ' : *p; /* in a path it is itself */

        if (c == '%') {
            int byte = hex_byte(p + 1);

            if (byte <= 0)
                return false;
            c = (char)byte;
            p += 2;
        }
        if (n + 1 >= cap)
            return false;
        buf[n++] = c;
    }
    buf[n] = '\0';
    return true;
}

enum status api_query_find(const char *query, const char *name, char *buf, size_t cap)
{
    size_t len = strlen(name);
    const char *at = query;

    buf[0] = '\0';
    while (strncmp(at, name, len) != 0 || at[len] != '=') {
        at = strchr(at, '&');
        if (!at)
            return ST_NOTFOUND;
        at++;
    }
    if (decode_value(at + len + 1, '&', buf, cap))
        return ST_OK;
    buf[0] = '\0';
    return ST_INVAL;
}

bool api_query_number(const char *query, const char *name, uint64_t least, uint64_t most,
                      uint64_t *out)
{
    char text[24];
    uint64_t v = 0;
    enum status st = api_query_find(query, name, text, sizeof text);

    if (st == ST_NOTFOUND)
        return true;
    if (!text[0])
        return false;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || v > (UINT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    if (v < least || v > most)
        return false;
    *out = v;
    return true;
}

/* ---- requests ---------------------------------------------------------------------------- */

/* Takes as long whatever the difference; the length of the token is no secret. */
static bool is_token(const struct api *a, const char *authorization)
{
    static const char bearer[] = "Bearer ";
    const char *token = a->config.token ? a->config.token : "";
    size_t len = strlen(token);

    if (!len)
        return true;
    if (!authorization || strncmp(authorization, bearer, sizeof bearer - 1) != 0)
        return false;
    authorization += sizeof bearer - 1;
    return strlen(authorization) == len && crypto_equal(authorization, token, len);
}

/* @name gets what stands for a "*". */
static bool is_path(const char *pattern, const char *path, size_t path_len, char name[API_NAME_MAX])
{
    const char *star = strchr(pattern, '*'), *from;
    size_t before, after, name_len;

    name[0] = '\0';
    if (!star)
        return strlen(pattern) == path_len && memcmp(pattern, path, path_len) == 0;
    before = (size_t)(star - pattern);
    after = strlen(star + 1);
    if (path_len <= before + after || memcmp(pattern, path, before) != 0 ||
        memcmp(star + 1, path + path_len - after, after) != 0)
        return false;
    from = path + before;
    name_len = path_len - before - after;
    if (memchr(from, '/', name_len) || name_len >= API_NAME_MAX)
        return false;
    memcpy(name, from, name_len);
    name[name_len] = '\0';
    return decode_value(name, '\0', name, API_NAME_MAX); /* what is decoded is no longer */
}

static bool takes_method(const struct api_route *r, const char *method)
{
    return !r->method || strcmp(r->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0);
}

static void find_route(struct api_conn *c, const char *method, const char *path, size_t path_len)
{
    const struct api_config *a = &c->api->config;

    c->route = NULL;
    c->has_path = false;
    for (size_t i = 0; i < a->route_count && !c->route; i++) {
        if (!is_path(a->routes[i].path, path, path_len, c->name))
            continue;
        c->has_path = true;
        if (takes_method(&a->routes[i], method))
            c->route = &a->routes[i];
    }
}

static void on_head(void *ctx, const struct http_head *head)
{
    struct api_conn *c = ctx;
    const char *query;
    size_t len = http_target_path(head->target, &query);
    size_t query_len = query ? strlen(query) : 0;

    find_route(c, head->method, head->target, len);
    c->has_head = true;
    c->keep_alive = head->keep_alive && !head->upgrade;
    c->request.is_post = strcmp(head->method, "POST") == 0;
    c->request.is_head = strcmp(head->method, "HEAD") == 0;
    c->is_authorized =
        c->api->config.is_control || is_token(c->api, http_head_find(head, "Authorization"));
    c->is_too_long = query_len >= sizeof c->query;
    c->query[0] = '\0';
    if (query && !c->is_too_long)
        memcpy(c->query, query, query_len + 1);
    timer_start(&c->deadline, API_BODY_MS);
}

/* The reader bounds the body. */
static void on_body(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct api_conn *c = ctx;
    uint8_t *body = realloc(c->body, c->request.body_bytes + len_bytes);

    if (!body) {
        c->is_over = true;
        return;
    }
    memcpy(body + c->request.body_bytes, data, len_bytes);
    c->body = body;
    c->request.body_bytes += len_bytes;
}

static const struct http_handler http_handler = { on_head, on_body };

static void count(uint64_t *counter)
{
    if (counter)
        ++*counter;
}

static void respond_request(struct api_conn *c)
{
    count(c->api->config.requests);
    timer_start(&c->deadline, c->api->config.head_ms);
    c->request.body = c->body;
    c->request.query = c->query;
    c->request.name = c->name;
    c->request.route = c->route;
    if (c->is_too_long)
        api_respond_text(c, 400, "the query is too long");
    else if (c->route)
        c->route->serve(c, &c->request);
    else if (c->has_path)
        api_respond_text(c, 405, "405 method not allowed");
    else
        api_respond_text(c, 404, "404 page not found");
    free(c->body);
    c->body = NULL;
    c->request.body_bytes = 0;
    c->has_head = false;
}

static void refuse(struct api_conn *c, enum status st)
{
    c->keep_alive = false;
    c->request.is_head = false;
    api_respond_text(c, st == ST_PROTO ? 400 : c->has_head ? 413 : 431, status_text(st));
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct api_conn *c = ctx;

    c->is_busy = true;
    while (len_bytes && !c->is_closing && !c->is_over) {
        enum status st = http_reader_feed(c->reader, &data, &len_bytes);

        if (c->is_over)
            break;
        c->rest = data;
        c->rest_bytes = len_bytes;
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
        count(c->api->config.limit_hits);
    conn_over(c);
}

static const struct stream_handler stream_handler = { on_data, on_eof, on_drained, on_error };

/* ---- life -------------------------------------------------------------------------------- */

static struct api_conn *new_conn(struct api *a, const struct ip_endpoint *from)
{
    struct api_conn *c = calloc(1, sizeof *c);

    if (c && http_reader_new(&c->reader, HTTP_KIND_REQUEST, a->config.body_max, &http_handler, c)) {
        free(c);
        return NULL;
    }
    if (!c)
        return NULL;
    c->api = a;
    c->request.owner = a->config.owner;
    c->request.is_control = a->config.is_control;
    if (from)
        c->request.from = *from;
    return c;
}

enum status api_accept(struct api *a, struct stream *stream, const struct ip_endpoint *from)
{
    bool is_full = a->count >= a->config.conns_max;
    struct api_conn *c = is_full ? NULL : new_conn(a, from);

    if (!c) {
        if (is_full)
            count(a->config.limit_hits);
        stream_close(stream);
        return is_full ? ST_FULL : ST_NOMEM;
    }
    c->stream = stream;
    list_append(&a->conns, &c->link);
    a->count++;
    timer_init(&c->deadline, a->config.loop, on_deadline, c);
    timer_start(&c->deadline, c->api->config.head_ms);
    stream_set_handler(stream, &stream_handler, c);
    stream_read_start(stream);
    return ST_OK;
}

enum status api_new(struct api **out, const struct api_config *config)
{
    struct api *a = calloc(1, sizeof *a);

    if (!a)
        return ST_NOMEM;
    list_init(&a->conns);
    a->config = *config;
    if (!a->config.conns_max)
        a->config.conns_max = API_CONNS_MAX;
    if (!a->config.head_ms)
        a->config.head_ms = API_HEAD_MS;
    if (!a->config.body_max)
        a->config.body_max = API_BODY_MAX;
    *out = a;
    return ST_OK;
}

void api_free(struct api *a)
{
    struct list *it, *tmp;

    if (!a)
        return;
    list_for_each(it, tmp, &a->conns) conn_over(container_of(it, struct api_conn, link));
    free(a);
}
