/* SPDX-License-Identifier: Apache-2.0
 * event_entry.h - which records of the log go to Windows' Event Log, and as what.
 *
 * Changes of state (log_record.event), warnings and errors; no more of them than event_gate lets
 * through, because the log they land in is shared with every program of the computer.
 * Owns nothing. Pure; the caller holds its lock around a gate.
 */
#ifndef WINSVC_WIN_EVENT_ENTRY_H
#define WINSVC_WIN_EVENT_ENTRY_H

#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>

/* Numbers of entries whose record has none. */
enum { EVENT_WARNING = 90, EVENT_ERROR = 91 };

enum {
    EVENT_TEXT_MAX = 2 * LOG_TEXT_MAX + 128, /* each '%' may become two letters */
    EVENT_BURST = 40,                        /* entries at once ... */
    EVENT_REFILL_MS = 10000                  /* ... and then one in so long */
};

struct event_entry {
    unsigned number; /* enum log_event, EVENT_WARNING or EVENT_ERROR */
    enum log_level level;
    char text[EVENT_TEXT_MAX]; /* UTF-8; the message's %1, safe to be expanded */
};

struct event_bucket {
    uint64_t since_ms; /* when used began to be given back */
    unsigned used, dropped;
};

/* Zeros are a new one. A flood of warnings takes no place from changes of state. */
struct event_gate {
    struct event_bucket changes, others;
};

/* Fills *@out and is true when @r is to be written. @now_ms: any monotonic clock. */
bool event_gate_pass(struct event_gate *g, const struct log_record *r, uint64_t now_ms,
                     struct event_entry *out);

#endif
