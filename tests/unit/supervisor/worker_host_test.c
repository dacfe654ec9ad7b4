/* SPDX-License-Identifier: Apache-2.0
 * Real processes under the supervisor: each way a worker can fail, seen and restarted. The child is
 * tests/support/test_worker.c; the deadlines are short so that every case takes well under 1 s.
 */
#include "base/log.h"
#include "base/util.h"
#include "port/uv/loop_uv.h"
#include "supervisor/worker_host.h"
#include "support/cmocka_all.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { LIMIT_MS = 20000, PULSE_MS = 10 };

struct fixture {
    struct loop *loop;
    struct worker_host *host;
    struct timer pulse; /* so that a turn of the loop never waits long */
    uint64_t limit_ms;  /* keeps a broken test from waiting for ever */
    char *argv[3];
    unsigned opened, health_news, changes, stopped;
    struct channel_peer peer;
};

static void on_open(void *ctx, unsigned index, const struct channel_peer *peer)
{
    struct fixture *f = ctx;

    f->opened++;
    f->peer = *peer;
}

static void on_health(void *ctx, unsigned index, const struct health_report *report)
{
    struct fixture *f = ctx;

    assert_ptr_equal(report, worker_host_health(f->host, index));
    f->health_news++;
}

static void on_change(void *ctx, unsigned index)
{
    ((struct fixture *)ctx)->changes++;
}

static void on_stopped(void *ctx)
{
    ((struct fixture *)ctx)->stopped++;
}

static const struct worker_host_ops ops = {
    .on_open = on_open,
    .on_health = on_health,
    .on_change = on_change,
    .on_stopped = on_stopped,
};

static void on_pulse(void *ctx)
{
    struct fixture *f = ctx;

    timer_start(&f->pulse, PULSE_MS);
}

static char program[] = TEST_WORKER, missing_program[] = TEST_WORKER "-that-is-not-there";

static void setup(struct fixture *f, char *file, char *mode, uint32_t start_ms)
{
    const struct worker_host_config config = {
        .instance = "test",
        .supervisor = { .start_ms = start_ms,
                        .heartbeat_ms = 400,
                        .drain_ms = 2000,
                        .backoff_base_ms = 10,
                        .backoff_cap_ms = 50 },
    };
    struct worker_spec spec = {
        .name = "docker",
        .role = RDLINK__V1__ROLE__ROLE_WORKER_DOCKER,
        .file = file,
        .inherit_fd = -1,
    };
    unsigned index;

    *f = (struct fixture){ .argv = { file, mode, NULL } };
    spec.argv = f->argv;
    assert_int_equal(loop_uv_new(&f->loop, NULL), ST_OK);
    f->limit_ms = loop_now_ms(f->loop) + LIMIT_MS;
    timer_init(&f->pulse, f->loop, on_pulse, f);
    timer_start(&f->pulse, PULSE_MS);
    assert_int_equal(worker_host_new(&f->host, f->loop, &config, &ops, f), ST_OK);
    assert_int_equal(worker_host_add(f->host, &spec, &index), ST_OK);
    worker_host_start(f->host);
}

static struct worker_view view(struct fixture *f)
{
    struct worker_view v;

    worker_host_view(f->host, 0, &v);
    return v;
}

#define RUN_UNTIL(f, condition)                                  \
    do {                                                         \
        while (!(condition)) {                                   \
            assert_true(loop_now_ms((f)->loop) < (f)->limit_ms); \
            loop_uv_run_once((f)->loop);                         \
        }                                                        \
    } while (0)

static bool is_running(struct fixture *f)
{
    return view(f).state == WORKER_RUNNING && worker_host_health(f->host, 0);
}

static void teardown(struct fixture *f)
{
    timer_stop(&f->pulse);
    worker_host_free(f->host);
    loop_uv_free(f->loop);
}

static void command(struct fixture *f, const char *text)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Shutdown shutdown = RDLINK__V1__SHUTDOWN__INIT;
    char reason[32];

    snprintf(reason, sizeof reason, "%s", text);
    shutdown.reason = reason;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_SHUTDOWN;
    msg.shutdown = &shutdown;
    assert_int_equal(worker_host_send(f->host, 0, &msg), ST_OK);
}

static char healthy[] = "healthy", never_ready[] = "never-ready", garbage[] = "garbage";

static void a_worker_comes_up_reports_and_stops(void **state)
{
    struct fixture f;
    const struct health_report *r;

    setup(&f, program, healthy, 10000);
    assert_null(worker_host_health(f.host, 0));
    RUN_UNTIL(&f, is_running(&f));
    assert_int_equal(f.opened, 1);
    assert_int_equal(f.peer.role, RDLINK__V1__ROLE__ROLE_WORKER_DOCKER);
    assert_int_equal(f.peer.pid, view(&f).pid);
    RUN_UNTIL(&f, worker_host_health(f.host, 0)->sequence >= 3);
    r = worker_host_health(f.host, 0);
    assert_string_equal(r->components[0].name, "test");
    assert_string_equal(r->components[0].conditions.items[0].reason, "AsTold");
    assert_true(r->components[0].counters[0].value >= 3);
    assert_int_equal(f.health_news, 1); /* counters alone are no news */
    assert_true(f.changes > 0);

    worker_host_stop(f.host);
    assert_int_equal(f.stopped, 0);
    RUN_UNTIL(&f, f.stopped > 0);
    assert_int_equal(view(&f).state, WORKER_STOPPED);
    assert_string_equal(view(&f).last_exit.reason, "Stopped");
    assert_int_equal(view(&f).restarts, 0);
    assert_int_equal(f.stopped, 1);
    assert_null(worker_host_health(f.host, 0));
    teardown(&f);
}

static const struct fault_row {
    const char *command;
    const char *reason;
    int64_t code; /* -1: the system's own number for "killed" */
    int signal;   /* -1: likewise */
} fault_rows[] = {
    { "exit:1", "Exited", 1, 0 },
    { "exit:0", "Exited", 0, 0 },
    { "notice", "ListenFailed", 3, 0 },
    { "hang", "HeartbeatMissed", -1, -1 },
    { "spin", "Spinning", -1, -1 },
    { "close", "ChannelLost", -1, -1 },
    { "out-of-order", "OutOfOrder", 0, 0 },
#ifdef SIGKILL
    { "kill", "Killed", 0, SIGKILL },
#endif
#ifdef SIGSTOP
    { "stop", "HeartbeatMissed", 0, SIGKILL },
#endif
};

static void expect_exit(struct fixture *f, const struct fault_row *row)
{
    struct worker_view v = view(f);

    assert_true(v.last_exit.any);
    assert_string_equal(v.last_exit.reason, row->reason);
    if (row->code >= 0)
        assert_int_equal(v.last_exit.code, row->code);
    if (row->signal >= 0)
        assert_int_equal(v.last_exit.signal, row->signal);
    assert_true(v.last_exit.message[0] != '\0');
    assert_true(v.last_exit.wall_ms > 1700000000000);
}

static void each_failure_is_seen_named_and_the_worker_restarted(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(fault_rows); i++) {
        const struct fault_row *row = &fault_rows[i];
        struct fixture f;
        int64_t pid;

        print_message("row: %s\n", row->command);
        setup(&f, program, healthy, 10000);
        RUN_UNTIL(&f, is_running(&f));
        pid = view(&f).pid;
        command(&f, row->command);
        RUN_UNTIL(&f, view(&f).restarts == 1 && is_running(&f));
        assert_true(view(&f).pid != pid);
        assert_int_equal(f.opened, 2);
        assert_int_equal(worker_host_health(f.host, 0)->sequence, 1);
        expect_exit(&f, row);
        teardown(&f);
    }
}

static void what_it_said_last_is_in_its_exit(void **state)
{
    static const struct {
        const char *command, *words;
    } rows[] = {
        { "assert", "; its last words: " },
        { "assert", "broken invariant: !\"as told\"" },
        { "complain", "exited with code 7; its last words: the moon is full" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fixture f;

        setup(&f, program, healthy, 10000);
        RUN_UNTIL(&f, is_running(&f));
        command(&f, rows[i].command);
        RUN_UNTIL(&f, view(&f).restarts == 1);
        if (!strstr(view(&f).last_exit.message, rows[i].words))
            fail_msg("%s: %s", rows[i].command, view(&f).last_exit.message);
        teardown(&f);
    }
}

static void expect_repeated(char *file, char *mode, uint32_t start_ms, const char *reason)
{
    struct fixture f;

    setup(&f, file, mode, start_ms);
    RUN_UNTIL(&f, view(&f).restarts >= 2);
    assert_string_equal(view(&f).last_exit.reason, reason);
    worker_host_kill_all(f.host);
    RUN_UNTIL(&f, f.stopped > 0);
    teardown(&f);
}

static void a_worker_that_is_never_ready_is_replaced(void **state)
{
    expect_repeated(program, never_ready, 300, "StartTimeout");
}

static void a_worker_that_speaks_something_else_is_replaced(void **state)
{
    expect_repeated(program, garbage, 10000, "Oversized");
}

static void a_program_that_is_missing_is_tried_again(void **state)
{
    expect_repeated(missing_program, healthy, 10000, "StartFailed");
}

static void stop_cuts_a_worker_that_does_not_drain(void **state)
{
    struct fixture f;

    setup(&f, program, healthy, 10000);
    RUN_UNTIL(&f, is_running(&f));
    command(&f, "hang");
    worker_host_stop(f.host);
    worker_host_kill_all(f.host);
    RUN_UNTIL(&f, f.stopped > 0);
    assert_int_equal(view(&f).state, WORKER_STOPPED);
    teardown(&f);
}

static void freeing_the_host_leaves_no_process(void **state)
{
    struct fixture f;

    setup(&f, program, healthy, 10000);
    RUN_UNTIL(&f, is_running(&f));
    teardown(&f); /* the loop's end waits for the child's; a sanitizer would see a leak */
}

static void bad_specs_are_refused(void **state)
{
    char long_name[41];
    struct worker_spec spec = { .name = "", .file = program, .inherit_fd = -1 };
    struct fixture f;
    unsigned index;

    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    setup(&f, program, healthy, 10000);
    spec.argv = f.argv;
    assert_int_equal(worker_host_add(f.host, &spec, &index), ST_INVAL);
    spec.name = long_name;
    assert_int_equal(worker_host_add(f.host, &spec, &index), ST_INVAL);
    spec.name = "second";
    assert_int_equal(worker_host_add(f.host, &spec, &index), ST_OK);
    assert_int_equal(index, 1);
    teardown(&f);
}

static void drop_log(void *ctx, const struct log_record *r)
{
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_comes_up_reports_and_stops),
        cmocka_unit_test(each_failure_is_seen_named_and_the_worker_restarted),
        cmocka_unit_test(what_it_said_last_is_in_its_exit),
        cmocka_unit_test(a_worker_that_is_never_ready_is_replaced),
        cmocka_unit_test(a_worker_that_speaks_something_else_is_replaced),
        cmocka_unit_test(a_program_that_is_missing_is_tried_again),
        cmocka_unit_test(stop_cuts_a_worker_that_does_not_drain),
        cmocka_unit_test(freeing_the_host_leaves_no_process),
        cmocka_unit_test(bad_specs_are_refused),
    };

    log_set_sink(drop_log, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
