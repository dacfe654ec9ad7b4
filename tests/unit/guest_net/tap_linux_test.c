/* SPDX-License-Identifier: Apache-2.0
 * A real tap device in a namespace of our own: the test is what is behind it, the kernel's own
 * stack is the guest.
 */
#define _GNU_SOURCE
#include "guestagent/linux/tap_linux.h"

#include "guestagent/linux/rtnetlink.h"
#include "support/cmocka_all.h"
#include "support/frame_build.h"
#include "support/port_case.h"
#include "unit/guest_net/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUEST   "192.168.127.2"
#define GATEWAY "192.168.127.1"

enum { ETH_BYTES = 14, MTU = 1500, PORT = 80, BULK = 32 * 1024, UDP_PIECE = 1000 };

static struct port_case c;
static struct tap *tap;
static struct rtnetlink nl;
static unsigned readable, errors;
static enum status error;
static bool close_when_readable;

static void on_readable(void *ctx)
{
    readable++;
    if (close_when_readable) {
        tap_close(tap);
        tap = NULL;
    }
}

static void on_error(void *ctx, enum status why)
{
    errors++;
    error = why;
}

static const struct tap_handler handler = { .on_readable = on_readable, .on_error = on_error };

static void set_up(void)
{
    struct rtnetlink_change change = { .mac = &frame_guest_mac, .mtu = MTU };
    struct ip_addr ip = frame_addr(GUEST);
    struct rtnetlink_link link;

    assert_int_equal(rtnetlink_find_link(&nl, "eth0", &link, NULL), ST_OK);
    assert_int_equal(rtnetlink_change_link(&nl, link.index, &change, NULL), ST_OK);
    change = (struct rtnetlink_change){ .up = true };
    assert_int_equal(rtnetlink_change_link(&nl, link.index, &change, NULL), ST_OK);
    assert_int_equal(rtnetlink_put_address(&nl, link.index, &ip, 24, NULL), ST_OK);
}

static int with_tap(void **state)
{
    struct errmsg e;

    readable = errors = 0;
    close_when_readable = false;
    port_case_init(&c);
    assert_int_equal(rtnetlink_open(&nl, NULL), ST_OK);
    if (tap_linux_open(&tap, c.loop, "eth0", &handler, NULL, &e))
        fail_msg("%s", e.text);
    set_up();
    return 0;
}

static int without_tap(void **state)
{
    tap_close(tap);
    tap = NULL;
    rtnetlink_close(&nl);
    port_case_fini(&c);
    return 0;
}

/* ---- frames of the guest --------------------------------------------------------------- */

static uint8_t bytes_seen[FRAME_MAX_BYTES];

struct seen {
    size_t len_bytes;
    struct frame_offload off;
    struct eth_header eth;
    struct ip_header ip;
    struct tcp_header tcp;
    size_t payload_bytes;
};

static enum status read_one(size_t cap, struct seen *out)
{
    memset(out, 0, sizeof *out);
    return tap_read(tap, bytes_seen, cap, &out->len_bytes, &out->off);
}

/* The next frame of @type; what else the kernel says (IPv6's greetings) is passed over. */
static void next_frame(uint16_t type, struct seen *out)
{
    for (;;) {
        enum status st = read_one(sizeof bytes_seen, out);
        struct bytes r = bytes_of(bytes_seen, out->len_bytes);

        if (st == ST_AGAIN) {
            readable = 0;
            port_case_wait(&c, readable > 0);
            continue;
        }
        assert_int_equal(st, ST_OK);
        assert_int_equal(eth_decode(&out->eth, &r), ST_OK);
        if (out->eth.type == type)
            return;
    }
}

/* The next TCP segment. */
static void next_tcp(struct seen *out)
{
    struct bytes r;

    next_frame(ETH_TYPE_IP4, out);
    r = bytes_of(bytes_seen + ETH_BYTES, out->len_bytes - ETH_BYTES);
    assert_int_equal(ip4_decode(&out->ip, &r), ST_OK);
    assert_int_equal(out->ip.proto, IP_PROTO_TCP);
    assert_int_equal(tcp_decode(&out->tcp, &r), ST_OK);
    out->payload_bytes = r.left;
}

static struct frame_path to_guest(void)
{
    struct frame_path up = frame_path(GUEST, GATEWAY);

    return frame_path_back(&up);
}

static void send_frame(const struct frame *f, const struct frame_offload *off)
{
    assert_int_equal(tap_write(tap, f->b, f->len_bytes, off), ST_OK);
}

static void ask_arp(void)
{
    static struct frame f;
    struct frame_path p = to_guest();

    frame_arp_request(&f, &p);
    send_frame(&f, NULL);
}

/* ---- tests ----------------------------------------------------------------------------- */

static void a_frame_goes_in_and_the_answer_comes_out(void **state)
{
    struct seen answer;
    struct arp_packet arp;
    struct bytes r;

    ask_arp();
    do
        next_frame(ETH_TYPE_ARP, &answer);
    while (answer.eth.dst.b[0] == 0xff); /* the guest's own announcements */
    r = bytes_of(bytes_seen + ETH_BYTES, answer.len_bytes - ETH_BYTES);
    assert_int_equal(arp_decode(&arp, &r), ST_OK);
    assert_int_equal(arp.op, ARP_REPLY);
    assert_true(mac_equal(&arp.sender_mac, &frame_guest_mac));
}

static void a_frame_that_is_too_large_is_lost_and_the_next_one_is_not(void **state)
{
    struct seen first, second;

    port_case_settle(&c);
    while (read_one(sizeof bytes_seen, &first) == ST_OK)
        continue;
    ask_arp();
    ask_arp();
    port_case_wait(&c, readable > 0);
    assert_int_equal(read_one(41, &first), ST_FULL);
    assert_int_equal(read_one(42, &second), ST_OK);
    assert_int_equal(second.len_bytes, 42);
    assert_int_equal(read_one(sizeof bytes_seen, &second), ST_AGAIN);
}

static void a_frame_that_is_none_is_refused(void **state)
{
    assert_int_equal(tap_write(tap, frame_guest_mac.b, sizeof frame_guest_mac.b, NULL), ST_INVAL);
}

/* A TCP connection of the guest's to us; the guest's end. */
static int connect_to_us(struct seen *last)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
    static struct frame f;
    struct frame_path p = to_guest();
    struct tcp_header answer = { .src_port = PORT,
                                 .seq = 1000,
                                 .flags = TCP_SYN | TCP_ACK,
                                 .window = 65535,
                                 .has_mss = true,
                                 .mss = MTU - 40 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    ask_arp(); /* so that the guest knows our MAC */
    to.sin_addr.s_addr = inet_addr(GATEWAY);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), -1);
    assert_int_equal(errno, EINPROGRESS);
    next_tcp(last);
    assert_int_equal(last->tcp.flags, TCP_SYN);
    answer.dst_port = last->tcp.src_port;
    answer.ack = last->tcp.seq + 1;
    frame_tcp(&f, &p, &answer, NULL, 0);
    send_frame(&f, NULL);
    next_tcp(last);
    assert_int_equal(last->tcp.flags, TCP_ACK);
    return fd;
}

/* The guest writes a lot; the first frame of it. */
static void first_of_bulk(int fd, struct seen *out)
{
    static uint8_t bulk[BULK];

    assert_int_equal(send(fd, bulk, sizeof bulk, MSG_NOSIGNAL), sizeof bulk);
    next_tcp(out);
}

static void without_offload_frames_are_plain_and_complete(void **state)
{
    struct seen seen;
    int fd = connect_to_us(&seen);

    first_of_bulk(fd, &seen);
    assert_int_equal(seen.len_bytes, ETH_BYTES + MTU);
    assert_int_equal(seen.off.gso, FRAME_GSO_NONE);
    assert_false(seen.off.needs_csum);
    close(fd);
}

static void with_offload_one_frame_is_many_segments(void **state)
{
    struct seen seen;
    int fd;

    assert_int_equal(tap_set_offload(tap, true), ST_OK);
    fd = connect_to_us(&seen);
    first_of_bulk(fd, &seen);
    assert_true(seen.payload_bytes > MTU);
    assert_int_equal(seen.off.gso, FRAME_GSO_TCP4);
    assert_int_equal(seen.off.gso_size, MTU - 40);
    assert_true(seen.off.needs_csum);
    assert_int_equal(seen.off.csum_start, ETH_BYTES + 20);
    assert_int_equal(seen.off.header_bytes, ETH_BYTES + 40);
    close(fd);
}

static void offload_can_be_taken_back(void **state)
{
    struct seen seen;
    int fd;

    assert_int_equal(tap_set_offload(tap, true), ST_OK);
    assert_int_equal(tap_set_offload(tap, false), ST_OK);
    fd = connect_to_us(&seen);
    first_of_bulk(fd, &seen);
    assert_int_equal(seen.len_bytes, ETH_BYTES + MTU);
    close(fd);
}

static void the_guest_takes_a_super_segment(void **state)
{
    struct frame_offload off = { .needs_csum = true,
                                 .csum_start = ETH_BYTES + 20,
                                 .csum_offset = 16,
                                 .gso = FRAME_GSO_TCP4,
                                 .gso_size = MTU - 40,
                                 .header_bytes = ETH_BYTES + 40 };
    static uint8_t got[BULK];
    static struct frame f;
    struct frame_path p = to_guest();
    struct tcp_header data = { .src_port = PORT, .seq = 1001, .window = 65535, .flags = TCP_ACK };
    struct seen seen;
    int fd = connect_to_us(&seen);

    data.dst_port = seen.tcp.src_port;
    data.ack = seen.tcp.seq;
    frame_tcp(&f, &p, &data, NULL, 10000);
    send_frame(&f, &off);
    assert_int_equal(recv(fd, got, sizeof got, 0), 10000);
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(got[i], frame_pattern(i));
    close(fd);
}

/* A UDP socket of the guest's, connected to us. */
static int udp_to_us(uint16_t *port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
    socklen_t len = sizeof to;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    ask_arp();
    to.sin_addr.s_addr = inet_addr(GATEWAY);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &len), 0);
    *port = ntohs(to.sin_port);
    return fd;
}

/* A kernel from before 6.2 splits what the socket asked to have split later: plain frames then. */
static void datagrams_of_one_call_come_together_or_one_by_one(void **state)
{
    static const uint8_t data[3 * UDP_PIECE];
    int piece = UDP_PIECE;
    struct seen seen;
    uint16_t port;
    size_t headers = ETH_BYTES + 20 + 8;
    int fd;

    assert_int_equal(tap_set_offload(tap, true), ST_OK);
    fd = udp_to_us(&port);
    assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &piece, sizeof piece), 0);
    assert_int_equal(send(fd, data, sizeof data, 0), sizeof data);
    next_frame(ETH_TYPE_IP4, &seen);
    if (seen.off.gso == FRAME_GSO_UDP) {
        assert_int_equal(seen.off.gso_size, UDP_PIECE);
        assert_int_equal(seen.off.header_bytes, headers);
        assert_int_equal(seen.len_bytes, headers + sizeof data);
    } else {
        assert_int_equal(seen.off.gso, FRAME_GSO_NONE);
        assert_int_equal(seen.len_bytes, headers + UDP_PIECE);
    }
    close(fd);
}

static void a_checksum_left_undone_is_no_obstacle(void **state)
{
    struct frame_offload off = { .needs_csum = true,
                                 .csum_start = ETH_BYTES + 20,
                                 .csum_offset = 6 };
    static struct frame f;
    struct frame_path p = to_guest();
    uint8_t got[2 * UDP_PIECE];
    uint16_t port;
    int fd = udp_to_us(&port);

    frame_udp(&f, &p, PORT, port, NULL, UDP_PIECE);
    f.b[f.l4 + 6] ^= 0xff;
    send_frame(&f, NULL); /* a wrong checksum: dropped */
    send_frame(&f, &off); /* the same, said to be undone */
    assert_int_equal(recv(fd, got, sizeof got, 0), UDP_PIECE);
    assert_int_equal(recv(fd, got, sizeof got, 0), -1);
    close(fd);
}

static void a_paused_device_is_silent(void **state)
{
    struct seen seen;

    port_case_settle(&c);
    while (read_one(sizeof bytes_seen, &seen) == ST_OK)
        continue;
    tap_pause(tap, true);
    readable = 0;
    ask_arp();
    port_case_settle(&c);
    assert_int_equal(readable, 0);
    tap_pause(tap, false);
    port_case_wait(&c, readable > 0);
}

static void a_deleted_device_is_told_once(void **state)
{
    struct rtnetlink_link link;
    struct seen seen;

    assert_int_equal(rtnetlink_find_link(&nl, "eth0", &link, NULL), ST_OK);
    assert_int_equal(rtnetlink_delete_link(&nl, link.index, NULL), ST_OK);
    port_case_wait(&c, errors > 0);
    assert_int_equal(error, ST_CLOSED);
    assert_int_equal(read_one(sizeof bytes_seen, &seen), ST_CLOSED);
    assert_int_equal(tap_write(tap, bytes_seen, 60, NULL), ST_CLOSED);
    tap_pause(tap, true);
    tap_pause(tap, false);
    port_case_settle(&c);
    assert_int_equal(errors, 1);
}

static void it_may_be_closed_in_its_callback(void **state)
{
    close_when_readable = true;
    ask_arp();
    port_case_wait(&c, !tap);
    assert_int_equal(sandbox_mtu("eth0"), -1);
}

static void a_taken_name_is_refused(void **state)
{
    struct tap *second = NULL;
    struct errmsg e = { .text = "" };

    assert_int_equal(tap_linux_open(&second, c.loop, "eth0", &handler, NULL, &e), ST_EXISTS);
    assert_non_null(strstr(e.text, "eth0"));
    sandbox_foreign_device("theirs");
    assert_int_equal(tap_linux_open(&second, c.loop, "theirs", &handler, NULL, &e), ST_EXISTS);
    sandbox_remove_foreign_device("theirs");
    assert_int_equal(tap_linux_open(&second, c.loop, "lo", &handler, NULL, &e), ST_EXISTS);
    assert_null(second);
}

static void a_kernel_without_tap_devices_is_told_how_to_get_them(void **state)
{
    struct tap *second = NULL;
    struct errmsg e = { .text = "" };
    enum status st;

    assert_int_equal(mount("none", "/dev/net", "tmpfs", 0, NULL), 0);
    st = tap_linux_open(&second, c.loop, "eth1", &handler, NULL, &e);
    assert_int_equal(umount("/dev/net"), 0);
    assert_int_equal(st, ST_UNSUPPORTED);
    assert_non_null(strstr(e.text, "modprobe tun"));
}

#define WITH_TAP(test) cmocka_unit_test_setup_teardown(test, with_tap, without_tap)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TAP(a_frame_goes_in_and_the_answer_comes_out),
        WITH_TAP(a_frame_that_is_too_large_is_lost_and_the_next_one_is_not),
        WITH_TAP(a_frame_that_is_none_is_refused),
        WITH_TAP(without_offload_frames_are_plain_and_complete),
        WITH_TAP(with_offload_one_frame_is_many_segments),
        WITH_TAP(offload_can_be_taken_back),
        WITH_TAP(the_guest_takes_a_super_segment),
        WITH_TAP(datagrams_of_one_call_come_together_or_one_by_one),
        WITH_TAP(a_checksum_left_undone_is_no_obstacle),
        WITH_TAP(a_paused_device_is_silent),
        WITH_TAP(a_deleted_device_is_told_once),
        WITH_TAP(it_may_be_closed_in_its_callback),
        WITH_TAP(a_taken_name_is_refused),
        WITH_TAP(a_kernel_without_tap_devices_is_told_how_to_get_them),
    };

    if (!sandbox_enter() || !sandbox_has_tun())
        return SANDBOX_SKIP;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
