/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "status/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct snapshot_clock clock_zero = { .set = true };

static int setup(void **state)
{
    struct snapshot *s = malloc(sizeof *s);

    assert_non_null(s);
    snapshot_init(s, "rdlinkd", "0.1.0", 42, 1000);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static struct snapshot_component *add_worker(struct snapshot *s, enum worker_state state)
{
    struct worker_view v = { .name = "docker", .state = state, .pid = 7 };

    return snapshot_add_worker(s, &v, &clock_zero);
}

static struct snapshot_instance *add_session(struct snapshot *s, enum guest_generation generation)
{
    struct session_view *v = calloc(1, sizeof *v);
    struct snapshot_instance *i;

    assert_non_null(v);
    snprintf(v->vm_id, sizeof v->vm_id, "dev");
    v->generation = generation;
    i = snapshot_add_session(s, v, &clock_zero);
    free(v);
    return i;
}

static struct snapshot_endpoint *add_endpoint(struct snapshot *s,
                                              enum snapshot_endpoint_state state)
{
    return snapshot_add_endpoint(s, "docker", state, "unix:/run/docker.sock",
                                 state == SNAPSHOT_ENDPOINT_FALLBACK ? "unix:/run/rdl.sock" : "",
                                 1000);
}

/* All is well: the state that each row of the verdict table disturbs. */
static struct snapshot_component *make_ready(struct snapshot *s)
{
    struct snapshot_component *c = add_worker(s, WORKER_RUNNING);

    s->source_exists = true;
    add_session(s, GUEST_B);
    add_endpoint(s, SNAPSHOT_ENDPOINT_LISTENING);
    return c;
}

/* ---- clock ----------------------------------------------------------------------------- */

static void clock_prints_the_same_moment_the_same(void **state)
{
    struct snapshot_clock c = { .set = false };

    (void)state;
    snapshot_clock_update(&c, 1000000, 500);
    assert_int_equal(snapshot_clock_wall(&c, 400), 999900);
    snapshot_clock_update(&c, 1000501, 1000); /* one millisecond of jitter */
    assert_int_equal(snapshot_clock_wall(&c, 400), 999900);
}

static void clock_follows_a_jump_of_the_wall_clock(void **state)
{
    struct snapshot_clock c = { .set = false };

    (void)state;
    snapshot_clock_update(&c, 1000000, 500);
    snapshot_clock_update(&c, 900000, 600);
    assert_int_equal(snapshot_clock_wall(&c, 600), 900000);
    snapshot_clock_update(&c, 2000000, 700);
    assert_int_equal(snapshot_clock_wall(&c, 600), 1999900);
}

/* ---- parts ----------------------------------------------------------------------------- */

static void counters_are_bounded_and_replace_by_name(void **state)
{
    struct snapshot_counters c = { .count = 0 };
    char name[16];

    (void)state;
    for (unsigned i = 0; i < HEALTH_MAX_COUNTERS; i++) {
        snprintf(name, sizeof name, "c%u", i);
        assert_true(snapshot_counter_set(&c, name, i));
    }
    assert_false(snapshot_counter_set(&c, "one-too-many", 1));
    assert_true(snapshot_counter_set(&c, "c3", 77));
    assert_int_equal(c.count, HEALTH_MAX_COUNTERS);
    assert_int_equal(c.items[3].value, 77);
}

static void parts_beyond_the_bounds_are_counted(void **state)
{
    struct snapshot *s = *state;

    for (unsigned i = 0; i < SNAPSHOT_MAX_COMPONENTS; i++)
        assert_non_null(add_worker(s, WORKER_RUNNING));
    assert_null(add_worker(s, WORKER_RUNNING));
    for (unsigned i = 0; i < SNAPSHOT_MAX_INSTANCES; i++)
        assert_non_null(add_session(s, GUEST_NONE));
    assert_null(add_session(s, GUEST_NONE));
    for (unsigned i = 0; i < SNAPSHOT_MAX_ENDPOINTS; i++)
        assert_non_null(add_endpoint(s, SNAPSHOT_ENDPOINT_LISTENING));
    assert_null(add_endpoint(s, SNAPSHOT_ENDPOINT_LISTENING));
    assert_int_equal(s->left_out, 3);
}

static void worker_serving_follows_its_process(void **state)
{
    static const struct {
        enum worker_state process;
        uint64_t restarts;
        bool has_exit;
        enum health_state want;
    } rows[] = {
        { WORKER_STARTING, 0, false, HEALTH_UNKNOWN },
        { WORKER_RUNNING, 0, false, HEALTH_SERVING },
        { WORKER_BACKOFF, 0, true, HEALTH_NOT_SERVING },
        { WORKER_STARTING, 1, true, HEALTH_NOT_SERVING },
        { WORKER_RUNNING, 1, true, HEALTH_SERVING },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snapshot *s = *state;
        struct worker_view v = { .name = "docker",
                                 .state = rows[i].process,
                                 .restarts = rows[i].restarts,
                                 .last_exit = { .any = rows[i].has_exit } };
        struct snapshot_component *c = snapshot_add_worker(s, &v, &clock_zero);

        if (c->state != rows[i].want)
            fail_msg("row %u: %s", i, health_state_name(c->state));
    }
}

static void next_start_is_only_there_in_backoff(void **state)
{
    struct worker_view v = { .name = "docker", .state = WORKER_BACKOFF, .next_start_ms = 5000 };

    assert_int_equal(snapshot_add_worker(*state, &v, &clock_zero)->next_start_ms, 5000);
    v.state = WORKER_RUNNING;
    assert_int_equal(snapshot_add_worker(*state, &v, &clock_zero)->next_start_ms, 0);
}

static void report_refines_a_running_worker(void **state)
{
    struct health_report r = { .count = 0 };
    struct health_component *h = health_add(&r, "docker");
    struct snapshot_component *c = add_worker(*state, WORKER_RUNNING);

    h->state = HEALTH_NOT_SERVING;
    health_count(h, "accepted", 9);
    condition_update(&h->conditions, "DockerReachable", COND_FALSE, "NoTarget", 1, "none");
    snapshot_component_health(c, h);
    assert_int_equal(c->state, HEALTH_NOT_SERVING);
    assert_int_equal(c->counters.items[0].value, 9);
    assert_string_equal(c->conditions.items[0].reason, "NoTarget");
}

static void report_of_a_worker_that_is_gone_does_not_make_it_serve(void **state)
{
    struct worker_view v = { .name = "docker", .state = WORKER_BACKOFF, .restarts = 1 };
    struct snapshot_component *c = snapshot_add_worker(*state, &v, &clock_zero);
    struct health_component h = { .state = HEALTH_SERVING };

    snapshot_component_health(c, &h);
    assert_int_equal(c->state, HEALTH_NOT_SERVING);
    snapshot_component_health(c, NULL);
    assert_int_equal(c->state, HEALTH_NOT_SERVING);
}

static void agent_is_copied_only_when_it_reports(void **state)
{
    struct session_view *v = calloc(1, sizeof *v);
    struct snapshot_instance *i;

    assert_non_null(v);
    v->bridge.serving = true;
    v->bridge.pid = 5;
    i = snapshot_add_session(*state, v, &clock_zero);
    assert_false(i->bridge.serving);
    assert_int_equal(i->bridge.pid, 0);
    v->bridge.reports = true;
    i = snapshot_add_session(*state, v, &clock_zero);
    assert_true(i->bridge.serving);
    assert_int_equal(i->bridge.pid, 5);
    assert_false(i->net.reports);
    v->net.reports = true;
    v->net.pid = 6;
    i = snapshot_add_session(*state, v, &clock_zero);
    assert_int_equal(i->net.pid, 6);
    free(v);
}

/* ---- verdict --------------------------------------------------------------------------- */

static void disturb_nothing(struct snapshot *s)
{
    (void)s;
}

static void disturb_stopping(struct snapshot *s)
{
    s->stopping = true;
}

static void disturb_crash_loop(struct snapshot *s)
{
    s->components[0].crash_loop = true;
}

static void disturb_first_start(struct snapshot *s)
{
    s->components[0].process = WORKER_STARTING;
}

static void disturb_restart(struct snapshot *s)
{
    s->components[0].process = WORKER_BACKOFF;
    s->components[0].last_exit.any = true;
}

static void disturb_taken(struct snapshot *s)
{
    s->endpoints[0].state = SNAPSHOT_ENDPOINT_TAKEN;
}

static void disturb_off(struct snapshot *s)
{
    s->endpoints[0].state = SNAPSHOT_ENDPOINT_OFF;
}

static void disturb_fallback(struct snapshot *s)
{
    s->endpoints[0].state = SNAPSHOT_ENDPOINT_FALLBACK;
}

static void disturb_no_vm(struct snapshot *s)
{
    s->instance_count = 0;
}

static void disturb_no_source(struct snapshot *s)
{
    s->instance_count = 0;
    s->source_exists = false;
}

static void disturb_not_serving(struct snapshot *s)
{
    s->components[0].state = HEALTH_NOT_SERVING;
}

static void disturb_silent_guest(struct snapshot *s)
{
    disturb_not_serving(s);
    s->instances[0].generation = GUEST_NONE;
}

/* It answered, and only its link is not there: then what does not serve is docker. */
static void disturb_unlinked_guest(struct snapshot *s)
{
    disturb_silent_guest(s);
    condition_update(&s->instances[0].conditions, "GuestFound", COND_TRUE, "SignatureMatched", 1,
                     "it did");
}

/* docker answers although no handshake came: older guests have nothing else to answer with. */
static void disturb_handshake_only(struct snapshot *s)
{
    s->instances[0].generation = GUEST_NONE;
}

static void verdict_is_the_first_thing_a_person_should_know(void **state)
{
    static const struct {
        void (*disturb)(struct snapshot *s);
        enum snapshot_phase phase;
        const char *reason;
    } rows[] = {
        { disturb_nothing, PHASE_READY, "AllServing" },
        { disturb_stopping, PHASE_STOPPING, "Stopping" },
        { disturb_crash_loop, PHASE_DEGRADED, "ComponentCrashLoop" },
        { disturb_first_start, PHASE_STARTING, "ComponentStarting" },
        { disturb_restart, PHASE_DEGRADED, "ComponentRestarting" },
        { disturb_taken, PHASE_DEGRADED, "EndpointTaken" },
        { disturb_off, PHASE_DEGRADED, "EndpointOff" },
        { disturb_fallback, PHASE_DEGRADED, "EndpointFallback" },
        { disturb_no_vm, PHASE_WAITING, "NoVirtualMachine" },
        { disturb_no_source, PHASE_WAITING, "SourceMissing" },
        { disturb_not_serving, PHASE_DEGRADED, "ComponentNotServing" },
        { disturb_silent_guest, PHASE_WAITING, "GuestNotAnswering" },
        { disturb_unlinked_guest, PHASE_DEGRADED, "ComponentNotServing" },
        { disturb_handshake_only, PHASE_READY, "AllServing" },
    };
    struct snapshot *s = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct condition_set own = { .count = 0 };
        const struct condition *c;

        snapshot_init(s, "rdlinkd", "0.1.0", 42, 1000);
        make_ready(s);
        rows[i].disturb(s);
        assert_true(snapshot_conclude(s, &own, 5000));
        c = condition_find(&s->conditions, "Ready");
        assert_non_null(c);
        if (s->phase != rows[i].phase || strcmp(c->reason, rows[i].reason))
            fail_msg("%s: got %s (%s)", rows[i].reason, c->reason, snapshot_phase_name(s->phase));
        assert_int_equal(s->ready, rows[i].phase == PHASE_READY);
        assert_int_equal(c->status, s->ready ? COND_TRUE : COND_FALSE);
        assert_true(c->message[0] != '\0');
    }
}

static void ready_keeps_its_transition_time(void **state)
{
    struct snapshot *s = *state;
    struct condition_set own = { .count = 0 };

    make_ready(s);
    assert_true(snapshot_conclude(s, &own, 5000));
    assert_false(snapshot_conclude(s, &own, 6000));
    assert_int_equal(condition_find(&s->conditions, "Ready")->last_transition_ms, 5000);
    disturb_no_vm(s);
    assert_true(snapshot_conclude(s, &own, 7000));
    assert_int_equal(condition_find(&s->conditions, "Ready")->last_transition_ms, 7000);
}

static void network_counts_for_a_guest_that_needs_it(void **state)
{
    struct snapshot *s = *state;
    struct condition_set own = { .count = 0 };

    condition_update(&own, "NetworkReady", COND_FALSE, "NoAddress", 1, "the guest has no address");
    make_ready(s);
    snapshot_conclude(s, &own, 5000);
    assert_non_null(condition_find(&s->conditions, "NetworkReady"));
    assert_true(s->ready);
    s->needs_network = true;
    snapshot_conclude(s, &own, 5000);
    assert_false(s->ready);
    assert_string_equal(condition_find(&own, "Ready")->reason, "NetworkNotReady");
    assert_string_equal(condition_find(&own, "Ready")->message,
                        "NoAddress: the guest has no address");
    condition_update(&own, "NetworkReady", COND_TRUE, "GuestOnline", 1, "it has");
    snapshot_conclude(s, &own, 5000);
    assert_true(s->ready);
}

/* Of a guest that nobody uses, or that has just gone: only NetworkReady speaks for switches. */
static void switch_that_is_down_is_not_asked_by_itself(void **state)
{
    const struct worker_view v = { .name = "switch-vm2-A",
                                   .state = WORKER_BACKOFF,
                                   .crash_loop = true,
                                   .restarts = 20,
                                   .last_exit.any = true };
    struct snapshot *s = *state;
    struct condition_set own = { .count = 0 };

    make_ready(s);
    snapshot_add_worker(s, &v, &clock_zero)->is_network = true;
    snapshot_conclude(s, &own, 5000);
    assert_true(s->ready);
}

static void not_serving_names_the_components_own_reason(void **state)
{
    struct snapshot *s = *state;
    struct condition_set own = { .count = 0 };
    struct snapshot_component *c = make_ready(s);

    disturb_not_serving(s);
    condition_update(&c->conditions, "Accepting", COND_TRUE, "Listening", 1, "fine");
    condition_update(&c->conditions, "DockerReachable", COND_FALSE, "ProbeTimeout", 1, "2 s");
    snapshot_conclude(s, &own, 5000);
    assert_string_equal(condition_find(&own, "Ready")->message, "docker: ProbeTimeout: 2 s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_prints_the_same_moment_the_same),
        cmocka_unit_test(clock_follows_a_jump_of_the_wall_clock),
        cmocka_unit_test(counters_are_bounded_and_replace_by_name),
        cmocka_unit_test_setup_teardown(parts_beyond_the_bounds_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(worker_serving_follows_its_process, setup, teardown),
        cmocka_unit_test_setup_teardown(next_start_is_only_there_in_backoff, setup, teardown),
        cmocka_unit_test_setup_teardown(report_refines_a_running_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(report_of_a_worker_that_is_gone_does_not_make_it_serve,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(agent_is_copied_only_when_it_reports, setup, teardown),
        cmocka_unit_test_setup_teardown(verdict_is_the_first_thing_a_person_should_know, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(ready_keeps_its_transition_time, setup, teardown),
        cmocka_unit_test_setup_teardown(network_counts_for_a_guest_that_needs_it, setup, teardown),
        cmocka_unit_test_setup_teardown(switch_that_is_down_is_not_asked_by_itself, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(not_serving_names_the_components_own_reason, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
