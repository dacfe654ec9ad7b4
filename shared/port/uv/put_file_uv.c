/* SPDX-License-Identifier: Apache-2.0 */
#include "port/put_file.h"

#include "port/uv/put_file_os.h"
#include "port/uv/uv_status.h"

#include <stdio.h>
#include <uv.h>

/* libuv's calls without a loop's callback are synchronous; each leaves something to clean up. */
static int close_file(uv_file file)
{
    uv_fs_t req;
    int err = uv_fs_close(NULL, &req, file, NULL);

    uv_fs_req_cleanup(&req);
    return err;
}

static int remove_file(const char *path)
{
    uv_fs_t req;
    int err = uv_fs_unlink(NULL, &req, path, NULL);

    uv_fs_req_cleanup(&req);
    return err;
}

static int write_all(uv_file file, const char *data, size_t len_bytes)
{
    while (len_bytes > 0) {
        uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)len_bytes);
        uv_fs_t req;
        int n = uv_fs_write(NULL, &req, file, &buf, 1, -1, NULL);

        uv_fs_req_cleanup(&req);
        if (n <= 0)
            return n ? n : UV_EIO;
        data += n;
        len_bytes -= (size_t)n;
    }
    return 0;
}

/* Of the file at @path; @otherwise where there is none. */
static unsigned mode_of(const char *path, unsigned otherwise)
{
    uv_fs_t req;
    int err = uv_fs_stat(NULL, &req, path, NULL);
    unsigned mode = err ? otherwise : (unsigned)req.statbuf.st_mode;

    uv_fs_req_cleanup(&req);
    return mode & 0777;
}

static int rename_file(const char *from, const char *to)
{
    uv_fs_t req;
    int err = uv_fs_rename(NULL, &req, from, to, NULL);

    uv_fs_req_cleanup(&req);
    return err;
}

enum status put_file(const char *path, const void *data, size_t len_bytes, unsigned mode)
{
    char beside[PUT_FILE_PATH_MAX];
    int n = snprintf(beside, sizeof beside, "%s.new", path);
    int err, close_err;
    enum status st;
    uv_file file;

    if (n < 0 || (size_t)n >= sizeof beside)
        return ST_INVAL;
    /* A leftover of a writer that died: it may be a link that somebody put there. */
    (void)remove_file(beside);
    st = put_file_create(&file, beside, mode & PUT_FILE_KEEP_MODE ? mode_of(path, mode) : mode);
    if (st != ST_OK)
        return st;
    err = write_all(file, data, len_bytes);
    close_err = close_file(file);
    if (!err)
        err = close_err;
    if (!err)
        err = rename_file(beside, path);
    if (err)
        (void)remove_file(beside);
    return err ? uv_status(err) : ST_OK;
}
