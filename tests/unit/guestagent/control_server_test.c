/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "base/log.h"
#include "guestagent/control_server.h"
#include "guestagent/identity.h"
#include "ipc/envelope.h"
#include "ipc/health.h"
#include "port/addr.h"
#include "port/sim/stream_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    enum status key_status; /* what looking for our key comes to */
    struct proof_key key;   /* all zeroes at first */
    struct identity identity;
    struct identity_options options;
    bool offered_proved; /* the last offer's host is */
    struct sim *sim;
    struct control_server *server;
    struct addr at;
    bool serving;
    unsigned asked; /* for a report */
    uint64_t offered_by, gone;
    char address[32]; /* of the last offer */
};

static void report(void *ctx, struct health_report *out)
{
    struct fixture *f = ctx;
    struct health_component *c = health_add(out, "bridge");

    assert_non_null(c);
    c->state = f->serving ? HEALTH_SERVING : HEALTH_NOT_SERVING;
    health_count(c, "active", 7);
    f->asked++;
}

static bool is_serving(void *ctx)
{
    struct fixture *f = ctx;

    return f->serving;
}

static void on_offer(void *ctx, uint64_t channel, bool is_proved,
                     const Rdlink__V1__NetworkOffer *offer)
{
    struct fixture *f = ctx;

    f->offered_by = channel;
    f->offered_proved = is_proved;
    snprintf(f->address, sizeof f->address, "%s", offer->guest_address);
}

static void on_gone(void *ctx, uint64_t channel)
{
    struct fixture *f = ctx;

    f->gone = channel;
}

static const struct control_source source = {
    .role = RDLINK__V1__ROLE__ROLE_AGENT_BRIDGE,
    .peer = RDLINK__V1__ROLE__ROLE_CONTROLLER,
    .ready_detail = "docker bridge",
    .report = report,
    .is_serving = is_serving,
};
static const struct control_source net_source = {
    .role = RDLINK__V1__ROLE__ROLE_AGENT_NET,
    .peer = RDLINK__V1__ROLE__ROLE_CONTROLLER,
    .ready_detail = "network",
    .report = report,
    .is_serving = is_serving,
    .on_offer = on_offer,
    .on_gone = on_gone,
};

static void serve(struct fixture *f, const struct control_source *as)
{
    const struct listener_opts opts = { .adopt_fd = -1 };

    control_server_free(f->server);
    assert_int_equal(control_server_new(&f->server, sim_loop(f->sim), &f->identity, as, f, NULL),
                     ST_OK);
    assert_int_equal(control_server_listen(f->server, &f->at, &opts, NULL), ST_OK);
}

static enum status find_key(void *ctx, const char *instance, struct proof_key *out)
{
    const struct fixture *f = ctx;

    assert_string_equal(instance, "guest1");
    if (f->key_status == ST_OK)
        *out = f->key;
    return f->key_status;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->sim = sim_new();
    f->key_status = ST_NOTFOUND;
    snprintf(f->options.instance, sizeof f->options.instance, "guest1");
    f->identity.options = &f->options;
    f->identity.proof = (struct channel_proof){ .find_key = find_key, .ctx = f };
    addr_parse(&f->at, "vsock:6680", NULL);
    serve(f, &source);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    control_server_free(f->server);
    sim_free(f->sim);
    free(f);
    return 0;
}

static void greet(struct fixture *f, struct sim_peer *p, Rdlink__V1__Role role)
{
    Rdlink__V1__Hello hello = RDLINK__V1__HELLO__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    uint8_t *frame;
    size_t len;

    hello.major = IPC_MAJOR;
    hello.role = role;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HELLO;
    msg.hello = &hello;
    assert_int_equal(envelope_pack(&msg, &frame, &len), ST_OK);
    sim_peer_send(p, frame, len);
    free(frame);
    sim_run(f->sim);
}

static struct sim_peer *host(struct fixture *f)
{
    struct sim_peer *p = sim_connect(f->sim, &f->at, &sim_host_peer);

    sim_run(f->sim);
    greet(f, p, RDLINK__V1__ROLE__ROLE_CONTROLLER);
    return p;
}

/* What the host has received since last asked, one letter a message: A ack, H health serving,
 * h health not serving, R ready, X exit notice. */
static const char *heard(struct sim_peer *p)
{
    static char letters[64];
    struct envelope_reader r = { .have_bytes = 0 };
    enum channel_end why;
    Rdlink__V1__Envelope *msg;
    size_t len, n = 0;
    const uint8_t *data = sim_peer_data(p, &len);

    while (envelope_read(&r, &data, &len, &msg, &why) == ST_OK) {
        assert_true(n < sizeof letters - 1);
        switch (msg->body_case) {
        case RDLINK__V1__ENVELOPE__BODY_HELLO_ACK:
            assert_int_equal(msg->hello_ack->role, RDLINK__V1__ROLE__ROLE_AGENT_BRIDGE);
            letters[n++] = 'A';
            break;
        case RDLINK__V1__ENVELOPE__BODY_HEALTH:
            assert_string_equal(msg->health->components[0]->name, "bridge");
            letters[n++] =
                msg->health->components[0]->state == RDLINK__V1__SERVING_STATE__SERVING ? 'H' : 'h';
            break;
        case RDLINK__V1__ENVELOPE__BODY_READY: letters[n++] = 'R'; break;
        case RDLINK__V1__ENVELOPE__BODY_EXIT_NOTICE: letters[n++] = 'X'; break;
        default: letters[n++] = '?';
        }
        rdlink__v1__envelope__free_unpacked(msg, NULL);
    }
    letters[n] = '\0';
    envelope_reader_fini(&r);
    sim_peer_drop_received(p);
    return letters;
}

static void a_host_gets_health_at_once_every_second_and_ready_once(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p = host(f);

    assert_string_equal(heard(p), "Ah");
    sim_advance_ms(f->sim, 2000);
    assert_string_equal(heard(p), "hh");
    f->serving = true;
    control_server_changed(f->server);
    assert_string_equal(heard(p), "HR");
    sim_advance_ms(f->sim, 1000);
    assert_string_equal(heard(p), "H");
}

static void a_host_that_comes_while_serving_is_told_so_at_once(void **state)
{
    struct fixture *f = *state;

    f->serving = true;
    assert_string_equal(heard(host(f)), "AHR");
}

static void only_the_host_is_talked_to(void **state)
{
    struct fixture *f = *state;
    struct peer other = sim_vsock_peer(3);
    struct sim_peer *p = sim_connect(f->sim, &f->at, &other);

    sim_run(f->sim);
    assert_true(sim_peer_is_closed(p));
    assert_string_equal(heard(p), "");
}

static void a_peer_of_the_wrong_role_is_ended(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p = sim_connect(f->sim, &f->at, &sim_host_peer);

    sim_run(f->sim);
    greet(f, p, RDLINK__V1__ROLE__ROLE_WORKER_DOCKER);
    sim_advance_ms(f->sim, 1000);
    assert_true(sim_peer_is_closed(p));
}

static void the_host_cannot_stop_the_guest(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p = host(f);
    Rdlink__V1__Shutdown shutdown = RDLINK__V1__SHUTDOWN__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    uint8_t *frame;
    size_t len;

    msg.body_case = RDLINK__V1__ENVELOPE__BODY_SHUTDOWN;
    msg.shutdown = &shutdown;
    assert_int_equal(envelope_pack(&msg, &frame, &len), ST_OK);
    sim_peer_send(p, frame, len);
    free(frame);
    sim_advance_ms(f->sim, 2000);
    assert_true(sim_is_listening(f->sim, &f->at));
    assert_string_equal(heard(host(f)), "Ah");
}

static void offer(struct fixture *f, struct sim_peer *p)
{
    static char address[] = "192.168.127.2/24";
    Rdlink__V1__NetworkOffer offered = RDLINK__V1__NETWORK_OFFER__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    uint8_t *frame;
    size_t len;

    offered.guest_address = address;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER;
    msg.network_offer = &offered;
    assert_int_equal(envelope_pack(&msg, &frame, &len), ST_OK);
    sim_peer_send(p, frame, len);
    free(frame);
    sim_run(f->sim);
}

static void an_offer_is_told_with_its_channel_and_when_that_is_gone(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *first, *second;
    uint64_t by_first;

    serve(f, &net_source);
    first = host(f);
    second = host(f);
    offer(f, first);
    by_first = f->offered_by;
    assert_string_equal(f->address, "192.168.127.2/24");
    offer(f, second);
    assert_true(f->offered_by > by_first);
    assert_int_equal(f->gone, 0);
    sim_peer_end(first);
    sim_run(f->sim);
    assert_int_equal(f->gone, by_first);
}

static void the_fifth_host_replaces_the_oldest(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p[CONTROL_MAX_CHANNELS + 1];

    for (int i = 0; i < CONTROL_MAX_CHANNELS; i++) {
        p[i] = host(f);
        sim_advance_ms(f->sim, 10);
    }
    assert_false(sim_peer_is_closed(p[0]));
    p[CONTROL_MAX_CHANNELS] = host(f);
    sim_advance_ms(f->sim, 1500);
    assert_true(sim_peer_is_closed(p[0]));
    for (int i = 1; i <= CONTROL_MAX_CHANNELS; i++)
        assert_false(sim_peer_is_closed(p[i]));
}

/* ---- proof ---------------------------------------------------------------------------------- */

static void send(struct fixture *f, struct sim_peer *p, const Rdlink__V1__Envelope *msg)
{
    uint8_t *frame;
    size_t len;

    assert_int_equal(envelope_pack(msg, &frame, &len), ST_OK);
    sim_peer_send(p, frame, len);
    free(frame);
    sim_run(f->sim);
}

static void send_hello(struct fixture *f, struct sim_peer *p, uint8_t nonce[PROOF_NONCE_BYTES])
{
    Rdlink__V1__Hello hello = RDLINK__V1__HELLO__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    hello.major = IPC_MAJOR;
    hello.minor = IPC_MINOR;
    hello.role = RDLINK__V1__ROLE__ROLE_CONTROLLER;
    hello.nonce = (ProtobufCBinaryData){ PROOF_NONCE_BYTES, nonce };
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HELLO;
    msg.hello = &hello;
    send(f, p, &msg);
}

/* The nonce of the HelloAck that @p was sent. */
static void take_nonce(struct sim_peer *p, uint8_t out[PROOF_NONCE_BYTES])
{
    struct envelope_reader r = { .have_bytes = 0 };
    enum channel_end why;
    Rdlink__V1__Envelope *msg;
    size_t len;
    const uint8_t *data = sim_peer_data(p, &len);

    assert_int_equal(envelope_read(&r, &data, &len, &msg, &why), ST_OK);
    assert_int_equal(msg->body_case, RDLINK__V1__ENVELOPE__BODY_HELLO_ACK);
    assert_string_equal(msg->hello_ack->instance, "guest1");
    assert_int_equal(msg->hello_ack->nonce.len, PROOF_NONCE_BYTES);
    memcpy(out, msg->hello_ack->nonce.data, PROOF_NONCE_BYTES);
    rdlink__v1__envelope__free_unpacked(msg, NULL);
    sim_peer_drop_received(p);
}

static void send_proof(struct fixture *f, struct sim_peer *p, const struct proof_transcript *t)
{
    const struct proof_key key = { { 0 } };
    Rdlink__V1__Proof proof = RDLINK__V1__PROOF__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    uint8_t mac[PROOF_MAC_BYTES];

    assert_int_equal(proof_mac(&key, PROOF_BY_OPENER, t, mac), ST_OK);
    proof.mac = (ProtobufCBinaryData){ sizeof mac, mac };
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_PROOF;
    msg.proof = &proof;
    send(f, p, &msg);
}

static struct sim_peer *proved_host(struct fixture *f)
{
    struct proof_transcript t = { .major = IPC_MAJOR,
                                  .opener_role = RDLINK__V1__ROLE__ROLE_CONTROLLER,
                                  .acceptor_role = RDLINK__V1__ROLE__ROLE_AGENT_NET,
                                  .acceptor_instance = "guest1" };
    struct sim_peer *p = sim_connect(f->sim, &f->at, &sim_host_peer);

    sim_run(f->sim);
    memset(t.opener_nonce, 3, sizeof t.opener_nonce);
    send_hello(f, p, t.opener_nonce);
    take_nonce(p, t.acceptor_nonce);
    send_proof(f, p, &t);
    return p;
}

static void an_offer_says_whether_its_host_is_proved(void **state)
{
    struct fixture *f = *state;

    f->key_status = ST_OK;
    serve(f, &net_source);
    offer(f, proved_host(f));
    assert_true(f->offered_proved);
    offer(f, host(f));
    assert_false(f->offered_proved);
}

static void strangers_that_say_nothing_do_not_displace_anybody(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *there = host(f), *silent[32], *late;

    heard(there);
    for (int i = 0; i < 32; i++) {
        silent[i] = sim_connect(f->sim, &f->at, &sim_host_peer);
        sim_run(f->sim);
    }
    assert_false(sim_peer_is_closed(there));
    late = host(f);
    assert_string_equal(heard(late), "Ah");
    sim_advance_ms(f->sim, 5000); /* and the last of them have not greeted in time */
    assert_true(sim_peer_is_closed(silent[0]) && sim_peer_is_closed(silent[31]));
    assert_false(sim_peer_is_closed(there) || sim_peer_is_closed(late));
}

static void a_proved_host_is_not_displaced_by_others(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *proved;

    f->key_status = ST_OK;
    serve(f, &net_source);
    proved = proved_host(f);
    for (int i = 0; i < 3 * CONTROL_MAX_CHANNELS; i++)
        host(f);
    assert_false(sim_peer_is_closed(proved));
}

static void a_host_that_cannot_prove_itself_gets_nothing_where_it_has_to(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p;

    f->key_status = ST_OK;
    f->identity.proof.is_required = true;
    p = host(f);
    assert_string_equal(heard(p), "AX");
    assert_true(sim_peer_is_closed(p));
}

static void hosts_greet_anew_when_our_key_is_another_one(void **state)
{
    static const struct {
        const char *name;
        enum status status;
        uint8_t key;
        bool ends;
    } rows[] = {
        { "still none", ST_NOTFOUND, 0, false },
        { "comes", ST_OK, 1, true },
        { "stays", ST_OK, 1, false },
        { "is another", ST_OK, 2, true },
        { "cannot be looked at", ST_IO, 2, false },
        { "is the same after that", ST_OK, 2, false },
        { "may not be read", ST_DENIED, 2, true },
        { "still not", ST_INVAL, 2, false },
        { "is back", ST_OK, 2, true },
        { "goes", ST_NOTFOUND, 0, true },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sim_peer *p = host(f), *silent = sim_connect(f->sim, &f->at, &sim_host_peer);

        sim_run(f->sim);
        f->key_status = rows[i].status;
        f->key.bytes[0] = rows[i].key;
        sim_advance_ms(f->sim, 1000);
        if (strcmp(heard(p), rows[i].ends ? "AhX" : "Ahh") != 0 ||
            sim_peer_is_closed(p) != rows[i].ends || sim_peer_is_closed(silent) != rows[i].ends)
            fail_msg("%s", rows[i].name);
        sim_peer_end(p);
        sim_peer_end(silent);
        sim_run(f->sim);
    }
}

static void a_network_s_offer_goes_with_its_channel_when_the_key_changes(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p;

    serve(f, &net_source);
    p = host(f);
    offer(f, p);
    assert_int_not_equal(f->offered_by, 0);
    f->key_status = ST_OK;
    sim_advance_ms(f->sim, 1000);
    assert_int_equal(f->gone, f->offered_by);
}

static void set_levels(struct fixture *f, struct sim_peer *p, char *text)
{
    Rdlink__V1__LogLevels levels = RDLINK__V1__LOG_LEVELS__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;

    levels.levels = text;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_LOG_LEVELS;
    msg.log_levels = &levels;
    send(f, p, &msg);
}

static void levels_end_with_the_host_that_set_them_and_with_no_other(void **state)
{
    static char text[] = "ipc=error";
    struct fixture *f = *state;
    struct sim_peer *first = host(f), *second = host(f), *stranger;

    set_levels(f, first, text);
    assert_string_equal(log_override(), text);
    stranger = sim_connect(f->sim, &f->at, &sim_host_peer);
    sim_run(f->sim);
    sim_peer_end(stranger);
    sim_peer_end(second);
    sim_run(f->sim);
    assert_true(sim_peer_is_closed(stranger) && sim_peer_is_closed(second));
    assert_string_equal(log_override(), text);
    sim_peer_end(first);
    sim_run(f->sim);
    assert_string_equal(log_override(), "");
}

static void a_host_that_leaves_makes_room(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3 * CONTROL_MAX_CHANNELS; i++) {
        struct sim_peer *p = host(f);

        assert_string_equal(heard(p), "Ah");
        sim_peer_end(p);
        sim_run(f->sim);
        assert_true(sim_peer_is_closed(p));
    }
}

static void the_host_hears_goodbye(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p = host(f);

    heard(p);
    control_server_free(f->server);
    f->server = NULL;
    assert_string_equal(heard(p), "X");
    assert_true(sim_peer_is_closed(p));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(a_host_gets_health_at_once_every_second_and_ready_once),
        WITH_FIXTURE(a_host_that_comes_while_serving_is_told_so_at_once),
        WITH_FIXTURE(only_the_host_is_talked_to),
        WITH_FIXTURE(a_peer_of_the_wrong_role_is_ended),
        WITH_FIXTURE(the_host_cannot_stop_the_guest),
        WITH_FIXTURE(an_offer_is_told_with_its_channel_and_when_that_is_gone),
        WITH_FIXTURE(the_fifth_host_replaces_the_oldest),
        WITH_FIXTURE(an_offer_says_whether_its_host_is_proved),
        WITH_FIXTURE(strangers_that_say_nothing_do_not_displace_anybody),
        WITH_FIXTURE(a_proved_host_is_not_displaced_by_others),
        WITH_FIXTURE(a_host_that_cannot_prove_itself_gets_nothing_where_it_has_to),
        WITH_FIXTURE(hosts_greet_anew_when_our_key_is_another_one),
        WITH_FIXTURE(a_network_s_offer_goes_with_its_channel_when_the_key_changes),
        WITH_FIXTURE(levels_end_with_the_host_that_set_them_and_with_no_other),
        WITH_FIXTURE(a_host_that_leaves_makes_room),
        WITH_FIXTURE(the_host_hears_goodbye),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
