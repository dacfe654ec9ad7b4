/* SPDX-License-Identifier: Apache-2.0
 * tap_bridge.h - frames between the tap device and the link, in batches, both ways.
 *
 * Reading the device goes straight into the link's batch buffer, writing to it straight out of the
 * link's receive buffer: no copy of ours, one write of the link per turn of the loop. When the
 * link takes no more, the device's queue holds (and then drops, as any wire does). Between two
 * links the device stays and frames are dropped. Runs on: one loop. Owns: the link; borrows the
 * tap.
 */
#ifndef GUESTAGENT_NET_TAP_BRIDGE_H
#define GUESTAGENT_NET_TAP_BRIDGE_H

#include "base/status.h"
#include "link/frame_link.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct stream;
struct tap;
struct tap_bridge;

struct tap_bridge_ops {
    /* A frame from the host; true = taken, it is not for the guest (DHCP). */
    bool (*on_frame)(void *ctx, const uint8_t *frame, size_t len_bytes);
    void (*on_link_end)(void *ctx, enum status why);
};

struct tap_bridge_stats {
    uint64_t to_host_frames, to_host_bytes, to_guest_frames, to_guest_bytes;
    uint64_t dropped_no_link, dropped_link_full, dropped_tap_full;
    uint64_t dropped_bad; /* what the link itself dropped is added when it ends */
    uint64_t last_rx_ms;  /* monotonic: last frame from the host; 0 = none */
};

enum status tap_bridge_new(struct tap_bridge **out, struct loop *loop,
                           const struct tap_bridge_ops *ops, void *ctx);
/* NULL takes it away. */
void tap_bridge_set_tap(struct tap_bridge *b, struct tap *tap);
/* Takes @s in every case; closes the link there was, without on_link_end(). */
enum status tap_bridge_attach(struct tap_bridge *b, struct stream *s, enum frame_protocol protocol);
/* Closes the link there is, without on_link_end(). */
void tap_bridge_detach(struct tap_bridge *b);
bool tap_bridge_has_link(const struct tap_bridge *b);
/* The tap's on_readable() and on_error() lead here. */
void tap_bridge_on_tap(struct tap_bridge *b);
/* A frame of the unit's own to the host (DHCP); lost when there is no room. */
void tap_bridge_send(struct tap_bridge *b, const uint8_t *frame, size_t len_bytes);
const struct tap_bridge_stats *tap_bridge_stats(const struct tap_bridge *b);
void tap_bridge_free(struct tap_bridge *b);

#endif
