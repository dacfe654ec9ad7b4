/* SPDX-License-Identifier: Apache-2.0
 * A new file gets a descriptor of its own and inherits nothing: the system, administrators and its
 * owner. Its text is constant; O is whoever makes it.
 */
#include "port/secret_file.h"

#include "port/win/utf16.h"
#include "port/win/win_error.h"

#include <windows.h>

#include <sddl.h>
#include <stdbool.h>

enum { PATH_MAX_UNITS = 1024 };

static const wchar_t private_sddl[] = L"D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;OW)";

static enum status open_file(HANDLE *out, const char *path, DWORD access, DWORD disposition,
                             SECURITY_ATTRIBUTES *security, struct errmsg *e)
{
    wchar_t wide[PATH_MAX_UNITS];
    enum status st = utf8_to_utf16(wide, ARRAY_SIZE(wide), path);

    if (st) {
        errmsg_set(e, "%.150s: not a path", path);
        return ST_INVAL;
    }
    *out = CreateFileW(wide, access, FILE_SHARE_READ, security, disposition, FILE_ATTRIBUTE_NORMAL,
                       NULL);
    return *out == INVALID_HANDLE_VALUE ? win_error_set(e, path, GetLastError()) : ST_OK;
}

static enum status read_all(HANDLE h, const char *path, char *buf, size_t cap, size_t *len_bytes,
                            struct errmsg *e)
{
    LARGE_INTEGER size;
    DWORD got = 0;

    if (GetFileType(h) != FILE_TYPE_DISK || !GetFileSizeEx(h, &size)) {
        errmsg_set(e, "%s is no plain file", path);
        return ST_INVAL;
    }
    if (size.QuadPart < 0 || (ULONGLONG)size.QuadPart > cap) {
        errmsg_set(e, "%s is longer than %zu bytes", path, cap);
        return ST_FULL;
    }
    if (!ReadFile(h, buf, (DWORD)size.QuadPart, &got, NULL))
        return win_error_set(e, path, GetLastError());
    *len_bytes = got;
    return ST_OK;
}

enum status secret_file_read(const char *path, char *buf, size_t cap, size_t *len_bytes,
                             struct errmsg *e)
{
    HANDLE h;
    enum status st = open_file(&h, path, GENERIC_READ, OPEN_EXISTING, NULL, e);

    if (st)
        return st;
    st = read_all(h, path, buf, cap, len_bytes, e);
    CloseHandle(h);
    return st;
}

static bool write_all(HANDLE h, const char *data, size_t len_bytes)
{
    DWORD put = 0;

    return WriteFile(h, data, (DWORD)len_bytes, &put, NULL) && put == len_bytes &&
           FlushFileBuffers(h);
}

enum status secret_file_create(const char *path, const char *data, size_t len_bytes,
                               struct errmsg *e)
{
    SECURITY_ATTRIBUTES security = { .nLength = sizeof security };
    HANDLE h;
    enum status st;

    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(private_sddl, SDDL_REVISION_1,
                                                              &security.lpSecurityDescriptor, NULL))
        return win_error_set(e, path, GetLastError());
    st = open_file(&h, path, GENERIC_WRITE | DELETE, CREATE_NEW, &security, e);
    LocalFree(security.lpSecurityDescriptor);
    if (st)
        return st;
    if (!write_all(h, data, len_bytes)) {
        FILE_DISPOSITION_INFO gone = { .DeleteFile = TRUE };

        st = win_error_set(e, path, GetLastError());
        (void)SetFileInformationByHandle(h, FileDispositionInfo, &gone, sizeof gone);
    }
    CloseHandle(h);
    return st;
}
