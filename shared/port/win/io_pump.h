/* SPDX-License-Identifier: Apache-2.0
 * io_pump.h - overlapped operations and waits on handles, finished on the loop's thread.
 *
 * libuv's own completion port takes libuv's own handles only, so what libuv lacks (message-mode
 * pipes, hvsock) has a second port: one thread waits on it and does nothing but hand completions to
 * the loop (port/uv/completion_queue). One pump per loop; it exists while somebody holds it.
 * Runs on: the loop's thread, every function and every callback.
 */
#ifndef SHARED_PORT_WIN_IO_PUMP_H
#define SHARED_PORT_WIN_IO_PUMP_H

#include "base/status.h"
#include "port/uv/completion_queue.h"

#include <stdbool.h>
#include <stdint.h>
#include <windows.h>

struct io_pump;
struct loop;

/* One overlapped operation, embedded in its owner, which must stay in place until done() was
 * called: cancelling does not shorten that. */
struct io_op {
    OVERLAPPED ov;
    struct completion completion;
    void (*done)(struct io_op *op); /* op->error and op->bytes are set; may free the owner */
    uint32_t error;                 /* a Windows error, ERROR_SUCCESS when fine */
    uint32_t bytes;
};

/* One wait for a handle to be signalled, embedded in its owner until stopped. */
struct io_wait {
    struct completion completion;
    struct io_pump *pump; /* from start to fire() or stop; NULL otherwise */
    HANDLE wait;
    bool posted;
    void (*fire)(struct io_wait *w);
};

/* The pump of @loop; each acquire wants one release. ST_NOMEM, ST_NOFILES. */
enum status io_pump_acquire(struct io_pump **out, struct loop *loop, struct errmsg *e);
/* Only when none of the caller's operations is under way. */
void io_pump_release(struct io_pump *p);
/* Operations on @h complete here from now on; a handle joins once, for good. */
enum status io_pump_attach(struct io_pump *p, HANDLE h, struct errmsg *e);

/* Before each use of @op. */
void io_op_prepare(struct io_op *op, void (*done)(struct io_op *op));
/* For an operation that ended without the system saying so through the port: done() comes from the
 * loop, as if it had. */
void io_op_finish_later(struct io_pump *p, struct io_op *op, uint32_t error);

/* fire() is called once, on the loop, when @h is signalled. The waiter keeps @h open. */
enum status io_wait_start(struct io_pump *p, struct io_wait *w, HANDLE h,
                          void (*fire)(struct io_wait *w), struct errmsg *e);
/* True: fire() will not be called. False: it is on its way, keep the owner until then. */
bool io_wait_stop(struct io_wait *w);

#endif
