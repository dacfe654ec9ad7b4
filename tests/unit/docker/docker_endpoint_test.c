/* SPDX-License-Identifier: Apache-2.0 */
#include "docker/docker_endpoint.h"

#include "ipc/health.h"
#include "port/listener.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"

#include <string.h>

struct fixture {
    struct sim *sim;
    struct docker_endpoint *endpoint;
    struct addr at, guest;
    unsigned changes, drained;
};

static void on_change(void *ctx)
{
    ((struct fixture *)ctx)->changes++;
}

static void on_drained(void *ctx)
{
    ((struct fixture *)ctx)->drained++;
}

static const struct docker_endpoint_ops ops = { .on_change = on_change, .on_drained = on_drained };

static void start(struct fixture *f)
{
    const struct docker_endpoint_config config = { 0 };
    const struct listener_opts opts = { .adopt_fd = -1 };

    *f = (struct fixture){ .sim = sim_new() };
    assert_int_equal(addr_parse(&f->at, "unix:/d.sock", NULL), ST_OK);
    assert_int_equal(addr_parse(&f->guest, "vsock:3:6660", NULL), ST_OK);
    assert_int_equal(docker_endpoint_new(&f->endpoint, sim_loop(f->sim), &config, &ops, f, NULL),
                     ST_OK);
    assert_int_equal(docker_endpoint_listen(f->endpoint, &f->at, &opts, NULL), ST_OK);
}

static void stop(struct fixture *f)
{
    docker_endpoint_free(f->endpoint);
    sim_free(f->sim);
}

static const struct condition *reachable(struct fixture *f, enum health_state want)
{
    static struct health_report report;
    const struct health_component *c;

    memset(&report, 0, sizeof report);
    docker_endpoint_fill_health(f->endpoint, &report);
    c = health_find(&report, "docker");
    assert_non_null(c);
    assert_int_equal(c->state, want);
    return condition_find(&c->conditions, "DockerReachable");
}

static const struct condition *listening(struct fixture *f)
{
    static struct health_report report;

    memset(&report, 0, sizeof report);
    docker_endpoint_fill_health(f->endpoint, &report);
    return condition_find(&report.components[0].conditions, "EndpointListening");
}

static void clients_hear_why_while_there_is_no_guest(void **state)
{
    struct fixture f;
    struct sim_peer *client;

    start(&f);
    docker_endpoint_set_target(f.endpoint, NULL, "", "WSL is not running");
    client = sim_connect(f.sim, &f.at, &sim_local_peer);
    sim_peer_send_text(client, "GET /v1.41/containers/json HTTP/1.1\r\nHost: d\r\n\r\n");
    sim_run(f.sim);
    assert_non_null(strstr(sim_peer_text(client), "HTTP/1.1 503 "));
    assert_non_null(
        strstr(sim_peer_text(client),
               "{\"message\":\"rdlink: docker is not reachable: WSL is not running\"}"));
    assert_int_equal(sim_dial_count(f.sim), 0);
    assert_string_equal(reachable(&f, HEALTH_NOT_SERVING)->reason, "NoGuest");
    sim_peer_end(client);
    sim_advance_ms(f.sim, 10000);
    stop(&f);
}

static void docker_is_reachable_once_it_has_answered(void **state)
{
    struct fixture f;
    struct sim_peer *engine;

    start(&f);
    sim_next_dial(f.sim, ST_OK, 0);
    docker_endpoint_set_target(f.endpoint, &f.guest, "vm1", "");
    assert_string_equal(reachable(&f, HEALTH_NOT_SERVING)->reason, "Probing");
    sim_run(f.sim);
    engine = sim_take_dialled(f.sim);
    assert_non_null(engine);
    sim_peer_send_text(engine, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK");
    sim_run(f.sim);
    assert_string_equal(reachable(&f, HEALTH_SERVING)->reason, "EngineAnswers");
    docker_endpoint_set_target(f.endpoint, NULL, "", "gone");
    assert_string_equal(reachable(&f, HEALTH_NOT_SERVING)->reason, "NoGuest");
    stop(&f);
}

static void clients_bytes_reach_the_guest_and_back(void **state)
{
    struct fixture f;
    struct sim_peer *client, *engine;

    start(&f);
    docker_endpoint_set_target(f.endpoint, &f.guest, "vm1", "");
    sim_run(f.sim); /* the probe's dial is refused: nothing was scripted */
    assert_string_equal(reachable(&f, HEALTH_NOT_SERVING)->reason, "GuestUnreachable");
    sim_next_dial(f.sim, ST_OK, 0);
    client = sim_connect(f.sim, &f.at, &sim_local_peer);
    sim_peer_send_text(client, "hello");
    sim_peer_end(client);
    sim_run(f.sim);
    engine = sim_take_dialled(f.sim);
    assert_non_null(engine);
    assert_string_equal(sim_peer_text(engine), "hello");
    assert_true(sim_peer_saw_end(engine));
    sim_peer_send_text(engine, "world");
    sim_peer_end(engine);
    sim_run(f.sim);
    assert_string_equal(sim_peer_text(client), "world");
    assert_true(sim_peer_is_closed(client));
    stop(&f);
}

static void a_failed_dial_makes_docker_be_asked_at_once(void **state)
{
    struct fixture f;
    struct sim_peer *client;
    unsigned dials;

    start(&f);
    docker_endpoint_set_target(f.endpoint, &f.guest, "vm1", "");
    sim_run(f.sim);
    dials = sim_dial_count(f.sim);
    client = sim_connect(f.sim, &f.at, &sim_local_peer);
    sim_peer_send_text(client, "GET / HTTP/1.1\r\nHost: d\r\n\r\n");
    sim_advance_ms(f.sim, 1000); /* half of the probe's interval */
    assert_non_null(strstr(sim_peer_text(client), "HTTP/1.1 503 "));
    assert_true(sim_dial_count(f.sim) >= dials + 2); /* the client's, and a new question */
    sim_peer_end(client);
    sim_advance_ms(f.sim, 10000);
    stop(&f);
}

static struct sim_peer *ask(struct fixture *f)
{
    struct sim_peer *client = sim_connect(f->sim, &f->at, &sim_local_peer);

    sim_peer_send_text(client, "GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
    sim_peer_end(client);
    sim_run(f->sim);
    return client;
}

static void one_dial_that_times_out_spares_other_clients_the_wait(void **state)
{
    struct fixture f;
    struct sim_peer *first, *second, *engine;
    unsigned dials;

    start(&f);
    sim_next_dial(f.sim, ST_OK, 0);
    docker_endpoint_set_target(f.endpoint, &f.guest, "vm1", "");
    sim_run(f.sim);
    sim_peer_send_text(sim_take_dialled(f.sim), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    sim_run(f.sim);
    assert_string_equal(reachable(&f, HEALTH_SERVING)->reason, "EngineAnswers");

    sim_next_dial(f.sim, ST_OK, SIM_NEVER); /* the first client's */
    sim_next_dial(f.sim, ST_OK, 500);       /* the probe's that follows */
    first = ask(&f);
    assert_string_equal(sim_peer_text(first), "");
    sim_advance_ms(f.sim, 800);
    assert_non_null(strstr(sim_peer_text(first), "HTTP/1.1 503 "));
    dials = sim_dial_count(f.sim);
    second = ask(&f);
    assert_string_equal(sim_peer_text(second), sim_peer_text(first));
    assert_int_equal(sim_dial_count(f.sim), dials);

    sim_advance_ms(f.sim, 500); /* the guest answers again */
    engine = sim_take_dialled(f.sim);
    assert_non_null(engine);
    sim_peer_send_text(engine, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    sim_run(f.sim);
    sim_next_dial(f.sim, ST_OK, 0);
    ask(&f);
    assert_int_equal(sim_dial_count(f.sim), dials + 1);
    sim_advance_ms(f.sim, 10000);
    stop(&f);
}

/* ---- an engine that takes connections and is silent -------------------------------------------
 */

static struct sim_dial_answer connects(void *ctx, const struct addr *to)
{
    return (struct sim_dial_answer){ ST_OK, 0 };
}

/* The engine's end of the newest connection that asked with this Host. */
static struct sim_peer *engine_of(struct fixture *f, const char *host)
{
    struct sim_peer *p, *found = NULL;

    sim_run(f->sim);
    while ((p = sim_take_dialled(f->sim)) != NULL)
        if (strstr(sim_peer_text(p), host))
            found = p;
    assert_non_null(found);
    return found;
}

/* A client asks; *engine is the other end. */
static struct sim_peer *asks(struct fixture *f, struct sim_peer **engine)
{
    struct sim_peer *client = ask(f);

    *engine = engine_of(f, "Host: d\r\n");
    return client;
}

/* The guest takes every connection. The probe has just had no answer. */
static void start_silent(struct fixture *f)
{
    start(f);
    sim_on_dial(f->sim, connects, NULL);
    docker_endpoint_set_target(f->endpoint, &f->guest, "vm1", "");
    sim_advance_ms(f->sim, 2000);
    assert_string_equal(reachable(f, HEALTH_NOT_SERVING)->reason, "EngineSilent");
}

static bool is_refused(struct sim_peer *client)
{
    return strstr(sim_peer_text(client), "HTTP/1.1 503 ") != NULL;
}

static uint64_t count(struct fixture *f, const char *name)
{
    static struct health_report report;

    memset(&report, 0, sizeof report);
    docker_endpoint_fill_health(f->endpoint, &report);
    for (unsigned i = 0; i < report.components[0].counter_count; i++)
        if (strcmp(report.components[0].counters[i].name, name) == 0)
            return report.components[0].counters[i].value;
    fail_msg("no counter %s", name);
    return 0;
}

static void a_silent_engine_is_asked_for_a_moment_and_then_the_client_hears_why(void **state)
{
    struct fixture f;
    struct sim_peer *client, *engine;

    start_silent(&f);
    client = asks(&f, &engine);
    sim_advance_ms(f.sim, 499);
    assert_string_equal(sim_peer_text(client), "");
    sim_advance_ms(f.sim, 1);
    assert_true(is_refused(client));
    assert_non_null(
        strstr(sim_peer_text(client),
               "{\"message\":\"rdlink: the docker engine takes connections but does not answer; "
               "in the guest: systemctl status docker\"}"));
    assert_true(sim_peer_is_closed(engine));
    assert_int_equal(count(&f, "refused_silent"), 1);
    assert_int_equal(count(&f, "connections_active"), 0);
    stop(&f);
}

static void a_silent_engine_that_answers_a_client_in_time_serves_it(void **state)
{
    struct fixture f;
    struct sim_peer *client, *engine;

    start_silent(&f);
    client = asks(&f, &engine);
    sim_advance_ms(f.sim, 499);
    sim_peer_send_text(engine, "HTTP/1.1 200 OK\r\n");
    sim_advance_ms(f.sim, 10000);
    sim_peer_send_text(engine, "\r\n");
    sim_peer_end(engine);
    sim_run(f.sim);
    assert_string_equal(sim_peer_text(client), "HTTP/1.1 200 OK\r\n\r\n");
    assert_int_equal(count(&f, "refused_silent"), 0);
    stop(&f);
}

static void who_was_connected_before_the_silence_is_never_cut(void **state)
{
    struct fixture f;
    struct sim_peer *before, *engine;

    start(&f);
    sim_on_dial(f.sim, connects, NULL);
    docker_endpoint_set_target(f.endpoint, &f.guest, "vm1", "");
    before = asks(&f, &engine);
    sim_advance_ms(f.sim, 2000);
    assert_string_equal(reachable(&f, HEALTH_NOT_SERVING)->reason, "EngineSilent");
    sim_advance_ms(f.sim, 100000);
    assert_false(sim_peer_is_closed(engine));
    sim_peer_send_text(engine, "at last");
    sim_peer_end(engine);
    sim_run(f.sim);
    assert_string_equal(sim_peer_text(before), "at last");
    stop(&f);
}

static void the_five_questions_of_a_command_end_within_a_second(void **state)
{
    struct fixture f;
    struct sim_peer *engine;
    uint64_t began;

    start_silent(&f);
    began = sim_now_ms(f.sim);
    for (unsigned i = 0; i < 5; i++) {
        struct sim_peer *client = asks(&f, &engine);

        while (!is_refused(client) && sim_now_ms(f.sim) - began < 5000)
            sim_advance_ms(f.sim, 1);
    }
    assert_true(sim_now_ms(f.sim) - began <= 700);
    stop(&f);
}

static void who_asks_again_and_again_does_not_shorten_everybodys_time(void **state)
{
    struct fixture f;
    struct sim_peer *engine;
    unsigned served = 0;
    uint64_t end;

    start_silent(&f);
    end = sim_now_ms(f.sim) + 10000;
    while (sim_now_ms(f.sim) < end) { /* an engine that needs 300 ms for each, and has no _ping */
        struct sim_peer *client = asks(&f, &engine);

        sim_advance_ms(f.sim, 300);
        if (!is_refused(client)) {
            sim_peer_send_text(engine, "HTTP/1.1 200 OK\r\n\r\n");
            sim_peer_end(engine);
            sim_run(f.sim);
            served++;
        }
    }
    assert_true(served >= 30); /* nobody waited in vain for so long that others would pay */
    stop(&f);
}

static void a_long_wait_in_vain_is_paid_for_by_others_for_a_second_only(void **state)
{
    struct fixture f;
    struct sim_peer *client, *engine;

    start_silent(&f);
    asks(&f, &engine);
    sim_advance_ms(f.sim, 500);
    sim_advance_ms(f.sim, 980);
    client = asks(&f, &engine); /* is refused after that second is over, which renews nothing */
    sim_advance_ms(f.sim, 50);
    assert_true(is_refused(client));
    client = asks(&f, &engine);
    sim_advance_ms(f.sim, 499);
    assert_false(is_refused(client));
    sim_advance_ms(f.sim, 1);
    assert_true(is_refused(client));
    stop(&f);
}

static void one_answer_to_the_probe_ends_it_for_those_who_wait_too(void **state)
{
    struct fixture f;
    struct sim_peer *waits, *later, *engine, *probe;

    start_silent(&f);
    sim_advance_ms(f.sim, 200); /* until it asks again */
    probe = engine_of(&f, "Host: docker\r\n");
    waits = asks(&f, &engine);
    sim_advance_ms(f.sim, 499);
    sim_peer_send_text(probe, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    sim_run(f.sim);
    assert_string_equal(reachable(&f, HEALTH_SERVING)->reason, "EngineAnswers");
    later = asks(&f, &engine);
    sim_advance_ms(f.sim, 1900); /* before the next probe's time is over */
    assert_string_equal(sim_peer_text(waits), "");
    assert_string_equal(sim_peer_text(later), "");
    assert_int_equal(count(&f, "refused_silent"), 0);
    stop(&f);
}

static void another_guest_begins_without_the_silence_of_the_last(void **state)
{
    struct fixture f;
    struct sim_peer *client, *engine;
    struct addr other;

    start_silent(&f);
    assert_int_equal(addr_parse(&other, "vsock:4:6660", NULL), ST_OK);
    docker_endpoint_set_target(f.endpoint, &other, "vm2", "");
    client = asks(&f, &engine);
    sim_advance_ms(f.sim, 1500);
    assert_string_equal(sim_peer_text(client), "");
    stop(&f);
}

static void drain_ends_with_the_last_connection(void **state)
{
    struct fixture f;
    struct sim_peer *client, *engine;

    start(&f);
    docker_endpoint_set_target(f.endpoint, &f.guest, "vm1", "");
    sim_run(f.sim);
    sim_next_dial(f.sim, ST_OK, 0);
    client = sim_connect(f.sim, &f.at, &sim_local_peer);
    sim_run(f.sim);
    engine = sim_take_dialled(f.sim);
    docker_endpoint_drain(f.endpoint);
    sim_advance_ms(f.sim, 1000);
    assert_int_equal(f.drained, 0);
    assert_null(sim_connect(f.sim, &f.at, &sim_local_peer));
    assert_string_equal(listening(&f)->reason, "Draining");
    assert_int_equal(listening(&f)->status, COND_FALSE);
    sim_peer_end(client);
    sim_peer_end(engine);
    sim_run(f.sim);
    assert_int_equal(f.drained, 1);
    stop(&f);
}

static void listener_trouble_is_a_condition(void **state)
{
    struct fixture f;

    start(&f);
    f.changes = 0;
    sim_listener_report(f.sim, &f.at, ST_NOFILES, "no descriptor left");
    sim_run(f.sim);
    assert_int_equal(f.changes, 1);
    assert_string_equal(listening(&f)->reason, "OutOfDescriptors");
    sim_listener_report(f.sim, &f.at, ST_OK, "");
    sim_run(f.sim);
    assert_int_equal(f.changes, 2);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_hear_why_while_there_is_no_guest),
        cmocka_unit_test(docker_is_reachable_once_it_has_answered),
        cmocka_unit_test(clients_bytes_reach_the_guest_and_back),
        cmocka_unit_test(a_failed_dial_makes_docker_be_asked_at_once),
        cmocka_unit_test(one_dial_that_times_out_spares_other_clients_the_wait),
        cmocka_unit_test(a_silent_engine_is_asked_for_a_moment_and_then_the_client_hears_why),
        cmocka_unit_test(a_silent_engine_that_answers_a_client_in_time_serves_it),
        cmocka_unit_test(who_was_connected_before_the_silence_is_never_cut),
        cmocka_unit_test(the_five_questions_of_a_command_end_within_a_second),
        cmocka_unit_test(who_asks_again_and_again_does_not_shorten_everybodys_time),
        cmocka_unit_test(a_long_wait_in_vain_is_paid_for_by_others_for_a_second_only),
        cmocka_unit_test(one_answer_to_the_probe_ends_it_for_those_who_wait_too),
        cmocka_unit_test(another_guest_begins_without_the_silence_of_the_last),
        cmocka_unit_test(drain_ends_with_the_last_connection),
        cmocka_unit_test(listener_trouble_is_a_condition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
