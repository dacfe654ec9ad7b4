/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A tap device gives one frame a read and takes one a write, each with a virtio-net header before
 * it. The header goes to and from a few bytes of stack, the frame to and from where the caller has
 * it:
 *
 *   readv   { header 12 | frame, cap bytes | 1 }     writev   { header 12 | frame }
 *
 * The one byte at the end is how a frame that was larger than @cap shows: the device cuts it
 * without a word.
 *
 * Offload off (the start, and links of generations A and B): the kernel hands out plain frames of
 * at most the MTU with their checksums done, and takes the same. On: TCP super-segments of up to
 * 64 KiB, checksums left to the peer; UDP ones too where the kernel knows them (6.2), which the
 * device is asked for first and then goes without. It may change at any time; frames that wait in
 * the device's queue keep what they had, so a reader looks at each frame's header.
 *
 * Readiness is a libuv poll handle, level-triggered: who reads less than there is will be called
 * again. A deleted device ("ip link delete") polls as an error for ever, so then the handle is
 * stopped and on_error() is the last callback.
 *
 * The device is made with IFF_TUN_EXCL: without it a name that somebody else's persistent device
 * has would be taken over. It is not persistent itself, so a killed process leaves nothing behind.
 */
#include "guestagent/linux/tap_linux.h"

#include "guestagent/linux/os_status.h"
#include "link/vnet_header.h"
#include "port/uv/loop_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

#define DEVICE "/dev/net/tun"

enum {
    OFFLOAD_TCP = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
    OFFLOAD_UDP = 0x20 | 0x40 /* TUN_F_USO4 and 6, which Debian 12's headers are too old for */
};

struct tap_linux {
    struct tap base;
    const struct tap_handler *handler; /* borrowed */
    void *ctx;
    int fd;
    uv_poll_t poll; /* lives one turn longer than the rest: freed in its close callback */
    bool is_broken;
};

static struct tap_linux *tap_linux_of(struct tap *t)
{
    return container_of(t, struct tap_linux, base);
}

/* ---- frames ---------------------------------------------------------------------------- */

static enum status tap_linux_read(struct tap *t, uint8_t *frame, size_t cap, size_t *len_bytes,
                                  struct frame_offload *off)
{
    struct tap_linux *self = tap_linux_of(t);
    uint8_t header[VNET_HEADER_BYTES];
    uint8_t beyond;
    struct iovec parts[] = {
        { .iov_base = header, .iov_len = sizeof header },
        { .iov_base = frame, .iov_len = cap },
        { .iov_base = &beyond, .iov_len = sizeof beyond },
    };
    enum status st;
    ssize_t n;
    size_t len;

    do {
        n = readv(self->fd, parts, ARRAY_SIZE(parts));
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return os_status(errno);
    if ((size_t)n < sizeof header)
        return ST_PROTO;
    len = (size_t)n - sizeof header;
    if (len > cap)
        return ST_FULL;
    st = vnet_header_decode(off, header, frame, len);
    if (!st)
        *len_bytes = len;
    return st;
}

static enum status tap_linux_write(struct tap *t, const uint8_t *frame, size_t len_bytes,
                                   const struct frame_offload *off)
{
    struct tap_linux *self = tap_linux_of(t);
    uint8_t header[VNET_HEADER_BYTES];
    struct iovec parts[] = {
        { .iov_base = header, .iov_len = sizeof header },
        { .iov_base = (void *)(uintptr_t)frame, .iov_len = len_bytes },
    };
    ssize_t n;

    vnet_header_encode(header, off);
    do {
        n = writev(self->fd, parts, ARRAY_SIZE(parts));
    } while (n < 0 && errno == EINTR);
    return n < 0 ? os_status(errno) : ST_OK;
}

static enum status tap_linux_set_offload(struct tap *t, bool on)
{
    int fd = tap_linux_of(t)->fd;

    if (!on)
        return ioctl(fd, TUNSETOFFLOAD, 0UL) == 0 ? ST_OK : os_status(errno);
    if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)(OFFLOAD_TCP | OFFLOAD_UDP)) == 0 ||
        ioctl(fd, TUNSETOFFLOAD, (unsigned long)OFFLOAD_TCP) == 0)
        return ST_OK;
    return os_status(errno);
}

/* ---- readiness ------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct tap_linux *self = poll->data;

    if (status == 0) {
        self->handler->on_readable(self->ctx);
        return;
    }
    self->is_broken = true; /* libuv has stopped the handle */
    self->handler->on_error(self->ctx, ST_CLOSED);
}

static void tap_linux_pause(struct tap *t, bool paused)
{
    struct tap_linux *self = tap_linux_of(t);

    if (self->is_broken)
        return;
    if (paused)
        uv_poll_stop(&self->poll);
    else
        uv_poll_start(&self->poll, UV_READABLE, on_poll);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void tap_linux_close(struct tap *t)
{
    struct tap_linux *self = tap_linux_of(t);

    uv_close((uv_handle_t *)&self->poll, on_closed);
    close(self->fd);
}

static const struct tap_ops tap_linux_ops = {
    .read = tap_linux_read,
    .write = tap_linux_write,
    .set_offload = tap_linux_set_offload,
    .pause = tap_linux_pause,
    .close = tap_linux_close,
};

/* ---- opening --------------------------------------------------------------------------- */

enum status tap_linux_open_device(int *out_fd, struct errmsg *e)
{
    int fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int err = errno;

    if (fd >= 0) {
        *out_fd = fd;
        return ST_OK;
    }
    switch (err) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        errmsg_set(e,
                   DEVICE ": %s; the kernel has no tap devices: load them with \"modprobe tun\" "
                          "(WSL from 2.5.4 on does not do it by itself), then start this again",
                   strerror(err));
        return ST_UNSUPPORTED;
    case EACCES:
    case EPERM:
        errmsg_set(e,
                   DEVICE ": %s; the unit needs DeviceAllow=" DEVICE
                          " rw, and BindPaths= of it beside PrivateDevices=",
                   strerror(err));
        return ST_DENIED;
    default: errmsg_set(e, DEVICE ": %s", strerror(err)); return os_status(err);
    }
}

static enum status create(int fd, const char *name, struct errmsg *e)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL };
    int header_bytes = VNET_HEADER_BYTES;
    int little_endian = 1;
    int err;

    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (ioctl(fd, TUNSETIFF, &request) == 0 && ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) == 0 &&
        ioctl(fd, TUNSETVNETLE, &little_endian) == 0)
        return ST_OK;
    err = errno;
    errmsg_set(e, "tap device %s: %s%s", name, strerror(err),
               err == EPERM ? " (needs CAP_NET_ADMIN)" : "");
    return err == EBUSY ? ST_EXISTS : os_status(err);
}

static enum status start_polling(struct tap_linux *self, struct loop *loop)
{
    int err = uv_poll_init(loop_uv_handle(loop), &self->poll, self->fd);

    if (err)
        return uv_status(err);
    self->poll.data = self;
    err = uv_poll_start(&self->poll, UV_READABLE, on_poll);
    ASSERT(!err); /* it only takes note; the kernel is asked by the loop */
    return ST_OK;
}

enum status tap_linux_open(struct tap **out, struct loop *loop, const char *name,
                           const struct tap_handler *handler, void *ctx, struct errmsg *e)
{
    struct tap_linux *self = calloc(1, sizeof *self);
    enum status st = ST_NOMEM;

    if (!self)
        return ST_NOMEM;
    self->base.ops = &tap_linux_ops;
    self->handler = handler;
    self->ctx = ctx;
    self->fd = -1;
    st = tap_linux_open_device(&self->fd, e);
    if (!st)
        st = create(self->fd, name, e);
    if (!st)
        st = start_polling(self, loop);
    if (st) {
        if (self->fd >= 0)
            close(self->fd);
        free(self);
        return st;
    }
    *out = &self->base;
    return ST_OK;
}
