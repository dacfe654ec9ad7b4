/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 *
 *   ReadFile(op) ... kernel ... completion port --> pump thread --> completion_queue --> done(op)
 *   RegisterWaitForSingleObject ................--> wait thread --> completion_queue --> fire(w)
 *
 * Life of an operation: prepare, start it with a system call, and from then on OVERLAPPED belongs
 * to the kernel until exactly one packet has come, also after ERROR_SUCCESS at once (we do not ask
 * for FILE_SKIP_COMPLETION_PORT_ON_SUCCESS: one way to finish is one way to get wrong) and also
 * after CancelIoEx. A call that fails with anything but ERROR_IO_PENDING sends no packet.
 *
 * The pump thread reads many packets at a time, copies result and error into the op and posts it.
 * It touches an op only between the packet and the post, so the owner needs no lock.
 *
 * Waits are for what cannot join our port: a connecting socket, because libuv will want that socket
 * on its own port and a handle joins one port only, and registry notifications.
 *
 * One pump per loop, kept in struct loop_uv. It is reference-counted by its users, each of which
 * lives until its last operation is done; so when the count is zero the port is silent, the thread
 * is told to end (a packet without OVERLAPPED) and joined, which takes microseconds.
 *
 * Not done: completing on libuv's port. uv_loop_t.iocp is reachable but private, and libuv treats
 * every packet on it as one of its own requests.
 */
#include "port/win/io_pump.h"

#include "base/util.h"
#include "port/uv/loop_uv_internal.h"
#include "port/win/win_error.h"

#include <stdlib.h>
#include <winternl.h>

enum { PUMP_BATCH = 64 };

struct io_pump {
    struct loop_uv *loop; /* borrowed; points back to us */
    unsigned users;
    HANDLE port;
    HANDLE thread;
    struct completion_queue *queue; /* owned */
};

static DWORD WINAPI pump_main(void *arg)
{
    struct io_pump *p = arg;
    OVERLAPPED_ENTRY got[PUMP_BATCH];

    for (;;) {
        ULONG n = 0;
        if (!GetQueuedCompletionStatusEx(p->port, got, PUMP_BATCH, &n, INFINITE, FALSE))
            continue;
        for (ULONG i = 0; i < n; i++) {
            if (!got[i].lpOverlapped)
                return 0; /* io_pump_release(): nothing else can be in the batch */
            struct io_op *op = container_of(got[i].lpOverlapped, struct io_op, ov);
            op->bytes = got[i].dwNumberOfBytesTransferred;
            op->error = RtlNtStatusToDosError((NTSTATUS)op->ov.Internal);
            completion_queue_post(p->queue, &op->completion);
        }
    }
}

static enum status pump_new(struct io_pump **out, struct loop *loop, struct errmsg *e)
{
    struct io_pump *p = calloc(1, sizeof(*p));
    if (!p)
        return ST_NOMEM;
    p->loop = loop_uv_of(loop);
    enum status st = completion_queue_new(&p->queue, loop_uv_handle(loop));
    if (st)
        goto fail;
    p->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    if (!p->port) {
        st = win_error_set(e, "create completion port", GetLastError());
        goto fail;
    }
    p->thread =
        CreateThread(NULL, 64 * 1024, pump_main, p, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (!p->thread) {
        st = win_error_set(e, "start pump thread", GetLastError());
        goto fail;
    }
    *out = p;
    return ST_OK;
fail:
    if (p->port)
        CloseHandle(p->port);
    completion_queue_free(p->queue);
    free(p);
    return st;
}

enum status io_pump_acquire(struct io_pump **out, struct loop *loop, struct errmsg *e)
{
    struct loop_uv *uv = loop_uv_of(loop);
    if (!uv->pump) {
        enum status st = pump_new(&uv->pump, loop, e);
        if (st)
            return st;
    }
    uv->pump->users++;
    *out = uv->pump;
    return ST_OK;
}

void io_pump_release(struct io_pump *p)
{
    if (--p->users > 0)
        return;
    p->loop->pump = NULL;
    /* Out of memory for one packet is the only way this fails; a thread that waits for ever on a
     * port nobody uses is then better than ending it by force. */
    if (PostQueuedCompletionStatus(p->port, 0, 0, NULL))
        WaitForSingleObject(p->thread, INFINITE);
    CloseHandle(p->thread);
    CloseHandle(p->port);
    completion_queue_free(p->queue);
    free(p);
}

enum status io_pump_attach(struct io_pump *p, HANDLE h, struct errmsg *e)
{
    if (CreateIoCompletionPort(h, p->port, 0, 0))
        return ST_OK;
    return win_error_set(e, "attach to completion port", GetLastError());
}

static void op_run(struct completion *c)
{
    struct io_op *op = container_of(c, struct io_op, completion);
    op->done(op);
}

void io_op_prepare(struct io_op *op, void (*done)(struct io_op *op))
{
    *op = (struct io_op){ .completion.run = op_run, .done = done };
}

void io_op_finish_later(struct io_pump *p, struct io_op *op, uint32_t error)
{
    op->error = error;
    op->bytes = 0;
    completion_queue_post(p->queue, &op->completion);
}

/* Blocks until no callback runs or will run, which takes as long as posting one completion. */
static void wait_unregister(struct io_wait *w)
{
    if (w->wait)
        UnregisterWaitEx(w->wait, INVALID_HANDLE_VALUE);
    w->wait = NULL;
}

static void wait_run(struct completion *c)
{
    struct io_wait *w = container_of(c, struct io_wait, completion);
    wait_unregister(w);
    w->pump = NULL;
    w->fire(w);
}

static void CALLBACK wait_signalled(void *arg, BOOLEAN timed_out)
{
    struct io_wait *w = arg;
    w->posted = true; /* read by the loop's thread after wait_unregister() */
    completion_queue_post(w->pump->queue, &w->completion);
}

enum status io_wait_start(struct io_pump *p, struct io_wait *w, HANDLE h,
                          void (*fire)(struct io_wait *w), struct errmsg *e)
{
    *w = (struct io_wait){ .completion.run = wait_run, .pump = p, .fire = fire };
    if (RegisterWaitForSingleObject(&w->wait, h, wait_signalled, w, INFINITE,
                                    WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD))
        return ST_OK;
    w->pump = NULL;
    return win_error_set(e, "wait for handle", GetLastError());
}

bool io_wait_stop(struct io_wait *w)
{
    if (!w->pump)
        return true;
    wait_unregister(w);
    if (w->posted)
        return false;
    w->pump = NULL;
    return true;
}
