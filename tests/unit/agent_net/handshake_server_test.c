/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "guestagent/net/handshake_server.h"
#include "port/addr.h"
#include "port/sim/stream_sim.h"

#include <stdlib.h>
#include <string.h>

static const char signature_a[] = "github.com/rancher-sandbox/rancher-desktop/src/go/networking";
static const char signature_b[] =
    "github.com/rancher-sandbox/rancher-desktop-opensuse/src/go/networking";

struct fixture {
    struct sim *sim;
    struct addr at;
    struct handshake_server *server;
    unsigned readies;
    bool frees; /* the owner frees the server when it is told */
};

static void on_ready(void *ctx, enum rancher_generation generation)
{
    struct fixture *f = ctx;

    assert_int_equal(generation, RANCHER_A);
    f->readies++;
    if (f->frees) {
        handshake_server_free(f->server);
        f->server = NULL;
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->sim = sim_new();
    addr_parse(&f->at, "vsock:6669", NULL);
    assert_int_equal(handshake_server_new(&f->server, sim_loop(f->sim), RANCHER_A, &f->at, on_ready,
                                          f, NULL),
                     ST_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    handshake_server_free(f->server);
    sim_free(f->sim);
    free(f);
    return 0;
}

static struct sim_peer *host(struct fixture *f)
{
    struct sim_peer *p = sim_connect(f->sim, &f->at, &sim_host_peer);

    sim_run(f->sim);
    return p;
}

static void the_signature_comes_at_once_and_whole(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(strlen(signature_a), 60);
    assert_string_equal(sim_peer_text(host(f)), signature_a);
}

static void generation_b_has_a_phrase_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct handshake_server *b;
    struct addr at;
    struct sim_peer *p;

    addr_parse(&at, "vsock:6670", NULL);
    assert_int_equal(handshake_server_new(&b, sim_loop(f->sim), RANCHER_B, &at, on_ready, f, NULL),
                     ST_OK);
    p = sim_connect(f->sim, &at, &sim_host_peer);
    sim_run(f->sim);
    assert_int_equal(strlen(signature_b), 69);
    assert_string_equal(sim_peer_text(p), signature_b);
    handshake_server_free(b);
}

static void a_probe_hangs_up_and_is_counted(void **state)
{
    struct fixture *f = *state;

    sim_peer_end(host(f));
    sim_peer_reset(host(f), ST_RESET);
    sim_run(f->sim);
    assert_int_equal(handshake_server_stats(f->server)->probes, 2);
    assert_int_equal(f->readies, 0);
    assert_int_equal(sim_open_streams(f->sim), 0);
}

static void ready_is_heard_in_any_pieces_and_the_listener_stays(void **state)
{
    struct fixture *f = *state;

    for (size_t piece = 1; piece <= 5; piece++) {
        struct sim_peer *p = host(f);

        sim_peer_set_piece(p, piece);
        sim_peer_send_text(p, "READY");
        sim_peer_end(p);
        sim_run(f->sim);
        assert_int_equal(f->readies, piece);
        assert_true(sim_peer_is_closed(p));
    }
    assert_true(sim_is_listening(f->sim, &f->at));
    assert_int_equal(handshake_server_stats(f->server)->readies, 5);
}

static void five_other_bytes_are_not_ready(void **state)
{
    static const char *const words[] = { "ready", "READX", "HELLO", "READ\n" };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        struct sim_peer *p = host(f);

        sim_peer_send_text(p, words[i]);
        sim_run(f->sim);
        assert_true(sim_peer_is_closed(p));
    }
    assert_int_equal(f->readies, 0);
    assert_int_equal(handshake_server_stats(f->server)->wrong, ARRAY_SIZE(words));
}

static void a_silent_peer_blocks_nobody_and_goes_after_five_seconds(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *silent = host(f), *slow = host(f), *good;

    sim_peer_send_text(slow, "REA");
    good = host(f);
    sim_peer_send_text(good, "READY");
    sim_run(f->sim);
    assert_int_equal(f->readies, 1);
    sim_advance_ms(f->sim, 4999);
    assert_false(sim_peer_is_closed(silent));
    sim_advance_ms(f->sim, 1);
    assert_true(sim_peer_is_closed(silent) && sim_peer_is_closed(slow));
    assert_int_equal(handshake_server_stats(f->server)->timeouts, 2);
}

static void the_ninth_conversation_ends_the_oldest(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p[9];

    for (size_t i = 0; i < ARRAY_SIZE(p); i++)
        p[i] = host(f);
    assert_true(sim_peer_is_closed(p[0]));
    for (size_t i = 1; i < ARRAY_SIZE(p); i++)
        assert_false(sim_peer_is_closed(p[i]));
    sim_peer_send_text(p[8], "READY");
    sim_run(f->sim);
    assert_int_equal(f->readies, 1);
}

static void nobody_but_the_host_hears_a_word(void **state)
{
    static const uint32_t cids[] = { 0, 1, 3, 77 };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(cids); i++) {
        struct peer other = sim_vsock_peer(cids[i]);
        struct sim_peer *p = sim_connect(f->sim, &f->at, &other);

        sim_peer_send_text(p, "READY");
        sim_run(f->sim);
        assert_true(sim_peer_is_closed(p));
        assert_string_equal(sim_peer_text(p), "");
    }
    assert_int_equal(f->readies, 0);
    assert_int_equal(handshake_server_stats(f->server)->rejected, ARRAY_SIZE(cids));
}

static void the_owner_may_free_it_when_it_is_told(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p = host(f);

    f->frees = true;
    sim_peer_send_text(p, "READY, and more");
    sim_run(f->sim);
    assert_int_equal(f->readies, 1);
    assert_null(f->server);
}

static void a_port_that_is_taken_is_said(void **state)
{
    struct fixture *f = *state;
    struct handshake_server *second;
    struct errmsg e = { "" };

    sim_next_listen_fails(f->sim, ST_EXISTS);
    assert_int_equal(handshake_server_new(&second, sim_loop(f->sim), RANCHER_B, &f->at, on_ready, f,
                                          &e),
                     ST_EXISTS);
    assert_non_null(strstr(e.text, "handshake B"));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(the_signature_comes_at_once_and_whole),
        WITH_FIXTURE(generation_b_has_a_phrase_of_its_own),
        WITH_FIXTURE(a_probe_hangs_up_and_is_counted),
        WITH_FIXTURE(ready_is_heard_in_any_pieces_and_the_listener_stays),
        WITH_FIXTURE(five_other_bytes_are_not_ready),
        WITH_FIXTURE(a_silent_peer_blocks_nobody_and_goes_after_five_seconds),
        WITH_FIXTURE(the_ninth_conversation_ends_the_oldest),
        WITH_FIXTURE(nobody_but_the_host_hears_a_word),
        WITH_FIXTURE(the_owner_may_free_it_when_it_is_told),
        WITH_FIXTURE(a_port_that_is_taken_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
