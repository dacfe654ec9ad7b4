/* SPDX-License-Identifier: Apache-2.0 */
#include "status/status_file.h"

#include "base/log.h"
#include "port/loop.h"
#include "port/put_file.h"
#include "status/status_body.h"
#include "status/status_server.h"

#include <stdio.h>
#include <stdlib.h>

struct status_file {
    struct loop *loop;            /* borrowed */
    struct status_server *server; /* borrowed */
    char path[PUT_FILE_PATH_MAX];
    struct timer due;
    uint64_t written_ms, generation; /* of the last one; 0 = none */
    struct log_limit failures;
};

static void write_now(struct status_file *f)
{
    struct status_body_view view;
    enum status st = status_server_view(f->server, &view);

    f->written_ms = loop_now_ms(f->loop);
    if (st == ST_OK && view.generation == f->generation)
        return;
    if (st == ST_OK)
        st = put_file(f->path, view.text, view.len_bytes, STATUS_FILE_MODE);
    if (st == ST_OK)
        f->generation = view.generation;
    else
        log_write_limited(&f->failures, LOG_WARN, LOG_STATUS, "status file %s: %s", f->path,
                          status_text(st));
}

static void on_due(void *ctx)
{
    struct status_file *f = ctx;

    write_now(f);
    timer_start(&f->due, STATUS_FILE_COUNTER_MS);
}

enum status status_file_new(struct status_file **out, struct loop *loop,
                            struct status_server *server, const char *path)
{
    struct status_file *f = calloc(1, sizeof *f);
    int n;

    if (!f)
        return ST_NOMEM;
    f->loop = loop;
    f->server = server;
    f->failures.burst = LOG_BURST;
    n = snprintf(f->path, sizeof f->path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof f->path) {
        free(f);
        return ST_INVAL;
    }
    timer_init(&f->due, loop, on_due, f);
    timer_start(&f->due, 0);
    *out = f;
    return ST_OK;
}

void status_file_changed(struct status_file *f)
{
    uint64_t now_ms = loop_now_ms(f->loop), earliest_ms = f->written_ms + STATUS_FILE_PACE_MS;

    timer_start(&f->due, earliest_ms > now_ms ? (uint32_t)(earliest_ms - now_ms) : 0);
}

void status_file_free(struct status_file *f)
{
    if (!f)
        return;
    timer_stop(&f->due);
    write_now(f);
    free(f);
}
