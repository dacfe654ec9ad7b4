/* SPDX-License-Identifier: Apache-2.0
 * How a channel opens: who greets first, what each side learns of the other, and what a newer
 * version of the peer changes.
 */
#include "ipc/channel.h"
#include "ipc/envelope.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "unit/ipc/channel_case.h"

static void the_opener_greets_and_is_open_after_the_answer(void **state)
{
    struct channel_case c;
    Rdlink__V1__Envelope *hello;

    channel_case_init(&c, CHANNEL_OPENER, 0);
    hello = channel_case_sent(&c, 0);
    assert_int_equal(hello->body_case, BODY(HELLO));
    assert_int_equal(hello->hello->major, IPC_MAJOR);
    assert_int_equal(hello->hello->minor, IPC_MINOR);
    assert_int_equal(hello->hello->role, CONTROLLER);
    assert_string_equal(hello->hello->instance, "ours");
    assert_true(hello->hello->pid > 0);
    assert_true(hello->hello->version[0] != '\0');
    rdlink__v1__envelope__free_unpacked(hello, NULL);
    assert_false(channel_is_open(c.channel));
    channel_case_peer_greets(&c, CHANNEL_OPENER);
    assert_int_equal(c.who.role, WORKER_DOCKER);
    assert_int_equal(c.who.minor, IPC_MINOR);
    assert_int_equal(c.who.pid, 77);
    assert_string_equal(c.who.instance, "vm-1");
    assert_string_equal(c.who.version, "9.9.9");
    channel_case_fini(&c);
}

static void the_acceptor_waits_for_hello_and_answers(void **state)
{
    struct channel_case c;
    Rdlink__V1__Envelope *ack;
    size_t len_bytes;

    channel_case_init(&c, CHANNEL_ACCEPTOR, 0);
    sim_peer_data(c.peer, &len_bytes);
    assert_int_equal(len_bytes, 0);
    channel_case_peer_greets(&c, CHANNEL_ACCEPTOR);
    ack = channel_case_sent(&c, 0);
    assert_int_equal(ack->body_case, BODY(HELLO_ACK));
    assert_int_equal(ack->hello_ack->role, WORKER_DOCKER);
    rdlink__v1__envelope__free_unpacked(ack, NULL);
    channel_case_fini(&c);
}

static void nothing_is_sent_before_the_greeting_is_over(void **state)
{
    struct channel_case c;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Drain drain = RDLINK__V1__DRAIN__INIT;

    msg.body_case = BODY(DRAIN);
    msg.drain = &drain;
    channel_case_init(&c, CHANNEL_OPENER, 0);
    assert_int_equal(channel_send(c.channel, &msg), ST_CLOSED);
    channel_case_peer_greets(&c, CHANNEL_OPENER);
    assert_int_equal(channel_send(c.channel, &msg), ST_OK);
    channel_case_fini(&c);
}

static void two_channels_of_ours_understand_each_other(void **state)
{
    static const Rdlink__V1__Role controller = CONTROLLER, worker = WORKER_DOCKER;
    struct channel_config config = {
        .side = CHANNEL_OPENER, .role = CONTROLLER, .peer_roles = &worker, .peer_role_count = 1
    };
    struct channel_case a = { .sim = sim_new() }, b = { .sim = a.sim };
    struct stream *sa = NULL, *sb = NULL;

    sim_stream_pair(a.sim, &sa, &sb, 0);
    a.peer = sim_peer_of(sa);
    b.peer = sim_peer_of(sb);
    assert_int_equal(channel_new(&a.channel, sim_loop(a.sim), sa, &config, &channel_case_handler,
                                 &a),
                     ST_OK);
    config.side = CHANNEL_ACCEPTOR;
    config.role = WORKER_DOCKER;
    config.peer_roles = &controller;
    assert_int_equal(channel_new(&b.channel, sim_loop(a.sim), sb, &config, &channel_case_handler,
                                 &b),
                     ST_OK);
    sim_run(a.sim);
    assert_true(channel_is_open(a.channel));
    assert_true(channel_is_open(b.channel));
    channel_case_free_channel(&a);
    sim_run(a.sim);
    assert_int_equal(b.ended, 1);
    assert_string_equal(channel_end_name(b.why), "ClosedByPeer");
    channel_case_free_channel(&b);
    sim_free(a.sim);
}

static void a_wrong_major_is_answered_so_that_both_sides_know(void **state)
{
    struct channel_case c;
    struct frames fr = { .len_bytes = 0 };
    Rdlink__V1__Envelope *ack;

    channel_case_init(&c, CHANNEL_ACCEPTOR, 0);
    frames_hello(&fr, IPC_MAJOR + 1, CONTROLLER);
    channel_case_peer_sends(&c, &fr);
    assert_string_equal(channel_end_name(c.why), "VersionMismatch");
    ack = channel_case_sent(&c, 0);
    assert_int_equal(ack->body_case, BODY(HELLO_ACK));
    assert_int_equal(ack->hello_ack->major, IPC_MAJOR);
    rdlink__v1__envelope__free_unpacked(ack, NULL);
    channel_case_fini(&c);
}

/* ---- a newer minor version ---------------------------------------------------------------- */

static void unknown_fields_and_bodies_of_a_newer_minor_are_ignored(void **state)
{
    /* Envelope with body 50; Ready{detail "x"} with field 15; Envelope with nothing but field 99 */
    static const uint8_t newer[] = { 3, 0, 0, 0, 0x92, 0x03, 0,                     /* */
                                     7, 0, 0, 0, 0x22, 5,    0x0a, 1, 'x', 0x78, 1, /* */
                                     3, 0, 0, 0, 0x98, 0x06, 1 };
    struct frames fr = { .len_bytes = 0 };
    struct channel_case c;

    channel_case_init_open(&c, CHANNEL_OPENER);
    frames_raw(&fr, newer, sizeof newer);
    frames_health(&fr, 1);
    channel_case_peer_sends(&c, &fr);
    assert_int_equal(c.ended, 0);
    assert_int_equal(c.messages, 2);
    assert_int_equal(c.last_body, BODY(HEALTH));
    channel_case_fini(&c);
}

static void a_greeting_with_unknown_fields_is_a_greeting(void **state)
{
    /* HelloAck{major 1, minor 9, role 2, field 12 = 5, field 13 = "new"} */
    static const uint8_t newer[] = { 15,   0, 0,    0, 0x12, 13, 0x08, 1,   0x10, 9,
                                     0x18, 2, 0x60, 5, 0x6a, 3,  'n',  'e', 'w' };
    struct frames fr = { .len_bytes = 0 };
    struct channel_case c;

    channel_case_init(&c, CHANNEL_OPENER, 0);
    frames_raw(&fr, newer, sizeof newer);
    channel_case_peer_sends(&c, &fr);
    assert_int_equal(c.opened, 1);
    assert_int_equal(c.who.minor, 9);
    assert_string_equal(c.who.instance, "");
    channel_case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_opener_greets_and_is_open_after_the_answer),
        cmocka_unit_test(the_acceptor_waits_for_hello_and_answers),
        cmocka_unit_test(nothing_is_sent_before_the_greeting_is_over),
        cmocka_unit_test(two_channels_of_ours_understand_each_other),
        cmocka_unit_test(a_wrong_major_is_answered_so_that_both_sides_know),
        cmocka_unit_test(unknown_fields_and_bodies_of_a_newer_minor_are_ignored),
        cmocka_unit_test(a_greeting_with_unknown_fields_is_a_greeting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
