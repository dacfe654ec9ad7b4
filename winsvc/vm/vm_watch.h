/* SPDX-License-Identifier: Apache-2.0
 * vm_watch.h - the difference between two snapshots of the virtual machines. Pure.
 */
#ifndef WINSVC_VM_VM_WATCH_H
#define WINSVC_VM_VM_WATCH_H

#include "vm/vm_source.h"

struct vm_watch_ops {
    void (*on_gone)(void *ctx, const struct vm_info *vm);
    void (*on_come)(void *ctx, const struct vm_info *vm);
};

/* Calls on_gone() for each machine of @was that is not in @is, then on_come() for each of @is that
 * was not in @was. A machine whose address changed is both. Of two entries with one id the first
 * counts. True when there was any difference in machines. */
bool vm_watch_diff(const struct vm_snapshot *was, const struct vm_snapshot *is,
                   const struct vm_watch_ops *ops, void *ctx);
/* True when a reader can see no difference at all, order of machines included. */
bool vm_watch_is_same(const struct vm_snapshot *a, const struct vm_snapshot *b);

#endif
