/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LINE_MAX_BYTES = 1024, WINDOW_MS = 1000 };

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn",   [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug", [LOG_TRACE] = "trace",
};
_Static_assert(ARRAY_SIZE(level_names) == LOG_LEVEL_COUNT, "a name for each level");

static const char *const component_names[] = {
#define X(name, text) [LOG_##name] = text,
    LOG_COMPONENT_LIST(X)
#undef X
};
_Static_assert(ARRAY_SIZE(component_names) == LOG_COMPONENT_COUNT, "a name for each component");

static enum log_level threshold = LOG_INFO;
static log_sink_fn *sink;
static void *sink_ctx;

const char *log_level_name(enum log_level level)
{
    return (unsigned)level < LOG_LEVEL_COUNT ? level_names[level] : "unknown";
}

bool log_level_parse(enum log_level *out, const char *name)
{
    for (unsigned i = 0; i < LOG_LEVEL_COUNT; i++) {
        if (!strcmp(level_names[i], name)) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_component_name(enum log_component c)
{
    return (unsigned)c < LOG_COMPONENT_COUNT ? component_names[c] : "unknown";
}

void log_set_level(enum log_level level)
{
    threshold = level;
}

void log_set_sink(log_sink_fn *fn, void *ctx)
{
    sink = fn;
    sink_ctx = ctx;
}

/* A line must not be able to forge another one or drive a terminal: what peers send can end up in
 * messages. */
static void defuse(char *line)
{
    for (unsigned char *p = (unsigned char *)line; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
}

static void to_stderr(enum log_level level, enum log_component from, const char *line)
{
    char stamp[32] = "", out[LINE_MAX_BYTES + 96];
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
#ifdef _WIN32
    if (gmtime_s(&tm, &now.tv_sec) == 0)
#else
    if (gmtime_r(&now.tv_sec, &tm))
#endif
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, sizeof out, "%s.%03ldZ %s %s: %s\n", stamp, now.tv_nsec / 1000000,
             log_level_name(level), log_component_name(from), line);
    fputs(out, stderr); /* one write a line ... */
    fflush(stderr);     /* ... also where a C library buffers stderr into a file (msvcrt's) */
}

static void emit(enum log_level level, enum log_component from, char *line)
{
    defuse(line);
    if (sink)
        sink(sink_ctx, level, from, line);
    else
        to_stderr(level, from, line);
}

void log_write(enum log_level level, enum log_component from, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list ap;

    if (level > threshold)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    emit(level, from, line);
}

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void log_write_limited(struct log_limit *site, enum log_level level, enum log_component from,
                       const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    uint64_t now_ms = monotonic_ms();
    va_list ap;
    int n;

    if (level > threshold)
        return;
    if (!site->window_start_ms || now_ms - site->window_start_ms >= WINDOW_MS) {
        site->window_start_ms = now_ms;
        site->written = 0;
    }
    if (site->written >= MAX(site->burst, 1u)) {
        site->dropped++;
        return;
    }
    va_start(ap, fmt);
    n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (site->dropped && n >= 0 && (size_t)n < sizeof line)
        snprintf(line + n, sizeof line - (size_t)n, " (%u more like this were dropped)",
                 site->dropped);
    site->written++;
    site->dropped = 0;
    emit(level, from, line);
}
