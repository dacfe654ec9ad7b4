/* SPDX-License-Identifier: Apache-2.0
 * sim_world_internal.h - what sim_world.c and sim_world_guest.c share.
 */
#ifndef TESTS_SUPPORT_SIM_WORLD_INTERNAL_H
#define TESTS_SUPPORT_SIM_WORLD_INTERNAL_H

#include "support/sim_world.h"

/* sim_world_guest.c: the guest's kernel. */
void world_guest_frame(void *world, const struct frame_view *v, const struct frame_offload *off);
/* Of struct tcp_guest. */
void world_guest_segment(void *world, struct tcp_guest *g, const struct tcp_header *h,
                         const uint8_t *data, size_t len_bytes);

#endif
