/* SPDX-License-Identifier: Apache-2.0
 * pipe_dial.h - the client's side of a named pipe: the command line, and tests. Private to
 * port/win.
 */
#ifndef SHARED_PORT_WIN_PIPE_DIAL_H
#define SHARED_PORT_WIN_PIPE_DIAL_H

#include "port/loop.h"

/* @name without \\.\pipe\. Parameters and promises of dial_start(). A busy pipe is tried again
 * until the time is over (ST_TIMEOUT); one that does not exist is ST_NOTFOUND at once. */
enum status pipe_dial_start(struct loop *loop, struct dial **out, const char *name,
                            uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e);

#endif
