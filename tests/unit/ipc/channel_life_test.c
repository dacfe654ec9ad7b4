/* SPDX-License-Identifier: Apache-2.0
 * The life of an open channel: silence and pings, what is sent and how much may be queued, memory
 * that runs out, and freeing at every point.
 */
#include "ipc/channel.h"
#include "ipc/envelope.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/alloc_fail.h"
#include "support/cmocka_all.h"
#include "unit/ipc/channel_case.h"

#include <stdlib.h>
#include <string.h>

/* ---- liveness ------------------------------------------------------------------------------ */

static void a_silent_peer_ends_the_channel_greeting_included(void **state)
{
    struct channel_case c;

    channel_case_init(&c, CHANNEL_ACCEPTOR, 3000);
    sim_advance_ms(c.sim, 2999);
    assert_int_equal(c.ended, 0);
    sim_advance_ms(c.sim, 1);
    assert_int_equal(c.ended, 1);
    assert_string_equal(channel_end_name(c.why), "Silent");
    channel_case_fini(&c);
}

static void nobody_is_silent_while_we_stand_still(void **state)
{
    struct channel_case c;

    channel_case_init(&c, CHANNEL_ACCEPTOR, 3000);
    channel_case_peer_greets(&c, CHANNEL_ACCEPTOR);
    sim_stall_ms(c.sim, 60000);
    sim_run(c.sim);
    assert_int_equal(c.ended, 0);
    sim_advance_ms(c.sim, 3000);
    assert_int_equal(c.ended, 1);
    assert_string_equal(channel_end_name(c.why), "Silent");
    channel_case_fini(&c);
}

static void any_message_counts_as_life_but_part_of_one_does_not(void **state)
{
    struct frames ping = { .len_bytes = 0 };
    struct channel_case c;

    frames_any(&ping, BODY(PING));
    channel_case_init(&c, CHANNEL_ACCEPTOR, 3000);
    channel_case_peer_greets(&c, CHANNEL_ACCEPTOR);
    for (int i = 0; i < 5; i++) {
        sim_advance_ms(c.sim, 2900);
        channel_case_peer_sends(&c, &ping);
    }
    assert_int_equal(c.ended, 0);
    sim_advance_ms(c.sim, 1500);
    sim_peer_send(c.peer, ping.bytes, 3);
    sim_advance_ms(c.sim, 1500);
    assert_int_equal(c.ended, 1);
    assert_string_equal(channel_end_name(c.why), "Silent");
    channel_case_fini(&c);
}

static void start_and_ask(struct channel_case *c, uint32_t answer_ms)
{
    channel_case_init(c, CHANNEL_ACCEPTOR, 3000);
    channel_case_peer_greets(c, CHANNEL_ACCEPTOR);
    channel_ask(c->channel, answer_ms);
    sim_run(c->sim);
}

static void who_is_asked_has_less_time(void **state)
{
    Rdlink__V1__Envelope *ping;
    struct channel_case c;

    start_and_ask(&c, 1000);
    ping = channel_case_sent(&c, 1);
    assert_int_equal(ping->body_case, BODY(PING));
    rdlink__v1__envelope__free_unpacked(ping, NULL);
    sim_advance_ms(c.sim, 999);
    assert_int_equal(c.ended, 0);
    sim_advance_ms(c.sim, 1);
    assert_int_equal(c.ended, 1);
    assert_string_equal(channel_end_name(c.why), "Silent");
    channel_case_fini(&c);
}

static void who_says_anything_has_its_time_again(void **state)
{
    struct frames pong = { .len_bytes = 0 };
    struct channel_case c;

    frames_any(&pong, BODY(PONG));
    start_and_ask(&c, 1000);
    sim_advance_ms(c.sim, 900);
    channel_case_peer_sends(&c, &pong);
    sim_advance_ms(c.sim, 2999);
    assert_int_equal(c.ended, 0);
    sim_advance_ms(c.sim, 1);
    assert_int_equal(c.ended, 1);
    channel_case_fini(&c);
}

static void asking_again_buys_no_time(void **state)
{
    struct channel_case c;

    start_and_ask(&c, 1000);
    sim_advance_ms(c.sim, 900);
    channel_ask(c.channel, 1000);
    sim_advance_ms(c.sim, 99);
    assert_int_equal(c.ended, 0);
    sim_advance_ms(c.sim, 1);
    assert_int_equal(c.ended, 1);
    channel_case_fini(&c);
}

static void a_deadline_from_before_a_sleep_is_none(void **state)
{
    struct channel_case c;

    channel_case_init(&c, CHANNEL_ACCEPTOR, 3000);
    channel_case_peer_greets(&c, CHANNEL_ACCEPTOR);
    sim_stall_ms(c.sim, 60000);
    channel_ask(c.channel, 1000);
    sim_run(c.sim);
    assert_int_equal(c.ended, 0);
    sim_advance_ms(c.sim, 1000);
    assert_int_equal(c.ended, 1);
    channel_case_fini(&c);
}

static void nobody_is_asked_before_the_greeting_or_after_the_end(void **state)
{
    struct channel_case c;

    channel_case_init(&c, CHANNEL_ACCEPTOR, 3000);
    channel_ask(c.channel, 100);
    sim_advance_ms(c.sim, 2999);
    assert_int_equal(c.ended, 0);
    sim_advance_ms(c.sim, 1);
    assert_int_equal(c.ended, 1);
    channel_ask(c.channel, 100);
    sim_advance_ms(c.sim, 1000);
    assert_int_equal(c.ended, 1);
    channel_case_fini(&c);
}

static void ping_is_answered_with_its_token(void **state)
{
    static const uint8_t ping[] = { 4, 0, 0, 0, 0x42, 2, 0x08, 42 };
    struct frames fr = { .len_bytes = 0 };
    Rdlink__V1__Envelope *pong;
    struct channel_case c;

    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    frames_raw(&fr, ping, sizeof ping);
    channel_case_peer_sends(&c, &fr);
    pong = channel_case_sent(&c, 1);
    assert_int_equal(pong->body_case, BODY(PONG));
    assert_int_equal(pong->pong->token, 42);
    rdlink__v1__envelope__free_unpacked(pong, NULL);
    assert_int_equal(c.messages, 0);
    channel_case_fini(&c);
}

/* ---- sending ------------------------------------------------------------------------------- */

static enum status send_ready(struct channel_case *c, size_t detail_bytes)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Ready ready = RDLINK__V1__READY__INIT;
    char *detail = calloc(1, detail_bytes + 1);
    enum status st;

    assert_non_null(detail);
    memset(detail, 'd', detail_bytes);
    ready.detail = detail;
    msg.body_case = BODY(READY);
    msg.ready = &ready;
    st = channel_send(c->channel, &msg);
    free(detail);
    return st;
}

static enum status send_health(struct channel_case *c)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__HealthReport health = RDLINK__V1__HEALTH_REPORT__INIT;

    msg.body_case = BODY(HEALTH);
    msg.health = &health;
    return channel_send(c->channel, &msg);
}

static void health_reports_are_numbered_by_the_channel(void **state)
{
    struct channel_case c;

    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    for (unsigned i = 1; i <= 3; i++) {
        Rdlink__V1__Envelope *msg;

        assert_int_equal(send_health(&c), ST_OK);
        sim_run(c.sim);
        msg = channel_case_sent(&c, i);
        assert_int_equal(msg->health->sequence, i);
        rdlink__v1__envelope__free_unpacked(msg, NULL);
    }
    channel_case_fini(&c);
}

static void what_may_not_be_sent_is_refused(void **state)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Hello hello = RDLINK__V1__HELLO__INIT;
    struct channel_case c;

    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    assert_int_equal(channel_send(c.channel, &msg), ST_INVAL);
    msg.body_case = BODY(HELLO);
    msg.hello = &hello;
    assert_int_equal(channel_send(c.channel, &msg), ST_INVAL);
    assert_int_equal(send_ready(&c, IPC_MAX_MESSAGE), ST_INVAL);
    assert_int_equal(send_ready(&c, 10), ST_OK);
    sim_run(c.sim);
    assert_int_equal(c.ended, 0);
    channel_case_fini(&c);
}

static void a_peer_that_does_not_read_ends_the_channel_later(void **state)
{
    struct channel_case c;
    enum status st = ST_OK;
    unsigned accepted = 0;

    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    sim_peer_set_room(c.peer, 0);
    while (st == ST_OK && accepted < 100) {
        st = send_ready(&c, 60000);
        accepted += st == ST_OK;
    }
    assert_int_equal(st, ST_FULL);
    assert_int_equal(accepted, 4);
    assert_int_equal(c.ended, 0);
    assert_false(channel_is_open(c.channel));
    assert_int_equal(send_ready(&c, 1), ST_CLOSED);
    sim_run(c.sim);
    assert_int_equal(c.ended, 1);
    assert_string_equal(channel_end_name(c.why), "NotReading");
    channel_case_fini(&c);
}

static void a_peer_that_pings_and_does_not_read_is_bounded_too(void **state)
{
    struct frames fr = { .len_bytes = 0 };
    struct channel_case c;

    for (int i = 0; i < 500; i++)
        frames_any(&fr, BODY(PING));
    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    sim_peer_set_room(c.peer, 0);
    for (int i = 0; i < 200 && !c.ended; i++)
        channel_case_peer_sends(&c, &fr);
    assert_int_equal(c.ended, 1);
    assert_string_equal(channel_end_name(c.why), "NotReading");
    channel_case_fini(&c);
}

static void a_stream_that_died_under_a_send_ends_the_channel_once(void **state)
{
    struct channel_case c;

    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    sim_peer_reset(c.peer, ST_RESET);
    send_ready(&c, 1);
    sim_run(c.sim);
    assert_int_equal(c.ended, 1);
    assert_string_equal(channel_end_name(c.why), "StreamError");
    assert_int_equal(send_ready(&c, 1), ST_CLOSED);
    channel_case_fini(&c);
}

/* ---- memory -------------------------------------------------------------------------------- */

static void a_channel_that_cannot_be_made_closes_its_stream(void **state)
{
    static const Rdlink__V1__Role worker = WORKER_DOCKER;
    const struct channel_config config = {
        .side = CHANNEL_OPENER, .role = CONTROLLER, .peer_roles = &worker, .peer_role_count = 1
    };
    struct sim *sim = sim_new();
    struct stream *s = NULL;
    struct sim_peer *peer = sim_stream(sim, &s);
    struct channel *c = NULL;

    alloc_fail_after(0);
    assert_int_equal(channel_new(&c, sim_loop(sim), s, &config, &channel_case_handler, NULL),
                     ST_NOMEM);
    assert_true(alloc_fail_stop());
    assert_null(c);
    assert_true(sim_peer_is_closed(peer));
    sim_free(sim);
}

static void no_memory_to_send_ends_the_channel_later(void **state)
{
    struct channel_case c;

    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    alloc_fail_after(1); /* the detail is the test's own */
    assert_int_equal(send_ready(&c, 1), ST_NOMEM);
    assert_true(alloc_fail_stop());
    assert_int_equal(c.ended, 0);
    sim_run(c.sim);
    assert_string_equal(channel_end_name(c.why), "NoMemory");
    channel_case_fini(&c);

    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    sim_peer_next_write_fails(c.peer, ST_NOMEM);
    assert_int_equal(send_ready(&c, 1), ST_NOMEM);
    sim_run(c.sim);
    assert_int_equal(c.ended, 1);
    assert_string_equal(channel_end_name(c.why), "NoMemory");
    channel_case_fini(&c);
}

static void no_memory_to_receive_ends_the_channel(void **state)
{
    struct frames fr = { .len_bytes = 0 };
    struct channel_case c;

    channel_case_init(&c, CHANNEL_OPENER, 0);
    c.fails_memory_once_open = true;
    frames_hello_ack(&fr, IPC_MAJOR, WORKER_DOCKER);
    frames_any(&fr, BODY(READY));
    channel_case_peer_sends(&c, &fr);
    assert_true(alloc_fail_stop());
    assert_int_equal(c.messages, 0);
    assert_int_equal(c.ended, 1);
    assert_string_equal(channel_end_name(c.why), "NoMemory");
    channel_case_fini(&c);
}

/* ---- freeing ------------------------------------------------------------------------------- */

static void a_channel_may_be_freed_in_any_callback(void **state)
{
    for (int when = FREE_IN_ON_OPEN; when <= FREE_IN_ON_END; when++) {
        struct frames fr = { .len_bytes = 0 };
        struct channel_case c;

        channel_case_init(&c, CHANNEL_OPENER, 1000);
        c.free_when = (enum free_when)when;
        frames_hello_ack(&fr, IPC_MAJOR, WORKER_DOCKER);
        frames_any(&fr, BODY(READY));
        frames_any(&fr, BODY(READY));
        frames_any(&fr, BODY(DRAIN));
        channel_case_peer_sends(&c, &fr);
        assert_null(c.channel);
        assert_true(sim_peer_is_closed(c.peer));
        assert_int_equal(c.messages, when == FREE_IN_ON_OPEN      ? 0
                                     : when == FREE_IN_ON_MESSAGE ? 1
                                                                  : 2);
        assert_int_equal(c.ended, when == FREE_IN_ON_END);
        channel_case_fini(&c);
    }
}

static void what_is_queued_leaves_before_the_stream_is_closed(void **state)
{
    struct channel_case c;
    Rdlink__V1__Envelope *msg;

    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    sim_peer_set_room(c.peer, 3);
    assert_int_equal(send_ready(&c, 5000), ST_OK);
    channel_case_free_channel(&c);
    sim_advance_ms(c.sim, 500);
    assert_false(sim_peer_is_closed(c.peer));
    sim_peer_set_room(c.peer, SIZE_MAX);
    sim_run(c.sim);
    assert_true(sim_peer_is_closed(c.peer));
    msg = channel_case_sent(&c, 1);
    assert_int_equal(msg->body_case, BODY(READY));
    rdlink__v1__envelope__free_unpacked(msg, NULL);
    assert_int_equal(c.ended, 0);
    sim_free(c.sim);
}

static void a_peer_that_never_reads_does_not_hold_a_freed_channel(void **state)
{
    struct channel_case c;

    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    sim_peer_set_room(c.peer, 0);
    assert_int_equal(send_ready(&c, 5000), ST_OK);
    channel_case_free_channel(&c);
    sim_advance_ms(c.sim, 999);
    assert_false(sim_peer_is_closed(c.peer));
    sim_advance_ms(c.sim, 1);
    assert_true(sim_peer_is_closed(c.peer));
    sim_free(c.sim);
}

static void an_aborted_channel_is_closed_at_once(void **state)
{
    struct channel_case c;

    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    sim_peer_set_room(c.peer, 0);
    assert_int_equal(send_ready(&c, 5000), ST_OK);
    channel_abort(c.channel);
    assert_true(sim_peer_is_closed(c.peer));
    channel_abort(NULL);
    sim_free(c.sim);
}

static void a_reset_ends_the_lingering_too(void **state)
{
    struct channel_case c;

    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    sim_peer_set_room(c.peer, 0);
    assert_int_equal(send_ready(&c, 5000), ST_OK);
    channel_case_free_channel(&c);
    sim_peer_reset(c.peer, ST_RESET);
    sim_run(c.sim);
    assert_true(sim_peer_is_closed(c.peer));
    assert_int_equal(c.ended, 0);
    sim_free(c.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_peer_ends_the_channel_greeting_included),
        cmocka_unit_test(nobody_is_silent_while_we_stand_still),
        cmocka_unit_test(any_message_counts_as_life_but_part_of_one_does_not),
        cmocka_unit_test(who_is_asked_has_less_time),
        cmocka_unit_test(who_says_anything_has_its_time_again),
        cmocka_unit_test(asking_again_buys_no_time),
        cmocka_unit_test(a_deadline_from_before_a_sleep_is_none),
        cmocka_unit_test(nobody_is_asked_before_the_greeting_or_after_the_end),
        cmocka_unit_test(ping_is_answered_with_its_token),
        cmocka_unit_test(health_reports_are_numbered_by_the_channel),
        cmocka_unit_test(what_may_not_be_sent_is_refused),
        cmocka_unit_test(a_peer_that_does_not_read_ends_the_channel_later),
        cmocka_unit_test(a_peer_that_pings_and_does_not_read_is_bounded_too),
        cmocka_unit_test(a_stream_that_died_under_a_send_ends_the_channel_once),
        cmocka_unit_test(a_channel_that_cannot_be_made_closes_its_stream),
        cmocka_unit_test(no_memory_to_send_ends_the_channel_later),
        cmocka_unit_test(no_memory_to_receive_ends_the_channel),
        cmocka_unit_test(a_channel_may_be_freed_in_any_callback),
        cmocka_unit_test(what_is_queued_leaves_before_the_stream_is_closed),
        cmocka_unit_test(a_peer_that_never_reads_does_not_hold_a_freed_channel),
        cmocka_unit_test(an_aborted_channel_is_closed_at_once),
        cmocka_unit_test(a_reset_ends_the_lingering_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
