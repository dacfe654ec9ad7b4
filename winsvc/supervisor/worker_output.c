/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: who says it is known to us and not to be believed from a line: name and process id of a
 * record are replaced. Events are the controller's to tell, and others act on their numbers, so a
 * number is dropped. Time, level and component are the worker's.
 *
 * Its last words, for the status: the last thing at level error, or that it printed without the
 * log; but once a line looks like the first of a crash report, that one, because what follows are
 * stack frames.
 */
#include "supervisor/worker_output.h"

#include <stdio.h>
#include <string.h>

enum { OUTPUT_PER_SECOND = 100 };

void worker_output_init(struct worker_output *o, const char *name, int64_t pid)
{
    *o = (struct worker_output){ .name = name, .pid = pid };
    o->output_limit.burst = OUTPUT_PER_SECOND;
}

static bool is_report(const char *text)
{
    static const char *const signs[] = { "ERROR: ",        "broken invariant", "runtime error",
                                         "stack smashing", "buffer overflow",  "free(): " };

    for (unsigned i = 0; i < ARRAY_SIZE(signs); i++)
        if (strstr(text, signs[i]))
            return true;
    return false;
}

static bool has_letters(const char *text)
{
    return strpbrk(text, "abcdefghijklmnopqrstuvwxyz") != NULL;
}

static void keep_words(struct worker_output *o, const char *text, bool report)
{
    if (o->has_report || !has_letters(text))
        return;
    o->has_report = report;
    log_text_clean(o->words, sizeof o->words, text);
}

static void forward(struct worker_output *o, struct log_line *line)
{
    struct log_record *r = &line->record;

    r->process = o->name;
    r->pid = o->pid;
    r->event = LOG_EVENT_NONE;
    if (r->level == LOG_ERROR)
        keep_words(o, r->text, false);
    log_forward(r);
}

static void take_line(struct worker_output *o)
{
    struct log_line line;

    if (o->len_bytes && o->line[o->len_bytes - 1] == '\r')
        o->len_bytes--;
    o->line[o->len_bytes] = '\0';
    if (log_line_parse(&line, o->line, o->len_bytes)) {
        forward(o, &line);
    } else if (o->len_bytes) {
        keep_words(o, o->line, is_report(o->line));
        log_write_limited(&o->output_limit, LOG_WARN, LOG_OUTPUT, "worker=%s pid=%lld said: %s",
                          o->name, (long long)o->pid, o->line);
    }
    o->len_bytes = 0;
}

void worker_output_take(struct worker_output *o, const uint8_t *data, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++) {
        if (data[i] == '\n') {
            if (!o->is_too_long)
                take_line(o);
            o->is_too_long = false;
        } else if (!o->is_too_long) {
            o->line[o->len_bytes++] = (char)(data[i] ? data[i] : '?');
            if (o->len_bytes == sizeof o->line - 1) {
                take_line(o);
                o->is_too_long = true;
            }
        }
    }
}

void worker_output_end(struct worker_output *o)
{
    if (!o->is_too_long && o->len_bytes)
        take_line(o);
}
