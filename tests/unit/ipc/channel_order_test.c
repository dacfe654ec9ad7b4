/* SPDX-License-Identifier: Apache-2.0
 * What a peer may say and when: every violation ends the channel with its name, and a stream may
 * end between two messages only.
 */
#include "base/util.h"
#include "ipc/channel.h"
#include "ipc/envelope.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "unit/ipc/channel_case.h"

#include <string.h>

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
    { "Proof before Hello",
      CHANNEL_ACCEPTOR,
      true,
      { 0 },
      0,
      BODY(PROOF),
      CHANNEL_END_OUT_OF_ORDER },
    { "Proof that nobody asked for",
      CHANNEL_ACCEPTOR,
      false,
      { 0 },
      0,
      BODY(PROOF),
      CHANNEL_END_OUT_OF_ORDER },
    { "Proof to an opener",
      CHANNEL_OPENER,
      false,
      { 0 },
      0,
      BODY(PROOF),
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
    struct channel_case c;
    struct frames fr = { .len_bytes = 0 };

    channel_case_init(&c, row->side, 0);
    sim_peer_set_piece(c.peer, piece);
    if (!row->early)
        channel_case_peer_greets(&c, row->side);
    frames_raw(&fr, row->raw, row->raw_bytes);
    if (row->body != BODY(_NOT_SET))
        frames_any(&fr, row->body);
    frames_any(&fr, BODY(PING)); /* nothing after the fault may be looked at */
    channel_case_peer_sends(&c, &fr);
    assert_int_equal(c.ended, 1);
    assert_string_equal(channel_end_name(c.why), channel_end_name(row->want));
    assert_int_equal(c.messages, 0);
    assert_int_equal(c.opened, row->early ? 0 : 1);
    channel_case_fini(&c);
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
        struct channel_case c;

        print_message("row: %s\n", row->name);
        channel_case_init_open(&c, CHANNEL_OPENER);
        for (unsigned k = 0; k < row->count; k++)
            frames_health(&fr, row->numbers[k]);
        channel_case_peer_sends(&c, &fr);
        assert_int_equal(c.messages, row->good);
        assert_int_equal(c.ended, row->good < row->count);
        if (c.ended)
            assert_string_equal(channel_end_name(c.why), "OutOfOrder");
        channel_case_fini(&c);
    }
}

static const struct role_row {
    Rdlink__V1__Role role, peer;
    const char *takes; /* a letter for each of message_rows */
} role_rows[] = {
    { CONTROLLER, WORKER_DOCKER, "hrxfpw" }, { CONTROLLER, WORKER_SWITCH, "hrxfpw" },
    { CONTROLLER, AGENT_NET, "hrxfpw" },     { WORKER_DOCKER, CONTROLLER, "dstln" },
    { WORKER_SWITCH, CONTROLLER, "dsfoln" }, { AGENT_BRIDGE, CONTROLLER, "hrdsxl" },
    { AGENT_NET, CONTROLLER, "hrdsxol" },
};

static const struct message_row {
    char letter;
    Rdlink__V1__Envelope__BodyCase body;
} message_rows[] = {
    { 'h', BODY(HEALTH) },         { 'r', BODY(READY) },         { 'd', BODY(DRAIN) },
    { 's', BODY(SHUTDOWN) },       { 'x', BODY(EXIT_NOTICE) },   { 't', BODY(DOCKER_TARGET) },
    { 'f', BODY(FORWARD_CHANGE) }, { 'o', BODY(NETWORK_OFFER) }, { 'p', BODY(PUBLISHED_PORTS) },
    { 'l', BODY(LOG_LEVELS) },     { 'n', BODY(LOOK_NOW) },      { 'w', BODY(FORWARD_STATES) },
};

static void expect_taken(const struct role_row *row, Rdlink__V1__Envelope__BodyCase body,
                         bool is_taken)
{
    struct frames fr = { .len_bytes = 0 };
    struct channel_case c;

    channel_case_init_role(&c, CHANNEL_ACCEPTOR, row->role, &row->peer, 0);
    frames_hello(&fr, IPC_MAJOR, row->peer);
    if (body == BODY(HEALTH))
        frames_health(&fr, 1);
    else
        frames_any(&fr, body);
    channel_case_peer_sends(&c, &fr);
    assert_int_equal(c.messages, is_taken);
    assert_int_equal(c.ended, !is_taken);
    if (is_taken)
        assert_int_equal(c.last_body, body);
    else
        assert_string_equal(channel_end_name(c.why), "OutOfOrder");
    channel_case_fini(&c);
}

static void each_role_takes_its_own_messages_only(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(role_rows); i++) {
        const struct role_row *row = &role_rows[i];

        for (size_t k = 0; k < ARRAY_SIZE(message_rows); k++)
            expect_taken(row, message_rows[k].body,
                         strchr(row->takes, message_rows[k].letter) != NULL);
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
        struct channel_case c;

        for (unsigned i = 0; i < COUNT; i++) {
            complete += boundaries[i] <= cut;
            between |= boundaries[i] == cut;
        }
        channel_case_init(&c, CHANNEL_OPENER, 0);
        sim_peer_set_piece(c.peer, 1 + cut % 7);
        sim_peer_send(c.peer, fr.bytes, cut);
        sim_peer_end(c.peer);
        sim_run(c.sim);
        assert_int_equal(c.ended, 1);
        assert_string_equal(channel_end_name(c.why), between ? "ClosedByPeer" : "Truncated");
        assert_int_equal(c.opened + c.messages, complete);
        channel_case_fini(&c);
    }
}

static void a_reset_is_a_stream_error(void **state)
{
    struct channel_case c;

    channel_case_init_open(&c, CHANNEL_ACCEPTOR);
    sim_peer_reset(c.peer, ST_RESET);
    sim_run(c.sim);
    assert_int_equal(c.ended, 1);
    assert_string_equal(channel_end_name(c.why), "StreamError");
    channel_case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_violation_ends_the_channel_with_its_name),
        cmocka_unit_test(health_reports_are_numbered_without_gaps),
        cmocka_unit_test(each_role_takes_its_own_messages_only),
        cmocka_unit_test(a_stream_may_end_between_messages_and_nowhere_else),
        cmocka_unit_test(a_reset_is_a_stream_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
