/* SPDX-License-Identifier: Apache-2.0 */
#include "port/uv/file_uv.h"

/* What a call without a loop left in @req. */
static int result_of(uv_fs_t *req, int result)
{
    uv_fs_req_cleanup(req);
    return result;
}

int file_uv_open(const char *path, int flags, int mode)
{
    uv_fs_t req;

    return result_of(&req, uv_fs_open(NULL, &req, path, flags, mode, NULL));
}

int file_uv_close(uv_file file)
{
    uv_fs_t req;

    return result_of(&req, uv_fs_close(NULL, &req, file, NULL));
}

int file_uv_read(uv_file file, void *buf, size_t cap, int64_t at)
{
    uv_buf_t to = uv_buf_init(buf, (unsigned)cap);
    uv_fs_t req;

    return result_of(&req, uv_fs_read(NULL, &req, file, &to, 1, at, NULL));
}

int file_uv_write(uv_file file, const void *data, size_t len_bytes, size_t *done_bytes)
{
    const char *from = data;
    size_t done = 0;
    int err = 0;

    while (done < len_bytes && !err) {
        uv_buf_t buf = uv_buf_init((char *)(uintptr_t)(from + done), (unsigned)(len_bytes - done));
        uv_fs_t req;
        int n = result_of(&req, uv_fs_write(NULL, &req, file, &buf, 1, -1, NULL));

        if (n > 0)
            done += (size_t)n;
        else
            err = n ? n : UV_EIO;
    }
    if (done_bytes)
        *done_bytes = done;
    return err;
}

int file_uv_remove(const char *path)
{
    uv_fs_t req;

    return result_of(&req, uv_fs_unlink(NULL, &req, path, NULL));
}

int file_uv_rename(const char *from, const char *to)
{
    uv_fs_t req;

    return result_of(&req, uv_fs_rename(NULL, &req, from, to, NULL));
}
