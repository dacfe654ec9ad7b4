/* SPDX-License-Identifier: Apache-2.0
 * worker_output.h - what a worker writes to its standard error: lines of its log, which go into
 * ours under its name, and whatever else a process prints, above all as it dies.
 *
 * Any bytes may come. Pure but for the log.
 */
#ifndef WINSVC_SUPERVISOR_WORKER_OUTPUT_H
#define WINSVC_SUPERVISOR_WORKER_OUTPUT_H

#include "base/log_line.h"

#include <stdbool.h>
#include <stdint.h>

enum { WORKER_WORDS_MAX = 160 };

struct worker_output {
    const char *name; /* borrowed: of the worker */
    int64_t pid;
    char line[LOG_LINE_MAX]; /* as far as it came */
    size_t len_bytes;
    bool is_too_long;              /* what is left of a line that did not fit is passed over */
    bool has_report;               /* `words` are of a crash report, and stay */
    char words[WORKER_WORDS_MAX];  /* what it may have died of; "" = nothing was said */
    struct log_limit output_limit; /* what is no line of a log has no limit of its own */
};

/* For a new process. */
void worker_output_init(struct worker_output *o, const char *name, int64_t pid);
void worker_output_take(struct worker_output *o, const uint8_t *data, size_t len_bytes);
/* Nothing more comes: a line without an end is one. */
void worker_output_end(struct worker_output *o);

#endif
