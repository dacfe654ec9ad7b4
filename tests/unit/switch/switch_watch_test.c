/* SPDX-License-Identifier: Apache-2.0
 * switch_watch_test.c - what the owner of a switch hears of it, and may tell it (switch.h).
 */
#include "support/cmocka_all.h"
#include "support/sim_guest.h"

#include <string.h>

static struct frame f;

struct seen {
    unsigned from_guest, to_guest, without_offload;
    uint8_t last[256];
    size_t last_bytes;
    struct frame_offload off;
};

static void on_frame(void *ctx, bool to_guest, const uint8_t *frame, size_t len_bytes,
                     const struct frame_offload *off)
{
    struct seen *s = ctx;

    s->from_guest += !to_guest;
    s->to_guest += to_guest;
    s->without_offload += !off;
    s->last_bytes = len_bytes;
    memcpy(s->last, frame, MIN(len_bytes, sizeof s->last));
    if (off)
        s->off = *off;
}

static void ping(struct sim_guest *g, struct frame_view *answer)
{
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");

    frame_icmp(&f, &path, ICMP4_ECHO, 0, 1, NULL, 56);
    guest_sends(g, &f);
    expect_guest_gets(g, answer);
}

static void a_watcher_sees_every_frame_of_both_directions(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct seen seen = { 0 };
    struct frame_view v;

    (void)state;
    expect_guest_gets_nothing(g);
    switch_watch_frames(g->sw, on_frame, &seen);
    ping(g, &v);
    assert_int_equal(seen.from_guest, 1);
    assert_int_equal(seen.to_guest, 1);
    assert_int_equal(seen.without_offload, 2);
    assert_int_equal(seen.last_bytes, g->last.len_bytes);
    assert_memory_equal(seen.last, g->last.b, seen.last_bytes);
    switch_watch_frames(g->sw, NULL, NULL);
    ping(g, &v);
    assert_int_equal(seen.from_guest + seen.to_guest, 2);
    sim_guest_free(g);
}

static void arp_is_seen_as_well(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_STDIO);
    struct frame_path path;
    struct seen seen = { 0 };

    (void)state;
    expect_guest_gets_nothing(g);
    switch_watch_frames(g->sw, on_frame, &seen);
    path = frame_path("192.168.127.2", "192.168.127.1");
    frame_arp_request(&f, &path);
    guest_sends(g, &f);
    assert_int_equal(seen.from_guest, 1);
    assert_int_equal(seen.to_guest, 1);
    assert_int_equal(seen.last[12] << 8 | seen.last[13], ETH_TYPE_ARP);
    sim_guest_free(g);
}

static void a_watcher_of_v2_is_told_of_the_offload(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_V2);
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct net_sim_datagram d;
    struct seen seen = { 0 };
    struct frame_view v;

    (void)state;
    switch_watch_frames(g->sw, on_frame, &seen);
    frame_udp(&f, &path, 4000, 7000, "x", 1);
    guest_sends(g, &f);
    assert_true(net_sim_take_datagram(g->net, &d));
    net_sim_udp_send(g->net, &d.to, &d.from, "answer", 6);
    expect_guest_gets(g, &v);
    assert_int_equal(seen.without_offload, 0);
    assert_true(seen.off.needs_csum);
    assert_int_equal(seen.off.csum_start, 34);
    sim_guest_free(g);
}

static void count_end(void *ctx, enum status why)
{
    enum status *last = ctx;

    *last = why;
}

static void the_end_of_a_link_is_told_and_its_replacement_is_not(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    enum status why = ST_OK;

    (void)state;
    switch_on_link_end(g->sw, count_end, &why);
    sim_guest_attach(g);
    assert_int_equal(why, ST_OK);
    sim_guest_cut(g);
    assert_int_equal(why, ST_RESET);
    sim_guest_free(g);
}

static void attach_again(void *ctx, enum status why)
{
    (void)why;
    sim_guest_attach(ctx);
}

static void a_link_may_be_attached_when_one_ends(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct frame_view v;

    (void)state;
    switch_on_link_end(g->sw, attach_again, g);
    sim_peer_end(g->link);
    sim_run(g->sim);
    assert_true(switch_has_link(g->sw));
    ping(g, &v);
    sim_guest_free(g);
}

static void count_neighbour(void *ctx, const struct switch_neighbour *n)
{
    struct switch_neighbour *out = ctx;

    assert_int_equal(out->seen_ms, 0); /* the first one */
    *out = *n;
}

static void neighbours_are_those_seen_and_not_aged(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct switch_neighbour n = { .seen_ms = 0 };
    struct frame_view v;

    (void)state;
    clock_advance_ms(g, 10);
    ping(g, &v);
    switch_neighbour_each(g->sw, count_neighbour, &n);
    assert_memory_equal(n.mac.b, f.b + 6, 6);
    assert_true(n.seen_ms > 0);
    clock_advance_ms(g, 301 * 1000);
    n.seen_ms = 0;
    switch_neighbour_each(g->sw, count_neighbour, &n);
    assert_int_equal(n.seen_ms, 0);
    sim_guest_free(g);
}

static void a_changed_network_reloads_the_resolver_and_tries_waiting_forwards(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct ip_endpoint at;

    (void)state;
    assert_int_equal(ip_endpoint_parse(&at, "10.0.0.7:80"), ST_OK);
    net_sim_next_listen_fails(g->net, ST_UNREACHABLE, "no such address");
    assert_int_equal(switch_forward_add_spec(g->sw, "10.0.0.7:80=192.168.127.2:80", NULL), ST_OK);
    assert_false(net_sim_is_listening(g->net, &at));
    switch_network_changed(g->sw);
    assert_true(net_sim_is_listening(g->net, &at));
    assert_int_equal(resolver_sim_reloads(g->resolver), 1);
    sim_guest_free(g);
}

static void a_forward_that_still_has_to_wait_is_tried_again(void **state)
{
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct ip_endpoint at;

    (void)state;
    assert_int_equal(ip_endpoint_parse(&at, "10.0.0.7:80"), ST_OK);
    net_sim_next_listen_fails(g->net, ST_UNREACHABLE, "no such address");
    assert_int_equal(switch_forward_add_spec(g->sw, "10.0.0.7:80=192.168.127.2:80", NULL), ST_OK);
    net_sim_next_listen_fails(g->net, ST_UNREACHABLE, "no such address");
    switch_network_changed(g->sw);
    assert_false(net_sim_is_listening(g->net, &at));
    clock_advance_ms(g, 1000);
    assert_true(net_sim_is_listening(g->net, &at));
    sim_guest_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watcher_sees_every_frame_of_both_directions),
        cmocka_unit_test(arp_is_seen_as_well),
        cmocka_unit_test(a_watcher_of_v2_is_told_of_the_offload),
        cmocka_unit_test(the_end_of_a_link_is_told_and_its_replacement_is_not),
        cmocka_unit_test(a_link_may_be_attached_when_one_ends),
        cmocka_unit_test(neighbours_are_those_seen_and_not_aged),
        cmocka_unit_test(a_changed_network_reloads_the_resolver_and_tries_waiting_forwards),
        cmocka_unit_test(a_forward_that_still_has_to_wait_is_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
