/* SPDX-License-Identifier: Apache-2.0
 * switch.h - one virtual network: a gateway between a guest's link and the host's sockets.
 *
 * A translating gateway, not a second stack: guest segments become socket reads and writes. The
 * core does no I/O of its own; links, clock, random, sockets and resolver come in (struct
 * switch_env), so the same code runs over libuv and in the simulator. State lives longer than a
 * link: flows go on when a link is attached again within link_grace_ms.
 * Runs on: one loop. Owns: its flows, tables and sockets. No globals.
 */
#ifndef WINSVC_SWITCH_SWITCH_H
#define WINSVC_SWITCH_SWITCH_H

#include "base/ip_addr.h"
#include "base/status.h"
#include "switch/host_ports.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stdint.h>

struct frame_link;
struct frame_offload;
struct loop;
struct net;
struct resolver;
struct stream;
struct switch_;
struct switch_counters;

struct switch_env {
    struct loop *loop; /* clock and timers; borrowed, as all here, for the switch's life */
    struct net *net;
    struct resolver *resolver; /* NULL: only the own zones resolve */
    enum status (*random)(void *buf, size_t len_bytes);
    /* Microseconds since 1970, for captures; NULL: the loop's clock. */
    int64_t (*wall_us)(void);
};

/* Every table's bound, and what happens when it is full. 0 = the default given here. The counter of
 * each is in SWITCH_COUNTER_LIST; docs/control-api.md has both. */
struct switch_limits {
    unsigned tcp_flows;           /* 8192 (12,000 at most): RST */
    unsigned tcp_half_open;       /* 2048: one that waited for 1 s gives way, or the SYN is lost */
    unsigned tcp_half_open_dest;  /* 1024 to one address: likewise */
    unsigned udp_flows;           /* 2048: the least recently used goes */
    unsigned pings;               /* 64: dropped */
    unsigned fragments;           /* 64 datagrams: the oldest goes */
    unsigned fragment_bytes;      /* 1 MiB of all of them: the oldest others go */
    unsigned fragment_ms;         /* 30,000 from the first fragment: dropped, and told */
    unsigned neighbours;          /* 16 source MACs: the oldest goes */
    unsigned neighbour_addresses; /* 64 addresses of theirs: the oldest goes */
    unsigned neighbour_ms;        /* 300,000 without a word: forgotten */
    unsigned dhcp_leases;         /* 256, static ones included: no offer, or NAK */
    unsigned forwards;            /* 1024: refused */
    unsigned forward_udp_clients; /* 1024 of all UDP forwards: the least recently used goes */
    unsigned dns_queries;         /* 64 forwarded at a time: SERVFAIL */
    unsigned dns_clients;         /* 32 whose rate is watched: the least recent is forgotten */
    unsigned dns_rate;            /* 200 forwarded a second for one of them: SERVFAIL */
    unsigned dns_connections;     /* 32 over TCP: closed */
    unsigned dns_cache_entries;   /* 1024: the least recently used goes */
    unsigned dns_cache_bytes;     /* 1 MiB: likewise */
    unsigned dns_zones;           /* 32, our own included: refused */
    unsigned api_connections;     /* 32 at the gateway, as many at the control socket: closed */
    unsigned api_head_ms;         /* 5,000 to a complete head: closed */
    unsigned api_body_bytes;      /* 65,536: 413 */
    unsigned tunnels;             /* 64: refused */
    unsigned captures;            /* 4: refused */
    unsigned opens_beside_bulk;   /* 1000 connections (500 UDP sockets) a second: what asks for more
                                     is dropped */
    uint32_t tcp_dial_ms;         /* 10,000: ICMP unreachable */
    uint32_t udp_idle_ms;         /* 60,000; DNS and NTP 10,000 */
    uint32_t flow_buffer_bytes;   /* 524,288 per flow and direction: its window closes */
    uint64_t total_buffer_bytes;  /* 192 MiB: windows close */
};

/* "tcp_flows=100,pings=8": members by their names; all of them or, with ST_INVAL, which says why,
 * none. */
enum status switch_limits_set(struct switch_limits *l, const char *text, struct errmsg *e);
/* Those that are 0 get their default. ST_INVAL says which is too large. */
enum status switch_limits_finish(struct switch_limits *l, struct errmsg *e);
/* The name of the one numbered @at from 0, and its default; NULL: there are no more. */
const char *switch_limits_name(size_t at, uint64_t *preset);

enum { SWITCH_STATIC_LEASES_MAX = 16 };

struct switch_static_lease {
    struct mac mac;
    struct ip_addr ip;
};

/* A name that anybody can make has an address that only this network has (dns_rebind.c). */
enum switch_dns_rebind {
    SWITCH_DNS_REBIND_WARN, /* counted and logged */
    SWITCH_DNS_REBIND_OFF,
    SWITCH_DNS_REBIND_DENY /* and answered without addresses */
};

struct switch_config {
    struct ip_addr net;                  /* 192.168.127.0 */
    unsigned prefix_bits;                /* 24; at most 29 */
    struct ip_addr gateway, guest, host; /* .1, .2, .254; derived from net when unspecified */
    struct mac gateway_mac, guest_mac;   /* defaults of the wire protocol when zero */
    bool ip6;
    struct ip_addr net6;      /* /64; fd00:72:64::/64 by default: gateway ::1, host alias ::254 */
    unsigned mtu;             /* 1500; up to 65520 */
    char search_domains[256]; /* DHCP options 15 and 119; separated by spaces or commas */
    struct switch_static_lease static_leases[SWITCH_STATIC_LEASES_MAX]; /* beside guest's */
    unsigned static_lease_count;
    char api_token[129]; /* expose and unexpose need "Authorization: Bearer"; "" = open */
    /* What a guest exposes may listen at loopback addresses only; the control API may do more. */
    bool deny_lan;
    enum switch_dns_rebind dns_rebind;
    struct host_ports host_ports; /* what of the host's loopback the alias leads to */
    struct switch_limits limits;
};

/* Whether @domains may be search_domains. ST_INVAL says which is none. */
enum status switch_config_check_search(const char *domains, struct errmsg *e);
/* Fills in what is derived and checks it. ST_INVAL says why. */
enum status switch_config_finish(struct switch_config *c, struct errmsg *e);

enum status switch_new(struct switch_ **out, const struct switch_env *env,
                       const struct switch_config *config, struct errmsg *e);
/* Takes @s as a link (frame_link.h). An older link is closed; flows go on over the new one. */
enum status switch_attach(struct switch_ *s, struct stream *stream, int frame_protocol);
/* Closes the link there is; the end is told from within, with ST_DENIED. */
void switch_detach(struct switch_ *s);
bool switch_has_link(const struct switch_ *s);
void switch_free(struct switch_ *s);

/* ---- for status, tests and the control API --------------------------------------------- */

/* clang-format off: one a line */
#define SWITCH_COUNTER_LIST(X)  \
    X(rx_frames)                \
    X(rx_bytes)                 \
    X(tx_frames)                \
    X(tx_bytes)                 \
    X(drop_runt)                \
    X(drop_oversized)           \
    X(drop_malformed)           \
    X(drop_not_for_us)          \
    X(drop_bad_checksum)        \
    X(drop_bad_source)          \
    X(drop_ttl)                 \
    X(drop_link_full)           \
    X(drop_no_memory)           \
    X(drop_policy)              \
    X(drop_no_flow)             \
    X(drop_fragment)            \
    X(tcp_opened)               \
    X(tcp_refused)              \
    X(tcp_reset)                \
    X(tcp_closed)               \
    X(tcp_retransmits)          \
    X(tcp_out_of_order)         \
    X(tcp_limit_hits)           \
    X(tcp_half_open_limit_hits) \
    X(open_limit_hits)          \
    X(udp_opened)               \
    X(udp_evicted)              \
    X(udp_sent)                 \
    X(udp_received)             \
    X(icmp_echo)                \
    X(icmp_errors)              \
    X(icmp_error_limit_hits)    \
    X(ping_limit_hits)          \
    X(fragment_limit_hits)      \
    X(neighbour_limit_hits)     \
    X(forward_udp_evicted)      \
    X(tunnel_limit_hits)        \
    X(capture_limit_hits)       \
    X(dns_cache_evicted)        \
    X(dns_client_limit_hits)    \
    X(dns_zone_limit_hits)      \
    X(dhcp_offers)              \
    X(dhcp_acks)                \
    X(dhcp_naks)                \
    X(dns_own)                  \
    X(dns_forwarded)            \
    X(dns_failed)               \
    X(dns_limit_hits)           \
    X(dns_cached)               \
    X(dns_rebinds)              \
    X(dhcp_limit_hits)          \
    X(api_requests)             \
    X(api_limit_hits)           \
    X(forward_limit_hits)       \
    X(forward_denied)
/* clang-format on */

struct switch_counters {
#define X(name) uint64_t name;
    SWITCH_COUNTER_LIST(X)
#undef X
};
/* Up to date when asked for, and as frames come and go. */
const struct switch_counters *switch_get_counters(struct switch_ *s);

/* Right now, for the invariants of tests and for the status. */
struct switch_census {
    unsigned tcp_flows, tcp_half_open, udp_flows, pings, fragments, neighbours, forwards;
    uint64_t buffer_bytes;
    uint64_t freed_bytes; /* of buffers, given back to the allocator so far */
    uint64_t last_rx_ms;  /* monotonic; 0 = nothing yet */
    bool guest_has_address;
};
void switch_get_census(const struct switch_ *s, struct switch_census *out);

/* ---- port forwards: host sockets into the guest (forward.c) ------------------------------ */

enum { SWITCH_FORWARD_LOCAL_MAX = 64 };
enum switch_forward_proto { SWITCH_FORWARD_TCP, SWITCH_FORWARD_UDP };

struct switch_forward {
    enum switch_forward_proto proto;
    char local[SWITCH_FORWARD_LOCAL_MAX]; /* as given; with the protocol it is the key */
    struct ip_endpoint guest;
    bool is_kept;      /* given by configuration: retried until it can be bound */
    bool is_listening; /* false: waiting for the port, @why says for what */
    const char *why;   /* borrowed for the call; "" when it listens */
};

/* @local: "127.0.0.1:80", "[::1]:80", "0.0.0.0:80", "[::]:80", ":80" (every address of both
 * families). @keep: a port that is taken is no failure, it is tried again until it is free.
 * ST_OK also for an identical one. ST_EXISTS: that key forwards elsewhere, or the port is taken.
 * ST_FULL, ST_INVAL, ST_DENIED, ST_UNSUPPORTED, ST_NOMEM, ST_NOFILES. */
enum status switch_forward_add(struct switch_ *s, enum switch_forward_proto proto,
                               const char *local, const struct ip_endpoint *guest, bool keep,
                               struct errmsg *e);
/* "[udp:]HOST:PORT=GUEST:PORT" of the configuration; kept. */
enum status switch_forward_add_spec(struct switch_ *s, const char *spec, struct errmsg *e);
/* ST_NOTFOUND. Connections that exist go on. */
enum status switch_forward_remove(struct switch_ *s, enum switch_forward_proto proto,
                                  const char *local);
/* The VM went: every host port is free again, kept ones included. */
void switch_forward_close_all(struct switch_ *s);
typedef void switch_forward_fn(void *ctx, const struct switch_forward *f);
/* In the order of local, then protocol. */
void switch_forward_each(const struct switch_ *s, switch_forward_fn *fn, void *ctx);
/* One up whenever switch_forward_each() has something else to tell; 0: there was none yet. */
uint64_t switch_forward_generation(const struct switch_ *s);

/* ---- names of the virtual network (dns_zones.c) ------------------------------------------ */

/* A zone in gvisor-tap-vsock's form: {"Name":"test.internal.","Records":[{"Name":"a","IP":
 * "192.168.127.2"}],"DefaultIP":"192.168.127.2"}. Of a zone that exists the new records come first
 * and DefaultIP is replaced. ST_INVAL, ST_UNSUPPORTED (Regexp), ST_FULL, ST_NOMEM. */
enum status switch_dns_zone_add(struct switch_ *s, const char *json, size_t len_bytes,
                                struct errmsg *e);
/* All zones in that form, an array; the caller free()s it. NULL: out of memory. */
char *switch_dns_zones_json(const struct switch_ *s);

/* ---- watching (switch.c): capture, and when links come and go ----------------------------- */

/* Every frame that crosses the link, as it does: @off is what its virtio-net header says (a
 * super-segment is one frame), NULL where there is none. Borrowed for the call; must not call the
 * switch. One watcher at a time, NULL = none, which costs the data path one branch; the control
 * API's captures are it while one runs. */
typedef void switch_frame_fn(void *ctx, bool to_guest, const uint8_t *frame, size_t len_bytes,
                             const struct frame_offload *off);
void switch_watch_frames(struct switch_ *s, switch_frame_fn *fn, void *ctx);
/* Called from the loop after a link ended (@why of frame_link's on_end()). NULL = nobody. */
typedef void switch_link_end_fn(void *ctx, enum status why);
void switch_on_link_end(struct switch_ *s, switch_link_end_fn *fn, void *ctx);
/* Called when a forward was made or removed through the API (not by the functions above). */
typedef void switch_forward_change_fn(void *ctx, const struct switch_forward *f, bool removed);
void switch_on_forward_change(struct switch_ *s, switch_forward_change_fn *fn, void *ctx);
/* The source MACs of the guest's side. */
struct switch_neighbour {
    struct mac mac;
    uint64_t seen_ms; /* monotonic */
};
typedef void switch_neighbour_fn(void *ctx, const struct switch_neighbour *n);
void switch_neighbour_each(const struct switch_ *s, switch_neighbour_fn *fn, void *ctx);
/* The IPv4 address of the virtual network that was heard from last (within 300 s), be it of DHCP or
 * not; false: nobody has one. */
bool switch_guest_address(const struct switch_ *s, struct ip_addr *out);
/* Asks that address by ARP, or the configured guest's where none is known: something every kernel
 * answers by itself, so rx_frames soon tells whether somebody is behind the link. */
void switch_ask_guest(struct switch_ *s);
/* The host's network changed: cached answers are forgotten, the resolver reads its servers anew,
 * forwards that wait are tried now. */
void switch_network_changed(struct switch_ *s);

/* ---- the control API (control_api.c), for whoever may reach the control socket ------------- */

/* Serves one connection of it, HTTP: the forwarder API of the gateway's port 80, and dns, dhcp
 * leases, cam, stats, tunnel and capture, which a container may not have. Owns @stream. ST_FULL. */
enum status switch_control_serve(struct switch_ *s, struct stream *stream);

/* ---- DHCP leases (dhcp_server.c) --------------------------------------------------------- */

struct switch_lease {
    struct mac mac;
    struct ip_addr ip;
    bool is_static;
    uint64_t expires_ms; /* monotonic */
};
typedef void switch_lease_fn(void *ctx, const struct switch_lease *l);
/* Those in force now. */
void switch_lease_each(const struct switch_ *s, switch_lease_fn *fn, void *ctx);

#endif
