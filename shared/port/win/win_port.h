/* SPDX-License-Identifier: Apache-2.0
 * win_port.h - what the libuv loop asks of this directory on Windows.
 *
 * loop_uv.c hands over every dial to npipe: and hvsock:, and every listen at npipe:, hvsock: and
 * tcp:; parameters and promises are those of loop_ops in port/loop.h. The struct dial begins with
 * its cancel function (port/uv/dial_base.h). Runs on: the loop's thread. Private to port/.
 */
#ifndef SHARED_PORT_WIN_WIN_PORT_H
#define SHARED_PORT_WIN_WIN_PORT_H

#include "port/listener.h"
#include "port/loop.h"

/* ST_UNSUPPORTED for any other kind of address. */
enum status win_dial(struct loop *loop, struct dial **out, const struct addr *to,
                     uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e);
/* ST_UNSUPPORTED for any other kind of address. */
enum status win_listen(struct loop *loop, struct listener **out, const struct addr *at,
                       const struct listener_opts *opts, const struct listener_handler *handler,
                       void *ctx, struct errmsg *e);

#endif
