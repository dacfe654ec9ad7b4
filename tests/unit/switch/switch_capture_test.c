/* SPDX-License-Identifier: Apache-2.0
 * switch_capture_test.c - pcapng files as the control API gives them, read block by block.
 */
#include "support/cmocka_all.h"
#include "support/sim_guest.h"

#include "base/bytes.h"
#include "switch/capture.h"

#include <stdio.h>
#include <string.h>

static struct sim_guest *guest;
static struct frame f;

static int setup(void **state)
{
    (void)state;
    guest = sim_guest_new(NULL, FRAME_V2);
    expect_guest_gets_nothing(guest);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sim_guest_free(guest);
    return 0;
}

static struct sim_peer *capture(const char *query)
{
    struct stream *stream;
    struct sim_peer *p = sim_stream(guest->sim, &stream);
    char text[512];

    assert_int_equal(switch_control_serve(guest->sw, stream), ST_OK);
    snprintf(text, sizeof text, "GET /capture?%s HTTP/1.1\r\nHost: a\r\n\r\n", query);
    sim_peer_send_text(p, text);
    sim_run(guest->sim);
    return p;
}

/* The guest pings the gateway: two frames. */
static void ping(unsigned size_bytes)
{
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");

    frame_icmp(&f, &path, ICMP4_ECHO, 0, 1, NULL, size_bytes);
    guest_sends(guest, &f);
}

/* What is in a file. */
struct file {
    unsigned packets, from_guest, to_guest;
    uint32_t snaplen, last_kept, last_length;
    const uint8_t *last;
    uint64_t lost;                    /* sum of epb_dropcount */
    bool is_complete;                 /* has its statistics */
    uint64_t seen, accepted, dropped; /* of the statistics */
    char filter[256];
};

static uint64_t le64(struct bytes *r)
{
    uint64_t low = bytes_le32(r);

    return low | (uint64_t)bytes_le32(r) << 32;
}

/* The next option; false at the end. */
static bool next_option(struct bytes *r, uint16_t *code, struct bytes *value)
{
    uint16_t len;

    if (!r->left)
        return false;
    *code = bytes_le16(r);
    len = bytes_le16(r);
    *value = bytes_of(bytes_take(r, len), len);
    (void)bytes_take(r, -len & 3);
    assert_true(bytes_ok(r));
    return *code != 0;
}

static void read_interface(struct file *out, struct bytes *r)
{
    struct bytes value;
    uint16_t code;

    assert_int_equal(bytes_le16(r), 1); /* Ethernet */
    (void)bytes_le16(r);
    out->snaplen = bytes_le32(r);
    while (next_option(r, &code, &value)) {
        if (code == 11) {
            assert_int_equal(bytes_u8(&value), 0);
            memcpy(out->filter, value.p, value.left);
        }
    }
}

static void read_packet(struct file *out, struct bytes *r)
{
    struct bytes value;
    uint16_t code;
    uint32_t flags = 0;

    assert_int_equal(bytes_le32(r), 0);
    (void)le64(r);
    out->last_kept = bytes_le32(r);
    out->last_length = bytes_le32(r);
    out->last = bytes_take(r, out->last_kept);
    (void)bytes_take(r, -out->last_kept & 3);
    while (next_option(r, &code, &value)) {
        if (code == 2)
            flags = bytes_le32(&value);
        if (code == 4)
            out->lost += le64(&value);
    }
    assert_true(flags == 1 || flags == 2);
    out->packets++;
    out->from_guest += flags == 1;
    out->to_guest += flags == 2;
}

static void read_statistics(struct file *out, struct bytes *r)
{
    struct bytes value;
    uint16_t code;

    assert_int_equal(bytes_le32(r), 0);
    (void)le64(r);
    while (next_option(r, &code, &value)) {
        uint64_t v = le64(&value);

        *(code == 4 ? &out->seen : code == 5 ? &out->dropped : &out->accepted) = v;
    }
    out->is_complete = true;
}

static struct file read_file(struct sim_peer *p)
{
    struct file out = { 0 };
    const char *text = sim_peer_text(p), *end = strstr(text, "\r\n\r\n");
    const uint8_t *data;
    size_t n, head;
    struct bytes r;

    assert_non_null(end);
    assert_non_null(strstr(text, "application/x-pcapng"));
    head = (size_t)(end - text) + 4;
    data = sim_peer_data(p, &n);
    r = bytes_of(data + head, n - head);
    while (r.left) {
        struct bytes begin = r, block;
        uint32_t type = bytes_le32(&begin), len = bytes_le32(&begin);

        assert_true(!out.is_complete && len % 4 == 0 && len >= 12 && len <= r.left);
        block = bytes_of(r.p + 8, len - 12);
        (void)bytes_take(&r, len - 4);
        assert_int_equal(bytes_le32(&r), len);
        if (type == 0x0a0d0d0a)
            assert_int_equal(bytes_le32(&block), 0x1a2b3c4d);
        else if (type == 1)
            read_interface(&out, &block);
        else if (type == 6)
            read_packet(&out, &block);
        else if (type == 5)
            read_statistics(&out, &block);
        else
            fail_msg("block of type %u", type);
        assert_true(bytes_ok(&block));
    }
    return out;
}

static void a_file_has_every_frame_and_its_direction(void **state)
{
    struct sim_peer *p = capture("seconds=10");
    struct frame_view v;
    struct file file;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        ping(56);
    expect_guest_gets(guest, &v);
    file = read_file(p);
    assert_int_equal(file.packets, 6);
    assert_int_equal(file.from_guest, 3);
    assert_int_equal(file.snaplen, CAPTURE_SNAPLEN_MAX);
    assert_int_equal(file.last_length, v.len_bytes);
    assert_memory_equal(file.last, v.frame, v.len_bytes);
    assert_false(file.is_complete);
    clock_advance_ms(guest, 10000);
    file = read_file(p);
    assert_true(file.is_complete && sim_peer_saw_end(p));
    assert_int_equal(file.seen, 6);
    assert_int_equal(file.accepted, 6);
    assert_int_equal(file.dropped, 0);
    sim_peer_end(p);
    sim_run(guest->sim);
    assert_true(sim_peer_is_closed(p));
}

static void a_filter_chooses_and_is_noted(void **state)
{
    struct sim_peer *p = capture("filter=src%20192.168.127.2+and+icmp");
    struct file file;

    (void)state;
    ping(56);
    file = read_file(p);
    assert_int_equal(file.packets, 1);
    assert_int_equal(file.from_guest, 1);
    assert_string_equal(file.filter, "src 192.168.127.2 and icmp");
}

static void a_frame_is_cut_to_the_snaplen_and_its_length_is_told(void **state)
{
    struct sim_peer *p = capture("snaplen=65");
    struct file file;

    (void)state;
    ping(500);
    file = read_file(p);
    assert_int_equal(file.packets, 2);
    assert_int_equal(file.last_kept, 65);
    assert_int_equal(file.last_length, f.len_bytes);
}

static void a_full_file_ends_complete(void **state)
{
    struct sim_peer *p = capture("bytes=4096");
    struct file file;
    size_t n;

    (void)state;
    for (unsigned i = 0; i < 20; i++)
        ping(500);
    file = read_file(p);
    assert_true(file.is_complete && sim_peer_saw_end(p));
    assert_true(file.packets > 3 && file.packets < 8);
    assert_int_equal(file.accepted, file.packets);
    (void)sim_peer_data(p, &n);
    assert_true(n <= 4096 + 256);  /* with the head of the answer */
    clock_advance_ms(guest, 5000); /* a reader that stays is closed */
    assert_true(sim_peer_is_closed(p));
}

static void a_slow_reader_loses_frames_and_the_file_says_so(void **state)
{
    struct sim_peer *p = capture("bytes=100000000");
    struct file file;
    unsigned sent = 0;

    (void)state;
    sim_peer_set_room(p, 0);
    for (; sent < 600; sent++)
        ping(1000);
    sim_peer_set_room(p, SIZE_MAX);
    sim_run(guest->sim);
    ping(1000);
    file = read_file(p);
    assert_true(file.lost > 0);
    assert_int_equal(file.packets + file.lost, 2 * (sent + 1));
    sim_peer_end(p);
    sim_run(guest->sim);
    file = read_file(p);
    assert_true(file.is_complete);
    assert_int_equal(file.dropped, file.lost);
    assert_int_equal(file.accepted, 2 * (sent + 1));
}

static void a_reader_that_ends_gets_a_complete_file(void **state)
{
    struct sim_peer *p = capture("");
    struct file file;

    (void)state;
    ping(56);
    sim_peer_end(p);
    sim_run(guest->sim);
    assert_true(sim_peer_is_closed(p));
    file = read_file(p);
    assert_true(file.is_complete);
    assert_int_equal(file.packets, 2);
}

static void a_reader_that_dies_costs_nothing(void **state)
{
    struct sim_peer *p = capture("");
    struct frame_view v;

    (void)state;
    sim_peer_break_writes(p, ST_RESET);
    ping(56);
    expect_guest_gets(guest, &v);
    sim_run(guest->sim);
    assert_true(sim_peer_is_closed(p));
    ping(56);
    expect_guest_gets(guest, &v);
}

static void captures_are_bounded_and_each_has_its_own(void **state)
{
    enum { CAPTURES = 4 };
    struct sim_peer *p[CAPTURES];

    (void)state;
    for (unsigned i = 0; i < CAPTURES; i++)
        p[i] = capture(i % 2 ? "filter=tcp" : "filter=icmp");
    assert_memory_equal(sim_peer_text(capture("")), "HTTP/1.1 503", 12);
    assert_int_equal(guest_counters(guest)->capture_limit_hits, 1);
    ping(56);
    for (unsigned i = 0; i < CAPTURES; i++)
        assert_int_equal(read_file(p[i]).packets, i % 2 ? 0 : 2);
    sim_peer_end(p[0]);
    sim_run(guest->sim);
    assert_memory_equal(sim_peer_text(capture("")), "HTTP/1.1 200", 12);
} /* and the rest end with the switch */

static void head_is_no_way_to_capture(void **state)
{
    struct stream *stream;
    struct sim_peer *p = sim_stream(guest->sim, &stream);

    (void)state;
    assert_int_equal(switch_control_serve(guest->sw, stream), ST_OK);
    sim_peer_send_text(p, "HEAD /capture HTTP/1.1\r\nHost: a\r\n\r\n");
    sim_run(guest->sim);
    assert_memory_equal(sim_peer_text(p), "HTTP/1.1 405", 12);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_file_has_every_frame_and_its_direction),
        T(a_filter_chooses_and_is_noted),
        T(a_frame_is_cut_to_the_snaplen_and_its_length_is_told),
        T(a_full_file_ends_complete),
        T(a_slow_reader_loses_frames_and_the_file_says_so),
        T(a_reader_that_ends_gets_a_complete_file),
        T(a_reader_that_dies_costs_nothing),
        T(captures_are_bounded_and_each_has_its_own),
        T(head_is_no_way_to_capture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
