/* SPDX-License-Identifier: Apache-2.0
 * libuv knows of a mode only whether a file may be written, so the file is made here. Its
 * descriptor is that of a pipe without clients: who it names is the same, and so is why
 * (pipe_acl_text.c).
 */
#include "port/put_file.h"
#include "port/uv/put_file_os.h"
#include "port/win/pipe_acl.h"
#include "port/win/utf16.h"
#include "port/win/win_error.h"

#include <windows.h>

#include <sddl.h> /* needs windows.h */

enum { OTHERS = 077 };

static enum status own_descriptor(PSECURITY_DESCRIPTOR *out)
{
    char text[PIPE_ACL_TEXT_MAX];
    enum status st = pipe_acl_build(text, sizeof text, NULL, 0, NULL, NULL);

    if (st == ST_OK &&
        !ConvertStringSecurityDescriptorToSecurityDescriptorA(text, SDDL_REVISION_1, out, NULL))
        st = win_error_status(GetLastError());
    return st;
}

enum status put_file_create(uv_file *out, const char *path, unsigned mode)
{
    SECURITY_ATTRIBUTES rights = { .nLength = sizeof rights };
    wchar_t wide[PUT_FILE_PATH_MAX];
    enum status st = utf8_to_utf16(wide, ARRAY_SIZE(wide), path);
    HANDLE file;

    if (st == ST_OK && !(mode & OTHERS))
        st = own_descriptor(&rights.lpSecurityDescriptor);
    if (st != ST_OK)
        return st == ST_FULL ? ST_INVAL : st;
    file = CreateFileW(wide, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_DELETE, &rights,
                       CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        st = win_error_status(GetLastError());
    LocalFree(rights.lpSecurityDescriptor);
    if (st == ST_OK)
        *out = uv_open_osfhandle(file);
    return st;
}
