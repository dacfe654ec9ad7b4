/* SPDX-License-Identifier: Apache-2.0
 * utf16.h - text at the border to Windows: UTF-8 in the program, UTF-16 in its calls. Strict both
 * ways: an invalid sequence is an error, never replaced. Any thread.
 */
#ifndef SHARED_PORT_WIN_UTF16_H
#define SHARED_PORT_WIN_UTF16_H

#include "base/status.h"

#include <stddef.h>
#include <wchar.h>

/* @cap counts elements, terminator included. ST_FULL: does not fit; ST_INVAL: not valid text. On
 * failure @out is the empty string. */
enum status utf8_to_utf16(wchar_t *out, size_t cap, const char *text);
enum status utf16_to_utf8(char *out, size_t cap, const wchar_t *text);

#endif
