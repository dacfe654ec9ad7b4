/* SPDX-License-Identifier: Apache-2.0
 * vm_source.h - where virtual machines come from. Three implementations: the Windows registry
 * (win/vm_source_registry.c), a folder of hybrid sockets (vm_source_folder.c), and a fixed list.
 * Each calls on_snapshot with everything that exists now, at once after start and then at each
 * change; an absent or empty source is an empty snapshot with a note, never an error that ends it.
 */
#ifndef WINSVC_VM_VM_SOURCE_H
#define WINSVC_VM_VM_SOURCE_H

#include "base/status.h"
#include "port/addr.h"

#include <stdbool.h>

struct loop;
struct vm_source;

enum { VM_ID_MAX = 64, VM_SNAPSHOT_MAX = 32 };

struct vm_info {
    char id[VM_ID_MAX]; /* GUID text on Windows, file name without suffix in a folder */
    struct addr addr;   /* without a port */
};

struct vm_snapshot {
    struct vm_info vms[VM_SNAPSHOT_MAX];
    unsigned count;
    unsigned ignored;   /* names that do not parse, or beyond VM_SNAPSHOT_MAX */
    bool source_exists; /* the key or folder is there */
};

typedef void vm_snapshot_fn(void *ctx, const struct vm_snapshot *snap);

struct vm_source_ops {
    void (*rescan)(struct vm_source *); /* look now */
    void (*close)(struct vm_source *);
};

struct vm_source {
    const struct vm_source_ops *ops;
};

/* @folder holds NAME.vsock sockets. Watches and rescans every second. */
enum status vm_source_folder_open(struct vm_source **out, struct loop *loop, const char *folder,
                                  vm_snapshot_fn *fn, void *ctx, struct errmsg *e);
/* @items: "ID=VMADDR". */
enum status vm_source_fixed_open(struct vm_source **out, struct loop *loop,
                                 const struct vm_info *vms, unsigned count, vm_snapshot_fn *fn,
                                 void *ctx, struct errmsg *e);
/* Windows only, ST_UNSUPPORTED elsewhere. @key under HKLM; NULL = HCS's volatile store. @via, when
 * not NULL, replaces hvsock by that vm address (tests under Wine: tcp-hybrid). */
enum status vm_source_registry_open(struct vm_source **out, struct loop *loop, const char *key,
                                    const struct addr *via, vm_snapshot_fn *fn, void *ctx,
                                    struct errmsg *e);

static inline void vm_source_rescan(struct vm_source *s)
{
    s->ops->rescan(s);
}

static inline void vm_source_close(struct vm_source *s)
{
    if (s)
        s->ops->close(s);
}

#endif
