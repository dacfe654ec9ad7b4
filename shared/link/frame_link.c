/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Every protocol but bess is a stream of records, a fixed head and a body:
 *
 *   head: [length][virtio-net header of v2]    body: [Ethernet frame]
 *
 *   on_data: | tail of a record | record | record | record | start of a record |
 *               '-> carry, whole        '-> in place            '-> carry, after on_batch_end()
 *
 * Reading. A record that lies within one on_data() is handed over where it lies. Only one that
 * straddles is put together in @carry, which holds one record of the largest size: the length is
 * checked as soon as the head is there, so nothing a peer says makes it grow. A record that is
 * dropped for its size is not collected at all, its bytes are @skip_bytes to pass over. The start
 * of the next record goes into @carry only after on_batch_end(), because until then a record that
 * was put together there is still being looked at.
 *
 * Writing. @batch is [sent | to send | being composed]. flush() hands it over in slices, because
 * the stream copies what the system does not take: at most one slice is copied, the rest stays here
 * until on_drained(). A slice may end within a record. bess has one record a write, so there each
 * is kept with its length before it, as qemu has it, and written without.
 *
 * Invariants: a frame is sent whole or not at all, and a link that ended sends nothing. No callback
 * is made from within a call. on_end() is made once, and nothing after it.
 *
 * A handler may free the link: the stream is closed then, the memory goes when the call that made
 * the callback is done (@depth, @freed).
 *
 * Limits: one allocation per link, of which only touched pages are resident. FRAME_BATCH_BYTES is
 * several times what a socket buffer takes at once; WRITE_SLICE_BYTES is below what it takes, so
 * that an uncongested link copies nothing. A last slice may be longer (WRITE_LAST_BYTES): no call
 * is made for a few bytes that are left.
 */
#include "link/frame_link.h"

#include "base/bytes.h"
#include "base/util.h"
#include "link/vnet_header.h"
#include "port/stream.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEAD_MAX_BYTES = 4 + VNET_HEADER_BYTES,
    CARRY_BYTES = HEAD_MAX_BYTES + FRAME_MAX_BYTES,
    WRITE_SLICE_BYTES = 128 * 1024,
    WRITE_LAST_BYTES = 160 * 1024,
    SMALL_FRAME_BYTES = 2048,
    SMALL_ROOM_BYTES = 64 * 1024,
    STDIO_MAX_BYTES = UINT16_MAX
};

struct frame_link {
    struct stream *stream; /* owned */
    const struct frame_link_handler *handler;
    void *ctx;
    enum frame_protocol protocol;
    size_t max_bytes;  /* of a frame, both ways */
    size_t head_bytes; /* length and virtio-net header */
    struct frame_link_stats stats;
    /* Reading */
    size_t carry_bytes; /* of the record in @carry */
    size_t skip_bytes;  /* of a dropped record, still to come */
    unsigned batch_frames;
    /* Writing: [0, sent) gone, [sent, filled) committed */
    size_t sent, filled;
    size_t reserved;    /* of the frame being composed */
    bool queued;        /* the stream has not taken everything; on_drained() will come */
    size_t small_bytes; /* of small frames accepted while @queued */
    bool broken;        /* a write failed; on_error() will come */
    bool ended, freed;
    unsigned depth; /* of callbacks */
    uint8_t carry[CARRY_BYTES];
    uint8_t batch[FRAME_BATCH_BYTES];
};

const char *frame_protocol_name(enum frame_protocol p)
{
    static const char *const names[] = {
        [FRAME_STDIO] = "stdio",
        [FRAME_QEMU] = "qemu",
        [FRAME_V2] = "v2",
        [FRAME_BESS] = "bess",
    };

    _Static_assert(ARRAY_SIZE(names) == FRAME_PROTOCOL_COUNT, "a name for each protocol");
    return names[p];
}

/* ---- records ------------------------------------------------------------------------------ */

static size_t head_bytes_of(enum frame_protocol p)
{
    switch (p) {
    case FRAME_STDIO: return 2;
    case FRAME_V2: return HEAD_MAX_BYTES;
    default: return 4;
    }
}

/* What a head says of the frame behind it. ST_PROTO: no frame has such a length. */
static enum status head_frame_bytes(const struct frame_link *l, const uint8_t *head, size_t *out)
{
    struct bytes r = bytes_of(head, l->head_bytes);
    uint32_t n;

    switch (l->protocol) {
    case FRAME_STDIO: n = bytes_le16(&r); break;
    case FRAME_V2:
        n = bytes_le32(&r);
        if (n < VNET_HEADER_BYTES)
            return ST_PROTO;
        n -= VNET_HEADER_BYTES;
        break;
    default: n = bytes_be32(&r); break;
    }
    if (n > FRAME_MAX_BYTES)
        return ST_PROTO;
    *out = n;
    return ST_OK;
}

static void put_head(const struct frame_link *l, uint8_t *head, size_t len_bytes,
                     const struct frame_offload *off)
{
    struct bytes_out w = bytes_into(head, l->head_bytes);

    switch (l->protocol) {
    case FRAME_STDIO: bytes_put_le16(&w, (uint16_t)len_bytes); break;
    case FRAME_V2:
        bytes_put_le32(&w, (uint32_t)(VNET_HEADER_BYTES + len_bytes));
        vnet_header_encode(head + 4, off);
        break;
    default: bytes_put_be32(&w, (uint32_t)len_bytes); break;
    }
}

/* ---- callbacks ---------------------------------------------------------------------------- */

/* After each piece of work that may have called the handler: @l may be gone now. */
static void leave(struct frame_link *l)
{
    if (--l->depth == 0 && l->freed)
        free(l);
}

static void end_link(struct frame_link *l, enum status why)
{
    if (l->ended || l->freed)
        return;
    l->ended = true;
    stream_read_stop(l->stream);
    l->handler->on_end(l->ctx, why);
}

static void end_batch(struct frame_link *l)
{
    if (l->batch_frames == 0 || l->freed)
        return;
    l->batch_frames = 0;
    l->handler->on_batch_end(l->ctx);
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool size_is_served(struct frame_link *l, size_t len_bytes)
{
    if (len_bytes < FRAME_MIN_BYTES)
        l->stats.rx_runt++;
    else if (len_bytes > l->max_bytes)
        l->stats.rx_oversized++;
    else
        return true;
    return false;
}

/* @vnet: the virtio-net header, NULL where the protocol has none. */
static void deliver(struct frame_link *l, const uint8_t *vnet, const uint8_t *frame,
                    size_t len_bytes)
{
    struct frame_offload off;

    if (vnet && vnet_header_decode(&off, vnet, frame, len_bytes)) {
        l->stats.rx_bad_offload++;
        return;
    }
    l->stats.rx_frames++;
    l->stats.rx_bytes += len_bytes;
    l->batch_frames++;
    l->handler->on_frame(l->ctx, frame, len_bytes, vnet ? &off : NULL);
}

static void deliver_record(struct frame_link *l, const uint8_t *record, size_t frame_bytes)
{
    deliver(l, l->protocol == FRAME_V2 ? record + 4 : NULL, record + l->head_bytes, frame_bytes);
}

/* Takes up to @want bytes in all into the carry. True: they are there. */
static bool carry_up_to(struct frame_link *l, struct bytes *r, size_t want)
{
    size_t n = l->carry_bytes < want ? MIN(want - l->carry_bytes, r->left) : 0;

    if (n > 0)
        memcpy(l->carry + l->carry_bytes, bytes_take(r, n), n);
    l->carry_bytes += n;
    return l->carry_bytes >= want;
}

/* Goes on with the record that began in an earlier read. ST_QUEUED: more is needed. */
static enum status read_carried(struct frame_link *l, struct bytes *r)
{
    size_t n;

    if (!carry_up_to(l, r, l->head_bytes))
        return ST_QUEUED;
    if (head_frame_bytes(l, l->carry, &n))
        return ST_PROTO;
    if (l->carry_bytes == l->head_bytes && !size_is_served(l, n)) {
        l->carry_bytes = 0;
        l->skip_bytes = n;
        return ST_OK;
    }
    if (!carry_up_to(l, r, l->head_bytes + n))
        return ST_QUEUED;
    l->carry_bytes = 0;
    deliver_record(l, l->carry, n);
    return ST_OK;
}

/* The next record where it lies. ST_QUEUED: what is left is the start of one. */
static enum status read_in_place(struct frame_link *l, struct bytes *r)
{
    const uint8_t *record = r->p;
    size_t n;

    if (r->left < l->head_bytes)
        return ST_QUEUED;
    if (head_frame_bytes(l, record, &n))
        return ST_PROTO;
    if (n >= FRAME_MIN_BYTES && n <= l->max_bytes && r->left < l->head_bytes + n)
        return ST_QUEUED;
    bytes_take(r, l->head_bytes);
    if (!size_is_served(l, n)) {
        l->skip_bytes = n;
        return ST_OK;
    }
    bytes_take(r, n);
    deliver_record(l, record, n);
    return ST_OK;
}

static void skip(struct frame_link *l, struct bytes *r)
{
    size_t n = MIN(l->skip_bytes, r->left);

    bytes_take(r, n);
    l->skip_bytes -= n;
}

static void read_records(struct frame_link *l, struct bytes r)
{
    enum status st = ST_OK;

    while (st == ST_OK && r.left > 0 && !l->freed) {
        if (l->skip_bytes > 0)
            skip(l, &r);
        else if (l->carry_bytes > 0)
            st = read_carried(l, &r);
        else
            st = read_in_place(l, &r);
    }
    end_batch(l);
    if (st == ST_QUEUED && r.left > 0)
        carry_up_to(l, &r, l->carry_bytes + r.left);
    if (st == ST_PROTO)
        end_link(l, ST_PROTO);
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct frame_link *l = ctx;

    if (l->ended)
        return;
    l->depth++;
    if (l->protocol != FRAME_BESS) {
        read_records(l, bytes_of(data, len_bytes));
    } else {
        if (size_is_served(l, len_bytes))
            deliver(l, NULL, data, len_bytes);
        end_batch(l);
    }
    leave(l);
}

static void on_eof(void *ctx)
{
    struct frame_link *l = ctx;

    l->depth++;
    end_link(l, ST_EOF);
    leave(l);
}

static void on_error(void *ctx, enum status why)
{
    struct frame_link *l = ctx;

    l->depth++;
    end_link(l, why);
    leave(l);
}

/* ---- writing ------------------------------------------------------------------------------ */

/* The next write: where it starts and how long it is, and what it takes off the batch. */
static size_t next_slice(const struct frame_link *l, const uint8_t **from, size_t *len_bytes)
{
    const uint8_t *p = l->batch + l->sent;
    size_t left = l->filled - l->sent;

    if (l->protocol == FRAME_BESS) {
        struct bytes r = bytes_of(p, left);

        *len_bytes = bytes_be32(&r);
        *from = r.p;
        return l->head_bytes + *len_bytes;
    }
    *from = p;
    *len_bytes = left <= WRITE_LAST_BYTES ? left : WRITE_SLICE_BYTES;
    return *len_bytes;
}

/* Sends until the stream has to queue, or everything is out. */
static void send_batch(struct frame_link *l)
{
    while (l->sent < l->filled && !l->queued && !l->ended) {
        const uint8_t *from;
        size_t len_bytes, taken = next_slice(l, &from, &len_bytes);
        enum status st = stream_write(l->stream, from, len_bytes);

        l->stats.tx_writes++;
        if (st == ST_NOMEM || st == ST_FULL)
            return;
        if (st != ST_OK && st != ST_QUEUED) {
            /* on_error() follows; until then nothing can be sent. */
            l->sent = l->filled;
            l->queued = true;
            l->broken = true;
            break;
        }
        l->sent += taken;
        l->queued = st == ST_QUEUED;
    }
    if (l->sent == l->filled && l->reserved == 0)
        l->sent = l->filled = 0;
}

static void on_drained(void *ctx)
{
    struct frame_link *l = ctx;

    l->depth++;
    l->queued = false;
    l->small_bytes = 0;
    send_batch(l);
    if (frame_link_is_writable(l))
        l->handler->on_writable(l->ctx);
    leave(l);
}

bool frame_link_is_writable(const struct frame_link *l)
{
    return !l->queued && !l->ended;
}

size_t frame_link_max_bytes(const struct frame_link *l)
{
    return l->protocol == FRAME_STDIO ? MIN(l->max_bytes, (size_t)STDIO_MAX_BYTES) : l->max_bytes;
}

bool frame_link_has_offload(const struct frame_link *l)
{
    return l->protocol == FRAME_V2;
}

/* A link that is not writable still takes a little that is small: a name's answer must not be lost
 * because a download fills the link. */
static bool has_room(const struct frame_link *l, size_t want)
{
    if (l->ended || l->broken || want > sizeof l->batch - l->filled)
        return false;
    return !l->queued || (want <= SMALL_FRAME_BYTES && l->small_bytes + want <= SMALL_ROOM_BYTES);
}

uint8_t *frame_link_reserve(struct frame_link *l, size_t max_bytes)
{
    size_t want = l->head_bytes + max_bytes;

    l->reserved = 0;
    if (frame_link_is_writable(l) && want > sizeof l->batch - l->filled)
        send_batch(l);
    if (max_bytes > frame_link_max_bytes(l) || !has_room(l, want)) {
        l->stats.tx_full++;
        return NULL;
    }
    l->reserved = want;
    return l->batch + l->filled + l->head_bytes;
}

void frame_link_commit(struct frame_link *l, size_t len_bytes, const struct frame_offload *off)
{
    ASSERT(l->reserved > 0 && l->head_bytes + len_bytes <= l->reserved);
    ASSERT(len_bytes == 0 || len_bytes >= FRAME_MIN_BYTES);
    ASSERT(!off || l->protocol == FRAME_V2 || (!off->needs_csum && off->gso == FRAME_GSO_NONE));
    l->reserved = 0;
    if (len_bytes == 0)
        return;
    put_head(l, l->batch + l->filled, len_bytes, off);
    l->filled += l->head_bytes + len_bytes;
    if (l->queued)
        l->small_bytes += l->head_bytes + len_bytes;
    l->stats.tx_frames++;
    l->stats.tx_bytes += len_bytes;
}

void frame_link_flush(struct frame_link *l)
{
    send_batch(l);
}

/* ---- life --------------------------------------------------------------------------------- */

static const struct stream_handler stream_handler = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
};

enum status frame_link_new(struct frame_link **out, struct stream *s,
                           const struct frame_link_config *config,
                           const struct frame_link_handler *handler, void *ctx)
{
    struct frame_link *l = malloc(sizeof *l);

    if (!l) {
        stream_close(s);
        return ST_NOMEM;
    }
    /* Not the buffers: their pages are to stay untouched until they are used. */
    memset(l, 0, offsetof(struct frame_link, carry));
    l->stream = s;
    l->handler = handler;
    l->ctx = ctx;
    l->protocol = config->protocol;
    l->max_bytes = config->max_frame_bytes ? MIN(config->max_frame_bytes, (size_t)FRAME_MAX_BYTES)
                                           : (size_t)FRAME_MAX_BYTES;
    l->head_bytes = head_bytes_of(config->protocol);
    stream_set_handler(s, &stream_handler, l);
    stream_read_start(s);
    *out = l;
    return ST_OK;
}

const struct frame_link_stats *frame_link_get_stats(const struct frame_link *l)
{
    return &l->stats;
}

void frame_link_free(struct frame_link *l)
{
    if (!l || l->freed)
        return;
    stream_close(l->stream);
    l->stream = NULL;
    l->freed = true;
    if (l->depth == 0)
        free(l);
}
