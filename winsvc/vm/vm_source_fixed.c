/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm_source.h"

#include "port/loop.h"

#include <stdlib.h>
#include <string.h>

struct fixed_source {
    struct vm_source base;
    vm_snapshot_fn *fn;
    void *ctx;
    struct timer timer;
    struct vm_snapshot snap;
};

static void tell(void *ctx)
{
    struct fixed_source *f = ctx;

    f->fn(f->ctx, &f->snap);
}

static void fixed_rescan(struct vm_source *s)
{
    struct fixed_source *f = container_of(s, struct fixed_source, base);

    timer_start(&f->timer, 0);
}

static void fixed_close(struct vm_source *s)
{
    struct fixed_source *f = container_of(s, struct fixed_source, base);

    timer_stop(&f->timer);
    free(f);
}

static const struct vm_source_ops fixed_ops = { fixed_rescan, fixed_close };

enum status vm_source_fixed_open(struct vm_source **out, struct loop *loop,
                                 const struct vm_info *vms, unsigned count, vm_snapshot_fn *fn,
                                 void *ctx, struct errmsg *e)
{
    struct fixed_source *f;

    if (count > VM_SNAPSHOT_MAX) {
        errmsg_set(e, "%u machines given, at most %d are possible", count, VM_SNAPSHOT_MAX);
        return ST_INVAL;
    }
    f = calloc(1, sizeof *f);
    if (!f) {
        errmsg_set(e, "fixed machines: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    f->base.ops = &fixed_ops;
    f->fn = fn;
    f->ctx = ctx;
    f->snap.source_exists = true;
    f->snap.count = count;
    if (count > 0)
        memcpy(f->snap.vms, vms, count * sizeof *vms);
    timer_init(&f->timer, loop, tell, f);
    timer_start(&f->timer, 0);
    *out = &f->base;
    return ST_OK;
}
