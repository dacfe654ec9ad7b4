/* SPDX-License-Identifier: Apache-2.0
 * log_view.h - bytes of log files in, chosen lines out: cut, filtered, the last ones kept, drawn
 * for a person or as JSON. Files hold what hostile peers caused, so any bytes may come. Pure but
 * for who takes the lines; memory is bounded by LOG_VIEW_LINES_MAX lines.
 */
#ifndef WINSVC_CLI_LOG_VIEW_H
#define WINSVC_CLI_LOG_VIEW_H

#include "base/log_line.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOG_VIEW_LINES_MAX = 10000 };

struct log_view;

struct log_view_config {
    bool has_component;
    enum log_component component;
    enum log_level level; /* and what is more urgent */
    int64_t since_ms;     /* wall clock; 0 = all */
    unsigned last;        /* how many are kept; at most LOG_VIEW_LINES_MAX */
    bool json, color;
};

/* @text is a line with its newline, harmless on a terminal; borrowed for the call. */
typedef void log_view_fn(void *ctx, const char *text);

/* ST_NOMEM. */
enum status log_view_new(struct log_view **out, const struct log_view_config *config,
                         log_view_fn *print, void *ctx);
/* The next bytes of the files, oldest first. Lines are kept until log_view_flush(). */
void log_view_take(struct log_view *v, const void *data, size_t len_bytes);
/* The bytes that follow are of another file: a line without an end ends here. */
void log_view_cut(struct log_view *v);
/* Prints what was kept; from now on lines are printed as they come. */
void log_view_flush(struct log_view *v);
void log_view_free(struct log_view *v); /* NULL is fine */

#endif
