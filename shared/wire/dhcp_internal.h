/* SPDX-License-Identifier: Apache-2.0
 * dhcp_internal.h - what a server's and a client's view of a DHCP message share: the BOOTP part,
 * the walk over the options, and writing either. Private to wire/.
 */
#ifndef SHARED_WIRE_DHCP_INTERNAL_H
#define SHARED_WIRE_DHCP_INTERNAL_H

#include "wire/dhcp.h"

enum { DHCP_OP_REQUEST = 1, DHCP_OP_REPLY = 2, DHCP_NAME_MAX_BYTES = 255, DHCP_LABEL_MAX = 63 };

/* The 236 bytes before the cookie, as far as anybody here wants them. */
struct dhcp_fixed {
    uint8_t op;
    uint32_t xid;
    uint16_t secs;
    bool broadcast;
    struct ip_addr ciaddr, yiaddr, giaddr;
    struct mac chaddr;
};

/* One option; @data is borrowed from the message. */
typedef void dhcp_option_fn(void *ctx, uint8_t code, const uint8_t *data, uint8_t len_bytes);

/* Reads all of a message: fixed part into @out, every option of its up to three areas to @take.
 * ST_PROTO: too short, no cookie, no Ethernet, an option that runs past the end of its area. */
enum status dhcp_walk(struct dhcp_fixed *out, struct bytes *r, dhcp_option_fn *take, void *ctx);
/* A message type of RFC 2132 9.6, or 0. */
enum dhcp_type dhcp_type_of(const uint8_t *data, uint8_t len_bytes);
/* The first four-byte address counts; one of another length does not. */
void dhcp_take_address(struct ip_addr *out, const uint8_t *data, uint8_t len_bytes);

void dhcp_put_fixed(struct bytes_out *w, const struct dhcp_fixed *f);
/* Longer than 255 bytes: the same option again with the rest (RFC 3396). */
void dhcp_put_option(struct bytes_out *w, uint8_t code, const void *data, size_t len_bytes);
/* Nothing for an address that is not there. */
void dhcp_put_address_option(struct bytes_out *w, uint8_t code, const struct ip_addr *a);
/* The end option, and zeroes up to DHCP_MIN_BYTES since @start. */
void dhcp_put_end(struct bytes_out *w, size_t start);

#endif
