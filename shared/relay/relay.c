/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: what one side says the other hears, byte for byte, end for end.
 *
 *     A --on_data--> stream_write(B)    ST_QUEUED: stop reading A until B's on_drained()
 *     A --on_eof---> stream_shutdown(B)
 *     and the same from B to A; the two directions share nothing but the streams
 *
 * Life of a byte: it arrives in the loop's scratch buffer, is offered to the other system socket in
 * the same call, and is gone; this file neither copies nor allocates. Only what the other side does
 * not take at once is copied, by its stream, and that is at most one on_data() per direction
 * because reading stops with it.
 *
 * End: a direction is over when its sender has ended (eof), the receiver was told
 * (stream_shutdown), and nothing is queued on the receiver any more; closing earlier would drop the
 * queue. When both are over, both streams are closed and done() is told ST_OK.
 *
 * Death of one side ends both, but not before its last words are out. An engine that refuses a
 * large upload answers and closes while the client still sends: our write fails, the answer waits
 * in our receive buffer. So a failed write only stops the sender; the dying stream delivers what it
 * has and then says on_error(); and what is still queued on the other side gets out before that is
 * closed too (half->stream == NULL marks the dead side meanwhile).
 *
 * Invariants: done() is called exactly once, from within an event of one of the two streams, after
 * both are closed, as the last thing the handler does: the callee may free the relay.
 * relay_start(), relay_abort() and relay_take_unanswered() never call it.
 *
 * Not done: an idle timeout (docker attach and events are silent for days), splice(2) (the bytes
 * pass through streams that are no descriptors, e.g. message-mode pipes).
 */
#include "relay/relay.h"

#include "port/stream.h"

static struct relay_half *other(struct relay_half *h)
{
    return &h->relay->half[h->side == RELAY_A ? RELAY_B : RELAY_A];
}

void relay_abort(struct relay *r)
{
    for (int i = 0; i < 2; i++) {
        stream_close(r->half[i].stream);
        r->half[i].stream = NULL;
    }
}

/* The last thing a handler does: the relay may be gone afterwards. */
static void finish(struct relay *r, enum status why, enum relay_side where)
{
    relay_abort(r);
    r->done(r->ctx, why, where);
}

static bool has_queued(const struct relay_half *h)
{
    return h->stream && stream_queued_bytes(h->stream) > 0;
}

/* Everything @h sent has left us for good. */
static bool is_over(struct relay_half *h)
{
    return h->eof && !has_queued(other(h));
}

static void finish_if_over(struct relay *r)
{
    if (is_over(&r->half[RELAY_A]) && is_over(&r->half[RELAY_B]))
        finish(r, ST_OK, RELAY_A);
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct relay_half *h = ctx;
    enum status st;

    if (h->side == RELAY_A && h->relay->tap)
        h->relay->tap(h->relay->tap_ctx, data, len_bytes);
    st = stream_write(other(h)->stream, data, len_bytes);
    h->bytes += len_bytes;
    if (st == ST_QUEUED || st == ST_RESET || st == ST_IO)
        stream_read_stop(h->stream); /* until on_drained(), or for good: on_error() comes */
    else if (st != ST_OK)
        finish(h->relay, st, other(h)->side);
}

static void on_eof(void *ctx)
{
    struct relay_half *h = ctx;

    h->eof = true;
    /* When it fails the other side is dead, and says so by on_error(). */
    if (stream_shutdown(other(h)->stream) == ST_OK)
        finish_if_over(h->relay);
}

/* @h can take more: its sender may go on. */
static void on_drained(void *ctx)
{
    struct relay_half *h = ctx;

    if (!other(h)->stream)
        finish(h->relay, h->relay->why_dead, other(h)->side);
    else if (other(h)->eof)
        finish_if_over(h->relay);
    else
        stream_read_start(other(h)->stream);
}

static void on_error(void *ctx, enum status why)
{
    struct relay_half *h = ctx;

    if (!has_queued(other(h))) {
        finish(h->relay, why, h->side);
        return;
    }
    h->relay->why_dead = why;
    stream_close(h->stream);
    h->stream = NULL;
    stream_read_stop(other(h)->stream);
}

static const struct stream_handler handler = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
};

void relay_start(struct relay *r, struct stream *a, struct stream *b, relay_done_fn *done,
                 void *ctx)
{
    r->done = done;
    r->ctx = ctx;
    r->tap = NULL;
    r->half[RELAY_A] = (struct relay_half){ .relay = r, .stream = a, .side = RELAY_A };
    r->half[RELAY_B] = (struct relay_half){ .relay = r, .stream = b, .side = RELAY_B };
    for (int i = 0; i < 2; i++)
        stream_set_handler(r->half[i].stream, &handler, &r->half[i]);
    for (int i = 0; i < 2; i++)
        stream_read_start(r->half[i].stream);
}

/* ---- a side that says nothing -------------------------------------------------------------- */

void relay_set_tap(struct relay *r, relay_tap_fn *tap, void *ctx)
{
    r->tap = tap;
    r->tap_ctx = ctx;
}

bool relay_is_unanswered(const struct relay *r)
{
    const struct relay_half *b = &r->half[RELAY_B];

    return r->half[RELAY_A].stream && b->stream && b->bytes == 0 && !b->eof;
}

struct stream *relay_take_unanswered(struct relay *r)
{
    struct stream *a = r->half[RELAY_A].stream;

    ASSERT(relay_is_unanswered(r));
    r->half[RELAY_A].stream = NULL;
    relay_abort(r);
    return a;
}
