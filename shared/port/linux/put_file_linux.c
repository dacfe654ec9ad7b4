/* SPDX-License-Identifier: Apache-2.0 */
#include "port/uv/put_file_os.h"

#include "port/uv/file_uv.h"
#include "port/uv/uv_status.h"

enum status put_file_create(uv_file *out, const char *path, unsigned mode)
{
    int file = file_uv_open(path, UV_FS_O_CREAT | UV_FS_O_EXCL | UV_FS_O_WRONLY, (int)mode);

    if (file < 0)
        return uv_status(file);
    *out = file;
    return ST_OK;
}
