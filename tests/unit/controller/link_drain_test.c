/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/link_drain.h"

#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"

#include <string.h>

struct fixture {
    struct sim *sim;
    struct link_drain *drain;
    unsigned activity, ends;
    enum status why;
};

static void on_activity(void *ctx, const char *vm_id, enum guest_generation generation)
{
    ((struct fixture *)ctx)->activity++;
}

static void on_end(void *ctx, const char *vm_id, enum guest_generation generation, enum status why)
{
    struct fixture *f = ctx;

    assert_string_equal(vm_id, "vm1");
    assert_int_equal(generation, GUEST_A);
    f->ends++;
    f->why = why;
}

static const struct link_drain_ops ops = { .on_activity = on_activity, .on_end = on_end };

static void start(struct fixture *f)
{
    *f = (struct fixture){ .sim = sim_new() };
    assert_int_equal(link_drain_new(&f->drain, &ops, f), ST_OK);
}

static struct sim_peer *add(struct fixture *f)
{
    struct stream *s;
    struct sim_peer *p = sim_stream(f->sim, &s);

    link_drain_add(f->drain, "vm1", GUEST_A, s);
    return p;
}

static void stop(struct fixture *f)
{
    link_drain_free(f->drain);
    sim_free(f->sim);
}

static void frames_are_counted_and_the_end_is_told(void **state)
{
    struct fixture f;
    struct sim_peer *p;

    start(&f);
    p = add(&f);
    sim_peer_send_text(p, "0123456789");
    sim_run(f.sim);
    assert_int_equal(link_drain_bytes(f.drain), 10);
    assert_int_equal(f.activity, 1);
    sim_peer_end(p);
    sim_run(f.sim);
    assert_int_equal(f.ends, 1);
    assert_int_equal(f.why, ST_EOF);
    assert_true(sim_peer_is_closed(p));
    assert_int_equal(link_drain_count(f.drain), 0);
    stop(&f);
}

static void a_newer_link_replaces_the_older_silently(void **state)
{
    struct fixture f;
    struct sim_peer *older, *newer;

    start(&f);
    older = add(&f);
    newer = add(&f);
    assert_true(sim_peer_is_closed(older));
    assert_false(sim_peer_is_closed(newer));
    assert_int_equal(f.ends, 0);
    assert_int_equal(link_drain_count(f.drain), 1);
    sim_peer_reset(newer, ST_RESET);
    sim_run(f.sim);
    assert_int_equal(f.why, ST_RESET);
    stop(&f);
}

static void freeing_closes_what_is_held(void **state)
{
    struct fixture f;

    start(&f);
    (void)add(&f);
    stop(&f); /* sim_free() insists that nothing is open */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_counted_and_the_end_is_told),
        cmocka_unit_test(a_newer_link_replaces_the_older_silently),
        cmocka_unit_test(freeing_closes_what_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
