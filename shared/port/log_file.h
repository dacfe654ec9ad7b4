/* SPDX-License-Identifier: Apache-2.0
 * log_file.h - a file of log lines that is renamed when it is large or old: PATH is written, PATH.1
 * is the one before it, up to PATH.keep; what is older is removed.
 *
 * Blocks as long as the file system does; one thread at a time. The clock is an argument.
 */
#ifndef SHARED_PORT_LOG_FILE_H
#define SHARED_PORT_LOG_FILE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { LOG_FILE_PATH_MAX = 512, LOG_FILE_KEEP_MAX = 99 };

struct log_file_config {
    char path[LOG_FILE_PATH_MAX];
    uint64_t max_bytes;  /* one file is at most this, or one write if that is larger; 0 = any */
    uint64_t max_age_ms; /* from its first line on; 0 = any */
    unsigned keep;       /* files beside PATH; 0 = none */
};

struct log_file;

/* Opens nothing yet: the first write does, and makes the folders on the way. ST_NOMEM; ST_INVAL:
 * the path is empty or too long. */
enum status log_file_new(struct log_file **out, const struct log_file_config *config);
/* Whole lines, at @wall_ms. What fails leaves no part of them behind, as far as the file system
 * lets us, and is tried from the start by the next call. ST_FULL (disk), DENIED, NOTFOUND, IO, ...
 */
enum status log_file_write(struct log_file *f, const char *lines, size_t len_bytes,
                           int64_t wall_ms);
/* NULL is fine. */
void log_file_free(struct log_file *f);

#endif
