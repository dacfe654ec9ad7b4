/* SPDX-License-Identifier: Apache-2.0
 * http_get.h - one GET over a connection of its own: dial, ask, read the answer, close.
 *
 * For small questions to docker (is it there, which containers are there) and for answers without
 * an end (its events). Bounded in time and size; on_end() comes exactly once, from the loop, and
 * is the last callback.
 * Owns: the dial and the stream. Runs on: the loop that it was started on.
 */
#ifndef SHARED_HTTP_HTTP_GET_H
#define SHARED_HTTP_HTTP_GET_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addr;
struct http_get;
struct loop;

enum http_get_end {
    HTTP_GET_DONE,        /* the whole answer was there, whatever its status */
    HTTP_GET_UNREACHABLE, /* no connection */
    HTTP_GET_SILENT,      /* connected, but no whole answer in time */
    HTTP_GET_GARBLED,     /* not HTTP, cut short, or more than max_body_bytes */
    HTTP_GET_END_COUNT
};

struct http_get_config {
    const struct addr *at; /* all are copied */
    const char *target;    /* "/_ping", with its query, encoded */
    const char *host;
    uint32_t dial_ms;
    uint32_t answer_ms;      /* from the connect to the answer's end, or to its head when ... */
    bool is_endless;         /* ... the answer has no end that is waited for */
    uint64_t max_body_bytes; /* 0 = no bound */
};

/* on_end() may http_get_free(); the others must not. */
struct http_get_handler {
    void (*on_head)(void *ctx, unsigned status); /* may be NULL */
    void (*on_body)(void *ctx, const uint8_t *data, size_t len_bytes);
    /* @status: of the answer, 0 = no head came. @detail for people, gone with http_get_free(). */
    void (*on_end)(void *ctx, enum http_get_end why, unsigned status, const char *detail);
};

/* ST_NOMEM, ST_INVAL (@target too long): no callback comes. @handler is static. */
enum status http_get_start(struct http_get **out, struct loop *loop,
                           const struct http_get_config *config,
                           const struct http_get_handler *handler, void *ctx);
/* No callback comes afterwards. NULL is fine. */
void http_get_free(struct http_get *g);

#endif
