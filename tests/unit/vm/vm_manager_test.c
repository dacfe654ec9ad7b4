/* SPDX-License-Identifier: Apache-2.0
 * Several virtual machines side by side; every port of a machine that is not opened refuses.
 */
#include "vm/vm_manager.h"

#include "base/log.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "vm/handshake.h"

#include <stdio.h>
#include <string.h>

enum { HANDSHAKE_A = 6669, DATA_A = 6656 };

struct world {
    struct sim *sim;
    struct vm_manager *m;
    struct vm_snapshot snap;
    /* The host switch, which listens for whoever asks: for these. */
    char listening[VM_SNAPSHOT_MAX][VM_ID_MAX];
    unsigned listening_count, gone;
    unsigned changes;
};

/* Generation A's handshake port is open in every machine. */
static struct sim_dial_answer decide(void *ctx, const struct addr *to)
{
    return (struct sim_dial_answer){ to->port == HANDSHAKE_A ? ST_OK : ST_REFUSED, 0 };
}

static void on_change(void *ctx)
{
    ((struct world *)ctx)->changes++;
}

static int listening_for(const struct world *w, const char *vm_id)
{
    for (unsigned i = 0; i < w->listening_count; i++)
        if (!strcmp(w->listening[i], vm_id))
            return (int)i;
    return -1;
}

static void on_want(void *ctx, const char *vm_id, const struct addr *vm,
                    enum guest_generation generation, uint32_t data_port,
                    const struct link_token *token)
{
    struct world *w = ctx;

    assert_int_equal(generation, GUEST_A);
    assert_int_equal(data_port, DATA_A);
    assert_int_equal(vm->kind, ADDR_VSOCK_HYBRID);
    if (listening_for(w, vm_id) < 0)
        snprintf(w->listening[w->listening_count++], VM_ID_MAX, "%s", vm_id);
    vm_manager_link_ready(w->m, vm_id, generation, ST_OK, "");
}

static void drop(struct world *w, const char *vm_id)
{
    int i = listening_for(w, vm_id);

    if (i >= 0)
        memmove(w->listening[i], w->listening[--w->listening_count], VM_ID_MAX);
}

static void on_release(void *ctx, const char *vm_id, enum guest_generation generation)
{
    drop(ctx, vm_id);
}

static void on_gone(void *ctx, const char *vm_id)
{
    struct world *w = ctx;

    w->gone++;
    drop(w, vm_id);
}

static void on_published(void *ctx, const char *vm_id, const Rdlink__V1__PublishedPorts *ports)
{
}

static const struct vm_manager_ops ops = { .on_change = on_change,
                                           .want_link = on_want,
                                           .release_link = on_release,
                                           .on_published = on_published,
                                           .on_relayed = on_published,
                                           .on_gone = on_gone };

static int set_up(void **state)
{
    static struct world w;
    const struct vm_manager_config config = { .instance = "test" };

    memset(&w, 0, sizeof w);
    w.sim = sim_new();
    sim_on_dial(w.sim, decide, &w);
    assert_int_equal(vm_manager_new(&w.m, sim_loop(w.sim), &config, &ops, &w), ST_OK);
    w.snap.source_exists = true;
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    vm_manager_free(w->m);
    sim_run(w->sim);
    sim_free(w->sim);
    return 0;
}

static struct addr address_of(unsigned number)
{
    struct addr a = { .kind = ADDR_VSOCK_HYBRID, .port = ADDR_PORT_NONE, .fd = -1 };

    snprintf(a.path, sizeof a.path, "/vms/vm%u.vsock", number);
    return a;
}

static void add_vm(struct world *w, unsigned number)
{
    struct vm_info *vm = &w->snap.vms[w->snap.count++];

    *vm = (struct vm_info){ .addr = address_of(number) };
    snprintf(vm->id, sizeof vm->id, "vm%u", number);
}

static void tell(struct world *w)
{
    vm_manager_on_snapshot(w->m, &w->snap);
    sim_run(w->sim);
}

static struct session_view view(const struct world *w, const char *id)
{
    struct session_view v;

    for (unsigned i = 0; i < vm_manager_count(w->m); i++) {
        vm_manager_view(w->m, i, &v);
        if (!strcmp(v.vm_id, id))
            return v;
    }
    fail_msg("no session for %s", id);
    return v;
}

static struct sim_peer *accepted(struct world *w, unsigned number)
{
    struct addr vm = address_of(number), at = addr_at_port(&vm, HANDSHAKE_A);
    struct sim_peer *p = sim_take_dialled_to(w->sim, &at);

    assert_non_null(p);
    return p;
}

static void answer(struct world *w, struct sim_peer *p)
{
    sim_peer_send_text(p, SIGNATURE_A.text);
    sim_run(w->sim);
}

/* False: nobody listens for that machine. */
static bool dial_data(struct world *w, unsigned number)
{
    char id[VM_ID_MAX];

    snprintf(id, sizeof id, "vm%u", number);
    if (listening_for(w, id) < 0)
        return false;
    vm_manager_on_link_start(w->m, id, GUEST_A);
    sim_run(w->sim);
    return true;
}

static void machines_come_and_go_with_their_sessions(void **state)
{
    struct world *w = *state;
    unsigned before;

    assert_false(vm_manager_source_exists(w->m));
    add_vm(w, 1);
    add_vm(w, 2);
    tell(w);
    assert_true(vm_manager_source_exists(w->m));
    assert_int_equal(vm_manager_count(w->m), 2);
    before = w->changes;
    assert_true(before > 0);
    vm_manager_on_snapshot(w->m, &w->snap);
    assert_int_equal(w->changes, before); /* nothing new */
    w->snap.vms[0] = w->snap.vms[1];
    w->snap.count = 1;
    vm_manager_on_snapshot(w->m, &w->snap);
    assert_int_equal(w->changes, before + 1);
    assert_int_equal(vm_manager_count(w->m), 1);
    assert_string_equal(view(w, "vm2").vm_id, "vm2");
}

static void machine_at_another_address_starts_anew(void **state)
{
    struct world *w = *state;

    add_vm(w, 1);
    tell(w);
    answer(w, accepted(w, 1));
    assert_int_equal(view(w, "vm1").state, SESSION_HANDSHAKE);
    w->snap.vms[0].addr = address_of(9);
    tell(w);
    assert_int_equal(vm_manager_count(w->m), 1);
    assert_int_equal(view(w, "vm1").state, SESSION_PROBING);
    answer(w, accepted(w, 9));
    assert_int_equal(view(w, "vm1").state, SESSION_HANDSHAKE);
}

static void two_machines_are_never_mixed_up(void **state)
{
    struct world *w = *state;
    struct sim_peer *ready1, *ready2;

    add_vm(w, 1);
    add_vm(w, 2);
    tell(w);
    answer(w, accepted(w, 2));
    assert_int_equal(view(w, "vm1").state, SESSION_PROBING);
    assert_int_equal(view(w, "vm2").state, SESSION_HANDSHAKE);
    assert_false(dial_data(w, 1)); /* no signature, no listener */
    answer(w, accepted(w, 1));
    ready1 = accepted(w, 1);
    ready2 = accepted(w, 2);
    assert_string_equal(sim_peer_text(ready1), "READY");
    assert_string_equal(sim_peer_text(ready2), "READY");
    answer(w, ready1);
    assert_true(dial_data(w, 1));
    assert_int_equal(view(w, "vm1").state, SESSION_LINKED);
    assert_int_equal(view(w, "vm2").state, SESSION_HANDSHAKE);
    answer(w, ready2);
    assert_true(dial_data(w, 2));
    assert_int_equal(view(w, "vm1").links, 1);
    assert_int_equal(view(w, "vm2").links, 1);
    vm_manager_on_link_end(w->m, "vm2", GUEST_A, ST_EOF);
    assert_int_equal(view(w, "vm1").state, SESSION_LINKED);
    assert_int_equal(view(w, "vm2").state, SESSION_PROBING);
}

static void silent_machines_do_not_delay_a_good_one(void **state)
{
    struct world *w = *state;
    uint64_t start_ms = sim_now_ms(w->sim);

    for (unsigned i = 0; i < VM_SNAPSHOT_MAX; i++)
        add_vm(w, i);
    tell(w);
    assert_int_equal(vm_manager_count(w->m), VM_SNAPSHOT_MAX);
    answer(w, accepted(w, VM_SNAPSHOT_MAX - 1));
    answer(w, accepted(w, VM_SNAPSHOT_MAX - 1));
    dial_data(w, VM_SNAPSHOT_MAX - 1);
    assert_int_equal(view(w, "vm31").state, SESSION_LINKED);
    assert_int_equal(sim_now_ms(w->sim), start_ms);
}

static void machine_that_vanishes_in_the_handshake_leaves_nothing(void **state)
{
    struct world *w = *state;

    add_vm(w, 1);
    tell(w);
    answer(w, accepted(w, 1));
    assert_int_equal(w->listening_count, 1);
    w->snap.count = 0;
    tell(w);
    assert_int_equal(vm_manager_count(w->m), 0);
    assert_int_equal(w->gone, 1);
    assert_int_equal(w->listening_count, 0);
    assert_int_equal(sim_open_streams(w->sim), 0);
    /* the owner of a link may still have something to say about it */
    vm_manager_link_ready(w->m, "vm1", GUEST_A, ST_OK, "");
    vm_manager_on_link_start(w->m, "vm1", GUEST_A);
    vm_manager_on_link_end(w->m, "vm1", GUEST_A, ST_RESET);
    vm_manager_on_link_activity(w->m, "vm1", GUEST_A);
}

static void probe_now_reaches_every_machine(void **state)
{
    struct world *w = *state;
    unsigned before;

    add_vm(w, 1);
    add_vm(w, 2);
    tell(w);
    before = sim_dial_count(w->sim);
    vm_manager_probe_now(w->m);
    sim_run(w->sim);
    assert_int_equal(sim_dial_count(w->sim), before + 8);
}

static void a_machine_that_is_found_anew_begins_from_the_start(void **state)
{
    struct world *w = *state;

    add_vm(w, 1);
    add_vm(w, 2);
    tell(w);
    answer(w, accepted(w, 1));
    answer(w, accepted(w, 2));
    (void)accepted(w, 1); /* READY */
    assert_true(dial_data(w, 1));
    assert_int_equal(view(w, "vm1").generation, GUEST_A);
    vm_manager_rediscover(w->m, "vm1");
    assert_int_equal(vm_manager_count(w->m), 2);
    assert_int_equal(view(w, "vm1").generation, GUEST_NONE);
    assert_int_equal(view(w, "vm1").handshakes, 0);
    assert_false(dial_data(w, 1)); /* nobody listens for it before it has answered */
    assert_true(dial_data(w, 2));
    assert_int_equal(w->gone, 0);
    sim_run(w->sim);
    answer(w, accepted(w, 1));
    assert_true(dial_data(w, 1));
    assert_int_equal(view(w, "vm1").generation, GUEST_A);
    vm_manager_rediscover(w->m, "nobody");
    assert_int_equal(vm_manager_count(w->m), 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(machines_come_and_go_with_their_sessions),
        T(machine_at_another_address_starts_anew),
        T(two_machines_are_never_mixed_up),
        T(silent_machines_do_not_delay_a_good_one),
        T(machine_that_vanishes_in_the_handshake_leaves_nothing),
        T(probe_now_reaches_every_machine),
        T(a_machine_that_is_found_anew_begins_from_the_start),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
