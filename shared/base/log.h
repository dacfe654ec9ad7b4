/* SPDX-License-Identifier: Apache-2.0
 * log.h - one line a fact: level, component, key=value ids, what happened, what we do next.
 *
 * Levels: error = someone must act; warn = degraded; info = life cycle; debug = per flow; trace =
 * per frame. Never payloads, tokens or environment. The sinks, the levels and who we are are the
 * only globals of the program; sinks and the name are set before the first thread starts, levels
 * may change at any time. Any thread may log. docs/logging.md is what readers are promised.
 */
#ifndef SHARED_BASE_LOG_H
#define SHARED_BASE_LOG_H

#include "base/status.h"
#include "base/util.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE, LOG_LEVEL_COUNT };

/* The component tag: which part of the program speaks. */
#define LOG_COMPONENT_LIST(X)   \
    X(MAIN, "main")             \
    X(CONFIG, "config")         \
    X(PORT, "port")             \
    X(IPC, "ipc")               \
    X(BRIDGE, "bridge")         \
    X(DOCKER, "docker")         \
    X(VM, "vm")                 \
    X(SUPERVISOR, "supervisor") \
    X(STATUS, "status")         \
    X(SERVICE, "service")       \
    X(SWITCH, "switch")         \
    X(NET, "net")               \
    X(OUTPUT, "output") /* what a worker printed without the log: how it crashed */

enum log_component {
#define X(name, text) LOG_##name,
    LOG_COMPONENT_LIST(X)
#undef X
        LOG_COMPONENT_COUNT
};

/* Changes of state that a machine may look for: the numbers never change their meaning. The
 * table is in docs/logging.md, the Event Log's texts in winsvc/win/event_messages.mc;
 * tests/tools/check-events holds the three together. */
#define LOG_EVENT_LIST(X)   \
    X(STARTED, 1)           \
    X(STOPPING, 2)          \
    X(STOPPED, 3)           \
    X(START_FAILED, 4)      \
    X(READY, 10)            \
    X(NOT_READY, 11)        \
    X(NETWORK, 12)          \
    X(WORKER_ENDED, 20)     \
    X(LOG_LEVELS, 30)       \
    X(LOG_NOT_WRITABLE, 31) \
    X(LOG_WRITABLE, 32)

enum log_event {
    LOG_EVENT_NONE = 0,
#define X(name, number) LOG_EVENT_##name = (number),
    LOG_EVENT_LIST(X)
#undef X
};

enum {
    LOG_TEXT_MAX = 1536,  /* of a record, with its end */
    LOG_PROCESS_MAX = 48, /* of a process' name, with its end */
    LOG_LEVELS_MAX = 256  /* of levels as text: all of them fit */
};

/* What a sink gets. */
struct log_record {
    int64_t time_ms; /* wall clock, Unix milliseconds */
    enum log_level level;
    enum log_component component;
    unsigned event;      /* enum log_event */
    int64_t pid;         /* 0 = unknown */
    const char *process; /* "controller", "switch-vm1-v2"; "" = unknown */
    const char *text;    /* one line of printable UTF-8 (log_text_clean) */
};

/* @r is valid only during the call. */
typedef void log_sink_fn(void *ctx, const struct log_record *r);

const char *log_level_name(enum log_level level);
bool log_level_parse(enum log_level *out, const char *name);
const char *log_component_name(enum log_component c);
bool log_component_parse(enum log_component *out, const char *name);

/* ---- levels ---------------------------------------------------------------------------------- */

struct log_levels {
    uint8_t of[LOG_COMPONENT_COUNT]; /* enum log_level */
};

/* "info,switch=debug": a level for all, then others for some. What is not named stays as it is in
 * *@out, which a failure leaves alone. ST_INVAL. */
enum status log_levels_parse(struct log_levels *out, const char *text, struct errmsg *e);
/* The same form back, in one way only; returns @buf. */
const char *log_levels_text(const struct log_levels *levels, char buf[static LOG_LEVELS_MAX]);
void log_get_levels(struct log_levels *out);
void log_set_levels(const struct log_levels *levels);
void log_set_level(enum log_level level); /* of all components */
/* As log_levels_parse(), from "info" on; what does not parse was refused by the options. */
void log_set_levels_text(const char *text);
/* Other levels on top of those, as log_levels_parse(), until the next call; "" ends it. ST_INVAL:
 * nothing has changed. Main thread. */
enum status log_set_override(const char *text, struct errmsg *e);
const char *log_override(void); /* as it was given; "" = there is none */

/* ---- sinks ----------------------------------------------------------------------------------- */

/* Who we are in every record. @process is copied. */
void log_set_process(const char *process, int64_t pid);
/* The first sink. NULL restores the default: standard error, one write per line (log_line.h). */
void log_set_sink(log_sink_fn *fn, void *ctx);
/* Another one beside it, at most LOG_MAX_SINKS; ST_FULL. */
enum { LOG_MAX_SINKS = 3 };
enum status log_add_sink(log_sink_fn *fn, void *ctx);
void log_remove_sink(log_sink_fn *fn, void *ctx);

/* ---- writing --------------------------------------------------------------------------------- */

void log_write(enum log_level level, enum log_component from, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* A change of state. It is written at every level: there are few of them. */
void log_write_event(enum log_event event, enum log_level level, enum log_component from,
                     const char *fmt, ...) PRINTF_LIKE(4, 5);
/* A record of another process to all sinks as it is, but for its text, which is cleaned. */
void log_forward(const struct log_record *r);

#define log_error(c, ...) log_write(LOG_ERROR, (c), __VA_ARGS__)
#define log_warn(c, ...)  log_write(LOG_WARN, (c), __VA_ARGS__)
#define log_info(c, ...)  log_write(LOG_INFO, (c), __VA_ARGS__)
#define log_debug(c, ...) log_write(LOG_DEBUG, (c), __VA_ARGS__)

/* For lines that a guest or a client can cause: at most @burst per second; the first one of the
 * next second says how many were dropped. The state is the call site's own, or part of the object
 * that speaks: LOG_BURST then lets a story of several lines through and still bounds a flood. */
enum { LOG_BURST = 20 };
struct log_limit {
    uint64_t window_start_ms;
    unsigned written, dropped; /* in this window */
    unsigned burst;            /* 0 = 1 */
};
void log_write_limited(struct log_limit *site, enum log_level level, enum log_component from,
                       const char *fmt, ...) PRINTF_LIKE(4, 5);

/* As log_write_event(), limited like that. */
void log_write_event_limited(struct log_limit *site, enum log_event event, enum log_level level,
                             enum log_component from, const char *fmt, ...) PRINTF_LIKE(5, 6);

/* Lines that tell of changes of state: each of a few matters, a flood of them does not. */
#define log_limited(level, c, ...)                                  \
    do {                                                            \
        static struct log_limit log_site_ = { .burst = LOG_BURST }; \
        log_write_limited(&log_site_, (level), (c), __VA_ARGS__);   \
    } while (0)
/* Of many the first says it all. */
#define log_warn_limited(c, ...)                                   \
    do {                                                           \
        static struct log_limit log_site_;                         \
        log_write_limited(&log_site_, LOG_WARN, (c), __VA_ARGS__); \
    } while (0)

#endif
