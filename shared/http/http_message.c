/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * llhttp calls back with slices of whatever was fed; this file puts the slices of a head together
 * in one growing text, terminated piece by piece, and hands it over once it is complete:
 *
 *     text: "/v1/status\0Host\0localhost\0If-None-Match\0\"7\"\0"
 *            ^target     ^name ^value    ...
 *
 * Positions are kept as offsets until the head is complete, because the text moves as it grows.
 * llhttp is paused at the end of each message, so that one feed never runs into the next message
 * and the caller learns exactly how much belonged to this one.
 *
 * Limits: HTTP_HEAD_MAX bytes of head (counted raw and as text), HTTP_HEADERS_MAX headers, the body
 * as the caller says. Trailers are parsed and dropped.
 */
#include "http/http_message.h"

#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum header_state { HEADER_NONE, HEADER_NAME, HEADER_VALUE };

struct http_reader {
    llhttp_t parser;
    llhttp_settings_t settings;
    enum http_kind kind;
    const struct http_handler *handler;
    void *ctx;
    uint64_t max_body, body_bytes;
    enum status failed; /* ST_OK, or what every further call says */

    char *text; /* owned */
    size_t text_len, text_cap;
    size_t raw_head_bytes;
    struct {
        size_t name, value; /* offsets in text */
    } spans[HTTP_HEADERS_MAX];
    unsigned span_count;
    enum header_state header_state;

    bool in_message, head_done, complete;
    struct http_head head;
    struct http_header headers[HTTP_HEADERS_MAX];
};

static int fail(struct http_reader *r, enum status st)
{
    r->failed = st;
    return HPE_USER;
}

static int text_append(struct http_reader *r, const char *data, size_t len)
{
    if (len == 0) /* llhttp flushes empty spans, with no text allocated yet */
        return 0;
    if (r->text_len + len > HTTP_HEAD_MAX)
        return fail(r, ST_FULL);
    if (r->text_len + len > r->text_cap) {
        size_t cap = MAX(MAX(2 * r->text_cap, r->text_len + len), 512);
        char *grown = realloc(r->text, cap);

        if (!grown)
            return fail(r, ST_NOMEM);
        r->text = grown;
        r->text_cap = cap;
    }
    memcpy(r->text + r->text_len, data, len);
    r->text_len += len;
    return 0;
}

/* ---- llhttp's callbacks ------------------------------------------------------------------ */

static int on_message_begin(llhttp_t *p)
{
    struct http_reader *r = p->data;

    r->text_len = 0;
    r->span_count = 0;
    r->header_state = HEADER_NONE;
    r->head_done = r->complete = false;
    r->body_bytes = 0;
    r->in_message = true;
    return 0;
}

static int on_url(llhttp_t *p, const char *at, size_t len)
{
    return text_append(p->data, at, len);
}

static int on_url_complete(llhttp_t *p)
{
    return text_append(p->data, "", 1);
}

static int finish_header(struct http_reader *r)
{
    if (r->header_state != HEADER_VALUE)
        return 0;
    r->header_state = HEADER_NONE;
    r->span_count++;
    return text_append(r, "", 1);
}

static int on_header_field(llhttp_t *p, const char *at, size_t len)
{
    struct http_reader *r = p->data;
    int err;

    if (r->head_done) /* a trailer */
        return 0;
    err = finish_header(r);
    if (err)
        return err;
    if (r->header_state == HEADER_NONE) {
        if (r->span_count == HTTP_HEADERS_MAX)
            return fail(r, ST_FULL);
        r->spans[r->span_count].name = r->text_len;
        r->header_state = HEADER_NAME;
    }
    return text_append(r, at, len);
}

static int on_header_field_complete(llhttp_t *p)
{
    struct http_reader *r = p->data;
    int err;

    if (r->head_done)
        return 0;
    err = text_append(r, "", 1);
    r->spans[r->span_count].value = r->text_len;
    r->header_state = HEADER_VALUE;
    return err;
}

static int on_header_value(llhttp_t *p, const char *at, size_t len)
{
    struct http_reader *r = p->data;

    return r->head_done ? 0 : text_append(r, at, len);
}

static void build_head(struct http_reader *r)
{
    bool request = r->kind == HTTP_KIND_REQUEST;

    r->head = (struct http_head){
        .target = request ? r->text : "",
        .status = request ? 0 : (unsigned)llhttp_get_status_code(&r->parser),
        .keep_alive = llhttp_should_keep_alive(&r->parser) != 0,
        .upgrade = llhttp_get_upgrade(&r->parser) != 0,
        .headers = r->headers,
        .header_count = r->span_count,
    };
    if (request)
        snprintf(r->head.method, sizeof r->head.method, "%s",
                 llhttp_method_name((llhttp_method_t)llhttp_get_method(&r->parser)));
    for (unsigned i = 0; i < r->span_count; i++)
        r->headers[i] =
            (struct http_header){ r->text + r->spans[i].name, r->text + r->spans[i].value };
}

static int on_headers_complete(llhttp_t *p)
{
    struct http_reader *r = p->data;
    int err = finish_header(r);

    if (err)
        return -1;
    r->head_done = true;
    build_head(r);
    if (r->handler->on_head)
        r->handler->on_head(r->ctx, &r->head);
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t len)
{
    struct http_reader *r = p->data;

    r->body_bytes += len;
    if (r->max_body && r->body_bytes > r->max_body)
        return fail(r, ST_FULL);
    if (r->handler->on_body)
        r->handler->on_body(r->ctx, (const uint8_t *)at, len);
    return 0;
}

static int on_message_complete(llhttp_t *p)
{
    struct http_reader *r = p->data;

    r->complete = true;
    r->in_message = false;
    r->raw_head_bytes = 0;
    return HPE_PAUSED;
}

/* ---- the reader -------------------------------------------------------------------------- */

enum status http_reader_new(struct http_reader **out, enum http_kind kind, uint64_t max_body_bytes,
                            const struct http_handler *handler, void *ctx)
{
    struct http_reader *r = calloc(1, sizeof *r);

    if (!r)
        return ST_NOMEM;
    llhttp_settings_init(&r->settings);
    r->settings.on_message_begin = on_message_begin;
    r->settings.on_url = on_url;
    r->settings.on_url_complete = on_url_complete;
    r->settings.on_header_field = on_header_field;
    r->settings.on_header_field_complete = on_header_field_complete;
    r->settings.on_header_value = on_header_value;
    r->settings.on_headers_complete = on_headers_complete;
    r->settings.on_body = on_body;
    r->settings.on_message_complete = on_message_complete;
    r->kind = kind;
    llhttp_init(&r->parser, kind == HTTP_KIND_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &r->settings);
    r->parser.data = r;
    r->handler = handler;
    r->ctx = ctx;
    r->max_body = max_body_bytes;
    *out = r;
    return ST_OK;
}

enum status http_reader_feed(struct http_reader *r, const uint8_t **data, size_t *len_bytes)
{
    const char *start = (const char *)*data, *stop;
    llhttp_errno_t err;

    if (r->failed)
        return r->failed;
    err = llhttp_execute(&r->parser, start, *len_bytes);
    if (err == HPE_OK) {
        r->raw_head_bytes += r->head_done ? 0 : *len_bytes;
        *data += *len_bytes;
        *len_bytes = 0;
        if (r->raw_head_bytes > HTTP_HEAD_MAX)
            r->failed = ST_FULL;
        return r->failed ? r->failed : ST_QUEUED;
    }
    if (!r->complete) {
        if (!r->failed)
            r->failed = ST_PROTO;
        return r->failed;
    }
    stop = llhttp_get_error_pos(&r->parser);
    *data += stop - start;
    *len_bytes -= (size_t)(stop - start);
    r->complete = false;
    if (r->head.upgrade)
        r->failed = ST_PROTO;
    else
        llhttp_resume(&r->parser);
    return ST_OK;
}

enum status http_reader_end(struct http_reader *r)
{
    if (r->failed)
        return r->failed;
    if (!r->in_message)
        return ST_EOF;
    llhttp_finish(&r->parser);
    r->failed = ST_PROTO;
    return r->complete ? ST_OK : ST_PROTO;
}

void http_reader_free(struct http_reader *r)
{
    if (!r)
        return;
    free(r->text);
    free(r);
}
