/* SPDX-License-Identifier: Apache-2.0
 * sim_wire.h - the link of a simulated guest, frame by frame: delay, loss, duplicates, reordering,
 * flipped bits, a bounded rate, and cuts in the middle of a frame.
 *
 *   guest --sim_wire_send()--> [faults, delay] --framing, in pieces--> switch
 *   guest <------ on_frame --- [faults, delay] <--checks, un-framing-- switch
 *
 * Every frame of the switch is checked before anything happens to it: lengths, checksums, MTU, what
 * its virtio-net header says. Everything is drawn from the seed; @hash is of all that crossed, with
 * its time, so that two runs can be compared. A broken rule is an ASSERT.
 */
#ifndef TESTS_SUPPORT_SIM_WIRE_H
#define TESTS_SUPPORT_SIM_WIRE_H

#include "base/list.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/frame_expect.h"
#include "switch/switch.h"

/* @off NULL: a plain frame. All borrowed for the call. */
typedef void sim_wire_fn(void *ctx, const struct frame_view *v, const struct frame_offload *off);

struct sim_wire_faults {
    unsigned lose, duplicate, reorder; /* of 1000 frames, each way */
    unsigned corrupt;                  /* of 1000 towards the switch: one bit is flipped */
    unsigned delay_ms;
};

struct sim_wire {
    struct sim *sim;
    struct switch_ *sw;
    enum frame_protocol protocol;
    unsigned mtu;
    sim_wire_fn *on_frame;
    void *ctx;
    struct sim_wire_faults faults;
    size_t rate_bytes_ms; /* what the guest takes off the link; 0 = all there is */

    struct sim_peer *link; /* NULL: cut */
    uint64_t rng, hash;
    struct list up, down; /* of frames on their way, by their time */
    uint8_t *rx;          /* owned: what the link gave and is not a whole frame yet */
    size_t rx_bytes;
    uint64_t rate_ms; /* the rate was given up to here */
    bool is_rated;
    unsigned frames_up, frames_down, corrupted, cuts;
};

/* Attaches the first link. */
void sim_wire_init(struct sim_wire *w, struct sim *sim, struct switch_ *sw,
                   enum frame_protocol protocol, unsigned mtu, uint64_t seed);
/* Before sim_free(). */
void sim_wire_fini(struct sim_wire *w);
uint32_t sim_wire_random(struct sim_wire *w, uint32_t below);
/* True in @of_1000 of a thousand. */
bool sim_wire_chance(struct sim_wire *w, unsigned of_1000);

/* A frame of the guest's. One with an @off whose checksum is partial is never damaged. */
void sim_wire_send(struct sim_wire *w, const uint8_t *frame, size_t len_bytes,
                   const struct frame_offload *off);
/* What is due now moves, either way; the sim runs. */
void sim_wire_run(struct sim_wire *w);
uint64_t sim_wire_next_due_ms(const struct sim_wire *w);
/* The link dies; half a frame may have been sent. What was on its way is lost. */
void sim_wire_cut(struct sim_wire *w);
/* Another one; an older one is replaced. ST_NOMEM where allocations fail. */
enum status sim_wire_attach(struct sim_wire *w);

#endif
