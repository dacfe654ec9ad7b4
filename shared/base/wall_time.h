/* SPDX-License-Identifier: Apache-2.0
 * wall_time.h - Unix milliseconds as text and back: "2026-11-22T10:15:00.125Z", always UTC, always
 * the same width. Pure, any thread.
 */
#ifndef SHARED_BASE_WALL_TIME_H
#define SHARED_BASE_WALL_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WALL_TIME_LEN = 24, WALL_TIME_MAX = 40 };

/* Of the years 1970 to 9999: what is outside is told as the nearest of them. Returns @buf. */
const char *wall_time_text(int64_t wall_ms, char buf[static WALL_TIME_MAX]);
/* Exactly that form in @text[0..len_bytes); false, and *wall_ms untouched, when it is another. */
bool wall_time_parse(const char *text, size_t len_bytes, int64_t *wall_ms);

#endif
