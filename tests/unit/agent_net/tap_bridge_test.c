/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "guestagent/net/tap_bridge.h"
#include "port/sim/stream_sim.h"
#include "support/frame_build.h"
#include "support/script_guest_net.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
    struct sim *sim;
    struct tap_bridge *bridge;
    struct tap *tap;
    struct sim_peer *host;
    enum frame_protocol protocol;
    size_t taken; /* bytes of the link looked at */
    bool takes_frames;
    unsigned seen, ends;
    enum status end;
};

static bool on_frame(void *ctx, const uint8_t *frame, size_t len_bytes)
{
    struct fixture *f = ctx;

    assert_true(len_bytes >= FRAME_MIN_BYTES && frame);
    f->seen++;
    return f->takes_frames;
}

static void on_link_end(void *ctx, enum status why)
{
    struct fixture *f = ctx;

    assert_false(tap_bridge_has_link(f->bridge));
    f->ends++;
    f->end = why;
}

static const struct tap_bridge_ops ops = { on_frame, on_link_end };

static void on_readable(void *ctx)
{
    struct fixture *f = ctx;

    tap_bridge_on_tap(f->bridge);
}

static void on_tap_error(void *ctx, enum status why)
{
    (void)ctx;
    fail_msg("the script's tap said %s", status_name(why));
}

static const struct tap_handler tap_handler = { on_readable, on_tap_error };

static void attach(struct fixture *f, enum frame_protocol protocol)
{
    struct stream *s;

    f->host = sim_stream(f->sim, &s);
    f->protocol = protocol;
    f->taken = 0;
    assert_int_equal(tap_bridge_attach(f->bridge, s, protocol), ST_OK);
    sim_run(f->sim);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    script_guest_reset();
    f->sim = sim_new();
    assert_int_equal(tap_bridge_new(&f->bridge, sim_loop(f->sim), &ops, f), ST_OK);
    assert_int_equal(script_tap_open(sim_loop(f->sim), &tap_handler, f, &f->tap), ST_OK);
    tap_bridge_set_tap(f->bridge, f->tap);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    tap_bridge_free(f->bridge);
    tap_close(f->tap);
    sim_free(f->sim);
    free(f);
    return 0;
}

static const struct tap_bridge_stats *stats(const struct fixture *f)
{
    return tap_bridge_stats(f->bridge);
}

/* A frame of @len_bytes with @mark in it. */
static struct frame frame_of(size_t len_bytes, uint8_t mark)
{
    struct frame f = { .len_bytes = len_bytes };

    memset(f.b, mark, len_bytes);
    return f;
}

static void guest_sends_frames(unsigned count, size_t len_bytes)
{
    for (unsigned i = 0; i < count; i++) {
        struct frame f = frame_of(len_bytes, (uint8_t)i);

        script_guest_sends(f.b, f.len_bytes, NULL);
    }
}

/* The next frame the host got; 0: none. */
static size_t host_gets(struct fixture *f, const uint8_t **frame)
{
    size_t len, head = f->protocol == FRAME_V2 ? 16 : f->protocol == FRAME_STDIO ? 2 : 4, n;
    const uint8_t *p = sim_peer_data(f->host, &len);
    static const uint8_t none[2048];

    *frame = none;
    p += f->taken;
    if (len - f->taken < head)
        return 0;
    n = f->protocol == FRAME_STDIO ? p[0] | (size_t)p[1] << 8
        : f->protocol == FRAME_V2  ? (p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16) - 12
                                   : (size_t)p[2] << 8 | p[3];
    assert_true(len - f->taken >= head + n);
    *frame = p + head;
    f->taken += head + n;
    return n;
}

static void host_sends(struct fixture *f, const struct frame *frame)
{
    static uint8_t wrapped[FRAME_MAX_BYTES + 16];

    sim_peer_send(f->host, wrapped, frame_wrap(wrapped, f->protocol, frame->b, frame->len_bytes));
}

static void frames_cross_in_order_both_ways_on_every_framing(void **state)
{
    static const enum frame_protocol protocols[] = { FRAME_STDIO, FRAME_QEMU, FRAME_V2 };
    struct fixture *f = *state;

    for (size_t p = 0; p < ARRAY_SIZE(protocols); p++) {
        const struct script_frame *got;
        const uint8_t *frame;

        attach(f, protocols[p]);
        guest_sends_frames(3, 60);
        sim_run(f->sim);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(host_gets(f, &frame), 60);
            assert_int_equal(frame[59], i);
        }
        assert_int_equal(host_gets(f, &frame), 0);
        for (uint8_t i = 0; i < 3; i++) {
            struct frame sent = frame_of(1514, (uint8_t)(100 + i));

            host_sends(f, &sent);
        }
        sim_run(f->sim);
        for (unsigned i = 0; i < 3; i++) {
            got = script_guest_gets();
            assert_non_null(got);
            assert_int_equal(got->len_bytes, 1514);
            assert_int_equal(got->b[1513], 100 + i);
        }
        assert_null(script_guest_gets());
    }
    assert_int_equal(stats(f)->to_host_frames, 9);
    assert_int_equal(stats(f)->to_guest_frames, 9);
    assert_int_equal(f->ends, 0);
}

static void offload_follows_the_link(void **state)
{
    static const struct frame_offload off = { .needs_csum = true,
                                              .csum_start = 34,
                                              .csum_offset = 16,
                                              .gso = FRAME_GSO_TCP4,
                                              .gso_size = 1448,
                                              .header_bytes = 54 };
    struct fixture *f = *state;
    struct frame big = frame_of(2000, 7);
    const uint8_t *frame;

    attach(f, FRAME_V2);
    assert_true(script_guest.offload);
    script_guest_sends(big.b, big.len_bytes, &off);
    sim_run(f->sim);
    assert_int_equal(host_gets(f, &frame), 2000);
    assert_int_equal(frame[-12], 1); /* VIRTIO_NET_HDR_F_NEEDS_CSUM */
    assert_int_equal(frame[-11], 1); /* VIRTIO_NET_HDR_GSO_TCPV4 */
    attach(f, FRAME_STDIO);
    assert_false(script_guest.offload);
    script_guest_sends(big.b, big.len_bytes, &off); /* was in the queue already */
    guest_sends_frames(1, 60);
    sim_run(f->sim);
    assert_int_equal(host_gets(f, &frame), 60);
    assert_int_equal(stats(f)->dropped_bad, 1);
}

static void a_link_that_takes_no_more_pauses_the_device_until_it_does(void **state)
{
    struct fixture *f = *state;
    const uint8_t *frame;
    unsigned got = 0;

    attach(f, FRAME_QEMU);
    sim_peer_set_room(f->host, 1000);
    guest_sends_frames(200, 1500);
    sim_run(f->sim);
    assert_true(script_guest.paused);
    assert_true(script_guest.to_read.count > 0);
    sim_peer_set_room(f->host, SIZE_MAX);
    sim_run(f->sim);
    assert_false(script_guest.paused);
    assert_int_equal(script_guest.to_read.count, 0);
    while (host_gets(f, &frame)) {
        assert_int_equal(frame[0], got & 0xff);
        got++;
    }
    assert_int_equal(got, 200);
}

static void one_turn_is_bounded_so_that_the_host_gets_a_word_in(void **state)
{
    struct fixture *f = *state;
    struct frame sent = frame_of(60, 1);

    attach(f, FRAME_QEMU);
    guest_sends_frames(250, 60);
    host_sends(f, &sent);
    while (script_guest.reads == 0)
        assert_true(sim_step(f->sim));
    assert_in_range(script_guest.reads, 1, 249);
    sim_run(f->sim);
    assert_int_equal(stats(f)->to_host_frames, 250);
    assert_non_null(script_guest_gets());
}

static void without_a_link_frames_are_dropped_and_none_is_old_later(void **state)
{
    struct fixture *f = *state;
    const uint8_t *frame;

    guest_sends_frames(5, 60);
    sim_run(f->sim);
    assert_int_equal(stats(f)->dropped_no_link, 5);
    attach(f, FRAME_QEMU);
    assert_int_equal(host_gets(f, &frame), 0);
}

static void the_units_own_frames_go_out_at_once_or_are_counted(void **state)
{
    struct fixture *f = *state;
    struct frame own = frame_of(300, 9);
    const uint8_t *frame;

    tap_bridge_send(f->bridge, own.b, own.len_bytes);
    assert_int_equal(stats(f)->dropped_no_link, 1);
    attach(f, FRAME_STDIO);
    tap_bridge_send(f->bridge, own.b, own.len_bytes);
    assert_int_equal(host_gets(f, &frame), 300);
    assert_int_equal(frame[299], 9);
}

static void what_the_owner_takes_does_not_reach_the_guest(void **state)
{
    struct fixture *f = *state;
    struct frame sent = frame_of(60, 1);

    attach(f, FRAME_V2);
    f->takes_frames = true;
    sim_advance_ms(f->sim, 77);
    host_sends(f, &sent);
    sim_run(f->sim);
    assert_null(script_guest_gets());
    assert_int_equal(f->seen, 1);
    assert_int_equal(stats(f)->last_rx_ms, sim_now_ms(f->sim));
}

static void a_full_device_drops_and_does_not_hold_up_the_rest(void **state)
{
    struct fixture *f = *state;
    struct frame sent = frame_of(60, 1);

    attach(f, FRAME_V2);
    script_guest.write_fails = ST_AGAIN;
    host_sends(f, &sent);
    sim_run(f->sim);
    script_guest.write_fails = ST_OK;
    host_sends(f, &sent);
    sim_run(f->sim);
    assert_int_equal(stats(f)->dropped_tap_full, 1);
    assert_non_null(script_guest_gets());
}

static void a_link_that_ends_leaves_the_device_and_is_told(void **state)
{
    struct fixture *f = *state;

    attach(f, FRAME_QEMU);
    sim_peer_set_room(f->host, 0);
    guest_sends_frames(100, 1500);
    sim_run(f->sim);
    assert_true(script_guest.paused);
    sim_peer_reset(f->host, ST_RESET);
    sim_run(f->sim);
    assert_int_equal(f->ends, 1);
    assert_int_equal(f->end, ST_RESET);
    assert_true(script_guest.has_tap);
    assert_false(script_guest.paused);
    attach(f, FRAME_QEMU);
    assert_true(tap_bridge_has_link(f->bridge));
}

static void a_malformed_length_ends_the_link(void **state)
{
    struct fixture *f = *state;

    attach(f, FRAME_V2);
    sim_peer_send(f->host, "\xff\xff\xff\x7f\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    sim_run(f->sim);
    assert_int_equal(f->end, ST_PROTO);
}

static void another_link_takes_the_place_of_the_first_silently(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *first;

    attach(f, FRAME_STDIO);
    first = f->host;
    attach(f, FRAME_V2);
    assert_true(sim_peer_is_closed(first));
    assert_int_equal(f->ends, 0);
    tap_bridge_detach(f->bridge);
    assert_false(tap_bridge_has_link(f->bridge));
    assert_int_equal(f->ends, 0);
}

static void the_device_may_come_and_go_beside_the_link(void **state)
{
    struct fixture *f = *state;
    struct frame sent = frame_of(60, 1);

    attach(f, FRAME_V2);
    tap_bridge_set_tap(f->bridge, NULL);
    host_sends(f, &sent);
    sim_run(f->sim);
    assert_int_equal(stats(f)->dropped_tap_full, 1);
    script_guest.offload = false;
    tap_bridge_set_tap(f->bridge, f->tap);
    assert_true(script_guest.offload);
    host_sends(f, &sent);
    sim_run(f->sim);
    assert_non_null(script_guest_gets());
}

static void a_frame_too_small_to_be_one_is_dropped(void **state)
{
    struct fixture *f = *state;
    const uint8_t *frame;

    attach(f, FRAME_QEMU);
    script_guest_sends("runt", 4, NULL);
    guest_sends_frames(1, 60);
    sim_run(f->sim);
    assert_int_equal(host_gets(f, &frame), 60);
    assert_int_equal(stats(f)->dropped_bad, 1);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(frames_cross_in_order_both_ways_on_every_framing),
        WITH_FIXTURE(offload_follows_the_link),
        WITH_FIXTURE(a_link_that_takes_no_more_pauses_the_device_until_it_does),
        WITH_FIXTURE(one_turn_is_bounded_so_that_the_host_gets_a_word_in),
        WITH_FIXTURE(without_a_link_frames_are_dropped_and_none_is_old_later),
        WITH_FIXTURE(the_units_own_frames_go_out_at_once_or_are_counted),
        WITH_FIXTURE(what_the_owner_takes_does_not_reach_the_guest),
        WITH_FIXTURE(a_full_device_drops_and_does_not_hold_up_the_rest),
        WITH_FIXTURE(a_link_that_ends_leaves_the_device_and_is_told),
        WITH_FIXTURE(a_malformed_length_ends_the_link),
        WITH_FIXTURE(another_link_takes_the_place_of_the_first_silently),
        WITH_FIXTURE(the_device_may_come_and_go_beside_the_link),
        WITH_FIXTURE(a_frame_too_small_to_be_one_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
