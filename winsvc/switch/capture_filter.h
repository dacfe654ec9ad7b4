/* SPDX-License-Identifier: Apache-2.0
 * capture_filter.h - which frames a capture wants: a small part of tcpdump's language.
 *
 *   expression  term { or term }            term    factor { and factor }
 *   factor      not factor | ( expression ) | primitive             also: || && !
 *   primitive   arp | ip | ip6 | tcp | udp | icmp | icmp6
 *               [src|dst] host ADDRESS      [src|dst] net ADDRESS/BITS      src ADDRESS
 *               [tcp|udp] [src|dst] port N  [tcp|udp] [src|dst] portrange N-M
 *               ether [src|dst|host] MAC
 *
 * They mean what tcpdump means: `host` is also said of the addresses in ARP, and a fragment behind
 * the first has no ports. An empty expression wants everything. Pure.
 */
#ifndef WINSVC_SWITCH_CAPTURE_FILTER_H
#define WINSVC_SWITCH_CAPTURE_FILTER_H

#include "base/ip_addr.h"
#include "base/status.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CAPTURE_FILTER_NODES = 64, CAPTURE_FILTER_DEPTH = 16 /* of parentheses and nots */ };

/* What the primitives ask of a frame; what it does not have is zero or false. */
struct frame_facts {
    struct mac src_mac, dst_mac;
    uint16_t ether_type;
    uint8_t proto; /* of IP */
    bool has_addresses, has_ports;
    struct ip_addr src, dst;
    uint16_t src_port, dst_port;
};

void frame_facts_get(struct frame_facts *out, const uint8_t *frame, size_t len_bytes);

struct filter_node {
    uint8_t what, side; /* enums of capture_filter.c */
    uint16_t low, high; /* of a port, a protocol or an Ethernet type */
    unsigned bits;
    struct ip_addr net;
    struct mac mac;
};

/* In reverse Polish order; the caller's to copy. */
struct capture_filter {
    unsigned count;
    struct filter_node nodes[CAPTURE_FILTER_NODES];
};

/* ST_INVAL: @e says where; *out is not to be used. */
enum status capture_filter_parse(struct capture_filter *out, const char *text, struct errmsg *e);
bool capture_filter_wants(const struct capture_filter *f, const struct frame_facts *facts);

#endif
