/* SPDX-License-Identifier: Apache-2.0
 * capture.h - frames of the switch as pcapng files, written to streams while they run.
 *
 * Each capture ends by itself: at its size, at its time, when its reader ends or dies. Off, the
 * data path pays one branch (switch_watch_frames(), which captures take for themselves).
 * Owns: the streams. Runs on: the switch's loop. Theory of operation: capture.c.
 */
#ifndef WINSVC_SWITCH_CAPTURE_H
#define WINSVC_SWITCH_CAPTURE_H

#include "base/status.h"
#include "switch/capture_filter.h"

#include <stdint.h>

struct captures;
struct stream;
struct switch_;

enum {
    CAPTURE_SNAPLEN_MIN = 64,
    CAPTURE_SNAPLEN_MAX = 65549, /* a whole super-segment */
    CAPTURE_BYTES_MIN = 4096,
    CAPTURE_SECONDS_MAX = 24 * 3600,
    CAPTURE_TEXT_MAX = 512
};

struct capture_config {
    struct capture_filter filter;
    char filter_text[CAPTURE_TEXT_MAX]; /* as given, for the file */
    uint32_t snaplen;                   /* of a frame, at most this many bytes are kept */
    uint64_t max_bytes;                 /* of the file */
    uint32_t seconds;
};

/* ST_NOMEM. */
enum status captures_new(struct captures **out, struct switch_ *s);
/* As many as limits.captures are running. */
bool captures_are_full(const struct captures *all);
/* Writes to @stream, which is owned in every case. ST_FULL, ST_NOMEM. */
enum status capture_start(struct captures *all, struct stream *stream,
                          const struct capture_config *config);
/* Each file gets its end as far as its stream takes it. NULL is fine. */
void captures_free(struct captures *all);

#endif
