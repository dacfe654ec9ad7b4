/* SPDX-License-Identifier: Apache-2.0
 * process.h - a child process with a control stream on its standard input.
 *
 * The child's fd 0 is a duplex stream to us (socket pair, or overlapped pipe on Windows); its
 * stdout is ours, its stderr too or one more stream to us. The child dies with us: job object on
 * Windows, parent-death signal plus end of its control stream on Linux. Runs on: the loop's thread.
 */
#ifndef SHARED_PORT_PROCESS_H
#define SHARED_PORT_PROCESS_H

#include "base/status.h"

#include <stdint.h>

struct loop;
struct process;
struct stream;

struct process_spec {
    const char *file;  /* absolute path of the program */
    char *const *argv; /* argv[0] first, NULL last; UTF-8 */
    int inherit_fd;    /* becomes fd 3 of the child; -1 = none */
    /* Where its standard error comes out, a stream that is the caller's to close; NULL = ours. */
    struct stream **output;
};

/* @signal is 0 where the child was not ended by one. Called once, if process_free() was not first.
 */
typedef void process_exit_fn(void *ctx, int64_t code, int signal);

/* *control is the caller's to close. ST_NOTFOUND, ST_DENIED, ST_NOFILES, ST_NOMEM, ST_IO. */
enum status process_spawn(struct loop *loop, struct process **out, const struct process_spec *spec,
                          struct stream **control, process_exit_fn *on_exit, void *ctx,
                          struct errmsg *e);
int64_t process_pid(const struct process *p);
/* SIGKILL or TerminateProcess; on_exit still comes. */
void process_kill(struct process *p);
/* Forgets the child; kills it when it still runs. No callback afterwards. NULL is fine. */
void process_free(struct process *p);

/* In the child, first thing: tie our life to the parent's (Linux), no-op where the job does it. */
void process_die_with_parent(void);
/* In the child: its end of the control stream. */
enum status process_control_stream(struct loop *loop, struct stream **out, struct errmsg *e);

#endif
