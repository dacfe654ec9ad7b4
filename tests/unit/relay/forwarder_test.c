/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "port/addr.h"
#include "port/sim/stream_sim.h"
#include "relay/forwarder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

/* Counts down; the allocation that finds 1 fails. 0 = none. */
static unsigned fail_calloc_in;

void *__wrap_calloc(size_t n, size_t size)
{
    if (fail_calloc_in && --fail_calloc_in == 0)
        return NULL;
    return __real_calloc(n, size);
}

struct fixture {
    struct sim *sim;
    struct forwarder *fwd;
    struct addr at, to;
    enum status target; /* what target() says */
    unsigned dials_ok, dials_failed, drained;
    enum status last_dial, last_listener;
    char listener_text[64];
    uint32_t patience_ms;     /* what patience_ms() says */
    bool silence_is_excused;  /* what on_silence() says */
    uint32_t last_silence_ms; /* what it was told */
};

static enum status admit(void *ctx, const struct peer *peer)
{
    if (peer->is_vsock && !(peer->has_cid && peer->cid == ADDR_CID_HOST))
        return ST_DENIED;
    return ST_OK;
}

static enum status target(void *ctx, struct addr *to, struct errmsg *why)
{
    struct fixture *f = ctx;

    *to = f->to;
    if (f->target)
        errmsg_set(why, "no guest is up");
    return f->target;
}

static void on_dial(void *ctx, enum status st, const struct errmsg *why)
{
    struct fixture *f = ctx;

    f->last_dial = st;
    if (st)
        f->dials_failed++;
    else
        f->dials_ok++;
}

static void on_listener(void *ctx, enum status st, const struct errmsg *why)
{
    struct fixture *f = ctx;

    f->last_listener = st;
    snprintf(f->listener_text, sizeof f->listener_text, "%s", why->text);
}

static uint32_t patience_ms(void *ctx)
{
    return ((struct fixture *)ctx)->patience_ms;
}

static bool on_silence(void *ctx, uint32_t waited_ms, struct errmsg *why)
{
    struct fixture *f = ctx;

    f->last_silence_ms = waited_ms;
    errmsg_set(why, "the engine is silent");
    return !f->silence_is_excused;
}

static void on_drained(void *ctx)
{
    struct fixture *f = ctx;

    f->drained++;
}

static const struct forwarder_ops ops = {
    .admit = admit,
    .target = target,
    .on_dial = on_dial,
    .patience_ms = patience_ms,
    .on_silence = on_silence,
    .on_listener = on_listener,
    .on_drained = on_drained,
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct forwarder_config config = { .max_connections = 4, .dial_timeout_ms = 800 };
    const struct listener_opts opts = { .adopt_fd = -1 };

    f->sim = sim_new();
    assert_int_equal(addr_parse(&f->at, "vsock:6660", NULL), ST_OK);
    assert_int_equal(addr_parse(&f->to, "unix:/var/run/docker.sock", NULL), ST_OK);
    assert_int_equal(forwarder_new(&f->fwd, sim_loop(f->sim), &config, &ops, f, NULL), ST_OK);
    assert_int_equal(forwarder_listen(f->fwd, &f->at, &opts, NULL), ST_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fail_calloc_in = 0;
    forwarder_free(f->fwd);
    sim_free(f->sim);
    free(f);
    return 0;
}

static struct sim_peer *client(struct fixture *f)
{
    struct sim_peer *p = sim_connect(f->sim, &f->at, &sim_host_peer);

    assert_non_null(p);
    sim_run(f->sim);
    return p;
}

/* Until the next call. */
static const struct forwarder_stats *stats(struct fixture *f)
{
    static struct forwarder_stats now;

    now = forwarder_get_stats(f->fwd);
    return &now;
}

/* The client asks and is told why not. */
static void assert_refused(struct fixture *f, struct sim_peer *p, const char *why)
{
    sim_peer_send_text(p, "GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
    sim_peer_end(p);
    sim_run(f->sim);
    assert_non_null(strstr(sim_peer_text(p), "HTTP/1.1 503 "));
    if (!strstr(sim_peer_text(p), why))
        fail_msg("not said: %s, but: %s", why, sim_peer_text(p));
    assert_true(sim_peer_is_closed(p));
    assert_false(sim_peer_saw_reset(p));
}

static void a_connection_is_relayed_and_counted(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *c, *engine;

    sim_next_dial(f->sim, ST_OK, 0);
    c = client(f);
    engine = sim_take_dialled_to(f->sim, &f->to);
    assert_non_null(engine);
    assert_int_equal(stats(f)->active, 1);
    sim_peer_send_text(c, "request");
    sim_peer_send_text(engine, "the response");
    sim_run(f->sim);
    assert_int_equal(stats(f)->bytes_to_target, 7); /* told while it goes on */
    assert_int_equal(stats(f)->bytes_from_target, 12);
    sim_peer_end(c);
    sim_peer_end(engine);
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(engine), "request");
    assert_string_equal(sim_peer_text(c), "the response");
    assert_int_equal(stats(f)->active, 0);
    assert_int_equal(stats(f)->accepted, 1);
    assert_int_equal(stats(f)->completed, 1);
    assert_int_equal(stats(f)->bytes_to_target, 7);
    assert_int_equal(stats(f)->bytes_from_target, 12);
    assert_int_equal(f->dials_ok, 1);
}

static void only_the_host_is_admitted_and_nobody_else_causes_a_dial(void **state)
{
    static const struct {
        const char *name;
        struct peer peer;
        bool admitted;
    } rows[] = {
        { "CID 0, hypervisor", { .is_vsock = true, .has_cid = true, .cid = 0 }, false },
        { "CID 1, loopback", { .is_vsock = true, .has_cid = true, .cid = 1 }, false },
        { "CID 2, host", { .is_vsock = true, .has_cid = true, .cid = 2 }, true },
        { "CID 3, a guest", { .is_vsock = true, .has_cid = true, .cid = 3 }, false },
        { "CID ANY", { .is_vsock = true, .has_cid = true, .cid = UINT32_MAX }, false },
        { "no address", { .is_vsock = true, .has_cid = false, .cid = 2 }, false },
        { "unix socket", { .has_pid = true, .pid = 1 }, true },
    };
    struct fixture *f = *state;
    unsigned admitted = 0, rejected = 0;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sim_peer *p = sim_connect(f->sim, &f->at, &rows[i].peer);

        print_message("row: %s\n", rows[i].name);
        sim_next_dial(f->sim, ST_OK, 0);
        sim_peer_send_text(p, "GET / HTTP/1.1\r\n\r\n");
        sim_run(f->sim);
        admitted += rows[i].admitted;
        rejected += !rows[i].admitted;
        assert_int_equal(sim_dial_count(f->sim), admitted);
        assert_int_equal(sim_peer_is_closed(p), !rows[i].admitted);
        assert_int_equal(stats(f)->rejected_peers, rejected);
        assert_string_equal(sim_peer_text(p), "");
    }
}

static void the_client_is_not_read_while_it_is_dialled_for(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *c;

    sim_next_dial(f->sim, ST_OK, 500);
    c = client(f);
    sim_peer_send_text(c, "early bytes");
    sim_advance_ms(f->sim, 499);
    assert_false(sim_peer_is_read(c));
    assert_int_equal(sim_peer_undelivered(c), 11);
    sim_advance_ms(f->sim, 1);
    assert_string_equal(sim_peer_text(sim_take_dialled(f->sim)), "early bytes");
}

static void one_client_too_many_is_refused_while_the_others_go_on(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *last = NULL, *engine = NULL;

    for (int i = 0; i < 4; i++) {
        sim_next_dial(f->sim, ST_OK, 0);
        last = client(f);
        engine = sim_take_dialled(f->sim);
    }
    assert_refused(f, client(f), "the limit of 4 is reached");
    assert_int_equal(sim_dial_count(f->sim), 4);
    assert_int_equal(stats(f)->refused_full, 1);
    assert_int_equal(stats(f)->accepted, 4);
    sim_peer_end(last);
    sim_peer_end(engine);
    sim_run(f->sim);
    sim_next_dial(f->sim, ST_OK, 0);
    client(f);
    assert_int_equal(stats(f)->accepted, 5);
}

static void too_many_refusals_at_a_time_are_closed_without_a_word(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p[300];
    unsigned closed = 0;

    f->target = ST_UNREACHABLE;
    for (size_t i = 0; i < ARRAY_SIZE(p); i++)
        p[i] = client(f);
    for (size_t i = 0; i < ARRAY_SIZE(p); i++)
        closed += sim_peer_is_closed(p[i]);
    assert_int_equal(closed, ARRAY_SIZE(p) - 256);
    assert_int_equal(stats(f)->active, 256);
    assert_int_equal(stats(f)->refused_target, ARRAY_SIZE(p));
    assert_refused(f, p[0], "no guest is up");
    assert_int_equal(stats(f)->active, 255);
}

static void without_a_target_the_client_hears_the_reason_and_nothing_is_dialled(void **state)
{
    struct fixture *f = *state;

    f->target = ST_UNREACHABLE;
    assert_refused(f, client(f), "no guest is up");
    assert_int_equal(sim_dial_count(f->sim), 0);
    assert_int_equal(stats(f)->refused_target, 1);
    assert_int_equal(stats(f)->active, 0);
}

static void a_dial_that_never_answers_is_refused_in_time(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *c;

    sim_next_dial(f->sim, ST_OK, SIM_NEVER);
    c = client(f);
    sim_advance_ms(f->sim, 799);
    assert_int_equal(f->dials_failed, 0);
    sim_advance_ms(f->sim, 1);
    assert_int_equal(f->dials_failed, 1);
    assert_int_equal(f->last_dial, ST_TIMEOUT);
    assert_refused(f, c, "timed out");
    assert_int_equal(sim_dial_count(f->sim), 1);
}

static void a_refused_dial_is_tried_once_more_within_the_budget(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *c;

    sim_next_dial(f->sim, ST_REFUSED, 0);
    sim_next_dial(f->sim, ST_OK, 0);
    client(f);
    assert_int_equal(sim_dial_count(f->sim), 1);
    sim_advance_ms(f->sim, 100);
    assert_int_equal(sim_dial_count(f->sim), 2);
    assert_int_equal(f->dials_failed, 0);
    assert_int_equal(f->dials_ok, 1);

    sim_next_dial(f->sim, ST_RESET, 0);
    sim_next_dial(f->sim, ST_REFUSED, 0);
    sim_next_dial(f->sim, ST_OK, 0);
    c = client(f);
    sim_advance_ms(f->sim, 800);
    assert_int_equal(sim_dial_count(f->sim), 4);
    assert_int_equal(f->dials_failed, 1);
    assert_refused(f, c, "connection refused");
}

static void other_failures_are_not_tried_again(void **state)
{
    static const struct {
        enum status st;
        uint64_t delay_ms;
    } rows[] = { { ST_NOTFOUND, 0 }, { ST_DENIED, 0 }, { ST_REFUSED, 51 }, { ST_NOFILES, 0 } };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sim_peer *c;

        sim_next_dial(f->sim, rows[i].st, rows[i].delay_ms);
        c = client(f);
        sim_advance_ms(f->sim, rows[i].delay_ms);
        assert_int_equal(f->dials_failed, i + 1);
        assert_refused(f, c, status_text(rows[i].st));
        assert_int_equal(sim_dial_count(f->sim), i + 1);
    }
}

static void a_dial_that_cannot_even_start_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *c;

    sim_next_dial_start_fails(f->sim, ST_NOFILES);
    c = client(f);
    assert_int_equal(f->last_dial, ST_NOFILES);
    assert_refused(f, c, "out of descriptors");
}

static void a_client_that_dies_at_any_stage_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *dialling, *relaying, *refusing;

    sim_next_dial(f->sim, ST_OK, 300);
    dialling = client(f);
    sim_peer_reset(dialling, ST_RESET);
    sim_next_dial(f->sim, ST_OK, 0);
    relaying = client(f);
    sim_peer_reset(relaying, ST_RESET);
    f->target = ST_UNREACHABLE;
    refusing = client(f);
    sim_peer_reset(refusing, ST_RESET);
    sim_advance_ms(f->sim, 300);
    assert_int_equal(stats(f)->active, 0);
    assert_int_equal(sim_open_streams(f->sim), 0);
}

static void drain_waits_for_every_connection_and_tells_once(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *c, *engine, *refused;

    sim_next_dial(f->sim, ST_OK, 0);
    c = client(f);
    engine = sim_take_dialled(f->sim);
    f->target = ST_UNREACHABLE;
    refused = client(f);
    forwarder_drain(f->fwd);
    assert_false(sim_is_listening(f->sim, &f->at));
    assert_refused(f, refused, "no guest is up");
    sim_peer_send_text(c, "still served");
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(engine), "still served");
    assert_int_equal(f->drained, 0);
    sim_peer_end(c);
    sim_peer_end(engine);
    sim_run(f->sim);
    assert_int_equal(f->drained, 1);
    sim_advance_ms(f->sim, 10000);
    assert_int_equal(f->drained, 1);
}

static void draining_nothing_is_told_from_the_loop(void **state)
{
    struct fixture *f = *state;

    forwarder_drain(f->fwd);
    assert_int_equal(f->drained, 0);
    sim_run(f->sim);
    assert_int_equal(f->drained, 1);
}

static void freeing_cuts_connections_in_every_state(void **state)
{
    struct fixture *f = *state;

    sim_next_dial(f->sim, ST_OK, 500);
    client(f);
    sim_next_dial(f->sim, ST_REFUSED, 0);
    client(f);
    sim_next_dial(f->sim, ST_OK, 0);
    client(f);
    f->target = ST_UNREACHABLE;
    client(f);
    assert_int_equal(stats(f)->active, 4);
    forwarder_free(f->fwd);
    f->fwd = NULL;
    assert_int_equal(sim_open_streams(f->sim), 0);
    assert_int_equal(sim_dials_pending(f->sim), 0);
}

static void an_allocation_that_fails_costs_one_client_and_leaks_nothing(void **state)
{
    struct fixture *f = *state;

    f->target = ST_UNREACHABLE;
    for (unsigned nth = 1; nth <= 3; nth++) { /* the connection, its refusal, the reader */
        struct sim_peer *p = sim_connect(f->sim, &f->at, &sim_host_peer);

        fail_calloc_in = nth;
        sim_run(f->sim);
        assert_int_equal(fail_calloc_in, 0);
        assert_true(sim_peer_is_closed(p));
        assert_int_equal(stats(f)->active, 0);
    }
    assert_refused(f, client(f), "no guest is up");
}

static void a_forwarder_without_memory_is_a_status(void **state)
{
    struct fixture *f = *state;
    const struct forwarder_config config = { 0 };
    struct forwarder *second = NULL;

    fail_calloc_in = 1;
    assert_int_equal(forwarder_new(&second, sim_loop(f->sim), &config, &ops, f, NULL), ST_NOMEM);
    assert_null(second);
}

static void a_client_hears_of_it_although_the_computer_slept_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *c;

    sim_next_dial(f->sim, ST_REFUSED, 0);
    c = client(f); /* will be tried again in a moment */
    sim_next_dial(f->sim, ST_OK, SIM_NEVER);
    sim_stall_ms(f->sim, 60000);
    sim_advance_ms(f->sim, 1000);
    assert_refused(f, c, "cannot reach the docker engine");
}

/* ---- a target that says nothing ---------------------------------------------------------- */

/* A client whose target must speak within 600 ms. */
static struct sim_peer *timed_client(struct fixture *f, struct sim_peer **engine)
{
    struct sim_peer *c;

    f->patience_ms = 600;
    sim_next_dial(f->sim, ST_OK, 0);
    c = client(f);
    *engine = sim_take_dialled_to(f->sim, &f->to);
    assert_non_null(*engine);
    return c;
}

static void who_asks_a_silent_target_is_told_and_both_ends_are_let_go(void **state)
{
    static const struct {
        const char *name, *request;
        bool answered, has_body;
    } rows[] = {
        { "GET", "GET / HTTP/1.1\r\nHost: d\r\n\r\n", true, true },
        { "HEAD", "HEAD /_ping HTTP/1.1\r\nHost: d\r\n\r\n", true, false },
        { "half an upload",
          "POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 9000\r\n\r\nand so on", true,
          true },
        { "not HTTP", "\x16\x03\x01 hello\r\n\r\n", false, false },
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sim_peer *engine, *c = timed_client(f, &engine);

        print_message("row: %s\n", rows[i].name);
        sim_peer_send_text(c, rows[i].request);
        sim_advance_ms(f->sim, 599);
        assert_string_equal(sim_peer_text(engine), rows[i].request);
        assert_string_equal(sim_peer_text(c), "");
        sim_advance_ms(f->sim, 1);
        assert_true(sim_peer_is_closed(engine));
        assert_int_equal(!!strstr(sim_peer_text(c), "HTTP/1.1 503 "), rows[i].answered);
        assert_int_equal(!!strstr(sim_peer_text(c), "{\"message\":\"the engine is silent\"}"),
                         rows[i].has_body);
        assert_true(sim_peer_saw_end(c));
        sim_peer_send_text(c, "the rest of a body");
        sim_peer_end(c);
        sim_run(f->sim);
        assert_true(sim_peer_is_closed(c));
        assert_int_equal(stats(f)->refused_silent, i + 1);
        assert_int_equal(stats(f)->active, 0);
    }
    assert_int_equal(f->last_silence_ms, 600);
    assert_int_equal(stats(f)->broken, 0);
}

static void a_silence_that_is_excused_is_waited_for_as_long_as_it_takes(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *engine, *c = timed_client(f, &engine);

    f->silence_is_excused = true;
    sim_peer_send_text(c, "POST /wait");
    sim_advance_ms(f->sim, 600);
    assert_int_equal(f->last_silence_ms, 600);
    f->silence_is_excused = false;
    sim_advance_ms(f->sim, 1000000);
    sim_peer_send_text(engine, "exited");
    sim_run(f->sim);
    assert_string_equal(sim_peer_text(c), "exited");
    assert_int_equal(stats(f)->refused_silent, 0);
}

static void a_connection_that_stood_before_is_not_timed(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *engine, *c;

    sim_next_dial(f->sim, ST_OK, 0);
    c = client(f);
    f->patience_ms = 600;
    engine = sim_take_dialled_to(f->sim, &f->to);
    sim_peer_send_text(c, "POST /wait");
    sim_advance_ms(f->sim, 1000000);
    assert_false(sim_peer_is_closed(engine));
    assert_int_equal(f->last_silence_ms, 0);
}

static void whatever_ends_a_timed_connection_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *engine, *c = timed_client(f, &engine);

    sim_peer_send_text(c, "GET");
    sim_run(f->sim);
    sim_peer_reset(c, ST_RESET);
    sim_run(f->sim);
    assert_int_equal(stats(f)->active, 0);
    c = timed_client(f, &engine);
    sim_peer_send_text(c, "GET");
    sim_advance_ms(f->sim, 599);
    sim_peer_end(engine);
    sim_peer_end(c);
    sim_advance_ms(f->sim, 1000);
    assert_int_equal(stats(f)->completed, 1);
    c = timed_client(f, &engine);
    sim_peer_send_text(c, "GET");
    sim_advance_ms(f->sim, 300); /* the forwarder goes while it is timed */
    assert_int_equal(f->last_silence_ms, 0);
}

static void a_request_that_cannot_be_put_back_is_cut(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *engine, *c = timed_client(f, &engine);

    sim_peer_send_text(c, "GET");
    sim_peer_next_unread_fails(c, ST_NOMEM);
    sim_advance_ms(f->sim, 600);
    assert_true(sim_peer_is_closed(c) && sim_peer_is_closed(engine));
    assert_int_equal(stats(f)->active, 0);
}

static void without_memory_to_time_it_a_client_just_waits(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *c;

    f->patience_ms = 600;
    sim_next_dial(f->sim, ST_OK, 1);
    c = client(f);
    fail_calloc_in = 2; /* the first is the simulator's, for the engine's end */
    sim_advance_ms(f->sim, 1);
    assert_int_equal(fail_calloc_in, 0);
    sim_peer_send_text(c, "GET");
    sim_advance_ms(f->sim, 10000);
    assert_int_equal(f->last_silence_ms, 0);
    assert_string_equal(sim_peer_text(sim_take_dialled_to(f->sim, &f->to)), "GET");
}

static void listener_states_and_counts_are_passed_on(void **state)
{
    struct fixture *f = *state;
    const struct listener_opts opts = { .adopt_fd = -1 };
    struct listener_stats sum;
    struct addr other;

    assert_int_equal(addr_parse(&other, "unix:/run/other.sock", NULL), ST_OK);
    sim_next_listen_fails(f->sim, ST_DENIED);
    assert_int_equal(forwarder_listen(f->fwd, &other, &opts, NULL), ST_DENIED);
    assert_int_equal(forwarder_listen(f->fwd, &other, &opts, NULL), ST_OK);
    assert_int_equal(forwarder_listen(f->fwd, &other, &opts, NULL), ST_EXISTS);
    sim_listener_report(f->sim, &other, ST_NOFILES, "out of descriptors");
    assert_int_equal(f->last_listener, ST_NOFILES);
    f->target = ST_UNREACHABLE;
    client(f);
    sim_connect(f->sim, &other, &sim_local_peer);
    sim_run(f->sim);
    forwarder_get_listener_stats(f->fwd, &sum);
    assert_int_equal(sum.accepted, 2);
    forwarder_stop_listening(f->fwd);
    forwarder_get_listener_stats(f->fwd, &sum);
    assert_int_equal(sum.accepted, 2);
}

static void one_listener_that_is_well_does_not_hide_one_that_is_not(void **state)
{
    struct fixture *f = *state;
    const struct listener_opts opts = { .adopt_fd = -1 };
    struct addr other;

    assert_int_equal(addr_parse(&other, "unix:/run/other.sock", NULL), ST_OK);
    assert_int_equal(forwarder_listen(f->fwd, &other, &opts, NULL), ST_OK);
    sim_listener_report(f->sim, &other, ST_IO, "gone");
    sim_listener_report(f->sim, &f->at, ST_NOFILES, "out of descriptors");
    sim_listener_report(f->sim, &f->at, ST_OK, "accepting");
    assert_int_equal(f->last_listener, ST_IO);
    assert_string_equal(f->listener_text, "gone");
    sim_listener_report(f->sim, &other, ST_OK, "accepting");
    assert_int_equal(f->last_listener, ST_OK);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(a_connection_is_relayed_and_counted),
        WITH_FIXTURE(only_the_host_is_admitted_and_nobody_else_causes_a_dial),
        WITH_FIXTURE(the_client_is_not_read_while_it_is_dialled_for),
        WITH_FIXTURE(one_client_too_many_is_refused_while_the_others_go_on),
        WITH_FIXTURE(too_many_refusals_at_a_time_are_closed_without_a_word),
        WITH_FIXTURE(without_a_target_the_client_hears_the_reason_and_nothing_is_dialled),
        WITH_FIXTURE(a_dial_that_never_answers_is_refused_in_time),
        WITH_FIXTURE(a_refused_dial_is_tried_once_more_within_the_budget),
        WITH_FIXTURE(other_failures_are_not_tried_again),
        WITH_FIXTURE(a_dial_that_cannot_even_start_is_refused),
        WITH_FIXTURE(a_client_that_dies_at_any_stage_leaves_nothing),
        WITH_FIXTURE(drain_waits_for_every_connection_and_tells_once),
        WITH_FIXTURE(draining_nothing_is_told_from_the_loop),
        WITH_FIXTURE(freeing_cuts_connections_in_every_state),
        WITH_FIXTURE(an_allocation_that_fails_costs_one_client_and_leaks_nothing),
        WITH_FIXTURE(a_forwarder_without_memory_is_a_status),
        WITH_FIXTURE(a_client_hears_of_it_although_the_computer_slept_meanwhile),
        WITH_FIXTURE(who_asks_a_silent_target_is_told_and_both_ends_are_let_go),
        WITH_FIXTURE(a_silence_that_is_excused_is_waited_for_as_long_as_it_takes),
        WITH_FIXTURE(a_connection_that_stood_before_is_not_timed),
        WITH_FIXTURE(whatever_ends_a_timed_connection_leaves_nothing),
        WITH_FIXTURE(a_request_that_cannot_be_put_back_is_cut),
        WITH_FIXTURE(without_memory_to_time_it_a_client_just_waits),
        WITH_FIXTURE(listener_states_and_counts_are_passed_on),
        WITH_FIXTURE(one_listener_that_is_well_does_not_hide_one_that_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
