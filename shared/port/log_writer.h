/* SPDX-License-Identifier: Apache-2.0
 * log_writer.h - a sink of the log (base/log.h) that writes a log_file from a thread of its own, so
 * that a slow, full or vanished disk never holds up a loop.
 *
 * What the thread has not written yet is in memory, LOG_WRITER_BUFFER_BYTES at most. When that is
 * full, lines are dropped and counted, and the next one that fits says how many. Any thread may
 * log; open and close are the main thread's.
 */
#ifndef SHARED_PORT_LOG_WRITER_H
#define SHARED_PORT_LOG_WRITER_H

#include "base/log.h"
#include "base/status.h"
#include "port/log_file.h"

#include <stdint.h>

enum { LOG_WRITER_BUFFER_BYTES = 256 * 1024, LOG_WRITER_RETRY_MS = 500, LOG_WRITER_END_MS = 1000 };

struct log_writer;

struct log_writer_state {
    enum status st;   /* of the last write: ST_OK, or why it failed and is tried again */
    uint64_t dropped; /* lines, since the start */
};

/* ST_NOMEM, ST_INVAL; ST_NOFILES: no thread. */
enum status log_writer_open(struct log_writer **out, const struct log_file_config *config);
/* A log_sink_fn: log_add_sink(log_writer_sink, w). */
void log_writer_sink(void *ctx, const struct log_record *r);
void log_writer_state(struct log_writer *w, struct log_writer_state *out);
/* Nobody logs to it any more (log_remove_sink). Writes what is left, for LOG_WRITER_END_MS at most:
 * a thread that the disk still holds then keeps what it needs until the process ends. NULL is
 * fine. */
void log_writer_close(struct log_writer *w);

#endif
