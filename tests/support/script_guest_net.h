/* SPDX-License-Identifier: Apache-2.0
 * script_guest_net.h - guestagent/net/guest_net.h and tap.h as a script: what the net unit does to
 * the guest's kernel is recorded, and the test is the kernel.
 *
 * One guest at a time: script_guest_reset() before each test. Frames that the kernel "sends" are
 * read by the code under test from within sim_run().
 */
#ifndef TESTS_SUPPORT_SCRIPT_GUEST_NET_H
#define TESTS_SUPPORT_SCRIPT_GUEST_NET_H

#include "guestagent/net/guest_net.h"
#include "port/sim/loop_sim.h"

enum { SCRIPT_FRAMES = 256, SCRIPT_FRAME_BYTES = 2048 };

struct script_frame {
    uint8_t b[SCRIPT_FRAME_BYTES];
    size_t len_bytes;
    struct frame_offload off;
};

struct script_queue {
    struct script_frame rows[SCRIPT_FRAMES];
    unsigned first, count;
};

struct script_guest {
    /* What the test decides. */
    enum status open_fails, tap_fails, apply_fails, write_fails;
    const char *file_trouble; /* NULL: files can be written */
    bool owner_restarted;     /* guest_net_is_current() is false until it is opened anew */
    /* What was done. */
    unsigned opened, closed, taps_opened, applied, routers_applied;
    bool is_open, has_tap, offload, paused;
    struct mac mac; /* of the tap */
    unsigned mtu;
    struct guest_lease lease;    /* applied last */
    struct guest_router router;  /* likewise */
    struct script_queue to_read; /* the kernel's, not read yet */
    struct script_queue written; /* to the kernel */
    unsigned reads;
};

extern struct script_guest script_guest;

void script_guest_reset(void);
/* The kernel sends a frame. @off may be NULL. */
void script_guest_sends(const void *frame, size_t len_bytes, const struct frame_offload *off);
/* The oldest frame the kernel got and the test has not seen; NULL: none. */
const struct script_frame *script_guest_gets(void);
/* The device dies. */
void script_guest_tap_error(enum status why);
/* A tap by itself, without guest_net: for tests of what is between tap and link. */
enum status script_tap_open(struct loop *loop, const struct tap_handler *handler, void *ctx,
                            struct tap **out);

#endif
