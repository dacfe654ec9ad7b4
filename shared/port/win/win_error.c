/* SPDX-License-Identifier: Apache-2.0 */
#include "port/win/win_error.h"

#include "port/win/utf16.h"

#include <winsock2.h>

#include <stdio.h>
#include <windows.h>

static const struct {
    DWORD error;
    enum status st;
} map[] = {
    { ERROR_SUCCESS, ST_OK },
    { ERROR_FILE_NOT_FOUND, ST_NOTFOUND },
    { ERROR_PATH_NOT_FOUND, ST_NOTFOUND },
    { ERROR_NONE_MAPPED, ST_NOTFOUND },
    { ERROR_ACCESS_DENIED, ST_DENIED },
    { WSAEACCES, ST_DENIED },
    { ERROR_PRIVILEGE_NOT_HELD, ST_DENIED },
    { ERROR_TOO_MANY_OPEN_FILES, ST_NOFILES },
    { ERROR_NO_SYSTEM_RESOURCES, ST_NOFILES },
    { ERROR_NOT_ENOUGH_QUOTA, ST_NOFILES },
    { WSAEMFILE, ST_NOFILES },
    { WSAENOBUFS, ST_NOFILES },
    { ERROR_NOT_ENOUGH_MEMORY, ST_NOMEM },
    { ERROR_OUTOFMEMORY, ST_NOMEM },
    { ERROR_ALREADY_EXISTS, ST_EXISTS },
    { ERROR_FILE_EXISTS, ST_EXISTS },
    { ERROR_PIPE_BUSY, ST_EXISTS },
    { WSAEADDRINUSE, ST_EXISTS },
    { ERROR_BROKEN_PIPE, ST_RESET },
    { ERROR_NO_DATA, ST_RESET },
    { ERROR_PIPE_NOT_CONNECTED, ST_RESET },
    { ERROR_NETNAME_DELETED, ST_RESET },
    { ERROR_CONNECTION_ABORTED, ST_RESET },
    { WSAECONNRESET, ST_RESET },
    { WSAECONNABORTED, ST_RESET },
    { WSAENOTCONN, ST_RESET },
    { ERROR_CONNECTION_REFUSED, ST_REFUSED },
    { WSAECONNREFUSED, ST_REFUSED },
    { ERROR_NETWORK_UNREACHABLE, ST_UNREACHABLE },
    { ERROR_HOST_UNREACHABLE, ST_UNREACHABLE },
    { ERROR_PORT_UNREACHABLE, ST_UNREACHABLE },
    { WSAENETUNREACH, ST_UNREACHABLE },
    { WSAEHOSTUNREACH, ST_UNREACHABLE },
    { WSAEADDRNOTAVAIL, ST_UNREACHABLE }, /* hvsock: no such virtual machine */
    { ERROR_SEM_TIMEOUT, ST_TIMEOUT },
    { WAIT_TIMEOUT, ST_TIMEOUT },
    { WSAETIMEDOUT, ST_TIMEOUT },
    { ERROR_OPERATION_ABORTED, ST_CANCELLED },
    { ERROR_HANDLE_EOF, ST_EOF },
    { ERROR_INVALID_PARAMETER, ST_INVAL },
    { ERROR_INVALID_NAME, ST_INVAL },
    { ERROR_BAD_PATHNAME, ST_INVAL },
    { ERROR_INVALID_SECURITY_DESCR, ST_INVAL },
    { ERROR_INVALID_ACL, ST_INVAL },
    { ERROR_INVALID_SID, ST_INVAL },
    { ERROR_UNKNOWN_REVISION, ST_INVAL },
    { WSAEINVAL, ST_INVAL },
    { ERROR_NOT_SUPPORTED, ST_UNSUPPORTED },
    { WSAEAFNOSUPPORT, ST_UNSUPPORTED },
    { WSAEPROTONOSUPPORT, ST_UNSUPPORTED },
    { WSAESOCKTNOSUPPORT, ST_UNSUPPORTED },
};

enum status win_error_status(uint32_t error)
{
    for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
        if (map[i].error == error)
            return map[i].st;
    }
    return ST_IO;
}

const char *win_error_text(uint32_t error, char buf[static WIN_ERROR_TEXT_MAX])
{
    wchar_t wide[120];
    char text[120];
    DWORD n = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL,
                             error, 0, wide, ARRAY_SIZE(wide), NULL);
    while (n > 0 && (wide[n - 1] <= L' ' || wide[n - 1] == L'.'))
        n--;
    if (n == ARRAY_SIZE(wide))
        n--;
    wide[n] = L'\0';
    if (n == 0 || utf16_to_utf8(text, sizeof(text), wide) != ST_OK)
        snprintf(text, sizeof(text), "Windows error");
    snprintf(buf, WIN_ERROR_TEXT_MAX, "%s (%lu)", text, (unsigned long)error);
    return buf;
}

enum status win_error_set(struct errmsg *e, const char *what, uint32_t error)
{
    char text[WIN_ERROR_TEXT_MAX];
    errmsg_set(e, "%s: %s", what, win_error_text(error, text));
    return win_error_status(error);
}
