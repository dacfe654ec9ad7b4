/* SPDX-License-Identifier: Apache-2.0
 * network_worker_forward_test.c - the switch worker's forwards: had, waited for, told, exposed.
 */
#include "unit/network/network_worker_case.h"

#include "ipc/envelope.h"
#include "network/link_watch.h"
#include "support/frame_expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
