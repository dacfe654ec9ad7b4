/* SPDX-License-Identifier: Apache-2.0
 * The one place where two threads meet, so it is built twice: with the sanitizers of the tree, and
 * with ThreadSanitizer. It stands on libuv alone, for no library of the tree fits both.
 */
#include "port/uv/completion_queue.h"

#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <cmocka.h>

enum { THREADS = 3, PER_THREAD = 2000 };

struct fixture {
    uv_loop_t loop;
    struct completion_queue *queue;
    unsigned ran;
};

struct item {
    struct completion completion;
    struct fixture *f;
    unsigned thread, number;
    unsigned payload; /* written by the thread, read on the loop */
};

static unsigned next_number[THREADS];

static void setup(struct fixture *f)
{
    f->ran = 0;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(completion_queue_new(&f->queue, &f->loop), ST_OK);
}

/* Turns the loop until the freed queue is gone. */
static void teardown(struct fixture *f)
{
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void run_until(struct fixture *f, unsigned count)
{
    while (f->ran < count)
        assert_int_not_equal(uv_run(&f->loop, UV_RUN_ONCE), 0);
}

static void count_in_order(struct completion *c)
{
    struct item *it = container_of(c, struct item, completion);
    assert_int_equal(it->number, next_number[it->thread]);
    assert_int_equal(it->payload, it->number * 7);
    next_number[it->thread]++;
    it->f->ran++;
}

static struct item items[THREADS][PER_THREAD];

static void post_all(void *arg)
{
    struct item *mine = arg;
    for (unsigned i = 0; i < PER_THREAD; i++) {
        mine[i].payload = i * 7;
        completion_queue_post(mine[i].f->queue, &mine[i].completion);
    }
}

static void everything_posted_by_several_threads_runs_in_each_threads_order(void **state)
{
    struct fixture f;
    uv_thread_t threads[THREADS];

    setup(&f);
    for (unsigned t = 0; t < THREADS; t++) {
        next_number[t] = 0;
        for (unsigned i = 0; i < PER_THREAD; i++)
            items[t][i] = (struct item){
                .completion.run = count_in_order, .f = &f, .thread = t, .number = i
            };
    }
    for (unsigned t = 0; t < THREADS; t++)
        assert_int_equal(uv_thread_create(&threads[t], post_all, items[t]), 0);
    run_until(&f, THREADS * PER_THREAD);
    for (unsigned t = 0; t < THREADS; t++)
        uv_thread_join(&threads[t]);
    completion_queue_free(f.queue);
    teardown(&f);
}

static void post_again(struct completion *c)
{
    struct item *it = container_of(c, struct item, completion);
    it->f->ran++;
    if (it->number-- > 0)
        completion_queue_post(it->f->queue, c);
}

static void a_completion_may_post_itself_again(void **state)
{
    struct fixture f;
    setup(&f);
    struct item it = { .completion.run = post_again, .f = &f, .number = 5 };
    completion_queue_post(f.queue, &it.completion);
    run_until(&f, 6);
    completion_queue_free(f.queue);
    teardown(&f);
}

static void free_queue(struct completion *c)
{
    struct item *it = container_of(c, struct item, completion);
    it->f->ran++;
    completion_queue_free(it->f->queue);
}

static void must_not_run(struct completion *c)
{
    fail_msg("ran after the queue was freed");
}

static void freeing_from_within_a_completion_drops_what_is_behind_it(void **state)
{
    struct fixture f;
    setup(&f);
    struct item first = { .completion.run = free_queue, .f = &f };
    struct item second = { .completion.run = must_not_run, .f = &f };
    completion_queue_post(f.queue, &first.completion);
    completion_queue_post(f.queue, &second.completion);
    teardown(&f);
    assert_int_equal(f.ran, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_posted_by_several_threads_runs_in_each_threads_order),
        cmocka_unit_test(a_completion_may_post_itself_again),
        cmocka_unit_test(freeing_from_within_a_completion_drops_what_is_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
