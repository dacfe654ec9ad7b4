/* SPDX-License-Identifier: Apache-2.0
 * The switch's TCP with scripted guests and hosts: the rows of the state table (THEORY of tcp.c),
 * bounds, losses, turns. The random part runs RDL_SEEDS seeds (default 150); one seed again:
 *     switch_tcp_test SEED
 */
#include "base/util.h"
#include "port/stream.h"
#include "support/cmocka_all.h"
#include "support/tcp_rig.h"
#include "switch/tcp_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct switch_limits tight = { .tcp_flows = 8,
                                            .tcp_half_open = 4,
                                            .tcp_half_open_dest = 3,
                                            .tcp_dial_ms = 10000,
                                            .flow_buffer_bytes = 65536,
                                            .total_buffer_bytes = 256 * 1024 };

static struct switch_census census(struct tcp_rig *r)
{
    struct switch_census c = { 0 };

    tcp_census(&r->sw, &c);
    return c;
}

static struct tcp_flow *flow_of(struct tcp_rig *r, const struct tcp_guest *g)
{
    struct tcp_key key = { g->self.addr, g->remote.addr, g->self.port, g->remote.port };

    return tcp_find(r->sw.tcp, &key);
}

static void expect_received(struct net_sim_peer *host, const struct tcp_guest *g, uint64_t len)
{
    size_t have;
    const uint8_t *data = net_sim_peer_data(host, &have);

    assert_int_equal(have, len);
    tcp_guest_check(data, g->id * 2 + 1, 0, have);
}

static void host_sends(struct net_sim_peer *host, const struct tcp_guest *g, uint64_t from,
                       size_t len)
{
    uint8_t *data = malloc(len);

    assert_non_null(data);
    tcp_guest_fill(data, g->id * 2, from, len);
    net_sim_peer_send(host, data, len);
    free(data);
}

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
    assert_int_equal(census(r).tcp_half_open, 1);
    tcp_rig_run_ms(r, 20);
    assert_int_equal(g->state, TG_OPEN);
    assert_int_equal(g->peer_mss, 1460);
    assert_true(g->scaling);
    assert_int_equal(census(r).tcp_half_open, 0);
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
        assert_int_equal(census(r).tcp_flows, 0);
        assert_int_equal(census(r).tcp_half_open, 0);
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
    assert_int_equal(census(r).tcp_flows, 0);
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
    assert_int_equal(census(r).tcp_flows, 0);
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
    assert_int_equal(census(r).tcp_flows, 1);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 501, .flags = TCP_RST }, NULL, 0);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(census(r).tcp_flows, 0);
    unanswered(r);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 9500, .flags = TCP_SYN }, NULL, 0);
    tcp_rig_run_ms(r, 1);
    assert_true(r->last.flags & TCP_RST);
    assert_int_equal(census(r).tcp_flows, 0);
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
    assert_int_equal(census(r).tcp_flows, 1);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = g->snd_nxt, .flags = TCP_RST }, NULL, 0);
    tcp_rig_run_ms(r, 1);
    assert_int_equal(census(r).tcp_flows, 0);
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
    expect_received(host, g, 0);
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
            expect_received(host, g, 100000);
            g->ends = true;
        } else {
            host_sends(host, g, 0, 100000);
            tcp_rig_run_ms(r, 70000);
            assert_int_equal(g->received, 100000);
            net_sim_peer_end(host);
        }
        tcp_rig_run_ms(r, 5);
        assert_true(g->got_fin && g->fin_acked && net_sim_peer_saw_end(host));
        assert_true(net_sim_peer_is_closed(host));
        assert_false(net_sim_peer_saw_reset(host));
        assert_int_equal(census(r).tcp_flows, host_first);
        tcp_rig_run_ms(r, 11000);
        assert_int_equal(census(r).tcp_flows, 0);
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
    assert_int_equal(flow_of(r, g)->state, TCP_TIME_WAIT);
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
    tcp_guest_reset(g);
    tcp_rig_run_ms(r, 5);
    assert_true(net_sim_peer_saw_reset(host));
    assert_int_equal(census(r).tcp_flows, 0);
    tcp_rig_free(r);
}

/* ---- from the host side -------------------------------------------------------------------- */

static void a_connection_from_the_host_opens_in_the_guest(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *unused, *host;
    struct tcp_guest *donor = tcp_rig_open(r, 1000, &unused);
    struct tcp_guest *g = tcp_rig_guest(r, 8080, 5555);
    struct tcp_flow *f = flow_of(r, donor);
    struct net_tcp *conn = f->host.conn;

    host = unused;
    f->host.conn = NULL;
    tcp_flow_end(f, true);
    g->state = TG_LISTEN;
    g->iss = 4000000000U;
    assert_int_equal(tcp_open_to_guest(&r->sw, conn, &g->remote, &g->self), ST_OK);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(g->state, TG_OPEN);
    host_sends(host, g, 0, 50000);
    g->to_send = 300000;
    g->ends = true;
    tcp_rig_run_ms(r, 50);
    assert_int_equal(g->received, 50000);
    expect_received(host, g, 300000);
    assert_true(net_sim_peer_saw_end(host));
    tcp_rig_free(r);
}

static void nobody_listening_in_the_guest_closes_the_host_side(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *donor = tcp_rig_open(r, 1000, &host);
    struct tcp_guest *g = tcp_rig_guest(r, 8080, 5555);
    struct tcp_flow *f = flow_of(r, donor);
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
    assert_int_equal(census(r).tcp_flows, 0);
    tcp_rig_free(r);
}

static void both_opening_at_once_make_one_connection(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *donor = tcp_rig_open(r, 1000, &host);
    struct tcp_guest *g = tcp_rig_guest(r, 8080, 5555);
    struct tcp_flow *f = flow_of(r, donor);
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
    assert_int_equal(census(r).tcp_flows, 0);
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
    assert_int_equal(census(r).tcp_flows, 0);
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

/* ---- data, windows, loss ------------------------------------------------------------------- */

static void a_burst_of_segments_is_one_write_and_one_ack(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);
    unsigned acks = g->acks_in, writes = net_sim_peer_writes(host);

    g->to_send = 40 * 1460;
    tcp_rig_run_ms(r, 3);
    expect_received(host, g, g->to_send);
    assert_int_equal(net_sim_peer_writes(host), writes + 1);
    assert_int_equal(g->acks_in, acks + 1);
    tcp_rig_free(r);
}

static void a_stalled_host_closes_the_window_and_loses_nothing(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

    net_sim_peer_set_room(host, 10000);
    g->to_send = 1000000;
    tcp_rig_run_ms(r, 2000);
    expect_received(host, g, 10000);
    assert_in_range(g->acked, 10000 + 262144 - 8, 10000 + 262144);
    assert_int_equal(g->snd_edge, g->snd_una);
    net_sim_peer_set_room(host, SIZE_MAX);
    tcp_rig_run_ms(r, 50);
    expect_received(host, g, 1000000);
    assert_int_equal(g->retransmits, 0);
    assert_int_equal(census(r).buffer_bytes, 0);
    tcp_rig_free(r);
}

static void a_closed_guest_window_is_probed_until_it_opens(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

    g->rcv_edge = g->rcv_nxt; /* as if it had never been opened */
    g->window = 0;
    tcp_guest_ack(g);
    host_sends(host, g, 0, 500000);
    tcp_rig_run_ms(r, 500000);
    assert_int_equal(g->received, 0);
    assert_int_equal(census(r).tcp_flows, 1);
    assert_true(net_sim_peer_unread(host) > 0); /* back-pressure reaches the host */
    g->window = 1 << 20;                        /* told in answer to the next probe */
    tcp_rig_run_ms(r, 61000);
    assert_int_equal(g->received, 500000);
    tcp_rig_free(r);
}

static void with_offload_a_super_segment_goes_out_and_without_it_does_not(void **state)
{
    for (unsigned offload = 0; offload < 2; offload++) {
        struct tcp_rig *r = tcp_rig_new(5, NULL);
        struct net_sim_peer *host;
        struct tcp_guest *g;

        r->offload = offload;
        g = tcp_rig_open(r, 1000, &host);
        host_sends(host, g, 0, 2000000);
        tcp_rig_run_ms(r, 100);
        assert_int_equal(g->received, 2000000);
        assert_in_range(r->largest, offload ? 60000 : 1460, offload ? 65535 : 1460);
        tcp_rig_free(r);
    }
}

static void one_lost_segment_comes_again_without_a_time_out(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

    g->keeps_early = true;
    r->rate_bytes_ms = 100000;
    host_sends(host, g, 0, 600000);
    tcp_rig_run_ms(r, 3);
    r->wire.lose = 1000;
    r->rate_bytes_ms = 1;
    tcp_rig_run_ms(r, 1); /* what is produced in this millisecond is lost */
    r->wire.lose = 0;
    r->rate_bytes_ms = 100000;
    tcp_rig_run_ms(r, 150);
    assert_int_equal(g->received, 600000);
    tcp_rig_free(r);
}

static void a_lost_segment_of_the_guest_is_asked_for_by_duplicate_acks(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

    g->to_send = 1460;
    r->wire.lose = 1000;
    tcp_guest_run(g, sim_now_ms(r->sim));
    r->wire.lose = 0;
    g->to_send = 30 * 1460;
    tcp_rig_run_ms(r, 10);
    expect_received(host, g, g->to_send);
    assert_in_range(g->dup_acks_in, 3, 8);
    assert_int_equal(g->retransmits, 1); /* the others were kept */
    tcp_rig_free(r);
}

static void a_silent_guest_is_given_up_after_a_while(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

    host_sends(host, g, 0, 1000);
    r->wire.lose = 1000;
    tcp_rig_run_ms(r, 95000);
    assert_int_equal(census(r).tcp_flows, 1);
    tcp_rig_run_ms(r, 70000);
    assert_int_equal(census(r).tcp_flows, 0);
    assert_true(net_sim_peer_saw_reset(host));
    tcp_rig_free(r);
}

static void an_idle_flow_is_probed_after_two_hours_and_dropped_when_dead(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);
    unsigned sent = r->segments;

    sim_advance_ms(r->sim, 7100 * 1000);
    assert_int_equal(r->segments, sent);
    sim_advance_ms(r->sim, 200 * 1000);
    tcp_rig_run_ms(r, 5);
    assert_in_range(r->segments, sent + 1, sent + 2);
    assert_int_equal(g->state, TG_OPEN);
    sim_advance_ms(r->sim, 7300 * 1000);
    assert_int_equal(census(r).tcp_flows, 1);
    r->wire.lose = 1000;
    sim_advance_ms(r->sim, 800 * 1000);
    assert_int_equal(census(r).tcp_flows, 0);
    tcp_rig_free(r);
}

/* ---- bounds -------------------------------------------------------------------------------- */

static void the_flow_table_refuses_when_full_but_for_time_wait(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, &tight);
    struct net_sim_peer *hosts[8];
    struct tcp_guest *guests[8], *g;

    for (unsigned i = 0; i < 8; i++)
        guests[i] = tcp_rig_open(r, (uint16_t)(1000 + i), &hosts[i]);
    g = tcp_rig_guest(r, 2000, 80);
    tcp_guest_connect(g, 9, sim_now_ms(r->sim));
    tcp_rig_run_ms(r, 3);
    assert_int_equal(g->state, TG_RESET);
    assert_int_equal(r->sw.count.tcp_limit_hits, 1);
    net_sim_peer_end(hosts[0]);
    tcp_rig_run_ms(r, 3);
    guests[0]->ends = true;
    tcp_rig_run_ms(r, 3);
    assert_int_equal(census(r).tcp_flows, 8);
    g = tcp_rig_open(r, 2001, &hosts[0]);
    assert_int_equal(census(r).tcp_flows, 8);
    tcp_rig_free(r);
}

static void a_flood_of_syns_stays_within_its_bounds(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *good = tcp_rig_open(r, 1000, &host);
    struct tcp_guest *bad;

    good->to_send = 10000000;
    for (unsigned i = 0; i < 500; i++) {
        bad = tcp_rig_guest(r, (uint16_t)(2000 + i), 81);
        bad->remote.addr = ip_addr_v4(0x0a010000 + i);
        net_sim_next_connect(r->net, ST_OK, SIM_NEVER);
        tcp_guest_connect(bad, i, sim_now_ms(r->sim));
        bad->state = TG_CLOSED;
    }
    tcp_rig_run_ms(r, 100);
    assert_int_equal(census(r).tcp_half_open, 32);
    assert_true(r->sw.count.tcp_half_open_limit_hits >= 468);
    expect_received(host, good, 10000000);
    tcp_rig_run_ms(r, 11000);
    assert_int_equal(census(r).tcp_half_open, 0);
    assert_int_equal(census(r).tcp_flows, 1);
    tcp_rig_free(r);
}

static void one_dead_destination_does_not_use_up_the_dials(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, &tight);
    struct net_sim_peer *host;

    for (unsigned i = 0; i < 3; i++) {
        struct tcp_guest *g = tcp_rig_guest(r, (uint16_t)(2000 + i), 81);

        g->remote.addr = ip_addr_v4(0x0a010000);
        net_sim_next_connect(r->net, ST_OK, SIM_NEVER);
        tcp_guest_connect(g, i, 0);
    }
    tcp_rig_run_ms(r, 2);
    struct tcp_guest *fourth = tcp_rig_guest(r, 2003, 81);
    fourth->remote.addr = ip_addr_v4(0x0a010000);
    tcp_guest_connect(fourth, 9, 0);
    tcp_rig_run_ms(r, 2);
    assert_int_equal(fourth->state, TG_RESET);
    tcp_rig_open(r, 1000, &host);
    tcp_rig_free(r);
}

static void all_flows_together_keep_within_the_memory_given(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, &tight);
    struct net_sim_peer *hosts[8];
    struct tcp_guest *g[8];

    for (unsigned i = 0; i < 8; i++) {
        g[i] = tcp_rig_open(r, (uint16_t)(1000 + i), &hosts[i]);
        net_sim_peer_set_room(hosts[i], 0);
        g[i]->to_send = 200000;
        g[i]->window = i < 4 ? 0 : 1 << 20;
        host_sends(hosts[i], g[i], 0, 200000);
    }
    for (unsigned i = 0; i < 3000; i++) {
        tcp_rig_run_ms(r, 1);
        assert_true(census(r).buffer_bytes <= tight.total_buffer_bytes);
    }
    for (unsigned i = 0; i < 8; i++) {
        net_sim_peer_set_room(hosts[i], SIZE_MAX);
        g[i]->window = 1 << 20;
    }
    tcp_rig_run_ms(r, 60000);
    for (unsigned i = 0; i < 8; i++) {
        expect_received(hosts[i], g[i], 200000);
        assert_int_equal(g[i]->received, 200000);
    }
    assert_int_equal(census(r).buffer_bytes, 0);
    tcp_rig_free(r);
}

static void first_sequence_numbers_cannot_be_guessed(void **state)
{
    enum { N = 256 };
    struct tcp_rig *r = tcp_rig_new(99, NULL);
    struct tcp_key key = { .remote_port = 80 };
    uint32_t isn[N], again;
    unsigned ones[32] = { 0 };

    for (unsigned i = 0; i < N; i++) {
        key.guest_port = (uint16_t)(1000 + i);
        isn[i] = tcp_isn(r->sw.tcp, &key);
        for (unsigned bit = 0; bit < 32; bit++)
            ones[bit] += isn[i] >> bit & 1;
    }
    for (unsigned bit = 0; bit < 32; bit++)
        assert_in_range(ones[bit], N / 4, N * 3 / 4);
    sim_advance_ms(r->sim, 1000);
    again = tcp_isn(r->sw.tcp, &key); /* the same ports: above the last, by the clock */
    assert_int_equal(again - isn[N - 1], 250000);
    tcp_rig_free(r);
}

static void teardown_with_live_flows(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g;

    for (unsigned i = 0; i < 20; i++) {
        g = tcp_rig_open(r, (uint16_t)(1000 + i), &host);
        g->to_send = i * 50000;
        g->ends = i & 1;
        if (i % 3 == 0)
            net_sim_peer_set_room(host, 100);
        host_sends(host, g, 0, 1 + i * 30000);
        if (i % 5 == 0)
            net_sim_peer_end(host);
    }
    g = tcp_rig_guest(r, 3000, 80);
    net_sim_next_connect(r->net, ST_OK, SIM_NEVER);
    tcp_guest_connect(g, 1, 0);
    g = tcp_rig_guest(r, 3001, 80);
    net_sim_next_connect(r->net, ST_OK, 0);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 5, .flags = TCP_SYN }, NULL, 0);
    tcp_rig_run_ms(r, 2);
    assert_int_equal(census(r).tcp_half_open, 2);
    tcp_rig_free(r); /* asserts that everything was closed and freed */
}

static void flows_go_on_over_a_new_link(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct frame_link *link = r->sw.link;
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

    r->rate_bytes_ms = 20000;
    host_sends(host, g, 0, 1000000);
    g->to_send = 1000000;
    tcp_rig_run_ms(r, 10);
    r->cut = true; /* what is on the way is lost */
    r->sw.link = NULL;
    tcp_rig_run_ms(r, 900);
    assert_in_range(g->received, 1, 999999);
    r->cut = false;
    r->sw.link = link;
    tcp_link_attached(&r->sw);
    tcp_rig_run_ms(r, 3000);
    assert_int_equal(g->received, 1000000);
    expect_received(host, g, 1000000);
    tcp_rig_free(r);
}

/* ---- turns --------------------------------------------------------------------------------- */

static void a_small_answer_does_not_wait_for_eight_bulk_streams(void **state)
{
    for (unsigned offload = 0; offload < 2; offload++) {
        struct tcp_rig *r = tcp_rig_new(5, NULL);
        struct net_sim_peer *hosts[8], *small_host;
        struct tcp_guest *bulk[8], *small;
        uint64_t least = UINT64_MAX, most = 0, worst_ms = 0, start_ms, before[8];

        r->offload = offload;
        r->rate_bytes_ms = 256 * 1024; /* 2 Gbit/s */
        small = tcp_rig_open(r, 999, &small_host);
        for (unsigned i = 0; i < 8; i++) {
            bulk[i] = tcp_rig_open(r, (uint16_t)(1000 + i), &hosts[i]);
            host_sends(hosts[i], bulk[i], 0, 20000000);
        }
        for (unsigned i = 0; i < 8; i++)
            before[i] = bulk[i]->received;
        start_ms = sim_now_ms(r->sim);
        tcp_rig_run_ms(r, 100);
        for (unsigned round = 0; round < 50; round++) {
            uint64_t start = sim_now_ms(r->sim);

            host_sends(small_host, small, small->received, 200);
            while (small->received < (round + 1) * 200)
                tcp_rig_run_ms(r, 1);
            worst_ms = MAX(worst_ms, sim_now_ms(r->sim) - start);
            tcp_rig_run_ms(r, 1);
        }
        for (unsigned i = 0; i < 8; i++) {
            least = MIN(least, bulk[i]->received - before[i]);
            most = MAX(most, bulk[i]->received - before[i]);
        }
        assert_true(worst_ms <= 4);
        assert_true(least * 10 >= most * 9);
        assert_true(least * 8 >= (sim_now_ms(r->sim) - start_ms) * r->rate_bytes_ms * 8 / 10);
        tcp_rig_free(r);
    }
}

/* ---- random -------------------------------------------------------------------------------- */

static unsigned only_seed, this_seed;

/* A broken invariant aborts; then this says how to see it again. */
static void on_abort(int signal_number)
{
    fprintf(stderr, "replay: switch_tcp_test %u\n", this_seed);
}

struct pair {
    struct tcp_guest *g;
    struct net_sim_peer *host;
    size_t down, sent;
    bool ended;
};

static void disturb(struct tcp_rig *r, struct pair *p)
{
    size_t n;

    switch (tcp_rig_random(r, 12)) {
    case 0: net_sim_peer_set_room(p->host, tcp_rig_random(r, 5000)); break;
    case 1: net_sim_peer_set_room(p->host, SIZE_MAX); break;
    case 2: net_sim_peer_set_piece(p->host, 1 + tcp_rig_random(r, 3000)); break;
    case 3: p->g->segment = (uint16_t)(1 + tcp_rig_random(r, 1460)); break;
    case 4: p->g->window = tcp_rig_random(r, 3) * 20000; break;
    case 5: r->link_bytes = 2000 + tcp_rig_random(r, 200000); break;
    case 6: r->rate_bytes_ms = 1000 + tcp_rig_random(r, 300000); break;
    case 7: r->wire.lasts = tcp_rig_random(r, 2); break;
    default:
        n = tcp_rig_random(r, 40000);
        n = MIN(n, p->down - p->sent);
        if (n > 0)
            host_sends(p->host, p->g, p->sent, n);
        p->sent += n;
    }
}

static bool pair_done(struct tcp_rig *r, struct pair *p)
{
    size_t have;

    if (!p->ended && p->sent == p->down) {
        net_sim_peer_end(p->host);
        p->ended = true;
    }
    net_sim_peer_data(p->host, &have);
    return p->g->got_fin && p->g->fin_acked && have == p->g->to_send;
}

static void calm(struct tcp_rig *r, struct pair *pairs, unsigned count)
{
    r->link_bytes = 512 * 1024;
    r->rate_bytes_ms = 1 << 20;
    for (unsigned i = 0; i < count; i++) {
        struct pair *p = &pairs[i];

        net_sim_peer_set_room(p->host, SIZE_MAX);
        net_sim_peer_set_piece(p->host, 0);
        p->g->window = 1 << 20;
        p->g->segment = 1460;
        if (p->sent < p->down)
            host_sends(p->host, p->g, p->sent, p->down - p->sent);
        p->sent = p->down;
    }
}

static void run_seed(unsigned seed)
{
    struct tcp_rig *r = tcp_rig_new(seed, seed % 4 == 0 ? &tight : NULL);
    struct pair pairs[5];
    unsigned count = 1 + tcp_rig_random(r, 5), ms, left;

    r->offload = tcp_rig_random(r, 2);
    r->wire.lose = tcp_rig_random(r, 4) ? tcp_rig_random(r, 60) : 0;
    r->wire.reorder = tcp_rig_random(r, 3) ? tcp_rig_random(r, 200) : 0;
    r->wire.duplicate = tcp_rig_random(r, 3) ? tcp_rig_random(r, 60) : 0;
    for (unsigned i = 0; i < count; i++) {
        struct pair *p = &pairs[i];

        *p = (struct pair){ 0 };
        p->g = tcp_rig_open(r, (uint16_t)(1000 + i), &p->host);
        p->g->keeps_early = tcp_rig_random(r, 2);
        p->g->to_send = tcp_rig_random(r, 300000);
        p->g->ends = true;
        p->down = tcp_rig_random(r, 300000);
    }
    for (ms = 0; ms < 1500; ms++) {
        disturb(r, &pairs[tcp_rig_random(r, count)]);
        if (tcp_rig_random(r, 700) == 0) {
            struct frame_link *link = r->sw.link;

            r->cut = true;
            r->sw.link = NULL;
            tcp_rig_run_ms(r, tcp_rig_random(r, 500));
            r->cut = false;
            r->sw.link = link;
            tcp_link_attached(&r->sw);
        }
        tcp_rig_run_ms(r, 1);
    }
    calm(r, pairs, count);
    for (left = count, ms = 0; left > 0 && ms < 400000; ms += 50) {
        tcp_rig_run_ms(r, 50);
        left = 0;
        for (unsigned i = 0; i < count; i++)
            left += !pair_done(r, &pairs[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        struct pair *p = &pairs[i];

        if (!pair_done(r, p) || p->g->received != p->down)
            fail_msg("seed %u flow %u: up %llu of %llu, down %llu of %zu, state %d", seed, i,
                     (unsigned long long)p->g->acked, (unsigned long long)p->g->to_send,
                     (unsigned long long)p->g->received, p->down, p->g->state);
        expect_received(p->host, p->g, p->g->to_send);
    }
    tcp_rig_run_ms(r, 200000);
    assert_int_equal(census(r).tcp_flows, 0);
    assert_int_equal(census(r).buffer_bytes, 0);
    tcp_rig_free(r);
}

static void bytes_arrive_exactly_whatever_the_wire_does(void **state)
{
    const char *text = getenv("RDL_SEEDS");
    unsigned seeds = text ? (unsigned)strtoul(text, NULL, 10) : 150;

    signal(SIGABRT, on_abort);
    for (this_seed = only_seed ? only_seed : 1; this_seed <= (only_seed ? only_seed : seeds);
         this_seed++)
        run_seed(this_seed);
    signal(SIGABRT, SIG_DFL);
}

int main(int argc, char **argv)
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
        cmocka_unit_test(a_burst_of_segments_is_one_write_and_one_ack),
        cmocka_unit_test(a_stalled_host_closes_the_window_and_loses_nothing),
        cmocka_unit_test(a_closed_guest_window_is_probed_until_it_opens),
        cmocka_unit_test(with_offload_a_super_segment_goes_out_and_without_it_does_not),
        cmocka_unit_test(one_lost_segment_comes_again_without_a_time_out),
        cmocka_unit_test(a_lost_segment_of_the_guest_is_asked_for_by_duplicate_acks),
        cmocka_unit_test(a_silent_guest_is_given_up_after_a_while),
        cmocka_unit_test(an_idle_flow_is_probed_after_two_hours_and_dropped_when_dead),
        cmocka_unit_test(the_flow_table_refuses_when_full_but_for_time_wait),
        cmocka_unit_test(a_flood_of_syns_stays_within_its_bounds),
        cmocka_unit_test(one_dead_destination_does_not_use_up_the_dials),
        cmocka_unit_test(all_flows_together_keep_within_the_memory_given),
        cmocka_unit_test(first_sequence_numbers_cannot_be_guessed),
        cmocka_unit_test(teardown_with_live_flows),
        cmocka_unit_test(flows_go_on_over_a_new_link),
        cmocka_unit_test(a_small_answer_does_not_wait_for_eight_bulk_streams),
        cmocka_unit_test(bytes_arrive_exactly_whatever_the_wire_does),
    };

    if (argc > 1) {
        const struct CMUnitTest one[] = {
            cmocka_unit_test(bytes_arrive_exactly_whatever_the_wire_does),
        };

        only_seed = (unsigned)strtoul(argv[1], NULL, 10);
        return cmocka_run_group_tests(one, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
