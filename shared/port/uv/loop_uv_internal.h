/* SPDX-License-Identifier: Apache-2.0
 * loop_uv_internal.h - what the files of port/ that stand on libuv share; nobody else includes it.
 *
 * loop_ops leads here: loop_uv.c dispatches by the kind of address to dial_uv.c, hybrid*.c and, for
 * what only one system has, to os_dial() and os_listen(), which linux/os_linux.c and
 * win/os_win.c define. Runs on: the loop's thread.
 */
#ifndef SHARED_PORT_UV_LOOP_UV_INTERNAL_H
#define SHARED_PORT_UV_LOOP_UV_INTERNAL_H

#include "port/loop.h"
#include "port/uv/dial_base.h"
#include "port/uv/loop_uv.h"
#include "port/vigil.h"

#include <stdbool.h>
#include <uv.h>

enum { LOOP_UV_MAX_SIGNALS = 4 };

struct loop_uv {
    struct loop base;
    uv_loop_t uv;
    uv_timer_t timer;    /* armed for the first of base.timers ... */
    uv_check_t turn_end; /* ... but when that is due while timers run */
    uv_idle_t awake;     /* active then: no waiting for events */
    uv_idle_t lookout;   /* active while @vigil is awake */
    struct vigil vigil;
    uv_signal_t signals[LOOP_UV_MAX_SIGNALS]; /* the first @signal_count are initialised */
    uv_signal_t reload_signal;                /* likewise when @has_reload_signal */
    bool has_reload_signal;
    unsigned signal_count;
    bool single_turn; /* within loop_uv_run_once() */
    bool in_timers;   /* within loop_run_timers() */
    loop_uv_signal_fn *on_signal;
    void *signal_ctx;
    loop_uv_signal_fn *on_reload_signal;
    void *reload_ctx;
    struct list hybrid_hubs; /* hybrid.c: one per path that is listened at */
    uint8_t *scratch;        /* owned; every stream receives into it */
    struct io_pump *pump;    /* port/win/io_pump.c's, while it has users */
};

static inline struct loop_uv *loop_uv_of(struct loop *loop)
{
    return container_of(loop, struct loop_uv, base);
}

/* The loop's receive buffer: whoever gets it may use it until it returns to the loop. */
uint8_t *loop_uv_scratch(struct loop *loop, size_t *cap);

/* tcp. Parameters of these four: loop_ops. */
enum status dial_uv_start(struct loop *loop, struct dial **out, const struct addr *to,
                          uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e);
/* vsock-hybrid and tcp-hybrid. */
enum status hybrid_dial_start(struct loop *loop, struct dial **out, const struct addr *to,
                              uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e);
/* Kinds that only this operating system has; ST_UNSUPPORTED for the others. */
enum status os_dial(struct loop *loop, struct dial **out, const struct addr *to,
                    uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e);
/* Ends the sending direction of a socket that has nothing queued, at once and without libuv's
 * detour over the poller. False: this system or socket cannot, use uv_shutdown(). */
bool os_shutdown_now(uv_stream_t *handle);
/* Whoever else wants this core has it for a while. */
void os_yield(void);
/* Every kind but the hybrid ones. */
enum status os_listen(struct loop *loop, struct listener **out, const struct addr *at,
                      const struct listener_opts *opts, const struct listener_handler *handler,
                      void *ctx, struct errmsg *e);

#endif
