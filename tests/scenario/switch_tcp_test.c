/* SPDX-License-Identifier: Apache-2.0
 * The switch's TCP with scripted guests and hosts: the rows of its state table (THEORY of tcp.c),
 * connections from the host side, services.
 */
#include "base/util.h"
#include "port/stream.h"
#include "support/cmocka_all.h"
#include "support/tcp_rig.h"
#include "switch/tcp_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- the handshake tells the truth -------------------------------------------------------- */

static void syn_is_answered_after_the_host_connected(void **state)
{
    struct tcp_rig *r = tcp_rig_new(1, NULL);
    struct tcp_guest *g = tcp_rig_guest(r, 1000, 80);

    net_sim_next_connect(r->net, ST_OK, 50);
    tcp_guest_connect(g, 77, 0);
    tcp_rig_run_ms(r, 40);
    assert_int_equal(g->state, TG_SYN_SENT);
    assert_int_equal(r->segments, 0);
    assert_int_equal(tcp_rig_census(r).tcp_half_open, 1);
    tcp_rig_run_ms(r, 20);
    assert_int_equal(g->state, TG_OPEN);
    assert_int_equal(g->peer_mss, 1460);
    assert_true(g->scaling);
    assert_int_equal(tcp_rig_census(r).tcp_half_open, 0);
    tcp_rig_free(r);
}

static void failures_of_the_dial_are_told_as_they_are(void **state)
{
    static const struct {
        const char *name;
        enum status st;
        unsigned resets, icmp;
        enum icmp_error what;
    } rows[] = {
        { "refused", ST_REFUSED, 1, 0, 0 },
        { "reset", ST_RESET, 1, 0, 0 },
        { "out of sockets", ST_NOFILES, 1, 0, 0 },
        { "unreachable", ST_UNREACHABLE, 0, 1, ICMP_ERROR_HOST },
        { "denied", ST_DENIED, 0, 1, ICMP_ERROR_ADMIN },
        { "timed out", ST_TIMEOUT, 0, 0, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct tcp_rig *r = tcp_rig_new(i, NULL);
        struct tcp_guest *g = tcp_rig_guest(r, 1000, 80);

        net_sim_next_connect(r->net, rows[i].st, 5);
        tcp_guest_connect(g, 0xfffffff0, 0);
        tcp_rig_run_ms(r, 20);
        if (r->resets != rows[i].resets || r->icmp_errors != rows[i].icmp)
            fail_msg("%s: %u resets, %u ICMP errors", rows[i].name, r->resets, r->icmp_errors);
        if (rows[i].icmp)
            assert_int_equal(r->last_icmp, rows[i].what);
        if (rows[i].resets)
            assert_int_equal(g->state, TG_RESET);
        assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
        assert_int_equal(tcp_rig_census(r).tcp_half_open, 0);
        tcp_rig_free(r);
    }
}

static void policy_answers_without_a_dial(void **state)
{
    struct tcp_rig *r = tcp_rig_new(1, NULL);
    struct tcp_guest *g = tcp_rig_guest(r, 1000, 80);

    r->verdict = NAT_DENIED;
    g->remote.addr = ip_addr_v4(0xa9fea9fe);
    tcp_guest_connect(g, 5, 0);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(g->state, TG_RESET);
    g = tcp_rig_guest(r, 1001, 445);
    tcp_guest_connect(g, 5, 0);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(r->last_icmp, ICMP_ERROR_ADMIN);
    r->verdict = NAT_GUEST_NET;
    tcp_guest_connect(g, 5, 0);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(r->last_icmp, ICMP_ERROR_HOST);
    g = tcp_rig_guest(r, 1002, 81);
    g->remote.addr = ip_addr_v4(0xc0a87f01);
    tcp_guest_connect(g, 5, 0);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(g->state, TG_RESET);
    assert_int_equal(net_sim_connect_count(r->net), 0);
    tcp_rig_free(r);
}

/* ---- the rows of the state table ----------------------------------------------------------- */

static void without_a_flow_everything_but_a_syn_is_refused(void **state)
{
    struct tcp_rig *r = tcp_rig_new(1, NULL);
    struct tcp_guest *g = tcp_rig_guest(r, 1000, 80);

    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 5, .ack = 900, .flags = TCP_ACK }, NULL, 0);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(r->last.flags, TCP_RST);
    assert_int_equal(r->last.seq, 900);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 5, .flags = TCP_FIN }, (const uint8_t *)"abc",
                   3);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(r->last.flags, TCP_RST | TCP_ACK);
    assert_int_equal(r->last.ack, 9);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 5, .ack = 1, .flags = TCP_RST | TCP_ACK },
                   NULL, 0);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(r->resets, 2);
    assert_int_equal(r->sw.count.drop_no_flow, 3);
    tcp_rig_free(r);
}

static void while_dialling_syns_are_ignored_or_taken_over(void **state)
{
    struct tcp_rig *r = tcp_rig_new(1, NULL);
    struct tcp_guest *g = tcp_rig_guest(r, 1000, 80);

    net_sim_next_connect(r->net, ST_OK, 3500);
    tcp_guest_connect(g, 500, 0); /* sent again after 1 and 3 s */
    tcp_rig_run_ms(r, 3400);
    assert_int_equal(net_sim_connect_count(r->net), 1);
    assert_int_equal(r->segments, 0);
    tcp_guest_connect(g, 9000, sim_now_ms(r->sim));
    tcp_rig_run_ms(r, 200);
    assert_int_equal(g->state, TG_OPEN);
    assert_int_equal(net_sim_connect_count(r->net), 1);
    tcp_rig_free(r);
}

static void a_reset_ends_a_dial(void **state)
{
    struct tcp_rig *r = tcp_rig_new(1, NULL);
    struct tcp_guest *g = tcp_rig_guest(r, 1000, 80);

    net_sim_next_connect(r->net, ST_OK, SIM_NEVER);
    tcp_guest_connect(g, 500, 0);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 777, .flags = TCP_RST }, NULL, 0);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(net_sim_connects_pending(r->net), 1);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 501, .flags = TCP_RST }, NULL, 0);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(net_sim_connects_pending(r->net), 0);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
    tcp_rig_free(r);
}

/* A flow whose SYN-ACK was sent and not answered. */
static struct tcp_guest *unanswered(struct tcp_rig *r)
{
    struct tcp_guest *g = tcp_rig_guest(r, 1000, 80);

    net_sim_next_connect(r->net, ST_OK, 0);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 500, .flags = TCP_SYN, .window = 1000 }, NULL,
                   0);
    tcp_rig_run_ms(r, 2);
    assert_int_equal(r->last.flags, TCP_SYN | TCP_ACK);
    assert_int_equal(r->last.ack, 501);
    assert_false(r->last.has_window_scale);
    return g;
}

static void an_unanswered_syn_ack_is_repeated_and_given_up(void **state)
{
    struct tcp_rig *r = tcp_rig_new(1, NULL);
    unsigned sent;

    unanswered(r);
    sent = r->segments;
    tcp_rig_run_ms(r, 1100);
    assert_int_equal(r->segments, sent + 1);
    tcp_rig_run_ms(r, 20000);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
    assert_int_equal(r->resets, 1);
    assert_int_equal(net_sim_open_tcp(r->net), 0);
    tcp_rig_free(r);
}

static void in_syn_rcvd_each_segment_gets_its_answer(void **state)
{
    struct tcp_rig *r = tcp_rig_new(1, NULL);
    struct tcp_guest *g = unanswered(r);
    uint32_t iss = r->last.seq;
    unsigned sent = r->segments;

    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 500, .flags = TCP_SYN }, NULL, 0);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(r->segments, sent + 1);
    assert_int_equal(r->last.flags, TCP_SYN | TCP_ACK);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 501, .ack = iss + 7, .flags = TCP_ACK }, NULL,
                   0);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(r->last.flags, TCP_RST);
    assert_int_equal(r->last.seq, iss + 7);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 502, .flags = TCP_RST }, NULL, 0);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 1);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 501, .flags = TCP_RST }, NULL, 0);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
    unanswered(r);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 9500, .flags = TCP_SYN }, NULL, 0);
    tcp_rig_run_ms(r, 1);
    assert_true(r->last.flags & TCP_RST);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
    tcp_rig_free(r);
}

static void the_ack_of_the_handshake_may_carry_data_and_fin(void **state)
{
    struct tcp_rig *r = tcp_rig_new(1, NULL);
    struct tcp_guest *g = unanswered(r);
    struct net_sim_peer *host;

    tcp_rig_inject(r, g,
                   &(struct tcp_header){ .seq = 501,
                                         .ack = r->last.seq + 1,
                                         .flags = TCP_ACK | TCP_FIN | TCP_URG,
                                         .window = 1000 },
                   (const uint8_t *)"hello", 5);
    tcp_rig_run_ms(r, 3);
    host = net_sim_take_connected(r->net);
    assert_string_equal(net_sim_peer_text(host), "hello");
    assert_true(net_sim_peer_saw_end(host));
    assert_int_equal(r->last.ack, 507);
    tcp_rig_free(r);
}

static void blind_segments_get_a_challenge_at_most_twice_a_second(void **state)
{
    struct tcp_rig *r = tcp_rig_new(1, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);
    unsigned sent = r->segments;

    for (unsigned i = 1; i <= 20; i++) {
        tcp_rig_inject(r, g, &(struct tcp_header){ .seq = g->snd_nxt + i, .flags = TCP_RST }, NULL,
                       0);
        tcp_rig_inject(r, g, &(struct tcp_header){ .seq = g->snd_nxt + i, .flags = TCP_SYN }, NULL,
                       0);
        tcp_rig_run_ms(r, 1);
    }
    assert_int_equal(r->segments, sent + 1);
    assert_int_equal(r->last.flags, TCP_ACK);
    assert_int_equal(r->last.ack, g->snd_nxt);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = g->snd_nxt - 1, .flags = TCP_RST }, NULL, 0);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = g->snd_nxt + 400000, .flags = TCP_RST }, NULL,
                   0);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 1);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = g->snd_nxt, .flags = TCP_RST }, NULL, 0);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
    assert_true(net_sim_peer_saw_reset(host));
    tcp_rig_free(r);
}

static void an_ack_of_what_was_not_sent_is_challenged(void **state)
{
    struct tcp_rig *r = tcp_rig_new(1, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

    tcp_rig_inject(r, g,
                   &(struct tcp_header){
                       .seq = g->snd_nxt, .ack = g->rcv_nxt + 1000, .flags = TCP_ACK },
                   (const uint8_t *)"x", 1);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(r->last.ack, g->snd_nxt);
    tcp_rig_expect(host, g, 0);
    tcp_rig_free(r);
}

static void each_side_may_end_first(void **state)
{
    for (unsigned host_first = 0; host_first < 2; host_first++) {
        struct tcp_rig *r = tcp_rig_new(3, NULL);
        struct net_sim_peer *host;
        struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

        if (host_first)
            net_sim_peer_end(host);
        else
            g->ends = true;
        tcp_rig_run_ms(r, 5);
        assert_int_equal(g->got_fin, host_first);
        assert_int_equal(net_sim_peer_saw_end(host), !host_first);
        if (host_first) { /* the other direction goes on for as long as it likes */
            g->to_send = 100000;
            tcp_rig_run_ms(r, 70000);
            tcp_rig_expect(host, g, 100000);
            g->ends = true;
        } else {
            tcp_rig_host_sends(host, g, 0, 100000);
            tcp_rig_run_ms(r, 70000);
            assert_int_equal(g->received, 100000);
            net_sim_peer_end(host);
        }
        tcp_rig_run_ms(r, 5);
        assert_true(g->got_fin && g->fin_acked && net_sim_peer_saw_end(host));
        assert_true(net_sim_peer_is_closed(host));
        assert_false(net_sim_peer_saw_reset(host));
        assert_int_equal(tcp_rig_census(r).tcp_flows, host_first);
        tcp_rig_run_ms(r, 11000);
        assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
        assert_int_equal(r->sw.count.tcp_closed, 1);
        tcp_rig_free(r);
    }
}

static void time_wait_answers_and_makes_room_for_a_newer_syn(void **state)
{
    struct tcp_rig *r = tcp_rig_new(3, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);
    uint32_t end;

    net_sim_peer_end(host);
    tcp_rig_run_ms(r, 3);
    g->ends = true;
    tcp_rig_run_ms(r, 3);
    assert_int_equal(tcp_rig_flow(r, g)->state, TCP_TIME_WAIT);
    end = g->snd_nxt;
    tcp_rig_inject(r, g,
                   &(struct tcp_header){
                       .seq = end - 1, .ack = g->rcv_nxt, .flags = TCP_FIN | TCP_ACK },
                   NULL, 0);
    tcp_rig_run_ms(r, 2);
    assert_int_equal(r->last.flags, TCP_ACK);
    assert_int_equal(r->last.ack, end);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = end - 100, .flags = TCP_SYN }, NULL, 0);
    tcp_rig_run_ms(r, 2);
    assert_int_equal(net_sim_connect_count(r->net), 1);
    g->state = TG_CLOSED;
    net_sim_next_connect(r->net, ST_OK, 1);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = end + 1, .flags = TCP_SYN }, NULL, 0);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(net_sim_connect_count(r->net), 2);
    assert_int_equal(r->last.flags, TCP_SYN | TCP_ACK);
    assert_int_equal(r->last.ack, end + 2);
    tcp_rig_free(r);
}

static void resets_pass_both_ways(void **state)
{
    struct tcp_rig *r = tcp_rig_new(3, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

    net_sim_peer_reset(host, ST_RESET);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(g->state, TG_RESET);
    g = tcp_rig_open(r, 1001, &host);
    g->to_send = 5000; /* its last words come in the same batch as the reset */
    tcp_guest_run(g, sim_now_ms(r->sim));
    tcp_guest_reset(g);
    tcp_rig_run_ms(r, 5);
    assert_true(net_sim_peer_saw_reset(host));
    tcp_rig_expect(host, g, 5000);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
    tcp_rig_free(r);
}

/* ---- from the host side -------------------------------------------------------------------- */

static void a_connection_from_the_host_opens_in_the_guest(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *unused, *host;
    struct tcp_guest *donor = tcp_rig_open(r, 1000, &unused);
    struct tcp_guest *g = tcp_rig_guest(r, 8080, 5555);
    struct tcp_flow *f = tcp_rig_flow(r, donor);
    struct net_tcp *conn = f->host.conn;

    host = unused;
    f->host.conn = NULL;
    tcp_flow_end(f, true);
    g->state = TG_LISTEN;
    g->iss = 4000000000U;
    assert_int_equal(tcp_open_to_guest(&r->sw, conn, &g->remote, &g->self), ST_OK);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(g->state, TG_OPEN);
    tcp_rig_host_sends(host, g, 0, 50000);
    g->to_send = 300000;
    g->ends = true;
    tcp_rig_run_ms(r, 50);
    assert_int_equal(g->received, 50000);
    tcp_rig_expect(host, g, 300000);
    assert_true(net_sim_peer_saw_end(host));
    tcp_rig_free(r);
}

static void nobody_listening_in_the_guest_closes_the_host_side(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *donor = tcp_rig_open(r, 1000, &host);
    struct tcp_guest *g = tcp_rig_guest(r, 8080, 5555);
    struct tcp_flow *f = tcp_rig_flow(r, donor);
    struct net_tcp *conn = f->host.conn;

    f->host.conn = NULL;
    tcp_flow_end(f, true);
    assert_int_equal(tcp_open_to_guest(&r->sw, conn, &g->remote, &g->self), ST_OK);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(r->last.flags, TCP_SYN);
    tcp_rig_inject(r, g, &(struct tcp_header){ .ack = r->last.seq + 1, .flags = TCP_RST | TCP_ACK },
                   NULL, 0);
    tcp_rig_run_ms(r, 2);
    assert_true(net_sim_peer_is_closed(host));
    assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
    tcp_rig_free(r);
}

static void both_opening_at_once_make_one_connection(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *donor = tcp_rig_open(r, 1000, &host);
    struct tcp_guest *g = tcp_rig_guest(r, 8080, 5555);
    struct tcp_flow *f = tcp_rig_flow(r, donor);
    struct net_tcp *conn = f->host.conn;
    uint32_t iss;

    f->host.conn = NULL;
    tcp_flow_end(f, true);
    assert_int_equal(tcp_open_to_guest(&r->sw, conn, &g->remote, &g->self), ST_OK);
    iss = r->last.seq;
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 70, .flags = TCP_SYN, .window = 500 }, NULL,
                   0);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(r->last.flags, TCP_SYN | TCP_ACK);
    assert_int_equal(r->last.seq, iss);
    assert_int_equal(r->last.ack, 71);
    tcp_rig_inject(r, g,
                   &(struct tcp_header){
                       .seq = 71, .ack = iss + 1, .flags = TCP_ACK, .window = 500 },
                   (const uint8_t *)"hi", 2);
    tcp_rig_run_ms(r, 2);
    assert_string_equal(net_sim_peer_text(host), "hi");
    tcp_rig_free(r);
}

/* ---- services of the gateway's own --------------------------------------------------------- */

struct service {
    struct stream *stream;
    char text[256];
    size_t bytes;
    bool ended, close_at_data, unread_once;
    unsigned drained;
    enum status error;
};

static void service_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct service *v = ctx;

    if (v->unread_once) {
        v->unread_once = false;
        assert_int_equal(stream_unread(v->stream, data + 1, len_bytes - 1), ST_OK);
        len_bytes = 1;
    }
    for (size_t i = 0; i < len_bytes && v->bytes + i < sizeof v->text - 1; i++)
        v->text[v->bytes + i] = (char)data[i];
    v->bytes += len_bytes;
    if (v->close_at_data) {
        uint8_t bye[300];

        tcp_guest_fill(bye, 0, 0, sizeof bye);
        assert_int_equal(stream_write(v->stream, bye, sizeof bye), ST_OK);
        stream_close(v->stream);
        v->stream = NULL;
    }
}

static void service_eof(void *ctx)
{
    ((struct service *)ctx)->ended = true;
}

static void service_drained(void *ctx)
{
    ((struct service *)ctx)->drained++;
}

static void service_error(void *ctx, enum status why)
{
    ((struct service *)ctx)->error = why;
}

static const struct stream_handler service_handler = {
    .on_data = service_data,
    .on_eof = service_eof,
    .on_drained = service_drained,
    .on_error = service_error,
};

static void service_accept(void *ctx, struct stream *stream, const struct ip_endpoint *from)
{
    struct service *v = ctx;

    assert_int_equal(from->addr.b[15], 2);
    v->stream = stream;
    stream_set_handler(stream, &service_handler, v);
    stream_read_start(stream);
}

/* A guest connected to a service at the gateway's port 53. */
static struct tcp_guest *serve(struct tcp_rig *r, struct service *v)
{
    struct tcp_guest *g = tcp_rig_guest(r, 1000, 53);

    g->remote.addr = ip_addr_v4(0xc0a87f01);
    assert_int_equal(tcp_serve(&r->sw, &g->remote.addr, 53, service_accept, v), ST_OK);
    tcp_guest_connect(g, 5, 0);
    tcp_rig_run_ms(r, 3);
    assert_int_equal(g->state, TG_OPEN);
    assert_non_null(v->stream);
    return g;
}

static void guest_says(struct tcp_rig *r, struct tcp_guest *g, const char *text)
{
    struct tcp_header h = {
        .seq = g->snd_nxt, .ack = g->rcv_nxt, .flags = TCP_ACK, .window = 65535
    };

    g->to_send += strlen(text);
    g->snd_nxt += (uint32_t)strlen(text);
    g->snd_max = g->snd_nxt;
    tcp_rig_inject(r, g, &h, (const uint8_t *)text, strlen(text));
    tcp_rig_run_ms(r, 3);
}

static void a_service_reads_stops_unreads_and_sees_the_end(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct service v = { .unread_once = true };
    struct tcp_guest *g = serve(r, &v);

    guest_says(r, g, "one ");
    assert_string_equal(v.text, "one ");
    stream_read_stop(v.stream);
    guest_says(r, g, "two ");
    guest_says(r, g, "three");
    g->ends = true;
    tcp_rig_run_ms(r, 5);
    assert_string_equal(v.text, "one ");
    assert_false(v.ended);
    stream_read_start(v.stream);
    tcp_rig_run_ms(r, 5);
    assert_string_equal(v.text, "one two three");
    assert_true(v.ended);
    assert_int_equal(stream_shutdown(v.stream), ST_OK);
    tcp_rig_run_ms(r, 5);
    assert_true(g->got_fin && g->fin_acked);
    assert_int_equal(stream_write(v.stream, "x", 1), ST_CLOSED);
    stream_close(v.stream);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
    tcp_rig_free(r);
}

static void a_service_may_write_more_than_the_ring_and_is_told_when_it_drained(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct service v = { 0 };
    struct tcp_guest *g = serve(r, &v);
    uint8_t *data = malloc(600000);

    assert_non_null(data);
    tcp_guest_fill(data, g->id * 2, 0, 600000);
    assert_int_equal(stream_write(v.stream, data, 600000), ST_QUEUED);
    assert_int_equal(stream_write(v.stream, data, 600000), ST_FULL);
    assert_int_equal(stream_queued_bytes(v.stream), 600000 - 262144);
    tcp_rig_run_ms(r, 50);
    assert_int_equal(v.drained, 1);
    assert_int_equal(g->received, 600000);
    stream_close(v.stream);
    free(data);
    tcp_rig_run_ms(r, 5);
    assert_true(g->got_fin);
    tcp_rig_free(r);
}

static void a_service_may_close_within_its_callback(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct service v = { .close_at_data = true };
    struct tcp_guest *g = serve(r, &v);

    guest_says(r, g, "hello");
    assert_null(v.stream);
    assert_int_equal(g->received, 300);
    assert_true(g->got_fin);
    tcp_rig_run_ms(r, 70000); /* an orphan does not stay for ever */
    assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
    tcp_rig_free(r);
}

static void a_service_learns_of_a_reset_and_outlives_the_switch(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct service v = { 0 };
    struct tcp_guest *g = serve(r, &v);

    tcp_guest_reset(g);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(v.error, ST_RESET);
    assert_int_equal(stream_write(v.stream, "x", 1), ST_RESET);
    stream_close(v.stream);
    v = (struct service){ 0 };
    g = tcp_rig_guest(r, 1001, 53);
    g->remote.addr = ip_addr_v4(0xc0a87f01);
    tcp_guest_connect(g, 5, sim_now_ms(r->sim));
    tcp_rig_run_ms(r, 3);
    tcp_free(&r->sw);
    stream_close(v.stream);
    tcp_rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syn_is_answered_after_the_host_connected),
        cmocka_unit_test(failures_of_the_dial_are_told_as_they_are),
        cmocka_unit_test(policy_answers_without_a_dial),
        cmocka_unit_test(without_a_flow_everything_but_a_syn_is_refused),
        cmocka_unit_test(while_dialling_syns_are_ignored_or_taken_over),
        cmocka_unit_test(a_reset_ends_a_dial),
        cmocka_unit_test(an_unanswered_syn_ack_is_repeated_and_given_up),
        cmocka_unit_test(in_syn_rcvd_each_segment_gets_its_answer),
        cmocka_unit_test(the_ack_of_the_handshake_may_carry_data_and_fin),
        cmocka_unit_test(blind_segments_get_a_challenge_at_most_twice_a_second),
        cmocka_unit_test(an_ack_of_what_was_not_sent_is_challenged),
        cmocka_unit_test(each_side_may_end_first),
        cmocka_unit_test(time_wait_answers_and_makes_room_for_a_newer_syn),
        cmocka_unit_test(resets_pass_both_ways),
        cmocka_unit_test(a_connection_from_the_host_opens_in_the_guest),
        cmocka_unit_test(nobody_listening_in_the_guest_closes_the_host_side),
        cmocka_unit_test(both_opening_at_once_make_one_connection),
        cmocka_unit_test(a_service_reads_stops_unreads_and_sees_the_end),
        cmocka_unit_test(a_service_may_write_more_than_the_ring_and_is_told_when_it_drained),
        cmocka_unit_test(a_service_may_close_within_its_callback),
        cmocka_unit_test(a_service_learns_of_a_reset_and_outlives_the_switch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
