/* SPDX-License-Identifier: Apache-2.0
 * A channel against a peer whose every byte the test writes: greeting, order, liveness, and each
 * way in which it can end.
 */
#include "base/util.h"
#include "ipc/channel.h"
#include "ipc/envelope.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/alloc_fail.h"
#include "support/cmocka_all.h"
#include "unit/ipc/messages.h"

#include <stdlib.h>
#include <string.h>

#define CONTROLLER    RDLINK__V1__ROLE__ROLE_CONTROLLER
#define WORKER_DOCKER RDLINK__V1__ROLE__ROLE_WORKER_DOCKER
#define WORKER_SWITCH RDLINK__V1__ROLE__ROLE_WORKER_SWITCH
#define AGENT_BRIDGE  RDLINK__V1__ROLE__ROLE_AGENT_BRIDGE
#define BODY(x)       RDLINK__V1__ENVELOPE__BODY_##x

enum free_when { FREE_AT_END, FREE_IN_ON_OPEN, FREE_IN_ON_MESSAGE, FREE_IN_ON_END };

struct fixture {
    struct sim *sim;
    struct sim_peer *peer;
    struct channel *channel; /* NULL once freed */
    enum free_when free_when;
    bool fails_memory_once_open;
    unsigned opened, messages, ended;
    struct channel_peer who;
    Rdlink__V1__Envelope__BodyCase last_body;
    enum channel_end why;
};

static void free_channel(struct fixture *f)
{
    channel_free(f->channel);
    f->channel = NULL;
}

static void on_open(void *ctx, const struct channel_peer *peer)
{
    struct fixture *f = ctx;

    f->opened++;
    f->who = *peer;
    if (f->fails_memory_once_open)
        alloc_fail_after(0);
    if (f->free_when == FREE_IN_ON_OPEN)
        free_channel(f);
}

static void on_message(void *ctx, const Rdlink__V1__Envelope *msg)
{
    struct fixture *f = ctx;

    assert_int_equal(f->ended, 0);
    f->messages++;
    f->last_body = msg->body_case;
    if (f->free_when == FREE_IN_ON_MESSAGE)
        free_channel(f);
}

static void on_end(void *ctx, enum channel_end why, const char *detail)
{
    struct fixture *f = ctx;

    f->ended++;
    f->why = why;
    assert_true(detail[0] != '\0');
    assert_false(channel_is_open(f->channel));
    assert_true(sim_peer_is_closed(f->peer));
    if (f->free_when == FREE_IN_ON_END)
        free_channel(f);
}

static const struct channel_handler handler = { on_open, on_message, on_end };

/* A channel of ours: opener as the controller, or acceptor as the docker worker. */
static void setup_role(struct fixture *f, enum channel_side side, Rdlink__V1__Role role,
                       const Rdlink__V1__Role *peer_role, uint32_t silence_ms)
{
    const struct channel_config config = {
        .side = side,
        .role = role,
        .instance = "ours",
        .peer_roles = peer_role,
        .peer_role_count = 1,
        .silence_ms = silence_ms,
    };
    struct stream *s = NULL;

    *f = (struct fixture){ .sim = sim_new(), .why = CHANNEL_END_COUNT };
    f->peer = sim_stream(f->sim, &s);
    assert_int_equal(channel_new(&f->channel, sim_loop(f->sim), s, &config, &handler, f), ST_OK);
    sim_run(f->sim);
}

static void setup(struct fixture *f, enum channel_side side, uint32_t silence_ms)
{
    static const Rdlink__V1__Role controller = CONTROLLER, worker = WORKER_DOCKER;

    if (side == CHANNEL_OPENER)
        setup_role(f, side, CONTROLLER, &worker, silence_ms);
    else
        setup_role(f, side, WORKER_DOCKER, &controller, silence_ms);
}

static void teardown(struct fixture *f)
{
    free_channel(f);
    assert_true(sim_peer_is_closed(f->peer) || sim_next_due_ms(f->sim) != SIM_NEVER);
    sim_advance_ms(f->sim, 2000);
    sim_free(f->sim);
}

static void peer_sends(struct fixture *f, const struct frames *fr)
{
    sim_peer_send(f->peer, fr->bytes, fr->len_bytes);
    sim_run(f->sim);
}

static void peer_greets(struct fixture *f, enum channel_side ours)
{
    struct frames fr = { .len_bytes = 0 };

    if (ours == CHANNEL_OPENER)
        frames_hello_ack(&fr, IPC_MAJOR, WORKER_DOCKER);
    else
        frames_hello(&fr, IPC_MAJOR, CONTROLLER);
    peer_sends(f, &fr);
    assert_int_equal(f->opened, 1);
    assert_true(channel_is_open(f->channel));
}

static void setup_open(struct fixture *f, enum channel_side side)
{
    setup(f, side, 0);
    peer_greets(f, side);
}

/* The message number @n that we sent; the caller frees it. */
static Rdlink__V1__Envelope *sent_message(struct fixture *f, unsigned n)
{
    struct envelope_reader r = { 0 };
    Rdlink__V1__Envelope *msg = NULL;
    enum channel_end why;
    size_t len_bytes;
    const uint8_t *p = sim_peer_data(f->peer, &len_bytes);

    for (unsigned i = 0;; i++) {
        assert_int_equal(envelope_read(&r, &p, &len_bytes, &msg, &why), ST_OK);
        if (i == n)
            return msg;
        rdlink__v1__envelope__free_unpacked(msg, NULL);
    }
}

/* ---- greeting ----------------------------------------------------------------------------- */

static void the_opener_greets_and_is_open_after_the_answer(void **state)
{
    struct fixture f;
    Rdlink__V1__Envelope *hello;

    setup(&f, CHANNEL_OPENER, 0);
    hello = sent_message(&f, 0);
    assert_int_equal(hello->body_case, BODY(HELLO));
    assert_int_equal(hello->hello->major, IPC_MAJOR);
    assert_int_equal(hello->hello->minor, IPC_MINOR);
    assert_int_equal(hello->hello->role, CONTROLLER);
    assert_string_equal(hello->hello->instance, "ours");
    assert_true(hello->hello->pid > 0);
    assert_true(hello->hello->version[0] != '\0');
    rdlink__v1__envelope__free_unpacked(hello, NULL);
    assert_false(channel_is_open(f.channel));
    peer_greets(&f, CHANNEL_OPENER);
    assert_int_equal(f.who.role, WORKER_DOCKER);
    assert_int_equal(f.who.minor, 3);
    assert_int_equal(f.who.pid, 77);
    assert_string_equal(f.who.instance, "vm-1");
    assert_string_equal(f.who.version, "9.9.9");
    teardown(&f);
}

static void the_acceptor_waits_for_hello_and_answers(void **state)
{
    struct fixture f;
    Rdlink__V1__Envelope *ack;
    size_t len_bytes;

    setup(&f, CHANNEL_ACCEPTOR, 0);
    sim_peer_data(f.peer, &len_bytes);
    assert_int_equal(len_bytes, 0);
    peer_greets(&f, CHANNEL_ACCEPTOR);
    ack = sent_message(&f, 0);
    assert_int_equal(ack->body_case, BODY(HELLO_ACK));
    assert_int_equal(ack->hello_ack->role, WORKER_DOCKER);
    rdlink__v1__envelope__free_unpacked(ack, NULL);
    teardown(&f);
}

static void nothing_is_sent_before_the_greeting_is_over(void **state)
{
    struct fixture f;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Drain drain = RDLINK__V1__DRAIN__INIT;

    msg.body_case = BODY(DRAIN);
    msg.drain = &drain;
    setup(&f, CHANNEL_OPENER, 0);
    assert_int_equal(channel_send(f.channel, &msg), ST_CLOSED);
    peer_greets(&f, CHANNEL_OPENER);
    assert_int_equal(channel_send(f.channel, &msg), ST_OK);
    teardown(&f);
}

static void two_channels_of_ours_understand_each_other(void **state)
{
    static const Rdlink__V1__Role controller = CONTROLLER, worker = WORKER_DOCKER;
    struct channel_config config = {
        .side = CHANNEL_OPENER, .role = CONTROLLER, .peer_roles = &worker, .peer_role_count = 1
    };
    struct fixture a = { .sim = sim_new() }, b = { .sim = a.sim };
    struct stream *sa = NULL, *sb = NULL;

    sim_stream_pair(a.sim, &sa, &sb, 0);
    a.peer = sim_peer_of(sa);
    b.peer = sim_peer_of(sb);
    assert_int_equal(channel_new(&a.channel, sim_loop(a.sim), sa, &config, &handler, &a), ST_OK);
    config.side = CHANNEL_ACCEPTOR;
    config.role = WORKER_DOCKER;
    config.peer_roles = &controller;
    assert_int_equal(channel_new(&b.channel, sim_loop(a.sim), sb, &config, &handler, &b), ST_OK);
    sim_run(a.sim);
    assert_true(channel_is_open(a.channel));
    assert_true(channel_is_open(b.channel));
    free_channel(&a);
    sim_run(a.sim);
    assert_int_equal(b.ended, 1);
    assert_string_equal(channel_end_name(b.why), "ClosedByPeer");
    free_channel(&b);
    sim_free(a.sim);
}

/* ---- every end has a name ------------------------------------------------------------------ */

/* What the peer of an acceptor (a docker worker) or an opener (a controller) sends, and how it
 * ends. The greeting of the right kind goes before it unless @early. */
static const struct end_row {
    const char *name;
    enum channel_side side;
    bool early;
    uint8_t raw[24];
    size_t raw_bytes;
    Rdlink__V1__Envelope__BodyCase body; /* appended after @raw when set */
    enum channel_end want;
} end_rows[] = {
    { "message before Hello",
      CHANNEL_ACCEPTOR,
      true,
      { 0 },
      0,
      BODY(DRAIN),
      CHANNEL_END_OUT_OF_ORDER },
    { "message before HelloAck",
      CHANNEL_OPENER,
      true,
      { 0 },
      0,
      BODY(READY),
      CHANNEL_END_OUT_OF_ORDER },
    { "Ping before Hello", CHANNEL_ACCEPTOR, true, { 0 }, 0, BODY(PING), CHANNEL_END_OUT_OF_ORDER },
    { "HelloAck to an acceptor",
      CHANNEL_ACCEPTOR,
      true,
      { 0 },
      0,
      BODY(HELLO_ACK),
      CHANNEL_END_OUT_OF_ORDER },
    { "Hello to an opener", CHANNEL_OPENER, true, { 0 }, 0, BODY(HELLO), CHANNEL_END_OUT_OF_ORDER },
    { "second Hello", CHANNEL_ACCEPTOR, false, { 0 }, 0, BODY(HELLO), CHANNEL_END_OUT_OF_ORDER },
    { "second HelloAck",
      CHANNEL_OPENER,
      false,
      { 0 },
      0,
      BODY(HELLO_ACK),
      CHANNEL_END_OUT_OF_ORDER },
    { "what a worker never takes",
      CHANNEL_ACCEPTOR,
      false,
      { 0 },
      0,
      BODY(READY),
      CHANNEL_END_OUT_OF_ORDER },
    { "what a controller never takes",
      CHANNEL_OPENER,
      false,
      { 0 },
      0,
      BODY(DRAIN),
      CHANNEL_END_OUT_OF_ORDER },
    { "first health report without a number",
      CHANNEL_OPENER,
      false,
      { 0 },
      0,
      BODY(HEALTH),
      CHANNEL_END_OUT_OF_ORDER },
    { "no greeting but an unknown body",
      CHANNEL_ACCEPTOR,
      true,
      { 3, 0, 0, 0, 0x92, 0x03, 0 },
      7,
      BODY(_NOT_SET),
      CHANNEL_END_EMPTY },
    { "length 0 early",
      CHANNEL_ACCEPTOR,
      true,
      { 0, 0, 0, 0 },
      4,
      BODY(_NOT_SET),
      CHANNEL_END_EMPTY },
    { "length 0 later",
      CHANNEL_OPENER,
      false,
      { 0, 0, 0, 0 },
      4,
      BODY(_NOT_SET),
      CHANNEL_END_EMPTY },
    { "65537 bytes announced",
      CHANNEL_ACCEPTOR,
      true,
      { 1, 0, 1, 0 },
      4,
      BODY(_NOT_SET),
      CHANNEL_END_OVERSIZED },
    { "0xffffffff bytes announced",
      CHANNEL_OPENER,
      false,
      { 255, 255, 255, 255 },
      4,
      BODY(_NOT_SET),
      CHANNEL_END_OVERSIZED },
    { "an HTTP request",
      CHANNEL_ACCEPTOR,
      true,
      { 'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P' },
      10,
      BODY(_NOT_SET),
      CHANNEL_END_OVERSIZED },
    { "not a protobuf",
      CHANNEL_OPENER,
      false,
      { 2, 0, 0, 0, 0x22, 9 },
      6,
      BODY(_NOT_SET),
      CHANNEL_END_MALFORMED },
    { "major 0: no version at all",
      CHANNEL_ACCEPTOR,
      true,
      { 0 },
      0,
      BODY(HELLO),
      CHANNEL_END_VERSION_MISMATCH },
    { "major 2",
      CHANNEL_OPENER,
      true,
      { 6, 0, 0, 0, 0x12, 4, 0x08, 2, 0x18, 2 },
      10,
      BODY(_NOT_SET),
      CHANNEL_END_VERSION_MISMATCH },
    { "role of another kind",
      CHANNEL_OPENER,
      true,
      { 6, 0, 0, 0, 0x12, 4, 0x08, 1, 0x18, 4 },
      10,
      BODY(_NOT_SET),
      CHANNEL_END_ROLE_MISMATCH },
    { "no role",
      CHANNEL_ACCEPTOR,
      true,
      { 4, 0, 0, 0, 0x0a, 2, 0x08, 1 },
      8,
      BODY(_NOT_SET),
      CHANNEL_END_ROLE_MISMATCH },
    { "role nobody has",
      CHANNEL_ACCEPTOR,
      true,
      { 6, 0, 0, 0, 0x0a, 4, 0x08, 1, 0x18, 99 },
      10,
      BODY(_NOT_SET),
      CHANNEL_END_ROLE_MISMATCH },
};

static void run_end_row(const struct end_row *row, size_t piece)
{
    struct fixture f;
    struct frames fr = { .len_bytes = 0 };

    setup(&f, row->side, 0);
    sim_peer_set_piece(f.peer, piece);
    if (!row->early)
        peer_greets(&f, row->side);
    frames_raw(&fr, row->raw, row->raw_bytes);
    if (row->body != BODY(_NOT_SET))
        frames_any(&fr, row->body);
    frames_any(&fr, BODY(PING)); /* nothing after the fault may be looked at */
    peer_sends(&f, &fr);
    assert_int_equal(f.ended, 1);
    assert_string_equal(channel_end_name(f.why), channel_end_name(row->want));
    assert_int_equal(f.messages, 0);
    assert_int_equal(f.opened, row->early ? 0 : 1);
    teardown(&f);
}

static void every_violation_ends_the_channel_with_its_name(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(end_rows); i++) {
        print_message("row: %s\n", end_rows[i].name);
        run_end_row(&end_rows[i], 0);
        run_end_row(&end_rows[i], 1);
    }
}

static const struct sequence_row {
    const char *name;
    uint64_t numbers[4];
    unsigned count, good;
} sequence_rows[] = {
    { "1, 2, 3", { 1, 2, 3 }, 3, 3 },
    { "from 0", { 0 }, 1, 0 },
    { "from 2", { 2 }, 1, 0 },
    { "a gap", { 1, 2, 4 }, 3, 2 },
    { "a repetition", { 1, 1 }, 2, 1 },
    { "a step back", { 1, 2, 3, 2 }, 4, 3 },
    { "far away", { 1, UINT64_MAX }, 2, 1 },
};

static void health_reports_are_numbered_without_gaps(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(sequence_rows); i++) {
        const struct sequence_row *row = &sequence_rows[i];
        struct frames fr = { .len_bytes = 0 };
        struct fixture f;

        print_message("row: %s\n", row->name);
        setup_open(&f, CHANNEL_OPENER);
        for (unsigned k = 0; k < row->count; k++)
            frames_health(&fr, row->numbers[k]);
        peer_sends(&f, &fr);
        assert_int_equal(f.messages, row->good);
        assert_int_equal(f.ended, row->good < row->count);
        if (f.ended)
            assert_string_equal(channel_end_name(f.why), "OutOfOrder");
        teardown(&f);
    }
}

static const struct role_row {
    Rdlink__V1__Role role, peer;
    bool health, ready, drain, shutdown, exit_notice, docker_target;
} role_rows[] = {
    { CONTROLLER, WORKER_DOCKER, true, true, false, false, true, false },
    { WORKER_DOCKER, CONTROLLER, false, false, true, true, false, true },
    { WORKER_SWITCH, CONTROLLER, false, false, true, true, false, false },
    { AGENT_BRIDGE, CONTROLLER, true, true, true, true, true, false },
};

static void expect_taken(const struct role_row *row, Rdlink__V1__Envelope__BodyCase body,
                         bool is_taken)
{
    struct frames fr = { .len_bytes = 0 };
    struct fixture f;

    setup_role(&f, CHANNEL_ACCEPTOR, row->role, &row->peer, 0);
    frames_hello(&fr, IPC_MAJOR, row->peer);
    if (body == BODY(HEALTH))
        frames_health(&fr, 1);
    else
        frames_any(&fr, body);
    peer_sends(&f, &fr);
    assert_int_equal(f.messages, is_taken);
    assert_int_equal(f.ended, !is_taken);
    if (is_taken)
        assert_int_equal(f.last_body, body);
    else
        assert_string_equal(channel_end_name(f.why), "OutOfOrder");
    teardown(&f);
}

static void each_role_takes_its_own_messages_only(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(role_rows); i++) {
        const struct role_row *row = &role_rows[i];

        expect_taken(row, BODY(HEALTH), row->health);
        expect_taken(row, BODY(READY), row->ready);
        expect_taken(row, BODY(DRAIN), row->drain);
        expect_taken(row, BODY(SHUTDOWN), row->shutdown);
        expect_taken(row, BODY(EXIT_NOTICE), row->exit_notice);
        expect_taken(row, BODY(DOCKER_TARGET), row->docker_target);
    }
}

static void valid_stream(struct frames *fr, size_t *boundaries, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (i == 0)
            frames_hello_ack(fr, IPC_MAJOR, WORKER_DOCKER);
        else if (i == count - 1)
            frames_any(fr, BODY(EXIT_NOTICE));
        else
            frames_health(fr, i);
        boundaries[i] = fr->len_bytes;
    }
}

static void a_stream_may_end_between_messages_and_nowhere_else(void **state)
{
    enum { COUNT = 5 };
    struct frames fr = { .len_bytes = 0 };
    size_t boundaries[COUNT];

    valid_stream(&fr, boundaries, COUNT);
    for (size_t cut = 0; cut <= fr.len_bytes; cut++) {
        unsigned complete = 0;
        bool between = cut == 0;
        struct fixture f;

        for (unsigned i = 0; i < COUNT; i++) {
            complete += boundaries[i] <= cut;
            between |= boundaries[i] == cut;
        }
        setup(&f, CHANNEL_OPENER, 0);
        sim_peer_set_piece(f.peer, 1 + cut % 7);
        sim_peer_send(f.peer, fr.bytes, cut);
        sim_peer_end(f.peer);
        sim_run(f.sim);
        assert_int_equal(f.ended, 1);
        assert_string_equal(channel_end_name(f.why), between ? "ClosedByPeer" : "Truncated");
        assert_int_equal(f.opened + f.messages, complete);
        teardown(&f);
    }
}

static void a_reset_is_a_stream_error(void **state)
{
    struct fixture f;

    setup_open(&f, CHANNEL_ACCEPTOR);
    sim_peer_reset(f.peer, ST_RESET);
    sim_run(f.sim);
    assert_int_equal(f.ended, 1);
    assert_string_equal(channel_end_name(f.why), "StreamError");
    teardown(&f);
}

static void a_wrong_major_is_answered_so_that_both_sides_know(void **state)
{
    struct fixture f;
    struct frames fr = { .len_bytes = 0 };
    Rdlink__V1__Envelope *ack;

    setup(&f, CHANNEL_ACCEPTOR, 0);
    frames_hello(&fr, IPC_MAJOR + 1, CONTROLLER);
    peer_sends(&f, &fr);
    assert_string_equal(channel_end_name(f.why), "VersionMismatch");
    ack = sent_message(&f, 0);
    assert_int_equal(ack->body_case, BODY(HELLO_ACK));
    assert_int_equal(ack->hello_ack->major, IPC_MAJOR);
    rdlink__v1__envelope__free_unpacked(ack, NULL);
    teardown(&f);
}

/* ---- a newer minor version ---------------------------------------------------------------- */

static void unknown_fields_and_bodies_of_a_newer_minor_are_ignored(void **state)
{
    /* Envelope with body 50; Ready{detail "x"} with field 15; Envelope with nothing but field 99 */
    static const uint8_t newer[] = { 3, 0, 0, 0, 0x92, 0x03, 0,                     /* */
                                     7, 0, 0, 0, 0x22, 5,    0x0a, 1, 'x', 0x78, 1, /* */
                                     3, 0, 0, 0, 0x98, 0x06, 1 };
    struct frames fr = { .len_bytes = 0 };
    struct fixture f;

    setup_open(&f, CHANNEL_OPENER);
    frames_raw(&fr, newer, sizeof newer);
    frames_health(&fr, 1);
    peer_sends(&f, &fr);
    assert_int_equal(f.ended, 0);
    assert_int_equal(f.messages, 2);
    assert_int_equal(f.last_body, BODY(HEALTH));
    teardown(&f);
}

static void a_greeting_with_unknown_fields_is_a_greeting(void **state)
{
    /* HelloAck{major 1, minor 9, role 2, field 12 = 5, field 13 = "new"} */
    static const uint8_t newer[] = { 15,   0, 0,    0, 0x12, 13, 0x08, 1,   0x10, 9,
                                     0x18, 2, 0x60, 5, 0x6a, 3,  'n',  'e', 'w' };
    struct frames fr = { .len_bytes = 0 };
    struct fixture f;

    setup(&f, CHANNEL_OPENER, 0);
    frames_raw(&fr, newer, sizeof newer);
    peer_sends(&f, &fr);
    assert_int_equal(f.opened, 1);
    assert_int_equal(f.who.minor, 9);
    assert_string_equal(f.who.instance, "");
    teardown(&f);
}

/* ---- liveness ------------------------------------------------------------------------------ */

static void a_silent_peer_ends_the_channel_greeting_included(void **state)
{
    struct fixture f;

    setup(&f, CHANNEL_ACCEPTOR, 3000);
    sim_advance_ms(f.sim, 2999);
    assert_int_equal(f.ended, 0);
    sim_advance_ms(f.sim, 1);
    assert_int_equal(f.ended, 1);
    assert_string_equal(channel_end_name(f.why), "Silent");
    teardown(&f);
}

static void any_message_counts_as_life_but_part_of_one_does_not(void **state)
{
    struct frames ping = { .len_bytes = 0 };
    struct fixture f;

    frames_any(&ping, BODY(PING));
    setup(&f, CHANNEL_ACCEPTOR, 3000);
    peer_greets(&f, CHANNEL_ACCEPTOR);
    for (int i = 0; i < 5; i++) {
        sim_advance_ms(f.sim, 2900);
        peer_sends(&f, &ping);
    }
    assert_int_equal(f.ended, 0);
    sim_advance_ms(f.sim, 1500);
    sim_peer_send(f.peer, ping.bytes, 3);
    sim_advance_ms(f.sim, 1500);
    assert_int_equal(f.ended, 1);
    assert_string_equal(channel_end_name(f.why), "Silent");
    teardown(&f);
}

static void ping_is_answered_with_its_token(void **state)
{
    static const uint8_t ping[] = { 4, 0, 0, 0, 0x42, 2, 0x08, 42 };
    struct frames fr = { .len_bytes = 0 };
    Rdlink__V1__Envelope *pong;
    struct fixture f;

    setup_open(&f, CHANNEL_ACCEPTOR);
    frames_raw(&fr, ping, sizeof ping);
    peer_sends(&f, &fr);
    pong = sent_message(&f, 1);
    assert_int_equal(pong->body_case, BODY(PONG));
    assert_int_equal(pong->pong->token, 42);
    rdlink__v1__envelope__free_unpacked(pong, NULL);
    assert_int_equal(f.messages, 0);
    teardown(&f);
}

/* ---- sending ------------------------------------------------------------------------------- */

static enum status send_ready(struct fixture *f, size_t detail_bytes)
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
    st = channel_send(f->channel, &msg);
    free(detail);
    return st;
}

static enum status send_health(struct fixture *f)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__HealthReport health = RDLINK__V1__HEALTH_REPORT__INIT;

    msg.body_case = BODY(HEALTH);
    msg.health = &health;
    return channel_send(f->channel, &msg);
}

static void health_reports_are_numbered_by_the_channel(void **state)
{
    struct fixture f;

    setup_open(&f, CHANNEL_ACCEPTOR);
    for (unsigned i = 1; i <= 3; i++) {
        Rdlink__V1__Envelope *msg;

        assert_int_equal(send_health(&f), ST_OK);
        sim_run(f.sim);
        msg = sent_message(&f, i);
        assert_int_equal(msg->health->sequence, i);
        rdlink__v1__envelope__free_unpacked(msg, NULL);
    }
    teardown(&f);
}

static void what_may_not_be_sent_is_refused(void **state)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Hello hello = RDLINK__V1__HELLO__INIT;
    struct fixture f;

    setup_open(&f, CHANNEL_ACCEPTOR);
    assert_int_equal(channel_send(f.channel, &msg), ST_INVAL);
    msg.body_case = BODY(HELLO);
    msg.hello = &hello;
    assert_int_equal(channel_send(f.channel, &msg), ST_INVAL);
    assert_int_equal(send_ready(&f, IPC_MAX_MESSAGE), ST_INVAL);
    assert_int_equal(send_ready(&f, 10), ST_OK);
    sim_run(f.sim);
    assert_int_equal(f.ended, 0);
    teardown(&f);
}

static void a_peer_that_does_not_read_ends_the_channel_later(void **state)
{
    struct fixture f;
    enum status st = ST_OK;
    unsigned accepted = 0;

    setup_open(&f, CHANNEL_ACCEPTOR);
    sim_peer_set_room(f.peer, 0);
    while (st == ST_OK && accepted < 100) {
        st = send_ready(&f, 60000);
        accepted += st == ST_OK;
    }
    assert_int_equal(st, ST_FULL);
    assert_int_equal(accepted, 4);
    assert_int_equal(f.ended, 0);
    assert_false(channel_is_open(f.channel));
    assert_int_equal(send_ready(&f, 1), ST_CLOSED);
    sim_run(f.sim);
    assert_int_equal(f.ended, 1);
    assert_string_equal(channel_end_name(f.why), "NotReading");
    teardown(&f);
}

static void a_peer_that_pings_and_does_not_read_is_bounded_too(void **state)
{
    struct frames fr = { .len_bytes = 0 };
    struct fixture f;

    for (int i = 0; i < 500; i++)
        frames_any(&fr, BODY(PING));
    setup_open(&f, CHANNEL_ACCEPTOR);
    sim_peer_set_room(f.peer, 0);
    for (int i = 0; i < 200 && !f.ended; i++)
        peer_sends(&f, &fr);
    assert_int_equal(f.ended, 1);
    assert_string_equal(channel_end_name(f.why), "NotReading");
    teardown(&f);
}

static void a_stream_that_died_under_a_send_ends_the_channel_once(void **state)
{
    struct fixture f;

    setup_open(&f, CHANNEL_ACCEPTOR);
    sim_peer_reset(f.peer, ST_RESET);
    send_ready(&f, 1);
    sim_run(f.sim);
    assert_int_equal(f.ended, 1);
    assert_string_equal(channel_end_name(f.why), "StreamError");
    assert_int_equal(send_ready(&f, 1), ST_CLOSED);
    teardown(&f);
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
    assert_int_equal(channel_new(&c, sim_loop(sim), s, &config, &handler, NULL), ST_NOMEM);
    assert_true(alloc_fail_stop());
    assert_null(c);
    assert_true(sim_peer_is_closed(peer));
    sim_free(sim);
}

static void no_memory_to_send_ends_the_channel_later(void **state)
{
    struct fixture f;

    setup_open(&f, CHANNEL_ACCEPTOR);
    alloc_fail_after(1); /* the detail is the test's own */
    assert_int_equal(send_ready(&f, 1), ST_NOMEM);
    assert_true(alloc_fail_stop());
    assert_int_equal(f.ended, 0);
    sim_run(f.sim);
    assert_string_equal(channel_end_name(f.why), "NoMemory");
    teardown(&f);

    setup_open(&f, CHANNEL_ACCEPTOR);
    sim_peer_next_write_fails(f.peer, ST_NOMEM);
    assert_int_equal(send_ready(&f, 1), ST_NOMEM);
    sim_run(f.sim);
    assert_int_equal(f.ended, 1);
    assert_string_equal(channel_end_name(f.why), "NoMemory");
    teardown(&f);
}

static void no_memory_to_receive_ends_the_channel(void **state)
{
    struct frames fr = { .len_bytes = 0 };
    struct fixture f;

    setup(&f, CHANNEL_OPENER, 0);
    f.fails_memory_once_open = true;
    frames_hello_ack(&fr, IPC_MAJOR, WORKER_DOCKER);
    frames_any(&fr, BODY(READY));
    peer_sends(&f, &fr);
    assert_true(alloc_fail_stop());
    assert_int_equal(f.messages, 0);
    assert_int_equal(f.ended, 1);
    assert_string_equal(channel_end_name(f.why), "NoMemory");
    teardown(&f);
}

/* ---- freeing ------------------------------------------------------------------------------- */

static void a_channel_may_be_freed_in_any_callback(void **state)
{
    for (int when = FREE_IN_ON_OPEN; when <= FREE_IN_ON_END; when++) {
        struct frames fr = { .len_bytes = 0 };
        struct fixture f;

        setup(&f, CHANNEL_OPENER, 1000);
        f.free_when = (enum free_when)when;
        frames_hello_ack(&fr, IPC_MAJOR, WORKER_DOCKER);
        frames_any(&fr, BODY(READY));
        frames_any(&fr, BODY(READY));
        frames_any(&fr, BODY(DRAIN));
        peer_sends(&f, &fr);
        assert_null(f.channel);
        assert_true(sim_peer_is_closed(f.peer));
        assert_int_equal(f.messages, when == FREE_IN_ON_OPEN      ? 0
                                     : when == FREE_IN_ON_MESSAGE ? 1
                                                                  : 2);
        assert_int_equal(f.ended, when == FREE_IN_ON_END);
        teardown(&f);
    }
}

static void what_is_queued_leaves_before_the_stream_is_closed(void **state)
{
    struct fixture f;
    Rdlink__V1__Envelope *msg;

    setup_open(&f, CHANNEL_ACCEPTOR);
    sim_peer_set_room(f.peer, 3);
    assert_int_equal(send_ready(&f, 5000), ST_OK);
    free_channel(&f);
    sim_advance_ms(f.sim, 500);
    assert_false(sim_peer_is_closed(f.peer));
    sim_peer_set_room(f.peer, SIZE_MAX);
    sim_run(f.sim);
    assert_true(sim_peer_is_closed(f.peer));
    msg = sent_message(&f, 1);
    assert_int_equal(msg->body_case, BODY(READY));
    rdlink__v1__envelope__free_unpacked(msg, NULL);
    assert_int_equal(f.ended, 0);
    sim_free(f.sim);
}

static void a_peer_that_never_reads_does_not_hold_a_freed_channel(void **state)
{
    struct fixture f;

    setup_open(&f, CHANNEL_ACCEPTOR);
    sim_peer_set_room(f.peer, 0);
    assert_int_equal(send_ready(&f, 5000), ST_OK);
    free_channel(&f);
    sim_advance_ms(f.sim, 999);
    assert_false(sim_peer_is_closed(f.peer));
    sim_advance_ms(f.sim, 1);
    assert_true(sim_peer_is_closed(f.peer));
    sim_free(f.sim);
}

static void an_aborted_channel_is_closed_at_once(void **state)
{
    struct fixture f;

    setup_open(&f, CHANNEL_ACCEPTOR);
    sim_peer_set_room(f.peer, 0);
    assert_int_equal(send_ready(&f, 5000), ST_OK);
    channel_abort(f.channel);
    assert_true(sim_peer_is_closed(f.peer));
    channel_abort(NULL);
    sim_free(f.sim);
}

static void a_reset_ends_the_lingering_too(void **state)
{
    struct fixture f;

    setup_open(&f, CHANNEL_ACCEPTOR);
    sim_peer_set_room(f.peer, 0);
    assert_int_equal(send_ready(&f, 5000), ST_OK);
    free_channel(&f);
    sim_peer_reset(f.peer, ST_RESET);
    sim_run(f.sim);
    assert_true(sim_peer_is_closed(f.peer));
    assert_int_equal(f.ended, 0);
    sim_free(f.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_opener_greets_and_is_open_after_the_answer),
        cmocka_unit_test(the_acceptor_waits_for_hello_and_answers),
        cmocka_unit_test(nothing_is_sent_before_the_greeting_is_over),
        cmocka_unit_test(two_channels_of_ours_understand_each_other),
        cmocka_unit_test(every_violation_ends_the_channel_with_its_name),
        cmocka_unit_test(health_reports_are_numbered_without_gaps),
        cmocka_unit_test(each_role_takes_its_own_messages_only),
        cmocka_unit_test(a_stream_may_end_between_messages_and_nowhere_else),
        cmocka_unit_test(a_reset_is_a_stream_error),
        cmocka_unit_test(a_wrong_major_is_answered_so_that_both_sides_know),
        cmocka_unit_test(unknown_fields_and_bodies_of_a_newer_minor_are_ignored),
        cmocka_unit_test(a_greeting_with_unknown_fields_is_a_greeting),
        cmocka_unit_test(a_silent_peer_ends_the_channel_greeting_included),
        cmocka_unit_test(any_message_counts_as_life_but_part_of_one_does_not),
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
