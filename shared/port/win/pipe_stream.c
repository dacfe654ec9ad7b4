/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Half-close over a named pipe is a convention: on a message-type pipe nobody has a use for an
 * empty message, so it means "no more data from me". Docker's clients send it only when
 * GetNamedPipeInfo() says PIPE_TYPE_MESSAGE, and `docker exec -i` hangs without it.
 *
 * Reading. Our end is in message read mode: each read ends at a message's end, so an empty message
 * is always a read of its own (success, 0 bytes) and cannot be merged into data before it. A
 * message larger than the buffer comes in pieces (ERROR_MORE_DATA); pieces are just data to us. At
 * most one read is under way. A stream starts with a small buffer, for most connections are one
 * short request, and gets a large one when a message did not fit.
 *
 * Writing. Every stream_write() becomes messages of at most PIPE_MESSAGE_MAX bytes, copied into a
 * struct pipe_write each, because the system reads the bytes until the operation has ended. All are
 * started at once: the pipe keeps the order, the empty message included, so there is no second
 * queue here. What fits the pipe's quota ends at once and counts as taken by the system.
 *
 * The end of the peer. Its empty message is on_eof(). We read on after it, only to hear of the
 * handle's close: then nobody is there to take what we write, which is on_error(ST_RESET) unless
 * our own direction has ended as well. A peer that closes without an empty message (byte-minded
 * clients do) ends its data: on_eof(), and our writes fail from then on.
 *
 * Lifetime. The kernel owns the OVERLAPPEDs, so stream_close() cancels, and the object goes when
 * the last completion has come and no callback of ours is on the stack:
 *
 *   held = reads and writes under way + the later-op + callbacks running;  free when closed &&
 * !held
 *
 * Invariants: no callback after close; on_eof at most once; on_error is last; nothing is read into
 * `stash` while a read is under way, but by unread().
 * Not done: reading without a buffer (a read of zero bytes would swallow an empty message).
 */
#include "port/win/pipe_stream.h"

#include "port/stream.h"
#include "port/win/io_pump.h"
#include "port/win/win_error.h"

#include <stdlib.h>
#include <string.h>

enum { READ_SMALL = 4096, READ_LARGE = 65536, PIPE_MESSAGE_MAX = 65536 };

struct pipe_stream {
    struct stream base;
    struct io_pump *pump; /* acquired */
    HANDLE h;
    bool message;

    struct io_op read_op;
    uint8_t *buf; /* READ_SMALL or READ_LARGE bytes */
    size_t buf_size;
    uint8_t *stash; /* owned: bytes to deliver before anything new is read */
    size_t stash_len;

    struct io_op later; /* turns what we know already into callbacks from the loop */
    enum status error;  /* to be reported; ST_OK = none */
    size_t queued;      /* bytes whose write has not ended */

    unsigned held;
    bool reading; /* the owner wants data */
    bool read_pending, later_pending;
    bool peer_ended; /* empty message or close seen: eof is to be reported or has been */
    bool peer_gone;  /* its handle is closed */
    bool eof_told, error_told;
    bool shut; /* stream_shutdown() was called */
    bool want_drained;
    bool closed;
};

/* One message on its way; freed when its completion has come. */
struct pipe_write {
    struct io_op op;
    struct pipe_stream *s;
    size_t counted; /* how much of s->queued is this one's */
    uint8_t data[];
};

static void schedule(struct pipe_stream *s);

static struct pipe_stream *from_base(struct stream *base)
{
    return container_of(base, struct pipe_stream, base);
}

/* Ends a stretch in which the object must stay; it may go now. */
static void release(struct pipe_stream *s)
{
    if (--s->held > 0 || !s->closed)
        return;
    CloseHandle(s->h);
    io_pump_release(s->pump);
    free(s->stash);
    free(s->buf);
    free(s);
}

static void fail(struct pipe_stream *s, enum status st)
{
    if (s->error == ST_OK)
        s->error = st;
    schedule(s);
}

/* ---- reading --------------------------------------------------------------------------- */

static void on_read(struct io_op *op);

/* Starts a read when there is a reason to: the owner wants data, or, after the end of data, to hear
 * of the peer's close. */
static void read_more(struct pipe_stream *s)
{
    bool want = s->peer_ended ? s->message && s->eof_told : s->reading;
    bool dead = s->error && s->error != ST_RESET; /* what a gone peer left is still read */
    if (!want || s->read_pending || s->peer_gone || dead || s->closed || s->stash_len)
        return;
    io_op_prepare(&s->read_op, on_read);
    if (!ReadFile(s->h, s->buf, (DWORD)s->buf_size, NULL, &s->read_op.ov)) {
        DWORD error = GetLastError();
        if (error != ERROR_IO_PENDING && error != ERROR_MORE_DATA)
            io_op_finish_later(s->pump, &s->read_op, error);
    }
    s->read_pending = true;
    s->held++;
}

/* A message did not fit: more of that kind will come. Failing to grow only costs speed. */
static void grow(struct pipe_stream *s)
{
    if (s->buf_size == READ_LARGE)
        return;
    uint8_t *larger = malloc(READ_LARGE);
    if (!larger)
        return;
    free(s->buf);
    s->buf = larger;
    s->buf_size = READ_LARGE;
}

/* Behind what is kept already: that was read, or put back, before. */
static void keep(struct pipe_stream *s, const uint8_t *data, size_t len)
{
    uint8_t *joined = realloc(s->stash, s->stash_len + len);
    if (!joined) {
        fail(s, ST_NOMEM);
        return;
    }
    memcpy(joined + s->stash_len, data, len);
    s->stash = joined;
    s->stash_len += len;
}

static void read_got(struct pipe_stream *s, size_t len)
{
    if (s->peer_ended)
        return; /* data after the end of data: dropped, as docker's own library does */
    if (len == 0 && s->message) {
        s->peer_ended = true;
    } else if (len > 0 && (!s->reading || s->stash_len)) {
        keep(s, s->buf, len); /* read_stop() or unread() came while the read was under way */
    } else if (len > 0) {
        s->base.handler->on_data(s->base.ctx, s->buf, len);
    }
}

static void on_read(struct io_op *op)
{
    struct pipe_stream *s = container_of(op, struct pipe_stream, read_op);
    bool more = op->error == ERROR_MORE_DATA;

    s->read_pending = false;
    if (s->closed) {
        release(s);
        return;
    }
    switch (op->error) {
    case ERROR_SUCCESS:
    case ERROR_MORE_DATA: read_got(s, op->bytes); break;
    case ERROR_BROKEN_PIPE:
    case ERROR_PIPE_NOT_CONNECTED:
    case ERROR_NO_DATA:
        if (s->peer_ended && !s->shut)
            s->error = ST_RESET;
        s->peer_ended = s->peer_gone = true;
        break;
    default: s->error = win_error_status(op->error); break;
    }
    if (more && !s->closed)
        grow(s);
    if (!s->peer_ended)
        read_more(s);
    if (s->peer_ended || s->error)
        schedule(s);
    release(s);
}

/* ---- what is known but not told yet ---------------------------------------------------- */

static void give_stash(struct pipe_stream *s)
{
    uint8_t *data = s->stash;
    size_t len = s->stash_len;
    s->stash = NULL;
    s->stash_len = 0;
    s->base.handler->on_data(s->base.ctx, data, len);
    free(data);
}

static void on_later(struct io_op *op)
{
    struct pipe_stream *s = container_of(op, struct pipe_stream, later);

    s->later_pending = false;
    if (!s->closed && s->reading && s->stash_len)
        give_stash(s);
    if (!s->closed && s->reading && !s->stash_len && s->peer_ended && !s->eof_told) {
        s->eof_told = true;
        s->base.handler->on_eof(s->base.ctx);
    }
    if (!s->closed && s->want_drained && s->queued == 0 && !s->error) {
        s->want_drained = false;
        s->base.handler->on_drained(s->base.ctx);
    }
    read_more(s);
    if (!s->closed && s->error && !s->error_told && !(s->error == ST_RESET && s->read_pending)) {
        s->error_told = true;
        s->base.handler->on_error(s->base.ctx, s->error);
    }
    release(s);
}

static void schedule(struct pipe_stream *s)
{
    if (s->later_pending || s->closed)
        return;
    s->later_pending = true;
    s->held++;
    io_op_prepare(&s->later, on_later);
    io_op_finish_later(s->pump, &s->later, ERROR_SUCCESS);
}

static void pipe_read_start(struct stream *base)
{
    struct pipe_stream *s = from_base(base);
    s->reading = true;
    if (s->stash_len || (s->peer_ended && !s->eof_told))
        schedule(s);
    else
        read_more(s);
}

static void pipe_read_stop(struct stream *base)
{
    from_base(base)->reading = false;
}

static enum status pipe_unread(struct stream *base, const uint8_t *data, size_t len)
{
    struct pipe_stream *s = from_base(base);
    if (len == 0)
        return ST_OK;
    if (len > STREAM_MAX_QUEUED - MIN(s->stash_len, (size_t)STREAM_MAX_QUEUED))
        return ST_FULL;
    uint8_t *joined = malloc(len + s->stash_len);
    if (!joined)
        return ST_NOMEM;
    memcpy(joined, data, len);
    if (s->stash_len)
        memcpy(joined + len, s->stash, s->stash_len);
    free(s->stash);
    s->stash = joined;
    s->stash_len += len;
    s->eof_told = false; /* the next reader has not heard of it */
    if (s->reading)
        schedule(s);
    return ST_OK;
}

/* ---- writing --------------------------------------------------------------------------- */

static void on_written(struct io_op *op)
{
    struct pipe_write *w = container_of(op, struct pipe_write, op);
    struct pipe_stream *s = w->s;
    uint32_t error = op->error;

    s->queued -= w->counted;
    free(w);
    if (!s->closed) {
        /* A peer that has gone after both ends of data needs no report: see the top. */
        if (error && !(s->shut && s->queued == 0 && s->peer_ended))
            fail(s, win_error_status(error));
        else if (s->want_drained && s->queued == 0)
            schedule(s);
    }
    release(s);
}

/* One message; ST_QUEUED when the system has not taken it yet. */
static enum status write_message(struct pipe_stream *s, const uint8_t *data, size_t len)
{
    struct pipe_write *w = malloc(sizeof(*w) + len);
    if (!w)
        return ST_NOMEM;
    w->s = s;
    w->counted = 0;
    if (len)
        memcpy(w->data, data, len);
    io_op_prepare(&w->op, on_written);
    enum status st = ST_OK;
    if (!WriteFile(s->h, w->data, (DWORD)len, NULL, &w->op.ov)) {
        DWORD error = GetLastError();
        if (error != ERROR_IO_PENDING) {
            free(w);
            return win_error_status(error);
        }
        w->counted = len;
        s->queued += len;
        st = ST_QUEUED;
    }
    s->held++;
    return st;
}

static enum status pipe_write(struct stream *base, const uint8_t *data, size_t len)
{
    struct pipe_stream *s = from_base(base);
    if (s->error)
        return s->error;
    if (s->shut)
        return ST_CLOSED;
    if (s->queued > 0 && s->queued + len > STREAM_MAX_QUEUED)
        return ST_FULL;

    enum status all = ST_OK;
    for (size_t done = 0; done < len;) {
        size_t n = MIN(len - done, (size_t)PIPE_MESSAGE_MAX);
        enum status st = write_message(s, data + done, n);
        if (st == ST_NOMEM && done == 0)
            return ST_NOMEM;
        if (st != ST_OK && st != ST_QUEUED) {
            fail(s, st); /* dead: part of it is out, or the peer is gone */
            return s->error;
        }
        if (st == ST_QUEUED)
            all = ST_QUEUED;
        done += n;
    }
    if (all == ST_QUEUED)
        s->want_drained = true;
    return all;
}

static enum status pipe_shutdown(struct stream *base)
{
    struct pipe_stream *s = from_base(base);
    if (s->error)
        return s->error;
    if (s->shut)
        return ST_OK;
    s->shut = true;
    if (!s->message || s->peer_gone)
        return ST_OK; /* nobody there to tell, or no way to */
    enum status st = write_message(s, NULL, 0);
    if (st == ST_RESET && s->peer_ended)
        return ST_OK; /* both directions are over; that the peer has left too is its right */
    if (st != ST_OK && st != ST_QUEUED) {
        fail(s, st);
        return st;
    }
    return ST_OK;
}

static size_t pipe_queued_bytes(const struct stream *base)
{
    const struct pipe_stream *s = (const void *)base; /* its first member */
    return s->queued;
}

static void pipe_close(struct stream *base)
{
    struct pipe_stream *s = from_base(base);
    s->closed = true;
    CancelIoEx(s->h, NULL);
    s->held++;
    release(s);
}

static const struct stream_ops ops = {
    .write = pipe_write,
    .shutdown = pipe_shutdown,
    .read_start = pipe_read_start,
    .read_stop = pipe_read_stop,
    .unread = pipe_unread,
    .queued_bytes = pipe_queued_bytes,
    .close = pipe_close,
};

enum status pipe_stream_new(struct loop *loop, struct stream **out, HANDLE h, bool message,
                            bool attached, struct errmsg *e)
{
    struct pipe_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return ST_NOMEM;
    s->base.ops = &ops;
    s->h = h;
    s->message = message;
    s->buf_size = READ_SMALL;
    s->buf = malloc(s->buf_size);
    enum status st = s->buf ? io_pump_acquire(&s->pump, loop, e) : ST_NOMEM;
    if (st == ST_OK && !attached)
        st = io_pump_attach(s->pump, h, e);
    if (st) {
        if (s->pump)
            io_pump_release(s->pump);
        free(s->buf);
        free(s);
        return st;
    }
    *out = &s->base;
    return ST_OK;
}
