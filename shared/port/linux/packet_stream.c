/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * libuv reads and writes streams of bytes and would join and cut messages, so this is uv_poll_t and
 * the system calls:
 *
 *   readable -> recvmmsg() into SLOTS slots -> on_data for each    (what a reader that stops in
 *                                                                   between leaves waits there)
 *   write    -> send(); when the socket is full -> a copy in @queue -> writable -> sendmmsg()
 *               -> on_drained when all are gone
 *
 * The slots are one allocation at the first read, of which only the pages that messages reach are
 * resident: a slot for the longest message costs no more than one for the usual.
 *
 * As everywhere (stream_uv.c): nothing is said from within a call (@later), a failed write is told
 * once what had arrived before it was read, and the memory goes in libuv's close callback, so that
 * closing is safe inside any callback. @closing and @dead are looked at after each of them.
 *
 * Writes are not gathered: a caller that composes many messages makes one system call for each,
 * because holding them back until the end of the turn would be a second batch beside the caller's.
 */
#include "port/linux/packet_stream.h"

#include "base/list.h"
#include "base/util.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/uv/loop_uv_internal.h"
#include "port/uv/uv_status.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLOTS = 32 };

struct packet_stream {
    struct stream base;
    uv_poll_t poll;
    struct timer later;
    int fd;              /* owned */
    int events;          /* what is polled for */
    uint8_t *slots;      /* owned; NULL before the first read */
    size_t lens[SLOTS];  /* of what was received */
    unsigned next, have; /* slots [next, have) were not handed over yet */
    struct list queue;   /* of struct queued_message */
    size_t queued_bytes;
    enum status broken; /* ST_OK, or why nothing can be written any more */
    bool want_read;
    bool eof_seen;
    bool shut; /* our direction ended, or will when @queue is empty */
    bool dead; /* on_error() was called */
    bool closing;
};

struct queued_message {
    struct list link;
    size_t len;
    uint8_t data[];
};

static struct packet_stream *packet_stream_of(struct stream *s)
{
    return container_of(s, struct packet_stream, base);
}

static enum status sys_status(int err)
{
    return uv_status(uv_translate_sys_error(err));
}

/* ---- polling --------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events);

static bool has_slots_left(const struct packet_stream *self)
{
    return self->next < self->have;
}

static void update_poll(struct packet_stream *self)
{
    int events = 0;

    if (self->want_read && !self->eof_seen && !has_slots_left(self))
        events |= UV_READABLE;
    if (!list_is_empty(&self->queue) && !self->broken)
        events |= UV_WRITABLE;
    if (self->dead)
        events = 0;
    if (events == self->events)
        return;
    self->events = events;
    if (events)
        uv_poll_start(&self->poll, events, on_poll);
    else
        uv_poll_stop(&self->poll);
}

static void drop_queue(struct packet_stream *self)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &self->queue)
    {
        list_remove(it);
        free(container_of(it, struct queued_message, link));
    }
    self->queued_bytes = 0;
}

/* The stream died; nothing else is called after this. */
static void fail(struct packet_stream *self, enum status why)
{
    if (self->dead || self->closing)
        return;
    self->dead = true;
    self->broken = why;
    timer_stop(&self->later);
    drop_queue(self);
    update_poll(self);
    if (self->base.handler && self->base.handler->on_error)
        self->base.handler->on_error(self->base.ctx, why);
}

/* ---- reading --------------------------------------------------------------------------- */

static void tell_eof(struct packet_stream *self)
{
    self->eof_seen = true;
    if (self->broken) {
        fail(self, self->broken);
        return;
    }
    update_poll(self);
    if (self->base.handler && self->base.handler->on_eof)
        self->base.handler->on_eof(self->base.ctx);
}

static void hand_over(struct packet_stream *self)
{
    while (has_slots_left(self) && self->want_read && !self->closing && !self->dead) {
        const uint8_t *slot = self->slots + (size_t)self->next * PACKET_STREAM_MAX_BYTES;
        size_t len = self->lens[self->next++];

        if (len == 0) {
            self->next = self->have; /* nothing follows an end */
            tell_eof(self);
            return;
        }
        if (self->base.handler && self->base.handler->on_data)
            self->base.handler->on_data(self->base.ctx, slot, len);
    }
}

static bool have_slots(struct packet_stream *self)
{
    if (!self->slots)
        self->slots = malloc((size_t)SLOTS * PACKET_STREAM_MAX_BYTES);
    return self->slots != NULL;
}

static void receive(struct packet_stream *self)
{
    struct mmsghdr msgs[SLOTS];
    struct iovec iovs[SLOTS];
    int n;

    if (!have_slots(self)) {
        fail(self, ST_NOMEM);
        return;
    }
    memset(msgs, 0, sizeof msgs);
    for (unsigned i = 0; i < SLOTS; i++) {
        iovs[i] = (struct iovec){ self->slots + (size_t)i * PACKET_STREAM_MAX_BYTES,
                                  PACKET_STREAM_MAX_BYTES };
        msgs[i].msg_hdr.msg_iov = &iovs[i];
        msgs[i].msg_hdr.msg_iovlen = 1;
    }
    n = recvmmsg(self->fd, msgs, SLOTS, MSG_DONTWAIT, NULL);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            fail(self, sys_status(errno));
        return;
    }
    for (int i = 0; i < n; i++)
        self->lens[i] = msgs[i].msg_len;
    self->next = 0;
    self->have = (unsigned)n;
    hand_over(self);
}

/* What could not be said at once. */
static void on_later(void *ctx)
{
    struct packet_stream *self = ctx;

    hand_over(self);
    if (self->closing || self->dead)
        return;
    update_poll(self);
    if (self->broken && !(self->events & UV_READABLE) && !has_slots_left(self))
        fail(self, self->broken);
}

/* ---- writing --------------------------------------------------------------------------- */

/* Ends the reading too, after what has arrived: whoever reads hears of it in any case. */
static void write_failed(struct packet_stream *self, enum status why)
{
    if (self->broken || self->closing)
        return;
    self->broken = why;
    (void)shutdown(self->fd, SHUT_RDWR);
    drop_queue(self);
    update_poll(self);
    if (!(self->events & UV_READABLE))
        timer_start(&self->later, 0);
}

static enum status broken_status(const struct packet_stream *self)
{
    return self->broken == ST_RESET ? ST_RESET : ST_IO;
}

static enum status enqueue(struct packet_stream *self, const uint8_t *data, size_t len)
{
    struct queued_message *m = malloc(sizeof *m + len);

    if (!m)
        return ST_NOMEM;
    list_init(&m->link);
    m->len = len;
    memcpy(m->data, data, len);
    list_append(&self->queue, &m->link);
    self->queued_bytes += len;
    update_poll(self);
    return ST_QUEUED;
}

static enum status packet_stream_write(struct stream *s, const uint8_t *data, size_t len)
{
    struct packet_stream *self = packet_stream_of(s);

    if (self->broken)
        return broken_status(self);
    if (self->shut)
        return ST_CLOSED;
    if (len > STREAM_MAX_QUEUED - self->queued_bytes)
        return ST_FULL;
    if (len == 0)
        return ST_OK;
    if (list_is_empty(&self->queue)) {
        if (send(self->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return ST_OK;
        if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR) {
            write_failed(self, sys_status(errno));
            return broken_status(self);
        }
    }
    return enqueue(self, data, len);
}

/* The first messages of the queue; returns how many. */
static unsigned gather(struct packet_stream *self, struct mmsghdr msgs[static SLOTS],
                       struct iovec iovs[static SLOTS])
{
    struct list *it, *tmp;
    unsigned n = 0;

    list_for_each(it, tmp, &self->queue)
    {
        struct queued_message *m = container_of(it, struct queued_message, link);

        if (n == SLOTS)
            break;
        iovs[n] = (struct iovec){ m->data, m->len };
        msgs[n] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iovs[n], .msg_iovlen = 1 } };
        n++;
    }
    return n;
}

static void drop_first(struct packet_stream *self, unsigned count)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &self->queue)
    {
        struct queued_message *m = container_of(it, struct queued_message, link);

        if (count-- == 0)
            break;
        self->queued_bytes -= m->len;
        list_remove(it);
        free(m);
    }
}

static void finish_shutdown(struct packet_stream *self)
{
    if (shutdown(self->fd, SHUT_WR) != 0 && errno != ENOTCONN)
        write_failed(self, sys_status(errno));
}

static void send_queue(struct packet_stream *self)
{
    struct mmsghdr msgs[SLOTS];
    struct iovec iovs[SLOTS];
    unsigned count = gather(self, msgs, iovs);
    int n = sendmmsg(self->fd, msgs, count, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0) {
        if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
            write_failed(self, sys_status(errno));
        return;
    }
    drop_first(self, (unsigned)n);
    if (!list_is_empty(&self->queue))
        return;
    update_poll(self);
    if (self->shut)
        finish_shutdown(self);
    if (!self->broken && self->base.handler && self->base.handler->on_drained)
        self->base.handler->on_drained(self->base.ctx);
}

static enum status packet_stream_shutdown(struct stream *s)
{
    struct packet_stream *self = packet_stream_of(s);

    if (self->shut)
        return ST_OK;
    if (self->broken)
        return broken_status(self);
    self->shut = true;
    if (list_is_empty(&self->queue))
        finish_shutdown(self);
    return self->broken ? broken_status(self) : ST_OK;
}

static size_t packet_stream_queued_bytes(const struct stream *s)
{
    return ((const struct packet_stream *)s)->queued_bytes; /* base comes first */
}

/* ---- events ---------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct packet_stream *self = poll->data;

    if (status < 0) { /* the socket has an error: the next call on it says which */
        self->events = 0;
        events = self->want_read ? UV_READABLE : UV_WRITABLE;
        uv_poll_stop(poll);
    }
    if ((events & UV_WRITABLE) && !list_is_empty(&self->queue) && !self->broken)
        send_queue(self);
    if ((events & UV_READABLE) && !self->closing && !self->dead && self->want_read)
        receive(self);
    if (!self->closing && !self->dead)
        update_poll(self);
}

static void packet_stream_read_start(struct stream *s)
{
    struct packet_stream *self = packet_stream_of(s);

    self->want_read = true;
    if (self->dead || self->closing)
        return;
    if (has_slots_left(self))
        timer_start(&self->later, 0);
    else
        update_poll(self);
}

static void packet_stream_read_stop(struct stream *s)
{
    struct packet_stream *self = packet_stream_of(s);

    self->want_read = false;
    if (self->dead || self->closing)
        return;
    update_poll(self);
    if (self->broken)
        timer_start(&self->later, 0);
}

static enum status packet_stream_unread(struct stream *s, const uint8_t *data, size_t len)
{
    return ST_UNSUPPORTED;
}

/* ---- life ------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
    struct packet_stream *self = handle->data;

    close(self->fd);
    free(self->slots);
    free(self);
}

static void packet_stream_close(struct stream *s)
{
    struct packet_stream *self = packet_stream_of(s);

    ASSERT(!self->closing);
    self->closing = true;
    timer_stop(&self->later);
    drop_queue(self);
    self->base.handler = NULL;
    uv_close((uv_handle_t *)&self->poll, on_closed);
}

static const struct stream_ops packet_stream_ops = {
    .write = packet_stream_write,
    .shutdown = packet_stream_shutdown,
    .read_start = packet_stream_read_start,
    .read_stop = packet_stream_read_stop,
    .unread = packet_stream_unread,
    .queued_bytes = packet_stream_queued_bytes,
    .close = packet_stream_close,
};

enum status packet_stream_new(struct stream **out, struct loop *loop, int fd)
{
    struct packet_stream *self = calloc(1, sizeof *self);
    int err;

    if (!self)
        return ST_NOMEM;
    err = uv_poll_init(loop_uv_handle(loop), &self->poll, fd);
    if (err) {
        free(self);
        return uv_status(err);
    }
    self->base.ops = &packet_stream_ops;
    self->poll.data = self;
    self->fd = fd;
    list_init(&self->queue);
    timer_init(&self->later, loop, on_later, self);
    *out = &self->base;
    return ST_OK;
}
