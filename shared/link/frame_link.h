/* SPDX-License-Identifier: Apache-2.0
 * frame_link.h - Ethernet frames over a stream, both ways, in batches.
 *
 *   stdio   u16 little-endian length, frame             (Rancher's vm-switch)
 *   qemu    u32 big-endian length, frame                (QEMU -netdev stream)
 *   v2      u32 little-endian length of the rest, virtio-net header (12 bytes), frame: a guest's
 *           GSO super-segment of up to 64 KiB crosses as one frame, checksums need not be computed
 *   bess    one frame a message, no length: only over a stream that keeps message boundaries
 *           (unixpacket: of port/addr.h), one on_data() and one write a frame
 *
 * Reading: one on_data() of the stream is cut into all the frames it holds, which are handed over
 * in place; only a frame that straddles two reads is copied. on_batch_end() follows the last one,
 * and frame memory is valid until it returns. A frame below 14 bytes or above what was negotiated
 * is dropped and counted, also one whose virtio-net header points outside of it; a length that no
 * frame can have ends the link, never the switch.
 *
 * Writing: frames are composed in the link's own batch buffer (reserve, fill, commit) and given to
 * the stream in large writes (flush). reserve() flushes by itself when the batch is full. When the
 * stream could not take everything at once the link is not writable until on_writable(): reserve
 * then gives NULL, and who has data to send keeps it. Only frames of up to 2 KiB are still taken
 * then, 64 KiB of them at a time, for what is small and cannot wait (answers of DNS, ACKs, errors);
 * so who has much to send asks frame_link_is_writable() first.
 *
 * Owns: the stream. Runs on: its loop. Callbacks come from the loop only, never from within a call;
 * frame_link_free() may be called from any of them.
 */
#ifndef SHARED_LINK_FRAME_LINK_H
#define SHARED_LINK_FRAME_LINK_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame_link;
struct stream;

enum frame_protocol { FRAME_STDIO, FRAME_QEMU, FRAME_V2, FRAME_BESS, FRAME_PROTOCOL_COUNT };
const char *frame_protocol_name(enum frame_protocol p);

enum { FRAME_MIN_BYTES = 14, FRAME_MAX_BYTES = 65535 + 14, FRAME_BATCH_BYTES = 640 * 1024 };

/* What a virtio-net header says (virtio 1.2, 5.1.6); all zero: a plain frame with its checksums. */
enum frame_gso { FRAME_GSO_NONE, FRAME_GSO_TCP4, FRAME_GSO_TCP6, FRAME_GSO_UDP };
struct frame_offload {
    bool needs_csum; /* the checksum at csum_start + csum_offset holds only the pseudo-header */
    bool csum_valid; /* checksums were verified already */
    uint16_t csum_start, csum_offset;
    enum frame_gso gso;
    uint16_t gso_size;     /* payload bytes per segment */
    uint16_t header_bytes; /* Ethernet to end of TCP header */
};

struct frame_link_config {
    enum frame_protocol protocol;
    size_t max_frame_bytes; /* both ways; 0 = FRAME_MAX_BYTES */
};

struct frame_link_handler {
    /* @off is NULL but on v2. Its header_bytes is 0 unless gso says otherwise. */
    void (*on_frame)(void *ctx, const uint8_t *frame, size_t len_bytes,
                     const struct frame_offload *off);
    void (*on_batch_end)(void *ctx);
    void (*on_writable)(void *ctx);
    /* The link is over: ST_EOF, RESET, IO, PROTO. Last callback; frame_link_free() it. */
    void (*on_end)(void *ctx, enum status why);
};

struct frame_link_stats {
    uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
    uint64_t rx_runt, rx_oversized, rx_bad_offload; /* dropped */
    uint64_t tx_full;                               /* reserve gave NULL */
    uint64_t tx_writes;                             /* of the stream */
};

/* Takes @s in every case. ST_NOMEM. */
enum status frame_link_new(struct frame_link **out, struct stream *s,
                           const struct frame_link_config *config,
                           const struct frame_link_handler *handler, void *ctx);
/* Room for a frame of up to @max_bytes, or NULL: not writable now (on_writable() will come), or
 * more than frame_link_max_bytes(). A second call without a commit between gives the same room. */
uint8_t *frame_link_reserve(struct frame_link *l, size_t max_bytes);
/* The frame just composed there has @len_bytes (0 = none after all). @off may be NULL. */
void frame_link_commit(struct frame_link *l, size_t len_bytes, const struct frame_offload *off);
/* Sends what was committed. Call once per turn of the loop, not per frame. Out of memory: what
 * could not be sent stays, and the next reserve or flush tries again. */
void frame_link_flush(struct frame_link *l);
bool frame_link_is_writable(const struct frame_link *l);
/* The largest frame that can be sent: 65535 on stdio, whose length has 16 bits. */
size_t frame_link_max_bytes(const struct frame_link *l);
bool frame_link_has_offload(const struct frame_link *l); /* v2 */
const struct frame_link_stats *frame_link_get_stats(const struct frame_link *l);
/* NULL is fine. */
void frame_link_free(struct frame_link *l);

#endif
