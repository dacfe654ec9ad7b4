/* SPDX-License-Identifier: Apache-2.0 */
/* THEORY: frames on a stream
 *
 *     | length, u32 little-endian, 1..65536 | Envelope, protobuf |
 *
 * A reader is fed pieces of any size. While a frame is incomplete its bytes are kept in a buffer
 * that doubles as they come, so a peer that announces 64 KiB and sends nothing costs four bytes. A
 * frame that is complete within one piece (nearly all are) is unpacked where it lies. The buffer
 * is freed with each message: at one message a second there is nothing to gain from keeping it,
 * and an idle channel then holds none.
 *
 * Unpacking runs on an allocator with a budget. Protobuf amplifies: 64 KiB of empty elements would
 * become several MiB of structs. The allocator also tells running out of memory, which is our
 * trouble, from malformed bytes, which are the peer's; protobuf-c itself says NULL for both. What
 * it hands out comes from malloc(), so the default allocator may free it.
 */
#include "ipc/envelope.h"

#include "base/bytes.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BUFFER_BYTES = 256 };

struct budget {
    size_t left_bytes;
    bool is_spent;
    bool is_out_of_memory;
};

static void *budget_alloc(void *ctx, size_t len_bytes)
{
    struct budget *b = ctx;
    void *p;

    if (len_bytes > b->left_bytes) {
        b->is_spent = true;
        return NULL;
    }
    p = malloc(len_bytes);
    if (!p) {
        b->is_out_of_memory = true;
        return NULL;
    }
    b->left_bytes -= len_bytes;
    return p;
}

static void budget_free(void *ctx, void *p)
{
    free(p);
}

static enum status fail(enum channel_end *why, enum channel_end end)
{
    *why = end;
    return end == CHANNEL_END_NO_MEMORY ? ST_NOMEM : ST_PROTO;
}

static enum status unpack(const uint8_t *body, size_t len_bytes, Rdlink__V1__Envelope **out,
                          enum channel_end *why)
{
    struct budget budget = { .left_bytes = ENVELOPE_MAX_UNPACKED };
    ProtobufCAllocator allocator = { budget_alloc, budget_free, &budget };
    Rdlink__V1__Envelope *msg = rdlink__v1__envelope__unpack(&allocator, len_bytes, body);

    if (budget.is_out_of_memory || budget.is_spent) {
        rdlink__v1__envelope__free_unpacked(msg, NULL);
        return fail(why, budget.is_spent ? CHANNEL_END_OVERSIZED : CHANNEL_END_NO_MEMORY);
    }
    if (!msg)
        return fail(why, CHANNEL_END_MALFORMED);
    *out = msg;
    return ST_OK;
}

static void consume(const uint8_t **data, size_t *len_bytes, size_t n)
{
    *data += n;
    *len_bytes -= n;
}

/* ST_OK: the header is complete and its length good. */
static enum status read_header(struct envelope_reader *r, const uint8_t **data, size_t *len_bytes,
                               enum channel_end *why)
{
    size_t n = MIN(*len_bytes, ENVELOPE_HEADER_BYTES - r->have_bytes);
    struct bytes b;

    if (n > 0)
        memcpy(r->header + r->have_bytes, *data, n);
    r->have_bytes += n;
    consume(data, len_bytes, n);
    if (r->have_bytes < ENVELOPE_HEADER_BYTES)
        return ST_QUEUED;
    b = bytes_of(r->header, sizeof r->header);
    r->len_bytes = bytes_le32(&b);
    if (r->len_bytes == 0)
        return fail(why, CHANNEL_END_EMPTY);
    if (r->len_bytes > IPC_MAX_MESSAGE)
        return fail(why, CHANNEL_END_OVERSIZED);
    return ST_OK;
}

/* Room for @want bytes of the body; @want is at most r->len_bytes. */
static enum status reserve(struct envelope_reader *r, size_t want)
{
    size_t cap = r->cap_bytes ? r->cap_bytes : FIRST_BUFFER_BYTES;
    uint8_t *body;

    if (want <= r->cap_bytes)
        return ST_OK;
    while (cap < want)
        cap *= 2;
    cap = MIN(cap, r->len_bytes);
    body = realloc(r->body, cap);
    if (!body)
        return ST_NOMEM;
    r->body = body;
    r->cap_bytes = cap;
    return ST_OK;
}

enum status envelope_read(struct envelope_reader *r, const uint8_t **data, size_t *len_bytes,
                          Rdlink__V1__Envelope **out, enum channel_end *why)
{
    enum status st;
    size_t have, n;

    if (r->have_bytes < ENVELOPE_HEADER_BYTES) {
        st = read_header(r, data, len_bytes, why);
        if (st)
            return st;
    }
    have = r->have_bytes - ENVELOPE_HEADER_BYTES;
    n = MIN(*len_bytes, r->len_bytes - have);
    if (have == 0 && n == r->len_bytes) {
        st = unpack(*data, n, out, why);
        consume(data, len_bytes, n);
        r->have_bytes = 0;
        return st;
    }
    if (n > 0) {
        if (reserve(r, have + n))
            return fail(why, CHANNEL_END_NO_MEMORY);
        memcpy(r->body + have, *data, n);
        r->have_bytes += n;
        consume(data, len_bytes, n);
    }
    if (have + n < r->len_bytes)
        return ST_QUEUED;
    st = unpack(r->body, r->len_bytes, out, why);
    envelope_reader_fini(r);
    return st;
}

bool envelope_reader_is_between(const struct envelope_reader *r)
{
    return r->have_bytes == 0;
}

void envelope_reader_fini(struct envelope_reader *r)
{
    free(r->body);
    *r = (struct envelope_reader){ 0 };
}

enum status envelope_pack(const Rdlink__V1__Envelope *msg, uint8_t **frame, size_t *len_bytes)
{
    size_t n = rdlink__v1__envelope__get_packed_size(msg);
    struct bytes_out w;
    uint8_t *p;

    if (n == 0 || n > IPC_MAX_MESSAGE)
        return ST_INVAL;
    p = malloc(ENVELOPE_HEADER_BYTES + n);
    if (!p)
        return ST_NOMEM;
    w = bytes_into(p, ENVELOPE_HEADER_BYTES);
    bytes_put_le32(&w, (uint32_t)n);
    rdlink__v1__envelope__pack(msg, p + ENVELOPE_HEADER_BYTES);
    *frame = p;
    *len_bytes = ENVELOPE_HEADER_BYTES + n;
    return ST_OK;
}
