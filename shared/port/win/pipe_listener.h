/* SPDX-License-Identifier: Apache-2.0
 * pipe_listener.h - serves a named pipe: many instances, always some of them listening.
 * Implements listener.h at npipe: addresses; ST_EXISTS says who has the name. Private to port/win.
 */
#ifndef SHARED_PORT_WIN_PIPE_LISTENER_H
#define SHARED_PORT_WIN_PIPE_LISTENER_H

#include "port/listener.h"

enum { PIPE_DEFAULT_INSTANCES = 16, PIPE_MAX_INSTANCES = 256 };

/* @name without \\.\pipe\. Without opts->join the listener claims the name itself; with it the
 * name must exist (ST_NOTFOUND). */
enum status pipe_listener_open(struct loop *loop, struct listener **out, const char *name,
                               const struct listener_opts *opts,
                               const struct listener_handler *handler, void *ctx, struct errmsg *e);

#endif
