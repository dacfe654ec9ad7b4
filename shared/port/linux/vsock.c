/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A non-blocking connect whose end is told by writability. The socket becomes a stream only after
 * that: libuv's pipe handle then reads, writes and shuts it down like any other descriptor.
 * A connect that the kernel finishes or refuses at once (a loopback transport, no transport at
 * all) goes the same way, because the socket is writable at once and SO_ERROR, or the result kept
 * in @early, says which it was; so done never comes from within vsock_dial().
 *
 * The kernel gives up by itself after 2 s; its limit is set to ours.
 */
#include "port/linux/vsock.h"

#include "port/addr.h"
#include "port/stream.h"
#include "port/uv/loop_uv_internal.h"
#include "port/uv/stream_uv.h"
#include "port/uv/uv_status.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* After sys/socket.h: older versions of this header use its types. */
#include <linux/vm_sockets.h>

struct dial_vsock {
    struct dial base;
    struct loop *loop; /* borrowed */
    struct addr to;
    int fd;         /* owned; -1 once it is a stream's */
    int early;      /* errno of a connect that failed at once, or 0 */
    uv_poll_t poll; /* the memory of it all is freed when this is closed */
    struct timer timeout, failed_early;
    dial_done_fn *done;
    void *ctx;
};

static enum status vsock_status(int err)
{
    switch (err) {
    case ECONNRESET: return ST_REFUSED; /* how a port without a listener answers */
    case ENODEV: return ST_UNREACHABLE; /* no transport leads to that CID */
    default: return uv_status(uv_translate_sys_error(err));
    }
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void dial_vsock_release(struct dial_vsock *self)
{
    timer_stop(&self->timeout);
    timer_stop(&self->failed_early);
    if (!uv_is_closing((uv_handle_t *)&self->poll))
        uv_close((uv_handle_t *)&self->poll, on_poll_closed);
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
}

static void dial_vsock_finish(struct dial_vsock *self, enum status st)
{
    dial_done_fn *done = self->done;
    void *ctx = self->ctx;
    struct stream *s = NULL;
    char text[ADDR_TEXT_MAX];
    struct errmsg why = { "" };

    if (st == ST_OK) {
        /* libuv allows one handle per descriptor. */
        uv_close((uv_handle_t *)&self->poll, on_poll_closed);
        st = stream_uv_from_socket(self->loop, self->fd, &s);
        if (st == ST_OK)
            self->fd = -1;
    }
    if (st)
        errmsg_set(&why, "connect to %s: %s", addr_format(&self->to, text, sizeof text),
                   status_text(st));
    dial_vsock_release(self);
    done(ctx, st, s, &why);
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    struct dial_vsock *self = poll->data;
    int err = 0;
    socklen_t len = sizeof err;

    if (getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
        err = errno;
    if (!err && status < 0)
        dial_vsock_finish(self, uv_status(status));
    else
        dial_vsock_finish(self, err ? vsock_status(err) : ST_OK);
}

static void on_failed_early(void *ctx)
{
    struct dial_vsock *self = ctx;

    dial_vsock_finish(self, vsock_status(self->early));
}

static void on_timeout(void *ctx)
{
    dial_vsock_finish(ctx, ST_TIMEOUT);
}

static void dial_vsock_cancel(struct dial *base)
{
    dial_vsock_release(container_of(base, struct dial_vsock, base));
}

static int vsock_connect(int fd, const struct addr *to, uint64_t timeout_ms)
{
    struct sockaddr_vm sa = { .svm_family = AF_VSOCK };
    struct timeval limit = { .tv_sec = (time_t)(timeout_ms / 1000),
                             .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000) };

    sa.svm_cid = to->cid == ADDR_CID_ANY ? ADDR_CID_HOST : to->cid;
    sa.svm_port = to->port;
    /* An old kernel without the option keeps its 2 s. */
    (void)setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0 || errno == EINPROGRESS)
        return 0;
    return errno;
}

enum status vsock_dial(struct loop *loop, struct dial **out, const struct addr *to,
                       uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e)
{
    struct dial_vsock *self = calloc(1, sizeof *self);
    enum status st = ST_NOMEM;
    char text[ADDR_TEXT_MAX];
    int err;

    if (!self)
        goto fail;
    self->fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0) {
        st = vsock_status(errno);
        goto fail;
    }
    err = uv_poll_init(loop_uv_handle(loop), &self->poll, self->fd);
    if (err) {
        st = uv_status(err);
        close(self->fd);
        goto fail;
    }
    self->base.cancel = dial_vsock_cancel;
    self->loop = loop;
    self->to = *to;
    self->poll.data = self;
    self->done = done;
    self->ctx = ctx;
    timer_init(&self->timeout, loop, on_timeout, self);
    timer_init(&self->failed_early, loop, on_failed_early, self);
    self->early = vsock_connect(self->fd, to, timeout_ms);
    if (self->early)
        timer_start(&self->failed_early, 0);
    else
        uv_poll_start(&self->poll, UV_WRITABLE, on_writable);
    timer_start(&self->timeout, timeout_ms);
    *out = &self->base;
    return ST_OK;
fail:
    errmsg_set(e, "connect to %s: %s", addr_format(to, text, sizeof text), status_text(st));
    free(self);
    return st;
}
