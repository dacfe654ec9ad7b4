/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 *
 *     guest's kernel --tap_read()--> room in the link's batch --flush()--> stream --> host
 *     guest's kernel <--tap_write()-- the link's receive buffer <-- on_frame() <-- stream <-- host
 *
 * One turn towards the host reads the device until it is empty, TURN_FRAMES have been read or the
 * link takes no more, and writes once. The bound is for the other direction: the device is
 * level-triggered, so what is left is read in the next turn, after the link has had its own. A turn
 * towards the guest is as long as one read of the stream.
 *
 * Back-pressure is one way only. When the link is not writable the device is paused, and the
 * kernel's queue holds what the guest sends and then drops it, which its TCP takes for what it is.
 * A full device drops frames towards the guest right here: a frame kept for it would hold up all
 * those behind it.
 *
 * Offload follows the link: on v2 the device may hand out super-segments with checksums undone, on
 * any other link not. What was in its queue when that changed is dropped (dropped_bad), there is no
 * way to say it on the new link; TCP sends it again.
 *
 * Without a link the device is still read, and what it says is dropped: a host that comes back
 * shall not get seconds-old packets first.
 */
#include "guestagent/net/tap_bridge.h"

#include "guestagent/net/tap.h"
#include "port/loop.h"
#include "port/stream.h"

#include <stdlib.h>
#include <string.h>

enum { TURN_FRAMES = 128 };

struct tap_bridge {
    struct loop *loop;
    const struct tap_bridge_ops *ops;
    void *ctx;
    struct tap *tap;         /* borrowed; NULL: none */
    struct frame_link *link; /* owned; NULL: none */
    bool paused;             /* the tap is */
    struct tap_bridge_stats stats;
    uint8_t dropped[FRAME_MAX_BYTES]; /* where frames go that go nowhere */
};

static void pause_tap(struct tap_bridge *b, bool paused)
{
    if (b->tap && b->paused != paused)
        tap_pause(b->tap, paused);
    b->paused = paused;
}

/* ---- to the host ----------------------------------------------------------------------------- */

/* A frame that came with @off cannot be said on this link. */
static bool can_say(const struct tap_bridge *b, const struct frame_offload *off)
{
    return frame_link_has_offload(b->link) || (!off->needs_csum && off->gso == FRAME_GSO_NONE);
}

/* One frame from the device into the link's batch. ST_AGAIN: none there. Anything else but ST_OK
 * ends the turn. */
static enum status carry_one(struct tap_bridge *b)
{
    size_t cap = frame_link_max_bytes(b->link), len_bytes = 0;
    uint8_t *room = frame_link_reserve(b->link, cap);
    struct frame_offload off = { 0 };
    enum status st;

    if (!room)
        return ST_FULL;
    st = tap_read(b->tap, room, cap, &len_bytes, &off);
    if (st == ST_OK && len_bytes >= FRAME_MIN_BYTES && can_say(b, &off)) {
        frame_link_commit(b->link, len_bytes, frame_link_has_offload(b->link) ? &off : NULL);
        b->stats.to_host_frames++;
        b->stats.to_host_bytes += len_bytes;
        return ST_OK;
    }
    frame_link_commit(b->link, 0, NULL);
    if (st != ST_OK && st != ST_FULL)
        return st;
    b->stats.dropped_bad++;
    return ST_OK;
}

static void carry_turn(struct tap_bridge *b)
{
    enum status st = ST_OK;

    for (unsigned i = 0; i < TURN_FRAMES && st == ST_OK; i++)
        st = frame_link_is_writable(b->link) ? carry_one(b) : ST_FULL;
    frame_link_flush(b->link);
    if (!frame_link_is_writable(b->link))
        pause_tap(b, true);
}

static void drop_turn(struct tap_bridge *b)
{
    struct frame_offload off;
    size_t len_bytes;

    for (unsigned i = 0; i < TURN_FRAMES; i++) {
        enum status st = tap_read(b->tap, b->dropped, sizeof b->dropped, &len_bytes, &off);

        if (st != ST_OK && st != ST_FULL)
            return;
        b->stats.dropped_no_link++;
    }
}

void tap_bridge_on_tap(struct tap_bridge *b)
{
    if (!b->tap)
        return;
    if (b->link)
        carry_turn(b);
    else
        drop_turn(b);
}

void tap_bridge_send(struct tap_bridge *b, const uint8_t *frame, size_t len_bytes)
{
    uint8_t *room = b->link ? frame_link_reserve(b->link, len_bytes) : NULL;

    if (!room) {
        ++*(b->link ? &b->stats.dropped_link_full : &b->stats.dropped_no_link);
        return;
    }
    memcpy(room, frame, len_bytes);
    frame_link_commit(b->link, len_bytes, NULL);
    frame_link_flush(b->link);
    b->stats.to_host_frames++;
    b->stats.to_host_bytes += len_bytes;
}

/* ---- to the guest ---------------------------------------------------------------------------- */

static void on_frame(void *ctx, const uint8_t *frame, size_t len_bytes,
                     const struct frame_offload *off)
{
    struct tap_bridge *b = ctx;

    b->stats.to_guest_frames++;
    b->stats.to_guest_bytes += len_bytes;
    if (b->ops->on_frame(b->ctx, frame, len_bytes))
        return;
    if (!b->tap || tap_write(b->tap, frame, len_bytes, off) != ST_OK)
        b->stats.dropped_tap_full++;
}

static void on_batch_end(void *ctx)
{
    struct tap_bridge *b = ctx;

    b->stats.last_rx_ms = loop_now_ms(b->loop);
}

static void on_writable(void *ctx)
{
    pause_tap(ctx, false);
}

static void drop_link(struct tap_bridge *b)
{
    const struct frame_link_stats *s;

    if (!b->link)
        return;
    s = frame_link_get_stats(b->link);
    b->stats.dropped_bad += s->rx_runt + s->rx_oversized + s->rx_bad_offload;
    frame_link_free(b->link);
    b->link = NULL;
    pause_tap(b, false);
}

static void on_end(void *ctx, enum status why)
{
    struct tap_bridge *b = ctx;

    drop_link(b);
    b->ops->on_link_end(b->ctx, why);
}

static const struct frame_link_handler link_handler = {
    .on_frame = on_frame,
    .on_batch_end = on_batch_end,
    .on_writable = on_writable,
    .on_end = on_end,
};

/* ---- both ends ------------------------------------------------------------------------------- */

static void follow_offload(struct tap_bridge *b)
{
    if (b->tap && b->link)
        tap_set_offload(b->tap, frame_link_has_offload(b->link));
}

enum status tap_bridge_new(struct tap_bridge **out, struct loop *loop,
                           const struct tap_bridge_ops *ops, void *ctx)
{
    struct tap_bridge *b = calloc(1, sizeof *b);

    if (!b)
        return ST_NOMEM;
    b->loop = loop;
    b->ops = ops;
    b->ctx = ctx;
    *out = b;
    return ST_OK;
}

void tap_bridge_set_tap(struct tap_bridge *b, struct tap *tap)
{
    b->tap = tap;
    b->paused = false;
    if (tap && b->link && !frame_link_is_writable(b->link))
        pause_tap(b, true);
    follow_offload(b);
}

enum status tap_bridge_attach(struct tap_bridge *b, struct stream *s, enum frame_protocol protocol)
{
    const struct frame_link_config config = { .protocol = protocol };
    enum status st;

    drop_link(b);
    st = frame_link_new(&b->link, s, &config, &link_handler, b);
    if (st == ST_OK)
        follow_offload(b);
    return st;
}

void tap_bridge_detach(struct tap_bridge *b)
{
    drop_link(b);
}

bool tap_bridge_has_link(const struct tap_bridge *b)
{
    return b->link != NULL;
}

const struct tap_bridge_stats *tap_bridge_stats(const struct tap_bridge *b)
{
    return &b->stats;
}

void tap_bridge_free(struct tap_bridge *b)
{
    if (!b)
        return;
    drop_link(b);
    free(b);
}
