/* SPDX-License-Identifier: Apache-2.0 */
#include "cli_fixture.h"

#include "port/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print(void *ctx, enum cli_out to, const char *text)
{
    struct fixture *f = ctx;
    char *buf = to == CLI_STDOUT ? f->out : f->err;
    size_t cap = to == CLI_STDOUT ? sizeof f->out : sizeof f->err, len = strlen(buf);

    assert_true(len + strlen(text) < cap);
    snprintf(buf + len, cap - len, "%s", text);
}

static void finish(void *ctx, int exit_code)
{
    struct fixture *f = ctx;

    assert_int_equal(f->code, CLI_PENDING);
    f->code = exit_code;
}

static enum status create_output(void *ctx, const char *path)
{
    struct fixture *f = ctx;

    snprintf(f->output_path, sizeof f->output_path, "%s", path);
    return f->create;
}

static void discard_output(void *ctx)
{
    struct fixture *f = ctx;

    f->output_is_discarded = true;
}

static void describe(struct sys_facts *out)
{
    *out = (struct sys_facts){ .system = "TestOS", .cpus = 3 };
}

static int64_t wall_ms(void)
{
    return 1795309200000;
}

static bool open_output(void *ctx, const char *path)
{
    struct fixture *f = ctx;

    snprintf(f->output_path, sizeof f->output_path, "%s", path);
    return path[0] != '!';
}

static bool write_output(void *ctx, const void *data, size_t len_bytes)
{
    struct fixture *f = ctx;

    if (f->output_is_full)
        return false;
    assert_true(f->output_bytes + len_bytes <= sizeof f->output);
    memcpy(f->output + f->output_bytes, data, len_bytes);
    f->output_bytes += len_bytes;
    return true;
}

int cli_fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->sim = sim_new();
    f->env = (struct cli_env){ .loop = sim_loop(f->sim),
                               .print = print,
                               .finish = finish,
                               .open_output = open_output,
                               .write_output = write_output,
                               .create_output = create_output,
                               .discard_output = discard_output,
                               .describe = describe,
                               .ctx = f,
                               .default_address = "unix:/run/default.sock",
                               .wall_ms = wall_ms,
                               .commit = FIXTURE_COMMIT,
                               .build = FIXTURE_BUILD };
    *state = f;
    return 0;
}

int cli_fixture_teardown(void **state)
{
    struct fixture *f = *state;

    cli_free(f->cli);
    sim_free(f->sim);
    free(f);
    return 0;
}

void start_with(struct fixture *f, const char *words, enum status dial)
{
    static char copy[512];
    const char *argv[16];
    int argc = 0;

    snprintf(copy, sizeof copy, "rdlink %s", words);
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
        argv[argc++] = w;
    sim_next_dial(f->sim, dial, 0);
    f->code = CLI_PENDING;
    f->code = cli_start(&f->cli, &f->env, argc, argv);
    assert_int_equal(f->code, CLI_PENDING);
}

void start(struct fixture *f, const char *words)
{
    start_with(f, words, ST_OK);
}

static void answer_any(struct fixture *f, const char *method, const char *target, const char *sent,
                       const char *line, const char *body, enum status then)
{
    char want[128], head[256];
    struct sim_peer *service;
    const char *text;

    sim_run(f->sim);
    service = sim_take_dialled(f->sim);
    assert_non_null(service);
    snprintf(want, sizeof want, "%s %s HTTP/1.1\r\n", method, target);
    text = sim_peer_text(service);
    if (!strstr(text, want) || !strstr(text, sent))
        fail_msg("'%s' is not asked, but: %s", want, text);
    snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", line, strlen(body));
    sim_peer_send_text(service, head);
    sim_peer_send_text(service, body);
    sim_peer_end(service);
    sim_next_dial(f->sim, then, 0);
}

void answer_then(struct fixture *f, const char *target, const char *line, const char *body,
                 enum status then)
{
    answer_any(f, "GET", target, "", line, body, then);
}

void answer_to(struct fixture *f, const char *method, const char *target, const char *sent,
               const char *line, const char *body)
{
    answer_any(f, method, target, sent, line, body, ST_OK);
}

void answer(struct fixture *f, const char *target, const char *line, const char *body)
{
    answer_then(f, target, line, body, ST_OK);
}

bool has(const char *text, const char *what)
{
    return strstr(text, what) != NULL;
}
