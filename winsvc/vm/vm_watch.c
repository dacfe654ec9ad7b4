/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm_watch.h"

#include <string.h>

static const struct vm_info *find(const struct vm_snapshot *s, const char *id)
{
    for (unsigned i = 0; i < s->count; i++)
        if (!strcmp(s->vms[i].id, id))
            return &s->vms[i];
    return NULL;
}

static bool has(const struct vm_snapshot *s, const struct vm_info *vm)
{
    const struct vm_info *found = find(s, vm->id);

    return found && addr_equal(&found->addr, &vm->addr);
}

/* Every machine of @s that @other does not have, each id once. */
static bool report_missing(const struct vm_snapshot *s, const struct vm_snapshot *other,
                           void (*fn)(void *ctx, const struct vm_info *vm), void *ctx)
{
    bool any = false;

    for (unsigned i = 0; i < s->count; i++) {
        const struct vm_info *vm = &s->vms[i];

        if (find(s, vm->id) != vm || has(other, vm))
            continue;
        any = true;
        fn(ctx, vm);
    }
    return any;
}

bool vm_watch_diff(const struct vm_snapshot *was, const struct vm_snapshot *is,
                   const struct vm_watch_ops *ops, void *ctx)
{
    bool gone = report_missing(was, is, ops->on_gone, ctx);
    bool come = report_missing(is, was, ops->on_come, ctx);

    return gone || come;
}

bool vm_watch_is_same(const struct vm_snapshot *a, const struct vm_snapshot *b)
{
    if (a->count != b->count || a->ignored != b->ignored || a->source_exists != b->source_exists)
        return false;
    for (unsigned i = 0; i < a->count; i++)
        if (strcmp(a->vms[i].id, b->vms[i].id) != 0 ||
            !addr_equal(&a->vms[i].addr, &b->vms[i].addr))
            return false;
    return true;
}
