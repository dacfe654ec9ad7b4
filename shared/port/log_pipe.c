/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: a line is one write, which a pipe takes as a whole or not at all while there is room. One
 * that it took half of would join the next, so that one begins with a newline: the reader sees a
 * line that is none and one that is whole. Two threads that are refused at the same moment may
 * count wrongly by one; lines never mix.
 */
#include "port/log_pipe.h"

#include "base/log.h"
#include "base/log_line.h"

#include <stdatomic.h>
#include <stdio.h>

static atomic_uint dropped;
static atomic_bool is_cut;

static bool put_line(const struct log_record *r)
{
    char line[1 + LOG_LINE_MAX];
    size_t len = log_line_format(line + 1, r), took;
    bool was_cut = atomic_load(&is_cut);

    line[0] = '\n';
    len += was_cut;
    took = log_pipe_put(line + !was_cut, len);
    if (took)
        atomic_store(&is_cut, took < len);
    return took == len;
}

static void tell_dropped(const struct log_record *like, unsigned count)
{
    struct log_record r = *like;
    char text[64];

    snprintf(text, sizeof text, "lines=%u were dropped: nobody read them", count);
    r.level = LOG_WARN;
    r.component = LOG_MAIN;
    r.event = LOG_EVENT_NONE;
    r.text = text;
    if (!put_line(&r))
        atomic_fetch_add(&dropped, count);
}

static void sink(void *ctx, const struct log_record *r)
{
    unsigned count = atomic_exchange(&dropped, 0);

    if (count)
        tell_dropped(r, count);
    if (atomic_load(&dropped) || !put_line(r))
        atomic_fetch_add(&dropped, 1);
}

void log_pipe_open(void)
{
    log_set_sink(sink, NULL);
}
