/* SPDX-License-Identifier: Apache-2.0 */
#include "port/log_pipe.h"

#include <windows.h>

size_t log_pipe_put(const char *data, size_t len_bytes)
{
    HANDLE to = GetStdHandle(STD_ERROR_HANDLE);
    DWORD mode = PIPE_READMODE_BYTE | PIPE_NOWAIT, took = 0;

    /* Refused by what is no pipe, which is then written as ever. */
    if (GetFileType(to) == FILE_TYPE_PIPE)
        SetNamedPipeHandleState(to, &mode, NULL, NULL);
    return WriteFile(to, data, (DWORD)len_bytes, &took, NULL) ? took : 0;
}
