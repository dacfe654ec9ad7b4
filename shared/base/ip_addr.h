/* SPDX-License-Identifier: Apache-2.0
 * ip_addr.h - one type for IPv4 and IPv6 addresses: 16 bytes in network order, IPv4 as the mapped
 * address ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so that keys compare and hash by memory. Pure.
 */
#ifndef SHARED_BASE_IP_ADDR_H
#define SHARED_BASE_IP_ADDR_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct ip_addr {
    uint8_t b[16];
};

struct ip_endpoint {
    struct ip_addr addr;
    uint16_t port; /* host order */
};

enum { IP_ADDR_TEXT_MAX = 46, IP_ENDPOINT_TEXT_MAX = 54 };

/* @host_order: 0x7f000001 is 127.0.0.1. */
struct ip_addr ip_addr_v4(uint32_t host_order);
/* Four or sixteen bytes as they stand in a packet. */
struct ip_addr ip_addr_of_v4(const uint8_t b[static 4]);
struct ip_addr ip_addr_of_v6(const uint8_t b[static 16]);
/* Only for an IPv4 address; host order. */
uint32_t ip_addr_to_v4(const struct ip_addr *a);

static inline bool ip_addr_is_v4(const struct ip_addr *a)
{
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

    return memcmp(a->b, mapped, sizeof mapped) == 0;
}

static inline bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool ip_addr_is_unspecified(const struct ip_addr *a); /* 0.0.0.0 or :: */
bool ip_addr_is_loopback(const struct ip_addr *a);    /* 127.0.0.0/8 or ::1 */
bool ip_addr_is_link_local(const struct ip_addr *a);  /* 169.254.0.0/16 or fe80::/10 */
bool ip_addr_is_multicast(const struct ip_addr *a);   /* 224.0.0.0/4, 255.255.255.255, ff00::/8 */
/* Whether the first @prefix_bits (of 32 or 128) of both are the same; false across families. */
bool ip_addr_in_prefix(const struct ip_addr *a, const struct ip_addr *net, unsigned prefix_bits);

/* "192.168.127.2", "fd00::2"; ST_INVAL. */
enum status ip_addr_parse(struct ip_addr *out, const char *text);
/* "1.2.3.4:80", "[::1]:80", ":80" (unspecified IPv4 address); ST_INVAL. */
enum status ip_endpoint_parse(struct ip_endpoint *out, const char *text);
const char *ip_addr_format(const struct ip_addr *a, char buf[static IP_ADDR_TEXT_MAX]);
const char *ip_endpoint_format(const struct ip_endpoint *e, char buf[static IP_ENDPOINT_TEXT_MAX]);

#endif
