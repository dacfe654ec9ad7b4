/* SPDX-License-Identifier: Apache-2.0
 * Who is proved and who is taken all the same: two channels of ours with one key, with two, with
 * one that is lacking; then peers that replay, reflect or leave out what they should say.
 */
#include "base/util.h"
#include "ipc/channel.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "unit/ipc/channel_case.h"

#include <string.h>

enum key { NO_KEY, KEY_1, KEY_2 };

/* One side: what it knows and what came of it. */
struct side {
    struct channel_case c;
    enum key key;
    struct channel_proof proof;
    char asked[PROOF_INSTANCE_MAX]; /* the instance whose key was looked for */
};

static enum status find_key(void *ctx, const char *instance, struct proof_key *out)
{
    struct side *s = ctx;

    strcpy(s->asked, instance);
    if (s->key == NO_KEY)
        return ST_NOTFOUND;
    memset(out, (int)s->key, sizeof *out);
    return ST_OK;
}

static void side_init(struct side *s, struct sim *sim, enum key key, bool required)
{
    *s = (struct side){ .c = { .sim = sim, .why = CHANNEL_END_COUNT }, .key = key };
    s->proof = (struct channel_proof){ find_key, s, required };
}

static void side_start(struct side *s, struct stream *stream, enum channel_side side)
{
    static const Rdlink__V1__Role controller = CONTROLLER, agent = AGENT_BRIDGE;
    const struct channel_config config = {
        .side = side,
        .role = side == CHANNEL_OPENER ? CONTROLLER : AGENT_BRIDGE,
        .instance = side == CHANNEL_OPENER ? "the-host" : "the-guest",
        .peer_roles = side == CHANNEL_OPENER ? &agent : &controller,
        .peer_role_count = 1,
        .greeting_ms = 5000,
        .proof = &s->proof,
    };

    s->c.peer = sim_peer_of(stream);
    assert_int_equal(channel_new(&s->c.channel, sim_loop(s->c.sim), stream, &config,
                                 &channel_case_handler, &s->c),
                     ST_OK);
}

static void side_fini(struct side *s)
{
    channel_free(s->c.channel);
}

static const struct row {
    const char *name;
    enum key host, guest;
    bool host_requires, guest_requires;
    enum channel_proved host_sees, guest_sees;
    enum channel_end host_ends, guest_ends; /* CHANNEL_END_COUNT: it does not */
} rows[] = {
    { "one key", KEY_1, KEY_1, true, true, CHANNEL_PROVED, CHANNEL_PROVED, CHANNEL_END_COUNT,
      CHANNEL_END_COUNT },
    { "no keys", NO_KEY, NO_KEY, false, false, CHANNEL_NO_KEY, CHANNEL_NO_KEY, CHANNEL_END_COUNT,
      CHANNEL_END_COUNT },
    { "only the host has one", KEY_1, NO_KEY, false, false, CHANNEL_PEER_NO_KEY, CHANNEL_NO_KEY,
      CHANNEL_END_COUNT, CHANNEL_END_COUNT },
    { "only the guest has one", NO_KEY, KEY_1, false, false, CHANNEL_NO_KEY, CHANNEL_PEER_NO_KEY,
      CHANNEL_END_COUNT, CHANNEL_END_COUNT },
    { "two keys", KEY_1, KEY_2, false, false, CHANNEL_NOT_ASKED, CHANNEL_NOT_ASKED,
      CHANNEL_END_PROOF_FAILED, CHANNEL_END_CLOSED_BY_PEER },
    { "the host requires", KEY_1, NO_KEY, true, false, CHANNEL_NOT_ASKED, CHANNEL_NO_KEY,
      CHANNEL_END_PROOF_MISSING, CHANNEL_END_CLOSED_BY_PEER },
    { "the guest requires", NO_KEY, KEY_1, false, true, CHANNEL_NO_KEY, CHANNEL_NOT_ASKED,
      CHANNEL_END_CLOSED_BY_PEER, CHANNEL_END_PROOF_MISSING },
    { "the guest requires and has none itself", KEY_1, NO_KEY, false, true, CHANNEL_PEER_NO_KEY,
      CHANNEL_NOT_ASKED, CHANNEL_END_CLOSED_BY_PEER, CHANNEL_END_PROOF_MISSING },
};

static void expect(const struct row *r, const char *who, const struct side *s,
                   enum channel_proved sees, enum channel_end ends)
{
    enum channel_proved got = s->c.opened ? s->c.who.proved : CHANNEL_NOT_ASKED;

    if (got != sees)
        fail_msg("%s: the %s sees %s", r->name, who, channel_proved_name(got));
    if (s->c.why != ends)
        fail_msg("%s: the %s ends with %s", r->name, who, channel_end_name(s->c.why));
}

static void keys_decide_who_is_proved_and_who_is_taken(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *r = &rows[i];
        struct sim *sim = sim_new();
        struct stream *sa = NULL, *sb = NULL;
        struct side host, guest;

        side_init(&host, sim, r->host, r->host_requires);
        side_init(&guest, sim, r->guest, r->guest_requires);
        sim_stream_pair(sim, &sa, &sb, 0);
        side_start(&host, sa, CHANNEL_OPENER);
        side_start(&guest, sb, CHANNEL_ACCEPTOR);
        sim_run(sim);
        expect(r, "host", &host, r->host_sees, r->host_ends);
        expect(r, "guest", &guest, r->guest_sees, r->guest_ends);
        assert_string_equal(host.asked, "the-guest");
        side_fini(&host);
        side_fini(&guest);
        sim_free(sim);
    }
}

/* ---- against bytes of the test's ------------------------------------------------------------ */

struct lone {
    struct side side;
    struct sim *sim;
};

static void lone_init(struct lone *l, enum channel_side side, enum key key, bool required)
{
    struct stream *s = NULL;

    l->sim = sim_new();
    side_init(&l->side, l->sim, key, required);
    (void)sim_stream(l->sim, &s);
    side_start(&l->side, s, side);
    sim_run(l->sim);
}

static void lone_fini(struct lone *l)
{
    side_fini(&l->side);
    sim_advance_ms(l->sim, 2000);
    sim_free(l->sim);
}

static void send(struct lone *l, const Rdlink__V1__Envelope *msg)
{
    struct frames fr = { .len_bytes = 0 };

    frames_message(&fr, msg);
    channel_case_peer_sends(&l->side.c, &fr);
}

static void send_hello(struct lone *l, uint8_t *nonce, size_t nonce_bytes)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Hello hello = RDLINK__V1__HELLO__INIT;
    char instance[] = "the-host";

    hello.major = IPC_MAJOR;
    hello.minor = IPC_MINOR;
    hello.role = CONTROLLER;
    hello.instance = instance;
    hello.nonce = (ProtobufCBinaryData){ nonce_bytes, nonce };
    msg.body_case = BODY(HELLO);
    msg.hello = &hello;
    send(l, &msg);
}

static void send_ack(struct lone *l, uint8_t *nonce, size_t nonce_bytes, uint8_t *mac,
                     size_t mac_bytes)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__HelloAck ack = RDLINK__V1__HELLO_ACK__INIT;
    char instance[] = "the-guest";

    ack.major = IPC_MAJOR;
    ack.minor = IPC_MINOR;
    ack.role = AGENT_BRIDGE;
    ack.instance = instance;
    ack.nonce = (ProtobufCBinaryData){ nonce_bytes, nonce };
    ack.proof = (ProtobufCBinaryData){ mac_bytes, mac };
    msg.body_case = BODY(HELLO_ACK);
    msg.hello_ack = &ack;
    send(l, &msg);
}

static void send_proof(struct lone *l, uint8_t *mac, size_t mac_bytes)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Proof proof = RDLINK__V1__PROOF__INIT;

    proof.mac = (ProtobufCBinaryData){ mac_bytes, mac };
    msg.body_case = BODY(PROOF);
    msg.proof = &proof;
    send(l, &msg);
}

static void expect_end(struct lone *l, const char *name)
{
    assert_int_equal(l->side.c.ended, 1);
    assert_int_equal(l->side.c.opened, 0);
    assert_string_equal(channel_end_name(l->side.c.why), name);
}

/* Our own words of one conversation, kept for another one. */
struct kept {
    uint8_t nonce[PROOF_NONCE_BYTES], mac[PROOF_MAC_BYTES];
};

static struct kept keep_ack(struct lone *l)
{
    Rdlink__V1__Envelope *msg = channel_case_sent(&l->side.c, 0);
    struct kept k;

    assert_int_equal(msg->body_case, BODY(HELLO_ACK));
    assert_int_equal(msg->hello_ack->nonce.len, sizeof k.nonce);
    assert_int_equal(msg->hello_ack->proof.len, sizeof k.mac);
    memcpy(k.nonce, msg->hello_ack->nonce.data, sizeof k.nonce);
    memcpy(k.mac, msg->hello_ack->proof.data, sizeof k.mac);
    rdlink__v1__envelope__free_unpacked(msg, NULL);
    return k;
}

static struct proof_transcript transcript(const uint8_t *opener_nonce,
                                          const uint8_t *acceptor_nonce)
{
    struct proof_transcript t = { .major = IPC_MAJOR,
                                  .opener_role = CONTROLLER,
                                  .acceptor_role = AGENT_BRIDGE,
                                  .opener_instance = "the-host",
                                  .acceptor_instance = "the-guest" };

    memcpy(t.opener_nonce, opener_nonce, sizeof t.opener_nonce);
    memcpy(t.acceptor_nonce, acceptor_nonce, sizeof t.acceptor_nonce);
    return t;
}

static void an_acceptor_is_open_only_with_the_proof(void **state)
{
    struct proof_key key;
    struct proof_transcript t;
    uint8_t nonce[PROOF_NONCE_BYTES] = { 5 }, mac[PROOF_MAC_BYTES];
    struct kept k;
    struct lone l;

    lone_init(&l, CHANNEL_ACCEPTOR, KEY_1, true);
    send_hello(&l, nonce, sizeof nonce);
    assert_int_equal(l.side.c.opened, 0);
    k = keep_ack(&l);
    t = transcript(nonce, k.nonce);
    memset(&key, KEY_1, sizeof key);
    assert_true(proof_verify(&key, PROOF_BY_ACCEPTOR, &t, k.mac, sizeof k.mac));
    assert_int_equal(proof_mac(&key, PROOF_BY_OPENER, &t, mac), ST_OK);
    send_proof(&l, mac, sizeof mac);
    assert_int_equal(l.side.c.opened, 1);
    assert_int_equal(l.side.c.who.proved, CHANNEL_PROVED);
    send_proof(&l, mac, sizeof mac);
    assert_string_equal(channel_end_name(l.side.c.why), "OutOfOrder");
    lone_fini(&l);
}

static void a_proof_of_an_earlier_stream_is_none(void **state)
{
    struct proof_key key;
    struct proof_transcript t;
    uint8_t nonce[PROOF_NONCE_BYTES] = { 5 }, mac[PROOF_MAC_BYTES];
    struct kept first, second;
    struct lone l;

    lone_init(&l, CHANNEL_ACCEPTOR, KEY_1, false);
    send_hello(&l, nonce, sizeof nonce);
    first = keep_ack(&l);
    t = transcript(nonce, first.nonce);
    memset(&key, KEY_1, sizeof key);
    assert_int_equal(proof_mac(&key, PROOF_BY_OPENER, &t, mac), ST_OK);
    lone_fini(&l);

    lone_init(&l, CHANNEL_ACCEPTOR, KEY_1, false);
    send_hello(&l, nonce, sizeof nonce); /* the same nonce as then */
    second = keep_ack(&l);
    assert_memory_not_equal(first.nonce, second.nonce, sizeof first.nonce);
    send_proof(&l, mac, sizeof mac);
    expect_end(&l, "ProofFailed");
    lone_fini(&l);
}

static void an_answer_of_an_earlier_stream_is_none(void **state)
{
    uint8_t nonce[PROOF_NONCE_BYTES] = { 5 };
    struct kept k;
    struct lone l;

    lone_init(&l, CHANNEL_ACCEPTOR, KEY_1, false);
    send_hello(&l, nonce, sizeof nonce);
    k = keep_ack(&l);
    lone_fini(&l);

    lone_init(&l, CHANNEL_OPENER, KEY_1, false);
    send_ack(&l, k.nonce, sizeof k.nonce, k.mac, sizeof k.mac);
    expect_end(&l, "ProofFailed");
    lone_fini(&l);
}

static void our_own_mac_sent_back_is_none(void **state)
{
    uint8_t nonce[PROOF_NONCE_BYTES] = { 5 };
    struct kept k;
    struct lone l;

    lone_init(&l, CHANNEL_ACCEPTOR, KEY_1, false);
    send_hello(&l, nonce, sizeof nonce);
    k = keep_ack(&l);
    send_proof(&l, k.mac, sizeof k.mac);
    expect_end(&l, "ProofFailed");
    lone_fini(&l);
}

static void a_mac_of_another_length_is_none(void **state)
{
    uint8_t nonce[PROOF_NONCE_BYTES] = { 5 }, mac[PROOF_MAC_BYTES + 1] = { 0 };
    struct lone l;

    for (size_t n = 1; n <= sizeof mac; n += 16) {
        lone_init(&l, CHANNEL_ACCEPTOR, KEY_1, false);
        send_hello(&l, nonce, sizeof nonce);
        send_proof(&l, mac, n);
        expect_end(&l, "ProofFailed");
        lone_fini(&l);
        lone_init(&l, CHANNEL_OPENER, KEY_1, false);
        send_ack(&l, nonce, sizeof nonce, mac, n);
        expect_end(&l, "ProofFailed");
        lone_fini(&l);
    }
}

/* N-1: minor 1 knows no nonce. */
static void an_older_peer_is_taken_unless_proof_is_required(void **state)
{
    static const enum channel_side sides[] = { CHANNEL_OPENER, CHANNEL_ACCEPTOR };

    for (size_t i = 0; i < 2 * ARRAY_SIZE(sides); i++) {
        struct lone l;

        lone_init(&l, sides[i / 2], KEY_1, i % 2 == 1);
        if (sides[i / 2] == CHANNEL_OPENER)
            send_ack(&l, NULL, 0, NULL, 0);
        else
            send_hello(&l, NULL, 0);
        if (i % 2) {
            expect_end(&l, "ProofMissing");
        } else {
            assert_int_equal(l.side.c.opened, 1);
            assert_int_equal(l.side.c.who.proved, CHANNEL_PEER_TOO_OLD);
        }
        lone_fini(&l);
    }
}

/* A nonce of a length that is not ours is none: nobody may choose a weak one. */
static void a_short_nonce_is_none(void **state)
{
    uint8_t nonce[PROOF_NONCE_BYTES] = { 5 };
    struct lone l;

    lone_init(&l, CHANNEL_ACCEPTOR, KEY_1, true);
    send_hello(&l, nonce, sizeof nonce - 1);
    expect_end(&l, "ProofMissing");
    lone_fini(&l);
}

static void nothing_else_may_come_before_the_proof(void **state)
{
    uint8_t nonce[PROOF_NONCE_BYTES] = { 5 };
    struct frames fr = { .len_bytes = 0 };
    struct lone l;

    lone_init(&l, CHANNEL_ACCEPTOR, KEY_1, false);
    send_hello(&l, nonce, sizeof nonce);
    frames_any(&fr, BODY(DRAIN));
    channel_case_peer_sends(&l.side.c, &fr);
    expect_end(&l, "OutOfOrder");
    lone_fini(&l);
}

static void a_peer_that_keeps_its_proof_back_is_not_waited_for(void **state)
{
    uint8_t nonce[PROOF_NONCE_BYTES] = { 5 };
    struct lone l;

    lone_init(&l, CHANNEL_ACCEPTOR, KEY_1, false);
    sim_advance_ms(l.sim, 3000);
    send_hello(&l, nonce, sizeof nonce); /* buys no time */
    sim_advance_ms(l.sim, 1999);
    assert_int_equal(l.side.c.ended, 0);
    sim_advance_ms(l.sim, 1);
    expect_end(&l, "Silent");
    lone_fini(&l);
}

static void an_opener_hears_why_it_is_not_taken(void **state)
{
    struct lone l;
    Rdlink__V1__Envelope *msg;

    lone_init(&l, CHANNEL_ACCEPTOR, KEY_1, true);
    send_hello(&l, NULL, 0);
    msg = channel_case_sent(&l.side.c, 1);
    assert_int_equal(msg->body_case, BODY(EXIT_NOTICE));
    assert_string_equal(msg->exit_notice->reason, "ProofMissing");
    rdlink__v1__envelope__free_unpacked(msg, NULL);
    lone_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_decide_who_is_proved_and_who_is_taken),
        cmocka_unit_test(an_acceptor_is_open_only_with_the_proof),
        cmocka_unit_test(a_proof_of_an_earlier_stream_is_none),
        cmocka_unit_test(an_answer_of_an_earlier_stream_is_none),
        cmocka_unit_test(our_own_mac_sent_back_is_none),
        cmocka_unit_test(a_mac_of_another_length_is_none),
        cmocka_unit_test(an_older_peer_is_taken_unless_proof_is_required),
        cmocka_unit_test(a_short_nonce_is_none),
        cmocka_unit_test(nothing_else_may_come_before_the_proof),
        cmocka_unit_test(a_peer_that_keeps_its_proof_back_is_not_waited_for),
        cmocka_unit_test(an_opener_hears_why_it_is_not_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
