/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/log_line.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { RAW_MAX_BYTES = 1024, WINDOW_MS = 1000 };

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

/* Above "info", so that zeros are the default. */
static _Atomic signed char thresholds[LOG_COMPONENT_COUNT];

static struct {
    log_sink_fn *fn;
    void *ctx;
} sinks[LOG_MAX_SINKS + 1]; /* [0]: instead of the default; NULL = the default */
static char own_process[LOG_PROCESS_MAX];
static int64_t own_pid;

/* ---- names ----------------------------------------------------------------------------------- */

static bool find_name(const char *const *names, unsigned count, const char *name, unsigned *out)
{
    for (unsigned i = 0; i < count; i++) {
        if (!strcmp(names[i], name)) {
            *out = i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return (unsigned)level < LOG_LEVEL_COUNT ? level_names[level] : "unknown";
}

bool log_level_parse(enum log_level *out, const char *name)
{
    unsigned i;

    if (!find_name(level_names, LOG_LEVEL_COUNT, name, &i))
        return false;
    *out = (enum log_level)i;
    return true;
}

const char *log_component_name(enum log_component c)
{
    return (unsigned)c < LOG_COMPONENT_COUNT ? component_names[c] : "unknown";
}

bool log_component_parse(enum log_component *out, const char *name)
{
    unsigned i;

    if (!find_name(component_names, LOG_COMPONENT_COUNT, name, &i))
        return false;
    *out = (enum log_component)i;
    return true;
}

/* ---- levels ---------------------------------------------------------------------------------- */

static void say_names(struct errmsg *e, const char *what, const char *word,
                      const char *const *names, unsigned count)
{
    char list[160] = "";

    for (unsigned i = 0; i < count; i++) {
        size_t len = strlen(list);

        snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", names[i]);
    }
    errmsg_set(e, "%s '%.20s' is none of %s", what, word, list);
}

/* "debug" or "switch=debug" */
static enum status parse_one(struct log_levels *l, char *word, struct errmsg *e)
{
    char *equals = strchr(word, '='), *level_word = equals ? equals + 1 : word;
    enum log_component c;
    enum log_level level;

    if (equals)
        *equals = '\0';
    if (!log_level_parse(&level, level_word)) {
        say_names(e, "the level", level_word, level_names, LOG_LEVEL_COUNT);
        return ST_INVAL;
    }
    if (!equals) {
        memset(l->of, (int)level, sizeof l->of);
        return ST_OK;
    }
    if (!log_component_parse(&c, word)) {
        say_names(e, "the component", word, component_names, LOG_COMPONENT_COUNT);
        return ST_INVAL;
    }
    l->of[c] = (uint8_t)level;
    return ST_OK;
}

enum status log_levels_parse(struct log_levels *out, const char *text, struct errmsg *e)
{
    struct log_levels levels = *out;
    char word[40];
    size_t len;

    do {
        len = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)MIN(len, sizeof word - 1), text);
        if (parse_one(&levels, word, e) != ST_OK)
            return ST_INVAL;
        text += len;
    } while (*text++ == ',');
    *out = levels;
    return ST_OK;
}

static unsigned commonest(const struct log_levels *levels)
{
    unsigned counts[LOG_LEVEL_COUNT] = { 0 }, best = 0;

    for (unsigned i = 0; i < LOG_COMPONENT_COUNT; i++)
        counts[levels->of[i]]++;
    for (unsigned i = 1; i < LOG_LEVEL_COUNT; i++)
        if (counts[i] > counts[best])
            best = i;
    return best;
}

const char *log_levels_text(const struct log_levels *levels, char buf[static LOG_LEVELS_MAX])
{
    unsigned base = commonest(levels);
    size_t len = (size_t)snprintf(buf, LOG_LEVELS_MAX, "%s", level_names[base]);

    for (unsigned i = 0; i < LOG_COMPONENT_COUNT; i++)
        if (levels->of[i] != base)
            len += (size_t)snprintf(buf + len, LOG_LEVELS_MAX - len, ",%s=%s", component_names[i],
                                    level_names[levels->of[i]]);
    return buf;
}

void log_get_levels(struct log_levels *out)
{
    for (unsigned i = 0; i < LOG_COMPONENT_COUNT; i++)
        out->of[i] =
            (uint8_t)(LOG_INFO + atomic_load_explicit(&thresholds[i], memory_order_relaxed));
}

void log_set_levels(const struct log_levels *levels)
{
    for (unsigned i = 0; i < LOG_COMPONENT_COUNT; i++)
        atomic_store_explicit(&thresholds[i], (signed char)(levels->of[i] - LOG_INFO),
                              memory_order_relaxed);
}

void log_set_level(enum log_level level)
{
    struct log_levels levels;

    memset(levels.of, (int)level, sizeof levels.of);
    log_set_levels(&levels);
}

static struct log_levels configured; /* by log_set_levels_text() */
static bool has_configured;
static char override[LOG_LEVELS_MAX];

void log_set_levels_text(const char *text)
{
    struct log_levels levels;

    memset(levels.of, LOG_INFO, sizeof levels.of);
    if (log_levels_parse(&levels, text, NULL) != ST_OK)
        return;
    configured = levels;
    has_configured = true;
    if (override[0])
        (void)log_levels_parse(&levels, override, NULL);
    log_set_levels(&levels);
}

enum status log_set_override(const char *text, struct errmsg *e)
{
    struct log_levels levels;

    if (!has_configured)
        log_get_levels(&configured);
    has_configured = true;
    levels = configured;
    if (strlen(text) >= sizeof override) {
        errmsg_set(e, "the levels are longer than %zu letters", sizeof override - 1);
        return ST_INVAL;
    }
    if (!text[0] && !override[0])
        return ST_OK;
    if (text[0] && log_levels_parse(&levels, text, e) != ST_OK)
        return ST_INVAL;
    snprintf(override, sizeof override, "%s", text);
    log_set_levels(&levels);
    return ST_OK;
}

const char *log_override(void)
{
    return override;
}

static bool is_wanted(enum log_level level, enum log_component from)
{
    return (int)level <= LOG_INFO + atomic_load_explicit(&thresholds[from], memory_order_relaxed);
}

/* ---- sinks ----------------------------------------------------------------------------------- */

void log_set_process(const char *process, int64_t pid)
{
    log_text_clean(own_process, sizeof own_process, process);
    own_pid = pid;
}

void log_set_sink(log_sink_fn *fn, void *ctx)
{
    sinks[0].fn = fn;
    sinks[0].ctx = ctx;
}

enum status log_add_sink(log_sink_fn *fn, void *ctx)
{
    for (unsigned i = 1; i <= LOG_MAX_SINKS; i++) {
        if (!sinks[i].fn) {
            sinks[i].ctx = ctx;
            sinks[i].fn = fn;
            return ST_OK;
        }
    }
    return ST_FULL;
}

void log_remove_sink(log_sink_fn *fn, void *ctx)
{
    for (unsigned i = 1; i <= LOG_MAX_SINKS; i++)
        if (sinks[i].fn == fn && sinks[i].ctx == ctx)
            sinks[i].fn = NULL;
}

static void to_stderr(const struct log_record *r)
{
    char line[LOG_LINE_MAX];

    log_line_format(line, r);
    fputs(line, stderr); /* one write a line ... */
    fflush(stderr);      /* ... also where a C library buffers stderr into a file (msvcrt's) */
}

static void to_sinks(const struct log_record *r)
{
    if (sinks[0].fn)
        sinks[0].fn(sinks[0].ctx, r);
    else
        to_stderr(r);
    for (unsigned i = 1; i <= LOG_MAX_SINKS; i++)
        if (sinks[i].fn)
            sinks[i].fn(sinks[i].ctx, r);
}

void log_forward(const struct log_record *r)
{
    struct log_record clean = *r;
    char text[LOG_TEXT_MAX];

    log_text_clean(text, sizeof text, r->text);
    clean.text = text;
    to_sinks(&clean);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void emit(enum log_event event, enum log_level level, enum log_component from,
                 const char *raw)
{
    struct log_record r = { .level = level, .component = from, .event = event, .text = raw };
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    r.time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    r.pid = own_pid;
    r.process = own_process;
    log_forward(&r);
}

void log_write(enum log_level level, enum log_component from, const char *fmt, ...)
{
    char line[RAW_MAX_BYTES];
    va_list ap;

    if (!is_wanted(level, from))
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    emit(LOG_EVENT_NONE, level, from, line);
}

void log_write_event(enum log_event event, enum log_level level, enum log_component from,
                     const char *fmt, ...)
{
    char line[RAW_MAX_BYTES];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    emit(event, level, from, line);
}

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_within(struct log_limit *site)
{
    uint64_t now_ms = monotonic_ms();

    if (!site->window_start_ms || now_ms - site->window_start_ms >= WINDOW_MS) {
        site->window_start_ms = now_ms;
        site->written = 0;
    }
    if (site->written < MAX(site->burst, 1u))
        return true;
    site->dropped++;
    return false;
}

static void write_within(struct log_limit *site, enum log_event event, enum log_level level,
                         enum log_component from, const char *fmt, va_list ap)
{
    char line[RAW_MAX_BYTES];
    int n = vsnprintf(line, sizeof line, fmt, ap);

    if (site->dropped && n >= 0 && (size_t)n < sizeof line)
        snprintf(line + n, sizeof line - (size_t)n, " (%u more like this were dropped)",
                 site->dropped);
    site->written++;
    site->dropped = 0;
    emit(event, level, from, line);
}

void log_write_limited(struct log_limit *site, enum log_level level, enum log_component from,
                       const char *fmt, ...)
{
    va_list ap;

    if (!is_wanted(level, from) || !is_within(site))
        return;
    va_start(ap, fmt);
    write_within(site, LOG_EVENT_NONE, level, from, fmt, ap);
    va_end(ap);
}

void log_write_event_limited(struct log_limit *site, enum log_event event, enum log_level level,
                             enum log_component from, const char *fmt, ...)
{
    va_list ap;

    if (!is_within(site))
        return;
    va_start(ap, fmt);
    write_within(site, event, level, from, fmt, ap);
    va_end(ap);
}
