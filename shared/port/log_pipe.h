/* SPDX-License-Identifier: Apache-2.0
 * log_pipe.h - the log of a worker: its standard error is a pipe that its controller reads.
 *
 * A controller that does not read (stopped, or ending) must not stop a worker, so nothing here
 * waits: a line that the pipe does not take is dropped and counted, and the next one that fits
 * says how many. Standard error that is no pipe is written as ever. Any thread may log.
 */
#ifndef SHARED_PORT_LOG_PIPE_H
#define SHARED_PORT_LOG_PIPE_H

#include <stddef.h>

/* From here on the log goes there (log_set_sink). Before the first thread. */
void log_pipe_open(void);

/* Of the system: how many bytes of @data standard error took at once; 0 = it is full or gone. */
size_t log_pipe_put(const char *data, size_t len_bytes);

#endif
