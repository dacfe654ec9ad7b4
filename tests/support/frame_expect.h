/* SPDX-License-Identifier: Apache-2.0
 * frame_expect.h - what a frame says, for tests; the strict counterpart of frame_build.h.
 *
 *     struct frame_view v;
 *     frame_expect(&v, bytes, len);                          all lengths and checksums are right
 *     frame_expect_tcp(&v, TCP_SYN | TCP_ACK);
 *     assert_int_equal(v.tcp.ack, 8);
 *
 * A failure prints the frame as one line, like "10.1.2.3:80 > 192.168.127.2:4000 tcp [S.] seq 5
 * ack 8 win 65535 mss 1460 len 0".
 */
#ifndef TESTS_SUPPORT_FRAME_EXPECT_H
#define TESTS_SUPPORT_FRAME_EXPECT_H

#include "link/frame_link.h"
#include "wire/wire.h"

enum { FRAME_TEXT_MAX = 256 };

/* Everything points into the frame that was looked at. */
struct frame_view {
    struct eth_header eth;
    bool is_arp, is_ip, is_ip6, is_tcp, is_udp, is_icmp;
    struct arp_packet arp;
    struct ip_header ip;
    struct tcp_header tcp;
    struct udp_header udp;
    struct icmp_header icmp;
    const uint8_t *payload; /* of the innermost header that was decoded */
    size_t payload_bytes;
    const uint8_t *frame;
    size_t len_bytes;
};

/* NULL when it is a right frame, else what is wrong. With @off the layer-4 checksum may be partial
 * as the virtio-net header says; then it is the partial one that is checked. Fragments' layer 4 is
 * not looked at. */
const char *frame_check(struct frame_view *v, const void *frame, size_t len_bytes,
                        const struct frame_offload *off);

/* These fail the test. */
void frame_expect(struct frame_view *v, const void *frame, size_t len_bytes);
void frame_expect_offload(struct frame_view *v, const void *frame, size_t len_bytes,
                          const struct frame_offload *off);
/* A TCP segment with exactly these flags (PSH is not looked at). */
void frame_expect_tcp(const struct frame_view *v, uint8_t flags);
void frame_expect_udp(const struct frame_view *v, uint16_t src_port, uint16_t dst_port);
void frame_expect_icmp(const struct frame_view *v, uint8_t type, uint8_t code);
void frame_expect_arp_reply(const struct frame_view *v, const char *sender);
void frame_expect_path(const struct frame_view *v, const char *src, const char *dst);
void frame_expect_payload(const struct frame_view *v, const void *want, size_t len_bytes);
/* The payload is frame_pattern() from @at on. */
void frame_expect_pattern(const struct frame_view *v, uint64_t at);

/* One line; never fails, whatever the bytes are. Returns @buf. */
const char *frame_describe(char buf[static FRAME_TEXT_MAX], const void *frame, size_t len_bytes);

/* Takes the next frame off a recorded link (the counterpart of frame_wrap()): moves *p and *left
 * behind it, gives frame, length and for v2 the header. False when nothing whole is there. */
bool frame_unwrap(enum frame_protocol protocol, const uint8_t **p, size_t *left,
                  const uint8_t **frame, size_t *len_bytes, struct frame_offload *off);

#endif
