/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: a struct stream whose every piece, stall, end and fault is decided by a test.
 *
 *     far end --> in[] --on_readable--> on_data(), on_eof()          (at most @piece a time)
 *     stream_write() --> room? far end : queued[] --on_writable--> far end, then on_drained()
 *
 * The far end is the test (@received, @room), or the other stream of a pair (its @in, @window).
 * Both sides have an event of their own, so that a shuffled sim reorders reading against writing,
 * but never bytes against the end or the error that follows them.
 *
 * What is handed to on_data() is a copy of exactly that length, freed after the call: whoever reads
 * past it or keeps it is caught by AddressSanitizer. A closed stream stays in memory until
 * sim_free(), so that a use after close is an ASSERT and not luck.
 */
#include "port/sim/stream_sim.h"

#include "port/sim/sim_internal.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PIECE = 65536, DEFAULT_WINDOW = 65536 };

/* ---- bytes ------------------------------------------------------------------------------- */

static void bytes_reserve(struct sim_bytes *b, size_t len)
{
    uint8_t *data;

    if (b->len + len <= b->cap)
        return;
    b->cap = MAX(2 * b->cap, b->len + len);
    data = realloc(b->data, b->cap);
    if (!data) /* as in sim_alloc() */
        data = realloc(b->data, b->cap);
    ASSERT(data != NULL);
    b->data = data;
}

void sim_bytes_append(struct sim_bytes *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    bytes_reserve(b, len);
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void sim_bytes_prepend(struct sim_bytes *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    bytes_reserve(b, len);
    memmove(b->data + len, b->data, b->len);
    memcpy(b->data, data, len);
    b->len += len;
}

void sim_bytes_consume(struct sim_bytes *b, size_t len)
{
    ASSERT(len <= b->len);
    b->len -= len;
    if (b->len)
        memmove(b->data, b->data + len, b->len);
}

/* ---- moving bytes to the far end --------------------------------------------------------- */

static size_t far_end_room(const struct sim_peer *p)
{
    if (!p->pair)
        return p->room;
    if (p->pair->closed) /* nobody will read it; the system takes it all the same */
        return SIZE_MAX;
    return p->window - MIN(p->window, p->pair->in.len);
}

static void far_end_take(struct sim_peer *p, const uint8_t *data, size_t len)
{
    if (!p->pair) {
        sim_bytes_append(&p->received, data, len);
        if (p->room != SIZE_MAX)
            p->room -= len;
    } else if (!p->pair->closed) {
        sim_bytes_append(&p->pair->in, data, len);
        sim_event_post(p->sim, &p->pair->on_readable, 0);
    }
}

/* Passes the end on once nothing is queued before it. */
static void finish_shutdown(struct sim_peer *p)
{
    if (!p->shut || p->queued.len || p->out_ended)
        return;
    p->out_ended = true;
    if (p->pair) {
        p->pair->in_ended = true;
        sim_event_post(p->sim, &p->pair->on_readable, 0);
    }
}

static void notice_dead(struct sim_peer *p)
{
    p->noticed_dead = true;
    sim_event_post(p->sim, &p->on_readable, 0);
}

static void tell_error(struct sim_peer *p)
{
    if (!p->noticed_dead || p->told_error)
        return;
    p->told_error = true;
    p->stream.handler->on_error(p->stream.ctx, p->dead);
}

static void readable(struct sim_event *e)
{
    struct sim_peer *p = container_of(e, struct sim_peer, on_readable);
    uint8_t *copy;
    size_t len;

    if (p->closed)
        return;
    if (p->write_failed && (!p->reading || p->in.len == 0))
        p->dead = p->broken;
    if (p->dead) {
        tell_error(p);
        return;
    }
    if (!p->reading)
        return;
    if (p->in.len == 0) {
        if (p->in_ended && !p->told_end) {
            p->told_end = true;
            p->stream.handler->on_eof(p->stream.ctx);
        }
        return;
    }
    len = MIN(p->in.len, p->piece);
    copy = sim_alloc(len);
    memcpy(copy, p->in.data, len);
    sim_bytes_consume(&p->in, len);
    sim_event_post(p->sim, &p->on_readable, 0);
    if (p->pair)
        sim_event_post(p->sim, &p->pair->on_writable, 0);
    p->stream.handler->on_data(p->stream.ctx, copy, len);
    free(copy);
}

static void writable(struct sim_event *e)
{
    struct sim_peer *p = container_of(e, struct sim_peer, on_writable);
    size_t len;

    if (p->closed || p->dead || p->write_failed)
        return;
    len = MIN(p->queued.len, far_end_room(p));
    if (len) {
        far_end_take(p, p->queued.data, len);
        sim_bytes_consume(&p->queued, len);
    }
    finish_shutdown(p);
    if (p->queued.len == 0 && p->owes_drained) {
        p->owes_drained = false;
        p->stream.handler->on_drained(p->stream.ctx);
    }
}

/* ---- struct stream ----------------------------------------------------------------------- */

static struct sim_peer *peer_of(struct stream *s)
{
    struct sim_peer *p = container_of(s, struct sim_peer, stream);

    ASSERT(!p->closed);
    return p;
}

/* ST_OK, or why nothing can be written any more; on_error() is then on its way. */
static enum status check_writable(struct sim_peer *p)
{
    if (p->dead || p->broken) {
        p->write_failed = p->broken != ST_OK;
        notice_dead(p);
        return p->dead ? p->dead : p->broken;
    }
    return ST_OK;
}

static enum status take_fault(enum status *fault)
{
    enum status st = *fault;

    *fault = ST_OK;
    return st;
}

static enum status sim_write(struct stream *s, const uint8_t *data, size_t len)
{
    struct sim_peer *p = peer_of(s);
    enum status st = check_writable(p), fault = take_fault(&p->next_write);
    size_t now;

    if (p->shut)
        return ST_CLOSED;
    if (st || fault)
        return st ? st : fault;
    now = p->queued.len ? 0 : MIN(len, far_end_room(p));
    if (p->queued.len + (len - now) > STREAM_MAX_QUEUED)
        return ST_FULL;
    far_end_take(p, data, now);
    if (now == len)
        return p->queued.len ? ST_QUEUED : ST_OK;
    sim_bytes_append(&p->queued, data + now, len - now);
    p->owes_drained = true;
    return ST_QUEUED;
}

static enum status sim_shutdown(struct stream *s)
{
    struct sim_peer *p = peer_of(s);
    enum status st = p->shut ? ST_OK : check_writable(p);

    if (st)
        return st;
    p->shut = true;
    finish_shutdown(p);
    return ST_OK;
}

static void sim_read_start(struct stream *s)
{
    struct sim_peer *p = peer_of(s);

    p->reading = true;
    if (p->dead)
        notice_dead(p);
    sim_event_post(p->sim, &p->on_readable, 0);
}

static void sim_read_stop(struct stream *s)
{
    peer_of(s)->reading = false;
}

static enum status sim_unread(struct stream *s, const uint8_t *data, size_t len)
{
    struct sim_peer *p = peer_of(s);
    enum status fault = take_fault(&p->next_unread);

    if (fault)
        return fault;
    if (len > STREAM_MAX_QUEUED)
        return ST_FULL;
    sim_bytes_prepend(&p->in, data, len);
    if (len)
        p->told_end = false;
    sim_event_post(p->sim, &p->on_readable, 0);
    return ST_OK;
}

static size_t sim_queued_bytes(const struct stream *s)
{
    const struct sim_peer *p = (const struct sim_peer *)(const void *)s; /* its first member */

    ASSERT(!p->closed);
    return p->queued.len;
}

static void sim_close(struct stream *s)
{
    struct sim_peer *p = peer_of(s);

    p->closed = true;
    sim_event_cancel(&p->on_readable);
    sim_event_cancel(&p->on_writable);
    /* What a system does: unread or unsent bytes make it a reset, otherwise the peer sees an end.
     */
    p->close_reset = !p->dead && (p->in.len || p->queued.len);
    p->out_ended |= !p->dead && !p->close_reset;
    if (!p->pair || p->pair->closed)
        return;
    if (p->close_reset) {
        sim_peer_reset(p->pair, ST_RESET);
    } else {
        p->pair->in_ended = true;
        sim_event_post(p->sim, &p->pair->on_readable, 0);
        sim_event_post(p->sim, &p->pair->on_writable, 0);
    }
}

static const struct stream_ops stream_ops = {
    .write = sim_write,
    .shutdown = sim_shutdown,
    .read_start = sim_read_start,
    .read_stop = sim_read_stop,
    .unread = sim_unread,
    .queued_bytes = sim_queued_bytes,
    .close = sim_close,
};

/* ---- making them ------------------------------------------------------------------------- */

struct sim_peer *sim_peer_new(struct sim *sim)
{
    struct sim_peer *p = sim_alloc(sizeof *p);

    p->stream.ops = &stream_ops;
    p->sim = sim;
    p->piece = DEFAULT_PIECE;
    p->room = sim->new_room;
    list_append(&sim->peers, &p->link);
    list_init(&p->dialled_link);
    sim_event_init(&p->on_readable, readable);
    sim_event_init(&p->on_writable, writable);
    return p;
}

void sim_peer_free(struct sim_peer *p)
{
    sim_event_cancel(&p->on_readable);
    sim_event_cancel(&p->on_writable);
    free(p->in.data);
    free(p->queued.data);
    free(p->received.data);
    free(p);
}

struct sim_peer *sim_stream(struct sim *sim, struct stream **out)
{
    struct sim_peer *p = sim_peer_new(sim);

    *out = &p->stream;
    return p;
}

void sim_stream_pair(struct sim *sim, struct stream **a, struct stream **b, size_t window_bytes)
{
    struct sim_peer *pa = sim_peer_new(sim), *pb = sim_peer_new(sim);

    pa->window = pb->window = window_bytes ? window_bytes : DEFAULT_WINDOW;
    pa->pair = pb;
    pb->pair = pa;
    *a = &pa->stream;
    *b = &pb->stream;
}

struct sim_peer *sim_peer_of(struct stream *s)
{
    return container_of(s, struct sim_peer, stream);
}

const struct addr *sim_peer_dialled_to(const struct sim_peer *p)
{
    return p->dialled_to.kind == ADDR_NONE ? NULL : &p->dialled_to;
}

/* ---- the test's end ---------------------------------------------------------------------- */

void sim_peer_send(struct sim_peer *p, const void *data, size_t len_bytes)
{
    ASSERT(!p->in_ended && !p->pair);
    if (p->closed || p->dead) /* lost, as on any network */
        return;
    sim_bytes_append(&p->in, data, len_bytes);
    sim_event_post(p->sim, &p->on_readable, 0);
}

void sim_peer_send_text(struct sim_peer *p, const char *text)
{
    sim_peer_send(p, text, strlen(text));
}

void sim_peer_set_piece(struct sim_peer *p, size_t max_bytes)
{
    p->piece = max_bytes ? max_bytes : DEFAULT_PIECE;
}

void sim_peer_end(struct sim_peer *p)
{
    p->in_ended = true;
    if (!p->closed)
        sim_event_post(p->sim, &p->on_readable, 0);
}

void sim_peer_reset(struct sim_peer *p, enum status why)
{
    ASSERT(why != ST_OK);
    if (p->closed || p->dead)
        return;
    p->dead = why;
    sim_bytes_consume(&p->in, p->in.len);
    if (p->reading || p->queued.len)
        notice_dead(p);
}

void sim_peer_break_writes(struct sim_peer *p, enum status why)
{
    p->broken = why;
    if (!p->queued.len || p->closed || p->dead)
        return;
    sim_bytes_consume(&p->queued, p->queued.len);
    p->write_failed = true;
    notice_dead(p);
}

size_t sim_peer_undelivered(const struct sim_peer *p)
{
    return p->in.len;
}

void sim_set_new_room(struct sim *sim, size_t bytes)
{
    sim->new_room = bytes;
}

void sim_peer_set_room(struct sim_peer *p, size_t bytes)
{
    p->room = bytes;
    if (!p->closed)
        sim_event_post(p->sim, &p->on_writable, 0);
}

const uint8_t *sim_peer_data(const struct sim_peer *p, size_t *len_bytes)
{
    *len_bytes = p->received.len;
    return p->received.data;
}

const char *sim_peer_text(struct sim_peer *p)
{
    sim_bytes_append(&p->received, "", 1);
    p->received.len--;
    return (const char *)p->received.data;
}

void sim_peer_drop_received(struct sim_peer *p)
{
    p->received.len = 0;
}

bool sim_peer_saw_end(const struct sim_peer *p)
{
    return p->out_ended;
}

bool sim_peer_saw_reset(const struct sim_peer *p)
{
    return p->close_reset;
}

bool sim_peer_is_closed(const struct sim_peer *p)
{
    return p->closed;
}

bool sim_peer_is_read(const struct sim_peer *p)
{
    return p->reading && !p->closed;
}

void sim_peer_next_write_fails(struct sim_peer *p, enum status st)
{
    p->next_write = st;
}

void sim_peer_next_unread_fails(struct sim_peer *p, enum status st)
{
    p->next_unread = st;
}
