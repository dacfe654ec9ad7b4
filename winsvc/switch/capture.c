/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * A watcher of the switch's frames that writes those it wants as a pcapng file (IETF draft
 * draft-ietf-opsawg-pcapng) to a stream:
 *
 *   section header, interface | enhanced packet, enhanced packet ... | interface statistics
 *
 *   frame --facts--> each capture: filter --> batch (128 KiB) --at the end of the turn--> stream
 *
 * The switch never waits for a capture. While more than 256 KiB wait in the stream frames are lost
 * to it, and the file says so: how many since the packet before (epb_dropcount), and the sums at
 * the end (isb_ifdrop). The direction is seen from the switch: what the guest sent is inbound.
 *
 * What is shown is what crosses the link. On a link with offloads a super-segment is one frame of
 * up to 64 KiB, and its checksums are left to whoever sends it on, so they look wrong in the file.
 * Times are the host's wall clock, in microseconds.
 *
 * Within on_frame() nothing ends, because the switch is in the middle of its work: a stream that
 * fails there says so later by itself, and a file that is full ends by the timer.
 *
 * Life: RUNNING until its size, its time or the end of its reader's direction (who asks for a file
 * and closes does not want more of it); then the statistics are written and our direction ends;
 * ENDING until the reader has gone, five seconds at most.
 */
#include "switch/capture.h"

#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "port/stream.h"
#include "switch/switch_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    BATCH_BYTES = 128 * 1024,
    QUEUED_MAX = 256 * 1024, /* more than that in the stream: frames are lost */
    LINGER_MS = 5000,
    END_BYTES = 128 /* what is kept back for the statistics */
};

/* pcapng: block types and options */
enum { BLOCK_INTERFACE = 1, BLOCK_STATISTICS = 5, BLOCK_PACKET = 6 };
enum { OPTION_END = 0, SHB_USERAPPL = 4, IF_NAME = 2, IF_FILTER = 11, EPB_FLAGS = 2 };
enum { EPB_DROPCOUNT = 4, ISB_STARTTIME = 2, ISB_ENDTIME = 3, ISB_IFRECV = 4, ISB_IFDROP = 5 };
enum { ISB_FILTERACCEPT = 6, LINKTYPE_ETHERNET = 1, PACKET_FIXED_BYTES = 64 };
enum { FLAG_INBOUND = 1, FLAG_OUTBOUND = 2 };

struct capture {
    struct list link;
    struct captures *all;
    struct stream *stream; /* owned */
    struct capture_config config;
    bool is_ending, is_full, is_read_out; /* read_out: the reader has ended its direction */
    struct timer flush, end;              /* end: of the time, then of the linger */
    uint8_t *batch;                       /* owned */
    size_t batch_bytes;
    uint64_t file_bytes, started_us;
    uint64_t seen, wanted, lost;
    uint64_t lost_since; /* the last packet written */
};

struct captures {
    struct switch_ *owner;
    struct list running; /* and ending */
    unsigned count;
};

/* ---- blocks ------------------------------------------------------------------------------ */

static uint64_t now_us(const struct captures *all)
{
    const struct switch_env *env = &all->owner->env;

    return env->wall_us ? (uint64_t)env->wall_us() : loop_now_ms(env->loop) * 1000;
}

static void put_le64(struct bytes_out *w, uint64_t v)
{
    bytes_put_le32(w, (uint32_t)v);
    bytes_put_le32(w, (uint32_t)(v >> 32));
}

/* Times are two halves, the high one first. */
static void put_time(struct bytes_out *w, uint64_t us)
{
    bytes_put_le32(w, (uint32_t)(us >> 32));
    bytes_put_le32(w, (uint32_t)us);
}

static void put_padded(struct bytes_out *w, const void *data, size_t len_bytes)
{
    static const uint8_t zeros[3];

    bytes_put(w, data, len_bytes);
    bytes_put(w, zeros, -len_bytes & 3);
}

static void put_option(struct bytes_out *w, uint16_t code, const void *value, size_t len_bytes)
{
    bytes_put_le16(w, code);
    bytes_put_le16(w, (uint16_t)len_bytes);
    put_padded(w, value, len_bytes);
}

static void put_option_u64(struct bytes_out *w, uint16_t code, uint64_t v)
{
    bytes_put_le16(w, code);
    bytes_put_le16(w, 8);
    put_le64(w, v);
}

static void put_option_time(struct bytes_out *w, uint16_t code, uint64_t us)
{
    bytes_put_le16(w, code);
    bytes_put_le16(w, 8);
    put_time(w, us);
}

/* Where the block begins in @w. */
static size_t block_begin(struct bytes_out *w, uint32_t type)
{
    size_t at = w->len_bytes;

    bytes_put_le32(w, type);
    bytes_put_le32(w, 0); /* block_end() knows */
    return at;
}

static void block_end(struct bytes_out *w, size_t at)
{
    uint32_t len = (uint32_t)(w->len_bytes - at) + 4;
    struct bytes_out length = bytes_into(w->p + at + 4, 4);

    bytes_put_le32(w, len);
    ASSERT(bytes_out_ok(w));
    bytes_put_le32(&length, len);
}

static void put_section(struct bytes_out *w)
{
    size_t at = block_begin(w, 0x0a0d0d0a);

    bytes_put_le32(w, 0x1a2b3c4d); /* byte order */
    bytes_put_le16(w, 1);
    bytes_put_le16(w, 0);
    put_le64(w, UINT64_MAX); /* its length is not known */
    put_option(w, SHB_USERAPPL, "rdlink", 6);
    put_option(w, OPTION_END, NULL, 0);
    block_end(w, at);
}

static void put_interface(struct bytes_out *w, const struct capture_config *c)
{
    size_t at = block_begin(w, BLOCK_INTERFACE);
    char filter[CAPTURE_TEXT_MAX + 1] = { 0 }; /* kind 0: text */
    size_t n = strlen(c->filter_text);

    bytes_put_le16(w, LINKTYPE_ETHERNET);
    bytes_put_le16(w, 0);
    bytes_put_le32(w, c->snaplen);
    put_option(w, IF_NAME, "switch", 6);
    if (n) {
        memcpy(filter + 1, c->filter_text, n);
        put_option(w, IF_FILTER, filter, n + 1);
    }
    put_option(w, OPTION_END, NULL, 0);
    block_end(w, at);
}

static void put_packet(struct bytes_out *w, const struct capture *c, bool to_guest,
                       const uint8_t *frame, size_t len_bytes, size_t kept)
{
    size_t at = block_begin(w, BLOCK_PACKET);

    bytes_put_le32(w, 0); /* the interface */
    put_time(w, now_us(c->all));
    bytes_put_le32(w, (uint32_t)kept);
    bytes_put_le32(w, (uint32_t)len_bytes);
    put_padded(w, frame, kept);
    bytes_put_le16(w, EPB_FLAGS);
    bytes_put_le16(w, 4);
    bytes_put_le32(w, to_guest ? FLAG_OUTBOUND : FLAG_INBOUND);
    if (c->lost_since)
        put_option_u64(w, EPB_DROPCOUNT, c->lost_since);
    put_option(w, OPTION_END, NULL, 0);
    block_end(w, at);
}

static void put_statistics(struct bytes_out *w, const struct capture *c)
{
    size_t at = block_begin(w, BLOCK_STATISTICS);
    uint64_t now = now_us(c->all);

    bytes_put_le32(w, 0);
    put_time(w, now);
    put_option_time(w, ISB_STARTTIME, c->started_us);
    put_option_time(w, ISB_ENDTIME, now);
    put_option_u64(w, ISB_IFRECV, c->seen);
    put_option_u64(w, ISB_IFDROP, c->lost);
    put_option_u64(w, ISB_FILTERACCEPT, c->wanted);
    put_option(w, OPTION_END, NULL, 0);
    block_end(w, at);
}

/* ---- writing ----------------------------------------------------------------------------- */

static struct bytes_out batch_room(struct capture *c)
{
    return bytes_into(c->batch + c->batch_bytes, BATCH_BYTES - c->batch_bytes);
}

static void batch_added(struct capture *c, const struct bytes_out *w)
{
    c->batch_bytes += w->len_bytes;
    c->file_bytes += w->len_bytes;
}

/* A stream that dies says so by on_error(). */
static void write_batch(struct capture *c)
{
    if (c->batch_bytes)
        (void)stream_write(c->stream, c->batch, c->batch_bytes);
    c->batch_bytes = 0;
}

static void close_capture(struct capture *c)
{
    struct captures *all = c->all;

    timer_stop(&c->flush);
    timer_stop(&c->end);
    list_remove(&c->link);
    if (--all->count == 0)
        switch_watch_frames(all->owner, NULL, NULL);
    stream_close(c->stream);
    free(c->batch);
    free(c);
}

/* Completes the file. */
static void finish(struct capture *c)
{
    struct bytes_out w;

    if (c->is_ending)
        return;
    c->is_ending = true;
    if (BATCH_BYTES - c->batch_bytes < END_BYTES)
        write_batch(c);
    w = batch_room(c);
    put_statistics(&w, c);
    batch_added(c, &w);
    write_batch(c);
    stream_shutdown(c->stream);
    timer_stop(&c->flush);
    timer_start(&c->end, LINGER_MS);
    log_limited(LOG_INFO, LOG_SWITCH, "capture over: packets=%llu lost=%llu bytes=%llu",
                (unsigned long long)(c->wanted - c->lost), (unsigned long long)c->lost,
                (unsigned long long)c->file_bytes);
}

static void on_flush(void *ctx)
{
    struct capture *c = ctx;

    write_batch(c);
    if (c->is_full)
        finish(c);
}

static void on_end(void *ctx)
{
    struct capture *c = ctx;

    if (c->is_ending)
        close_capture(c);
    else
        finish(c);
}

/* ---- frames ------------------------------------------------------------------------------ */

/* Room for a packet of @need bytes, by what the stream takes now. */
static bool has_room(struct capture *c, size_t need)
{
    if (c->batch_bytes + need > BATCH_BYTES)
        write_batch(c);
    return c->batch_bytes + need <= BATCH_BYTES && stream_queued_bytes(c->stream) <= QUEUED_MAX;
}

static void take_frame(struct capture *c, bool to_guest, const uint8_t *frame, size_t len_bytes)
{
    size_t kept = MIN(len_bytes, c->config.snaplen);
    size_t need = kept + PACKET_FIXED_BYTES;
    struct bytes_out w;

    c->wanted++;
    if (c->file_bytes + need + END_BYTES > c->config.max_bytes) {
        c->is_full = true;
        c->wanted--; /* the file ends before this one */
    } else if (!has_room(c, need)) {
        c->lost++;
        c->lost_since++;
    } else {
        w = batch_room(c);
        put_packet(&w, c, to_guest, frame, len_bytes, kept);
        batch_added(c, &w);
        c->lost_since = 0;
    }
    if (!timer_is_running(&c->flush))
        timer_start(&c->flush, 0);
}

static void on_frame(void *ctx, bool to_guest, const uint8_t *frame, size_t len_bytes,
                     const struct frame_offload *off)
{
    struct captures *all = ctx;
    struct frame_facts facts;
    struct list *it, *tmp;

    (void)off;
    frame_facts_get(&facts, frame, len_bytes);
    list_for_each(it, tmp, &all->running)
    {
        struct capture *c = container_of(it, struct capture, link);

        if (c->is_ending || c->is_full)
            continue;
        c->seen++;
        if (capture_filter_wants(&c->config.filter, &facts))
            take_frame(c, to_guest, frame, len_bytes);
    }
}

/* ---- the reader -------------------------------------------------------------------------- */

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    (void)ctx;
    (void)data;
    (void)len_bytes; /* nothing that follows the request means anything */
}

static void on_eof(void *ctx)
{
    struct capture *c = ctx;

    c->is_read_out = true;
    finish(c);
    if (!stream_queued_bytes(c->stream))
        close_capture(c);
}

/* While it runs: the next frame finds room again. */
static void on_drained(void *ctx)
{
    struct capture *c = ctx;

    if (c->is_read_out)
        close_capture(c);
}

static void on_error(void *ctx, enum status why)
{
    struct capture *c = ctx;

    log_limited(LOG_INFO, LOG_SWITCH, "capture: its reader is gone: %s", status_text(why));
    close_capture(c);
}

static const struct stream_handler handler = { on_data, on_eof, on_drained, on_error };

/* ---- life -------------------------------------------------------------------------------- */

enum status captures_new(struct captures **out, struct switch_ *s)
{
    struct captures *all = calloc(1, sizeof *all);

    if (!all)
        return ST_NOMEM;
    all->owner = s;
    list_init(&all->running);
    *out = all;
    return ST_OK;
}

bool captures_are_full(const struct captures *all)
{
    return all->count >= all->owner->config.limits.captures;
}

static struct capture *new_capture(struct captures *all)
{
    struct capture *c = calloc(1, sizeof *c);

    if (c)
        c->batch = malloc(BATCH_BYTES);
    if (!c || !c->batch) {
        free(c);
        return NULL;
    }
    c->all = all;
    timer_init(&c->flush, all->owner->env.loop, on_flush, c);
    timer_init(&c->end, all->owner->env.loop, on_end, c);
    return c;
}

enum status capture_start(struct captures *all, struct stream *stream,
                          const struct capture_config *config)
{
    bool is_full = captures_are_full(all);
    struct capture *c = is_full ? NULL : new_capture(all);
    struct bytes_out w;

    if (!c) {
        stream_close(stream);
        return is_full ? ST_FULL : ST_NOMEM;
    }
    c->stream = stream;
    c->config = *config;
    c->started_us = now_us(all);
    w = batch_room(c);
    put_section(&w);
    put_interface(&w, config);
    batch_added(c, &w);
    list_append(&all->running, &c->link);
    if (all->count++ == 0)
        switch_watch_frames(all->owner, on_frame, all);
    timer_start(&c->flush, 0);
    timer_start(&c->end, (uint64_t)config->seconds * 1000);
    stream_set_handler(stream, &handler, c);
    stream_read_start(stream);
    log_limited(LOG_INFO, LOG_SWITCH, "capture started: filter=\"%s\"", config->filter_text);
    return ST_OK;
}

void captures_free(struct captures *all)
{
    struct list *it, *tmp;

    if (!all)
        return;
    list_for_each(it, tmp, &all->running)
    {
        struct capture *c = container_of(it, struct capture, link);

        finish(c);
        close_capture(c);
    }
    free(all);
}
