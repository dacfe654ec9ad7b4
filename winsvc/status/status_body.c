/* SPDX-License-Identifier: Apache-2.0
 * THEORY: when is a new text needed?
 *
 *                           | present text younger than ...      | otherwise
 *   changed() was called    | fill                               | fill
 *   reader has this text    | 304 below counter_ms (5 s)         | fill
 *   reader has another/none | reuse below 100 ms                 | fill
 *
 * A fill that renders to the same text keeps the generation, so 304 is the rule while nothing
 * happens, although probe counters go up every second: those are shown at once to whoever asks
 * without a tag, and to a poller within counter_ms. The tag stays strong in every case: one tag,
 * one text. Filling and rendering takes well under a millisecond; 100 ms bounds what a reader who
 * asks in a tight loop can cost.
 *
 * The generation is part of the text, so a changed text is rendered twice: once to see that it
 * changed, once with its number. Comparing structs instead would compare padding, too.
 */
#include "status/status_body.h"

#include "status/snapshot.h"
#include "status/status_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct status_body {
    struct snapshot *snapshot; /* owned */
    char *text;                /* owned; NULL before the first */
    size_t len_bytes;
    char etag[STATUS_ETAG_MAX];
    uint64_t generation; /* of text; 0 = none yet */
    uint64_t filled_ms;
    bool dirty;
    uint32_t counter_ms;
    uint64_t renders;
    status_body_fill_fn *fill;
    void *ctx;
};

enum status status_body_new(struct status_body **out, uint32_t counter_ms,
                            status_body_fill_fn *fill, void *ctx)
{
    struct status_body *b = calloc(1, sizeof *b);

    if (!b)
        return ST_NOMEM;
    b->snapshot = calloc(1, sizeof *b->snapshot);
    if (!b->snapshot) {
        free(b);
        return ST_NOMEM;
    }
    b->counter_ms = counter_ms;
    b->fill = fill;
    b->ctx = ctx;
    *out = b;
    return ST_OK;
}

void status_body_changed(struct status_body *b)
{
    b->dirty = true;
}

const struct snapshot *status_body_snapshot(const struct status_body *b)
{
    return b->text ? b->snapshot : NULL;
}

uint64_t status_body_renders(const struct status_body *b)
{
    return b->renders;
}

void status_body_free(struct status_body *b)
{
    if (!b)
        return;
    status_json_free(b->text);
    free(b->snapshot);
    free(b);
}

static enum status render(struct status_body *b, uint64_t generation, char **text, size_t *len)
{
    b->snapshot->generation = generation;
    b->renders++;
    return status_json_render(b->snapshot, text, len);
}

/* The snapshot differs from what is shown: gives it the next number. */
static enum status advance(struct status_body *b)
{
    const struct snapshot *s = b->snapshot;
    enum status st;
    char *text;
    size_t len;

    st = render(b, b->generation + 1, &text, &len);
    if (st)
        return st;
    status_json_free(b->text);
    b->text = text;
    b->len_bytes = len;
    b->generation++;
    snprintf(b->etag, sizeof b->etag, "\"%" PRIx64 "-%" PRIx64 "-%" PRIu64 "\"",
             (uint64_t)s->started_ms, (uint64_t)s->pid, b->generation);
    return ST_OK;
}

static enum status refresh(struct status_body *b, uint64_t now_ms)
{
    enum status st;
    char *text;
    size_t len;
    bool same;

    b->fill(b->ctx, b->snapshot);
    if (b->text) {
        st = render(b, b->generation, &text, &len);
        if (st)
            return st;
        same = len == b->len_bytes && !memcmp(text, b->text, len);
        status_json_free(text);
    } else {
        same = false;
    }
    if (!same) {
        st = advance(b);
        if (st)
            return st;
    }
    b->dirty = false;
    b->filled_ms = now_ms;
    return ST_OK;
}

enum status status_body_get(struct status_body *b, const char *if_none_match, uint64_t now_ms,
                            struct status_body_view *out, bool *not_modified)
{
    bool has_text = b->text && if_none_match && status_etag_matches(if_none_match, b->etag);
    uint64_t max_age_ms = has_text ? b->counter_ms : STATUS_BODY_MIN_AGE_MS;
    enum status st;

    if (!b->text || b->dirty || now_ms - b->filled_ms >= max_age_ms) {
        st = refresh(b, now_ms);
        if (st)
            return st;
    }
    out->text = b->text;
    out->len_bytes = b->len_bytes;
    out->etag = b->etag;
    out->generation = b->generation;
    *not_modified = if_none_match && status_etag_matches(if_none_match, b->etag);
    return ST_OK;
}

bool status_etag_matches(const char *header, const char *etag)
{
    size_t etag_len = strlen(etag);
    const char *p = header;

    for (;;) {
        const char *end;

        p += strspn(p, " \t,");
        if (*p == '*')
            return true;
        if (!strncmp(p, "W/", 2))
            p += 2;
        if (*p != '"')
            return false;
        end = strchr(p + 1, '"');
        if (!end)
            return false;
        if ((size_t)(end + 1 - p) == etag_len && !memcmp(p, etag, etag_len))
            return true;
        p = end + 1;
    }
}
