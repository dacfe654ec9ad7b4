/* SPDX-License-Identifier: Apache-2.0 */
#include "page/page.h"

#include "page/page_source.h"

#include <string.h>

const char *page_text(size_t *len_bytes)
{
    *len_bytes = page_source_len_bytes;
    return (const char *)page_source;
}

const char *page_policy(void)
{
    return page_source_policy;
}

bool page_write_head(page_write_fn *write, void *ctx)
{
    return write(ctx, page_source, page_source_data_at);
}

/* "</script" and "<!--" are what ends or bends a script element; without '<' there is neither. The
 * other two are for whoever pastes the data elsewhere. */
static const char *escape_of(char c)
{
    switch (c) {
    case '<': return "\\u003c";
    case '>': return "\\u003e";
    case '&': return "\\u0026";
    default: return NULL;
    }
}

bool page_write_json(page_write_fn *write, void *ctx, const char *json, size_t len_bytes)
{
    size_t from = 0;

    for (size_t i = 0; i < len_bytes; i++) {
        const char *escape = escape_of(json[i]);

        if (!escape)
            continue;
        if (i > from && !write(ctx, json + from, i - from))
            return false;
        if (!write(ctx, escape, strlen(escape)))
            return false;
        from = i + 1;
    }
    return from == len_bytes || write(ctx, json + from, len_bytes - from);
}

bool page_write_tail(page_write_fn *write, void *ctx)
{
    return write(ctx, page_source + page_source_data_at,
                 page_source_len_bytes - page_source_data_at);
}
