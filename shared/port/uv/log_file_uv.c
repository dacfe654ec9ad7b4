/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: one write is: is the file still there? -> is it due to be renamed? -> append.
 *
 *   PATH.2 -> PATH.3, PATH.1 -> PATH.2, PATH -> PATH.1    each by rename, the oldest is replaced
 *
 * A crash in between leaves a gap in the numbers, never a lost or doubled line. Where a rename is
 * refused (Windows: somebody has the file open without sharing) the file grows on and the rename is
 * tried again at the next write, up to GROW_FACTOR times its size; beyond that writing fails, for
 * the bound on disk use is the stronger promise.
 *
 * A write that the disk took half of is cut off again, so that the file ends with a whole line. The
 * age is that of the first line, read back when an older file is continued. A link at PATH is not
 * followed. Somebody who removes or renames the file is noticed within LOOK_MS.
 */
#include "port/log_file.h"

#include "base/util.h"
#include "base/wall_time.h"
#include "port/uv/file_uv.h"
#include "port/uv/uv_status.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { FILE_MODE = 0640, FOLDER_MODE = 0750, GROW_FACTOR = 2, LOOK_MS = 1000, NUMBER_MAX = 8 };

#ifndef UV_FS_O_NOFOLLOW
#    define UV_FS_O_NOFOLLOW 0
#endif

struct log_file {
    struct log_file_config config;
    uv_file file; /* -1 = none */
    uint64_t size_bytes, inode;
    int64_t started_ms; /* of its first line */
    int64_t looked_ms;  /* when we last saw that it is there */
};

/* ---- opening and closing ----------------------------------------------------------------------
 */

static void close_file(struct log_file *f)
{
    if (f->file >= 0)
        (void)file_uv_close(f->file);
    f->file = -1;
}

static void make_folder(const char *path)
{
    uv_fs_t req;

    (void)uv_fs_mkdir(NULL, &req, path, FOLDER_MODE, NULL); /* opening the file says if it failed */
    uv_fs_req_cleanup(&req);
}

static void make_folders(const char *path)
{
    char part[LOG_FILE_PATH_MAX];

    snprintf(part, sizeof part, "%s", path);
    for (char *p = part + 1; *p; p++) {
        char c = *p;

        if (c != '/' && c != '\\')
            continue;
        *p = '\0';
        make_folder(part);
        *p = c;
    }
}

static int64_t first_line_ms(const struct log_file *f, int64_t now_ms)
{
    enum { HEAD = sizeof "time=" - 1 + WALL_TIME_LEN };
    char head[HEAD];
    int64_t first_ms = now_ms;

    if (file_uv_read(f->file, head, HEAD, 0) == HEAD && !memcmp(head, "time=", 5))
        (void)wall_time_parse(head + 5, WALL_TIME_LEN, &first_ms);
    return first_ms;
}

static int open_file(struct log_file *f, int64_t now_ms)
{
    const int flags = UV_FS_O_RDWR | UV_FS_O_CREAT | UV_FS_O_APPEND | UV_FS_O_NOFOLLOW;
    int err = file_uv_open(f->config.path, flags, FILE_MODE);
    uv_fs_t req;

    if (err == UV_ENOENT) {
        make_folders(f->config.path);
        err = file_uv_open(f->config.path, flags, FILE_MODE);
    }
    if (err < 0)
        return err;
    f->file = err;
    err = uv_fs_fstat(NULL, &req, f->file, NULL);
    f->size_bytes = err ? 0 : req.statbuf.st_size;
    f->inode = err ? 0 : req.statbuf.st_ino;
    uv_fs_req_cleanup(&req);
    f->started_ms = f->size_bytes ? first_line_ms(f, now_ms) : now_ms;
    f->looked_ms = now_ms;
    return 0;
}

/* Somebody may have removed or renamed it: nobody would read what goes there. */
static void look(struct log_file *f, int64_t now_ms)
{
    uv_fs_t req;
    int err;

    if (f->file < 0 || (now_ms >= f->looked_ms && now_ms - f->looked_ms < LOOK_MS))
        return;
    f->looked_ms = now_ms;
    err = uv_fs_stat(NULL, &req, f->config.path, NULL);
    if (err || req.statbuf.st_ino != f->inode)
        close_file(f);
    uv_fs_req_cleanup(&req);
}

/* ---- renaming -------------------------------------------------------------------------------- */

static bool is_due(const struct log_file *f, size_t more_bytes, int64_t now_ms)
{
    const struct log_file_config *c = &f->config;

    if (!f->size_bytes)
        return false;
    return (c->max_bytes && f->size_bytes + more_bytes > c->max_bytes) ||
           (c->max_age_ms && now_ms - f->started_ms >= (int64_t)c->max_age_ms);
}

static void numbered(const struct log_file *f, unsigned number, char *path, size_t cap)
{
    snprintf(path, cap, "%s.%u", f->config.path, number);
}

/* The newest goes last; a file that is not there is no failure. */
static int shift(const struct log_file *f)
{
    char from[LOG_FILE_PATH_MAX + NUMBER_MAX], to[LOG_FILE_PATH_MAX + NUMBER_MAX];

    if (!f->config.keep)
        return file_uv_remove(f->config.path);
    for (unsigned i = f->config.keep; i > 1; i--) {
        int err;

        numbered(f, i - 1, from, sizeof from);
        numbered(f, i, to, sizeof to);
        err = file_uv_rename(from, to);
        if (err && err != UV_ENOENT)
            return err;
    }
    numbered(f, 1, to, sizeof to);
    return file_uv_rename(f->config.path, to);
}

static int rotate(struct log_file *f, size_t more_bytes, int64_t now_ms)
{
    bool is_too_large =
        f->config.max_bytes && f->size_bytes + more_bytes > GROW_FACTOR * f->config.max_bytes;
    int err;

    close_file(f);
    err = shift(f);
    if (err && is_too_large)
        return err;
    return open_file(f, now_ms);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void cut_back(struct log_file *f)
{
    uv_fs_t req;

    (void)uv_fs_ftruncate(NULL, &req, f->file, (int64_t)f->size_bytes, NULL);
    uv_fs_req_cleanup(&req);
}

static int append(struct log_file *f, const char *lines, size_t len_bytes)
{
    size_t done;
    int err = file_uv_write(f->file, lines, len_bytes, &done);

    if (!err)
        f->size_bytes += len_bytes;
    else if (done)
        cut_back(f);
    return err;
}

enum status log_file_new(struct log_file **out, const struct log_file_config *config)
{
    struct log_file *f;

    if (!config->path[0] || config->keep > LOG_FILE_KEEP_MAX ||
        !memchr(config->path, '\0', sizeof config->path))
        return ST_INVAL;
    f = calloc(1, sizeof *f);
    if (!f)
        return ST_NOMEM;
    f->config = *config;
    f->file = -1;
    *out = f;
    return ST_OK;
}

enum status log_file_write(struct log_file *f, const char *lines, size_t len_bytes, int64_t wall_ms)
{
    int err = 0;

    look(f, wall_ms);
    if (f->file < 0)
        err = open_file(f, wall_ms);
    if (!err && is_due(f, len_bytes, wall_ms))
        err = rotate(f, len_bytes, wall_ms);
    if (!err)
        err = append(f, lines, len_bytes);
    if (err)
        close_file(f);
    return err ? uv_status(err) : ST_OK;
}

void log_file_free(struct log_file *f)
{
    if (!f)
        return;
    close_file(f);
    free(f);
}
