/* SPDX-License-Identifier: Apache-2.0
 * loop_uv.h - the production loop over libuv. Only main*.c, port/ and what polls a descriptor of
 * its own in a linux/ directory include this.
 */
#ifndef SHARED_PORT_UV_LOOP_UV_H
#define SHARED_PORT_UV_LOOP_UV_H

#include "port/loop.h"

#include <stdbool.h>

struct uv_loop_s;

/* One loop for the calling thread. */
enum status loop_uv_new(struct loop **out, struct errmsg *e);
/* Runs until loop_uv_stop(). */
void loop_uv_run(struct loop *loop);
/* Runs what is ready, waits at most until the next event; false when nothing is left. For tests. */
bool loop_uv_run_once(struct loop *loop);
void loop_uv_stop(struct loop *loop);
/* Closes what libuv still holds and frees the loop; every stream, dial, listener and process on it
 * must have been closed before. */
void loop_uv_free(struct loop *loop);
struct uv_loop_s *loop_uv_handle(struct loop *loop);

/* Calls @on_signal on the loop for SIGTERM and SIGINT (Windows: Ctrl-C, close, shutdown), each
 * time one comes. One registration per loop. */
typedef void loop_uv_signal_fn(void *ctx, int signal);
enum status loop_uv_on_stop_signals(struct loop *loop, loop_uv_signal_fn *on_signal, void *ctx);
/* The same for SIGHUP where it means "read your configuration"; Windows has no such signal, and
 * none comes. */
enum status loop_uv_on_reload_signal(struct loop *loop, loop_uv_signal_fn *on_signal, void *ctx);

#endif
