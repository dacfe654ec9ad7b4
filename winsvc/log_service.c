/* SPDX-License-Identifier: Apache-2.0 */
#include "log_service.h"

#include "base/log.h"
#include "port/log_writer.h"
#include "port/loop.h"
#include "port/sys.h"
#include "status/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 500, MIB = 1024 * 1024 };

struct log_service {
    struct log_file_config file;
    struct log_writer *writer; /* owned; NULL = no file */
    struct log_writer_state seen;
    struct loop *loop; /* borrowed */
    struct timer look;
    struct timer override_end;
    uint64_t override_end_ms;
    log_service_fn *changed;
    void *ctx;
};

/* ---- what became of the file ----------------------------------------------------------------- */

static const char *reason_of(enum status st)
{
    switch (st) {
    case ST_OK: return "LogWritten";
    case ST_FULL: return "LogDiskFull";
    case ST_DENIED: return "LogFolderDenied";
    case ST_NOTFOUND: return "LogFolderMissing";
    default: return "LogNotWritten";
    }
}

static void tell(const struct log_service *s)
{
    if (s->seen.st == ST_OK)
        log_write_event(LOG_EVENT_LOG_WRITABLE, LOG_INFO, LOG_MAIN,
                        "%s is written again, %" PRIu64 " lines were dropped", s->file.path,
                        s->seen.dropped);
    else
        log_write_event(LOG_EVENT_LOG_NOT_WRITABLE, LOG_WARN, LOG_MAIN,
                        "%s cannot be written, trying on: %s", s->file.path,
                        status_text(s->seen.st));
}

static void on_look(void *ctx)
{
    struct log_service *s = ctx;
    struct log_writer_state now;
    bool is_other;

    timer_start(&s->look, LOOK_MS);
    log_writer_state(s->writer, &now);
    is_other = now.st != s->seen.st;
    if (!is_other && now.dropped == s->seen.dropped)
        return;
    s->seen = now;
    if (is_other)
        tell(s);
    if (s->changed)
        s->changed(s->ctx);
}

void log_service_fill(const struct log_service *s, struct condition_set *own, struct snapshot *out)
{
    enum status st = s->seen.st;
    struct log_levels levels;

    log_get_levels(&levels);
    log_levels_text(&levels, out->log.levels);
    if (!s->writer)
        return;
    snprintf(out->log.file, sizeof out->log.file, "%s", s->file.path);
    out->log.writable = st == ST_OK;
    out->log.dropped = s->seen.dropped;
    condition_update(own, "LogWritable", st ? COND_FALSE : COND_TRUE, reason_of(st), sys_wall_ms(),
                     "%s%s%s", s->file.path, st ? ": " : "", st ? status_text(st) : "");
}

/* ---- levels ---------------------------------------------------------------------------------- */

static void tell_levels(const struct log_service *s)
{
    struct log_levels levels;
    char text[LOG_LEVELS_MAX];

    log_get_levels(&levels);
    log_write_event(LOG_EVENT_LOG_LEVELS, LOG_INFO, LOG_MAIN, "levels are now %s",
                    log_levels_text(&levels, text));
    if (s->changed)
        s->changed(s->ctx);
}

static void on_override_end(void *ctx)
{
    struct log_service *s = ctx;

    s->override_end_ms = 0;
    (void)log_set_override("", NULL);
    tell_levels(s);
}

enum status log_service_override(struct log_service *s, const char *levels, uint32_t for_ms,
                                 struct errmsg *e)
{
    if (log_set_override(levels, e) != ST_OK)
        return ST_INVAL;
    timer_stop(&s->override_end);
    s->override_end_ms = 0;
    if (levels[0] && for_ms) {
        s->override_end_ms = loop_now_ms(s->loop) + for_ms;
        timer_start(&s->override_end, for_ms);
    }
    tell_levels(s);
    return ST_OK;
}

uint64_t log_service_override_left_ms(const struct log_service *s)
{
    uint64_t now_ms = loop_now_ms(s->loop);

    return s->override_end_ms > now_ms ? s->override_end_ms - now_ms : 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static enum status open_writer(struct log_service *s, const struct log_service_config *config)
{
    int n = snprintf(s->file.path, sizeof s->file.path, "%s/" LOG_SERVICE_FILE, config->folder);
    enum status st;

    if (n < 0 || (size_t)n >= sizeof s->file.path)
        return ST_INVAL;
    s->file.max_bytes = (uint64_t)config->max_mib * MIB;
    s->file.max_age_ms = config->max_age_ms;
    s->file.keep = config->keep;
    st = log_writer_open(&s->writer, &s->file);
    if (st == ST_OK)
        st = log_add_sink(log_writer_sink, s->writer);
    if (st == ST_OK)
        timer_start(&s->look, LOOK_MS);
    return st;
}

enum status log_service_new(struct log_service **out, struct loop *loop,
                            const struct log_service_config *config, struct errmsg *e)
{
    struct log_service *s = calloc(1, sizeof *s);
    enum status st = s ? ST_OK : ST_NOMEM;

    if (s) {
        s->loop = loop;
        timer_init(&s->look, loop, on_look, s);
        timer_init(&s->override_end, loop, on_override_end, s);
        if (config->folder[0])
            st = open_writer(s, config);
    }
    if (st) {
        errmsg_set(e, "log folder %s: %s", config->folder, status_text(st));
        log_service_free(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void log_service_on_change(struct log_service *s, log_service_fn *fn, void *ctx)
{
    s->changed = fn;
    s->ctx = ctx;
}

void log_service_free(struct log_service *s)
{
    if (!s)
        return;
    timer_stop(&s->look);
    timer_stop(&s->override_end);
    if (s->writer)
        log_remove_sink(log_writer_sink, s->writer);
    log_writer_close(s->writer);
    free(s);
}
