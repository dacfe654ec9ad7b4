/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/status_history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct moment {
    int64_t at_ms;
    char *text; /* owned; NULL = no answer */
    size_t len_bytes;
};

struct status_history {
    struct moment moments[STATUS_HISTORY_MAX]; /* a ring */
    unsigned first, count;
    size_t total_bytes;
};

struct status_history *status_history_new(void)
{
    return calloc(1, sizeof(struct status_history));
}

static struct moment *moment_at(struct status_history *h, unsigned i)
{
    return &h->moments[(h->first + i) % STATUS_HISTORY_MAX];
}

static void drop_oldest(struct status_history *h)
{
    struct moment *m = moment_at(h, 0);

    h->total_bytes -= m->len_bytes;
    free(m->text);
    *m = (struct moment){ 0 };
    h->first = (h->first + 1) % STATUS_HISTORY_MAX;
    h->count--;
}

enum status status_history_add(struct status_history *h, int64_t at_ms, const char *text,
                               size_t len_bytes)
{
    char *copy = NULL;

    if (!text && h->count && !moment_at(h, h->count - 1)->text)
        return ST_OK;
    if (text && len_bytes > STATUS_HISTORY_BYTES_MAX)
        return ST_FULL;
    if (text) {
        copy = malloc(len_bytes + 1);
        if (!copy)
            return ST_NOMEM;
        memcpy(copy, text, len_bytes);
    } else {
        len_bytes = 0;
    }
    while (h->count == STATUS_HISTORY_MAX || h->total_bytes + len_bytes > STATUS_HISTORY_BYTES_MAX)
        drop_oldest(h);
    *moment_at(h, h->count++) = (struct moment){ at_ms, copy, len_bytes };
    h->total_bytes += len_bytes;
    return ST_OK;
}

unsigned status_history_answers(const struct status_history *h)
{
    unsigned n = 0;

    for (unsigned i = 0; i < STATUS_HISTORY_MAX; i++)
        n += h->moments[i].text != NULL;
    return n;
}

static bool write_text(page_write_fn *write, void *ctx, const char *text)
{
    return page_write_json(write, ctx, text, strlen(text));
}

static bool write_moment(const struct moment *m, bool is_first, page_write_fn *write, void *ctx)
{
    char head[64];

    snprintf(head, sizeof head, "%s{\"at\":%" PRId64 ",\"status\":", is_first ? "" : ",\n",
             m->at_ms);
    if (!write_text(write, ctx, head))
        return false;
    if (!(m->text ? page_write_json(write, ctx, m->text, m->len_bytes)
                  : write_text(write, ctx, "null")))
        return false;
    return write_text(write, ctx, "}");
}

bool status_history_save(const struct status_history *h, int64_t saved_ms, const char *from,
                         page_write_fn *write, void *ctx)
{
    char head[128];
    bool good;

    snprintf(head, sizeof head, "{\"savedAt\":%" PRId64 ",\"from\":\"%s\",\"history\":[", saved_ms,
             from);
    good = page_write_head(write, ctx) && write_text(write, ctx, head);
    for (unsigned i = 0; good && i < h->count; i++)
        good = write_moment(&h->moments[(h->first + i) % STATUS_HISTORY_MAX], i == 0, write, ctx);
    return good && write_text(write, ctx, "]}") && page_write_tail(write, ctx);
}

void status_history_free(struct status_history *h)
{
    if (!h)
        return;
    while (h->count)
        drop_oldest(h);
    free(h);
}
