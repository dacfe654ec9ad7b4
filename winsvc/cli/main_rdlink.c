/* SPDX-License-Identifier: Apache-2.0
 * main_rdlink.c - the process around cli.c: environment, terminal, loop, exit code.
 */
#include "cli/build_info.h"
#include "cli/cli.h"
#include "config/config_names.h"
#include "port/host_look.h"
#include "port/sys.h"
#include "port/uv/file_uv.h"
#include "port/uv/loop_uv.h"
#include "port/uv/uv_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* libuv's terminal translates colours and UTF-8 for the Windows console. */
struct terminal {
    bool is_open;
    uv_tty_t tty;
};

struct program {
    struct loop *loop;
    struct terminal terminals[2]; /* by enum cli_out */
    uv_file output;               /* -1 = none; not ours to close when it is standard output */
    const char *created;          /* path of @output when discard_output() may remove it */
    int exit_code;
};

static int fd_of(enum cli_out to)
{
    return to == CLI_STDOUT ? 1 : 2;
}

static void terminals_open(struct program *p)
{
    for (int to = CLI_STDOUT; to <= CLI_STDERR; to++) {
        struct terminal *t = &p->terminals[to];

        if (uv_guess_handle(fd_of(to)) != UV_TTY)
            continue;
        t->is_open = !uv_tty_init(loop_uv_handle(p->loop), &t->tty, fd_of(to), 0);
        if (t->is_open)
            uv_stream_set_blocking((uv_stream_t *)&t->tty, 1);
    }
}

static void terminals_close(struct program *p)
{
    for (int to = CLI_STDOUT; to <= CLI_STDERR; to++)
        if (p->terminals[to].is_open)
            uv_close((uv_handle_t *)&p->terminals[to].tty, NULL);
    uv_run(loop_uv_handle(p->loop), UV_RUN_NOWAIT);
}

static void print(void *ctx, enum cli_out to, const char *text)
{
    struct program *p = ctx;
    FILE *file = to == CLI_STDOUT ? stdout : stderr;
    size_t len = strlen(text);

    while (p->terminals[to].is_open && len > 0) {
        uv_buf_t buf = uv_buf_init((char *)(uintptr_t)text, (unsigned)len);
        int n = uv_try_write((uv_stream_t *)&p->terminals[to].tty, &buf, 1);

        if (n <= 0)
            break;
        text += n;
        len -= (size_t)n;
    }
    fwrite(text, 1, len, file);
    fflush(file);
}

/* libuv's files are binary on Windows too. */
static enum status open_file(struct program *p, const char *path, int flags)
{
    int file;

    if (!strcmp(path, "-")) {
        p->output = fd_of(CLI_STDOUT);
        return ST_OK;
    }
    file = file_uv_open(path, UV_FS_O_WRONLY | UV_FS_O_CREAT | flags, 0600);
    if (file < 0)
        return uv_status(file);
    p->output = file;
    return ST_OK;
}

static bool open_output(void *ctx, const char *path)
{
    return open_file(ctx, path, UV_FS_O_TRUNC) == ST_OK;
}

static enum status create_output(void *ctx, const char *path)
{
    struct program *p = ctx;
    enum status st = open_file(p, path, UV_FS_O_EXCL);

    if (st == ST_OK && p->output > fd_of(CLI_STDERR))
        p->created = path;
    return st;
}

static bool write_output(void *ctx, const void *data, size_t len_bytes)
{
    const struct program *p = ctx;

    return file_uv_write(p->output, data, len_bytes, NULL) == 0;
}

static void close_output(struct program *p)
{
    if (p->output <= fd_of(CLI_STDERR))
        return;
    (void)file_uv_close(p->output);
    p->output = -1;
}

static void discard_output(void *ctx)
{
    struct program *p = ctx;

    close_output(p);
    if (p->created)
        (void)file_uv_remove(p->created);
    p->created = NULL;
}

static const char *either(const char *name, const char *other)
{
    const char *value = getenv(name);

    return value ? value : getenv(other);
}

static void finish(void *ctx, int exit_code)
{
    struct program *p = ctx;

    p->exit_code = exit_code;
    loop_uv_stop(p->loop);
}

/* Where log-dir is on an installed machine. */
static const char *default_logs(void)
{
    static char folder[512];
    const char *data = getenv("ProgramData"); /* which only Windows has */

    if (!data)
        return "/var/log/rdlink";
    snprintf(folder, sizeof folder, "%s\\rdlink\\logs", data);
    return folder;
}

static bool wants_color(const struct program *p)
{
    const char *off = getenv("NO_COLOR");

    return (!off || !off[0]) && p->terminals[CLI_STDOUT].is_open;
}

int main(int argc, char **argv)
{
    struct program p = { .exit_code = CLI_NOT_RUNNING, .output = -1 };
    struct cli_env env = {
        .print = print,
        .finish = finish,
        .open_output = open_output,
        .write_output = write_output,
        .create_output = create_output,
        .discard_output = discard_output,
        .ctx = &p,
        .status_address = getenv("RDLINK_STATUS"),
        .default_address = RDLINK_STATUS_DEFAULT,
        .default_logs = default_logs(),
        .default_status_file = config_default_status_file(),
        .wall_ms = sys_wall_ms,
        .describe = sys_describe,
        .look = &host_look_os,
        .home = either("HOME", "USERPROFILE"),
        .users = { either("USER", "USERNAME"), getenv("SUDO_USER") },
        .commit = build_info_commit,
        .build = build_info_kind,
    };
    struct cli *cli = NULL;
    struct errmsg e;
    int code;

    argv = uv_setup_args(argc, argv);
    if (loop_uv_new(&p.loop, &e)) {
        fprintf(stderr, "rdlink: %s\n", e.text);
        return CLI_NOT_RUNNING;
    }
    env.loop = p.loop;
    terminals_open(&p);
    env.terminal = p.terminals[CLI_STDOUT].is_open;
    env.color = wants_color(&p);
    code = cli_start(&cli, &env, argc, (const char *const *)argv);
    if (code == CLI_PENDING) {
        loop_uv_run(p.loop);
        code = p.exit_code;
    }
    cli_free(cli);
    close_output(&p);
    terminals_close(&p);
    loop_uv_free(p.loop);
    return code;
}
