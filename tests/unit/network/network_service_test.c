/* SPDX-License-Identifier: Apache-2.0
 * Guests' networks, seen from the controller, with real processes: who gets a worker, what its
 * session is told of it, and what outlives it. The worker is tests/support/test_switch_worker.c,
 * whose script is the machine's name.
 */
#include "network/forward_list.h"
#include "network/network_service.h"

#include "base/log.h"
#include "base/util.h"
#include "port/addr.h"
#include "port/uv/loop_uv.h"
#include "status/snapshot.h"
#include "support/cmocka_all.h"
#include "switch/switch_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_MS = 30000, PULSE_MS = 10, LINGER_MS = 60 };

/* What was told of one machine and generation. */
struct told {
    char vm_id[VM_ID_MAX];
    enum guest_generation generation;
    unsigned ready, not_ready, starts, activity, ends;
    enum status last, end_why;
    char why[256];
};

struct fixture {
    struct loop *loop;
    struct network_service *n;
    struct timer pulse; /* so that a turn of the loop never waits long */
    uint64_t limit_ms;  /* keeps a broken test from waiting for ever */
    struct told told[NETWORK_MAX_WORKERS + 4];
    unsigned told_count, changes, stopped;
    struct snapshot *snapshot;
};

static struct told *told_of(struct fixture *f, const char *vm_id, enum guest_generation generation)
{
    struct told *t = f->told;

    while (t < f->told + f->told_count &&
           (t->generation != generation || strcmp(t->vm_id, vm_id) != 0))
        t++;
    if (t == f->told + f->told_count) {
        assert_true(f->told_count++ < ARRAY_SIZE(f->told));
        snprintf(t->vm_id, sizeof t->vm_id, "%s", vm_id);
        t->generation = generation;
    }
    return t;
}

static void on_change(void *ctx)
{
    ((struct fixture *)ctx)->changes++;
}

static void on_ready(void *ctx, const char *vm_id, enum guest_generation generation, enum status st,
                     const char *why)
{
    struct told *t = told_of(ctx, vm_id, generation);

    if (st == ST_OK)
        t->ready++;
    else
        t->not_ready++;
    t->last = st;
    snprintf(t->why, sizeof t->why, "%s", why);
}

static void on_link_start(void *ctx, const char *vm_id, enum guest_generation generation)
{
    told_of(ctx, vm_id, generation)->starts++;
}

static void on_link_activity(void *ctx, const char *vm_id, enum guest_generation generation)
{
    told_of(ctx, vm_id, generation)->activity++;
}

static void on_link_end(void *ctx, const char *vm_id, enum guest_generation generation,
                        enum status why)
{
    struct told *t = told_of(ctx, vm_id, generation);

    t->ends++;
    t->end_why = why;
}

static void on_stopped(void *ctx)
{
    ((struct fixture *)ctx)->stopped++;
}

static void on_escalate(void *ctx, const char *vm_id)
{
    fail_msg("%s is in a crash loop", vm_id);
}

static const struct network_service_ops ops = {
    on_change, on_ready, on_link_start, on_link_activity, on_link_end, on_escalate, on_stopped,
};

static void on_pulse(void *ctx)
{
    struct fixture *f = ctx;

    timer_start(&f->pulse, PULSE_MS);
}

static const struct switch_options options = {
    .subnet = "10.1.2.0/24",
    .dns_rebind = "warn",
    .api_token_file = "/etc/token",
    .mtu = 1400,
    .no_ip6 = true,
    .deny_lan = true,
    .forwards = { .items = { "127.0.0.1:80=10.1.2.2:80" }, .count = 1 },
    .limits = { .items = { "udp_flows=9" }, .count = 1 },
};

static int set_up(void **state)
{
    const struct network_service_config config = { .program = TEST_SWITCH_WORKER,
                                                   .log_level = "error",
                                                   .page_port = 4000,
                                                   .options = &options,
                                                   .drain_ms = 300,
                                                   .linger_ms = LINGER_MS };
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->snapshot = calloc(1, sizeof *f->snapshot);
    assert_non_null(f->snapshot);
    assert_int_equal(loop_uv_new(&f->loop, NULL), ST_OK);
    f->limit_ms = loop_now_ms(f->loop) + LIMIT_MS;
    timer_init(&f->pulse, f->loop, on_pulse, f);
    timer_start(&f->pulse, PULSE_MS);
    assert_int_equal(network_service_new(&f->n, f->loop, &config, &ops, f), ST_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    timer_stop(&f->pulse);
    network_service_free(f->n);
    loop_uv_free(f->loop);
    free(f->snapshot);
    free(f);
    return 0;
}

#define RUN_UNTIL(f, condition)                                  \
    do {                                                         \
        while (!(condition)) {                                   \
            assert_true(loop_now_ms((f)->loop) < (f)->limit_ms); \
            loop_uv_run_once((f)->loop);                         \
        }                                                        \
    } while (0)

static struct addr machine(const char *vm_id)
{
    struct addr a = { .kind = ADDR_VSOCK_HYBRID, .port = ADDR_PORT_NONE, .fd = -1 };

    snprintf(a.path, sizeof a.path, "/vms/%s.vsock", vm_id);
    return a;
}

static struct told *want(struct fixture *f, const char *vm_id, enum guest_generation generation,
                         uint32_t data_port)
{
    struct addr vm = machine(vm_id);

    network_service_want(f->n, vm_id, &vm, generation, data_port, NULL);
    return told_of(f, vm_id, generation);
}

static struct told *want_a(struct fixture *f, const char *vm_id)
{
    return want(f, vm_id, GUEST_A, 6656);
}

/* The component of that name as a reader sees it now; NULL = there is none. */
static const struct snapshot_component *component(struct fixture *f, const char *name)
{
    struct snapshot_clock clock = { 0 };

    snapshot_init(f->snapshot, "test", "", 1, 1);
    network_service_fill(f->n, f->snapshot, &clock);
    for (unsigned i = 0; i < f->snapshot->component_count; i++)
        if (!strcmp(f->snapshot->components[i].name, name))
            return &f->snapshot->components[i];
    return NULL;
}

static uint64_t counter(struct fixture *f, const char *name, const char *counter_name)
{
    const struct snapshot_component *c = component(f, name);

    for (unsigned i = 0; c && i < c->counters.count; i++)
        if (!strcmp(c->counters.items[i].name, counter_name))
            return c->counters.items[i].value;
    return 0;
}

static const char *reason(struct fixture *f, const char *vm_id)
{
    static struct condition c;

    return network_service_condition(f->n, vm_id, &c) ? c.reason : "none";
}

/* ---- one worker ---------------------------------------------------------------------------- */

static void guest_gets_a_worker_with_the_configuration(void **state)
{
    struct fixture *f = *state;
    struct told *t = want_a(f, "good");
    struct condition c;

    assert_int_equal(t->ready + t->not_ready, 0); /* never from within */
    RUN_UNTIL(f, t->ready == 1);
    assert_int_equal(t->not_ready, 0);
    RUN_UNTIL(f, !strcmp(reason(f, "good"), "NoLink"));
    assert_true(network_service_condition(f->n, "good", &c));
    assert_int_equal(c.status, COND_FALSE);
    assert_string_equal(c.message,
                        "--link stdio:unix:/vms/good.vsock_6656 --subnet 10.1.2.0/24 --mtu 1400 "
                        "--no-ip6 --deny-lan --dns-rebind warn --api-token-file /etc/token "
                        "--page-port 4000 --log-level error "
                        "--forward 127.0.0.1:80=10.1.2.2:80 --limit udp_flows=9");
    assert_true(component(f, "switch-good-A")->is_network);
    assert_int_equal(t->starts, 0);
}

static void plain_vsock_names_the_only_machine_that_may_dial(void **state)
{
    struct fixture *f = *state;
    const struct addr vm = { .kind = ADDR_VSOCK, .cid = 7, .port = ADDR_PORT_NONE, .fd = -1 };
    struct condition c = { .reason = "" };

    network_service_want(f->n, "good", &vm, GUEST_V2, 6658, NULL);
    RUN_UNTIL(f, network_service_condition(f->n, "good", &c) && !strcmp(c.reason, "NoLink"));
    assert_non_null(strstr(c.message, "--link v2:vsock:6658 --peer-cid 7 "));
}

static void wanting_again_is_answered_again(void **state)
{
    struct fixture *f = *state;
    struct told *t = want_a(f, "good");

    RUN_UNTIL(f, t->ready == 1);
    want_a(f, "good");
    RUN_UNTIL(f, t->ready == 2);
    assert_int_equal(component(f, "switch-good-A")->restarts, 0);
}

static void link_and_its_frames_are_told(void **state)
{
    struct fixture *f = *state;
    struct told *t = want_a(f, "linked");

    RUN_UNTIL(f, t->activity >= 2);
    assert_int_equal(t->starts, 1);
    assert_int_equal(t->ends, 0);
    assert_string_equal(reason(f, "linked"), "GuestOnline");
}

static void link_that_replaces_another_is_told(void **state)
{
    struct fixture *f = *state;
    struct told *t = want_a(f, "relinks");

    RUN_UNTIL(f, t->starts >= 2); /* LinkUp has been True all the time */
    assert_int_equal(t->ends, 0);
}

static void link_that_is_lost_is_told(void **state)
{
    struct fixture *f = *state;
    struct told *t = want_a(f, "loses");

    RUN_UNTIL(f, t->ends == 1);
    assert_int_equal(t->starts, 1);
    assert_int_equal(t->end_why, ST_EOF);
    assert_int_equal(t->last, ST_OK); /* it listens on */
}

static void taken_port_is_told_as_such(void **state)
{
    struct fixture *f = *state;
    struct told *t = want_a(f, "taken");

    RUN_UNTIL(f, t->not_ready == 1);
    assert_int_equal(t->last, ST_EXISTS);
    assert_non_null(strstr(t->why, "somebody has it"));
    assert_string_equal(reason(f, "taken"), "SwitchDown");
    RUN_UNTIL(f, component(f, "switch-taken-A")->restarts >= 2); /* tried on, and told once */
    assert_int_equal(t->not_ready, 1);
    assert_int_equal(t->ready, 0);
}

static void program_that_is_not_there_is_a_reason(void **state)
{
    const struct network_service_config config = { .program =
                                                       TEST_SWITCH_WORKER "-that-is-not-there",
                                                   .log_level = "error",
                                                   .options = &options };
    struct fixture *f = *state;
    struct told *t;

    network_service_free(f->n);
    assert_int_equal(network_service_new(&f->n, f->loop, &config, &ops, f), ST_OK);
    t = want_a(f, "good");
    RUN_UNTIL(f, t->not_ready == 1);
    assert_int_equal(t->last, ST_CLOSED);
}

static void address_without_room_for_the_port_is_a_reason(void **state)
{
    struct fixture *f = *state;
    struct addr vm = machine("good");
    struct told *t = told_of(f, "good", GUEST_A);

    memset(vm.path, 'x', sizeof vm.path - 1);
    vm.path[sizeof vm.path - 1] = '\0';
    network_service_want(f->n, "good", &vm, GUEST_A, 6656, NULL);
    RUN_UNTIL(f, t->not_ready == 1);
    assert_int_equal(t->last, ST_INVAL);
    assert_null(component(f, "switch-good-A"));
    want_a(f, "good"); /* at an address that fits */
    RUN_UNTIL(f, t->ready == 1);
}

/* ---- death and what outlives it -------------------------------------------------------------- */

static void worker_that_dies_is_replaced_and_gets_its_forwards_back(void **state)
{
    struct fixture *f = *state;
    struct told *t = want_a(f, "mortal");

    RUN_UNTIL(f, counter(f, "switch-mortal-A", "restored") == 2);
    assert_int_equal(component(f, "switch-mortal-A")->restarts, 1);
    assert_int_equal(component(f, "switch-mortal-A")->last_exit.code, 7);
    RUN_UNTIL(f, t->starts == 2);
    assert_int_equal(t->ends, 1);
    assert_int_equal(t->end_why, ST_CLOSED);
    assert_int_equal(t->ready, 2);
    assert_int_equal(t->not_ready, 1);
}

static void forwards_that_are_remembered_are_bounded(void **state)
{
    struct fixture *f = *state;

    want_a(f, "greedy");
    RUN_UNTIL(f, counter(f, "switch-greedy-A", "restored") == FORWARD_LIST_MAX);
}

/* So many ports from 8000 on, one message. */
static void publish(struct fixture *f, const char *vm_id, unsigned first, unsigned count)
{
    static char tcp[] = "tcp", every[] = "";
    Rdlink__V1__PublishedPorts ports = RDLINK__V1__PUBLISHED_PORTS__INIT;
    Rdlink__V1__PublishedPort items[4], *list[4];

    for (unsigned i = 0; i < count; i++) {
        rdlink__v1__published_port__init(&items[i]);
        items[i].protocol = tcp;
        items[i].host_address = every;
        items[i].port = 8000 + first + i;
        list[i] = &items[i];
    }
    ports.n_ports = count;
    ports.ports = list;
    network_service_publish(f->n, vm_id, &ports);
}

static void published_ports_go_to_the_worker_that_has_the_link(void **state)
{
    struct fixture *f = *state;

    publish(f, "linked", 0, 2); /* before there is a worker */
    want_a(f, "linked");
    RUN_UNTIL(f, counter(f, "switch-linked-A", "restored") == 4); /* of both families */
    publish(f, "linked", 1, 2);                                   /* one went, one is new */
    RUN_UNTIL(f, counter(f, "switch-linked-A", "restored") == 6);
    publish(f, "other", 0, 4);
    publish(f, "linked", 1, 3);
    RUN_UNTIL(f, counter(f, "switch-linked-A", "restored") == 8);
}

static unsigned forwards_shown(struct fixture *f)
{
    component(f, "");
    return f->snapshot->forward_count;
}

static void what_a_worker_says_of_its_forwards_is_shown_while_it_runs(void **state)
{
    struct fixture *f = *state;
    const struct snapshot_forward *shown = f->snapshot->forwards;

    want_a(f, "shown");
    RUN_UNTIL(f, forwards_shown(f) == 2);
    assert_string_equal(shown[0].vm, "shown");
    assert_int_equal(shown[0].generation, GUEST_A);
    assert_string_equal(shown[0].proto, "tcp");
    assert_string_equal(shown[0].host, "127.0.0.1:80");
    assert_string_equal(shown[0].guest, "192.168.127.2:80");
    assert_false(shown[0].is_listening);
    assert_string_equal(shown[0].reason, "PortTaken");
    assert_string_equal(shown[0].message, "taken? by pid 1");
    assert_string_equal(shown[1].host, "127.0.0.1:81");
    assert_true(shown[1].is_listening);
    assert_string_equal(shown[1].reason, "");
    assert_int_equal(f->snapshot->left_out, 7); /* five, and two that are none */
    network_service_forget(f->n, "shown");
    RUN_UNTIL(f, forwards_shown(f) == 0);
}

static void forwards_go_with_the_process_that_had_them(void **state)
{
    struct fixture *f = *state;
    uint64_t restarts;

    want_a(f, "shown");
    RUN_UNTIL(f, forwards_shown(f) == 2);
    assert_int_equal(network_service_restart(f->n, "switch-shown-A", &restarts), ST_OK);
    RUN_UNTIL(f, forwards_shown(f) == 0);
    RUN_UNTIL(f, forwards_shown(f) == 2); /* its successor says them anew */
}

/* ---- several, and the end ------------------------------------------------------------------- */

static void generations_of_a_machine_have_a_worker_each(void **state)
{
    struct fixture *f = *state;
    struct told *a = want(f, "linked", GUEST_A, 6656), *b = want(f, "linked", GUEST_B, 6657);

    RUN_UNTIL(f, a->ready == 1 && b->ready == 1);
    assert_non_null(component(f, "switch-linked-A"));
    assert_non_null(component(f, "switch-linked-B"));
    network_service_release(f->n, "linked", GUEST_A); /* it has a link: it stays */
    RUN_UNTIL(f, a->starts == 1 && b->starts == 1);
    assert_non_null(component(f, "switch-linked-A"));
}

static void names_too_long_are_cut_and_stay_different(void **state)
{
    struct fixture *f = *state;
    struct addr vm = machine("good");
    struct told *a, *b;

    network_service_want(f->n, "0f2a1b3c-4d5e-6f70-8192-a3b4c5d6e7f0", &vm, GUEST_V2, 6658, NULL);
    network_service_want(f->n, "0f2a1b3c-4d5e-6f70-8192-a3b4c5d6e7f1", &vm, GUEST_V2, 6658, NULL);
    a = told_of(f, "0f2a1b3c-4d5e-6f70-8192-a3b4c5d6e7f0", GUEST_V2);
    b = told_of(f, "0f2a1b3c-4d5e-6f70-8192-a3b4c5d6e7f1", GUEST_V2);
    RUN_UNTIL(f, a->ready == 1 && b->ready == 1);
    assert_non_null(component(f, "switch-0f2a1b3c-4d5e-6f70-8192-~0-v2"));
    assert_non_null(component(f, "switch-0f2a1b3c-4d5e-6f70-8192-~1-v2"));
}

static void worker_nobody_wants_ends_after_a_while(void **state)
{
    struct fixture *f = *state;
    struct told *t = want_a(f, "good");

    RUN_UNTIL(f, t->ready == 1);
    network_service_release(f->n, "good", GUEST_A);
    RUN_UNTIL(f, !component(f, "switch-good-A"));
    assert_string_equal(reason(f, "good"), "none");
    want_a(f, "good");
    RUN_UNTIL(f, t->ready == 2);
}

static void machine_that_is_gone_has_no_worker_even_with_a_link(void **state)
{
    struct fixture *f = *state;
    struct told *t = want_a(f, "linked");

    RUN_UNTIL(f, t->starts == 1);
    network_service_forget(f->n, "linked");
    RUN_UNTIL(f, !component(f, "switch-linked-A"));
    assert_int_equal(t->ends, 1);
}

static void machine_that_comes_back_at_once_gets_a_new_worker(void **state)
{
    struct fixture *f = *state;
    struct told *t = want_a(f, "good");

    RUN_UNTIL(f, t->ready == 1);
    network_service_forget(f->n, "good");
    want_a(f, "good");
    RUN_UNTIL(f, t->ready == 2);
    assert_int_equal(component(f, "switch-good-A")->restarts, 0);
    assert_int_equal(f->told_count, 1);
}

static void one_too_many_waits_for_its_turn(void **state)
{
    struct fixture *f = *state;
    struct told *last;

    for (unsigned i = 0; i < NETWORK_MAX_WORKERS; i++) {
        char vm_id[16];

        snprintf(vm_id, sizeof vm_id, "good%u", i);
        want_a(f, vm_id);
    }
    last = want_a(f, "goodlast");
    RUN_UNTIL(f, last->not_ready == 1);
    assert_int_equal(last->last, ST_FULL);
    assert_string_equal(reason(f, "goodlast"), "SwitchDown");
    network_service_forget(f->n, "good3");
    RUN_UNTIL(f, last->ready == 1);
}

static void stop_ends_all_of_them(void **state)
{
    struct fixture *f = *state;
    struct told *t = want_a(f, "good"), *u = want_a(f, "linked");

    RUN_UNTIL(f, t->ready == 1 && u->starts == 1);
    network_service_stop(f->n);
    assert_int_equal(f->stopped, 0);
    RUN_UNTIL(f, f->stopped == 1);
    assert_null(component(f, "switch-good-A"));
    want_a(f, "good"); /* too late */
    assert_null(component(f, "switch-good-A"));
}

static void stop_without_workers_is_told_too(void **state)
{
    struct fixture *f = *state;

    network_service_stop(f->n);
    assert_int_equal(f->stopped, 0);
    RUN_UNTIL(f, f->stopped == 1);
}

static void kill_does_not_wait_for_one_that_hangs(void **state)
{
    struct fixture *f = *state;

    want_a(f, "slow");
    RUN_UNTIL(f, component(f, "switch-slow-A") && component(f, "switch-slow-A")->pid);
    assert_string_equal(reason(f, "slow"), "SwitchStarting");
    network_service_stop(f->n);
    network_service_kill(f->n);
    RUN_UNTIL(f, f->stopped == 1);
}

static void releasing_what_was_never_wanted_is_nothing(void **state)
{
    struct fixture *f = *state;
    struct condition c;

    network_service_release(f->n, "vm", GUEST_B);
    network_service_forget(f->n, "vm");
    assert_false(network_service_condition(f->n, "vm", &c));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(guest_gets_a_worker_with_the_configuration),
        T(plain_vsock_names_the_only_machine_that_may_dial),
        T(wanting_again_is_answered_again),
        T(link_and_its_frames_are_told),
        T(link_that_replaces_another_is_told),
        T(link_that_is_lost_is_told),
        T(taken_port_is_told_as_such),
        T(program_that_is_not_there_is_a_reason),
        T(address_without_room_for_the_port_is_a_reason),
        T(worker_that_dies_is_replaced_and_gets_its_forwards_back),
        T(forwards_that_are_remembered_are_bounded),
        T(what_a_worker_says_of_its_forwards_is_shown_while_it_runs),
        T(forwards_go_with_the_process_that_had_them),
        T(published_ports_go_to_the_worker_that_has_the_link),
        T(generations_of_a_machine_have_a_worker_each),
        T(names_too_long_are_cut_and_stay_different),
        T(worker_nobody_wants_ends_after_a_while),
        T(machine_that_is_gone_has_no_worker_even_with_a_link),
        T(machine_that_comes_back_at_once_gets_a_new_worker),
        T(one_too_many_waits_for_its_turn),
        T(stop_ends_all_of_them),
        T(stop_without_workers_is_told_too),
        T(kill_does_not_wait_for_one_that_hangs),
        T(releasing_what_was_never_wanted_is_nothing),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
