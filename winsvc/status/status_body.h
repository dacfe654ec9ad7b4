/* SPDX-License-Identifier: Apache-2.0
 * status_body.h - the answer to GET /v1/status: numbered, rendered once per generation, reused.
 *
 * A generation is what a reader can tell apart: a new snapshot whose JSON equals the last one is no
 * new generation. Owns one snapshot and one text. The clock comes in. Runs on: the server's loop.
 */
#ifndef WINSVC_STATUS_STATUS_BODY_H
#define WINSVC_STATUS_STATUS_BODY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snapshot;
struct status_body;

enum { STATUS_ETAG_MAX = 64, STATUS_BODY_MIN_AGE_MS = 100 };

/* Borrowed until the next status_body_get() or status_body_free(). */
struct status_body_view {
    const char *text;
    size_t len_bytes;
    const char *etag; /* strong, with its quotes: "<start>-<pid>-<generation>" */
    uint64_t generation;
};

typedef void status_body_fill_fn(void *ctx, struct snapshot *out);

/* @counter_ms: how old counters may be for a poller that has the present text. ST_NOMEM. */
enum status status_body_new(struct status_body **out, uint32_t counter_ms,
                            status_body_fill_fn *fill, void *ctx);
/* Something other than a counter changed: the next get fills anew. */
void status_body_changed(struct status_body *b);
/* @if_none_match is the header's value or NULL. *not_modified: the reader has this text already.
 * ST_NOMEM: there is nothing to show now. */
enum status status_body_get(struct status_body *b, const char *if_none_match, uint64_t now_ms,
                            struct status_body_view *out, bool *not_modified);
/* The snapshot behind what the last status_body_get() gave; borrowed as that. NULL before it. */
const struct snapshot *status_body_snapshot(const struct status_body *b);
uint64_t status_body_renders(const struct status_body *b);
/* NULL is fine. */
void status_body_free(struct status_body *b);

/* True when @etag (with quotes) is on the list @header of If-None-Match; "*" matches any, and a
 * weak tag matches as RFC 9110 13.1.2 has it. */
bool status_etag_matches(const char *header, const char *etag);

#endif
