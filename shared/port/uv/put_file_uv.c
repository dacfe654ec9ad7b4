/* SPDX-License-Identifier: Apache-2.0 */
#include "port/put_file.h"

#include "port/uv/file_uv.h"
#include "port/uv/put_file_os.h"
#include "port/uv/uv_status.h"

#include <stdio.h>
#include <uv.h>

/* Of the file at @path; @otherwise where there is none. */
static unsigned mode_of(const char *path, unsigned otherwise)
{
    uv_fs_t req;
    int err = uv_fs_stat(NULL, &req, path, NULL);
    unsigned mode = err ? otherwise : (unsigned)req.statbuf.st_mode;

    uv_fs_req_cleanup(&req);
    return mode & 0777;
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
    (void)file_uv_remove(beside);
    st = put_file_create(&file, beside, mode & PUT_FILE_KEEP_MODE ? mode_of(path, mode) : mode);
    if (st != ST_OK)
        return st;
    err = file_uv_write(file, data, len_bytes, NULL);
    close_err = file_uv_close(file);
    if (!err)
        err = close_err;
    if (!err)
        err = file_uv_rename(beside, path);
    if (err)
        (void)file_uv_remove(beside);
    return err ? uv_status(err) : ST_OK;
}
