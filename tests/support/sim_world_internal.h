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

/* sim_world.c: a connection to @port of the gateway, whose answer is not compared. */
struct world_flow *world_begin_service(struct sim_world *w, unsigned slot,
                                       enum world_flow_kind kind, uint16_t port);
/* sim_world_guest.c: an A question. */
struct bytes_out;
void world_put_question(struct bytes_out *b, uint16_t id, const char *name);
/* sim_world_services.c: the guest's UDP service, and what reached the host's clients. */
void world_udp_service(struct sim_world *w, const struct frame_view *v);
void world_look_at_clients(struct sim_world *w);

#endif
