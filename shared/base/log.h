/* SPDX-License-Identifier: Apache-2.0
 * log.h - one line a fact: level, component, key=value ids, what happened, what we do next.
 *
 * Levels: error = someone must act; warn = degraded; info = life cycle; debug = per flow; trace =
 * per frame. Never payloads, tokens or environment. The sink and the level are the only globals
 * of the program; set them before the first thread starts. Any thread may log.
 */
#ifndef SHARED_BASE_LOG_H
#define SHARED_BASE_LOG_H

#include "base/util.h"

#include <stdbool.h>
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
    X(NET, "net")

enum log_component {
#define X(name, text) LOG_##name,
    LOG_COMPONENT_LIST(X)
#undef X
        LOG_COMPONENT_COUNT
};

/* @line has no newline and is valid only during the call. */
typedef void log_sink_fn(void *ctx, enum log_level level, enum log_component from,
                         const char *line);

const char *log_level_name(enum log_level level);
bool log_level_parse(enum log_level *out, const char *name);
const char *log_component_name(enum log_component c);

void log_set_level(enum log_level level);
/* NULL restores the default sink: stderr, one write per line, "<time> <level> <component>: ...". */
void log_set_sink(log_sink_fn *fn, void *ctx);

void log_write(enum log_level level, enum log_component from, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

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

#define log_warn_limited(c, ...)                                   \
    do {                                                           \
        static struct log_limit log_site_;                         \
        log_write_limited(&log_site_, LOG_WARN, (c), __VA_ARGS__); \
    } while (0)

#endif
