/* SPDX-License-Identifier: Apache-2.0
 * frame_build.h - frames for tests, right in every field and checksum unless the test breaks one.
 *
 *     struct frame_path out = frame_path("192.168.127.2", "10.1.2.3");
 *     struct frame f;
 *     frame_tcp(&f, &out, &(struct tcp_header){ .src_port = 4000, .dst_port = 80, .seq = 7,
 *                                               .flags = TCP_SYN, .window = 65535 }, NULL, 0);
 *     sim_peer_send(guest, f.b, f.len_bytes);
 *
 * The family is that of the path's addresses. To damage a frame write into f.b (a header's place is
 * in the l3 and l4 offsets) and call frame_seal() when the checksums shall still be right. A frame
 * that does not fit or a text that is no address fails the test.
 */
#ifndef TESTS_SUPPORT_FRAME_BUILD_H
#define TESTS_SUPPORT_FRAME_BUILD_H

#include "link/frame_link.h"
#include "wire/wire.h"

struct frame {
    size_t len_bytes;
    size_t l3; /* offset of the IP or ARP header */
    size_t l4; /* offset of the TCP, UDP or ICMP header; 0 = none */
    uint8_t b[FRAME_MAX_BYTES];
};

/* Who sends to whom. */
struct frame_path {
    struct mac src_mac, dst_mac;
    struct ip_addr src, dst;
    uint8_t ttl, traffic_class;
    uint32_t id;
};

extern const struct mac frame_guest_mac;   /* 5a:94:ef:e4:0c:ee */
extern const struct mac frame_gateway_mac; /* 5a:94:ef:e4:0c:dd */
extern const struct mac frame_broadcast_mac;

/* From the guest's MAC to the gateway's, TTL 64. */
struct frame_path frame_path(const char *src, const char *dst);
/* The way back of @p: both addresses and both MACs swapped. */
struct frame_path frame_path_back(const struct frame_path *p);
struct ip_addr frame_addr(const char *text);

/* @payload may be NULL when @len_bytes is 0; NULL with a length gives frame_pattern() bytes. */
void frame_tcp(struct frame *f, const struct frame_path *p, const struct tcp_header *h,
               const void *payload, size_t len_bytes);
void frame_udp(struct frame *f, const struct frame_path *p, uint16_t src_port, uint16_t dst_port,
               const void *payload, size_t len_bytes);
/* ICMP or ICMPv6. */
void frame_icmp(struct frame *f, const struct frame_path *p, uint8_t type, uint8_t code,
                uint32_t rest, const void *body, size_t len_bytes);
/* Any protocol, @l4 as it is: no checksum is filled in. */
void frame_ip(struct frame *f, const struct frame_path *p, uint8_t proto, const void *l4,
              size_t len_bytes);
/* Bytes [@offset, @offset + @len_bytes) of @whole's IP payload as a fragment of it. */
void frame_fragment(struct frame *f, const struct frame *whole, size_t offset, size_t len_bytes);
/* Broadcast; asks for p->dst. */
void frame_arp_request(struct frame *f, const struct frame_path *p);
void frame_arp_reply(struct frame *f, const struct frame_path *p);
/* Neighbour solicitation for @target, to its solicited-node multicast address. */
void frame_ndp_solicit(struct frame *f, const struct frame_path *p, const char *target);
/* "45 00 0014 …": white space is skipped; the whole frame. */
void frame_hex(struct frame *f, const char *hex);

/* Fills in the IP, TCP, UDP and ICMP checksums anew; fragments' layer 4 is left alone. */
void frame_seal(struct frame *f);

/* Byte @at of a known stream with a period of 251: shows a shift, a loss or a doubling. */
uint8_t frame_pattern(uint64_t at);
void frame_pattern_fill(void *buf, uint64_t at, size_t len_bytes);

/* The frame with the length prefix of @protocol (and an empty virtio-net header for v2) before it;
 * @out has room for len + 16. Returns the bytes written. */
size_t frame_wrap(uint8_t *out, enum frame_protocol protocol, const void *frame, size_t len_bytes);

#endif
