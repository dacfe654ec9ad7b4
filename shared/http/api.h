/* SPDX-License-Identifier: Apache-2.0
 * api.h - the HTTP under every API that changes something: port 80 of a switch's gateway, which any
 * container reaches, the control socket of a switch, and the control socket of rdlinkd.
 *
 * A struct api is one of them: a table of routes and the connections that are open. It reads
 * requests, bounded in number, size and time, and calls the route, which answers at once with one
 * api_respond*() or takes the stream over with api_take_stream(). The status, which nobody may
 * change and thousands may read, is served by status/status_server.h instead.
 * Runs on: the loop of struct api_config. Theory of operation: api.c.
 */
#ifndef SHARED_HTTP_API_H
#define SHARED_HTTP_API_H

#include "base/ip_addr.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api;
struct api_conn;
struct cJSON;
struct loop;
struct stream;

enum {
    API_CONNS_MAX = 32,     /* this and the next two: where struct api_config has 0 */
    API_HEAD_MS = 5 * 1000, /* from connect, or from the last answer, to a complete head */
    API_BODY_MAX = 64 * 1024,
    API_BODY_MS = 10 * 1000, /* from the head to the end of the body */
    API_QUERY_MAX = 2048,
    API_NAME_MAX = 128,
    API_QUEUED_MAX = 512 * 1024
};

struct api_route;

struct api_request {
    void *owner;                   /* of struct api_config */
    const struct api_route *route; /* the one that is called */
    struct ip_endpoint from;       /* unspecified on a control socket */
    bool is_control;               /* who asks may use the control socket: needs no token */
    bool is_post, is_head;         /* HEAD: only the head of an answer is sent */
    const char *name;              /* what stands for the "*" of the route's path, decoded; "" */
    const char *query;             /* what follows "?"; "" */
    const uint8_t *body;           /* NULL when there is none */
    size_t body_bytes;
};

/* Answers @r; both are borrowed for the call. */
typedef void api_serve_fn(struct api_conn *c, const struct api_request *r);

struct api_route {
    const char *path;    /* one segment may be an asterisk: any name */
    api_serve_fn *serve; /* of one path the first whose method fits; 405 when none does */
    const char *method;  /* "POST"; NULL = any; "GET" takes HEAD too */
    const char *what;    /* for a list of the routes; NULL = not in one */
};

struct api_config {
    struct loop *loop;              /* borrowed */
    void *owner;                    /* borrowed; handed to the routes */
    const struct api_route *routes; /* borrowed */
    size_t route_count;
    bool is_control;   /* whoever connects was let in by the system */
    const char *token; /* borrowed; what api_may_write() asks for elsewhere; "" = nothing */
    unsigned conns_max, head_ms, body_max;
    uint64_t *requests;   /* borrowed; counted there; NULL = not */
    uint64_t *limit_hits; /* as @requests: refused or cut by a bound */
};

/* ST_NOMEM. */
enum status api_new(struct api **out, const struct api_config *config);
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
/* @status with @json, as api_respond_json(). */
void api_respond_json_as(struct api_conn *c, unsigned status, struct cJSON *json);
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
