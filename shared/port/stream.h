/* SPDX-License-Identifier: Apache-2.0
 * stream.h - a connected, reliable, ordered byte stream whose two directions end independently.
 *
 * What is behind it: unix, TCP, vsock, hvsock, a message-mode named pipe, or a test's script.
 * Runs on: its loop's thread only. Ownership: whoever holds the pointer closes it once.
 *
 * Contract
 *  - Data is pushed: after stream_read_start(), on_data() hands over bytes that are borrowed for
 *    the length of the call. No buffer exists per idle stream.
 *  - stream_write() gives the bytes to the system at once where it takes them; what it does not
 *    take is copied and sent later (ST_QUEUED), and on_drained() says when that is gone. A caller
 *    that keeps writing after ST_QUEUED is refused (ST_FULL) at STREAM_MAX_QUEUED bytes: the
 *    bound on memory is the caller's back-pressure, this is only the net below it.
 *  - The end of the peer's data is on_eof(), once; our direction stays open.
 *    stream_shutdown() ends our direction after everything written so far, and only that.
 *  - on_error() is the last callback of a stream that died (reset, I/O error); it then wants
 *    closing. Both directions are lost.
 *  - After stream_close() no callback comes, queued bytes are dropped, the pointer is dead. It may
 *    be called from within any callback of that same stream.
 *  - Bytes are a stream, and how they are cut into calls says nothing. The exception is a socket
 *    that keeps the boundaries of messages (unixpacket: of port/addr.h): one on_data() is one
 *    message, one write too, and nothing can be put back (stream_unread() is ST_UNSUPPORTED).
 *  - A handler may be replaced at any time with stream_set_handler(), e.g. when a connection moves
 *    from a parser to a relay.
 */
#ifndef SHARED_PORT_STREAM_H
#define SHARED_PORT_STREAM_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { STREAM_MAX_QUEUED = 1024 * 1024 };

struct stream;

struct stream_handler {
    void (*on_data)(void *ctx, const uint8_t *data, size_t len_bytes);
    void (*on_eof)(void *ctx);
    void (*on_drained)(void *ctx);
    void (*on_error)(void *ctx, enum status why);
};

struct stream_ops {
    enum status (*write)(struct stream *, const uint8_t *data, size_t len_bytes);
    enum status (*shutdown)(struct stream *);
    void (*read_start)(struct stream *);
    void (*read_stop)(struct stream *);
    enum status (*unread)(struct stream *, const uint8_t *data, size_t len_bytes);
    size_t (*queued_bytes)(const struct stream *);
    void (*close)(struct stream *);
    void (*want_send_buffer)(struct stream *, size_t len_bytes); /* NULL: has none of its own */
};

struct stream {
    const struct stream_ops *ops;
    const struct stream_handler *handler; /* borrowed, usually static */
    void *ctx;                            /* handed to the handler */
};

static inline void stream_set_handler(struct stream *s, const struct stream_handler *h, void *ctx)
{
    s->handler = h;
    s->ctx = ctx;
}

/* ST_OK: all of it is with the system. ST_QUEUED: all accepted, wait for on_drained().
 * ST_FULL: nothing accepted. ST_CLOSED: after stream_shutdown(). ST_RESET, ST_IO: dead; on_error()
 * will still be called. ST_NOMEM: nothing accepted. */
static inline enum status stream_write(struct stream *s, const void *data, size_t len_bytes)
{
    return s->ops->write(s, data, len_bytes);
}

/* Ends our direction once everything written before is out. ST_OK also when done already. ST_RESET,
 * ST_IO: dead, on_error() follows what is still to be read, as after a failed write. */
static inline enum status stream_shutdown(struct stream *s)
{
    return s->ops->shutdown(s);
}

static inline void stream_read_start(struct stream *s)
{
    s->ops->read_start(s);
}

static inline void stream_read_stop(struct stream *s)
{
    s->ops->read_stop(s);
}

/* Puts bytes back in front of what is still to be read: a parser that looked at the beginning
 * hands the stream on as if it had not. An end that was told is told again, after them. ST_NOMEM or
 * ST_FULL (over STREAM_MAX_QUEUED). */
static inline enum status stream_unread(struct stream *s, const void *data, size_t len_bytes)
{
    return s->ops->unread(s, data, len_bytes);
}

/* Bytes accepted by stream_write() that the system has not taken yet. */
static inline size_t stream_queued_bytes(const struct stream *s)
{
    return s->ops->queued_bytes(s);
}

/* The system should take so many bytes before ST_QUEUED, as far as it lets us; a wish. For who
 * writes much at a time, so that the reader need not be waited for in between. */
static inline void stream_want_send_buffer(struct stream *s, size_t len_bytes)
{
    if (s->ops->want_send_buffer)
        s->ops->want_send_buffer(s, len_bytes);
}

/* NULL is fine. */
static inline void stream_close(struct stream *s)
{
    if (s)
        s->ops->close(s);
}

#endif
