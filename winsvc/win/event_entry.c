/* SPDX-License-Identifier: Apache-2.0 */
#include "win/event_entry.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- how many -------------------------------------------------------------------------------- */

static bool bucket_take(struct event_bucket *b, uint64_t now_ms)
{
    uint64_t back = (now_ms - b->since_ms) / EVENT_REFILL_MS;

    if (back >= b->used) {
        b->used = 0;
        b->since_ms = now_ms;
    } else {
        b->used -= (unsigned)back;
        b->since_ms += back * EVENT_REFILL_MS;
    }
    if (b->used == EVENT_BURST) {
        b->dropped++;
        return false;
    }
    b->used++;
    return true;
}

/* ---- what ------------------------------------------------------------------------------------ */

/* The Event Viewer expands "%1" and "%%1" in what was inserted too, again and again: a percent sign
 * is kept away from what follows. */
static void put_safe(char *out, size_t cap, const char *text)
{
    size_t len = 0;

    for (; *text && len + 2 < cap; text++) {
        out[len++] = *text;
        if (*text == '%')
            out[len++] = ' ';
    }
    out[len] = '\0';
}

static void format(struct event_entry *out, const struct log_record *r, unsigned dropped)
{
    char raw[LOG_TEXT_MAX + 112];
    int n = snprintf(raw, sizeof raw, "%s (component=%s process=%s pid=%" PRId64 ")", r->text,
                     log_component_name(r->component), r->process, r->pid);

    if (dropped && n >= 0 && (size_t)n < sizeof raw)
        snprintf(raw + n, sizeof raw - (size_t)n, " (%u before it were dropped)", dropped);
    put_safe(out->text, sizeof out->text, raw);
}

bool event_gate_pass(struct event_gate *g, const struct log_record *r, uint64_t now_ms,
                     struct event_entry *out)
{
    struct event_bucket *b = r->event ? &g->changes : &g->others;

    if ((!r->event && r->level > LOG_WARN) || !bucket_take(b, now_ms))
        return false;
    out->number = r->event ? r->event : r->level == LOG_ERROR ? EVENT_ERROR : EVENT_WARNING;
    out->level = r->level;
    format(out, r, b->dropped);
    b->dropped = 0;
    return true;
}
