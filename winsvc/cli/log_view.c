/* SPDX-License-Identifier: Apache-2.0
 * A line that is none of ours (a file that somebody wrote into) is shown as it is, cleaned, and
 * only when nothing is filtered: nobody can tell its level.
 */
#include "cli/log_view.h"

#include "base/util.h"
#include "base/wall_time.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct log_view {
    struct log_view_config config;
    log_view_fn *print;
    void *ctx;
    char line[LOG_LINE_MAX];
    size_t len_bytes;
    bool is_too_long;
    bool is_live;
    char **kept;       /* owned: a ring of config.last texts */
    unsigned at, held; /* the next place; how many there are */
};

enum status log_view_new(struct log_view **out, const struct log_view_config *config,
                         log_view_fn *print, void *ctx)
{
    struct log_view *v = calloc(1, sizeof *v);

    if (v) {
        v->config = *config;
        v->config.last = MIN(MAX(config->last, 1u), (unsigned)LOG_VIEW_LINES_MAX);
        v->kept = calloc(v->config.last, sizeof *v->kept);
    }
    if (!v || !v->kept) {
        free(v);
        return ST_NOMEM;
    }
    v->print = print;
    v->ctx = ctx;
    *out = v;
    return ST_OK;
}

void log_view_free(struct log_view *v)
{
    if (!v)
        return;
    for (unsigned i = 0; i < v->config.last; i++)
        free(v->kept[i]);
    free(v->kept);
    free(v);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void draw_text(char *buf, size_t cap, const struct log_record *r, bool color)
{
    static const char *const colors[] = {
        [LOG_ERROR] = "\x1b[31m", [LOG_WARN] = "\x1b[33m", [LOG_INFO] = "",
        [LOG_DEBUG] = "\x1b[2m",  [LOG_TRACE] = "\x1b[2m",
    };
    char time[WALL_TIME_MAX];
    const char *on = color ? colors[r->level] : "";

    snprintf(buf, cap, "%s %s%-5s %s%s%s: %s%s\n", wall_time_text(r->time_ms, time), on,
             log_level_name(r->level), r->process, r->process[0] ? "/" : "",
             log_component_name(r->component), r->text, on[0] ? "\x1b[0m" : "");
}

/* NULL: out of memory. */
static char *draw_json(const struct log_record *r)
{
    cJSON *o = cJSON_CreateObject();
    char time[WALL_TIME_MAX];
    char *text;

    cJSON_AddStringToObject(o, "time", wall_time_text(r->time_ms, time));
    cJSON_AddStringToObject(o, "level", log_level_name(r->level));
    cJSON_AddStringToObject(o, "component", log_component_name(r->component));
    cJSON_AddStringToObject(o, "process", r->process);
    cJSON_AddNumberToObject(o, "pid", (double)r->pid);
    cJSON_AddNumberToObject(o, "event", r->event);
    cJSON_AddStringToObject(o, "msg", r->text);
    text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    return text;
}

/* ---- keeping --------------------------------------------------------------------------------- */

static void show(struct log_view *v, const char *text)
{
    char *copy;

    if (v->is_live) {
        v->print(v->ctx, text);
        return;
    }
    copy = strdup(text);
    if (!copy)
        return; /* one line less */
    free(v->kept[v->at]);
    v->kept[v->at] = copy;
    v->at = (v->at + 1) % v->config.last;
    v->held = MIN(v->held + 1, v->config.last);
}

static bool is_wanted(const struct log_view *v, const struct log_record *r)
{
    const struct log_view_config *c = &v->config;

    return r->level <= c->level && (!c->has_component || r->component == c->component) &&
           r->time_ms >= c->since_ms;
}

static bool is_filtered(const struct log_view_config *c)
{
    return c->has_component || c->level < LOG_TRACE || c->since_ms || c->json;
}

static void take_line(struct log_view *v)
{
    char text[LOG_LINE_MAX + 64], clean[LOG_LINE_MAX], *json;
    struct log_line line;

    v->line[v->len_bytes] = '\0';
    if (log_line_parse(&line, v->line, v->len_bytes)) {
        if (!is_wanted(v, &line.record))
            return;
        if (!v->config.json) {
            draw_text(text, sizeof text, &line.record, v->config.color);
            show(v, text);
            return;
        }
        json = draw_json(&line.record);
        snprintf(text, sizeof text, "%s\n", json ? json : "{}");
        cJSON_free(json);
        show(v, text);
    } else if (v->len_bytes && !is_filtered(&v->config)) {
        log_text_clean(clean, sizeof clean, v->line);
        snprintf(text, sizeof text, "%s\n", clean);
        show(v, text);
    }
}

static void end_line(struct log_view *v)
{
    if (!v->is_too_long)
        take_line(v);
    v->is_too_long = false;
    v->len_bytes = 0;
}

void log_view_take(struct log_view *v, const void *data, size_t len_bytes)
{
    const char *p = data;

    for (size_t i = 0; i < len_bytes; i++) {
        if (p[i] == '\n') {
            end_line(v);
        } else if (!v->is_too_long) {
            v->line[v->len_bytes++] = p[i];
            v->is_too_long = v->len_bytes == sizeof v->line - 1; /* none of ours: passed over */
        }
    }
}

void log_view_cut(struct log_view *v)
{
    if (v->len_bytes)
        end_line(v);
}

void log_view_flush(struct log_view *v)
{
    unsigned first = (v->at + v->config.last - v->held) % v->config.last;

    v->is_live = true;
    for (unsigned i = 0; i < v->held; i++)
        v->print(v->ctx, v->kept[(first + i) % v->config.last]);
    v->held = 0;
}
