/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the HTTP reader as requests and as responses, cut in two ways that must agree.
 *
 * Checked: heads and bodies are the same however the bytes arrive, bounds hold, a dead reader stays
 * dead.
 */
#include "base/util.h"
#include "http/http_message.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

enum { BODY_MAX = 4096 };

struct outcome {
    unsigned heads, messages;
    size_t head_chars, body_bytes;
    enum status st, end;
    bool upgraded;
};

static void on_head(void *ctx, const struct http_head *head)
{
    struct outcome *o = ctx;
    const char *query;

    ASSERT(head->header_count <= HTTP_HEADERS_MAX);
    o->heads++;
    o->upgraded |= head->upgrade;
    o->head_chars += strlen(head->method) + strlen(head->target);
    ASSERT(http_target_path(head->target, &query) <= strlen(head->target));
    for (unsigned i = 0; i < head->header_count; i++) {
        o->head_chars += strlen(head->headers[i].name) + strlen(head->headers[i].value);
        ASSERT(http_head_find(head, head->headers[i].name));
    }
    ASSERT(o->head_chars <= (size_t)o->heads * HTTP_HEAD_MAX);
}

static void on_body(void *ctx, const uint8_t *data, size_t len_bytes)
{
    ((struct outcome *)ctx)->body_bytes += len_bytes;
}

static const struct http_handler handler = { on_head, on_body };

static struct outcome read_in_pieces(enum http_kind kind, const uint8_t *data, size_t len_bytes,
                                     size_t piece_bytes)
{
    struct outcome o = { .st = ST_QUEUED };
    struct http_reader *r = NULL;
    bool is_raw = false;

    ASSERT(http_reader_new(&r, kind, BODY_MAX, &handler, &o) == ST_OK);
    for (size_t at = 0; at < len_bytes && o.st == ST_QUEUED && !is_raw; at += piece_bytes) {
        const uint8_t *p = data + at;
        size_t left = MIN(len_bytes - at, piece_bytes);

        do {
            o.st = http_reader_feed(r, &p, &left);
            if (o.st != ST_OK)
                break;
            o.messages++;
            o.st = ST_QUEUED;
            is_raw = o.upgraded; /* what follows is not the reader's */
        } while (left > 0 && !is_raw);
    }
    if (o.st == ST_QUEUED && !is_raw)
        o.end = http_reader_end(r);
    ASSERT(o.body_bytes <= (size_t)(o.messages + 1) * BODY_MAX);
    http_reader_free(r);
    return o;
}

static void fuzz_kind(enum http_kind kind, const uint8_t *data, size_t len_bytes)
{
    struct outcome whole = read_in_pieces(kind, data, len_bytes, len_bytes ? len_bytes : 1);
    struct outcome bytewise = read_in_pieces(kind, data, len_bytes, 1);

    ASSERT(whole.heads == bytewise.heads && whole.messages == bytewise.messages);
    ASSERT(whole.head_chars == bytewise.head_chars);
    if (whole.st == ST_QUEUED) {
        ASSERT(bytewise.st == ST_QUEUED && whole.body_bytes == bytewise.body_bytes);
        ASSERT(whole.end == bytewise.end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    fuzz_kind(HTTP_KIND_REQUEST, data, len_bytes);
    fuzz_kind(HTTP_KIND_RESPONSE, data, len_bytes);
    return 0;
}
