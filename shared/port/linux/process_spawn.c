/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * libuv reaps only children whose handle is open, so the handle of a child that its owner forgot
 * (process_free) stays until the exit was seen: no zombie is left, and no callback comes. The
 * loop's end waits for these (loop_uv_free), which is short because they were killed.
 * On Windows a child gets a token that libuv cannot give it (win/process_win.c).
 */
#include "port/process.h"

#include "port/stream.h"
#include "port/uv/loop_uv_internal.h"
#include "port/uv/stream_uv.h"
#include "port/uv/uv_status.h"

#include <stdlib.h>

enum { STDIO_COUNT = 4, ERROR_FD = 2, INHERITED_FD = 3 };

struct process {
    uv_process_t uv;
    process_exit_fn *on_exit; /* NULL once nobody wants to know */
    void *ctx;
    int64_t pid;
    bool exited;
    bool forgotten;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void process_close(struct process *p)
{
    uv_close((uv_handle_t *)&p->uv, on_closed);
}

static void on_uv_exit(uv_process_t *handle, int64_t code, int term_signal)
{
    struct process *p = handle->data;

    p->exited = true;
    if (p->forgotten)
        process_close(p);
    else
        p->on_exit(p->ctx, code, term_signal);
}

static int spawn(struct loop *loop, struct process *p, const struct process_spec *spec,
                 struct stream_uv *control, struct stream_uv *output)
{
    uv_stdio_container_t stdio[STDIO_COUNT] = {
        { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE | UV_OVERLAPPED_PIPE,
          .data.stream = stream_uv_handle(control) },
        { .flags = UV_INHERIT_FD, .data.fd = 1 },
        { .flags = UV_INHERIT_FD, .data.fd = 2 },
        { .flags = UV_INHERIT_FD, .data.fd = spec->inherit_fd },
    };

    if (output) {
        stdio[ERROR_FD].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
        stdio[ERROR_FD].data.stream = stream_uv_handle(output);
    }
    uv_process_options_t options = {
        .exit_cb = on_uv_exit,
        .file = spec->file,
        .args = (char **)(uintptr_t)spec->argv, /* libuv's type predates const */
        .flags = UV_PROCESS_WINDOWS_HIDE,
        .stdio_count = spec->inherit_fd >= 0 ? STDIO_COUNT : INHERITED_FD,
        .stdio = stdio,
    };

    return uv_spawn(loop_uv_handle(loop), &p->uv, &options);
}

static enum status new_streams(struct loop *loop, bool with_output, struct stream_uv **control,
                               struct stream_uv **output)
{
    enum status st = stream_uv_new(loop, STREAM_UV_PIPE, control);

    if (st || !with_output)
        return st;
    st = stream_uv_new(loop, STREAM_UV_PIPE, output);
    if (st)
        stream_close(stream_uv_stream(*control));
    return st;
}

enum status process_spawn(struct loop *loop, struct process **out, const struct process_spec *spec,
                          struct stream **control, process_exit_fn *on_exit, void *ctx,
                          struct errmsg *e)
{
    struct process *p = calloc(1, sizeof *p);
    struct stream_uv *stream = NULL, *output = NULL;
    enum status st = ST_NOMEM;
    int err;

    if (p)
        st = new_streams(loop, spec->output != NULL, &stream, &output);
    if (st) {
        errmsg_set(e, "start %s: %s", spec->file, status_text(st));
        free(p);
        return st;
    }
    p->on_exit = on_exit;
    p->ctx = ctx;
    p->uv.data = p;
    err = spawn(loop, p, spec, stream, output);
    if (err) {
        st = uv_status(err);
        errmsg_set(e, "start %s: %s", spec->file, uv_strerror(err));
        stream_close(stream_uv_stream(stream));
        if (output)
            stream_close(stream_uv_stream(output));
        process_close(p); /* uv_spawn() has initialised it even so */
        return st;
    }
    p->pid = uv_process_get_pid(&p->uv);
    *control = stream_uv_stream(stream);
    if (output)
        *spec->output = stream_uv_stream(output);
    *out = p;
    return ST_OK;
}

int64_t process_pid(const struct process *p)
{
    return p->pid;
}

void process_kill(struct process *p)
{
    if (!p->exited)
        (void)uv_process_kill(&p->uv, SIGKILL); /* fails only when it is gone already */
}

void process_free(struct process *p)
{
    if (!p)
        return;
    p->forgotten = true;
    if (p->exited)
        process_close(p);
    else
        process_kill(p);
}
