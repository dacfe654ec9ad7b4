/* SPDX-License-Identifier: Apache-2.0 */
#include "port/file_tail.h"

#include "port/uv/file_uv.h"
#include "port/uv/uv_status.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { PATH_MAX_BYTES = 1024 };

struct file_tail {
    char path[PATH_MAX_BYTES];
    uv_file file;
    uint64_t inode;
    int64_t at; /* of the next byte */
};

enum status file_tail_open(struct file_tail **out, const char *path)
{
    struct file_tail *t = calloc(1, sizeof *t);
    uv_fs_t req;
    int n;

    if (!t)
        return ST_NOMEM;
    n = snprintf(t->path, sizeof t->path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof t->path) {
        free(t);
        return ST_INVAL;
    }
    t->file = file_uv_open(path, UV_FS_O_RDONLY, 0);
    if (t->file < 0) {
        enum status st = uv_status(t->file);

        free(t);
        return st;
    }
    if (!uv_fs_fstat(NULL, &req, t->file, NULL))
        t->inode = req.statbuf.st_ino;
    uv_fs_req_cleanup(&req);
    *out = t;
    return ST_OK;
}

enum status file_tail_read(struct file_tail *t, void *buf, size_t cap, size_t *len_bytes)
{
    int n = file_uv_read(t->file, buf, cap, t->at);

    if (n < 0 && n != UV_EOF)
        return ST_IO;
    *len_bytes = n > 0 ? (size_t)n : 0;
    t->at += n > 0 ? n : 0;
    return ST_OK;
}

bool file_tail_is_replaced(struct file_tail *t)
{
    bool is_replaced = false;
    uv_fs_t req;

    if (!uv_fs_stat(NULL, &req, t->path, NULL))
        is_replaced = req.statbuf.st_ino != t->inode || (int64_t)req.statbuf.st_size < t->at;
    uv_fs_req_cleanup(&req);
    return is_replaced;
}

void file_tail_close(struct file_tail *t)
{
    if (!t)
        return;
    (void)file_uv_close(t->file);
    free(t);
}
