/* SPDX-License-Identifier: Apache-2.0
 * tap.h - the guest's Ethernet interface: a tap device with virtio-net headers, frame by frame.
 *
 * guestagent/linux/tap_linux.c is the real one, tests script their own. One frame is one system
 * call, which a tap device asks for; with offload a frame is a super-segment of up to 64 KiB.
 * Runs on: one loop. Owns: the device, which lives as long as this.
 */
#ifndef GUESTAGENT_NET_TAP_H
#define GUESTAGENT_NET_TAP_H

#include "base/status.h"
#include "link/frame_link.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct tap;

struct tap_handler {
    /* Frames wait: call tap_read() until ST_AGAIN, or less and be called again. */
    void (*on_readable)(void *ctx);
    /* The device is gone or broken; last callback. */
    void (*on_error)(void *ctx, enum status why);
};

struct tap_ops {
    enum status (*read)(struct tap *, uint8_t *frame, size_t cap, size_t *len_bytes,
                        struct frame_offload *off);
    enum status (*write)(struct tap *, const uint8_t *frame, size_t len_bytes,
                         const struct frame_offload *off);
    enum status (*set_offload)(struct tap *, bool on);
    void (*pause)(struct tap *, bool paused);
    void (*close)(struct tap *);
};

struct tap {
    const struct tap_ops *ops;
};

/* One frame into @frame. ST_AGAIN: none now; ST_FULL: it was larger than @cap and is lost;
 * ST_PROTO: lost, its header made no sense; ST_CLOSED, ST_IO: the device is broken, on_error() will
 * say so. */
static inline enum status tap_read(struct tap *t, uint8_t *frame, size_t cap, size_t *len_bytes,
                                   struct frame_offload *off)
{
    return t->ops->read(t, frame, cap, len_bytes, off);
}

/* One frame to the guest. @off may be NULL. Any failure: the frame is lost, as on any wire. */
static inline enum status tap_write(struct tap *t, const uint8_t *frame, size_t len_bytes,
                                    const struct frame_offload *off)
{
    return t->ops->write(t, frame, len_bytes, off);
}

/* Whether the kernel may hand out super-segments and leave checksums to the peer: on a v2 link. */
static inline enum status tap_set_offload(struct tap *t, bool on)
{
    return t->ops->set_offload(t, on);
}

/* Leaves frames in the device's queue, which drops when it is full: the link is not writable. */
static inline void tap_pause(struct tap *t, bool paused)
{
    t->ops->pause(t, paused);
}

static inline void tap_close(struct tap *t)
{
    if (t)
        t->ops->close(t);
}

#endif
