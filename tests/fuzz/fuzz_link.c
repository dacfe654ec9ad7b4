/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the frame link: the first byte chooses the protocol and the limit on frames, the second
 * how the rest is cut into reads. A stream that keeps what it is given stands in for both ends.
 *
 * Checked: the cuts make no difference to what is handed over, counted and how it ends; a frame is
 * within its limits and, with its offload, the same after it was sent and read once more.
 */
#include "base/util.h"
#include "link/frame_link.h"
#include "port/stream.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

/* ---- a stream into memory ----------------------------------------------------------------- */

enum { SINK_BYTES = 256 * 1024 };

struct sink {
    struct stream base; /* first */
    size_t len_bytes;
    uint8_t data[SINK_BYTES];
};

static enum status sink_write(struct stream *s, const uint8_t *data, size_t len_bytes)
{
    struct sink *sink = container_of(s, struct sink, base);

    ASSERT(len_bytes > 0 && len_bytes <= SINK_BYTES - sink->len_bytes);
    memcpy(sink->data + sink->len_bytes, data, len_bytes);
    sink->len_bytes += len_bytes;
    return ST_OK;
}

static void sink_nothing(struct stream *s)
{
}

static const struct stream_ops sink_ops = {
    .write = sink_write,
    .read_start = sink_nothing,
    .read_stop = sink_nothing,
    .close = sink_nothing,
};

/* ---- reading it --------------------------------------------------------------------------- */

struct outcome {
    uint64_t hash;
    unsigned frames, ends, batches, open_batch;
    enum status why;
    struct frame_link_stats stats;
};

struct reader {
    struct outcome out;
    size_t max_frame_bytes;
    struct frame_link *resend; /* or NULL */
};

static uint64_t hash_bytes(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001b3;
    return h;
}

static void check_offload(const struct frame_offload *off, size_t len_bytes)
{
    if (off->needs_csum)
        ASSERT(off->csum_start >= 14 &&
               (size_t)off->csum_start + off->csum_offset + 2 <= len_bytes);
    if (off->gso != FRAME_GSO_NONE)
        ASSERT(off->needs_csum && off->gso_size > 0 && off->header_bytes > off->csum_start &&
               off->header_bytes <= len_bytes);
}

static void on_frame(void *ctx, const uint8_t *frame, size_t len_bytes,
                     const struct frame_offload *off)
{
    struct reader *r = ctx;

    ASSERT(r->out.ends == 0);
    ASSERT(len_bytes >= FRAME_MIN_BYTES && len_bytes <= r->max_frame_bytes);
    r->out.frames++;
    r->out.open_batch++;
    r->out.hash = hash_bytes(r->out.hash, &len_bytes, sizeof len_bytes);
    r->out.hash = hash_bytes(r->out.hash, frame, len_bytes);
    if (off) {
        const uint16_t fields[] = { off->needs_csum,  off->csum_valid,    off->csum_start,
                                    off->csum_offset, (uint16_t)off->gso, off->gso_size,
                                    off->header_bytes };

        check_offload(off, len_bytes);
        r->out.hash = hash_bytes(r->out.hash, fields, sizeof fields);
    }
    if (r->resend) {
        uint8_t *copy = frame_link_reserve(r->resend, len_bytes);

        ASSERT(copy);
        memcpy(copy, frame, len_bytes);
        frame_link_commit(r->resend, len_bytes, off);
    }
}

static void on_batch_end(void *ctx)
{
    struct reader *r = ctx;

    ASSERT(r->out.open_batch > 0);
    r->out.open_batch = 0;
    r->out.batches++;
}

static void on_writable(void *ctx)
{
    ASSERT(!"the sink never queues");
}

static void on_end(void *ctx, enum status why)
{
    struct reader *r = ctx;

    ASSERT(r->out.open_batch == 0);
    r->out.ends++;
    r->out.why = why;
}

static const struct frame_link_handler handler = { on_frame, on_batch_end, on_writable, on_end };

static struct frame_link *open_link(struct sink *sink, enum frame_protocol protocol, size_t max,
                                    struct reader *r)
{
    const struct frame_link_config config = { .protocol = protocol, .max_frame_bytes = max };
    struct frame_link *l;

    sink->base.ops = &sink_ops;
    sink->len_bytes = 0;
    r->max_frame_bytes = max;
    ASSERT(frame_link_new(&l, &sink->base, &config, &handler, r) == ST_OK);
    return l;
}

/* Feeds the bytes in pieces of 1 to @piece_max, chosen by @seed; 0 = all at once. */
static struct outcome read_all(enum frame_protocol protocol, size_t max, const uint8_t *data,
                               size_t len_bytes, size_t piece_max, uint32_t seed,
                               struct frame_link *resend)
{
    static struct sink sink;
    struct reader r = { .resend = resend };
    struct frame_link *l = open_link(&sink, protocol, max, &r);

    while (len_bytes > 0) {
        size_t n = len_bytes;

        seed = seed * 1664525 + 1013904223;
        if (piece_max > 0)
            n = MIN(1 + (seed >> 8) % piece_max, len_bytes);
        sink.base.handler->on_data(sink.base.ctx, data, n);
        data += n;
        len_bytes -= n;
    }
    ASSERT(r.out.open_batch == 0);
    r.out.stats = *frame_link_get_stats(l);
    frame_link_free(l);
    return r.out;
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    ASSERT(a->frames == b->frames && a->hash == b->hash);
    ASSERT(a->ends == b->ends && a->why == b->why);
    ASSERT(memcmp(&a->stats, &b->stats, sizeof a->stats) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    static const size_t limits[] = { 14, 60, 1514, FRAME_MAX_BYTES };
    static struct sink sent;
    enum frame_protocol protocol;
    struct outcome whole, pieces, again;
    struct reader nobody = { .resend = NULL };
    struct frame_link *resend;
    size_t max;

    if (len_bytes < 2 || len_bytes > 65536)
        return 0;
    protocol = (enum frame_protocol)(data[0] % FRAME_PROTOCOL_COUNT);
    max = limits[data[0] >> 2 & 3];
    resend = open_link(&sent, protocol, max, &nobody);
    whole = read_all(protocol, max, data + 2, len_bytes - 2, 0, 0, resend);
    frame_link_flush(resend);
    if (protocol != FRAME_BESS) {
        pieces = read_all(protocol, max, data + 2, len_bytes - 2, 1 + data[1] % 64, data[1], NULL);
        check_same(&whole, &pieces);
    }
    again = read_all(protocol, max, sent.data, sent.len_bytes, 0, 0, NULL);
    ASSERT(again.frames == whole.frames && again.hash == whole.hash && again.ends == 0);
    frame_link_free(resend);
    return 0;
}
