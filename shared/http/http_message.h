/* SPDX-License-Identifier: Apache-2.0
 * http_message.h - reads HTTP/1.x messages with llhttp, bounded, and formats the heads we send.
 *
 * Pure: bytes in, one head, body pieces and an end out; no stream, no clock. Refusals, docker
 * probes, the status server and the command line all read through this, so llhttp is named in one
 * file. Limits are on the whole head: request line or status line, and all headers.
 *
 *     while (len && (st = http_reader_feed(r, &data, &len)) == ST_OK)
 *         ;  a message is complete; whatever follows it is the next one's
 */
#ifndef SHARED_HTTP_HTTP_MESSAGE_H
#define SHARED_HTTP_HTTP_MESSAGE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_HEAD_MAX = 16384, HTTP_HEADERS_MAX = 64, HTTP_METHOD_MAX = 16 };

enum http_kind { HTTP_KIND_REQUEST, HTTP_KIND_RESPONSE };

struct http_header {
    const char *name, *value; /* terminated; name as the peer wrote it */
};

/* A complete head; borrowed for the call of on_head() and until the message ends. */
struct http_head {
    char method[HTTP_METHOD_MAX]; /* request: "GET"; "" in a response */
    const char *target;           /* request: "/v1/status?wait=25s"; "" in a response */
    unsigned status;              /* response: 200; 0 in a request */
    bool keep_alive;              /* another message may follow on this connection */
    bool upgrade;                 /* what follows the head is no HTTP */
    const struct http_header *headers;
    unsigned header_count;
};

/* The value of the first header of that name, any case; NULL when there is none. */
const char *http_head_find(const struct http_head *head, const char *name);
/* Splits "/v1/status?wait=25s": the length of the path; *query is NULL or what follows "?". */
size_t http_target_path(const char *target, const char **query);

/* Any may be NULL. The callee must not free the reader. */
struct http_handler {
    void (*on_head)(void *ctx, const struct http_head *head);
    /* Decoded: without chunk sizes. */
    void (*on_body)(void *ctx, const uint8_t *data, size_t len_bytes);
};

struct http_reader;

/* @max_body_bytes bounds the decoded body, 0 = no bound. ST_NOMEM. */
enum status http_reader_new(struct http_reader **out, enum http_kind kind, uint64_t max_body_bytes,
                            const struct http_handler *handler, void *ctx);
/* Moves *data and *len_bytes past what was consumed. ST_OK: a message is complete, the reader is
 * ready for the next (after an upgrade: it must not be used again). ST_QUEUED: all consumed, the
 * message is not complete. ST_FULL: head or body too large. ST_PROTO: not HTTP. After either of
 * those two the reader is dead and says the same again. */
enum status http_reader_feed(struct http_reader *r, const uint8_t **data, size_t *len_bytes);
/* The stream ended. ST_OK: that completes a message (a response without a length). ST_EOF: between
 * two messages. ST_PROTO: within one. */
enum status http_reader_end(struct http_reader *r);
/* NULL is fine. */
void http_reader_free(struct http_reader *r);

/* "Service Unavailable"; "Unknown" for what we never send. */
const char *http_status_text(unsigned status);
/* "HTTP/1.1 503 Service Unavailable\r\n...\r\n\r\n" with Content-Type, Content-Length and
 * @extra, which is NULL or complete lines ("ETag: \"7\"\r\n"). Returns the length as snprintf. */
size_t http_format_response_head(char *buf, size_t cap, unsigned status, const char *content_type,
                                 size_t body_len_bytes, const char *extra);
/* "GET /x HTTP/1.1\r\nHost: ...\r\n\r\n". Returns the length as snprintf does. */
size_t http_format_request_head(char *buf, size_t cap, const char *method, const char *target,
                                const char *host, const char *extra);

#endif
