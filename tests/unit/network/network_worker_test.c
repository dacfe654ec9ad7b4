/* SPDX-License-Identifier: Apache-2.0
 * network_worker_test.c - the switch worker between a scripted controller, a scripted guest and a
 * scripted host.
 */
#include "network/network_worker.h"

#include "ipc/envelope.h"
#include "ipc/health.h"
#include "link/link_token.h"
#include "network/forward_states.h"
#include "network/link_watch.h"
#include "network/subnet_watch.h"
#include "port/addr.h"
#include "port/sim/loop_sim.h"
#include "port/sim/net_sim.h"
#include "port/sim/routes_sim.h"
#include "port/sim/stream_sim.h"
#include "support/alloc_fail.h"
#include "support/cmocka_all.h"
#include "support/frame_build.h"
#include "support/frame_expect.h"
#include "switch/switch.h"
#include "unit/ipc/messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUEST_CID 7
static const char data_port[] = "vsock:6656";

struct fixture {
    struct sim *sim;
    struct net_sim *net;
    struct routes_sim *routes;
    struct network_worker *worker;
    struct sim_peer *control; /* the controller */
    struct sim_peer *guest;   /* its link */
    struct addr at;
    int done_code; /* -1: not done */

    /* What the worker said so far. */
    size_t read_bytes;
    unsigned readies, reports;
    struct health_report health;
    struct {
        char text[128]; /* "tcp 127.0.0.1:80 192.168.127.2:80 removed" */
    } change;
    struct forward_states states; /* the last it said of its forwards */
    unsigned states_told;
    char notice[40];
};

static void on_done(void *ctx, int code)
{
    struct fixture *f = ctx;

    assert_int_equal(f->done_code, -1);
    f->done_code = code;
}

static enum status fixed_random(void *buf, size_t len_bytes)
{
    memset(buf, 0x5a, len_bytes);
    return ST_OK;
}

/* A worker that waits for the greeting. */
static void start_silent(struct fixture *f, const char *option)
{
    const char *words[] = { "--instance=vm1", "--link=stdio:vsock:6656", "--peer-cid=7",
                            "--log-level=error", option };
    struct switch_env env = { .random = fixed_random };
    struct stream *control;
    struct errmsg e = { "" };

    *f = (struct fixture){ .sim = sim_new(), .routes = routes_sim_new(), .done_code = -1 };
    f->net = net_sim_new(f->sim);
    env.loop = sim_loop(f->sim);
    env.net = net_sim_net(f->net);
    f->control = sim_stream(f->sim, &control);
    assert_int_equal(addr_parse(&f->at, data_port, &e), ST_OK);
    assert_int_equal(network_worker_new(&f->worker, &env, routes_sim_routes(f->routes), control,
                                        option ? 5 : 4, words, on_done, f, &e),
                     ST_OK);
}

static void controller_sends(struct fixture *f, const struct frames *fr)
{
    sim_peer_send(f->control, fr->bytes, fr->len_bytes);
    sim_run(f->sim);
}

static void start(struct fixture *f, const char *option)
{
    struct frames hello = { .len_bytes = 0 };

    start_silent(f, option);
    frames_hello(&hello, 1, RDLINK__V1__ROLE__ROLE_CONTROLLER);
    controller_sends(f, &hello);
}

static void stop(struct fixture *f)
{
    network_worker_free(f->worker);
    forward_states_clear(&f->states);
    sim_advance_ms(f->sim, 1000); /* the channel's last words */
    net_sim_free(f->net);
    routes_sim_free(f->routes);
    sim_free(f->sim);
}

/* ---- what the worker says ------------------------------------------------------------------ */

static void take(struct fixture *f, const Rdlink__V1__Envelope *msg)
{
    const Rdlink__V1__ForwardChange *change;

    switch (msg->body_case) {
    case RDLINK__V1__ENVELOPE__BODY_READY: f->readies++; break;
    case RDLINK__V1__ENVELOPE__BODY_HEALTH:
        f->reports++;
        health_decode(&f->health, msg->health);
        break;
    case RDLINK__V1__ENVELOPE__BODY_FORWARD_CHANGE:
        change = msg->forward_change;
        snprintf(f->change.text, sizeof f->change.text, "%s %s %s%s", change->forward->protocol,
                 change->forward->local, change->forward->remote,
                 change->removed ? " removed" : "");
        break;
    case RDLINK__V1__ENVELOPE__BODY_FORWARD_STATES:
        f->states_told++;
        assert_int_equal(forward_states_take(&f->states, msg->forward_states), ST_OK);
        break;
    case RDLINK__V1__ENVELOPE__BODY_EXIT_NOTICE:
        snprintf(f->notice, sizeof f->notice, "%s", msg->exit_notice->reason);
        break;
    default: break;
    }
}

/* Everything that has come since the last time. */
static void hear(struct fixture *f)
{
    size_t len_bytes;
    const uint8_t *data = sim_peer_data(f->control, &len_bytes);
    struct envelope_reader reader = { .have_bytes = 0 };
    Rdlink__V1__Envelope *msg;
    enum channel_end why;

    data += f->read_bytes;
    len_bytes -= f->read_bytes;
    f->read_bytes += len_bytes;
    while (envelope_read(&reader, &data, &len_bytes, &msg, &why) == ST_OK) {
        take(f, msg);
        rdlink__v1__envelope__free_unpacked(msg, NULL);
    }
    assert_true(envelope_reader_is_between(&reader));
    envelope_reader_fini(&reader);
}

static const struct condition *condition(struct fixture *f, const char *type)
{
    const struct health_component *c;

    hear(f);
    c = health_find(&f->health, "switch");
    assert_non_null(c);
    assert_non_null(condition_find(&c->conditions, type));
    return condition_find(&c->conditions, type);
}

#define assert_condition(f, type, want_status, want_reason)  \
    do {                                                     \
        const struct condition *c_ = condition((f), (type)); \
        assert_string_equal(c_->reason, (want_reason));      \
        assert_int_equal(c_->status, (want_status));         \
    } while (0)

static uint64_t counter(struct fixture *f, const char *name)
{
    const struct health_component *c;

    hear(f);
    c = health_find(&f->health, "switch");
    assert_non_null(c);
    for (unsigned i = 0; i < c->counter_count; i++)
        if (!strcmp(c->counters[i].name, name))
            return c->counters[i].value;
    fail_msg("no counter %s", name);
    return 0;
}

/* ---- what the guest does ------------------------------------------------------------------- */

static void guest_connects(struct fixture *f)
{
    struct peer guest = sim_vsock_peer(GUEST_CID);

    f->guest = sim_connect(f->sim, &f->at, &guest);
    assert_non_null(f->guest);
    sim_run(f->sim);
}

static void guest_sends_frame(struct fixture *f, const struct frame *frame)
{
    static uint8_t wire[FRAME_MAX_BYTES + 16];

    sim_peer_send(f->guest, wire, frame_wrap(wire, FRAME_STDIO, frame->b, frame->len_bytes));
    sim_run(f->sim);
}

/* It says who has 192.168.127.2. */
static void guest_answers_arp(struct fixture *f)
{
    static struct frame frame;
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");

    frame_arp_reply(&frame, &path);
    guest_sends_frame(f, &frame);
}

static void guest_comes_online(struct fixture *f)
{
    guest_connects(f);
    guest_answers_arp(f);
    sim_advance_ms(f->sim, 200);
}

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

/* ---- forwards ------------------------------------------------------------------------------ */

static struct ip_endpoint endpoint(const char *text)
{
    struct ip_endpoint at;

    assert_int_equal(ip_endpoint_parse(&at, text), ST_OK);
    return at;
}

/* As the controller gives back what a predecessor had. */
static void controller_says_forward(struct fixture *f, char *protocol, char *local, char *remote,
                                    bool removed)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__ForwardChange change = RDLINK__V1__FORWARD_CHANGE__INIT;
    Rdlink__V1__Forward forward = RDLINK__V1__FORWARD__INIT;
    struct frames fr = { .len_bytes = 0 };
    uint8_t *frame = NULL;
    size_t len_bytes;

    forward.protocol = protocol;
    forward.local = local;
    forward.remote = remote;
    change.forward = &forward;
    change.removed = removed;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_FORWARD_CHANGE;
    msg.forward_change = &change;
    assert_int_equal(envelope_pack(&msg, &frame, &len_bytes), ST_OK);
    frames_raw(&fr, frame, len_bytes);
    free(frame);
    controller_sends(f, &fr);
}

static char tcp[] = "tcp", udp[] = "udp", local[] = "127.0.0.1:80", remote[] = "192.168.127.2:80";

static void forwards_of_the_command_line_listen(void **state)
{
    struct ip_endpoint at = endpoint("127.0.0.1:81");
    struct fixture f;

    start(&f, "--forward=127.0.0.1:81=192.168.127.2:81");
    assert_true(net_sim_is_listening(f.net, &at));
    sim_advance_ms(f.sim, 1000);
    assert_int_equal(counter(&f, "forwards"), 1);
    assert_string_equal(f.change.text, ""); /* the controller knows those */
    stop(&f);
}

static void forwards_of_a_predecessor_come_back(void **state)
{
    struct ip_endpoint at = endpoint(local);
    struct fixture f;

    start(&f, NULL);
    controller_says_forward(&f, tcp, local, remote, false);
    assert_true(net_sim_is_listening(f.net, &at));
    controller_says_forward(&f, udp, local, remote, false);
    assert_int_equal(net_sim_open_udp(f.net), 1);
    controller_says_forward(&f, tcp, local, remote, true);
    assert_false(net_sim_is_listening(f.net, &at));
    hear(&f);
    assert_string_equal(f.change.text, ""); /* it is not told what it said itself */
    stop(&f);
}

static void a_port_that_is_still_taken_is_waited_for(void **state)
{
    struct ip_endpoint at = endpoint(local);
    struct fixture f;

    start(&f, NULL);
    net_sim_next_listen_fails(f.net, ST_EXISTS, "taken by nginx");
    controller_says_forward(&f, tcp, local, remote, false);
    assert_false(net_sim_is_listening(f.net, &at));
    sim_advance_ms(f.sim, 100);
    assert_condition(&f, "ForwardsBound", COND_FALSE, "PortTaken");
    assert_non_null(strstr(condition(&f, "ForwardsBound")->message, "tcp/127.0.0.1:80"));
    sim_advance_ms(f.sim, 5000);
    assert_true(net_sim_is_listening(f.net, &at));
    assert_condition(&f, "ForwardsBound", COND_TRUE, "AllBound");
    stop(&f);
}

/* "tcp 127.0.0.1:80 192.168.127.2:80 waiting PortTaken: taken by nginx" */
static const char *state_text(struct fixture *f, unsigned at)
{
    static char text[512];
    const struct forward_state *s = &f->states.items[at];

    assert_true(at < f->states.count);
    snprintf(text, sizeof text, "%s %s %s %s%s%s%s", s->text.protocol, s->text.local,
             s->text.remote, s->is_listening ? "listening" : "waiting ", s->reason,
             s->is_listening ? "" : ": ", s->message);
    return text;
}

static void each_forward_is_told_with_its_state_and_only_when_it_changed(void **state)
{
    struct fixture f;

    start(&f, "--forward=127.0.0.1:81=192.168.127.2:81");
    net_sim_next_listen_fails(f.net, ST_EXISTS, "taken by nginx");
    controller_says_forward(&f, tcp, local, remote, false);
    net_sim_next_listen_fails(f.net, ST_EXISTS, "taken by nginx");
    sim_advance_ms(f.sim, 400);
    hear(&f);
    assert_int_equal(f.states_told, 1); /* both at once */
    assert_int_equal(f.states.count, 2);
    assert_string_equal(state_text(&f, 0),
                        "tcp 127.0.0.1:80 192.168.127.2:80 waiting PortTaken: taken by nginx");
    assert_string_equal(state_text(&f, 1), "tcp 127.0.0.1:81 192.168.127.2:81 listening");
    sim_advance_ms(f.sim, 5000);
    hear(&f);
    assert_int_equal(f.states_told, 2);
    assert_string_equal(state_text(&f, 0), "tcp 127.0.0.1:80 192.168.127.2:80 listening");
    sim_advance_ms(f.sim, 10000);
    controller_says_forward(&f, tcp, local, remote, true);
    sim_advance_ms(f.sim, 1000);
    hear(&f);
    assert_int_equal(f.states_told, 3);
    assert_int_equal(f.states.count, 1);
    stop(&f);
}

/* Ten times a second for ten seconds; the controller hears of about one in a second. */
static void forwards_that_change_all_the_time_do_not_flood_the_controller(void **state)
{
    struct fixture f;

    start(&f, NULL);
    for (unsigned i = 0; i < 100; i++) {
        controller_says_forward(&f, tcp, local, remote, i % 2 == 1);
        sim_advance_ms(f.sim, 100);
    }
    sim_advance_ms(f.sim, 2000);
    hear(&f);
    assert_in_range(f.states_told, 5, 13);
    assert_int_equal(f.states.count, 0); /* and the last of it is right */
    stop(&f);
}

static void a_worker_without_forwards_says_nothing_of_them(void **state)
{
    struct fixture f;

    start(&f, NULL);
    sim_advance_ms(f.sim, 5000);
    hear(&f);
    assert_int_equal(f.states_told, 0);
    stop(&f);
}

/* The longest addresses: not all of them fit one message. */
static void as_many_forwards_as_fit_are_told_and_those_that_wait_first(void **state)
{
    char at[64], why[200];
    struct fixture f;

    start(&f, NULL);
    memset(why, 'w', sizeof why - 1);
    why[sizeof why - 1] = '\0';
    for (unsigned i = 0; i < 1024; i++) {
        snprintf(at, sizeof at, "[fe80:1111:2222:3333:4444:5555:6666:7777]:%u", 20000 + i);
        if (i == 1023)
            net_sim_next_listen_fails(f.net, ST_EXISTS, why);
        controller_says_forward(&f, tcp, at, remote, false);
    }
    for (unsigned i = 0; i < 40; i++) { /* it stays taken, whenever it is tried again */
        net_sim_next_listen_fails(f.net, ST_EXISTS, why);
        sim_advance_ms(f.sim, 10);
    }
    hear(&f);
    assert_int_equal(f.done_code, -1);
    assert_in_range(f.states.count, 600, 1023);
    assert_int_equal(f.states.count + f.states.left_out, 1024);
    assert_false(f.states.items[0].is_listening);
    assert_true(f.states.items[1].is_listening);
    stop(&f);
}

static void nonsense_of_the_controller_does_nothing(void **state)
{
    static char icmp[] = "icmp", nothing[] = "", outside[] = "10.0.0.1:80";
    struct fixture f;

    start(&f, NULL);
    controller_says_forward(&f, icmp, local, remote, false);
    controller_says_forward(&f, tcp, nothing, remote, false);
    controller_says_forward(&f, tcp, local, nothing, false);
    controller_says_forward(&f, tcp, local, outside, false);
    controller_says_forward(&f, tcp, local, remote, true);
    assert_int_equal(net_sim_open_listeners(f.net), 0);
    assert_int_equal(f.done_code, -1);
    stop(&f);
}

/* A TCP segment of the guest's to the gateway's API. */
static void guest_sends_tcp(struct fixture *f, uint8_t flags, uint32_t seq, uint32_t ack,
                            const char *text)
{
    static struct frame frame;
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");
    struct tcp_header h = {
        .src_port = 4000, .dst_port = 80, .seq = seq, .ack = ack, .flags = flags, .window = 65535
    };

    frame_tcp(&frame, &path, &h, text, strlen(text));
    guest_sends_frame(f, &frame);
}

/* The sequence number of the SYN-ACK, the only frame of TCP so far. */
static uint32_t guest_reads_syn_ack(struct fixture *f)
{
    size_t left, len_bytes;
    const uint8_t *p = sim_peer_data(f->guest, &left), *frame;
    struct frame_offload off;
    struct frame_view v;

    while (frame_unwrap(FRAME_STDIO, &p, &left, &frame, &len_bytes, &off)) {
        frame_expect(&v, frame, len_bytes);
        if (v.is_tcp) {
            frame_expect_tcp(&v, TCP_SYN | TCP_ACK);
            return v.tcp.seq;
        }
    }
    fail_msg("no answer of the API");
    return 0;
}

static void what_the_guest_exposes_is_passed_on(void **state)
{
    static const char body[] = "{\"local\":\"127.0.0.1:80\",\"remote\":\"192.168.127.2:80\"}";
    char request[256];
    struct ip_endpoint at = endpoint(local);
    struct fixture f;
    uint32_t theirs;

    snprintf(request, sizeof request,
             "POST /services/forwarder/expose HTTP/1.1\r\nHost: gateway\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    start(&f, NULL);
    guest_comes_online(&f);
    guest_sends_tcp(&f, TCP_SYN, 100, 0, "");
    sim_run(f.sim);
    theirs = guest_reads_syn_ack(&f);
    guest_sends_tcp(&f, TCP_ACK, 101, theirs + 1, request);
    sim_advance_ms(f.sim, 100);
    assert_true(net_sim_is_listening(f.net, &at));
    hear(&f);
    assert_string_equal(f.change.text, "tcp 127.0.0.1:80 192.168.127.2:80");
    assert_string_equal(condition(&f, "ForwardsBound")->message,
                        "1 port of this host leads into the guest");
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
        cmocka_unit_test(forwards_of_the_command_line_listen),
        cmocka_unit_test(forwards_of_a_predecessor_come_back),
        cmocka_unit_test(a_port_that_is_still_taken_is_waited_for),
        cmocka_unit_test(each_forward_is_told_with_its_state_and_only_when_it_changed),
        cmocka_unit_test(forwards_that_change_all_the_time_do_not_flood_the_controller),
        cmocka_unit_test(a_worker_without_forwards_says_nothing_of_them),
        cmocka_unit_test(as_many_forwards_as_fit_are_told_and_those_that_wait_first),
        cmocka_unit_test(nonsense_of_the_controller_does_nothing),
        cmocka_unit_test(what_the_guest_exposes_is_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
