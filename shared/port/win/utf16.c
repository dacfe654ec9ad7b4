/* SPDX-License-Identifier: Apache-2.0 */
#include "port/win/utf16.h"

#include <windows.h>

static enum status why(void)
{
    return GetLastError() == ERROR_INSUFFICIENT_BUFFER ? ST_FULL : ST_INVAL;
}

enum status utf8_to_utf16(wchar_t *out, size_t cap, const char *text)
{
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, out, (int)cap) > 0)
        return ST_OK;
    enum status st = why();
    out[0] = L'\0';
    return st;
}

enum status utf16_to_utf8(char *out, size_t cap, const wchar_t *text)
{
    if (WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, text, -1, out, (int)cap, NULL, NULL) > 0)
        return ST_OK;
    enum status st = why();
    out[0] = '\0';
    return st;
}
