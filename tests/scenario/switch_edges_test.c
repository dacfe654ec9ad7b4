/* SPDX-License-Identifier: Apache-2.0
 * switch_edges_test.c - corners of TCP and of sharing, one by one, through the whole switch.
 */
#include "base/log.h"
#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/frame_build.h"
#include "support/sim_world.h"

#include <string.h>

static struct world_flow *dial(struct sim_world *w, unsigned slot)
{
    struct ip_addr to = frame_addr("10.1.2.3");

    return sim_world_dial(w, slot, &to, ST_OK);
}

/* ---- options ------------------------------------------------------------------------------ */

static void windows_of_every_scale_are_understood(void **state)
{
    static const struct {
        const char *name;
        bool scaling;
        uint8_t scale;
        uint32_t window;
    } rows[] = {
        { "no option", false, 0, 1 << 20 },
        { "an option of 0", true, 0, 1 << 20 },
        { "the largest", true, 14, 1 << 29 },
        { "a window below the scale's unit", true, 14, 20000 },
        { "a small one", true, 3, 9000 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sim_world *w = sim_world_new(i, FRAME_QEMU, NULL);
        struct world_flow *f = dial(w, 0);

        f->g.scaling = rows[i].scaling;
        f->g.scale = rows[i].scale;
        f->g.window = rows[i].window;
        f->g.to_send = f->down_total = 700000;
        f->g.ends = f->host_ends = true;
        sim_world_connect(w, f);
        sim_world_run_ms(w, 5);
        sim_world_host_sends(f, UINT64_MAX);
        sim_world_run_ms(w, 3000);
        if (!world_flow_is_done(f))
            fail_msg("%s: %llu up, %llu down", rows[i].name, (unsigned long long)f->up_seen,
                     (unsigned long long)f->g.received);
        /* Without the option from the guest there must be none in the answer (RFC 7323 2.2). */
        assert_true(rows[i].scaling == f->g.scaling);
        assert_int_equal(f->g.peer_scale > 0, rows[i].scaling);
        sim_world_free(w);
    }
}

/* Also by the SYN of a connection from the host, which comes before anything is known. A host that
 * reads nothing shows whether all that was promised can be kept. */
static void no_window_is_larger_than_the_buffer(void **state)
{
    for (unsigned inward = 0; inward < 2; inward++) {
        struct switch_config c = { .limits = { .flow_buffer_bytes = 32768 } };
        struct sim_world *w = sim_world_new(1, FRAME_QEMU, &c);
        struct world_flow *f = inward ? sim_world_dial_in(w, 0) : dial(w, 0);

        f->g.to_send = 200000;
        net_sim_set_new_room(w->net, 0);
        if (inward)
            net_sim_peer_set_room(f->host, 0);
        else
            sim_world_connect(w, f);
        sim_world_run_ms(w, 2000);
        assert_in_range(f->g.acked, 30000, 32768);
        assert_int_equal(f->g.snd_una, f->g.snd_edge);
        assert_int_equal(f->g.retransmits, 0);
        sim_world_free(w);
    }
}

/* What a guest without a stack of its own sees. */
struct seen {
    struct tcp_header last;
    size_t largest; /* payload */
    unsigned resets;
};

static void note_segment(void *ctx, const struct frame_view *v, const struct frame_offload *off)
{
    struct seen *s = ctx;

    if (!v->is_tcp)
        return;
    s->last = v->tcp;
    s->largest = MAX(s->largest, v->payload_bytes);
    s->resets += (v->tcp.flags & TCP_RST) != 0;
}

static void guest_says(struct sim_world *w, const struct tcp_header *h, const char *text)
{
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct tcp_header full = *h;
    struct frame f;

    full.src_port = 3000;
    full.dst_port = 7000;
    full.window = 60000;
    frame_tcp(&f, &path, &full, text, text ? strlen(text) : 0);
    sim_wire_send(&w->wire, f.b, f.len_bytes, NULL);
    sim_wire_run(&w->wire);
}

/* A connection whose guest is this test; its next sequence number is 6. */
static struct net_sim_peer *open_by_hand(struct sim_world *w, struct seen *s,
                                         const struct tcp_header *syn)
{
    struct net_sim_peer *host;

    *s = (struct seen){ .largest = 0 };
    w->wire.on_frame = note_segment;
    w->wire.ctx = s;
    net_sim_next_connect(w->net, ST_OK, 0);
    guest_says(w, syn, NULL);
    host = net_sim_take_connected(w->net);
    assert_non_null(host);
    assert_int_equal(s->last.flags, TCP_SYN | TCP_ACK);
    guest_says(w, &(struct tcp_header){ .seq = 6, .ack = s->last.seq + 1, .flags = TCP_ACK }, NULL);
    return host;
}

/* Ours to the guest's, the guest's to what the MTU takes; one that says nothing sensible gets
 * little segments, not a flood of one-byte ones. */
static void the_mss_is_clamped(void **state)
{
    static const struct {
        const char *name;
        unsigned mtu;
        bool has_mss;
        uint16_t mss;
        size_t want;
    } rows[] = {
        { "none: RFC 9293 3.7.1", 1500, false, 0, 536 },
        { "of zero", 1500, true, 0, 88 },
        { "of one", 1500, true, 1, 88 },
        { "usual", 1500, true, 1460, 1460 },
        { "a container's", 1500, true, 1360, 1360 },
        { "too large", 1500, true, 65535, 1460 },
        { "jumbo", 9000, true, 8960, 8960 },
    };
    static uint8_t data[30000];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct switch_config c = { .mtu = rows[i].mtu };
        struct sim_world *w = sim_world_new(i, FRAME_QEMU, &c);
        struct tcp_header syn = {
            .seq = 5, .flags = TCP_SYN, .has_mss = rows[i].has_mss, .mss = rows[i].mss
        };
        struct seen s;
        struct net_sim_peer *host = open_by_hand(w, &s, &syn);

        net_sim_peer_send(host, data, sizeof data);
        sim_wire_run(&w->wire);
        if (s.largest != rows[i].want)
            fail_msg("%s: %zu", rows[i].name, s.largest);
        sim_world_free(w);
    }
}

/* ---- data --------------------------------------------------------------------------------- */

/* Its end does, now and then, when segments are of an odd size. A frame with a wrong checksum ends
 * the test (sim_wire.h). */
static void a_segment_that_the_ring_cuts_at_an_odd_byte_has_its_checksum(void **state)
{
    struct switch_config c = { .limits = { .flow_buffer_bytes = 32768 } };
    struct sim_world *w = sim_world_new(1, FRAME_QEMU, &c);
    struct world_flow *f = dial(w, 0);

    f->g.mss = 1459;
    f->g.window = 9000; /* the ring is never empty */
    f->down_total = 300000;
    f->g.ends = f->host_ends = true;
    sim_world_connect(w, f);
    sim_world_run_ms(w, 5);
    sim_world_host_sends(f, UINT64_MAX);
    sim_world_run_ms(w, 3000);
    assert_true(world_flow_is_done(f));
    sim_world_free(w);
}

/* RFC 6093: who relays it in line loses nothing; there is no way to pass the mark on. */
static void urgent_data_is_data_like_any_other(void **state)
{
    struct sim_world *w = sim_world_new(1, FRAME_QEMU, NULL);
    struct seen s;
    struct net_sim_peer *host =
        open_by_hand(w, &s, &(struct tcp_header){ .seq = 5, .flags = TCP_SYN });
    uint32_t ack = s.last.seq + 1;

    guest_says(w, &(struct tcp_header){ .seq = 6, .ack = ack, .flags = TCP_ACK | TCP_URG }, "now!");
    guest_says(w, &(struct tcp_header){ .seq = 10, .ack = ack, .flags = TCP_ACK }, " later");
    assert_string_equal(net_sim_peer_text(host), "now! later");
    assert_int_equal(s.last.ack, 16);
    sim_world_free(w);
}

/* ---- one after the other ------------------------------------------------------------------ */

/* Host first: the switch has the TIME-WAIT and gives it up for a newer SYN. Guest first: nothing is
 * left here, the guest's own TIME-WAIT is its own business. */
static void a_port_is_used_again_at_once(void **state)
{
    for (unsigned host_first = 0; host_first < 2; host_first++) {
        struct sim_world *w = sim_world_new(3, FRAME_V2, NULL);

        for (unsigned life = 0; life < 20; life++) {
            struct world_flow *f = dial(w, 0);

            f->g.to_send = f->down_total = 5000;
            f->host_ends = f->g.ends = false;
            sim_world_connect(w, f);
            sim_world_run_ms(w, 3);
            *(host_first ? &f->host_ends : &f->g.ends) = true;
            sim_world_host_sends(f, UINT64_MAX);
            sim_world_run_ms(w, 3);
            f->host_ends = f->g.ends = true;
            sim_world_host_sends(f, UINT64_MAX);
            sim_world_run_ms(w, 3);
            assert_true(world_flow_is_done(f));
            assert_int_equal(sim_world_census(w).tcp_flows, host_first);
        }
        assert_int_equal(net_sim_connect_count(w->net), 20);
        sim_world_free(w);
    }
}

/* ---- sharing ------------------------------------------------------------------------------ */

/* Eight downloads fill a link of 20 MB/s; requests of 100 bytes are answered beside them. The
 * link's turn is 128 KiB: 6.5 ms. */
static void a_request_beside_bulk_is_answered_soon(void **state)
{
    enum { BULK = 8, REQUESTS = 60, RATE = 20000, WORST_MS = 20 };
    struct sim_world *w = sim_world_new(9, FRAME_STDIO, NULL);
    uint64_t bulk = 0, began, worst = 0;

    w->wire.rate_bytes_ms = RATE;
    for (unsigned i = 0; i < BULK; i++) {
        struct world_flow *f = dial(w, i);

        f->down_total = 20U << 20;
        sim_world_connect(w, f);
    }
    sim_world_run_ms(w, 5);
    for (unsigned i = 0; i < BULK; i++)
        sim_world_host_sends(&w->flows[i], 2U << 20);
    sim_world_run_ms(w, 50);
    began = sim_now_ms(w->sim);
    for (unsigned i = 0; i < BULK; i++)
        bulk -= w->flows[i].g.received;
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct world_flow *f = dial(w, BULK);
        uint64_t asked;

        f->g.to_send = f->down_total = 100;
        f->host_ends = f->g.ends = true;
        sim_world_connect(w, f);
        while (!f->host || f->up_seen < 100)
            sim_world_run_ms(w, 1);
        asked = sim_now_ms(w->sim);
        sim_world_host_sends(f, 100);
        while (f->g.received < 100)
            sim_world_run_ms(w, 1);
        worst = MAX(worst, sim_now_ms(w->sim) - asked);
        while (!world_flow_is_done(f))
            sim_world_run_ms(w, 1);
        for (unsigned k = 0; k < BULK; k++) {
            if (net_sim_peer_unread(w->flows[k].host) < 1U << 20)
                sim_world_host_sends(&w->flows[k], 1U << 20);
        }
    }
    for (unsigned i = 0; i < BULK; i++)
        bulk += w->flows[i].g.received;
    assert_in_range(worst, 0, WORST_MS);
    assert_true(bulk >= (sim_now_ms(w->sim) - began) * RATE / 100 * 85);
    sim_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_of_every_scale_are_understood),
        cmocka_unit_test(no_window_is_larger_than_the_buffer),
        cmocka_unit_test(the_mss_is_clamped),
        cmocka_unit_test(a_segment_that_the_ring_cuts_at_an_odd_byte_has_its_checksum),
        cmocka_unit_test(urgent_data_is_data_like_any_other),
        cmocka_unit_test(a_port_is_used_again_at_once),
        cmocka_unit_test(a_request_beside_bulk_is_answered_soon),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
