/* SPDX-License-Identifier: Apache-2.0 */
#include "port/dir_watch.h"

#include "port/uv/loop_uv.h"
#include "port/uv/uv_status.h"

#include <stdlib.h>
#include <uv.h>

struct dir_watch {
    uv_fs_event_t handle;
    dir_watch_fn *fn;
    void *ctx;
};

static enum dir_entry_kind kind_of(uv_dirent_type_t type)
{
    switch (type) {
    case UV_DIRENT_SOCKET: return DIR_ENTRY_SOCKET;
    case UV_DIRENT_UNKNOWN: return DIR_ENTRY_UNKNOWN; /* some file systems do not say */
    default: return DIR_ENTRY_OTHER;
    }
}

/* Synchronous: without a callback libuv needs no loop. */
enum status dir_scan(const char *path, dir_entry_fn *fn, void *ctx)
{
    uv_fs_t req;
    uv_dirent_t entry;
    int err = uv_fs_scandir(NULL, &req, path, 0, NULL);

    if (err >= 0)
        while (uv_fs_scandir_next(&req, &entry) == 0)
            fn(ctx, entry.name, kind_of(entry.type));
    uv_fs_req_cleanup(&req);
    return err < 0 ? uv_status(err) : ST_OK;
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int err)
{
    const struct dir_watch *w = handle->data;

    w->fn(w->ctx);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

enum status dir_watch_open(struct dir_watch **out, struct loop *loop, const char *path,
                           dir_watch_fn *fn, void *ctx, struct errmsg *e)
{
    struct dir_watch *w = calloc(1, sizeof *w);
    int err;

    if (!w)
        return ST_NOMEM;
    err = uv_fs_event_init(loop_uv_handle(loop), &w->handle);
    if (err) {
        free(w);
        errmsg_set(e, "watch %s: %s", path, uv_strerror(err));
        return uv_status(err);
    }
    w->handle.data = w;
    w->fn = fn;
    w->ctx = ctx;
    err = uv_fs_event_start(&w->handle, on_event, path, 0);
    if (err) {
        errmsg_set(e, "watch %s: %s", path, uv_strerror(err));
        uv_close((uv_handle_t *)&w->handle, on_closed);
        return uv_status(err);
    }
    *out = w;
    return ST_OK;
}

void dir_watch_close(struct dir_watch *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->handle, on_closed);
}
