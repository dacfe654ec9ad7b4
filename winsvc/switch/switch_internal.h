/* SPDX-License-Identifier: Apache-2.0
 * switch_internal.h - what the files of this directory share, and nobody else sees.
 *
 * The life of a frame: link -> switch.c (Ethernet, learning, IP, fragments) -> one of the *_input()
 * below -> net. And back: a module composes a packet with out_begin()/out_end(); a module with
 * much to send (TCP) is asked for it by tcp_produce() when the link has room.
 */
#ifndef WINSVC_SWITCH_SWITCH_INTERNAL_H
#define WINSVC_SWITCH_SWITCH_INTERNAL_H

#include "base/hash.h"
#include "base/log.h"
#include "link/frame_link.h"
#include "port/loop.h"
#include "port/net.h"
#include "port/resolver.h"
#include "switch/switch.h"
#include "wire/wire.h"

struct control;
struct dhcp_server;
struct dns_server;
struct forward_table;
struct icmp_table;
struct neigh_table;
struct reassembly;
struct tcp_table;
struct udp_table;

/* Host sockets that may still be made while bulk flows move (open_rate.c). */
struct open_rate {
    uint64_t full_at; /* when it is full again, if nothing more is taken; see there */
};

struct switch_ {
    struct switch_env env;
    struct switch_config config; /* finished: no zeros left, limits included */
    struct switch_counters count;
    struct frame_link *link; /* owned; NULL between two links */
    struct neigh_table *neigh;
    struct reassembly *reassembly;
    struct tcp_table *tcp;
    struct udp_table *udp;
    struct icmp_table *icmp;
    struct dhcp_server *dhcp;
    struct dns_server *dns;
    struct forward_table *forwards;
    struct control *control;
    struct ip_addr gateway6, host6, gateway_link_local; /* derived */
    uint64_t last_rx_ms;      /* when the batch in hand, or the last one, began */
    struct hash_key hash_key; /* random: for every table whose keys a peer chooses */
    uint32_t next_ip_id;      /* of fragmented datagrams; begins at random */
    struct open_rate opens;
    struct timer flush;        /* see switch_want_flush() */
    switch_frame_fn *on_frame; /* NULL: nobody watches */
    void *on_frame_ctx;
    switch_link_end_fn *on_link_end; /* may be NULL, as the next */
    void *on_link_end_ctx;
    switch_forward_change_fn *on_forward_change;
    void *on_forward_change_ctx;
    bool in_batch;                     /* tcp_produce() and a flush are sure to follow */
    bool in_produce;                   /* within tcp_produce(): a flush is sure to follow */
    struct frame_link_stats link_seen; /* of this link, already in count */
    struct log_limit link_log;         /* a guest may connect as often as it likes */
};

/* Packets of tens of KiB, of which few fill a buffer. */
static inline bool switch_has_large_mtu(const struct switch_ *s)
{
    return s->config.mtu >= 16 * 1024;
}

static inline uint64_t switch_now_ms(struct switch_ *s)
{
    return loop_now_ms(s->env.loop);
}

/* ---- towards the host -------------------------------------------------------------------- */

/* One IP packet from the guest, whole (reassembled), its layer-4 bytes in @l4. Memory is that of
 * the link: valid until the end of the batch (tcp_batch_end()), for reassembled ones of the call.
 */
struct packet {
    struct mac from;
    struct ip_header ip;
    const uint8_t *raw; /* the IP header, for quoting in ICMP errors */
    size_t raw_bytes;   /* up to the end of the packet */
    const uint8_t *l4;
    size_t l4_bytes;
    bool csum_ok;      /* the link vouches for the layer-4 checksum, or it was partial (v2) */
    bool lasts;        /* memory lasts until the end of the batch */
    uint16_t gso_size; /* payload bytes per segment of a super-segment (v2); 0 = a plain packet */
};

/* What reaches an *_input() was checked: the source is an address of the guest's network (or
 * unspecified: DHCP, duplicate address detection), it is no fragment, it has hops left where it
 * needs them. TCP: never to a multicast or broadcast address. */

void tcp_input(struct switch_ *s, const struct packet *p);
void udp_input(struct switch_ *s, const struct packet *p);
void icmp_input(struct switch_ *s, const struct packet *p); /* passes NDP on */
void neigh_arp_input(struct switch_ *s, const struct eth_header *eth, struct bytes *r);
void neigh_ndp_input(struct switch_ *s, const struct packet *p, const struct icmp_header *h,
                     struct bytes *r);
/* Services at the gateway; @payload is the UDP payload. */
void dhcp_input(struct switch_ *s, const struct packet *p, const struct udp_header *h,
                const uint8_t *payload, size_t len_bytes);
void dns_input(struct switch_ *s, const struct packet *p, const struct udp_header *h,
               const uint8_t *payload, size_t len_bytes);
/* Any other port of the gateway (udp.c): the guest's answer to a client of a UDP forward? False:
 * nobody's, the guest gets a port unreachable. */
bool forward_udp_input(struct switch_ *s, const struct packet *p, const struct udp_header *h,
                       const uint8_t *payload, size_t len_bytes);

/* All frames of one read of the link were handed over: send what was gathered per flow. */
void tcp_batch_end(struct switch_ *s);

/* ---- towards the guest ------------------------------------------------------------------- */

/* Where a packet being composed goes. */
struct out {
    uint8_t *frame; /* Ethernet header */
    uint8_t *l4;    /* where the caller writes @l4_bytes */
    size_t l4_offset, l4_bytes;
    struct ip_header ip;
    size_t summed_bytes; /* at the end of l4, see out_copy() */
    uint64_t sum;        /* of those */
};

/* Reserves a frame with Ethernet and IP headers written, for @l4_bytes of @ip->proto behind them
 * (ip->payload_bytes is set here). False: the link is gone or has no room; counted by the caller
 * where it loses something by it. The guest's MAC is looked up by address. */
bool out_begin(struct switch_ *s, struct out *o, struct ip_header *ip, size_t l4_bytes);
/* Copies what ends l4, piece by piece, and sums it on the way: out_end() need not read it again. */
void out_copy(struct out *o, uint8_t *to, const uint8_t *data, size_t len_bytes);
/* @csum_offset: of the layer-4 checksum field within l4, filled in here, or left partial with
 * @gso_size > 0 or on a link with offload; OUT_NO_CSUM: there is none to fill in. Asks for a flush.
 */
#define OUT_NO_CSUM SIZE_MAX
void out_end(struct switch_ *s, struct out *o, size_t csum_offset, unsigned gso_size);
/* A frame of exactly @len_bytes that is not IP, or NULL; then out_raw_end(). */
uint8_t *out_raw(struct switch_ *s, size_t len_bytes);
void out_raw_end(struct switch_ *s, const uint8_t *frame, size_t len_bytes);
/* A datagram of any size, fragmented to the MTU where needed: an 8-byte layer-4 header whose
 * checksum field, at @csum_offset, is filled in here, and its payload. False: no room, it is lost.
 */
bool out_datagram(struct switch_ *s, struct ip_header *ip, const uint8_t header[static 8],
                  size_t csum_offset, const uint8_t *payload, size_t len_bytes);
/* A UDP datagram of any size, the same way. */
void out_udp(struct switch_ *s, const struct ip_endpoint *from, const struct ip_endpoint *to,
             const uint8_t *payload, size_t len_bytes);
/* ICMP or ICMPv6 error to the guest about @p (RFC 1812 4.3.2: never about errors, multicast,
 * broadcast or a later fragment; at most 100 a second). @rest as in struct icmp_header. */
enum icmp_error {
    ICMP_ERROR_PORT,
    ICMP_ERROR_HOST,
    ICMP_ERROR_NET,
    ICMP_ERROR_ADMIN,
    ICMP_ERROR_TOO_BIG,
    ICMP_ERROR_TTL,
    ICMP_ERROR_REASSEMBLY,
    ICMP_ERROR_PROTOCOL /* @rest: IPv6: where the packet says which */
};
void icmp_send_error(struct switch_ *s, const struct packet *p, enum icmp_error what,
                     uint32_t rest);

/* Something is to be sent, outside a batch: at the end of this turn of the loop tcp_produce() and
 * then a flush. Called again from within that tcp_produce() it means the next turn. */
void switch_want_flush(struct switch_ *s);
/* tcp_produce() and a flush at once, from a socket's callback that brought much: the guest works at
 * it while the next is read. */
void switch_turn(struct switch_ *s);
/* Flushes now, for who knows that its own batch is over. */
void switch_flush(struct switch_ *s);
/* Flows in turn (deficit round robin) fill the link as long as it has room; small packets and
 * control went before. Called when the link is writable and at the end of each batch. */
void tcp_produce(struct switch_ *s);

/* ---- addresses (nat.c) ------------------------------------------------------------------- */

enum nat_verdict { NAT_GATEWAY, NAT_HOST, NAT_GUEST_NET, NAT_OUTSIDE, NAT_DENIED };
/* Where a packet of the guest's to @dst goes: *to is the host-side endpoint (the host alias becomes
 * 127.0.0.1 or ::1). NAT_DENIED: policy (link-local, deny-listed port of the host). */
enum nat_verdict nat_outbound(const struct switch_ *s, uint8_t proto, const struct ip_endpoint *dst,
                              struct ip_endpoint *to);
/* The other way: how the guest sees the host-side address @from. False: as nobody (loopback other
 * than the alias' own). */
bool nat_inbound(const struct switch_ *s, const struct ip_addr *from, struct ip_addr *seen);
/* An address of the guest's network that is not the gateway's, the host's or its broadcast. */
bool nat_is_guest(const struct switch_ *s, const struct ip_addr *a);
/* The gateway or the host alias, of either family. */
bool nat_is_own(const struct switch_ *s, const struct ip_addr *a);
/* 255.255.255.255, the network's broadcast address, or multicast. */
bool nat_is_broadcast(const struct switch_ *s, const struct ip_addr *a);

/* ---- how many at a time (open_rate.c) ------------------------------------------------------ */

/* A packet of the guest wants a socket of the host, which is made and, maybe soon, closed. False:
 * not now, the packet is to be dropped; counted here. */
enum { OPEN_TCP = 1, OPEN_UDP = 2 };
bool open_rate_take(struct switch_ *s, unsigned tokens);

/* ---- life of the parts ------------------------------------------------------------------- */

enum status neigh_new(struct switch_ *s);
void neigh_free(struct switch_ *s);
/* Learns where @ip is; the table is bounded and aged. */
void neigh_learn(struct switch_ *s, const struct mac *mac, const struct ip_addr *ip);
/* The source of a frame; false: drop it. Bounded (limits.neighbours) and aged. */
bool neigh_seen(struct switch_ *s, const struct mac *mac);
/* Whether that pair is the one learnt or looked up last, which was checked then: renews it. */
bool neigh_is_known(struct switch_ *s, const struct mac *mac, const struct ip_addr *ip);
/* A link was attached: says who the router is (IPv6). */
void neigh_link_up(struct switch_ *s);
/* The MAC of a guest address; the configured guest's when unknown; false: none (broadcast it). */
bool neigh_find(struct switch_ *s, const struct ip_addr *ip, struct mac *out);
unsigned neigh_count(const struct switch_ *s);

enum status reassembly_new(struct switch_ *s);
void reassembly_free(struct switch_ *s);
/* Takes a fragment; true: *whole is the datagram, valid until the next call. */
bool reassembly_add(struct switch_ *s, const struct packet *fragment, struct packet *whole);
unsigned reassembly_count(const struct switch_ *s);

enum status tcp_new(struct switch_ *s);
void tcp_free(struct switch_ *s);
/* Flows move much, in this direction or that. */
bool tcp_moves_much(const struct switch_ *s);
void tcp_census(const struct switch_ *s, struct switch_census *out);
/* switch_attach() has a new link: what was under way on the old one is sent again. */
void tcp_link_attached(struct switch_ *s);
/* A connection from the host side to the guest (forwards, the API's tunnel): SYN to @to from
 * @from, whose port 0 = any free one; @conn is owned in every case. ST_FULL, EXISTS (that pair of
 * endpoints is in use), NOMEM. */
enum status tcp_open_to_guest(struct switch_ *s, struct net_tcp *conn,
                              const struct ip_endpoint *from, const struct ip_endpoint *to);
/* The same with the caller itself at the host's end: *out is the connection as a stream. What is
 * written before the guest has answered is queued; that it refused is on_error(). */
enum status tcp_dial_guest(struct switch_ *s, struct stream **out, const struct ip_endpoint *from,
                           const struct ip_endpoint *to);
/* A service of the gateway's own over TCP (DNS, the API on port 80): instead of a dial, the flow is
 * given to @accept as a stream (port/stream.h), owned by it. Services are there before the first
 * frame: switch.c calls tcp_new() before dns_new() and forward_new(), and frees in reverse.
 * ST_FULL.
 */
typedef void tcp_accept_fn(void *ctx, struct stream *stream, const struct ip_endpoint *from);
enum status tcp_serve(struct switch_ *s, const struct ip_addr *at, uint16_t port,
                      tcp_accept_fn *accept, void *ctx);

enum status udp_new(struct switch_ *s);
void udp_free(struct switch_ *s);
unsigned udp_count(const struct switch_ *s);
enum status icmp_new(struct switch_ *s);
void icmp_free(struct switch_ *s);
unsigned icmp_count(const struct switch_ *s);

enum status dhcp_new(struct switch_ *s);
void dhcp_free(struct switch_ *s);
bool dhcp_guest_has_address(const struct switch_ *s);
enum status dns_new(struct switch_ *s);
void dns_free(struct switch_ *s);
void dns_network_changed(struct switch_ *s);
enum status forward_new(struct switch_ *s);
void forward_free(struct switch_ *s);
void forward_network_changed(struct switch_ *s);
enum status control_new(struct switch_ *s);
void control_free(struct switch_ *s);
unsigned forward_count(const struct switch_ *s);

#endif
