/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "port/loop.h"
#include "port/sys.h"
#include "port/uv/loop_uv.h"
#include "support/cmocka_all.h"

#include <string.h>
#include <uv.h>

/* ---- the pure part, on a clock of our own ---------------------------------------------- */

struct fake_loop {
    struct loop base;
    uint64_t now;
    uint64_t armed;
    char order[32];
};

static struct fake_loop fake;

static uint64_t fake_now(struct loop *loop)
{
    return fake.now;
}

static void fake_arm(struct loop *loop, uint64_t due_ms)
{
    fake.armed = due_ms;
}

static const struct loop_ops fake_ops = { .now_ms = fake_now, .arm = fake_arm };

struct named_timer {
    struct timer timer;
    char name;
    struct named_timer *start, *stop; /* what it does to others when it fires */
};

static void named_fire(void *ctx)
{
    struct named_timer *t = ctx;
    size_t len = strlen(fake.order);

    assert_true(len + 1 < sizeof fake.order);
    fake.order[len] = t->name;
    if (t->start)
        timer_start(&t->start->timer, 0);
    if (t->stop)
        timer_stop(&t->stop->timer);
}

static struct named_timer timers[4];

static int fake_setup(void **state)
{
    memset(&fake, 0, sizeof fake);
    fake.now = 1000;
    fake.armed = UINT64_MAX;
    loop_init(&fake.base, &fake_ops);
    memset(timers, 0, sizeof timers);
    for (unsigned i = 0; i < ARRAY_SIZE(timers); i++) {
        timers[i].name = (char)('a' + i);
        timer_init(&timers[i].timer, &fake.base, named_fire, &timers[i]);
    }
    return 0;
}

static void run_at(uint64_t now)
{
    fake.now = now;
    loop_run_timers(&fake.base);
}

static void timers_fire_by_due_time_and_then_by_start(void **state)
{
    timer_start(&timers[0].timer, 30);
    timer_start(&timers[1].timer, 10);
    timer_start(&timers[2].timer, 20);
    timer_start(&timers[3].timer, 10);
    assert_int_equal(fake.armed, 1010);
    run_at(1009);
    assert_string_equal(fake.order, "");
    run_at(1010);
    assert_string_equal(fake.order, "bd");
    assert_int_equal(fake.armed, 1020);
    run_at(5000);
    assert_string_equal(fake.order, "bdca");
    assert_int_equal(fake.armed, UINT64_MAX);
}

static void a_stopped_timer_does_not_fire(void **state)
{
    timer_start(&timers[0].timer, 10);
    timer_start(&timers[1].timer, 20);
    assert_true(timer_is_running(&timers[0].timer));
    timer_stop(&timers[0].timer);
    assert_false(timer_is_running(&timers[0].timer));
    assert_int_equal(fake.armed, 1020);
    timer_stop(&timers[0].timer);
    run_at(2000);
    assert_string_equal(fake.order, "b");
}

static void starting_a_running_timer_moves_it(void **state)
{
    timer_start(&timers[0].timer, 10);
    timer_start(&timers[1].timer, 20);
    timer_start(&timers[0].timer, 30);
    assert_int_equal(fake.armed, 1020);
    run_at(1020);
    assert_string_equal(fake.order, "b");
    run_at(1030);
    assert_string_equal(fake.order, "ba");
}

static void a_timer_started_while_timers_fire_waits_for_the_next_pass(void **state)
{
    timers[0].start = &timers[0];
    timer_start(&timers[0].timer, 0);
    run_at(1000);
    assert_string_equal(fake.order, "a");
    assert_int_equal(fake.armed, 1000);
    run_at(1000);
    assert_string_equal(fake.order, "aa");
}

static void a_due_timer_stopped_by_an_earlier_one_does_not_fire(void **state)
{
    timers[0].stop = &timers[1];
    timer_start(&timers[0].timer, 5);
    timer_start(&timers[1].timer, 5);
    timer_start(&timers[2].timer, 5);
    run_at(1010);
    assert_string_equal(fake.order, "ac");
    assert_false(timer_is_running(&timers[1].timer));
}

static void a_delay_without_end_does_not_wrap(void **state)
{
    timer_start(&timers[0].timer, UINT64_MAX);
    timer_start(&timers[1].timer, 1);
    assert_int_equal(fake.armed, 1001);
    run_at(UINT64_MAX - 2);
    assert_string_equal(fake.order, "b");
    assert_true(timer_is_running(&timers[0].timer));
}

/* ---- over libuv ------------------------------------------------------------------------ */

struct uv_case {
    struct loop *loop;
    struct timer timer;
    uint64_t fired_ms;
    unsigned count;
};

static void on_uv_timer(void *ctx)
{
    struct uv_case *c = ctx;

    c->count++;
    c->fired_ms = loop_now_ms(c->loop);
}

static void loop_uv_fires_timers_and_ends_when_nothing_is_left(void **state)
{
    struct uv_case c = { 0 };
    struct errmsg e;
    uint64_t start;

    assert_int_equal(loop_uv_new(&c.loop, &e), ST_OK);
    timer_init(&c.timer, c.loop, on_uv_timer, &c);
    start = loop_now_ms(c.loop);
    timer_start(&c.timer, 20);
    assert_int_equal(c.count, 0);
    while (loop_uv_run_once(c.loop))
        ;
    assert_int_equal(c.count, 1);
    assert_true(c.fired_ms >= start + 20);
    timer_start(&c.timer, 1000000);
    timer_stop(&c.timer);
    assert_false(loop_uv_run_once(c.loop));
    loop_uv_free(c.loop);
}

static void stop_it(void *ctx)
{
    loop_uv_stop(ctx);
}

static void loop_uv_run_ends_at_stop(void **state)
{
    struct loop *loop;
    struct timer stop, later;
    struct uv_case c = { 0 };

    assert_int_equal(loop_uv_new(&loop, NULL), ST_OK);
    c.loop = loop;
    timer_init(&later, loop, on_uv_timer, &c);
    timer_init(&stop, loop, stop_it, loop);
    timer_start(&later, 100000);
    timer_start(&stop, 0);
    loop_uv_run(loop);
    assert_int_equal(c.count, 0);
    timer_stop(&later);
    loop_uv_free(loop);
}

struct event_case {
    struct timer timer;
    uv_async_t event;
    unsigned fired;
    bool seen;
};

static void on_event(uv_async_t *event)
{
    struct event_case *c = event->data;

    c->seen = true;
    uv_close((uv_handle_t *)event, NULL);
}

static void fire_again(void *ctx)
{
    struct event_case *c = ctx;

    c->fired++;
    if (!c->seen && c->fired < 1000)
        timer_start(&c->timer, 0);
}

static void a_timer_that_starts_itself_again_does_not_keep_events_from_coming(void **state)
{
    struct event_case c = { .fired = 0 };
    struct loop *loop;

    assert_int_equal(loop_uv_new(&loop, NULL), ST_OK);
    c.event.data = &c;
    assert_int_equal(uv_async_init(loop_uv_handle(loop), &c.event, on_event), 0);
    timer_init(&c.timer, loop, fire_again, &c);
    timer_start(&c.timer, 0);
    uv_async_send(&c.event);
    loop_uv_run(loop);
    assert_true(c.seen);
    assert_true(c.fired < 10);
    loop_uv_free(loop);
}

/* ---- sys ------------------------------------------------------------------------------- */

/* An expectation keeps a loop awake, but neither alive nor away from its work. */
static void a_loop_that_waits_for_what_does_not_come_sleeps_again(void **state)
{
    struct uv_case c = { 0 };

    assert_int_equal(loop_uv_new(&c.loop, NULL), ST_OK);
    timer_init(&c.timer, c.loop, on_uv_timer, &c);
    timer_start(&c.timer, 5);
    loop_expect(c.loop, LOOP_ANSWER);
    loop_expect(c.loop, LOOP_QUESTION);
    loop_uv_run(c.loop);
    assert_int_equal(c.count, 1);
    loop_expect(c.loop, LOOP_ANSWER);
    loop_uv_free(c.loop);
}

static void sys_answers_plausibly(void **state)
{
    uint8_t a[32] = { 0 }, b[32] = { 0 };
    char path[512];
    char tiny[4];

    assert_int_equal(sys_random(a, sizeof a), ST_OK);
    assert_int_equal(sys_random(b, sizeof b), ST_OK);
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(sys_wall_ms() > 1600000000000);
    assert_true(sys_monotonic_ms() > 0);
    assert_true(sys_pid() > 0);
    assert_int_equal(sys_self_path(path, sizeof path), ST_OK);
    assert_non_null(strstr(path, "loop_test"));
    assert_int_not_equal(sys_self_path(tiny, sizeof tiny), ST_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(timers_fire_by_due_time_and_then_by_start, fake_setup),
        cmocka_unit_test_setup(a_stopped_timer_does_not_fire, fake_setup),
        cmocka_unit_test_setup(starting_a_running_timer_moves_it, fake_setup),
        cmocka_unit_test_setup(a_timer_started_while_timers_fire_waits_for_the_next_pass,
                               fake_setup),
        cmocka_unit_test_setup(a_due_timer_stopped_by_an_earlier_one_does_not_fire, fake_setup),
        cmocka_unit_test_setup(a_delay_without_end_does_not_wrap, fake_setup),
        cmocka_unit_test(loop_uv_fires_timers_and_ends_when_nothing_is_left),
        cmocka_unit_test(loop_uv_run_ends_at_stop),
        cmocka_unit_test(a_timer_that_starts_itself_again_does_not_keep_events_from_coming),
        cmocka_unit_test(a_loop_that_waits_for_what_does_not_come_sleeps_again),
        cmocka_unit_test(sys_answers_plausibly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
