/* SPDX-License-Identifier: Apache-2.0
 * network_worker_test.c - the switch worker's life, its links, tokens, and what it watches.
 */
#include "unit/network/network_worker_case.h"

#include "link/link_token.h"
#include "network/link_watch.h"
#include "network/subnet_watch.h"
#include "support/alloc_fail.h"
#include "switch/switch.h"

#include <string.h>

/* ---- life ---------------------------------------------------------------------------------- */

static void it_is_ready_when_it_listens(void **state)
{
    struct fixture f;

    start_silent(&f, NULL);
    sim_run(f.sim);
    assert_false(sim_is_listening(f.sim, &f.at)); /* not before somebody could hear of a failure */
    stop(&f);
    start(&f, NULL);
    assert_true(sim_is_listening(f.sim, &f.at));
    hear(&f);
    assert_int_equal(f.readies, 1);
    assert_condition(&f, "LinkUp", COND_FALSE, "NoLink");
    assert_condition(&f, "NetworkReady", COND_FALSE, "NoLink");
    assert_condition(&f, "SubnetClear", COND_TRUE, "NoOverlap");
    assert_condition(&f, "ForwardsBound", COND_TRUE, "AllBound");
    stop(&f);
}

static void a_data_port_that_is_taken_is_told(void **state)
{
    static const struct {
        enum status st;
        const char *reason;
    } rows[] = { { ST_EXISTS, "DataPortTaken" }, { ST_DENIED, "ListenFailed" } };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct frames hello = { .len_bytes = 0 };
        struct fixture f;

        start_silent(&f, NULL);
        sim_next_listen_fails(f.sim, rows[i].st);
        frames_hello(&hello, 1, RDLINK__V1__ROLE__ROLE_CONTROLLER);
        controller_sends(&f, &hello);
        hear(&f);
        assert_string_equal(f.notice, rows[i].reason);
        assert_int_equal(f.readies, 0);
        assert_int_equal(f.done_code, 1);
        stop(&f);
    }
}

/* It is ready, or it has ended and leaves nothing behind (sim_free() and LeakSanitizer look). */
static void out_of_memory_it_starts_or_ends(void **state)
{
    bool failed = true;

    for (unsigned i = 0; failed; i++) {
        struct frames hello = { .len_bytes = 0 };
        struct fixture f;

        start_silent(&f, "--forward=127.0.0.1:81=192.168.127.2:81");
        frames_hello(&hello, 1, RDLINK__V1__ROLE__ROLE_CONTROLLER);
        alloc_fail_after(i);
        controller_sends(&f, &hello);
        failed = alloc_fail_stop();
        if (f.done_code == -1) {
            sim_advance_ms(f.sim, 1000);
            assert_true(sim_is_listening(f.sim, &f.at));
        } else {
            assert_true(failed);
            assert_int_equal(f.done_code, 1);
        }
        stop(&f);
    }
}

static void wrong_options_are_a_usage_error(void **state)
{
    const char *const words[] = { "--link=nonsense" };
    struct sim *sim = sim_new();
    struct switch_env env = { .loop = sim_loop(sim), .random = fixed_random };
    struct network_worker *worker = NULL;
    struct stream *control;
    struct errmsg e = { "" };

    (void)sim_stream(sim, &control);
    assert_int_equal(network_worker_new(&worker, &env, NULL, control, 1, words, on_done, NULL, &e),
                     ST_INVAL);
    assert_non_null(strstr(e.text, "nonsense"));
    sim_free(sim);
}

static void it_ends_when_it_is_told(void **state)
{
    static const Rdlink__V1__Envelope__BodyCase bodies[] = { RDLINK__V1__ENVELOPE__BODY_DRAIN,
                                                             RDLINK__V1__ENVELOPE__BODY_SHUTDOWN };

    for (unsigned i = 0; i < ARRAY_SIZE(bodies); i++) {
        struct frames msg = { .len_bytes = 0 };
        struct fixture f;

        start(&f, NULL);
        guest_comes_online(&f);
        frames_any(&msg, bodies[i]);
        controller_sends(&f, &msg);
        assert_int_equal(f.done_code, 0);
        stop(&f);
    }
}

static void it_ends_with_its_controller(void **state)
{
    struct fixture f;

    start(&f, NULL);
    sim_peer_end(f.control);
    sim_run(f.sim);
    assert_int_equal(f.done_code, 0);
    stop(&f);
}

static void the_control_socket_is_served(void **state)
{
    struct sim_peer *client;
    struct addr at;
    struct fixture f;

    start(&f, "--control=unix:/run/control.sock");
    assert_int_equal(addr_parse(&at, "unix:/run/control.sock", NULL), ST_OK);
    client = sim_connect(f.sim, &at, &sim_local_peer);
    assert_non_null(client);
    sim_peer_send_text(client, "GET /stats HTTP/1.1\r\nHost: switch\r\n\r\n");
    sim_run(f.sim);
    assert_non_null(strstr(sim_peer_text(client), "BytesSent"));
    stop(&f);
}

/* The control socket is opened first, so that is the one that fails. */
static void a_network_without_a_control_socket_is_one(void **state)
{
    struct frames hello = { .len_bytes = 0 };
    struct fixture f;

    start_silent(&f, "--control=unix:/run/control.sock");
    sim_next_listen_fails(f.sim, ST_DENIED);
    frames_hello(&hello, 1, RDLINK__V1__ROLE__ROLE_CONTROLLER);
    controller_sends(&f, &hello);
    assert_true(sim_is_listening(f.sim, &f.at));
    hear(&f);
    assert_int_equal(f.readies, 1);
    stop(&f);
}

/* ---- links --------------------------------------------------------------------------------- */

static void a_link_is_told_at_once(void **state)
{
    struct fixture f;

    start(&f, NULL);
    guest_connects(&f);
    assert_condition(&f, "LinkUp", COND_TRUE, "Linked");
    assert_condition(&f, "NetworkReady", COND_FALSE, "NoAddress");
    assert_int_equal(counter(&f, "links"), 1);
    sim_peer_reset(f.guest, ST_RESET);
    sim_run(f.sim);
    assert_condition(&f, "LinkUp", COND_FALSE, "LinkLost");
    assert_condition(&f, "NetworkReady", COND_FALSE, "NoLink");
    stop(&f);
}

static void a_guest_that_answers_is_online_within_a_tenth_of_a_second(void **state)
{
    struct fixture f;

    start(&f, NULL);
    guest_connects(&f);
    guest_answers_arp(&f); /* to the question that every new link gets */
    sim_advance_ms(f.sim, 100);
    assert_condition(&f, "NetworkReady", COND_TRUE, "GuestOnline");
    assert_non_null(strstr(condition(&f, "NetworkReady")->message, "192.168.127.2"));
    assert_int_equal(f.health.components[0].state, HEALTH_SERVING);
    assert_true(counter(&f, "rx_frames") >= 1);
    stop(&f);
}

static void another_guest_is_not_taken(void **state)
{
    struct peer stranger = sim_vsock_peer(GUEST_CID + 1);
    struct sim_peer *peer;
    struct fixture f;

    start(&f, NULL);
    peer = sim_connect(f.sim, &f.at, &stranger);
    sim_run(f.sim);
    assert_true(sim_peer_is_closed(peer));
    assert_condition(&f, "LinkUp", COND_FALSE, "NoLink");
    stop(&f);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static const struct link_token first_token = { { 1 } }, second_token = { { 2 } };

/* NULL: from now on without. @len_bytes of it. */
static void controller_sends_token(struct fixture *f, const struct link_token *token,
                                   size_t len_bytes)
{
    struct link_token copy = token ? *token : (struct link_token){ { 0 } };
    Rdlink__V1__NetworkOffer offer = RDLINK__V1__NETWORK_OFFER__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    struct frames fr = { .len_bytes = 0 };

    offer.link_token = (ProtobufCBinaryData){ len_bytes, copy.bytes };
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER;
    msg.network_offer = &offer;
    frames_message(&fr, &msg);
    controller_sends(f, &fr);
}

static void guest_says_token(struct fixture *f, const struct link_token *token)
{
    uint8_t preamble[LINK_PREAMBLE_BYTES];

    guest_connects(f);
    link_token_preamble(token, preamble);
    sim_peer_send(f->guest, preamble, sizeof preamble);
    sim_run(f->sim);
}

static void with_a_token_only_who_begins_with_it_is_the_link(void **state)
{
    struct fixture f;

    start(&f, NULL);
    controller_sends_token(&f, &first_token, sizeof first_token);
    guest_connects(&f);
    guest_answers_arp(&f);
    sim_advance_ms(f.sim, 2000);
    assert_true(sim_peer_is_closed(f.guest));
    assert_condition(&f, "LinkUp", COND_FALSE, "NoLink");
    assert_int_equal(counter(&f, "links_refused"), 1);
    guest_says_token(&f, &first_token);
    guest_answers_arp(&f); /* its frames follow */
    sim_advance_ms(f.sim, 200);
    assert_condition(&f, "LinkUp", COND_TRUE, "Linked");
    assert_condition(&f, "NetworkReady", COND_TRUE, "GuestOnline");
    stop(&f);
}

static void a_link_that_nobody_vouched_for_ends_with_the_first_token(void **state)
{
    struct sim_peer *proved;
    struct fixture f;

    start(&f, NULL);
    guest_connects(&f);
    assert_condition(&f, "LinkUp", COND_TRUE, "Linked");
    controller_sends_token(&f, &first_token, sizeof first_token);
    assert_true(sim_peer_is_closed(f.guest));
    assert_condition(&f, "LinkUp", COND_FALSE, "LinkLost");
    guest_says_token(&f, &first_token);
    proved = f.guest;
    controller_sends_token(&f, &second_token, sizeof second_token);
    assert_false(sim_peer_is_closed(proved)); /* it is known whose it is */
    controller_sends_token(&f, NULL, 0);
    assert_false(sim_peer_is_closed(proved));
    stop(&f);
}

static void half_a_token_opens_nothing(void **state)
{
    struct fixture f;

    start(&f, NULL);
    controller_sends_token(&f, &first_token, sizeof first_token);
    controller_sends_token(&f, &second_token, sizeof second_token / 2);
    guest_says_token(&f, &second_token);
    assert_true(sim_peer_is_closed(f.guest));
    guest_says_token(&f, &first_token);
    assert_false(sim_peer_is_closed(f.guest));
    stop(&f);
}

static void a_guest_that_does_not_answer_is_silent(void **state)
{
    struct fixture f;

    start(&f, NULL);
    guest_comes_online(&f);
    sim_advance_ms(f.sim, 30000);
    assert_condition(&f, "NetworkReady", COND_FALSE, "LinkSilent");
    assert_condition(&f, "LinkUp", COND_TRUE, "Linked");
    assert_int_equal(f.health.components[0].state, HEALTH_NOT_SERVING);
    guest_answers_arp(&f);
    sim_advance_ms(f.sim, 1000);
    assert_condition(&f, "NetworkReady", COND_TRUE, "GuestOnline");
    stop(&f);
}

static void a_guest_in_doubt_has_less_time(void **state)
{
    struct frames look_now = { .len_bytes = 0 };
    struct fixture f;

    frames_any(&look_now, RDLINK__V1__ENVELOPE__BODY_LOOK_NOW);
    start(&f, NULL);
    guest_comes_online(&f);
    sim_advance_ms(f.sim, 9000);
    controller_sends(&f, &look_now);
    guest_answers_arp(&f);
    sim_advance_ms(f.sim, 2500);
    assert_condition(&f, "NetworkReady", COND_TRUE, "GuestOnline");
    controller_sends(&f, &look_now);
    sim_advance_ms(f.sim, 1400);
    assert_condition(&f, "NetworkReady", COND_TRUE, "GuestOnline");
    sim_advance_ms(f.sim, 500);
    assert_condition(&f, "NetworkReady", COND_FALSE, "LinkSilent");
    guest_answers_arp(&f);
    sim_advance_ms(f.sim, 1000);
    assert_condition(&f, "NetworkReady", COND_TRUE, "GuestOnline");
    stop(&f);
}

/* It asks who it is and gets no answer from itself: duplicate address detection. */
static void guest_speaks_without_an_address(struct fixture *f)
{
    static struct frame frame;
    struct frame_path path = frame_path("0.0.0.0", "192.168.127.2");

    frame_arp_request(&frame, &path);
    guest_sends_frame(f, &frame);
}

static void a_guest_without_an_address_is_not_silent(void **state)
{
    struct fixture f;

    start(&f, NULL);
    guest_connects(&f);
    sim_advance_ms(f.sim, 20000);
    assert_condition(&f, "NetworkReady", COND_FALSE, "LinkSilent"); /* it never spoke */
    guest_speaks_without_an_address(&f);
    sim_advance_ms(f.sim, 20000);
    assert_condition(&f, "NetworkReady", COND_FALSE, "NoAddress");
    stop(&f);
}

static void a_guest_that_fell_silent_long_ago_still_has_its_address(void **state)
{
    struct fixture f;

    start(&f, NULL);
    guest_comes_online(&f);
    sim_advance_ms(f.sim, 600 * 1000); /* the switch forgets neighbours after half of that */
    assert_condition(&f, "NetworkReady", COND_FALSE, "LinkSilent");
    stop(&f);
}

static void links_that_end_at_once_have_a_name(void **state)
{
    struct fixture f;

    start(&f, NULL);
    for (unsigned i = 0; i < LINK_WATCH_SHORT_IN_A_ROW; i++) {
        guest_comes_online(&f);
        sim_peer_reset(f.guest, ST_RESET);
        sim_run(f.sim);
    }
    assert_condition(&f, "LinkUp", COND_FALSE, "ShortLivedLinks");
    assert_condition(&f, "NetworkReady", COND_FALSE, "ShortLivedLinks");
    guest_comes_online(&f);
    assert_condition(&f, "LinkUp", COND_TRUE, "Linked");
    assert_condition(&f, "NetworkReady", COND_FALSE, "ShortLivedLinks");
    sim_advance_ms(f.sim, LINK_WATCH_SHORT_MS);
    assert_condition(&f, "NetworkReady", COND_TRUE, "GuestOnline");
    stop(&f);
}

static void a_new_link_takes_the_place_of_the_old_one(void **state)
{
    struct sim_peer *first;
    struct fixture f;

    start(&f, NULL);
    guest_comes_online(&f);
    first = f.guest;
    guest_comes_online(&f);
    assert_true(sim_peer_is_closed(first));
    assert_condition(&f, "LinkUp", COND_TRUE, "Linked");
    assert_int_equal(counter(&f, "links"), 2);
    stop(&f);
}

static void a_guest_that_connects_all_the_time_does_not_flood_the_controller(void **state)
{
    struct fixture f;
    unsigned before;

    start(&f, NULL);
    hear(&f);
    before = f.reports;
    for (unsigned i = 0; i < 1000; i++) {
        guest_connects(&f);
        sim_peer_reset(f.guest, ST_RESET);
        sim_advance_ms(f.sim, 1);
    }
    sim_advance_ms(f.sim, 1000);
    assert_condition(&f, "LinkUp", COND_FALSE, "ShortLivedLinks");
    assert_int_equal(counter(&f, "links"), 1000);
    assert_in_range(f.reports - before, 20, 45);
    stop(&f);
}

static void a_listener_that_fails_is_why_there_is_no_link(void **state)
{
    struct fixture f;

    start(&f, NULL);
    sim_listener_report(f.sim, &f.at, ST_NOFILES, "too many open files");
    sim_run(f.sim);
    assert_non_null(strstr(condition(&f, "LinkUp")->message, "too many open files"));
    sim_listener_report(f.sim, &f.at, ST_OK, "accepting");
    sim_run(f.sim);
    assert_null(strstr(condition(&f, "LinkUp")->message, "too many open files"));
    stop(&f);
}

static void it_reports_every_second(void **state)
{
    struct fixture f;
    unsigned before;

    start(&f, NULL);
    hear(&f);
    before = f.reports;
    sim_advance_ms(f.sim, 10000);
    hear(&f);
    assert_int_equal(f.reports, before + 10);
    stop(&f);
}

/* ---- the host's network -------------------------------------------------------------------- */

static void a_route_over_the_subnet_is_told(void **state)
{
    struct fixture f;

    start(&f, NULL);
    routes_sim_add(f.routes, "192.168.0.0", 16, "tun0");
    routes_sim_hint(f.routes);
    sim_advance_ms(f.sim, SUBNET_WATCH_SETTLE_MS);
    assert_condition(&f, "SubnetClear", COND_FALSE, "SubnetOverlap");
    assert_non_null(strstr(condition(&f, "SubnetClear")->message, "192.168.0.0/16 (tun0)"));
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_ready_when_it_listens),
        cmocka_unit_test(a_data_port_that_is_taken_is_told),
        cmocka_unit_test(with_a_token_only_who_begins_with_it_is_the_link),
        cmocka_unit_test(a_link_that_nobody_vouched_for_ends_with_the_first_token),
        cmocka_unit_test(half_a_token_opens_nothing),
        cmocka_unit_test(out_of_memory_it_starts_or_ends),
        cmocka_unit_test(wrong_options_are_a_usage_error),
        cmocka_unit_test(it_ends_when_it_is_told),
        cmocka_unit_test(it_ends_with_its_controller),
        cmocka_unit_test(the_control_socket_is_served),
        cmocka_unit_test(a_network_without_a_control_socket_is_one),
        cmocka_unit_test(a_link_is_told_at_once),
        cmocka_unit_test(a_guest_that_answers_is_online_within_a_tenth_of_a_second),
        cmocka_unit_test(another_guest_is_not_taken),
        cmocka_unit_test(a_guest_that_does_not_answer_is_silent),
        cmocka_unit_test(a_guest_in_doubt_has_less_time),
        cmocka_unit_test(a_guest_without_an_address_is_not_silent),
        cmocka_unit_test(a_guest_that_fell_silent_long_ago_still_has_its_address),
        cmocka_unit_test(links_that_end_at_once_have_a_name),
        cmocka_unit_test(a_new_link_takes_the_place_of_the_old_one),
        cmocka_unit_test(a_guest_that_connects_all_the_time_does_not_flood_the_controller),
        cmocka_unit_test(a_listener_that_fails_is_why_there_is_no_link),
        cmocka_unit_test(it_reports_every_second),
        cmocka_unit_test(a_route_over_the_subnet_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
