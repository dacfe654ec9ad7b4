/* SPDX-License-Identifier: Apache-2.0
 * The switch's TCP with scripted guests and hosts: data, windows, losses, bounds, turns. The random
 * part runs RDL_SEEDS seeds (default 150); one seed again: switch_tcp_data_test SEED
 */
#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/tcp_rig.h"
#include "switch/tcp_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- data, windows, loss ------------------------------------------------------------------- */

static void a_burst_of_segments_is_one_write_and_one_ack(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);
    unsigned acks = g->acks_in, writes = net_sim_peer_writes(host);

    g->to_send = 40 * 1460;
    tcp_rig_run_ms(r, 3);
    tcp_rig_expect(host, g, g->to_send);
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
    tcp_rig_expect(host, g, 10000);
    assert_in_range(g->acked, 10000 + 262144 - 8, 10000 + 262144);
    assert_int_equal(g->snd_edge, g->snd_una);
    net_sim_peer_set_room(host, SIZE_MAX);
    tcp_rig_run_ms(r, 50);
    tcp_rig_expect(host, g, 1000000);
    assert_int_equal(g->retransmits, 0);
    assert_int_equal(tcp_rig_census(r).buffer_bytes, 0);
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
    tcp_rig_host_sends(host, g, 0, 500000);
    tcp_rig_run_ms(r, 500000);
    assert_int_equal(g->received, 0);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 1);
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
        tcp_rig_host_sends(host, g, 0, 2000000);
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
    tcp_rig_host_sends(host, g, 0, 600000);
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
    tcp_rig_expect(host, g, g->to_send);
    assert_in_range(g->dup_acks_in, 3, 8);
    assert_int_equal(g->retransmits, 1); /* the others were kept */
    tcp_rig_free(r);
}

static void swallow(void *ctx, struct tcp_guest *g, const struct tcp_header *h, const uint8_t *data,
                    size_t len_bytes)
{
}

/* The guest has everything, its ACKs are lost: the switch has gone back to the first byte then, and
 * an RST from there would be below the guest's window. */
static void a_reset_after_a_time_out_is_believed(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);
    tcp_guest_send_fn *send = g->send;

    g->send = swallow;
    tcp_rig_host_sends(host, g, 0, 40000);
    tcp_rig_run_ms(r, 1000);
    assert_int_equal(g->received, 40000);
    assert_true(r->sw.count.tcp_retransmits > 0);
    g->send = send;
    net_sim_peer_reset(host, ST_RESET);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(g->state, TG_RESET);
    tcp_rig_free(r);
}

/* tcp_guest aborts if it gets more than its window. */
static void what_is_sent_again_stays_within_the_window(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

    g->rcv_edge = g->rcv_nxt + 1000;
    g->window = 0;
    g->scaling = false; /* of what it announces: to the byte */
    tcp_rig_flow(r, g)->guest_scale = 0;
    tcp_guest_ack(g);
    tcp_rig_run_ms(r, 2);
    r->wire.lose = 1000;
    tcp_rig_host_sends(host, g, 0, 3000);
    tcp_rig_run_ms(r, 3);
    r->wire.lose = 0;
    for (unsigned i = 0; i < 3; i++)
        tcp_guest_ack(g);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(g->received, 1000);
    g->window = 1 << 20;
    tcp_rig_run_ms(r, 61000);
    assert_int_equal(g->received, 3000);
    tcp_rig_free(r);
}

/* The guest's segments came in another order: an ACK that moves on brings its window, however old
 * the bytes that it came with. tcp_guest aborts if it gets more than its window. */
static void an_ack_with_old_bytes_brings_its_window(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);
    tcp_guest_send_fn *send = g->send;

    g->to_send = 100;
    tcp_rig_run_ms(r, 3);
    g->rcv_edge = g->rcv_nxt + 20000;
    g->window = 0;
    tcp_guest_ack(g);
    tcp_rig_run_ms(r, 2);
    g->send = swallow; /* 14,600 bytes arrive, and no ACK leaves but this one: */
    tcp_rig_host_sends(host, g, 0, 14600);
    tcp_rig_run_ms(r, 3);
    assert_int_equal(g->received, 14600);
    tcp_rig_inject(r, g,
                   &(struct tcp_header){ .seq = g->snd_nxt - 1,
                                         .ack = g->rcv_nxt,
                                         .flags = TCP_ACK,
                                         .window = (uint16_t)(5400 >> g->scale) },
                   (const uint8_t *)"x", 1);
    tcp_rig_host_sends(host, g, 14600, 20000);
    g->send = send;
    tcp_rig_run_ms(r, 20);
    assert_in_range(g->received, 14600 + 5200, 20000);
    tcp_rig_free(r);
}

/* The FIN has a sequence number, so it needs a window as a byte does. */
static void a_fin_waits_for_a_window(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);
    unsigned sent;

    g->rcv_edge = g->rcv_nxt;
    g->window = 0;
    tcp_guest_ack(g);
    tcp_rig_run_ms(r, 2);
    sent = r->sw.count.tcp_retransmits;
    net_sim_peer_end(host);
    tcp_rig_run_ms(r, 200000);
    assert_false(g->got_fin);
    assert_int_equal(r->sw.count.tcp_retransmits, sent);
    g->window = 1000;
    tcp_guest_ack(g);
    tcp_rig_run_ms(r, 3);
    assert_true(g->got_fin);
    tcp_rig_free(r);
}

/* RFC 9293 3.8.6: a sender is robust against a window that shrinks. */
static void a_window_that_is_taken_back_is_asked_for(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);
    uint32_t edge = g->rcv_edge;
    unsigned heard;

    r->wire.lose = 1000;
    tcp_rig_host_sends(host, g, 0, 30000);
    tcp_rig_run_ms(r, 3);
    r->wire.lose = 0;
    g->rcv_edge = g->rcv_nxt;
    g->window = 0;
    tcp_guest_ack(g);
    heard = g->segments_in;
    tcp_rig_run_ms(r, 150000); /* longer than a silent guest is waited for */
    assert_in_range(g->segments_in - heard, 4, 20);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 1);
    g->rcv_edge = edge;
    g->window = 1 << 20;
    tcp_rig_run_ms(r, 61000); /* told in answer to the next probe */
    assert_int_equal(g->received, 30000);
    tcp_rig_free(r);
}

/* Whatever else happens to the flow meanwhile, here a window that opens. */
static void a_socket_without_memory_is_asked_again(void **state)
{
    struct switch_limits limits = tcp_rig_tight;
    struct tcp_rig *r;
    struct net_sim_peer *host, *hoarder_host;
    struct tcp_guest *g, *hoarder;

    limits.total_buffer_bytes = limits.flow_buffer_bytes = 16384;
    r = tcp_rig_new(5, &limits);
    hoarder = tcp_rig_open(r, 1000, &hoarder_host);
    g = tcp_rig_open(r, 1001, &host);
    net_sim_peer_set_room(hoarder_host, 0);
    hoarder->to_send = 4000;
    tcp_rig_run_ms(r, 3);
    assert_int_equal(tcp_rig_census(r).buffer_bytes, 16384);
    tcp_rig_host_sends(host, g, 0, 3000);
    tcp_rig_run_ms(r, 3);
    g->window = 0;
    g->rcv_edge = g->rcv_nxt;
    tcp_guest_ack(g);
    tcp_rig_run_ms(r, 5);
    g->window = 200000; /* sets its flow's timer anew */
    tcp_guest_ack(g);
    tcp_rig_run_ms(r, 200);
    assert_int_equal(g->received, 0);
    net_sim_peer_set_room(hoarder_host, SIZE_MAX);
    tcp_rig_run_ms(r, 100);
    assert_int_equal(g->received, 3000);
    tcp_rig_free(r);
}

static void a_silent_guest_is_given_up_after_a_while(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

    tcp_rig_host_sends(host, g, 0, 1000);
    r->wire.lose = 1000;
    tcp_rig_run_ms(r, 95000);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 1);
    tcp_rig_run_ms(r, 70000);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
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
    assert_int_equal(tcp_rig_census(r).tcp_flows, 1);
    r->wire.lose = 1000;
    sim_advance_ms(r->sim, 800 * 1000);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
    tcp_rig_free(r);
}

/* ---- bounds -------------------------------------------------------------------------------- */

static void the_flow_table_refuses_when_full_but_for_time_wait(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, &tcp_rig_tight);
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
    assert_int_equal(tcp_rig_census(r).tcp_flows, 8);
    (void)tcp_rig_open(r, 2001, &hosts[0]);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 8);
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
    assert_int_equal(tcp_rig_census(r).tcp_half_open, 32);
    assert_true(r->sw.count.tcp_half_open_limit_hits >= 468);
    tcp_rig_expect(host, good, 10000000);
    tcp_rig_run_ms(r, 11000);
    assert_int_equal(tcp_rig_census(r).tcp_half_open, 0);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 1);
    tcp_rig_free(r);
}

/* So many SYNs at once, each from a port of its own, to a port that refuses. */
static void knock(struct tcp_rig *r, unsigned first, unsigned count)
{
    struct tcp_guest *g = tcp_rig_guest(r, 0, 81);

    for (unsigned i = 0; i < count; i++) {
        g->self.port = (uint16_t)(first + i);
        net_sim_next_connect(r->net, ST_REFUSED, 0);
        tcp_guest_connect(g, i, sim_now_ms(r->sim));
        g->state = TG_CLOSED;
        if (i % 25 == 24)
            tcp_rig_run_ms(r, 1); /* 25,000 a second; the table of half-open flows stays empty */
    }
}

static void sockets_are_made_at_a_bounded_rate_beside_bulk(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *bulk = tcp_rig_open(r, 1000, &host);
    uint64_t refused, limited;

    knock(r, 10000, 2000);
    assert_int_equal(r->sw.count.open_limit_hits, 0); /* nobody is disturbed */
    tcp_rig_run_ms(r, 1000);
    bulk->to_send = 1 << 30;
    tcp_rig_run_ms(r, 100);
    refused = r->sw.count.tcp_refused;
    knock(r, 20000, 2000);
    tcp_rig_run_ms(r, 5);
    limited = r->sw.count.open_limit_hits;
    assert_int_equal(r->sw.count.tcp_refused - refused, 2000 - limited);
    assert_in_range(2000 - limited, 512 + 2 * 80 - 20, 512 + 2 * 80 + 20); /* burst, and 80 ms */
    tcp_rig_run_ms(r, 400);
    knock(r, 30000, 500);
    assert_int_equal(r->sw.count.open_limit_hits, limited); /* the bucket has filled again */
    tcp_rig_free(r);
}

static void one_dead_destination_does_not_use_up_the_dials(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, &tcp_rig_tight);
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
    assert_int_equal(fourth->state, TG_SYN_SENT); /* and nothing was said: it may ask again */
    assert_true(r->sw.count.tcp_half_open_limit_hits >= 1);
    tcp_rig_open(r, 1000, &host);
    tcp_rig_free(r);
}

static void what_has_waited_for_a_second_gives_way(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, &tcp_rig_tight);
    struct tcp_guest *late;

    for (unsigned i = 0; i < 4; i++) { /* two addresses, so that both bounds are met */
        struct tcp_guest *g = tcp_rig_guest(r, (uint16_t)(2000 + i), 81);

        g->remote.addr = ip_addr_v4(0x0a010000 + i % 2);
        net_sim_next_connect(r->net, ST_OK, SIM_NEVER);
        tcp_guest_connect(g, i, 0);
        g->state = TG_CLOSED;
    }
    tcp_rig_run_ms(r, 1010);
    assert_int_equal(tcp_rig_census(r).tcp_half_open, 4);
    late = tcp_rig_guest(r, 2010, 81);
    late->remote.addr = ip_addr_v4(0x0a010000);
    net_sim_next_connect(r->net, ST_OK, 0);
    tcp_guest_connect(late, 9, sim_now_ms(r->sim));
    tcp_rig_run_ms(r, 3);
    assert_int_equal(late->state, TG_OPEN);
    assert_int_equal(tcp_rig_census(r).tcp_half_open, 3);
    assert_int_equal(r->sw.count.tcp_half_open_limit_hits, 1);
    tcp_rig_free(r);
}

static void all_flows_together_keep_within_the_memory_given(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, &tcp_rig_tight);
    struct net_sim_peer *hosts[8];
    struct tcp_guest *g[8];

    for (unsigned i = 0; i < 8; i++) {
        g[i] = tcp_rig_open(r, (uint16_t)(1000 + i), &hosts[i]);
        net_sim_peer_set_room(hosts[i], 0);
        g[i]->to_send = 200000;
        g[i]->window = i < 4 ? 0 : 1 << 20;
        tcp_rig_host_sends(hosts[i], g[i], 0, 200000);
    }
    for (unsigned i = 0; i < 3000; i++) {
        tcp_rig_run_ms(r, 1);
        assert_true(tcp_rig_census(r).buffer_bytes <= tcp_rig_tight.total_buffer_bytes);
    }
    for (unsigned i = 0; i < 8; i++) {
        net_sim_peer_set_room(hosts[i], SIZE_MAX);
        g[i]->window = 1 << 20;
    }
    tcp_rig_run_ms(r, 60000);
    for (unsigned i = 0; i < 8; i++) {
        tcp_rig_expect(hosts[i], g[i], 200000);
        assert_int_equal(g[i]->received, 200000);
    }
    assert_int_equal(tcp_rig_census(r).buffer_bytes, 0);
    tcp_rig_free(r);
}

static void first_sequence_numbers_cannot_be_guessed(void **state)
{
    enum { N = 256 };
    struct tcp_rig *r = tcp_rig_new(99, NULL), *other = tcp_rig_new(100, NULL);
    struct tcp_key key = { .remote_port = 80 };
    uint32_t isn[N], again;
    unsigned ones[32] = { 0 }, same_steps = 0;

    for (unsigned i = 0; i < N; i++) {
        key.guest_port = (uint16_t)(1000 + i);
        isn[i] = tcp_isn(r->sw.tcp, &key);
        for (unsigned bit = 0; bit < 32; bit++)
            ones[bit] += isn[i] >> bit & 1;
    }
    for (unsigned bit = 0; bit < 32; bit++)
        assert_in_range(ones[bit], N / 4, N * 3 / 4);
    for (unsigned i = 2; i < N; i++) /* nobody counts, whatever the step */
        same_steps += isn[i] - isn[i - 1] == isn[i - 1] - isn[i - 2];
    assert_int_equal(same_steps, 0);
    assert_int_not_equal(tcp_isn(other->sw.tcp, &key), isn[N - 1]); /* a secret is in it */
    tcp_rig_free(other);
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
        tcp_rig_host_sends(host, g, 0, 1 + i * 30000);
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
    assert_int_equal(tcp_rig_census(r).tcp_half_open, 2);
    tcp_rig_free(r); /* asserts that everything was closed and freed */
}

static void cut_link(struct tcp_rig *r, unsigned ms)
{
    struct frame_link *link = r->sw.link;

    r->cut = true;
    r->sw.link = NULL;
    tcp_rig_run_ms(r, ms);
    r->cut = false;
    r->sw.link = link;
}

static void flows_go_on_over_a_new_link(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

    r->rate_bytes_ms = 20000;
    tcp_rig_host_sends(host, g, 0, 1000000);
    g->to_send = 1000000;
    tcp_rig_run_ms(r, 10);
    cut_link(r, 900); /* what is on the way is lost */
    assert_in_range(g->received, 1, 999999);
    tcp_link_attached(&r->sw);
    tcp_rig_run_ms(r, 3000);
    assert_int_equal(g->received, 1000000);
    tcp_rig_expect(host, g, 1000000);
    tcp_rig_free(r);
}

/* The gap is closed by its segment alone: what came early is content at once, not sent again. */
static void what_came_early_is_taken_with_what_was_missing(void **state)
{
    enum { SEG = 1000 };
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);
    struct tcp_header h = { .ack = g->rcv_nxt, .flags = TCP_ACK, .window = 60000 };
    uint32_t first = g->snd_max;
    uint8_t data[4 * SEG];

    g->to_send = sizeof data; /* what it sends itself does not arrive */
    g->send = swallow;
    tcp_guest_run(g, sim_now_ms(r->sim));
    tcp_guest_fill(data, g->id * 2 + 1, 0, sizeof data);
    for (unsigned i = 1; i <= 4; i++) { /* the second, third, fourth, and the first at the end */
        h.seq = first + i % 4 * SEG;
        tcp_rig_inject(r, g, &h, data + (size_t)(i % 4) * SEG, SEG);
        tcp_rig_run_ms(r, 1);
        assert_int_equal(r->last.ack, i < 4 ? first : first + 4 * SEG);
    }
    tcp_rig_expect(host, g, 4 * SEG);
    tcp_rig_free(r);
}

/* Its time-out is not waited for. */
static void what_was_lost_with_a_link_is_sent_as_soon_as_there_is_another(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);

    tcp_rig_host_sends(host, g, 0, 5000);
    r->wire.lose = 1000;
    tcp_rig_run_ms(r, 2);
    r->wire.lose = 0;
    cut_link(r, 10);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(g->received, 0); /* nobody said so: the time-out is waited for */
    tcp_link_attached(&r->sw);
    tcp_rig_run_ms(r, 5);
    assert_int_equal(g->received, 5000);
    tcp_rig_free(r);
}

/* The guest may have sent what was lost, and waits for its own time-out. */
static void a_new_link_brings_each_side_up_to_date(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(r, 1000, &host);
    unsigned sent;

    tcp_rig_run_ms(r, 100);
    cut_link(r, 500);
    sent = r->segments;
    tcp_link_attached(&r->sw);
    tcp_rig_run_ms(r, 2);
    assert_int_equal(r->segments, sent + 1);
    assert_int_equal(r->last.flags, TCP_ACK);
    assert_int_equal(r->last.ack, g->snd_nxt);
    tcp_rig_free(r);
}

static void a_handshake_goes_on_over_a_new_link(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct tcp_guest *g = tcp_rig_guest(r, 1000, 80);
    unsigned sent;

    net_sim_next_connect(r->net, ST_OK, 0);
    tcp_rig_inject(r, g, &(struct tcp_header){ .seq = 500, .flags = TCP_SYN, .window = 1000 }, NULL,
                   0);
    tcp_rig_run_ms(r, 2);
    cut_link(r, 100);
    sent = r->segments;
    tcp_link_attached(&r->sw);
    tcp_rig_run_ms(r, 2);
    assert_int_equal(r->segments, sent + 1);
    assert_int_equal(r->last.flags, TCP_SYN | TCP_ACK);
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
            tcp_rig_host_sends(hosts[i], bulk[i], 0, 20000000);
        }
        for (unsigned i = 0; i < 8; i++)
            before[i] = bulk[i]->received;
        start_ms = sim_now_ms(r->sim);
        tcp_rig_run_ms(r, 100);
        for (unsigned round = 0; round < 50; round++) {
            uint64_t start = sim_now_ms(r->sim);

            tcp_rig_host_sends(small_host, small, small->received, 200);
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
    /* The process ends here: a garbled seed is better than none. */
    /* NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c) */
    fprintf(stderr, "replay: switch_tcp_data_test %u\n", this_seed);
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
            tcp_rig_host_sends(p->host, p->g, p->sent, n);
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
            tcp_rig_host_sends(p->host, p->g, p->sent, p->down - p->sent);
        p->sent = p->down;
    }
}

static void run_seed(unsigned seed)
{
    struct tcp_rig *r = tcp_rig_new(seed, seed % 4 == 0 ? &tcp_rig_tight : NULL);
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
        tcp_rig_expect(p->host, p->g, p->g->to_send);
    }
    tcp_rig_run_ms(r, 200000);
    assert_int_equal(tcp_rig_census(r).tcp_flows, 0);
    assert_int_equal(tcp_rig_census(r).buffer_bytes, 0);
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
        cmocka_unit_test(a_burst_of_segments_is_one_write_and_one_ack),
        cmocka_unit_test(a_stalled_host_closes_the_window_and_loses_nothing),
        cmocka_unit_test(a_closed_guest_window_is_probed_until_it_opens),
        cmocka_unit_test(with_offload_a_super_segment_goes_out_and_without_it_does_not),
        cmocka_unit_test(one_lost_segment_comes_again_without_a_time_out),
        cmocka_unit_test(a_lost_segment_of_the_guest_is_asked_for_by_duplicate_acks),
        cmocka_unit_test(a_reset_after_a_time_out_is_believed),
        cmocka_unit_test(what_is_sent_again_stays_within_the_window),
        cmocka_unit_test(an_ack_with_old_bytes_brings_its_window),
        cmocka_unit_test(a_fin_waits_for_a_window),
        cmocka_unit_test(a_window_that_is_taken_back_is_asked_for),
        cmocka_unit_test(a_socket_without_memory_is_asked_again),
        cmocka_unit_test(a_silent_guest_is_given_up_after_a_while),
        cmocka_unit_test(an_idle_flow_is_probed_after_two_hours_and_dropped_when_dead),
        cmocka_unit_test(the_flow_table_refuses_when_full_but_for_time_wait),
        cmocka_unit_test(a_flood_of_syns_stays_within_its_bounds),
        cmocka_unit_test(sockets_are_made_at_a_bounded_rate_beside_bulk),
        cmocka_unit_test(one_dead_destination_does_not_use_up_the_dials),
        cmocka_unit_test(what_has_waited_for_a_second_gives_way),
        cmocka_unit_test(all_flows_together_keep_within_the_memory_given),
        cmocka_unit_test(first_sequence_numbers_cannot_be_guessed),
        cmocka_unit_test(teardown_with_live_flows),
        cmocka_unit_test(flows_go_on_over_a_new_link),
        cmocka_unit_test(what_came_early_is_taken_with_what_was_missing),
        cmocka_unit_test(what_was_lost_with_a_link_is_sent_as_soon_as_there_is_another),
        cmocka_unit_test(a_new_link_brings_each_side_up_to_date),
        cmocka_unit_test(a_handshake_goes_on_over_a_new_link),
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
