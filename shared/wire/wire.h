/* SPDX-License-Identifier: Apache-2.0
 * wire.h - the packet formats of the virtual network: decode and encode, one struct a header.
 *
 * All pure: no I/O, no state. decode: reads from @r, which then stands behind the header; every
 * length inside the packet is checked against what is there. ST_PROTO, nothing else, for a packet
 * that cannot be right. encode (…_put): appends to @w; the writer's latch says whether it fitted.
 * Numbers are in host order. Checksums: wire/csum.h.
 * RFC 826 ARP, 791 IPv4, 8200 IPv6, 792 ICMP, 4443 ICMPv6, 4861 NDP, 768 UDP, 9293 TCP, 7323
 * (window scale), 1122.
 */
#ifndef SHARED_WIRE_WIRE_H
#define SHARED_WIRE_WIRE_H

#include "base/bytes.h"
#include "base/ip_addr.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- Ethernet (wire/eth.c) ------------------------------------------------------------- */

enum { ETH_HEADER_BYTES = 14, ETH_TYPE_IP4 = 0x0800, ETH_TYPE_ARP = 0x0806, ETH_TYPE_IP6 = 0x86dd };

struct mac {
    uint8_t b[6];
};

struct eth_header {
    struct mac dst, src;
    uint16_t type;
};

enum status eth_decode(struct eth_header *out, struct bytes *r);
void eth_put(struct bytes_out *w, const struct eth_header *h);
bool mac_is_multicast(const struct mac *m); /* broadcast included */
bool mac_equal(const struct mac *a, const struct mac *b);
enum status mac_parse(struct mac *out, const char *text);
const char *mac_format(const struct mac *m, char buf[static 18]);

/* ---- ARP for IPv4 over Ethernet (wire/arp.c) ------------------------------------------- */

enum { ARP_BYTES = 28, ARP_REQUEST = 1, ARP_REPLY = 2 };

struct arp_packet {
    uint16_t op;
    struct mac sender_mac, target_mac;
    struct ip_addr sender, target;
};

enum status arp_decode(struct arp_packet *out, struct bytes *r);
void arp_put(struct bytes_out *w, const struct arp_packet *p);

/* ---- IP (wire/ip4.c, wire/ip6.c) ------------------------------------------------------- */

enum { IP_PROTO_ICMP = 1, IP_PROTO_TCP = 6, IP_PROTO_UDP = 17, IP_PROTO_ICMP6 = 58 };
enum { IP4_HEADER_BYTES = 20, IP6_HEADER_BYTES = 40, IP_MAX_BYTES = 65535 };

/* One header of either family. */
struct ip_header {
    struct ip_addr src, dst;
    uint8_t proto; /* of the payload, behind options and extension headers */
    uint8_t ttl;   /* hop limit */
    uint8_t traffic_class;
    uint32_t id; /* of the datagram, for reassembly */
    bool dont_fragment;
    bool more_fragments;
    uint32_t fragment_offset; /* bytes */
    uint16_t payload_bytes;   /* behind the header; encode: what follows */
    uint16_t header_bytes;    /* decoded only: with options or extension headers */
};

/* @r is cut to the payload: a padded frame's padding is gone. The header's checksum is verified. A
 * fragment that no datagram can have (beyond 65535 bytes, a first one of odd size) is ST_PROTO. */
enum status ip4_decode(struct ip_header *out, struct bytes *r);
/* With its checksum; no options. */
void ip4_put(struct bytes_out *w, const struct ip_header *h);
/* Walks hop-by-hop, routing, destination and fragment headers (at most 8). A packet with an
 * IPv4-mapped address is ST_PROTO: it would pass for IPv4. */
enum status ip6_decode(struct ip_header *out, struct bytes *r);
/* A fragment header is added when the datagram is a fragment. */
void ip6_put(struct bytes_out *w, const struct ip_header *h);

/* ---- UDP (wire/udp.c) ------------------------------------------------------------------ */

enum { UDP_HEADER_BYTES = 8 };

struct udp_header {
    uint16_t src_port, dst_port;
    uint16_t payload_bytes;
    uint16_t checksum; /* 0 = none */
};

/* @r is cut to the payload by the header's own length. */
enum status udp_decode(struct udp_header *out, struct bytes *r);
void udp_put(struct bytes_out *w, const struct udp_header *h);

/* ---- TCP (wire/tcp_segment.c) ---------------------------------------------------------- */

enum {
    TCP_HEADER_BYTES = 20,
    TCP_FIN = 1,
    TCP_SYN = 2,
    TCP_RST = 4,
    TCP_PSH = 8,
    TCP_ACK = 16,
    TCP_URG = 32,
    TCP_ECE = 64,
    TCP_CWR = 128
};

struct tcp_header {
    uint16_t src_port, dst_port;
    uint32_t seq, ack;
    uint8_t flags;
    uint16_t window; /* as on the wire: not scaled */
    uint16_t checksum;
    uint8_t header_bytes; /* decoded only */
    /* Options; encode writes those whose has_ is set (SYN) */
    bool has_mss, has_window_scale, has_sack_permitted;
    uint16_t mss;
    uint8_t window_scale; /* at most 14 */
};

/* @r then stands at the payload. Unknown options are skipped, a length that lies is ST_PROTO. */
enum status tcp_decode(struct tcp_header *out, struct bytes *r);
void tcp_put(struct bytes_out *w, const struct tcp_header *h);

/* ---- ICMP and ICMPv6 (wire/icmp.c) ----------------------------------------------------- */

enum { ICMP_HEADER_BYTES = 8 };
enum { ICMP4_ECHO_REPLY = 0, ICMP4_UNREACHABLE = 3, ICMP4_ECHO = 8, ICMP4_TIME_EXCEEDED = 11 };
enum {
    ICMP6_UNREACHABLE = 1,
    ICMP6_TOO_BIG = 2,
    ICMP6_TIME_EXCEEDED = 3,
    ICMP6_PARAMETER = 4,
    ICMP6_ECHO = 128,
    ICMP6_ECHO_REPLY = 129,
    ICMP6_ROUTER_SOLICIT = 133,
    ICMP6_ROUTER_ADVERT = 134,
    ICMP6_NEIGHBOUR_SOLICIT = 135,
    ICMP6_NEIGHBOUR_ADVERT = 136
};

struct icmp_header {
    uint8_t type, code;
    uint16_t checksum;
    uint32_t rest; /* echo: id << 16 | sequence; too big: MTU */
};

enum status icmp_decode(struct icmp_header *out, struct bytes *r);
void icmp_put(struct bytes_out *w, const struct icmp_header *h);

/* Neighbour solicitation or advertisement behind its icmp_header, or a router solicitation, which
 * has no target (wire/ndp.c). */
struct ndp_neighbour {
    struct ip_addr target;
    bool has_link_address;
    struct mac link_address; /* source option of a solicit, target option of an advert */
};
enum status ndp_decode(struct ndp_neighbour *out, uint8_t type, struct bytes *r);
void ndp_put(struct bytes_out *w, uint8_t type, const struct ndp_neighbour *n);
/* Router advertisement behind its icmp_header, with prefix, MTU, DNS server and link address. Hop
 * limit and lifetime stand in the icmp_header: its rest is ndp_router_rest(). */
struct ndp_router {
    uint8_t hop_limit;
    uint16_t lifetime_s;
    struct ip_addr prefix;
    uint8_t prefix_bits;
    uint32_t prefix_lifetime_s;
    uint32_t mtu;       /* 0 = none */
    struct ip_addr dns; /* unspecified = none */
    struct mac link_address;
};
uint32_t ndp_router_rest(const struct ndp_router *n);
void ndp_put_router(struct bytes_out *w, const struct ndp_router *n);
/* The other way: @rest of its icmp_header, @r behind that. The first prefix that is on the link and
 * for hosts to make addresses of; @out->prefix is unspecified where there is none. ST_PROTO. */
enum status ndp_router_decode(struct ndp_router *out, uint32_t rest, struct bytes *r);

#endif
