/* SPDX-License-Identifier: Apache-2.0
 * The supervisor, one behaviour a test. The world around it is a log of what it asked for, a clock
 * that the test moves, and randomness that is what the test says.
 */
#include "base/util.h"
#include "supervisor/supervisor.h"
#include "support/cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_WORKERS = 3, LOG_MAX = 512 };

struct world {
    struct supervisor *sup;
    uint64_t now_ms;
    uint32_t random;
    char log[LOG_MAX]; /* "start0 drain1 kill1 " */
    bool start_fails[MAX_WORKERS];
    unsigned changes;
};

static void note(struct world *w, const char *what, unsigned index)
{
    size_t used = strlen(w->log);

    assert_true(used + 16 < sizeof w->log);
    snprintf(w->log + used, sizeof w->log - used, "%s%u ", what, index);
}

static enum status op_start(void *ctx, unsigned index, struct errmsg *e)
{
    struct world *w = ctx;

    note(w, "start", index);
    if (w->start_fails[index]) {
        errmsg_set(e, "no such program");
        return ST_NOTFOUND;
    }
    supervisor_on_started(w->sup, index, 100 + (int64_t)index, w->now_ms);
    return ST_OK;
}

static void op_drain(void *ctx, unsigned index, uint32_t deadline_ms)
{
    note(ctx, "drain", index);
    assert_int_equal(deadline_ms, 5000);
}

static void op_kill(void *ctx, unsigned index)
{
    note(ctx, "kill", index);
}

static void op_changed(void *ctx, unsigned index)
{
    struct world *w = ctx;

    w->changes++;
}

static void op_escalate(void *ctx, unsigned index)
{
    note(ctx, "escalate", index);
}

static uint32_t op_random(void *ctx)
{
    return ((struct world *)ctx)->random;
}

static int64_t op_wall_ms(void *ctx)
{
    return 1700000000000 + (int64_t)((struct world *)ctx)->now_ms;
}

static const struct supervisor_ops ops = {
    .start = op_start,
    .drain = op_drain,
    .kill = op_kill,
    .changed = op_changed,
    .escalate = op_escalate,
    .random = op_random,
    .wall_ms = op_wall_ms,
};

static void setup(struct world *w, unsigned workers)
{
    static const char *const names[] = { "zero", "one", "two" };
    const struct supervisor_config defaults = { 0 };

    *w = (struct world){ .now_ms = 1000, .random = UINT32_MAX };
    assert_int_equal(supervisor_new(&w->sup, &defaults, &ops, w), ST_OK);
    for (unsigned i = 0; i < workers; i++) {
        unsigned index;

        assert_int_equal(supervisor_add(w->sup, names[i], &index), ST_OK);
        assert_int_equal(index, i);
    }
}

static struct worker_view view(struct world *w, unsigned index)
{
    struct worker_view v;

    supervisor_view(w->sup, index, &v);
    return v;
}

static void expect_log(struct world *w, const char *want)
{
    assert_string_equal(w->log, want);
    w->log[0] = '\0';
}

static void expect_state(struct world *w, unsigned index, enum worker_state want)
{
    assert_string_equal(worker_state_name(view(w, index).state), worker_state_name(want));
}

static void expect_last_exit(struct world *w, unsigned index, const char *reason, int64_t code,
                             int signal)
{
    struct worker_view v = view(w, index);

    assert_true(v.last_exit.any);
    assert_string_equal(v.last_exit.reason, reason);
    assert_int_equal(v.last_exit.code, code);
    assert_int_equal(v.last_exit.signal, signal);
    assert_true(v.last_exit.message[0] != '\0');
    assert_true(v.last_exit.wall_ms >= 1700000000000);
}

static void ready(struct world *w, unsigned index)
{
    supervisor_on_ready(w->sup, index, w->now_ms);
    supervisor_tick(w->sup, w->now_ms);
}

static void exits(struct world *w, unsigned index, int64_t code, int signal)
{
    supervisor_on_exit(w->sup, index, code, signal, w->now_ms);
    supervisor_tick(w->sup, w->now_ms);
}

/* Time passes as it does with a real loop: every deadline on the way is acted upon. */
static void pass_ms(struct world *w, uint64_t ms)
{
    uint64_t end_ms = w->now_ms + ms;
    uint64_t next_ms = supervisor_tick(w->sup, w->now_ms);

    while (next_ms <= end_ms) {
        assert_true(next_ms > w->now_ms);
        w->now_ms = next_ms;
        next_ms = supervisor_tick(w->sup, w->now_ms);
    }
    w->now_ms = end_ms;
}

static void stay_healthy_ms(struct world *w, unsigned index, uint64_t ms)
{
    for (uint64_t t = 0; t < ms; t += 1000) {
        pass_ms(w, 1000);
        supervisor_on_heartbeat(w->sup, index, w->now_ms);
    }
    supervisor_tick(w->sup, w->now_ms);
}

static void all_running(struct world *w, unsigned workers)
{
    setup(w, workers);
    supervisor_start(w->sup, w->now_ms);
    for (unsigned i = 0; i < workers; i++)
        ready(w, i);
    w->log[0] = '\0';
}

/* ---- coming up ---------------------------------------------------------------------------- */

static void workers_start_one_after_the_other_as_each_gets_ready(void **state)
{
    struct world w;

    setup(&w, 3);
    expect_state(&w, 0, WORKER_STOPPED);
    supervisor_start(w.sup, w.now_ms);
    expect_log(&w, "start0 ");
    expect_state(&w, 0, WORKER_STARTING);
    assert_int_equal(view(&w, 0).pid, 100);
    ready(&w, 0);
    expect_log(&w, "start1 ");
    expect_state(&w, 0, WORKER_RUNNING);
    ready(&w, 1);
    ready(&w, 2);
    expect_log(&w, "start2 ");
    expect_state(&w, 2, WORKER_RUNNING);
    assert_int_equal(view(&w, 2).restarts, 0);
    assert_false(view(&w, 2).last_exit.any);
    supervisor_free(w.sup);
}

static void a_worker_that_cannot_be_started_is_tried_again(void **state)
{
    struct world w;

    setup(&w, 2);
    w.start_fails[0] = true;
    supervisor_start(w.sup, w.now_ms);
    expect_log(&w, "start0 ");
    expect_state(&w, 0, WORKER_BACKOFF);
    expect_last_exit(&w, 0, "StartFailed", 0, 0);
    assert_string_equal(view(&w, 0).last_exit.message, "no such program");
    assert_int_equal(view(&w, 0).pid, 0);
    w.start_fails[0] = false;
    pass_ms(&w, 100);
    expect_log(&w, "start0 ");
    ready(&w, 0);
    expect_log(&w, "start1 ");
    assert_int_equal(view(&w, 0).restarts, 1);
    supervisor_free(w.sup);
}

static void at_most_sixteen_workers(void **state)
{
    struct world w;
    unsigned index;

    setup(&w, 0);
    for (unsigned i = 0; i < SUPERVISOR_MAX_WORKERS; i++)
        assert_int_equal(supervisor_add(w.sup, "w", &index), ST_OK);
    assert_int_equal(supervisor_add(w.sup, "w", &index), ST_FULL);
    supervisor_free(w.sup);
}

/* ---- what ends a running worker, and what is remembered of it ------------------------------ */

enum fault {
    EXIT_1,
    EXIT_0,
    SIGNAL_9,
    SILENT,
    NOTICE_THEN_EXIT,
    NOTICE_AND_STAYS,
    LOST_THEN_SIGNAL,
    LOST_AND_STAYS,
    LOST_THEN_NOTICE
};

static const struct fault_row {
    const char *name;
    enum fault fault;
    const char *log; /* before the exit */
    const char *reason;
    int64_t code;
    int signal;
} fault_rows[] = {
    { "exits with 1", EXIT_1, "", "Exited", 1, 0 },
    { "exits with 0 unasked", EXIT_0, "", "Exited", 0, 0 },
    { "is killed", SIGNAL_9, "", "Killed", 0, 9 },
    { "is silent", SILENT, "kill0 ", "HeartbeatMissed", 0, 9 },
    { "announces its end", NOTICE_THEN_EXIT, "", "ListenFailed", 3, 0 },
    { "announces its end and stays", NOTICE_AND_STAYS, "kill0 ", "ListenFailed", 0, 9 },
    { "channel closes as it dies", LOST_THEN_SIGNAL, "", "Killed", 0, 11 },
    { "channel closes and it stays", LOST_AND_STAYS, "kill0 ", "ChannelLost", 0, 9 },
    { "channel closes, then a reason", LOST_THEN_NOTICE, "", "Malformed", 0, 0 },
};

static void commit_fault(struct world *w, enum fault fault)
{
    switch (fault) {
    case EXIT_1:
    case EXIT_0:
    case SIGNAL_9: break;
    case SILENT: pass_ms(w, 5000); break;
    case NOTICE_THEN_EXIT:
        supervisor_on_notice(w->sup, 0, "ListenFailed", "port taken", w->now_ms);
        pass_ms(w, 200);
        break;
    case NOTICE_AND_STAYS:
        supervisor_on_notice(w->sup, 0, "ListenFailed", "port taken", w->now_ms);
        pass_ms(w, 300);
        break;
    case LOST_THEN_SIGNAL: supervisor_on_lost(w->sup, 0, w->now_ms); break;
    case LOST_AND_STAYS:
        supervisor_on_lost(w->sup, 0, w->now_ms);
        pass_ms(w, 300);
        break;
    case LOST_THEN_NOTICE:
        supervisor_on_lost(w->sup, 0, w->now_ms);
        supervisor_on_notice(w->sup, 0, "Malformed", "not a message", w->now_ms);
        break;
    }
}

static void every_failure_leads_to_a_restart_and_is_remembered(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(fault_rows); i++) {
        const struct fault_row *row = &fault_rows[i];
        struct world w;

        print_message("row: %s\n", row->name);
        all_running(&w, 1);
        commit_fault(&w, row->fault);
        expect_log(&w, row->log);
        exits(&w, 0, row->code, row->signal);
        expect_state(&w, 0, WORKER_BACKOFF);
        expect_last_exit(&w, 0, row->reason, row->code, row->signal);
        assert_int_equal(view(&w, 0).pid, 0);
        pass_ms(&w, 100);
        expect_log(&w, "start0 ");
        ready(&w, 0);
        expect_state(&w, 0, WORKER_RUNNING);
        assert_int_equal(view(&w, 0).restarts, 1);
        expect_last_exit(&w, 0, row->reason, row->code, row->signal);
        supervisor_free(w.sup);
    }
}

static void a_worker_that_is_never_ready_is_killed_at_its_deadline(void **state)
{
    struct world w;

    setup(&w, 1);
    supervisor_start(w.sup, w.now_ms);
    pass_ms(&w, 9999);
    supervisor_on_heartbeat(w.sup, 0, w.now_ms);
    expect_log(&w, "start0 ");
    pass_ms(&w, 1);
    expect_log(&w, "kill0 ");
    expect_state(&w, 0, WORKER_DRAINING);
    exits(&w, 0, 0, 9);
    expect_last_exit(&w, 0, "StartTimeout", 0, 9);
    supervisor_free(w.sup);
}

static void heartbeats_keep_a_worker_alive(void **state)
{
    struct world w;

    all_running(&w, 1);
    stay_healthy_ms(&w, 0, 120000);
    expect_log(&w, "");
    pass_ms(&w, 4999);
    expect_log(&w, "");
    pass_ms(&w, 1);
    expect_log(&w, "kill0 ");
    supervisor_free(w.sup);
}

static void a_worker_is_not_blamed_when_the_controller_itself_slept(void **state)
{
    struct world w;

    all_running(&w, 1);
    w.now_ms += 8 * 3600 * 1000;
    assert_true(supervisor_tick(w.sup, w.now_ms) > w.now_ms);
    expect_log(&w, "");
    expect_state(&w, 0, WORKER_RUNNING);
    pass_ms(&w, 5000);
    expect_log(&w, "kill0 ");
    supervisor_free(w.sup);
}

static void events_of_a_process_that_is_gone_change_nothing(void **state)
{
    struct world w;

    all_running(&w, 1);
    exits(&w, 0, 1, 0);
    supervisor_on_ready(w.sup, 0, w.now_ms);
    supervisor_on_heartbeat(w.sup, 0, w.now_ms);
    supervisor_on_notice(w.sup, 0, "Late", "too late", w.now_ms);
    supervisor_on_lost(w.sup, 0, w.now_ms);
    supervisor_on_started(w.sup, 0, 77, w.now_ms);
    supervisor_on_exit(w.sup, 0, 2, 0, w.now_ms);
    expect_state(&w, 0, WORKER_BACKOFF);
    expect_last_exit(&w, 0, "Exited", 1, 0);
    assert_int_equal(view(&w, 0).pid, 0);
    supervisor_free(w.sup);
}

/* ---- rest_for_one ------------------------------------------------------------------------- */

static void later_workers_go_down_with_an_earlier_one_and_come_back_in_order(void **state)
{
    struct world w;

    all_running(&w, 3);
    exits(&w, 1, 1, 0);
    expect_log(&w, "drain2 ");
    expect_state(&w, 0, WORKER_RUNNING);
    expect_state(&w, 2, WORKER_DRAINING);
    exits(&w, 2, 0, 0);
    expect_state(&w, 2, WORKER_STOPPED);
    expect_last_exit(&w, 2, "Stopped", 0, 0);
    pass_ms(&w, 100);
    expect_log(&w, "start1 ");
    ready(&w, 1);
    expect_log(&w, "start2 ");
    supervisor_free(w.sup);
}

static void a_failed_worker_does_not_wait_for_the_drain_of_later_ones(void **state)
{
    struct world w;

    all_running(&w, 2);
    exits(&w, 0, 1, 0);
    pass_ms(&w, 100);
    expect_log(&w, "drain1 start0 ");
    ready(&w, 0);
    expect_log(&w, "");
    pass_ms(&w, 4900);
    expect_log(&w, "kill1 ");
    exits(&w, 1, 0, 9);
    expect_last_exit(&w, 1, "DrainTimeout", 0, 9);
    expect_log(&w, "start1 ");
    supervisor_free(w.sup);
}

static void later_workers_go_down_as_soon_as_an_earlier_one_is_doomed(void **state)
{
    struct world w;

    all_running(&w, 3);
    supervisor_on_notice(w.sup, 0, "Broken", "cannot go on", w.now_ms);
    expect_log(&w, "drain2 drain1 ");
    supervisor_free(w.sup);
}

static void a_worker_that_is_starting_is_killed_when_an_earlier_one_fails(void **state)
{
    struct world w;

    setup(&w, 2);
    supervisor_start(w.sup, w.now_ms);
    ready(&w, 0);
    exits(&w, 0, 1, 0);
    expect_log(&w, "start0 start1 kill1 ");
    exits(&w, 1, 0, 9);
    expect_state(&w, 1, WORKER_STOPPED);
    expect_last_exit(&w, 1, "Stopped", 0, 9);
    supervisor_free(w.sup);
}

/* ---- back-off and crash loop --------------------------------------------------------------- */

static void the_back_off_doubles_from_a_tenth_of_a_second_to_ten(void **state)
{
    static const uint64_t want_ms[] = {
        99, 199, 399, 799, 1599, 3199, 6399, 9999, 9999, 9999, 9999
    };
    struct world w;

    all_running(&w, 1);
    for (size_t i = 0; i < ARRAY_SIZE(want_ms); i++) {
        exits(&w, 0, 1, 0);
        assert_int_equal(view(&w, 0).next_start_ms - w.now_ms, want_ms[i]);
        pass_ms(&w, want_ms[i]);
        expect_log(&w, i == 9 ? "escalate0 start0 " : "start0 ");
        ready(&w, 0);
    }
    supervisor_free(w.sup);
}

static void the_back_off_is_jittered_over_its_whole_range(void **state)
{
    static const struct {
        uint32_t random;
        uint64_t want_ms;
    } rows[] = { { 0, 1 }, { UINT32_MAX / 4, 24 }, { UINT32_MAX / 2, 49 }, { UINT32_MAX, 99 } };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct world w;

        all_running(&w, 1);
        w.random = rows[i].random;
        exits(&w, 0, 1, 0);
        assert_int_equal(view(&w, 0).next_start_ms - w.now_ms, rows[i].want_ms);
        supervisor_free(w.sup);
    }
}

static void thirty_seconds_of_running_reset_the_back_off(void **state)
{
    struct world w;

    all_running(&w, 1);
    for (int i = 0; i < 5; i++) {
        exits(&w, 0, 1, 0);
        pass_ms(&w, 10000);
        ready(&w, 0);
    }
    stay_healthy_ms(&w, 0, 29000);
    exits(&w, 0, 1, 0);
    assert_int_equal(view(&w, 0).next_start_ms - w.now_ms, 3199);
    pass_ms(&w, 10000);
    ready(&w, 0);
    stay_healthy_ms(&w, 0, 30000);
    exits(&w, 0, 1, 0);
    assert_int_equal(view(&w, 0).next_start_ms - w.now_ms, 99);
    supervisor_free(w.sup);
}

static void fail_and_restart(struct world *w, uint64_t wait_ms)
{
    exits(w, 0, 1, 0);
    pass_ms(w, wait_ms);
    ready(w, 0);
}

static void ten_restarts_in_a_minute_are_a_crash_loop_until_it_is_stable(void **state)
{
    struct world w;

    all_running(&w, 1);
    w.random = 0;
    for (int i = 0; i < 9; i++)
        fail_and_restart(&w, 10);
    assert_false(view(&w, 0).crash_loop);
    fail_and_restart(&w, 10);
    assert_true(view(&w, 0).crash_loop);
    stay_healthy_ms(&w, 0, 29000);
    assert_true(view(&w, 0).crash_loop);
    stay_healthy_ms(&w, 0, 2000);
    assert_false(view(&w, 0).crash_loop);
    assert_int_equal(view(&w, 0).restarts, 10);
    expect_state(&w, 0, WORKER_RUNNING);
    supervisor_free(w.sup);
}

static void a_crash_loop_escalates_once_a_minute_before_a_start(void **state)
{
    struct world w;

    all_running(&w, 1);
    w.random = 0;
    for (int i = 0; i < 9; i++)
        fail_and_restart(&w, 10);
    assert_null(strstr(w.log, "escalate0 "));
    w.log[0] = '\0';
    fail_and_restart(&w, 10);
    expect_log(&w, "escalate0 start0 ");
    for (int i = 0; i < 7; i++) {
        fail_and_restart(&w, 9000);
        expect_log(&w, "start0 ");
    }
    fail_and_restart(&w, 9000);
    expect_log(&w, "escalate0 start0 "); /* a minute later it still ends */
    supervisor_free(w.sup);
}

static void a_new_crash_loop_escalates_at_once(void **state)
{
    struct world w;

    all_running(&w, 1);
    w.random = 0;
    for (int i = 0; i < 10; i++)
        fail_and_restart(&w, 10);
    stay_healthy_ms(&w, 0, 31000);
    assert_false(view(&w, 0).crash_loop);
    w.log[0] = '\0';
    for (int i = 0; i < 9; i++)
        fail_and_restart(&w, 10);
    w.log[0] = '\0';
    fail_and_restart(&w, 10);
    expect_log(&w, "escalate0 start0 ");
    supervisor_free(w.sup);
}

static void ten_restarts_in_more_than_a_minute_are_none(void **state)
{
    struct world w;

    all_running(&w, 1);
    w.random = 0;
    for (int i = 0; i < 30; i++) {
        exits(&w, 0, 1, 0);
        pass_ms(&w, 10);
        ready(&w, 0);
        stay_healthy_ms(&w, 0, 7000);
        assert_false(view(&w, 0).crash_loop);
    }
    supervisor_free(w.sup);
}

static void it_never_gives_up(void **state)
{
    struct world w;

    setup(&w, 1);
    w.start_fails[0] = true;
    supervisor_start(w.sup, w.now_ms);
    for (unsigned i = 1; i < 1000; i++) {
        w.log[0] = '\0';
        pass_ms(&w, 10000);
        expect_state(&w, 0, WORKER_BACKOFF);
        assert_true(view(&w, 0).restarts >= i);
    }
    assert_true(view(&w, 0).crash_loop);
    w.start_fails[0] = false;
    pass_ms(&w, 10000);
    expect_state(&w, 0, WORKER_STARTING);
    supervisor_free(w.sup);
}

/* ---- stopping ----------------------------------------------------------------------------- */

static void stop_drains_in_reverse_order_one_after_the_other(void **state)
{
    struct world w;

    all_running(&w, 3);
    assert_false(supervisor_is_stopped(w.sup));
    supervisor_stop(w.sup, w.now_ms);
    expect_log(&w, "drain2 ");
    exits(&w, 2, 0, 0);
    expect_log(&w, "drain1 ");
    exits(&w, 1, 0, 0);
    expect_log(&w, "drain0 ");
    assert_false(supervisor_is_stopped(w.sup));
    exits(&w, 0, 0, 0);
    assert_true(supervisor_is_stopped(w.sup));
    assert_true(supervisor_tick(w.sup, w.now_ms) == UINT64_MAX);
    supervisor_free(w.sup);
}

static void a_drain_that_takes_too_long_becomes_a_kill(void **state)
{
    struct world w;

    all_running(&w, 1);
    supervisor_stop(w.sup, w.now_ms);
    pass_ms(&w, 4999);
    expect_log(&w, "drain0 ");
    pass_ms(&w, 1);
    expect_log(&w, "kill0 ");
    pass_ms(&w, 60000);
    expect_log(&w, "");
    exits(&w, 0, 0, 9);
    expect_last_exit(&w, 0, "DrainTimeout", 0, 9);
    assert_true(supervisor_is_stopped(w.sup));
    supervisor_free(w.sup);
}

static void a_crash_while_draining_is_remembered_and_not_restarted(void **state)
{
    struct world w;

    all_running(&w, 1);
    supervisor_stop(w.sup, w.now_ms);
    exits(&w, 0, 0, 11);
    expect_last_exit(&w, 0, "Killed", 0, 11);
    pass_ms(&w, 60000);
    expect_log(&w, "drain0 ");
    assert_true(supervisor_is_stopped(w.sup));
    supervisor_free(w.sup);
}

static void stop_during_back_off_is_immediate(void **state)
{
    struct world w;

    all_running(&w, 1);
    exits(&w, 0, 1, 0);
    supervisor_stop(w.sup, w.now_ms);
    assert_true(supervisor_is_stopped(w.sup));
    pass_ms(&w, 60000);
    expect_log(&w, "");
    supervisor_free(w.sup);
}

static void stop_kills_a_worker_that_is_not_ready_yet(void **state)
{
    struct world w;

    setup(&w, 2);
    supervisor_start(w.sup, w.now_ms);
    supervisor_stop(w.sup, w.now_ms);
    expect_log(&w, "start0 kill0 ");
    supervisor_on_ready(w.sup, 0, w.now_ms);
    expect_state(&w, 0, WORKER_DRAINING);
    exits(&w, 0, 0, 9);
    assert_true(supervisor_is_stopped(w.sup));
    supervisor_free(w.sup);
}

static void a_failure_while_others_drain_is_not_restarted(void **state)
{
    struct world w;

    all_running(&w, 3);
    supervisor_stop(w.sup, w.now_ms);
    exits(&w, 0, 1, 0);
    expect_log(&w, "drain2 drain1 ");
    exits(&w, 1, 0, 0);
    exits(&w, 2, 0, 0);
    assert_true(supervisor_is_stopped(w.sup));
    pass_ms(&w, 60000);
    expect_log(&w, "");
    supervisor_free(w.sup);
}

static void start_during_a_stop_brings_all_back_in_order(void **state)
{
    struct world w;

    all_running(&w, 2);
    supervisor_stop(w.sup, w.now_ms);
    supervisor_start(w.sup, w.now_ms);
    expect_log(&w, "drain1 ");
    exits(&w, 1, 0, 0);
    expect_log(&w, "start1 ");
    expect_state(&w, 0, WORKER_RUNNING);
    supervisor_free(w.sup);
}

static void every_state_change_is_told(void **state)
{
    struct world w;
    unsigned before;

    all_running(&w, 1);
    before = w.changes;
    supervisor_on_heartbeat(w.sup, 0, w.now_ms);
    assert_int_equal(w.changes, before);
    exits(&w, 0, 1, 0);
    assert_true(w.changes > before);
    before = w.changes;
    pass_ms(&w, 100);
    assert_true(w.changes > before);
    supervisor_free(w.sup);
}

/* ---- restarts that are asked for ---------------------------------------------------------- */

static void a_restart_drains_and_starts_that_worker_and_those_after_it(void **state)
{
    struct world w;

    all_running(&w, 3);
    supervisor_restart(w.sup, 1, w.now_ms);
    expect_log(&w, "drain2 drain1 ");
    exits(&w, 1, 0, 0);
    expect_log(&w, "start1 ");
    exits(&w, 2, 0, 0);
    expect_log(&w, "");
    ready(&w, 1);
    expect_log(&w, "start2 ");
    ready(&w, 2);
    expect_state(&w, 0, WORKER_RUNNING);
    assert_int_equal(view(&w, 0).restarts, 0);
    assert_int_equal(view(&w, 1).restarts, 1);
    expect_last_exit(&w, 1, "Stopped", 0, 0);
    supervisor_free(w.sup);
}

static void a_restart_that_is_asked_for_is_no_failure(void **state)
{
    struct world w;

    all_running(&w, 1);
    for (unsigned i = 0; i < 12; i++) {
        supervisor_restart(w.sup, 0, w.now_ms);
        exits(&w, 0, 0, 0);
        expect_log(&w, "drain0 start0 "); /* at once: there is no back-off */
        ready(&w, 0);
    }
    assert_false(view(&w, 0).crash_loop);
    assert_int_equal(view(&w, 0).restarts, 12);
    supervisor_free(w.sup);
}

static void a_restart_ends_the_back_off(void **state)
{
    struct world w;

    all_running(&w, 1);
    for (unsigned i = 0; i < 6; i++) {
        exits(&w, 0, 1, 0);
        pass_ms(&w, 10000);
    }
    w.log[0] = '\0';
    exits(&w, 0, 1, 0);
    expect_state(&w, 0, WORKER_BACKOFF);
    supervisor_restart(w.sup, 0, w.now_ms);
    expect_log(&w, "start0 ");
    supervisor_free(w.sup);
}

static void a_restart_waits_for_a_worker_that_is_on_its_way_out(void **state)
{
    struct world w;

    all_running(&w, 1);
    supervisor_restart(w.sup, 0, w.now_ms);
    supervisor_restart(w.sup, 0, w.now_ms);
    expect_log(&w, "drain0 ");
    pass_ms(&w, 5000);
    expect_log(&w, "kill0 ");
    exits(&w, 0, 0, 9);
    expect_log(&w, "start0 ");
    supervisor_free(w.sup);
}

static void nothing_is_restarted_while_stopping(void **state)
{
    struct world w;

    all_running(&w, 1);
    supervisor_stop(w.sup, w.now_ms);
    supervisor_restart(w.sup, 0, w.now_ms);
    exits(&w, 0, 0, 0);
    expect_log(&w, "drain0 ");
    supervisor_restart(w.sup, 0, w.now_ms);
    expect_log(&w, "");
    assert_true(supervisor_is_stopped(w.sup));
    supervisor_free(w.sup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_start_one_after_the_other_as_each_gets_ready),
        cmocka_unit_test(a_worker_that_cannot_be_started_is_tried_again),
        cmocka_unit_test(at_most_sixteen_workers),
        cmocka_unit_test(every_failure_leads_to_a_restart_and_is_remembered),
        cmocka_unit_test(a_worker_that_is_never_ready_is_killed_at_its_deadline),
        cmocka_unit_test(heartbeats_keep_a_worker_alive),
        cmocka_unit_test(a_worker_is_not_blamed_when_the_controller_itself_slept),
        cmocka_unit_test(events_of_a_process_that_is_gone_change_nothing),
        cmocka_unit_test(later_workers_go_down_with_an_earlier_one_and_come_back_in_order),
        cmocka_unit_test(a_failed_worker_does_not_wait_for_the_drain_of_later_ones),
        cmocka_unit_test(later_workers_go_down_as_soon_as_an_earlier_one_is_doomed),
        cmocka_unit_test(a_worker_that_is_starting_is_killed_when_an_earlier_one_fails),
        cmocka_unit_test(the_back_off_doubles_from_a_tenth_of_a_second_to_ten),
        cmocka_unit_test(the_back_off_is_jittered_over_its_whole_range),
        cmocka_unit_test(thirty_seconds_of_running_reset_the_back_off),
        cmocka_unit_test(ten_restarts_in_a_minute_are_a_crash_loop_until_it_is_stable),
        cmocka_unit_test(a_crash_loop_escalates_once_a_minute_before_a_start),
        cmocka_unit_test(a_new_crash_loop_escalates_at_once),
        cmocka_unit_test(ten_restarts_in_more_than_a_minute_are_none),
        cmocka_unit_test(it_never_gives_up),
        cmocka_unit_test(stop_drains_in_reverse_order_one_after_the_other),
        cmocka_unit_test(a_drain_that_takes_too_long_becomes_a_kill),
        cmocka_unit_test(a_crash_while_draining_is_remembered_and_not_restarted),
        cmocka_unit_test(stop_during_back_off_is_immediate),
        cmocka_unit_test(stop_kills_a_worker_that_is_not_ready_yet),
        cmocka_unit_test(a_failure_while_others_drain_is_not_restarted),
        cmocka_unit_test(start_during_a_stop_brings_all_back_in_order),
        cmocka_unit_test(every_state_change_is_told),
        cmocka_unit_test(a_restart_drains_and_starts_that_worker_and_those_after_it),
        cmocka_unit_test(a_restart_that_is_asked_for_is_no_failure),
        cmocka_unit_test(a_restart_ends_the_back_off),
        cmocka_unit_test(a_restart_waits_for_a_worker_that_is_on_its_way_out),
        cmocka_unit_test(nothing_is_restarted_while_stopping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
