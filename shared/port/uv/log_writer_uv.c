/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY: two buffers that change places.
 *
 *   log_writer_sink() --append--> filling        (under the lock)
 *                                    |  swapped when the thread has nothing left
 *                      thread --> writing --> log_file_write()      (without the lock)
 *
 * A write that failed is tried again every LOG_WRITER_RETRY_MS with the same bytes, and meanwhile
 * `filling` runs full; from then on lines are dropped, the newest ones, because the first lines of
 * a trouble say more than its hundredth repetition. The line that tells of dropped ones goes in
 * front of the next that fits, so it stands where they would have.
 *
 * The end of the process waits for the thread a bounded time only. A thread that is stuck in the
 * file system is let go of with everything it may still touch, which is why close() then frees
 * nothing.
 */
#include "port/log_writer.h"

#include "base/log_line.h"
#include "base/util.h"
#include "port/sys.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { NS_PER_MS = 1000000, SPARE_BYTES = LOG_LINE_MAX }; /* room for the line about dropped ones */

struct buffer {
    size_t len_bytes;
    char bytes[LOG_WRITER_BUFFER_BYTES];
};

struct log_writer {
    struct log_file *file; /* owned; the thread's while it runs */
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t changed; /* there is something to do for the thread */
    uv_cond_t ended;
    /* under the lock */
    struct buffer *filling;
    struct log_writer_state state;
    uint64_t untold; /* dropped lines of which no line tells yet */
    bool is_ending, has_ended;
    /* the thread's */
    struct buffer *writing;
    struct buffer buffers[2];
};

/* ---- lines in -------------------------------------------------------------------------------- */

static void append(struct buffer *b, const char *line, size_t len_bytes)
{
    memcpy(b->bytes + b->len_bytes, line, len_bytes);
    b->len_bytes += len_bytes;
}

/* Under the lock. */
static void tell_dropped(struct log_writer *w, const struct log_record *like)
{
    char line[LOG_LINE_MAX], text[64];
    struct log_record r = *like;
    size_t len_bytes;

    snprintf(text, sizeof text, "lines=%" PRIu64 " could not be written here", w->untold);
    r.level = LOG_WARN;
    r.component = LOG_MAIN;
    r.event = LOG_EVENT_NONE;
    r.text = text;
    len_bytes = log_line_format(line, &r);
    append(w->filling, line, len_bytes); /* SPARE_BYTES are kept for it */
    w->untold = 0;
}

void log_writer_sink(void *ctx, const struct log_record *r)
{
    struct log_writer *w = ctx;
    char line[LOG_LINE_MAX];
    size_t len = log_line_format(line, r);

    uv_mutex_lock(&w->lock);
    if (w->filling->len_bytes + len + SPARE_BYTES <= sizeof w->filling->bytes) {
        if (w->untold)
            tell_dropped(w, r);
        append(w->filling, line, len);
        uv_cond_signal(&w->changed);
    } else {
        w->untold++;
        w->state.dropped++;
    }
    uv_mutex_unlock(&w->lock);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void swap(struct log_writer *w)
{
    struct buffer *b = w->filling;

    w->filling = w->writing;
    w->writing = b;
}

/* Under the lock. */
static void wait_to_try_again(struct log_writer *w)
{
    uint64_t end_ms = sys_monotonic_ms() + LOG_WRITER_RETRY_MS, now_ms;

    while (!w->is_ending && (now_ms = sys_monotonic_ms()) < end_ms)
        (void)uv_cond_timedwait(&w->changed, &w->lock, (end_ms - now_ms) * NS_PER_MS);
}

/* Under the lock. */
static void wait_for_lines(struct log_writer *w)
{
    while (!w->filling->len_bytes && !w->is_ending)
        uv_cond_wait(&w->changed, &w->lock);
}

static void run(void *ctx)
{
    struct log_writer *w = ctx;
    bool is_last = false;

    uv_mutex_lock(&w->lock);
    while (!is_last) {
        enum status st = ST_OK;

        if (w->writing->len_bytes)
            wait_to_try_again(w);
        else
            wait_for_lines(w);
        if (!w->writing->len_bytes)
            swap(w);
        uv_mutex_unlock(&w->lock);
        if (w->writing->len_bytes)
            st = log_file_write(w->file, w->writing->bytes, w->writing->len_bytes, sys_wall_ms());
        uv_mutex_lock(&w->lock);
        w->state.st = st;
        if (st == ST_OK)
            w->writing->len_bytes = 0;
        is_last = w->is_ending && (st != ST_OK || !w->filling->len_bytes);
    }
    w->has_ended = true;
    uv_cond_signal(&w->ended);
    uv_mutex_unlock(&w->lock);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void fini_locks(struct log_writer *w)
{
    uv_cond_destroy(&w->ended);
    uv_cond_destroy(&w->changed);
    uv_mutex_destroy(&w->lock);
}

static enum status init_locks(struct log_writer *w)
{
    if (uv_mutex_init(&w->lock))
        return ST_NOMEM;
    if (uv_cond_init(&w->changed)) {
        uv_mutex_destroy(&w->lock);
        return ST_NOMEM;
    }
    if (uv_cond_init(&w->ended)) {
        uv_cond_destroy(&w->changed);
        uv_mutex_destroy(&w->lock);
        return ST_NOMEM;
    }
    return ST_OK;
}

enum status log_writer_open(struct log_writer **out, const struct log_file_config *config)
{
    struct log_writer *w = calloc(1, sizeof *w);
    enum status st = w ? init_locks(w) : ST_NOMEM;

    if (st) {
        free(w);
        return st;
    }
    w->filling = &w->buffers[0];
    w->writing = &w->buffers[1];
    st = log_file_new(&w->file, config);
    if (st == ST_OK && uv_thread_create(&w->thread, run, w)) {
        log_file_free(w->file);
        st = ST_NOFILES;
    }
    if (st) {
        fini_locks(w);
        free(w);
        return st;
    }
    *out = w;
    return ST_OK;
}

void log_writer_state(struct log_writer *w, struct log_writer_state *out)
{
    uv_mutex_lock(&w->lock);
    *out = w->state;
    uv_mutex_unlock(&w->lock);
}

static bool has_ended_in_time(struct log_writer *w)
{
    uint64_t end_ms = sys_monotonic_ms() + LOG_WRITER_END_MS, now_ms;
    bool has_ended;

    uv_mutex_lock(&w->lock);
    w->is_ending = true;
    uv_cond_signal(&w->changed);
    while (!w->has_ended && (now_ms = sys_monotonic_ms()) < end_ms)
        (void)uv_cond_timedwait(&w->ended, &w->lock, (end_ms - now_ms) * NS_PER_MS);
    has_ended = w->has_ended;
    uv_mutex_unlock(&w->lock);
    return has_ended;
}

void log_writer_close(struct log_writer *w)
{
    if (!w || !has_ended_in_time(w))
        return;
    uv_thread_join(&w->thread);
    log_file_free(w->file);
    fini_locks(w);
    free(w);
}
