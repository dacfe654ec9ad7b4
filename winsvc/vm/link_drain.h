/* SPDX-License-Identifier: Apache-2.0
 * link_drain.h - holds the data links of generation A and B guests while no switch worker is there
 * to take them: reads, counts and drops what comes, so that the guest's sender never blocks and the
 * end of a link is noticed. The status says NetworkReady=False meanwhile; nothing is pretended.
 * Owns: the links. Runs on: the controller's loop.
 */
#ifndef WINSVC_VM_LINK_DRAIN_H
#define WINSVC_VM_LINK_DRAIN_H

#include "base/status.h"
#include "vm/guest_session.h"

#include <stdint.h>

struct link_drain;
struct stream;

struct link_drain_ops {
    void (*on_activity)(void *ctx, const char *vm_id, enum guest_generation generation);
    void (*on_end)(void *ctx, const char *vm_id, enum guest_generation generation, enum status why);
};

/* ST_NOMEM. */
enum status link_drain_new(struct link_drain **out, const struct link_drain_ops *ops, void *ctx);
/* Takes @s in every case; an older link of the same machine and generation is closed silently. */
void link_drain_add(struct link_drain *d, const char *vm_id, enum guest_generation generation,
                    struct stream *s);
unsigned link_drain_count(const struct link_drain *d);
uint64_t link_drain_bytes(const struct link_drain *d);
/* Closes every link without a callback. NULL is fine. */
void link_drain_free(struct link_drain *d);

#endif
