/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "guestagent/docker_bridge.h"
#include "ipc/health.h"
#include "port/sim/stream_sim.h"

#include <stdlib.h>
#include <string.h>

/* What stat() would say of docker.sock. */
static struct {
    enum status st;
    struct sock_owner owner;
} docker_sock;

static enum status owner_of(const char *path, struct sock_owner *out)
{
    assert_string_equal(path, "/var/run/docker.sock");
    if (docker_sock.st == ST_OK)
        *out = docker_sock.owner;
    return docker_sock.st;
}

struct fixture {
    struct sim *sim;
    struct docker_bridge *bridge;
    struct addr at;
    enum status engine; /* how dials end */
    unsigned changes, drained;
};

static struct sim_dial_answer answer(void *ctx, const struct addr *to)
{
    struct fixture *f = ctx;

    return (struct sim_dial_answer){ f->engine, 0 };
}

static void on_change(void *ctx)
{
    struct fixture *f = ctx;

    f->changes++;
}

static void on_drained(void *ctx)
{
    struct fixture *f = ctx;

    f->drained++;
}

static const struct docker_bridge_ops ops = { on_change, on_drained };

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct docker_bridge_config config = { .owner_of = owner_of, .max_connections = 8 };
    const struct listener_opts opts = { .adopt_fd = -1 };

    docker_sock.st = ST_OK;
    docker_sock.owner = (struct sock_owner){ .uid = 0, .inode = 1 };
    f->sim = sim_new();
    sim_on_dial(f->sim, answer, f);
    addr_parse(&f->at, "vsock:6660", NULL);
    addr_parse(&config.target, "unix:/var/run/docker.sock", NULL);
    assert_int_equal(docker_bridge_new(&f->bridge, sim_loop(f->sim), &config, &ops, f, NULL),
                     ST_OK);
    assert_int_equal(docker_bridge_listen(f->bridge, &f->at, &opts, NULL), ST_OK);
    assert_int_equal(f->changes, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    docker_bridge_free(f->bridge);
    sim_free(f->sim);
    free(f);
    return 0;
}

static void assert_condition(struct fixture *f, const char *type, enum condition_status status,
                             const char *reason)
{
    struct health_component c = { .counter_count = 0 };
    const struct condition *found;

    docker_bridge_report(f->bridge, &c);
    found = condition_find(&c.conditions, type);
    assert_non_null(found);
    assert_string_equal(found->reason, reason);
    assert_int_equal(found->status, status);
}

static struct sim_peer *client(struct fixture *f, struct peer who)
{
    struct sim_peer *p = sim_connect(f->sim, &f->at, &who);

    sim_peer_send_text(p, "GET / HTTP/1.1\r\n\r\n");
    sim_run(f->sim);
    return p;
}

static uint64_t counter(struct fixture *f, const char *name)
{
    struct health_component c = { .counter_count = 0 };

    docker_bridge_report(f->bridge, &c);
    for (unsigned i = 0; i < c.counter_count; i++) {
        if (!strcmp(c.counters[i].name, name))
            return c.counters[i].value;
    }
    fail_msg("no counter %s", name);
    return 0;
}

static void the_first_look_probes_and_is_told_once(void **state)
{
    struct fixture *f = *state;
    char text[256];

    assert_false(docker_bridge_is_checked(f->bridge));
    sim_run(f->sim);
    assert_true(docker_bridge_is_checked(f->bridge));
    assert_true(docker_bridge_is_serving(f->bridge));
    assert_int_equal(f->changes, 1);
    assert_condition(f, "DockerSocketReady", COND_TRUE, "Connected");
    assert_condition(f, "DockerSocketTrusted", COND_TRUE, "OwnerExpected");
    assert_condition(f, "ListenerReady", COND_TRUE, "Accepting");
    assert_string_equal(docker_bridge_summary(f->bridge, text, sizeof text),
                        "serving 0 streams to unix:/var/run/docker.sock");
}

static void a_healthy_engine_is_not_probed_again(void **state)
{
    struct fixture *f = *state;

    sim_advance_ms(f->sim, 60000);
    assert_int_equal(sim_dial_count(f->sim), 1);
    assert_int_equal(f->changes, 1);
    assert_true(docker_bridge_is_alive(f->bridge));
}

static void a_replaced_socket_is_probed_anew(void **state)
{
    struct fixture *f = *state;

    sim_run(f->sim);
    docker_sock.owner.inode = 2;
    sim_advance_ms(f->sim, 1000);
    assert_int_equal(sim_dial_count(f->sim), 2);
}

static void what_stands_in_the_way_has_a_reason_and_passes(void **state)
{
    static const struct {
        enum status stat, dial;
        const char *reason;
    } rows[] = {
        { ST_NOTFOUND, ST_OK, "SocketMissing" }, { ST_INVAL, ST_OK, "NotASocket" },
        { ST_DENIED, ST_OK, "AccessDenied" },    { ST_OK, ST_REFUSED, "ConnectionRefused" },
        { ST_OK, ST_TIMEOUT, "NotAnswering" },   { ST_OK, ST_DENIED, "AccessDenied" },
        { ST_OK, ST_NOFILES, "ConnectFailed" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fixture *f;
        unsigned changes;

        setup((void **)&f);
        docker_sock.st = rows[i].stat;
        f->engine = rows[i].dial;
        sim_run(f->sim);
        assert_condition(f, "DockerSocketReady", COND_FALSE, rows[i].reason);
        assert_false(docker_bridge_is_serving(f->bridge));
        assert_true(docker_bridge_is_checked(f->bridge));
        changes = f->changes;
        sim_advance_ms(f->sim, 10000); /* the same again and again is no news */
        assert_int_equal(f->changes, changes);
        docker_sock.st = ST_OK;
        f->engine = ST_OK;
        sim_advance_ms(f->sim, 1000);
        assert_condition(f, "DockerSocketReady", COND_TRUE, "Connected");
        assert_true(docker_bridge_is_serving(f->bridge));
        teardown((void **)&f);
    }
}

static void a_wrong_owner_is_refused_without_a_connect(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p;

    docker_sock.owner.uid = 1000;
    sim_advance_ms(f->sim, 3000);
    p = client(f, sim_host_peer);
    assert_int_equal(sim_dial_count(f->sim), 0);
    assert_non_null(strstr(sim_peer_text(p), "owned by uid 1000, not by uid 0"));
    assert_condition(f, "DockerSocketTrusted", COND_FALSE, "OwnerUnexpected");
    assert_false(docker_bridge_is_serving(f->bridge));
}

static void a_socket_that_changes_hands_gets_not_one_stream(void **state)
{
    struct fixture *f = *state;
    unsigned dials;

    sim_run(f->sim);
    dials = sim_dial_count(f->sim);
    docker_sock.owner.uid = 1000;
    client(f, sim_host_peer); /* before the timer has looked */
    assert_int_equal(sim_dial_count(f->sim), dials);
    assert_condition(f, "DockerSocketReady", COND_UNKNOWN, "OwnerUnexpected");
    docker_sock.owner.uid = 0; /* the same socket, given back */
    sim_advance_ms(f->sim, 1000);
    assert_int_equal(sim_dial_count(f->sim), dials + 1);
    assert_condition(f, "DockerSocketReady", COND_TRUE, "Connected");
}

static void only_the_host_causes_anything(void **state)
{
    static const struct peer strangers[] = {
        { .is_vsock = true, .has_cid = true, .cid = 0 },
        { .is_vsock = true, .has_cid = true, .cid = 1 },
        { .is_vsock = true, .has_cid = true, .cid = 3 },
        { .is_vsock = true, .has_cid = true, .cid = ADDR_CID_ANY },
        { .is_vsock = true, .has_cid = false },
        { .is_vsock = true, .has_cid = false, .cid = 2 },
    };
    struct fixture *f = *state;
    unsigned dials;

    sim_run(f->sim);
    dials = sim_dial_count(f->sim);
    for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
        struct sim_peer *p = client(f, strangers[i]);

        assert_true(sim_peer_is_closed(p));
        assert_string_equal(sim_peer_text(p), "");
        assert_int_equal(counter(f, "rejected_peers"), i + 1);
    }
    assert_int_equal(sim_dial_count(f->sim), dials);
    client(f, sim_host_peer);
    assert_int_equal(sim_dial_count(f->sim), dials + 1);
    client(f, sim_local_peer);
    assert_int_equal(counter(f, "accepted"), 2);
}

static void a_stream_that_is_refused_changes_the_condition_at_once(void **state)
{
    struct fixture *f = *state;

    sim_run(f->sim);
    f->engine = ST_TIMEOUT;
    client(f, sim_host_peer);
    assert_condition(f, "DockerSocketReady", COND_FALSE, "NotAnswering");
    assert_int_equal(f->changes, 2);
    assert_int_equal(counter(f, "refused_target"), 1);
}

static void listener_trouble_is_a_condition(void **state)
{
    struct fixture *f = *state;

    sim_run(f->sim);
    sim_listener_report(f->sim, &f->at, ST_NOFILES, "no descriptors");
    assert_condition(f, "ListenerReady", COND_FALSE, "OutOfDescriptors");
    assert_false(docker_bridge_is_serving(f->bridge));
    sim_listener_report(f->sim, &f->at, ST_IO, "gone");
    assert_condition(f, "ListenerReady", COND_FALSE, "ListenerLost");
    sim_listener_report(f->sim, &f->at, ST_OK, "");
    assert_condition(f, "ListenerReady", COND_TRUE, "Accepting");
}

static void draining_ends_after_the_last_stream(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p, *engine;
    char text[256];

    sim_run(f->sim);
    sim_take_dialled(f->sim); /* the probe's */
    p = client(f, sim_host_peer);
    engine = sim_take_dialled(f->sim);
    docker_bridge_drain(f->bridge);
    sim_run(f->sim);
    assert_int_equal(f->drained, 0);
    assert_condition(f, "ListenerReady", COND_FALSE, "Draining");
    assert_string_equal(docker_bridge_summary(f->bridge, text, sizeof text),
                        "draining 1 streams to unix:/var/run/docker.sock");
    sim_peer_end(p);
    sim_peer_end(engine);
    sim_run(f->sim);
    assert_int_equal(f->drained, 1);
}

static void timers_that_do_not_run_are_noticed(void **state)
{
    struct fixture *f = *state;
    struct timer *t = NULL;

    sim_run(f->sim);
    assert_true(docker_bridge_is_alive(f->bridge));
    /* The bridge's own look is the only timer here; losing it is what the watchdog is for. */
    t = container_of(sim_loop(f->sim)->timers.next, struct timer, link);
    timer_stop(t);
    sim_advance_ms(f->sim, 5000);
    assert_false(docker_bridge_is_alive(f->bridge));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(the_first_look_probes_and_is_told_once),
        WITH_FIXTURE(a_healthy_engine_is_not_probed_again),
        WITH_FIXTURE(a_replaced_socket_is_probed_anew),
        cmocka_unit_test(what_stands_in_the_way_has_a_reason_and_passes),
        WITH_FIXTURE(a_wrong_owner_is_refused_without_a_connect),
        WITH_FIXTURE(a_socket_that_changes_hands_gets_not_one_stream),
        WITH_FIXTURE(only_the_host_causes_anything),
        WITH_FIXTURE(a_stream_that_is_refused_changes_the_condition_at_once),
        WITH_FIXTURE(listener_trouble_is_a_condition),
        WITH_FIXTURE(draining_ends_after_the_last_stream),
        WITH_FIXTURE(timers_that_do_not_run_are_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
