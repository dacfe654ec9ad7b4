/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *
 *   peer -> libuv -> scratch buffer of the loop -> on_data          (nothing kept)
 *   peer <- uv_try_write <- stream_write
 *               | what the system did not take
 *               `-> struct queued_write (a copy) -> uv_write -> on_drained when all are gone
 *
 * Life of a stream: stream_uv_new, connected by someone, read_start ... stream_close, which asks
 * libuv to close; the memory goes in libuv's close callback, after the last other callback. That
 * is why stream_close() is safe inside any callback: each place that called the handler looks at
 * @closing before it goes on.
 *
 * What cannot be said at once (bytes put back by unread, an error found by stream_write) is said
 * from @later, a timer with no delay, so that no handler is ever entered from a call of its own.
 * While bytes are put back the handle is not read: order is kept without a queue.
 *
 * A write that fails does not end the stream on the spot while it is being read: an HTTP server
 * may answer early and close, and its answer waits in our receive buffer beside the EPIPE. What is
 * there is delivered first; the end of it is then told as the error it is.
 *
 * Limits: STREAM_MAX_QUEUED bytes of copies per stream. About 0.5 KiB per idle stream, most of it
 * libuv's handle.
 * Not done: MSG_ZEROCOPY or splice, because a portable on_data contract has the bytes in memory.
 */
#include "port/uv/stream_uv.h"

#include "port/loop.h"
#include "port/stream.h"
#include "port/uv/file_uv.h"
#include "port/uv/loop_uv_internal.h"
#include "port/uv/uv_status.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Bytes to be read again, before anything the system still holds. */
struct unread_block {
    size_t len;
    uint8_t data[];
};

struct stream_uv {
    struct stream base; /* first */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } uv;
    struct loop *loop; /* borrowed */
    uv_shutdown_t shutdown_req;
    struct timer later;          /* unread bytes and errors wait for it */
    struct unread_block *unread; /* owned */
    size_t queued_bytes;         /* in struct queued_write */
    enum status broken;          /* ST_OK, or why nothing can be written any more */
    bool want_read;              /* the user asked for data */
    bool reading;                /* libuv was asked for data */
    bool eof_seen;               /* the peer's data ended */
    bool eof_told;               /* ... and on_eof() was called */
    bool shut;                   /* our direction ended or will */
    bool dead;                   /* on_error() was called */
    bool closing;
};

struct queued_write {
    uv_write_t req;
    struct stream_uv *owner; /* alive: libuv ends every request before it closes the handle */
    size_t len;
    uint8_t data[];
};

static struct stream_uv *stream_uv_of(struct stream *s)
{
    return container_of(s, struct stream_uv, base);
}

static void alloc_scratch(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct stream_uv *self = handle->data;
    size_t cap;

    buf->base = (char *)loop_uv_scratch(self->loop, &cap);
    buf->len = cap;
}

/* ---- telling the user ------------------------------------------------------------------ */

static void stream_uv_update_reading(struct stream_uv *self);

/* The stream died; nothing else is called after this. */
static void stream_uv_fail(struct stream_uv *self, enum status why)
{
    if (self->dead || self->closing)
        return;
    self->dead = true;
    self->broken = why;
    timer_stop(&self->later);
    stream_uv_update_reading(self);
    if (self->base.handler && self->base.handler->on_error)
        self->base.handler->on_error(self->base.ctx, why);
}

static void stream_uv_tell_eof(struct stream_uv *self)
{
    if (self->broken) {
        stream_uv_fail(self, self->broken);
        return;
    }
    self->eof_told = true;
    if (self->base.handler && self->base.handler->on_eof)
        self->base.handler->on_eof(self->base.ctx);
}

static void stream_uv_tell_data(struct stream_uv *self, const uint8_t *data, size_t len)
{
    if (self->base.handler && self->base.handler->on_data)
        self->base.handler->on_data(self->base.ctx, data, len);
}

static void on_read(uv_stream_t *handle, ssize_t nread, const uv_buf_t *buf)
{
    struct stream_uv *self = handle->data;

    if (nread > 0) {
        stream_uv_tell_data(self, (const uint8_t *)buf->base, (size_t)nread);
    } else if (nread == UV_EOF) {
        self->eof_seen = true;
        stream_uv_update_reading(self);
        stream_uv_tell_eof(self);
    } else if (nread < 0) {
        stream_uv_fail(self, uv_status((int)nread));
    }
}

/* Reads from the system exactly while the user wants data and nothing older is waiting. */
static void stream_uv_update_reading(struct stream_uv *self)
{
    bool on = self->want_read && !self->eof_seen && !self->dead && !self->unread;
    int err = 0;

    if (on == self->reading)
        return;
    self->reading = on;
    if (on)
        err = uv_read_start(&self->uv.stream, alloc_scratch, on_read);
    else
        uv_read_stop(&self->uv.stream);
    if (err) {
        self->reading = false;
        self->broken = uv_status(err);
        timer_start(&self->later, 0);
    }
}

static void on_later(void *ctx)
{
    struct stream_uv *self = ctx;
    struct unread_block *block = self->unread;

    if (block && self->want_read) {
        self->unread = NULL;
        stream_uv_tell_data(self, block->data, block->len);
        free(block);
        if (self->closing || self->dead)
            return;
        stream_uv_update_reading(self);
        if (self->want_read && !self->unread && self->eof_seen && !self->eof_told)
            stream_uv_tell_eof(self);
        else if (self->want_read && self->unread)
            timer_start(&self->later, 0);
        return;
    }
    if (self->broken && !self->reading)
        stream_uv_fail(self, self->broken);
}

/* ---- writing --------------------------------------------------------------------------- */

static void stream_uv_write_failed(struct stream_uv *self, enum status why)
{
    if (self->broken || self->closing)
        return;
    self->broken = why;
    if (!self->reading)
        timer_start(&self->later, 0);
}

static void on_written(uv_write_t *req, int err)
{
    struct queued_write *w = container_of(req, struct queued_write, req);
    struct stream_uv *self = w->owner;

    self->queued_bytes -= w->len;
    free(w);
    if (self->closing || self->dead)
        return;
    if (err) {
        stream_uv_write_failed(self, uv_status(err));
        return;
    }
    if (self->queued_bytes == 0 && !self->broken && self->base.handler &&
        self->base.handler->on_drained)
        self->base.handler->on_drained(self->base.ctx);
}

static enum status stream_uv_queue(struct stream_uv *self, const uint8_t *data, size_t len)
{
    struct queued_write *w = malloc(sizeof *w + len);
    uv_buf_t buf;
    int err;

    if (!w)
        return ST_NOMEM;
    w->owner = self;
    w->len = len;
    memcpy(w->data, data, len);
    buf = uv_buf_init((char *)w->data, (unsigned)len);
    err = uv_write(&w->req, &self->uv.stream, &buf, 1, on_written);
    if (err) {
        free(w);
        return uv_status(err);
    }
    self->queued_bytes += len;
    return ST_QUEUED;
}

static enum status stream_uv_write(struct stream *s, const uint8_t *data, size_t len)
{
    struct stream_uv *self = stream_uv_of(s);
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
    size_t taken = 0;
    enum status st;

    if (self->broken)
        return self->broken == ST_RESET ? ST_RESET : ST_IO;
    if (self->shut)
        return ST_CLOSED;
    if (len > STREAM_MAX_QUEUED - self->queued_bytes)
        return ST_FULL;
    if (len == 0)
        return ST_OK;
    if (self->queued_bytes == 0) {
        int n = uv_try_write(&self->uv.stream, &buf, 1);

        if (n < 0 && n != UV_EAGAIN) {
            stream_uv_write_failed(self, uv_status(n));
            return self->broken == ST_RESET ? ST_RESET : ST_IO;
        }
        taken = n > 0 ? (size_t)n : 0;
        if (taken == len)
            return ST_OK;
    }
    st = stream_uv_queue(self, data + taken, len - taken);
    if (st == ST_QUEUED || (st == ST_NOMEM && taken == 0))
        return st;
    /* Half of it is out and the rest cannot follow: the byte stream is broken. */
    stream_uv_write_failed(self, st);
    return st == ST_RESET ? ST_RESET : ST_IO;
}

static void on_shutdown(uv_shutdown_t *req, int err)
{
    struct stream_uv *self = req->data;

    /* Not connected: the peer is gone already, which reading tells with the right reason. */
    if (err && err != UV_ENOTCONN)
        stream_uv_write_failed(self, uv_status(err));
}

static enum status stream_uv_shutdown(struct stream *s)
{
    struct stream_uv *self = stream_uv_of(s);
    int err;

    if (self->shut)
        return ST_OK;
    if (self->broken)
        return self->broken == ST_RESET ? ST_RESET : ST_IO;
    self->shut = true;
    if (self->queued_bytes == 0 && os_shutdown_now(&self->uv.stream))
        return ST_OK;
    self->shutdown_req.data = self;
    err = uv_shutdown(&self->shutdown_req, &self->uv.stream, on_shutdown);
    if (err && err != UV_ENOTCONN) {
        stream_uv_write_failed(self, uv_status(err));
        return self->broken == ST_RESET ? ST_RESET : ST_IO;
    }
    return ST_OK;
}

static size_t stream_uv_queued_bytes(const struct stream *s)
{
    return ((const struct stream_uv *)s)->queued_bytes; /* base comes first */
}

/* ---- reading --------------------------------------------------------------------------- */

static void stream_uv_read_start(struct stream *s)
{
    struct stream_uv *self = stream_uv_of(s);

    self->want_read = true;
    if (self->dead || self->closing)
        return;
    if (self->unread)
        timer_start(&self->later, 0);
    else
        stream_uv_update_reading(self);
}

static void stream_uv_read_stop(struct stream *s)
{
    struct stream_uv *self = stream_uv_of(s);

    self->want_read = false;
    if (self->dead || self->closing)
        return;
    stream_uv_update_reading(self);
    if (self->broken)
        timer_start(&self->later, 0);
}

static enum status stream_uv_unread(struct stream *s, const uint8_t *data, size_t len)
{
    struct stream_uv *self = stream_uv_of(s);
    size_t behind = self->unread ? self->unread->len : 0;
    struct unread_block *block;

    if (len == 0)
        return ST_OK;
    if (len > STREAM_MAX_QUEUED - behind)
        return ST_FULL;
    block = malloc(sizeof *block + len + behind);
    if (!block)
        return ST_NOMEM;
    memcpy(block->data, data, len);
    if (behind)
        memcpy(block->data + len, self->unread->data, behind);
    block->len = len + behind;
    free(self->unread);
    self->unread = block;
    self->eof_told = false; /* the next reader has not heard of it */
    stream_uv_update_reading(self);
    if (self->want_read)
        timer_start(&self->later, 0);
    return ST_OK;
}

/* ---- life ------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void stream_uv_close(struct stream *s)
{
    struct stream_uv *self = stream_uv_of(s);

    ASSERT(!self->closing);
    self->closing = true;
    timer_stop(&self->later);
    free(self->unread);
    self->unread = NULL;
    self->base.handler = NULL;
    uv_close(&self->uv.handle, on_closed);
}

/* libuv knows it for sockets of every kind on Unix, for TCP alone on Windows: there it fails. */
static void stream_uv_want_send_buffer(struct stream *s, size_t len_bytes)
{
    struct stream_uv *self = stream_uv_of(s);
    int value = (int)MIN(len_bytes, (size_t)INT_MAX);

    (void)uv_send_buffer_size((uv_handle_t *)&self->uv.stream, &value);
}

static const struct stream_ops stream_uv_ops = {
    .write = stream_uv_write,
    .shutdown = stream_uv_shutdown,
    .read_start = stream_uv_read_start,
    .read_stop = stream_uv_read_stop,
    .unread = stream_uv_unread,
    .queued_bytes = stream_uv_queued_bytes,
    .close = stream_uv_close,
    .want_send_buffer = stream_uv_want_send_buffer,
};

enum status stream_uv_new(struct loop *loop, enum stream_uv_kind kind, struct stream_uv **out)
{
    struct stream_uv *self = calloc(1, sizeof *self);
    int err;

    if (!self)
        return ST_NOMEM;
    if (kind == STREAM_UV_TCP)
        err = uv_tcp_init(loop_uv_handle(loop), &self->uv.tcp);
    else
        err = uv_pipe_init(loop_uv_handle(loop), &self->uv.pipe, 0);
    if (err) {
        free(self);
        return uv_status(err);
    }
    self->base.ops = &stream_uv_ops;
    self->loop = loop;
    self->uv.handle.data = self;
    timer_init(&self->later, loop, on_later, self);
    *out = self;
    return ST_OK;
}

uv_stream_t *stream_uv_handle(struct stream_uv *self)
{
    return &self->uv.stream;
}

struct stream *stream_uv_stream(struct stream_uv *self)
{
    return &self->base;
}

void stream_uv_set_nodelay(struct stream_uv *self)
{
    /* A Hyper-V socket does not know the option and does not need it. */
    (void)uv_tcp_nodelay(&self->uv.tcp, 1);
}

enum status stream_uv_from_fd(struct loop *loop, uv_file fd, struct stream **out)
{
    struct stream_uv *self = NULL;
    enum status st = stream_uv_new(loop, STREAM_UV_PIPE, &self);
    int err;

    if (st == ST_OK) {
        err = uv_pipe_open(&self->uv.pipe, fd);
        if (!err) {
            *out = &self->base;
            return ST_OK;
        }
        st = uv_status(err);
        stream_close(&self->base);
    }
    (void)file_uv_close(fd);
    return st;
}

enum status stream_uv_from_socket(struct loop *loop, uv_os_sock_t sock, struct stream **out)
{
    struct stream_uv *self = NULL;
    enum status st = stream_uv_new(loop, STREAM_UV_TCP, &self);
    int err;

    if (st)
        return st;
    err = uv_tcp_open(&self->uv.tcp, sock);
    if (err) {
        stream_close(&self->base);
        return uv_status(err);
    }
    *out = &self->base;
    return ST_OK;
}

enum status stream_uv_from_tcp_socket(struct loop *loop, uv_os_sock_t sock, struct stream **out)
{
    enum status st = stream_uv_from_socket(loop, sock, out);

    if (st == ST_OK)
        stream_uv_set_nodelay(stream_uv_of(*out));
    return st;
}
