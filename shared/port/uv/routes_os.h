/* SPDX-License-Identifier: Apache-2.0
 * routes_os.h - struct routes of this operating system: linux/routes_linux.c, win/routes_win.c.
 */
#ifndef SHARED_PORT_UV_ROUTES_OS_H
#define SHARED_PORT_UV_ROUTES_OS_H

#include "base/status.h"

struct loop;
struct routes;

/* @loop outlives it; close it with ops->close(). ST_NOMEM, ST_NOFILES, ST_DENIED, ST_IO. */
enum status routes_os_new(struct routes **out, struct loop *loop, struct errmsg *e);

#endif
