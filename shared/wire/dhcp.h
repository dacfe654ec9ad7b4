/* SPDX-License-Identifier: Apache-2.0
 * dhcp.h - DHCPv4 messages (RFC 2131, 2132, 3396, 3397), as a server sees them and as a client
 * does.
 *
 * Pure, as wire.h says. Borrowed pointers point into the decoded bytes.
 */
#ifndef SHARED_WIRE_DHCP_H
#define SHARED_WIRE_DHCP_H

#include "wire/wire.h"

enum {
    DHCP_SERVER_PORT = 67,
    DHCP_CLIENT_PORT = 68,
    DHCP_FIXED_BYTES = 236, /* up to the magic cookie */
    DHCP_MIN_BYTES = 300,   /* what old clients expect of a reply (RFC 1542 2.1) */
    DHCP_REPLY_MAX = 1024   /* what dhcp_put() needs at most */
};

enum dhcp_type {
    DHCP_DISCOVER = 1,
    DHCP_OFFER,
    DHCP_REQUEST,
    DHCP_DECLINE,
    DHCP_ACK,
    DHCP_NAK,
    DHCP_RELEASE,
    DHCP_INFORM
};

enum {
    DHCP_OPT_MASK = 1,
    DHCP_OPT_ROUTER = 3,
    DHCP_OPT_DNS = 6,
    DHCP_OPT_DOMAIN = 15,
    DHCP_OPT_MTU = 26,
    DHCP_OPT_REQUESTED = 50,
    DHCP_OPT_LEASE = 51,
    DHCP_OPT_OVERLOAD = 52,
    DHCP_OPT_TYPE = 53,
    DHCP_OPT_SERVER_ID = 54,
    DHCP_OPT_PARAMETERS = 55,
    DHCP_OPT_MAX_SIZE = 57,
    DHCP_OPT_RENEW = 58,
    DHCP_OPT_REBIND = 59,
    DHCP_OPT_CLIENT_ID = 61,
    DHCP_OPT_SEARCH = 119,
    DHCP_OPT_END = 255
};

/* ---- a server's view: decode a client's message, encode the reply (dhcp.c) ------------------ */

/* A client's message. Addresses that are not there are 0.0.0.0. */
struct dhcp_message {
    enum dhcp_type type;
    uint32_t xid;
    bool broadcast; /* the client cannot take unicast yet */
    struct ip_addr ciaddr, giaddr, requested, server_id;
    struct mac chaddr;
    const uint8_t *client_id; /* NULL: none */
    uint8_t client_id_bytes;
    const uint8_t *parameters; /* NULL: none */
    uint8_t parameters_bytes;
};

/* ST_PROTO also for BOOTP without a message type, and for hardware that is no Ethernet. */
enum status dhcp_decode(struct dhcp_message *out, struct bytes *r);
/* Whether option 55 asks for @option. */
bool dhcp_asks_for(const struct dhcp_message *m, uint8_t option);

/* A server's message. What is 0, NULL or unspecified is left out. */
struct dhcp_reply {
    enum dhcp_type type;
    uint32_t xid;
    bool broadcast;
    struct ip_addr ciaddr, yiaddr, giaddr, server_id;
    struct mac chaddr;
    uint32_t lease_s;
    struct ip_addr mask, router, dns;
    uint16_t mtu;
    const char *domain;
    const char *search; /* names separated by spaces or commas */
    const uint8_t *client_id;
    uint8_t client_id_bytes;
};

void dhcp_put(struct bytes_out *w, const struct dhcp_reply *m);
/* RFC 3397: names as DNS wire forms, one after the other. Returns the bytes; a name that is none
 * is left out, and so is what does not fit into @cap. */
size_t dhcp_search_encode(uint8_t *buf, size_t cap, const char *names);

/* ---- a client's view: encode a message, decode the server's answer (dhcp_answer.c) ----------- */

enum { DHCP_QUERY_MAX = 640, DHCP_SEARCH_TEXT_MAX = 256 };

/* What is 0, NULL or unspecified is left out. */
struct dhcp_query {
    enum dhcp_type type;
    uint32_t xid;
    uint16_t secs;
    bool broadcast;
    struct ip_addr ciaddr, requested, server_id;
    struct mac chaddr;
};
/* Asks for everything that struct dhcp_answer has. */
void dhcp_put_query(struct bytes_out *w, const struct dhcp_query *q);

/* What a server said. Addresses that are not there are 0.0.0.0, numbers 0. */
struct dhcp_answer {
    enum dhcp_type type;
    uint32_t xid;
    struct mac chaddr;
    struct ip_addr yiaddr, server_id, mask;
    struct ip_addr router, dns; /* the first of each */
    uint32_t lease_s, renew_s, rebind_s;
    uint16_t mtu;
    /* The search list, or else the domain: names separated by spaces, with nothing in them that a
     * name may not have (they end up in resolv.conf). */
    char search[DHCP_SEARCH_TEXT_MAX];
};
/* ST_PROTO also for what no server sends. */
enum status dhcp_decode_answer(struct dhcp_answer *out, struct bytes *r);
/* The names of an RFC 3397 list as text: those that are names and fit. Always terminated. */
void dhcp_search_decode(char *out, size_t cap, const uint8_t *list, size_t len_bytes);

#endif
