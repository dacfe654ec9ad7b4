/* SPDX-License-Identifier: Apache-2.0
 * One virtual machine whose ports a test opens and closes, and whose guests it plays.
 */
#include "vm/guest_session.h"

#include "base/log.h"
#include "ipc/envelope.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "vm/handshake.h"
#include "vm/vm_source.h"

#include <stdlib.h>
#include <string.h>

enum { PORTS_MAX = 4, LINKS_MAX = 8 };

/* A port of the machine: how a dial there ends. Anything not listed refuses. */
struct port_rule {
    uint32_t port;
    struct sim_dial_answer answer;
};

struct world {
    struct sim *sim;
    struct guest_session *s;
    struct vm_info vm;
    struct port_rule ports[PORTS_MAX];
    unsigned port_count;
    struct stream *links[LINKS_MAX]; /* in order of arrival; the test plays their owner */
    enum guest_generation link_generation[LINKS_MAX];
    unsigned link_count;
    unsigned changes;
};

static struct sim_dial_answer decide(void *ctx, const struct addr *to)
{
    const struct world *w = ctx;

    for (unsigned i = 0; i < w->port_count; i++)
        if (w->ports[i].port == to->port)
            return w->ports[i].answer;
    return (struct sim_dial_answer){ ST_REFUSED, 0 };
}

static void set_port(struct world *w, uint32_t port, enum status st, uint64_t delay_ms)
{
    unsigned i = 0;

    while (i < w->port_count && w->ports[i].port != port)
        i++;
    assert_true(i < PORTS_MAX);
    w->ports[i] = (struct port_rule){ port, { st, delay_ms } };
    w->port_count = MAX(w->port_count, i + 1);
}

static void on_change(void *ctx, struct guest_session *s)
{
    struct world *w = ctx;

    w->changes++;
}

static void on_link(void *ctx, struct guest_session *s, struct stream *link,
                    enum guest_generation generation)
{
    struct world *w = ctx;

    assert_true(w->link_count < LINKS_MAX);
    w->link_generation[w->link_count] = generation;
    w->links[w->link_count++] = link;
}

static const struct session_ops ops = { on_change, on_link };

static void begin(struct world *w)
{
    const struct session_config config = { 0 };

    memset(w, 0, sizeof *w);
    w->sim = sim_new();
    sim_on_dial(w->sim, decide, w);
    w->vm = (struct vm_info){ .id = "vm1",
                              .addr = { .kind = ADDR_VSOCK_HYBRID,
                                        .path = "/vms/vm1.vsock",
                                        .port = ADDR_PORT_NONE,
                                        .fd = -1 } };
    assert_int_equal(guest_session_new(&w->s, sim_loop(w->sim), &w->vm, "test", &config, &ops, w),
                     ST_OK);
}

static void drop_links(struct world *w)
{
    for (unsigned i = 0; i < w->link_count; i++) {
        stream_close(w->links[i]);
        w->links[i] = NULL;
    }
}

/* sim_free() aborts when the session left anything open. */
static void end(struct world *w)
{
    guest_session_free(w->s);
    drop_links(w);
    sim_advance_ms(w->sim, 1500); /* a channel may take a second to send its last bytes */
    sim_free(w->sim);
}

static int set_up(void **state)
{
    static struct world w;

    begin(&w);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    end(*state);
    return 0;
}

static struct addr guest_port(const struct world *w, uint32_t port)
{
    return addr_at_port(&w->vm.addr, port);
}

static struct addr data_port(const struct world *w, uint32_t port)
{
    struct addr at;

    assert_int_equal(addr_guest_to_host(&at, &w->vm.addr, port, NULL), ST_OK);
    return at;
}

/* The far end of the next dial to a port of the guest; NULL when there was none. */
static struct sim_peer *accepted(struct world *w, uint32_t port)
{
    struct addr at = guest_port(w, port);

    return sim_take_dialled_to(w->sim, &at);
}

static bool is_listening(const struct world *w, uint32_t port)
{
    struct addr at = data_port(w, port);

    return sim_is_listening(w->sim, &at);
}

static struct session_view view(const struct world *w)
{
    struct session_view v;

    guest_session_view(w->s, &v);
    return v;
}

static void expect_state(const struct world *w, enum session_state state, enum guest_generation g)
{
    struct session_view v = view(w);

    if (v.state != state || v.generation != g)
        fail_msg("state %s/%s, want %s/%s", session_state_name(v.state),
                 guest_generation_name(v.generation), session_state_name(state),
                 guest_generation_name(g));
}

static void expect_reason(const struct world *w, const char *type, enum condition_status status,
                          const char *reason)
{
    struct session_view v = view(w);
    const struct condition *c = condition_find(&v.conditions, type);

    assert_non_null(c);
    if (c->status != status || strcmp(c->reason, reason) != 0)
        fail_msg("%s is %s/%s, want %s/%s", type, condition_status_name(c->status), c->reason,
                 condition_status_name(status), reason);
}

/* ---- what a guest of generation A or B does ---------------------------------------------- */

struct kind {
    enum guest_generation generation;
    uint32_t handshake, data;
    const struct signature *signature;
};

static const struct kind A = { GUEST_A, 6669, 6656, &SIGNATURE_A };
static const struct kind B = { GUEST_B, 6670, 6657, &SIGNATURE_B };

/* network-setup starts. */
static void guest_listens(struct world *w, const struct kind *k)
{
    set_port(w, k->handshake, ST_OK, 0);
}

/* It answers the probe that is there by now. */
static void guest_answers_probe(struct world *w, const struct kind *k)
{
    struct sim_peer *p = accepted(w, k->handshake);

    assert_non_null(p);
    sim_peer_send_text(p, k->signature->text);
    sim_run(w->sim);
    assert_true(sim_peer_is_closed(p));
    assert_string_equal(sim_peer_text(p), "");
}

/* It accepts the connection that brings READY, and leaves its loop. */
static void guest_takes_ready(struct world *w, const struct kind *k)
{
    struct sim_peer *p = accepted(w, k->handshake);

    assert_non_null(p);
    sim_peer_send_text(p, k->signature->text);
    sim_run(w->sim);
    assert_string_equal(sim_peer_text(p), "READY");
    assert_true(sim_peer_saw_end(p));
    assert_true(sim_peer_is_closed(p));
    set_port(w, k->handshake, ST_REFUSED, 0);
}

static struct sim_peer *guest_dials_data(struct world *w, const struct kind *k)
{
    struct addr at = data_port(w, k->data);
    struct sim_peer *p = sim_connect(w->sim, &at, &sim_local_peer);

    assert_non_null(p);
    sim_run(w->sim);
    return p;
}

static struct sim_peer *guest_links(struct world *w, const struct kind *k)
{
    guest_listens(w, k);
    sim_advance_ms(w->sim, 1000);
    guest_answers_probe(w, k);
    guest_takes_ready(w, k);
    return guest_dials_data(w, k);
}

/* ---- generations A and B ------------------------------------------------------------------ */

static void nobody_there_is_said_with_a_reason(void **state)
{
    struct world *w = *state;

    expect_reason(w, "GuestFound", COND_FALSE, "Probing");
    sim_run(w->sim);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "GuestFound", COND_FALSE, "NoListener");
    expect_reason(w, "LinkUp", COND_FALSE, "NoGuest");
    expect_reason(w, "AgentHealthy", COND_UNKNOWN, "NoAgent");
    assert_true(view(w).last_error[0] != '\0');
}

static void error_shown_is_the_telling_one_and_stays(void **state)
{
    struct world *w = *state;
    char before[sizeof view(w).last_error];

    sim_run(w->sim);
    memcpy(before, view(w).last_error, sizeof before);
    assert_non_null(strstr(before, "generation A, port 6669"));
    sim_advance_ms(w->sim, 5000);
    assert_string_equal(view(w).last_error, before);
    guest_listens(w, &B);
    sim_advance_ms(w->sim, 1000);
    sim_peer_send_text(accepted(w, B.handshake), "x");
    sim_run(w->sim);
    assert_string_equal(view(w).last_error,
                        "generation B, port 6670: wrong signature at byte 1 of 69");
    sim_advance_ms(w->sim, 4000); /* A finds nobody in the meantime */
    assert_non_null(strstr(view(w).last_error, "wrong signature"));
    guest_links(w, &A);
    assert_string_equal(view(w).last_error, "");
}

static void first_probes_go_out_at_once_and_then_every_second(void **state)
{
    struct world *w = *state;

    sim_run(w->sim);
    assert_int_equal(sim_dial_count(w->sim), 3);
    sim_advance_ms(w->sim, 999);
    assert_int_equal(sim_dial_count(w->sim), 3);
    sim_advance_ms(w->sim, 1);
    assert_int_equal(sim_dial_count(w->sim), 6);
    assert_int_equal(view(w).probes, 6);
}

static void handshake_reaches_the_link(struct world *w, const struct kind *k)
{
    guest_listens(w, k);
    sim_run(w->sim);
    assert_false(is_listening(w, k->data));
    guest_answers_probe(w, k);
    assert_true(is_listening(w, k->data)); /* before READY */
    expect_state(w, SESSION_HANDSHAKE, k->generation);
    expect_reason(w, "LinkUp", COND_FALSE, "Handshaking");
    expect_reason(w, "GuestFound", COND_TRUE, "SignatureMatched");
    guest_takes_ready(w, k);
    expect_state(w, SESSION_WAIT_LINK, k->generation);
    expect_reason(w, "LinkUp", COND_FALSE, "WaitingForLink");
    guest_dials_data(w, k);
    expect_state(w, SESSION_LINKED, k->generation);
    expect_reason(w, "LinkUp", COND_TRUE, "Linked");
    assert_int_equal(w->link_count, 1);
    assert_int_equal(w->link_generation[0], k->generation);
    assert_int_equal(view(w).handshakes, 1);
    assert_int_equal(view(w).links, 1);
    assert_int_equal(view(w).matches, 1);
}

static void generation_a_comes_up(void **state)
{
    handshake_reaches_the_link(*state, &A);
}

static void generation_b_comes_up(void **state)
{
    handshake_reaches_the_link(*state, &B);
}

static void both_generations_in_one_machine_have_a_link_each(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    guest_links(w, &B);
    assert_int_equal(w->link_count, 2);
    assert_int_equal(w->link_generation[0], GUEST_A);
    assert_int_equal(w->link_generation[1], GUEST_B);
    guest_session_on_link_end(w->s, GUEST_A, ST_EOF);
    assert_int_equal(view(w).lanes[GUEST_A], SESSION_PROBING);
    assert_int_equal(view(w).lanes[GUEST_B], SESSION_LINKED);
    expect_reason(w, "LinkUp", COND_TRUE, "Linked");
}

static void wrong_phrase(struct world *w, const struct kind *port, const char *phrase)
{
    struct sim_peer *p;

    guest_listens(w, port);
    sim_run(w->sim);
    p = accepted(w, port->handshake);
    sim_peer_send_text(p, phrase);
    sim_run(w->sim);
    assert_true(sim_peer_is_closed(p));
    assert_false(is_listening(w, port->data));
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "GuestFound", COND_FALSE, "WrongPhrase");
    assert_int_equal(view(w).mismatches, 1);
}

static void phrase_of_a_on_the_port_of_b_is_refused(void **state)
{
    wrong_phrase(*state, &B, SIGNATURE_A.text);
}

static void phrase_of_b_on_the_port_of_a_is_refused(void **state)
{
    wrong_phrase(*state, &A, SIGNATURE_B.text);
}

/* Something that is no guest may be replaced by one: probing goes on, five times slower. */
static void wrong_phrase_is_probed_again_later(void **state)
{
    struct world *w = *state;

    wrong_phrase(w, &A, "github.com/somebody/else");
    sim_advance_ms(w->sim, 4999);
    assert_null(accepted(w, 6669));
    sim_advance_ms(w->sim, 1);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

static void phrase_in_one_byte_pieces_is_taken(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    guest_listens(w, &B);
    sim_run(w->sim);
    p = accepted(w, B.handshake);
    for (size_t i = 0; i < B.signature->len_bytes; i++) {
        sim_peer_send(p, B.signature->text + i, 1);
        sim_advance_ms(w->sim, 10);
    }
    expect_state(w, SESSION_HANDSHAKE, GUEST_B);
}

static void silent_peer_costs_its_time_and_is_probed_again(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    guest_listens(w, &A);
    sim_run(w->sim);
    p = accepted(w, A.handshake);
    sim_advance_ms(w->sim, 5000);
    assert_true(sim_peer_is_closed(p));
    expect_reason(w, "GuestFound", COND_FALSE, "PeerSilent");
    assert_int_equal(view(w).timeouts, 1);
    sim_advance_ms(w->sim, 1000);
    guest_answers_probe(w, &A);
    expect_state(w, SESSION_HANDSHAKE, GUEST_A);
}

static void silent_peer_on_one_port_does_not_delay_the_other(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    guest_listens(w, &B);
    sim_run(w->sim);
    assert_non_null(accepted(w, A.handshake)); /* and never a word */
    guest_answers_probe(w, &B);
    guest_takes_ready(w, &B);
    guest_dials_data(w, &B);
    expect_state(w, SESSION_LINKED, GUEST_B);
    assert_int_equal(sim_now_ms(w->sim), 1000); /* no time has passed since the start */
}

static void peer_that_hangs_up_is_named(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    sim_peer_end(accepted(w, A.handshake));
    sim_run(w->sim);
    expect_reason(w, "GuestFound", COND_FALSE, "PeerClosed");
}

static void dial_that_hangs_is_bounded_and_tried_again(void **state)
{
    struct world *w = *state;

    set_port(w, 6669, ST_OK, SIM_NEVER);
    sim_run(w->sim);
    sim_advance_ms(w->sim, 2000);
    assert_int_equal(view(w).timeouts, 1);
    guest_listens(w, &A);
    sim_advance_ms(w->sim, 1000);
    guest_answers_probe(w, &A);
    expect_state(w, SESSION_HANDSHAKE, GUEST_A);
}

/* ---- restarts and phantoms ---------------------------------------------------------------- */

static void guest_restarted_before_ready_is_greeted_again(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    sim_peer_reset(accepted(w, A.handshake), ST_RESET); /* READY went to the one that died */
    sim_run(w->sim);
    expect_state(w, SESSION_WAIT_LINK, GUEST_A);
    sim_advance_ms(w->sim, 1000);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

static void ready_that_cannot_be_delivered_is_a_reason(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    set_port(w, 6669, ST_REFUSED, 0);
    guest_answers_probe(w, &A);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "LinkUp", COND_FALSE, "ReadyFailed");
    assert_false(is_listening(w, A.data));
}

static void guest_restarted_after_ready_is_greeted_again(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_links(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
    assert_int_equal(view(w).handshakes, 2);
}

/* The old host's deadlock: network-setup starts again while its predecessor's link is still held.
 */
static void guest_restarted_with_a_live_link_replaces_it(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    sim_advance_ms(w->sim, 4000); /* no frame for longer than link_quiet_ms */
    guest_links(w, &A);
    assert_int_equal(w->link_count, 2);
    expect_state(w, SESSION_LINKED, GUEST_A);
    assert_int_equal(view(w).handshakes, 2);
}

static void link_with_frames_on_it_is_not_replaced(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    guest_listens(w, &A); /* a second distribution of the same generation */
    for (unsigned i = 0; i < 10; i++) {
        struct sim_peer *p;

        sim_advance_ms(w->sim, 1000);
        guest_session_on_link_activity(w->s, GUEST_A);
        p = accepted(w, A.handshake);
        assert_non_null(p);
        sim_peer_send_text(p, SIGNATURE_A.text);
        sim_run(w->sim);
        assert_string_equal(sim_peer_text(p), "");
    }
    assert_int_equal(view(w).handshakes, 1);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

static void link_that_ends_is_probed_for_at_once(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    sim_advance_ms(w->sim, 2500);
    guest_listens(w, &A);
    guest_session_on_link_end(w->s, GUEST_A, ST_EOF);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "LinkUp", COND_FALSE, "LinkLost");
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

/* A guest that drops every link at once is not chased at full speed. */
static void short_links_are_probed_for_at_the_usual_pace(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    guest_listens(w, &A);
    guest_session_on_link_end(w->s, GUEST_A, ST_EOF);
    sim_advance_ms(w->sim, 900);
    assert_null(accepted(w, A.handshake));
    sim_advance_ms(w->sim, 100);
    assert_non_null(accepted(w, A.handshake));
}

static void guest_may_dial_again_without_a_handshake(void **state)
{
    struct world *w = *state;

    guest_links(w, &B);
    guest_session_on_link_end(w->s, GUEST_B, ST_RESET);
    sim_advance_ms(w->sim, 3000);
    guest_dials_data(w, &B);
    expect_state(w, SESSION_LINKED, GUEST_B);
    assert_int_equal(w->link_count, 2);
}

static void guest_that_went_away_gives_the_data_port_back(void **state)
{
    struct world *w = *state;

    guest_links(w, &A);
    guest_session_on_link_end(w->s, GUEST_A, ST_EOF);
    sim_advance_ms(w->sim, 9999);
    expect_reason(w, "GuestFound", COND_FALSE, "GuestGone");
    assert_true(is_listening(w, A.data));
    sim_advance_ms(w->sim, 1);
    assert_false(is_listening(w, A.data));
}

/* A machine that is going away answers from what is left of it and never dials. */
static void phantom_is_given_up_and_the_real_guest_found(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    sim_advance_ms(w->sim, 10000);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "LinkUp", COND_FALSE, "LinkTimeout");
    assert_false(is_listening(w, A.data));
    guest_links(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

static void budget_is_a_reason_and_never_an_end(void **state)
{
    struct world *w = *state;

    sim_advance_ms(w->sim, 299999);
    expect_reason(w, "GuestFound", COND_FALSE, "NoListener");
    sim_advance_ms(w->sim, 1);
    expect_reason(w, "GuestFound", COND_FALSE, "HandshakeOverdue");
    guest_links(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
    expect_reason(w, "GuestFound", COND_TRUE, "SignatureMatched");
}

static void guest_that_never_links_is_overdue_too(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    for (unsigned i = 0; i < 320; i++) {
        struct sim_peer *p = accepted(w, A.handshake);

        if (p)
            sim_peer_send_text(p, SIGNATURE_A.text);
        sim_advance_ms(w->sim, 1000);
    }
    expect_reason(w, "GuestFound", COND_TRUE, "SignatureMatched");
    expect_reason(w, "LinkUp", COND_FALSE, "HandshakeOverdue");
}

/* ---- the data port ------------------------------------------------------------------------ */

static void taken_data_port_is_named_and_ready_not_sent(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    sim_next_listen_fails(w->sim, ST_EXISTS);
    guest_answers_probe(w, &A);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "GuestFound", COND_TRUE, "SignatureMatched");
    expect_reason(w, "LinkUp", COND_FALSE, "DataPortTaken");
    assert_null(accepted(w, A.handshake));
    sim_advance_ms(w->sim, 5000);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_state(w, SESSION_LINKED, GUEST_A);
}

static void data_port_that_cannot_be_opened_is_named(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    sim_next_listen_fails(w->sim, ST_DENIED);
    guest_answers_probe(w, &A);
    expect_reason(w, "LinkUp", COND_FALSE, "ListenFailed");
}

/* Plain AF_VSOCK: one port for all guests, so the peer's CID decides. */
static void data_link_from_another_machine_is_closed(void **state)
{
    struct world *w = *state;
    const struct session_config config = { 0 };
    const struct peer stranger = sim_vsock_peer(4), ours = sim_vsock_peer(3);
    struct peer nobody = sim_vsock_peer(3);
    struct sim_peer *p;
    struct addr at;

    nobody.has_cid = false;
    guest_session_free(w->s);
    w->vm.addr = (struct addr){ .kind = ADDR_VSOCK, .cid = 3, .port = ADDR_PORT_NONE, .fd = -1 };
    assert_int_equal(guest_session_new(&w->s, sim_loop(w->sim), &w->vm, "test", &config, &ops, w),
                     ST_OK);
    guest_listens(w, &A);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    at = data_port(w, A.data);
    p = sim_connect(w->sim, &at, &stranger);
    sim_run(w->sim);
    assert_true(sim_peer_is_closed(p));
    p = sim_connect(w->sim, &at, &nobody);
    sim_run(w->sim);
    assert_true(sim_peer_is_closed(p));
    assert_int_equal(w->link_count, 0);
    sim_connect(w->sim, &at, &ours);
    sim_run(w->sim);
    assert_int_equal(w->link_count, 1);
}

/* ---- v2 ----------------------------------------------------------------------------------- */

static void agent_sends(struct world *w, struct sim_peer *p, const Rdlink__V1__Envelope *msg)
{
    uint8_t *frame;
    size_t len_bytes;

    assert_int_equal(envelope_pack(msg, &frame, &len_bytes), ST_OK);
    sim_peer_send(p, frame, len_bytes);
    free(frame);
    sim_run(w->sim);
}

static void agent_greets(struct world *w, struct sim_peer *p, uint32_t major)
{
    Rdlink__V1__HelloAck ack = RDLINK__V1__HELLO_ACK__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    char version[] = "9.8.7", instance[] = "";

    ack.major = major;
    ack.role = RDLINK__V1__ROLE__ROLE_AGENT_BRIDGE;
    ack.pid = 77;
    ack.version = version;
    ack.instance = instance;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HELLO_ACK;
    msg.hello_ack = &ack;
    agent_sends(w, p, &msg);
}

static struct sim_peer *agent_comes(struct world *w)
{
    struct sim_peer *p;

    set_port(w, 6680, ST_OK, 0);
    sim_advance_ms(w->sim, 1000);
    p = accepted(w, 6680);
    assert_non_null(p);
    agent_greets(w, p, IPC_MAJOR);
    return p;
}

static void agent_reports(struct world *w, struct sim_peer *p, uint64_t sequence,
                          enum health_state state)
{
    struct health_report r = { .sequence = sequence };
    struct health_component *c = health_add(&r, "bridge");
    Rdlink__V1__HealthReport *health;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    c->state = state;
    condition_update(&c->conditions, "DockerReachable",
                     state == HEALTH_SERVING ? COND_TRUE : COND_FALSE, "Tested", 5, "%s", "x");
    health_count(c, "accepted", sequence * 10);
    assert_int_equal(health_encode(&r, &health), ST_OK);
    health->sequence = sequence;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HEALTH;
    msg.health = health;
    agent_sends(w, p, &msg);
    health_message_free(health);
}

static void agent_is_found_and_its_health_shown(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w);
    struct session_view v = view(w);

    expect_state(w, SESSION_CONTROL, GUEST_V2);
    expect_reason(w, "GuestFound", COND_TRUE, "ControlOpen");
    expect_reason(w, "LinkUp", COND_UNKNOWN, "ControlOnly");
    expect_reason(w, "AgentHealthy", COND_UNKNOWN, "NoReport");
    assert_string_equal(v.agent_version, "9.8.7");
    assert_int_equal(v.agent_pid, 77);
    assert_false(v.agent_reports);

    agent_reports(w, p, 1, HEALTH_SERVING);
    v = view(w);
    assert_true(v.agent_reports && v.agent_serving);
    expect_reason(w, "AgentHealthy", COND_TRUE, "Serving");
    assert_int_equal(v.agent_conditions.count, 1);
    assert_string_equal(v.agent_conditions.items[0].type, "DockerReachable");
    assert_int_equal(v.agent_counter_count, 1);
    assert_string_equal(v.agent_counters[0].name, "accepted");
    assert_int_equal(v.agent_counters[0].value, 10);

    agent_reports(w, p, 2, HEALTH_NOT_SERVING);
    v = view(w);
    assert_true(v.agent_reports && !v.agent_serving);
    expect_reason(w, "AgentHealthy", COND_FALSE, "NotServing");
}

static void same_report_again_is_no_change(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w);
    unsigned before;

    agent_reports(w, p, 1, HEALTH_SERVING);
    before = w->changes;
    agent_reports(w, p, 2, HEALTH_SERVING);
    assert_int_equal(w->changes, before);
    assert_int_equal(view(w).agent_counters[0].value, 20); /* counters move all the same */
    agent_reports(w, p, 3, HEALTH_NOT_SERVING);
    assert_int_equal(w->changes, before + 1);
}

static void count_line(void *ctx, enum log_level level, enum log_component from, const char *line)
{
    ++*(unsigned *)ctx;
}

static void a_guest_cannot_flood_the_log(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w);
    unsigned lines = 0;

    log_set_level(LOG_INFO);
    log_set_sink(count_line, &lines);
    for (uint64_t i = 1; i <= 400; i++)
        agent_reports(w, p, i, i % 2 ? HEALTH_SERVING : HEALTH_NOT_SERVING);
    log_set_sink(NULL, NULL);
    log_set_level(LOG_ERROR);
    assert_in_range(lines, 2, 200);
}

static void agent_that_goes_silent_is_lost_and_dialled_again(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w);

    agent_reports(w, p, 1, HEALTH_SERVING);
    sim_advance_ms(w->sim, 6000);
    assert_true(sim_peer_is_closed(p));
    expect_reason(w, "AgentHealthy", COND_FALSE, "AgentLost");
    assert_int_equal(view(w).agent_conditions.count, 0);
    assert_false(view(w).agent_reports);
    p = accepted(w, 6680);
    assert_non_null(p);
    agent_greets(w, p, IPC_MAJOR);
    expect_state(w, SESSION_CONTROL, GUEST_V2);
}

static void agent_of_another_version_is_named(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    set_port(w, 6680, ST_OK, 0);
    sim_run(w->sim);
    p = accepted(w, 6680);
    agent_greets(w, p, IPC_MAJOR + 1);
    expect_state(w, SESSION_PROBING, GUEST_NONE);
    expect_reason(w, "AgentHealthy", COND_FALSE, "VersionMismatch");
}

static void somebody_else_on_the_agents_port_is_named(void **state)
{
    struct world *w = *state;
    struct sim_peer *p;

    set_port(w, 6680, ST_OK, 0);
    sim_run(w->sim);
    p = accepted(w, 6680);
    sim_peer_send_text(p, "HTTP/1.1 400 Bad Request\r\n\r\n");
    sim_run(w->sim);
    assert_true(sim_peer_is_closed(p));
    expect_reason(w, "AgentHealthy", COND_FALSE, "AgentRefused");
}

static void probes_slow_down_but_go_on_beside_an_agent(void **state)
{
    struct world *w = *state;
    struct sim_peer *p = agent_comes(w);
    uint64_t before;

    agent_reports(w, p, 1, HEALTH_SERVING);
    sim_advance_ms(w->sim, 1000);
    before = view(w).probes;
    for (unsigned i = 0; i < 20; i++) {
        agent_reports(w, p, i + 2, HEALTH_SERVING);
        sim_advance_ms(w->sim, 1000);
    }
    assert_int_equal(view(w).probes - before, 8); /* two lanes, every five seconds */
    guest_listens(w, &A);
    for (unsigned i = 0; i < 5; i++) {
        agent_reports(w, p, i + 22, HEALTH_SERVING);
        sim_advance_ms(w->sim, 1000);
    }
    guest_answers_probe(w, &A);
    guest_takes_ready(w, &A);
    guest_dials_data(w, &A);
    expect_state(w, SESSION_CONTROL, GUEST_V2);
    assert_int_equal(view(w).lanes[GUEST_A], SESSION_LINKED);
    expect_reason(w, "LinkUp", COND_TRUE, "Linked");
}

/* ---- wake-up, notification, end ------------------------------------------------------------ */

static void probe_now_does_not_wait_for_a_hanging_probe(void **state)
{
    struct world *w = *state;

    guest_listens(w, &A);
    sim_run(w->sim);
    assert_non_null(accepted(w, A.handshake)); /* silent: its machine was asleep */
    guest_session_probe_now(w->s);
    sim_run(w->sim);
    guest_answers_probe(w, &A);
    expect_state(w, SESSION_HANDSHAKE, GUEST_A);
}

static void free_in_on_change(void *ctx, struct guest_session *s)
{
    struct world *w = ctx;

    guest_session_free(s);
    w->s = NULL;
}

static void session_may_be_freed_in_on_change(void **state)
{
    static const struct session_ops freeing = { free_in_on_change, on_link };
    const struct session_config config = { 0 };
    struct world *w = *state;

    guest_session_free(w->s);
    assert_int_equal(guest_session_new(&w->s, sim_loop(w->sim), &w->vm, "test", &config, &freeing,
                                       w),
                     ST_OK);
    sim_run(w->sim);
    assert_null(w->s);
}

/* A guest that plays its part by itself, so that a test can stop anywhere in the story. */
struct auto_guest {
    const struct kind *k;
    struct sim_peer *open;
    bool linked;
};

static void auto_guest_acts(struct world *w, struct auto_guest *g)
{
    struct addr at = data_port(w, g->k->data);
    struct sim_peer *p = accepted(w, g->k->handshake);

    if (p) {
        sim_peer_send_text(p, g->k->signature->text);
        g->open = p;
    }
    if (g->open && !g->linked && !strcmp(sim_peer_text(g->open), "READY"))
        g->linked = sim_connect(w->sim, &at, &sim_local_peer) != NULL;
}

/* True when the story went on for @events events; the machine vanishes after that. Once both links
 * are up the first is lost, and the agent's torn greeting times out. */
static bool story_until(unsigned events, uint64_t seed)
{
    struct world w;
    struct auto_guest a = { .k = &A }, b = { .k = &B };
    bool agent_greeted = false, went_on = true;

    begin(&w);
    sim_shuffle(w.sim, seed);
    guest_listens(&w, &A);
    guest_listens(&w, &B);
    set_port(&w, 6680, ST_OK, 0);
    for (unsigned i = 0; i < events && went_on; i++) {
        struct sim_peer *agent;

        went_on = sim_step(w.sim);
        if (!went_on && sim_now_ms(w.sim) < 9000) {
            if (w.link_count == 2)
                guest_session_on_link_end(w.s, GUEST_A, ST_RESET);
            sim_advance_ms(w.sim, 700);
            went_on = true;
        }
        auto_guest_acts(&w, &a);
        auto_guest_acts(&w, &b);
        agent = agent_greeted ? NULL : accepted(&w, 6680);
        if (agent) {
            uint8_t torn[] = { 40, 0, 0, 0, 8 }; /* a message that never ends */

            sim_peer_send(agent, torn, sizeof torn);
            agent_greeted = true;
        }
    }
    if (!went_on)
        assert_true(w.link_count >= 2);
    end(&w);
    return went_on;
}

static void machine_may_vanish_after_any_event(void **state)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        unsigned events = 0;

        while (story_until(events, seed))
            events++;
        assert_true(events > 20);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nobody_there_is_said_with_a_reason),
        T(error_shown_is_the_telling_one_and_stays),
        T(first_probes_go_out_at_once_and_then_every_second),
        T(generation_a_comes_up),
        T(generation_b_comes_up),
        T(both_generations_in_one_machine_have_a_link_each),
        T(phrase_of_a_on_the_port_of_b_is_refused),
        T(phrase_of_b_on_the_port_of_a_is_refused),
        T(wrong_phrase_is_probed_again_later),
        T(phrase_in_one_byte_pieces_is_taken),
        T(silent_peer_costs_its_time_and_is_probed_again),
        T(silent_peer_on_one_port_does_not_delay_the_other),
        T(peer_that_hangs_up_is_named),
        T(dial_that_hangs_is_bounded_and_tried_again),
        T(guest_restarted_before_ready_is_greeted_again),
        T(ready_that_cannot_be_delivered_is_a_reason),
        T(guest_restarted_after_ready_is_greeted_again),
        T(guest_restarted_with_a_live_link_replaces_it),
        T(link_with_frames_on_it_is_not_replaced),
        T(link_that_ends_is_probed_for_at_once),
        T(short_links_are_probed_for_at_the_usual_pace),
        T(guest_may_dial_again_without_a_handshake),
        T(guest_that_went_away_gives_the_data_port_back),
        T(phantom_is_given_up_and_the_real_guest_found),
        T(budget_is_a_reason_and_never_an_end),
        T(guest_that_never_links_is_overdue_too),
        T(taken_data_port_is_named_and_ready_not_sent),
        T(data_port_that_cannot_be_opened_is_named),
        T(data_link_from_another_machine_is_closed),
        T(agent_is_found_and_its_health_shown),
        T(same_report_again_is_no_change),
        T(a_guest_cannot_flood_the_log),
        T(agent_that_goes_silent_is_lost_and_dialled_again),
        T(agent_of_another_version_is_named),
        T(somebody_else_on_the_agents_port_is_named),
        T(probes_slow_down_but_go_on_beside_an_agent),
        T(probe_now_does_not_wait_for_a_hanging_probe),
        T(session_may_be_freed_in_on_change),
        cmocka_unit_test(machine_may_vanish_after_any_event),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
