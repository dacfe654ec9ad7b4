/* SPDX-License-Identifier: Apache-2.0
 * api_http.h - the HTTP under the switch's two APIs: port 80 of the gateway (forward_api.c), which
 * any container reaches, and the control socket (control_api.c).
 *
 * A struct api is one of them: a table of routes and the connections that are open. It reads
 * requests, bounded in number, size and time, and calls the route, which answers at once with one
 * api_respond*() or takes the stream over with api_take_stream().
 * Runs on: the switch's loop. Theory of operation: api_http.c.
 */
#ifndef WINSVC_SWITCH_API_HTTP_H
#define WINSVC_SWITCH_API_HTTP_H

#include "base/ip_addr.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api;
struct api_conn;
struct cJSON;
struct stream;
struct switch_;

enum {
    API_CONNS_MAX = 32,
    API_HEAD_MS = 5 * 1000,  /* from connect, or from the last answer, to a complete head */
    API_BODY_MS = 10 * 1000, /* from there to the end of the body */
    API_BODY_MAX = 64 * 1024,
    API_QUERY_MAX = 2048,
    API_QUEUED_MAX = 512 * 1024
};

struct api_request {
    struct switch_ *owner;
    struct ip_endpoint from; /* unspecified on the control socket */
    bool is_control;         /* who asks may use the control socket: needs no token */
    bool is_post, is_head;   /* HEAD: only the head of an answer is sent */
    const char *query;       /* what follows "?"; "" */
    const uint8_t *body;     /* NULL when there is none */
    size_t body_bytes;
};

/* Answers @r; both are borrowed for the call. */
typedef void api_serve_fn(struct api_conn *c, const struct api_request *r);

struct api_route {
    const char *path;
    api_serve_fn *serve;
};

/* @routes are borrowed for life. ST_NOMEM. */
enum status api_new(struct api **out, struct switch_ *s, const struct api_route *routes,
                    size_t route_count, bool is_control);
/* One more connection, owned in every case. ST_FULL (counted), ST_NOMEM: closed. @from may be NULL.
 */
enum status api_accept(struct api *a, struct stream *stream, const struct ip_endpoint *from);
/* Closes what is open. NULL is fine. */
void api_free(struct api *a);

void api_respond(struct api_conn *c, unsigned status, const char *type, const char *body,
                 size_t len_bytes);
/* The text and a newline, as Go's http.Error() does. */
void api_respond_text(struct api_conn *c, unsigned status, const char *text);
/* 200 with @json, which is deleted, and a newline; NULL: out of memory, 500. */
void api_respond_json(struct api_conn *c, struct cJSON *json);
/* False: it was answered, because the request is no POST or has no right to write. */
bool api_may_write(struct api_conn *c, const struct api_request *r);
/* Instead of an answer: the connection's stream is the caller's from now on, with what its client
 * sent behind the request still to be read. NULL: out of memory, nothing is left of it. */
struct stream *api_take_stream(struct api_conn *c);

/* The value of @name in "a=b&name=value", decoded (%41, +), into @buf. An empty value is there.
 * ST_NOTFOUND; ST_INVAL: no text, or it needs more than @cap. *buf is "" then. */
enum status api_query_find(const char *query, const char *name, char *buf, size_t cap);
/* A decimal number; *out stays what it is when @name is not there. False: it is there and none, or
 * not between the two. */
bool api_query_number(const char *query, const char *name, uint64_t least, uint64_t most,
                      uint64_t *out);

#endif
