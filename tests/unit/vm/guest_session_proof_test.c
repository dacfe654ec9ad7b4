/* SPDX-License-Identifier: Apache-2.0
 * What a key makes of an agent in a virtual machine: whom the session takes, what it says of it,
 * and the token that only a proved one gets. Keys lie in a folder in the one the test is run in.
 */
#include "vm/guest_session.h"

#include "base/log.h"
#include "ipc/envelope.h"
#include "port/put_file.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "unit/vm/session_case.h"
#include "vm/keyring.h"

#include <stdio.h>
#include <string.h>

#define KEY_FILE "guest1.key"
static const char hex_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char hex_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static void put_key(const char *hex)
{
    assert_int_equal(put_file(KEY_FILE, hex, strlen(hex), 0600), ST_OK);
}

static int set_up(void **state)
{
    struct world *w;

    world_set_up(state);
    w = *state;
    assert_int_equal(keyring_new(&w->keys, sim_loop(w->sim), ".", NULL, NULL), ST_OK);
    world_new_session(w, &world_ops);
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    remove(KEY_FILE);
    guest_session_free(w->s);
    w->s = NULL;
    keyring_free(w->keys);
    return world_tear_down(state);
}

/* The message number @n that was sent to @p; freed by the caller. NULL: there is none. */
static Rdlink__V1__Envelope *sent(struct sim_peer *p, unsigned n)
{
    struct envelope_reader r = { .have_bytes = 0 };
    Rdlink__V1__Envelope *msg;
    enum channel_end why;
    size_t len_bytes;
    const uint8_t *data = sim_peer_data(p, &len_bytes);

    for (unsigned i = 0; envelope_read(&r, &data, &len_bytes, &msg, &why) == ST_OK; i++) {
        if (i == n)
            return msg;
        rdlink__v1__envelope__free_unpacked(msg, NULL);
    }
    return NULL;
}

static struct proof_transcript transcript_of(struct sim_peer *p, const struct agent_kind *k)
{
    Rdlink__V1__Envelope *hello = sent(p, 0);
    struct proof_transcript t = { .major = IPC_MAJOR,
                                  .opener_role = RDLINK__V1__ROLE__ROLE_CONTROLLER,
                                  .acceptor_role = k->role,
                                  .opener_instance = "test",
                                  .acceptor_instance = "guest1" };

    assert_int_equal(hello->hello->nonce.len, PROOF_NONCE_BYTES);
    memcpy(t.opener_nonce, hello->hello->nonce.data, PROOF_NONCE_BYTES);
    memset(t.acceptor_nonce, 7, sizeof t.acceptor_nonce);
    rdlink__v1__envelope__free_unpacked(hello, NULL);
    return t;
}

/* HelloAck with the MAC under @hex; NULL: without one. */
static void agent_answers(struct world *w, struct sim_peer *p, const struct agent_kind *k,
                          const char *hex)
{
    char instance[] = "guest1", version[] = "9.8.7";
    struct proof_transcript t = transcript_of(p, k);
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__HelloAck ack = RDLINK__V1__HELLO_ACK__INIT;
    uint8_t mac[PROOF_MAC_BYTES];
    struct proof_key key;

    if (hex) {
        assert_int_equal(proof_key_parse(&key, hex, 64), ST_OK);
        assert_int_equal(proof_mac(&key, PROOF_BY_ACCEPTOR, &t, mac), ST_OK);
        ack.proof = (ProtobufCBinaryData){ sizeof mac, mac };
    }
    ack.major = IPC_MAJOR;
    ack.minor = IPC_MINOR;
    ack.role = k->role;
    ack.instance = instance;
    ack.version = version;
    ack.nonce = (ProtobufCBinaryData){ sizeof t.acceptor_nonce, t.acceptor_nonce };
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HELLO_ACK;
    msg.hello_ack = &ack;
    agent_sends(w, p, &msg);
}

static struct sim_peer *agent_dialled(struct world *w, const struct agent_kind *k)
{
    struct sim_peer *p;

    world_set_port(w, k->port, ST_OK, 0);
    guest_session_probe_now(w->s);
    sim_run(w->sim);
    p = world_accepted(w, k->port);
    assert_non_null(p);
    return p;
}

static struct sim_peer *agent_with_key(struct world *w, const struct agent_kind *k, const char *hex)
{
    struct sim_peer *p = agent_dialled(w, k);

    agent_answers(w, p, k, hex);
    return p;
}

static void one_key_on_both_sides_proves_both(void **state)
{
    struct world *w = *state;
    Rdlink__V1__Envelope *proof;
    struct proof_transcript t;
    struct proof_key key;
    struct sim_peer *p;

    put_key(hex_a);
    p = agent_with_key(w, &BRIDGE, hex_a);
    expect_reason(w, "Authenticated", COND_TRUE, "Proved");
    expect_reason(w, "GuestFound", COND_TRUE, "ControlOpen");
    assert_int_equal(world_view(w).bridge.proved, CHANNEL_PROVED);
    assert_string_equal(world_view(w).bridge.instance, "guest1");
    assert_int_equal(world_view(w).proofs, 1);
    proof = sent(p, 1);
    assert_int_equal(proof->body_case, RDLINK__V1__ENVELOPE__BODY_PROOF);
    t = transcript_of(p, &BRIDGE);
    assert_int_equal(proof_key_parse(&key, hex_a, 64), ST_OK);
    assert_true(
        proof_verify(&key, PROOF_BY_OPENER, &t, proof->proof->mac.data, proof->proof->mac.len));
    rdlink__v1__envelope__free_unpacked(proof, NULL);
}

static void without_keys_an_agent_is_taken_and_said_to_be_unproved(void **state)
{
    struct world *w = *state;

    agent_with_key(w, &BRIDGE, hex_a);
    expect_reason(w, "GuestFound", COND_TRUE, "ControlOpen");
    expect_reason(w, "Authenticated", COND_UNKNOWN, "NoKey");
    put_key(hex_a);
    world_new_session(w, &world_ops);
    agent_with_key(w, &BRIDGE, NULL);
    expect_reason(w, "GuestFound", COND_TRUE, "ControlOpen");
    expect_reason(w, "Authenticated", COND_FALSE, "PeerNoKey");
    world_new_session(w, &world_ops);
    agent_comes(w, &BRIDGE); /* of an older minor: no nonce */
    expect_reason(w, "Authenticated", COND_FALSE, "PeerTooOld");
}

static void another_key_is_refused_and_asked_less_and_less_often(void **state)
{
    static const uint64_t waits_ms[] = { 2000, 4000, 4000 };
    struct world *w = *state;
    struct sim_peer *p;

    put_key(hex_a);
    p = agent_with_key(w, &BRIDGE, hex_b);
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
        assert_true(sim_peer_is_closed(p));
        expect_state(w, SESSION_PROBING, GUEST_NONE);
        expect_reason(w, "AgentHealthy", COND_FALSE, "ProofFailed");
        expect_reason(w, "Authenticated", COND_FALSE, "ProofFailed");
        sim_advance_ms(w->sim, waits_ms[i] - 1);
        assert_null(world_accepted(w, BRIDGE.port));
        sim_advance_ms(w->sim, 1);
        p = world_accepted(w, BRIDGE.port);
        assert_non_null(p);
        agent_answers(w, p, &BRIDGE, hex_b);
    }
    assert_int_equal(world_view(w).proof_failures, 4);
    assert_int_equal(world_view(w).proofs, 0);
}

static void the_right_agent_is_taken_after_wrong_ones(void **state)
{
    struct world *w = *state;

    put_key(hex_a);
    agent_with_key(w, &BRIDGE, hex_b);
    agent_with_key(w, &BRIDGE, hex_a);
    expect_reason(w, "Authenticated", COND_TRUE, "Proved");
}

static void a_key_that_changes_greets_anew(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    put_key(hex_a);
    p = agent_with_key(w, &BRIDGE, hex_a);
    guest_session_keys_changed(w->s);
    sim_run(w->sim);
    assert_false(sim_peer_is_closed(p)); /* something else in the folder changed */
    put_key(hex_b);
    guest_session_keys_changed(w->s);
    sim_run(w->sim);
    assert_true(sim_peer_is_closed(p));
    p = world_accepted(w, BRIDGE.port);
    assert_non_null(p);
    agent_answers(w, p, &BRIDGE, hex_a);
    expect_reason(w, "Authenticated", COND_FALSE, "ProofFailed");
    put_key(hex_a);
    guest_session_keys_changed(w->s);
    sim_run(w->sim);
    p = world_accepted(w, BRIDGE.port);
    assert_non_null(p);
    agent_answers(w, p, &BRIDGE, hex_a);
    expect_reason(w, "Authenticated", COND_TRUE, "Proved");
}

static void only_a_proved_agent_gets_a_token_and_each_channel_another(void **state)
{
    struct world *w = *state;
    Rdlink__V1__Envelope *offer;
    struct link_token first;
    struct sim_peer *p;

    put_key(hex_a);
    p = agent_with_key(w, &NET, hex_a);
    assert_true(w->wanted_token);
    offer = sent(p, 2);
    assert_int_equal(offer->body_case, RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER);
    assert_true(link_token_take(&first, offer->network_offer->link_token.data,
                                offer->network_offer->link_token.len));
    assert_memory_equal(&first, &w->token, sizeof first);
    rdlink__v1__envelope__free_unpacked(offer, NULL);
    sim_peer_end(p);
    sim_run(w->sim);
    agent_with_key(w, &NET, hex_a);
    assert_memory_not_equal(&first, &w->token, sizeof first);

    world_new_session(w, &world_ops);
    p = agent_with_key(w, &NET, NULL);
    assert_false(w->wanted_token);
    offer = sent(p, 2);
    assert_int_equal(offer->network_offer->link_token.len, 0);
    rdlink__v1__envelope__free_unpacked(offer, NULL);
}

static void where_proof_is_required_nobody_else_is_taken(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    put_key(hex_a);
    w->require_proof = true;
    world_new_session(w, &world_ops);
    p = agent_with_key(w, &BRIDGE, NULL);
    assert_true(sim_peer_is_closed(p));
    expect_reason(w, "AgentHealthy", COND_FALSE, "ProofMissing");
    expect_reason(w, "GuestFound", COND_FALSE, "ProofMissing");
    world_set_port(w, BRIDGE.port, ST_REFUSED, 0);
    guest_listens(w, &A);
    guest_listens(w, &B);
    sim_advance_ms(w->sim, 20000);
    assert_null(world_accepted(w, A.handshake));
    assert_null(world_accepted(w, B.handshake));
    agent_with_key(w, &BRIDGE, hex_a);
    expect_reason(w, "GuestFound", COND_TRUE, "ControlOpen");
    expect_reason(w, "Authenticated", COND_TRUE, "Proved");
}

static void a_rancher_guest_is_said_to_be_unproved(void **state)
{
    struct world *w = *state;

    expect_reason(w, "Authenticated", COND_UNKNOWN, "NoGuest");
    guest_links(w, &A);
    expect_reason(w, "Authenticated", COND_UNKNOWN, "LegacyGuest");
}

static void one_unit_that_is_not_proved_is_enough_to_say_so(void **state)
{
    struct world *w = *state;

    put_key(hex_a);
    agent_with_key(w, &BRIDGE, hex_a);
    agent_with_key(w, &NET, NULL);
    expect_reason(w, "Authenticated", COND_FALSE, "PeerNoKey");
}

static void an_agents_name_opens_no_other_file(void **state)
{
    struct world *w = *state;
    struct proof_key key;

    put_key(hex_a);
    assert_int_equal(keyring_find(w->keys, "guest1", &key), ST_OK);
    assert_int_equal(keyring_find(w->keys, "./guest1", &key), ST_NOTFOUND);
    assert_int_equal(keyring_find(w->keys, "../guest1", &key), ST_NOTFOUND);
    assert_int_equal(keyring_find(w->keys, "", &key), ST_NOTFOUND);
    assert_int_equal(keyring_find(NULL, "guest1", &key), ST_NOTFOUND);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_key_on_both_sides_proves_both),
        T(without_keys_an_agent_is_taken_and_said_to_be_unproved),
        T(another_key_is_refused_and_asked_less_and_less_often),
        T(the_right_agent_is_taken_after_wrong_ones),
        T(a_key_that_changes_greets_anew),
        T(only_a_proved_agent_gets_a_token_and_each_channel_another),
        T(where_proof_is_required_nobody_else_is_taken),
        T(a_rancher_guest_is_said_to_be_unproved),
        T(one_unit_that_is_not_proved_is_enough_to_say_so),
        T(an_agents_name_opens_no_other_file),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
