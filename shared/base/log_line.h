/* SPDX-License-Identifier: Apache-2.0
 * log_line.h - a record as a line of text and back (logfmt; docs/logging.md names the keys):
 *
 *   time=2026-11-22T10:15:00.125Z level=info component=vm process=controller pid=812 msg="..."
 *
 * Lines come from files and from other processes, so the parser takes any bytes. Pure, any thread.
 */
#ifndef SHARED_BASE_LOG_LINE_H
#define SHARED_BASE_LOG_LINE_H

#include "base/log.h"

/* Of a line with its newline and its end; a write of that size to a pipe is never mixed with
 * another one's (PIPE_BUF). */
enum { LOG_LINE_MAX = 4096 };

/* A record with room for its texts; record.process and record.text point into it. */
struct log_line {
    struct log_record record;
    char process[LOG_PROCESS_MAX];
    char text[LOG_TEXT_MAX];
};

/* Copies @text: control characters, those that turn the direction of writing, and what is no UTF-8
 * become \xNN, so that a line cannot forge another one or drive a terminal. Cut, with "..." at the
 * end, when it is too long. Always terminated; @cap is at least 8. */
void log_text_clean(char *dst, size_t cap, const char *text);
/* With a newline; returns the length without the terminator. @r's text is clean already. */
size_t log_line_format(char buf[static LOG_LINE_MAX], const struct log_record *r);
/* The line @text[0..len_bytes), without its newline. False, with *@out in no defined state, when it
 * is none of ours: time, level, component and msg must be there, unknown keys are passed over. The
 * text that comes out is clean. */
bool log_line_parse(struct log_line *out, const char *text, size_t len_bytes);

#endif
