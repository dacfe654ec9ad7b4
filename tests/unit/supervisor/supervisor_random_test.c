/* SPDX-License-Identifier: Apache-2.0
 * The supervisor under random events: 10,000 sequences, each of its own seed. After every step the
 * invariants are checked; at the end faults stop and all workers must be running within a bound.
 * A failing sequence prints its seed; `supervisor_random_test SEED` replays that one alone.
 */
#include "base/util.h"
#include "supervisor/supervisor.h"
#include "support/cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEQUENCES = 10000, STEPS = 120, MAX_WORKERS = 4 };

/* 4 workers, each: drained (5 s), back-off (10 s), ready at once; and slack for the steps. */
#define RECOVERY_MS 120000u

struct process {
    bool is_alive, is_draining, is_killed;
};

struct world {
    struct supervisor *sup;
    uint64_t rng;
    uint64_t now_ms, next_ms;
    unsigned workers;
    unsigned start_fail_percent;
    bool is_stopping;
    struct process processes[MAX_WORKERS];
};

static uint64_t replay_seed;

/* splitmix64 */
static uint32_t draw(struct world *w)
{
    uint64_t z = (w->rng += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}

static unsigned below(struct world *w, unsigned n)
{
    return (unsigned)(((uint64_t)draw(w) * n) >> 32);
}

static enum worker_state state_of(struct world *w, unsigned index)
{
    struct worker_view v;

    supervisor_view(w->sup, index, &v);
    return v.state;
}

static enum status op_start(void *ctx, unsigned index, struct errmsg *e)
{
    struct world *w = ctx;

    assert_false(w->is_stopping);
    assert_false(w->processes[index].is_alive);
    for (unsigned i = 0; i < index; i++)
        assert_int_equal(state_of(w, i), WORKER_RUNNING);
    if (below(w, 100) < w->start_fail_percent) {
        errmsg_set(e, "refused by the test");
        return ST_NOFILES;
    }
    w->processes[index] = (struct process){ .is_alive = true };
    supervisor_on_started(w->sup, index, 1 + (int64_t)index, w->now_ms);
    return ST_OK;
}

static void op_drain(void *ctx, unsigned index, uint32_t deadline_ms)
{
    struct world *w = ctx;

    assert_true(w->processes[index].is_alive);
    assert_false(w->processes[index].is_draining);
    w->processes[index].is_draining = true;
}

static void op_kill(void *ctx, unsigned index)
{
    struct world *w = ctx;

    assert_true(w->processes[index].is_alive);
    assert_false(w->processes[index].is_killed);
    w->processes[index].is_killed = true;
}

static void op_changed(void *ctx, unsigned index)
{
    struct world *w = ctx;

    assert_true(index < w->workers);
}

static uint32_t op_random(void *ctx)
{
    return draw(ctx);
}

static int64_t op_wall_ms(void *ctx)
{
    return (int64_t)((struct world *)ctx)->now_ms;
}

static const struct supervisor_ops ops = {
    .start = op_start,
    .drain = op_drain,
    .kill = op_kill,
    .changed = op_changed,
    .random = op_random,
    .wall_ms = op_wall_ms,
};

static void check_invariants(struct world *w)
{
    for (unsigned i = 0; i < w->workers; i++) {
        enum worker_state state = state_of(w, i);
        bool should_live =
            state == WORKER_STARTING || state == WORKER_RUNNING || state == WORKER_DRAINING;

        assert_int_equal(w->processes[i].is_alive, should_live);
        if (state == WORKER_STARTING || state == WORKER_RUNNING)
            for (unsigned k = 0; k < i; k++)
                assert_int_equal(state_of(w, k), WORKER_RUNNING);
    }
    assert_true(w->next_ms > w->now_ms);
}

static void tick(struct world *w)
{
    w->next_ms = supervisor_tick(w->sup, w->now_ms);
    check_invariants(w);
}

static void dies(struct world *w, unsigned index, int64_t code, int signal)
{
    w->processes[index].is_alive = false;
    supervisor_on_exit(w->sup, index, code, signal, w->now_ms);
}

/* Time passes: to the next deadline, a little, or far beyond it (the computer slept). */
static void time_passes(struct world *w)
{
    unsigned kind = below(w, 20);

    if (kind < 10 && w->next_ms != UINT64_MAX)
        w->now_ms = w->next_ms;
    else
        w->now_ms += kind == 19 ? below(w, 10000000) : below(w, 3000);
}

static void random_event(struct world *w)
{
    unsigned i = below(w, w->workers);
    struct process *p = &w->processes[i];

    switch (below(w, 9)) {
    case 0: supervisor_on_ready(w->sup, i, w->now_ms); break;
    case 1: supervisor_on_heartbeat(w->sup, i, w->now_ms); break;
    case 2: supervisor_on_notice(w->sup, i, "Noticed", "by the test", w->now_ms); break;
    case 3: supervisor_on_lost(w->sup, i, w->now_ms); break;
    case 4:
    case 5:
        if (p->is_alive && (p->is_killed || p->is_draining || below(w, 3) == 0))
            dies(w, i, (int64_t)below(w, 3), below(w, 2) ? 9 : 0);
        break;
    case 6:
        w->is_stopping = below(w, 4) == 0;
        if (w->is_stopping)
            supervisor_stop(w->sup, w->now_ms);
        else
            supervisor_start(w->sup, w->now_ms);
        break;
    default: time_passes(w); break;
    }
    tick(w);
}

/* From now on every worker does what it is told, at once. */
static void behave_for_a_step(struct world *w)
{
    for (unsigned i = 0; i < w->workers; i++) {
        struct process *p = &w->processes[i];

        if (p->is_alive && (p->is_killed || p->is_draining))
            dies(w, i, 0, p->is_killed ? 9 : 0);
        else if (p->is_alive && state_of(w, i) == WORKER_STARTING)
            supervisor_on_ready(w->sup, i, w->now_ms);
        supervisor_on_heartbeat(w->sup, i, w->now_ms);
    }
    tick(w);
}

static bool all_run(struct world *w)
{
    for (unsigned i = 0; i < w->workers; i++)
        if (state_of(w, i) != WORKER_RUNNING)
            return false;
    return true;
}

static void expect_recovery(struct world *w)
{
    uint64_t limit_ms = w->now_ms + RECOVERY_MS;

    w->start_fail_percent = 0;
    w->is_stopping = false;
    supervisor_start(w->sup, w->now_ms);
    tick(w);
    while (!all_run(w)) {
        assert_true(w->now_ms < limit_ms);
        w->now_ms = MIN(w->next_ms, w->now_ms + 1000);
        behave_for_a_step(w);
    }
}

static void expect_stop(struct world *w)
{
    uint64_t limit_ms = w->now_ms + RECOVERY_MS;

    w->is_stopping = true;
    supervisor_stop(w->sup, w->now_ms);
    tick(w);
    while (!supervisor_is_stopped(w->sup)) {
        assert_true(w->now_ms < limit_ms);
        behave_for_a_step(w);
        w->now_ms++;
    }
    for (unsigned i = 0; i < w->workers; i++)
        assert_false(w->processes[i].is_alive);
}

static void run_sequence(uint64_t seed)
{
    const struct supervisor_config defaults = { 0 };
    struct world w = { .rng = seed, .now_ms = 1 };

    w.workers = 1 + below(&w, MAX_WORKERS);
    w.start_fail_percent = below(&w, 60);
    assert_int_equal(supervisor_new(&w.sup, &defaults, &ops, &w), ST_OK);
    for (unsigned i = 0; i < w.workers; i++) {
        unsigned index;

        assert_int_equal(supervisor_add(w.sup, "worker", &index), ST_OK);
    }
    supervisor_start(w.sup, w.now_ms);
    tick(&w);
    for (int step = 0; step < STEPS; step++)
        random_event(&w);
    expect_recovery(&w);
    expect_stop(&w);
    supervisor_free(w.sup);
}

/* cmocka leaves a failed assertion by longjmp, so the seed must be on the screen before. */
static void random_sequences_keep_the_invariants(void **state)
{
    if (replay_seed) {
        run_sequence(replay_seed);
        return;
    }
    for (uint64_t seed = 1; seed <= SEQUENCES; seed++) {
        *(uint64_t *)*state = seed;
        run_sequence(seed);
    }
}

static int print_seed(void **state)
{
    uint64_t seed = *(uint64_t *)*state;

    if (seed < SEQUENCES)
        print_message("failed: replay with `supervisor_random_test %" PRIu64 "`\n", seed);
    else
        print_message("seeds 1 to %d\n", SEQUENCES);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t seed = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(random_sequences_keep_the_invariants, NULL,
                                                 print_seed, &seed),
    };

    if (argc > 1)
        replay_seed = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
