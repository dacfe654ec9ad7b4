/* SPDX-License-Identifier: Apache-2.0
 * The test starts itself as the child; the first argument says what the child does.
 */
#include "port/process.h"

#include "port/sys.h"
#include "support/cmocka_all.h"
#include "support/port_case.h"

#include <stdio.h>
#include <string.h>

static struct port_case c;
static char self[512];

/* ---- the child ------------------------------------------------------------------------- */

static struct stream *child_control;
static struct loop *child_loop;

static void child_on_data(void *ctx, const uint8_t *data, size_t len)
{
    if (memchr(data, 'q', len))
        loop_uv_stop(child_loop);
    else
        (void)stream_write(child_control, data, len);
}

static void child_on_eof(void *ctx)
{
    loop_uv_stop(child_loop);
}

static void child_on_error(void *ctx, enum status why)
{
    loop_uv_stop(child_loop);
}

static const struct stream_handler child_handler = {
    .on_data = child_on_data,
    .on_eof = child_on_eof,
    .on_error = child_on_error,
};

/* Echoes its control stream until it ends or says "q"; its exit code is 7. */
static int child_echo(void)
{
    process_die_with_parent();
    if (loop_uv_new(&child_loop, NULL) || process_control_stream(child_loop, &child_control, NULL))
        return 1;
    stream_set_handler(child_control, &child_handler, NULL);
    stream_read_start(child_control);
    loop_uv_run(child_loop);
    stream_close(child_control);
    loop_uv_free(child_loop);
    return 7;
}

/* ---- the parent ------------------------------------------------------------------------ */

static unsigned exits;
static int64_t exit_code;
static int exit_signal;

static void on_exit_seen(void *ctx, int64_t code, int signal)
{
    exits++;
    exit_code = code;
    exit_signal = signal;
}

static struct process *spawn_echo(void)
{
    char mode[] = "child-echo";
    char *argv[] = { self, mode, NULL };
    struct process_spec spec = { .file = self, .argv = argv, .inherit_fd = -1 };
    struct process *p = NULL;
    struct stream *control = NULL;
    struct errmsg e;

    if (process_spawn(c.loop, &p, &spec, &control, on_exit_seen, NULL, &e))
        fail_msg("%s", e.text);
    assert_true(process_pid(p) > 0);
    recorder_attach(&c.dialled, control);
    stream_read_start(control);
    return p;
}

/* A pipe on Windows always queues. */
static void say(const char *text)
{
    enum status st = stream_write(c.dialled.stream, text, strlen(text));

    assert_true(st == ST_OK || st == ST_QUEUED);
}

static int setup(void **state)
{
    exits = 0;
    exit_code = -1;
    exit_signal = -1;
    port_case_init(&c);
    return 0;
}

static int teardown(void **state)
{
    port_case_fini(&c);
    return 0;
}

static void a_child_talks_on_its_control_stream_and_its_code_is_told(void **state)
{
    struct process *p = spawn_echo();

    say("hello");
    port_case_wait(&c, c.dialled.bytes == 5);
    assert_memory_equal(c.dialled.data, "hello", 5);
    say("q");
    port_case_wait(&c, exits == 1);
    assert_int_equal(exit_code, 7);
    assert_int_equal(exit_signal, 0);
    process_kill(p);
    process_free(p);
}

static void a_child_ends_when_its_control_stream_does(void **state)
{
    struct process *p = spawn_echo();

    say("x");
    port_case_wait(&c, c.dialled.bytes == 1);
    recorder_close(&c.dialled);
    port_case_wait(&c, exits == 1);
    assert_int_equal(exit_code, 7);
    process_free(p);
}

static void a_killed_child_is_told(void **state)
{
    struct process *p = spawn_echo();

    process_kill(p);
    port_case_wait(&c, exits == 1);
    assert_true(exit_signal == 9 || exit_code != 7);
    process_free(p);
}

static void a_forgotten_child_is_killed_without_a_word(void **state)
{
    process_free(spawn_echo());
    port_case_wait(&c, c.dialled.eofs == 1 || c.dialled.error != ST_OK);
    port_case_settle(&c);
    assert_int_equal(exits, 0);
    process_free(NULL);
}

static void a_program_that_is_not_there_is_not_found(void **state)
{
    char name[] = "no/such/program";
    char *argv[] = { name, NULL };
    struct process_spec spec = { .file = name, .argv = argv, .inherit_fd = -1 };
    struct process *p = NULL;
    struct stream *control = NULL;
    struct errmsg e = { "" };

    assert_int_equal(process_spawn(c.loop, &p, &spec, &control, on_exit_seen, NULL, &e),
                     ST_NOTFOUND);
    assert_non_null(strstr(e.text, "no/such/program"));
    assert_null(control);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(a_child_talks_on_its_control_stream_and_its_code_is_told),
        CASE(a_child_ends_when_its_control_stream_does),
        CASE(a_killed_child_is_told),
        CASE(a_forgotten_child_is_killed_without_a_word),
        CASE(a_program_that_is_not_there_is_not_found),
    };

    if (argc > 1 && strcmp(argv[1], "child-echo") == 0)
        return child_echo();
    if (sys_self_path(self, sizeof self))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
