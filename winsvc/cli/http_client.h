/* SPDX-License-Identifier: Apache-2.0
 * http_client.h - one request over a local socket or pipe, bounded in time and size.
 *
 * Owns: its dial, stream and the bytes of the answer. Runs on: the loop.
 */
#ifndef WINSVC_CLI_HTTP_CLIENT_H
#define WINSVC_CLI_HTTP_CLIENT_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct addr;
struct http_client;
struct loop;

enum { HTTP_CLIENT_BODY_MAX = 4 * 1024 * 1024, HTTP_CLIENT_SENT_MAX = 64 * 1024 };

/* Borrowed until http_client_free(). */
struct http_client_answer {
    unsigned status;  /* 200 */
    const char *body; /* terminated */
    size_t len_bytes;
};

/* @answer is NULL unless @st is ST_OK; @why says what failed. The client may be freed in it. */
typedef void http_client_done_fn(void *ctx, enum status st, const struct http_client_answer *answer,
                                 const struct errmsg *why);

/* @timeout_ms covers everything from the dial to the last byte. @done is called once, never before
 * this returns, unless the client is freed first. Statuses of dial_start(), ST_NOMEM. Handed to
 * @done: statuses of a dial, ST_TIMEOUT, ST_PROTO (not HTTP, or cut short), ST_FULL (too large). */
enum status http_client_get(struct http_client **out, struct loop *loop, const struct addr *to,
                            const char *target, uint32_t timeout_ms, http_client_done_fn *done,
                            void *ctx, struct errmsg *e);
/* The same for what is no GET. @body is JSON of at most HTTP_CLIENT_SENT_MAX bytes, copied; NULL =
 * none. ST_FULL. */
enum status http_client_send(struct http_client **out, struct loop *loop, const struct addr *to,
                             const char *method, const char *target, const char *body,
                             uint32_t timeout_ms, http_client_done_fn *done, void *ctx,
                             struct errmsg *e);
/* As http_client_get() for an answer of any length: each piece of a 200's goes to @sink, and
 * @answer has none.
 * @timeout_ms covers the time up to the head. What another status says is in @answer, bounded. */
typedef void http_client_sink_fn(void *ctx, const void *data, size_t len_bytes);
enum status http_client_stream(struct http_client **out, struct loop *loop, const struct addr *to,
                               const char *target, uint32_t timeout_ms, http_client_sink_fn *sink,
                               http_client_done_fn *done, void *ctx, struct errmsg *e);
/* Cancels what is under way. NULL is fine. */
void http_client_free(struct http_client *c);

#endif
