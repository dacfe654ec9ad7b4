/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/vm_source.h"

#include "port/dir_watch.h"
#include "port/loop.h"
#include "vm/vm_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* THEORY
 *
 * Purpose. A hypervisor on this computer (Firecracker, Cloud Hypervisor, vhost-device-vsock) puts
 * one hybrid socket per machine into a folder: NAME.vsock. The folder may be absent, appear, vanish
 * and come back; NAME.vsock_PORT beside it are the sockets we listen on for that machine.
 *
 * Life. A scan runs at once, then every RESCAN_MS, or MISSING_MS while there is no folder that
 * could be watched. A watch makes it run SETTLE_MS after a change, once however many changes come
 * in that time. The watch is a shortcut only: it cannot start before the folder exists and goes
 * blind when the folder is replaced, so it is opened anew whenever the folder was absent at the
 * last scan.
 *
 * A snapshot is passed on when it differs from the one before, and the first one always.
 */

#define SUFFIX ".vsock"

enum { RESCAN_MS = 1000, MISSING_MS = 200, SETTLE_MS = 20 };

struct folder_source {
    struct vm_source base;
    struct loop *loop; /* borrowed */
    char folder[ADDR_PATH_MAX];
    vm_snapshot_fn *fn;
    void *ctx;
    struct dir_watch *watch; /* owned; NULL while there is none */
    struct timer timer;
    bool is_settling; /* the timer runs on behalf of a change */
    bool has_told;
    struct vm_snapshot told; /* what @fn saw last */
};

/* File names become ids in logs, JSON and condition messages: no surprises in them. */
static bool is_plain_name(const char *name, size_t len_bytes)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

    return len_bytes > 0 && len_bytes < VM_ID_MAX && strspn(name, plain) >= len_bytes;
}

static bool has_suffix(const char *name, size_t *stem_bytes)
{
    size_t len_bytes = strlen(name);
    size_t suffix_bytes = sizeof SUFFIX - 1;

    if (len_bytes < suffix_bytes || strcmp(name + len_bytes - suffix_bytes, SUFFIX) != 0)
        return false;
    *stem_bytes = len_bytes - suffix_bytes;
    return true;
}

/* Context of one scan. */
struct scan {
    const struct folder_source *source;
    struct vm_snapshot *snap;
};

static void on_entry(void *ctx, const char *name, enum dir_entry_kind kind)
{
    const struct scan *scan = ctx;
    struct vm_snapshot *snap = scan->snap;
    struct vm_info *vm = &snap->vms[snap->count];
    size_t stem_bytes;
    int path_bytes;

    if (!has_suffix(name, &stem_bytes))
        return;
    if (kind == DIR_ENTRY_OTHER || !is_plain_name(name, stem_bytes) ||
        snap->count == VM_SNAPSHOT_MAX) {
        snap->ignored++;
        return;
    }
    *vm =
        (struct vm_info){ .addr = { .kind = ADDR_VSOCK_HYBRID, .port = ADDR_PORT_NONE, .fd = -1 } };
    path_bytes = snprintf(vm->addr.path, sizeof vm->addr.path, "%s/%s", scan->source->folder, name);
    if (path_bytes < 0 || (size_t)path_bytes >= sizeof vm->addr.path) {
        snap->ignored++;
        return;
    }
    memcpy(vm->id, name, stem_bytes);
    snap->count++;
}

static void on_changed(void *ctx)
{
    struct folder_source *f = ctx;

    if (f->is_settling)
        return;
    f->is_settling = true;
    timer_start(&f->timer, SETTLE_MS);
}

static void keep_watch(struct folder_source *f, bool exists)
{
    if (!exists) {
        dir_watch_close(f->watch);
        f->watch = NULL;
    } else if (!f->watch && dir_watch_open(&f->watch, f->loop, f->folder, on_changed, f, NULL)) {
        f->watch = NULL;
    }
}

/* Tells last, because the callee may close the source. */
static void scan_now(void *ctx)
{
    struct folder_source *f = ctx;
    struct vm_snapshot snap = { .count = 0 };
    struct scan scan = { .source = f, .snap = &snap };

    f->is_settling = false;
    snap.source_exists = dir_scan(f->folder, on_entry, &scan) == ST_OK;
    timer_start(&f->timer, snap.source_exists ? RESCAN_MS : MISSING_MS);
    keep_watch(f, snap.source_exists);
    if (f->has_told && vm_watch_is_same(&f->told, &snap))
        return;
    f->has_told = true;
    f->told = snap;
    f->fn(f->ctx, &snap);
}

static void folder_rescan(struct vm_source *s)
{
    struct folder_source *f = container_of(s, struct folder_source, base);

    timer_start(&f->timer, 0);
}

static void folder_close(struct vm_source *s)
{
    struct folder_source *f = container_of(s, struct folder_source, base);

    timer_stop(&f->timer);
    dir_watch_close(f->watch);
    free(f);
}

static const struct vm_source_ops folder_ops = { folder_rescan, folder_close };

enum status vm_source_folder_open(struct vm_source **out, struct loop *loop, const char *folder,
                                  vm_snapshot_fn *fn, void *ctx, struct errmsg *e)
{
    struct folder_source *f;

    if (!folder[0] || strlen(folder) + sizeof "/x" SUFFIX "_4294967295" > ADDR_PATH_MAX) {
        errmsg_set(e, "folder of machines \"%.40s...\": %s", folder,
                   folder[0] ? "too long for the sockets in it" : "no name");
        return ST_INVAL;
    }
    f = calloc(1, sizeof *f);
    if (!f) {
        errmsg_set(e, "folder of machines: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    f->base.ops = &folder_ops;
    f->loop = loop;
    f->fn = fn;
    f->ctx = ctx;
    snprintf(f->folder, sizeof f->folder, "%s", folder);
    timer_init(&f->timer, loop, scan_now, f);
    timer_start(&f->timer, 0);
    *out = &f->base;
    return ST_OK;
}
