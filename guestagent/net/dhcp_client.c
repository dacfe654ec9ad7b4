/* SPDX-License-Identifier: Apache-2.0
 * THEORY: RFC 2131 4.4 with two simplifications that the place allows, and one addition.
 *
 *   start, no lease            SELECTING --OFFER--> REQUESTING --ACK--> BOUND
 *   start, lease in force      REBOOTING --ACK--> BOUND             | T1
 *   NAK in any state: the lease is gone, SELECTING                  v
 *   lease over:       the lease is gone, SELECTING         RENEWING --T2--> REBINDING
 *
 * The first OFFER is taken: a virtual network has one server. The address is not probed by ARP
 * before it is used: nobody else is on the link. And a link that is lost and found does not cost
 * the address: what was leased is asked for again (REBOOTING), and while nobody answers it stays in
 * use until its time is over, because connections of the guest hang on it.
 *
 * One timer: in BOUND it is T1, in all other states the next repetition. Repetitions start at a
 * quarter of a second, because a host is a process away and the guest waits for its address to
 * boot, and double up to 16 s; each is moved by up to a quarter at random. A NAK does not make the
 * next try come at once: a server that refuses everything would be asked without pause.
 *
 * Everything a server says is bounded by wire/dhcp_answer.c; what makes no lease (an address that
 * no interface can have, a lease of no time) is put right or dropped here, once, in lease_of().
 * UDP checksums are not verified: the link is a reliable stream, and a v2 link leaves them partial.
 */
#include "guestagent/net/dhcp_client.h"

#include "base/log.h"
#include "port/loop.h"
#include "wire/csum.h"
#include "wire/dhcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_REPEAT_MS = 250,
    LAST_REPEAT_MS = 16000,
    REQUEST_TRIES = 4, /* REQUESTING and REBOOTING; then from the start */
    RENEW_REPEAT_MIN_MS = 60000,
    LEASE_MIN_S = 60,
    LEASE_DEFAULT_S = 3600,
    DEFAULT_PREFIX_BITS = 24,
    MTU_MIN = 576,
    FRAME_BYTES = ETH_HEADER_BYTES + IP4_HEADER_BYTES + UDP_HEADER_BYTES + DHCP_QUERY_MAX,
    PROTO_AT = ETH_HEADER_BYTES + 9 /* of an IPv4 packet */
};
#define IP4_BROADCAST 0xffffffffu
#define FOR_EVER_S    UINT32_MAX

enum client_state {
    CLIENT_STOPPED,
    CLIENT_SELECTING,
    CLIENT_REQUESTING,
    CLIENT_BOUND,
    CLIENT_RENEWING,
    CLIENT_REBINDING,
    CLIENT_REBOOTING,
    CLIENT_STATE_COUNT
};

static const char *const state_names[] = {
    [CLIENT_STOPPED] = "stopped",       [CLIENT_SELECTING] = "selecting",
    [CLIENT_REQUESTING] = "requesting", [CLIENT_BOUND] = "bound",
    [CLIENT_RENEWING] = "renewing",     [CLIENT_REBINDING] = "rebinding",
    [CLIENT_REBOOTING] = "rebooting",
};
_Static_assert(ARRAY_SIZE(state_names) == CLIENT_STATE_COUNT, "a name for each state");

struct dhcp_client {
    struct loop *loop;
    struct dhcp_client_config config;
    const struct dhcp_client_ops *ops;
    void *ctx;
    enum client_state state;
    struct timer timer;
    uint32_t xid;
    uint64_t since_ms; /* of the transaction, for "secs" */
    unsigned tries;    /* messages of this state sent */
    unsigned failures; /* rounds without a lease since the last one */
    /* The offer being requested, and the lease in force. */
    struct ip_addr offered, server;
    struct mac server_mac; /* whom to renew with; zero until an ACK came */
    bool has_lease;
    struct guest_lease lease;
    uint64_t renew_ms, rebind_ms, expires_ms; /* monotonic; UINT64_MAX = never */
};

/* ---- sending --------------------------------------------------------------------------------- */

static uint32_t random_number(struct dhcp_client *c)
{
    uint32_t n;

    if (c->config.random(&n, sizeof n) != ST_OK)
        n = c->xid * 2654435761u + (uint32_t)loop_now_ms(c->loop); /* unpredictable is nicer */
    return n;
}

/* UDP, IP and Ethernet around @len_bytes of DHCP. */
static size_t compose(struct dhcp_client *c, uint8_t *frame, const uint8_t *dhcp, size_t len_bytes,
                      const struct ip_addr *src, const struct ip_addr *dst, const struct mac *to)
{
    uint16_t udp_bytes = (uint16_t)(UDP_HEADER_BYTES + len_bytes);
    struct eth_header eth = { .dst = *to, .src = c->config.mac, .type = ETH_TYPE_IP4 };
    struct ip_header ip = {
        .src = *src, .dst = *dst, .proto = IP_PROTO_UDP, .ttl = 64, .payload_bytes = udp_bytes
    };
    struct udp_header udp = { .src_port = DHCP_CLIENT_PORT,
                              .dst_port = DHCP_SERVER_PORT,
                              .payload_bytes = (uint16_t)len_bytes };
    uint8_t head[UDP_HEADER_BYTES];
    struct bytes_out h = bytes_into(head, sizeof head), w = bytes_into(frame, FRAME_BYTES);
    uint64_t sum = csum_pseudo(src, dst, IP_PROTO_UDP, udp_bytes);

    udp_put(&h, &udp);
    udp.checksum = csum_finish(csum_add(csum_add(sum, head, sizeof head), dhcp, len_bytes));
    eth_put(&w, &eth);
    ip4_put(&w, &ip);
    udp_put(&w, &udp);
    bytes_put(&w, dhcp, len_bytes);
    ASSERT(bytes_out_ok(&w));
    return w.len_bytes;
}

/* @unicast: to the server of the lease, from the address of the lease. */
static void send_query(struct dhcp_client *c, struct dhcp_query *q, bool unicast)
{
    static const struct mac everybody = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
    const struct ip_addr nobody = ip_addr_v4(0), all = ip_addr_v4(IP4_BROADCAST);
    uint8_t dhcp[DHCP_QUERY_MAX], frame[FRAME_BYTES];
    struct bytes_out w = bytes_into(dhcp, sizeof dhcp);
    uint64_t secs = (loop_now_ms(c->loop) - c->since_ms) / 1000;
    bool has_address = !ip_addr_is_unspecified(&q->ciaddr);
    size_t len_bytes;

    q->xid = c->xid;
    q->secs = (uint16_t)MIN(secs, (uint64_t)UINT16_MAX);
    q->chaddr = c->config.mac;
    dhcp_put_query(&w, q);
    ASSERT(bytes_out_ok(&w));
    len_bytes = compose(c, frame, dhcp, w.len_bytes, has_address ? &c->lease.ip : &nobody,
                        unicast ? &c->server : &all, unicast ? &c->server_mac : &everybody);
    c->ops->send(c->ctx, frame, len_bytes);
}

static void send_discover(struct dhcp_client *c)
{
    struct dhcp_query q = { .type = DHCP_DISCOVER };

    if (c->has_lease)
        q.requested = c->lease.ip;
    send_query(c, &q, false);
}

static void send_request(struct dhcp_client *c)
{
    struct dhcp_query q = { .type = DHCP_REQUEST };

    switch (c->state) {
    case CLIENT_REQUESTING:
        q.requested = c->offered;
        q.server_id = c->server;
        break;
    case CLIENT_REBOOTING: q.requested = c->lease.ip; break;
    default: q.ciaddr = c->lease.ip; break;
    }
    send_query(c, &q, c->state == CLIENT_RENEWING);
}

/* ---- states ---------------------------------------------------------------------------------- */

/* FIRST_REPEAT_MS doubled @times, moved by up to a quarter either way. */
static uint64_t repeat_delay_ms(struct dhcp_client *c, unsigned times)
{
    uint64_t ms = times < 6 ? (uint64_t)FIRST_REPEAT_MS << times : LAST_REPEAT_MS;

    ms = MIN(ms, (uint64_t)LAST_REPEAT_MS);
    return ms - ms / 4 + random_number(c) % (ms / 2 + 1);
}

static void enter(struct dhcp_client *c, enum client_state state, uint64_t delay_ms)
{
    log_debug(LOG_NET, "dhcp: %s -> %s", state_names[c->state], state_names[state]);
    c->state = state;
    c->tries = 0;
    timer_start(&c->timer, delay_ms);
}

static void begin_transaction(struct dhcp_client *c)
{
    c->xid = random_number(c);
    c->since_ms = loop_now_ms(c->loop);
}

/* From the start; @delay_ms lets a server that refuses everything breathe. */
static void select_anew(struct dhcp_client *c, uint64_t delay_ms)
{
    begin_transaction(c);
    enter(c, CLIENT_SELECTING, delay_ms);
}

static void lose_lease(struct dhcp_client *c, const char *why)
{
    bool had = c->has_lease;

    c->has_lease = false;
    select_anew(c, repeat_delay_ms(c, c->failures++));
    if (had)
        c->ops->on_lost(c->ctx, why);
}

static void repeat(struct dhcp_client *c)
{
    timer_start(&c->timer, repeat_delay_ms(c, c->tries++));
}

/* Half of the time until @until_ms, but no flood near its end. */
static void repeat_before(struct dhcp_client *c, uint64_t until_ms)
{
    uint64_t now = loop_now_ms(c->loop), left = until_ms > now ? until_ms - now : 0;

    timer_start(&c->timer, MIN(MAX(left / 2, (uint64_t)RENEW_REPEAT_MIN_MS), left + 1));
}

static bool lease_is_over(const struct dhcp_client *c)
{
    return c->has_lease && loop_now_ms(c->loop) >= c->expires_ms;
}

/* BOUND, RENEWING, REBINDING: where the clock says we are. */
static void follow_lease(struct dhcp_client *c)
{
    uint64_t now = loop_now_ms(c->loop);

    if (c->state == CLIENT_BOUND && now >= c->renew_ms) {
        begin_transaction(c);
        c->state = CLIENT_RENEWING;
    }
    if (c->state == CLIENT_RENEWING && now >= c->rebind_ms)
        c->state = CLIENT_REBINDING;
    if (c->state == CLIENT_BOUND) {
        timer_start(&c->timer, c->renew_ms - now);
        return;
    }
    repeat_before(c, c->state == CLIENT_RENEWING ? c->rebind_ms : c->expires_ms);
    send_request(c);
}

static void on_timer(void *ctx)
{
    struct dhcp_client *c = ctx;

    if (lease_is_over(c)) {
        lose_lease(c, "the lease ran out");
        return;
    }
    switch (c->state) {
    case CLIENT_SELECTING:
        repeat(c);
        send_discover(c);
        break;
    case CLIENT_REQUESTING:
    case CLIENT_REBOOTING:
        if (c->tries == REQUEST_TRIES) {
            select_anew(c, 0);
            break;
        }
        repeat(c);
        send_request(c);
        break;
    case CLIENT_BOUND:
    case CLIENT_RENEWING:
    case CLIENT_REBINDING: follow_lease(c); break;
    case CLIENT_STOPPED:
    case CLIENT_STATE_COUNT: break;
    }
}

/* ---- what servers say ------------------------------------------------------------------------ */

static unsigned prefix_bits_of(const struct ip_addr *mask)
{
    uint32_t m = ip_addr_to_v4(mask);
    unsigned bits = 0;

    while (bits < 32 && (m << bits) >> 31)
        bits++;
    return bits ? bits : DEFAULT_PREFIX_BITS;
}

static bool is_usable(const struct ip_addr *a)
{
    return ip_addr_to_v4(a) >> 24 != 0 && !ip_addr_is_multicast(a) && !ip_addr_is_loopback(a) &&
           ip_addr_to_v4(a) >> 28 != 0xf;
}

/* False: nobody can use that. */
static bool lease_of(struct guest_lease *out, const struct dhcp_answer *a)
{
    struct guest_lease l = { .ip = a->yiaddr,
                             .prefix_bits = prefix_bits_of(&a->mask),
                             .gateway = ip_addr_v4(0),
                             .dns = ip_addr_v4(0) };

    if (!is_usable(&l.ip))
        return false;
    if (is_usable(&a->router) && ip_addr_in_prefix(&a->router, &l.ip, l.prefix_bits))
        l.gateway = a->router;
    if (is_usable(&a->dns))
        l.dns = a->dns;
    if (a->mtu >= MTU_MIN)
        l.mtu = a->mtu;
    snprintf(l.search, sizeof l.search, "%s", a->search);
    *out = l;
    return true;
}

static void set_times(struct dhcp_client *c, const struct dhcp_answer *a)
{
    uint64_t now = loop_now_ms(c->loop);
    uint64_t lease_s = a->lease_s ? MAX(a->lease_s, (uint32_t)LEASE_MIN_S) : LEASE_DEFAULT_S;
    uint64_t rebind_s = a->rebind_s && a->rebind_s < lease_s ? a->rebind_s : lease_s * 7 / 8;
    uint64_t renew_s = a->renew_s && a->renew_s < rebind_s ? a->renew_s : rebind_s * 4 / 7;

    c->renew_ms = c->rebind_ms = c->expires_ms = UINT64_MAX;
    if (a->lease_s == FOR_EVER_S)
        return;
    c->renew_ms = now + renew_s * 1000;
    c->rebind_ms = now + rebind_s * 1000;
    c->expires_ms = now + lease_s * 1000;
}

static void on_offer(struct dhcp_client *c, const struct dhcp_answer *a)
{
    if (c->state != CLIENT_SELECTING || !is_usable(&a->yiaddr))
        return;
    c->offered = a->yiaddr;
    c->server = a->server_id;
    enter(c, CLIENT_REQUESTING, 0);
}

static void on_ack(struct dhcp_client *c, const struct dhcp_answer *a, const struct mac *from)
{
    struct guest_lease lease;
    bool is_news;

    if (c->state == CLIENT_SELECTING || c->state == CLIENT_BOUND || !lease_of(&lease, a))
        return;
    is_news = !c->has_lease || !guest_lease_equal(&lease, &c->lease);
    c->has_lease = true;
    c->lease = lease;
    c->server = a->server_id;
    c->server_mac = *from;
    c->failures = 0;
    set_times(c, a);
    c->state = CLIENT_BOUND;
    if (c->renew_ms == UINT64_MAX)
        timer_stop(&c->timer);
    else
        timer_start(&c->timer, c->renew_ms - loop_now_ms(c->loop));
    if (is_news)
        c->ops->on_lease(c->ctx, &c->lease);
}

static void on_nak(struct dhcp_client *c)
{
    if (c->state == CLIENT_SELECTING || c->state == CLIENT_BOUND)
        return;
    log_warn_limited(LOG_NET, "dhcp: the host refused the address; asking for another one");
    lose_lease(c, "the host refused the address");
}

/* The DHCP message of a frame that is a server's. */
static enum status decode(struct dhcp_answer *out, struct eth_header *eth, const uint8_t *frame,
                          size_t len_bytes)
{
    struct bytes r = bytes_of(frame, len_bytes);
    struct ip_header ip;
    struct udp_header udp;

    if (len_bytes < PROTO_AT + 1u || frame[PROTO_AT] != IP_PROTO_UDP)
        return ST_NOTFOUND; /* every frame of the guest passes here */
    if (eth_decode(eth, &r) || eth->type != ETH_TYPE_IP4 || ip4_decode(&ip, &r))
        return ST_NOTFOUND;
    if (ip.proto != IP_PROTO_UDP || ip.more_fragments || ip.fragment_offset || udp_decode(&udp, &r))
        return ST_NOTFOUND;
    if (udp.src_port != DHCP_SERVER_PORT || udp.dst_port != DHCP_CLIENT_PORT)
        return ST_NOTFOUND;
    return dhcp_decode_answer(out, &r);
}

bool dhcp_client_input(struct dhcp_client *c, const uint8_t *frame, size_t len_bytes)
{
    struct dhcp_answer a;
    struct eth_header eth;

    if (c->state == CLIENT_STOPPED || decode(&a, &eth, frame, len_bytes) != ST_OK ||
        a.xid != c->xid || !mac_equal(&a.chaddr, &c->config.mac))
        return false;
    switch (a.type) {
    case DHCP_OFFER: on_offer(c, &a); break;
    case DHCP_ACK: on_ack(c, &a, &eth.src); break;
    default: on_nak(c); break;
    }
    return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

enum status dhcp_client_new(struct dhcp_client **out, struct loop *loop,
                            const struct dhcp_client_config *config,
                            const struct dhcp_client_ops *ops, void *ctx)
{
    struct dhcp_client *c = calloc(1, sizeof *c);

    if (!c)
        return ST_NOMEM;
    c->loop = loop;
    c->config = *config;
    c->ops = ops;
    c->ctx = ctx;
    timer_init(&c->timer, loop, on_timer, c);
    *out = c;
    return ST_OK;
}

void dhcp_client_start(struct dhcp_client *c)
{
    begin_transaction(c);
    c->failures = 0;
    enter(c, c->has_lease ? CLIENT_REBOOTING : CLIENT_SELECTING, 0);
}

void dhcp_client_stop(struct dhcp_client *c)
{
    timer_stop(&c->timer);
    c->state = CLIENT_STOPPED;
}

bool dhcp_client_is_bound(const struct dhcp_client *c)
{
    return c->has_lease;
}

const char *dhcp_client_state_name(const struct dhcp_client *c)
{
    return state_names[c->state];
}

void dhcp_client_free(struct dhcp_client *c)
{
    if (!c)
        return;
    timer_stop(&c->timer);
    free(c);
}
