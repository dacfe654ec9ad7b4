/* SPDX-License-Identifier: Apache-2.0
 * win_error.h - Windows' error numbers as statuses and texts. Any thread.
 */
#ifndef SHARED_PORT_WIN_WIN_ERROR_H
#define SHARED_PORT_WIN_WIN_ERROR_H

#include "base/status.h"

#include <stdint.h>

enum { WIN_ERROR_TEXT_MAX = 160 };

/* Takes GetLastError() and WSAGetLastError() numbers alike; unknown ones are ST_IO. */
enum status win_error_status(uint32_t error);
/* "Access is denied (5)": for messages; returns @buf. */
const char *win_error_text(uint32_t error, char buf[static WIN_ERROR_TEXT_MAX]);
/* errmsg_set("@what: text of @error"); returns win_error_status(@error), to be passed on. */
enum status win_error_set(struct errmsg *e, const char *what, uint32_t error);

#endif
