/* SPDX-License-Identifier: Apache-2.0
 * THEORY: the DHCP server of the virtual network (RFC 2131), the only one there, so it is
 * authoritative: a client that comes with an address we do not know (after a restart of this
 * process) gets it when it is free, and a NAK, at once, when it is not.
 *
 *   DISCOVER                         OFFER, address reserved for a minute
 *   REQUEST  server id = ours        SELECTING: ACK or NAK
 *            server id = another's   our offer is withdrawn, silence
 *            requested, no ciaddr    INIT-REBOOT: ACK or NAK
 *            ciaddr                  RENEWING (unicast) or REBINDING (broadcast): ACK or NAK
 *   DECLINE  the address is set aside for ten minutes      RELEASE  it is free at once
 *   INFORM   ACK without an address or a lease
 *
 * Where the answer goes (RFC 2131 4.1): to the relay when giaddr is set; a NAK else always to
 * everybody; then to ciaddr; then to everybody if the client asks for that; else to the new
 * address at the client's MAC, which is told to the neighbour table because nobody can answer ARP
 * for that address yet. An address outside of the network is never sent to, whatever the message
 * says. Answers are composed on the stack; nothing is allocated after dhcp_new().
 */
#include "switch/dhcp_leases.h"
#include "switch/switch_internal.h"
#include "wire/dhcp.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct dhcp_server {
    struct dhcp_leases leases;
    char domain[256]; /* the first of the search domains */
};

enum status dhcp_new(struct switch_ *s)
{
    struct dhcp_server *d = calloc(1, sizeof *d);
    const char *first = s->config.search_domains + strspn(s->config.search_domains, " ,");

    if (!d)
        return ST_NOMEM;
    dhcp_leases_init(&d->leases, &s->config);
    memcpy(d->domain, first, strcspn(first, " ,"));
    s->dhcp = d;
    return ST_OK;
}

void dhcp_free(struct switch_ *s)
{
    free(s->dhcp);
    s->dhcp = NULL;
}

bool dhcp_guest_has_address(const struct switch_ *s)
{
    return s->dhcp && dhcp_leases_is_bound(&s->dhcp->leases, ip_addr_to_v4(&s->config.guest),
                                           loop_now_ms(s->env.loop));
}

void switch_lease_each(const struct switch_ *s, switch_lease_fn *fn, void *ctx)
{
    uint64_t now_ms = loop_now_ms(s->env.loop);

    for (unsigned i = 0; i < s->dhcp->leases.count; i++) {
        const struct dhcp_lease *r = &s->dhcp->leases.rows[i];
        struct switch_lease l = { .mac = r->mac, .is_static = r->is_static };

        if (r->state != DHCP_LEASE_BOUND || r->expires_ms <= now_ms)
            continue;
        l.ip = ip_addr_v4(r->ip);
        l.expires_ms = r->expires_ms;
        fn(ctx, &l);
    }
}

/* ---- answers ----------------------------------------------------------------------------- */

/* A host's address in the network; not the gateway's, so that nothing is sent in a circle. */
static bool is_client_address(const struct switch_ *s, const struct ip_addr *a)
{
    return ip_addr_is_v4(a) && nat_is_guest(s, a);
}

static struct ip_endpoint answer_to(struct switch_ *s, const struct dhcp_message *m,
                                    const struct dhcp_reply *r)
{
    struct ip_endpoint to = { ip_addr_v4(0xffffffffu), DHCP_CLIENT_PORT };

    if (!ip_addr_is_unspecified(&m->giaddr)) {
        to.addr = m->giaddr;
        to.port = DHCP_SERVER_PORT;
    } else if (r->type == DHCP_NAK) {
        return to;
    } else if (is_client_address(s, &m->ciaddr)) {
        to.addr = m->ciaddr;
    } else if (!m->broadcast && !ip_addr_is_unspecified(&r->yiaddr)) {
        neigh_learn(s, &m->chaddr, &r->yiaddr);
        to.addr = r->yiaddr;
    }
    return to;
}

static void send_reply(struct switch_ *s, const struct dhcp_message *m, const struct dhcp_reply *r)
{
    struct ip_endpoint from = { s->config.gateway, DHCP_SERVER_PORT };
    struct ip_endpoint to = answer_to(s, m, r);
    uint8_t buf[DHCP_REPLY_MAX];
    struct bytes_out w = bytes_into(buf, sizeof buf);

    dhcp_put(&w, r);
    ASSERT(bytes_out_ok(&w));
    out_udp(s, &from, &to, buf, w.len_bytes);
}

static struct dhcp_reply reply_to(const struct switch_ *s, const struct dhcp_message *m,
                                  enum dhcp_type type)
{
    return (struct dhcp_reply){ .type = type,
                                .xid = m->xid,
                                .broadcast = m->broadcast,
                                .giaddr = m->giaddr,
                                .chaddr = m->chaddr,
                                .server_id = s->config.gateway,
                                .client_id = m->client_id,
                                .client_id_bytes = m->client_id_bytes };
}

static void add_network(const struct switch_ *s, struct dhcp_reply *r)
{
    r->mask = ip_addr_v4(~(0xffffffffu >> s->config.prefix_bits));
    r->router = s->config.gateway;
    r->dns = s->config.gateway;
    r->mtu = (uint16_t)s->config.mtu;
    if (s->dhcp->domain[0]) {
        r->domain = s->dhcp->domain;
        r->search = s->config.search_domains;
    }
}

static void send_address(struct switch_ *s, const struct dhcp_message *m, enum dhcp_type type,
                         uint32_t ip)
{
    struct dhcp_reply r = reply_to(s, m, type);

    r.yiaddr = ip_addr_v4(ip);
    if (type == DHCP_ACK)
        r.ciaddr = m->ciaddr;
    r.lease_s = DHCP_LEASE_S;
    add_network(s, &r);
    send_reply(s, m, &r);
}

static void send_nak(struct switch_ *s, const struct dhcp_message *m)
{
    struct dhcp_reply r = reply_to(s, m, DHCP_NAK);

    r.broadcast = m->broadcast || !ip_addr_is_unspecified(&m->giaddr); /* RFC 2131 4.3.2 */
    s->count.dhcp_naks++;
    send_reply(s, m, &r);
}

/* ---- what clients say -------------------------------------------------------------------- */

static void on_discover(struct switch_ *s, const struct dhcp_message *m)
{
    uint32_t ip;

    if (dhcp_leases_offer(&s->dhcp->leases, &m->chaddr, ip_addr_to_v4(&m->requested),
                          switch_now_ms(s), &ip)) {
        s->count.dhcp_limit_hits++;
        log_warn_limited(LOG_SWITCH, "dhcp: every address is taken, a client gets none");
        return;
    }
    s->count.dhcp_offers++;
    send_address(s, m, DHCP_OFFER, ip);
}

static void on_request(struct switch_ *s, const struct dhcp_message *m)
{
    bool has_server = !ip_addr_is_unspecified(&m->server_id);
    bool is_renewal = !ip_addr_is_unspecified(&m->ciaddr);
    uint32_t ip = ip_addr_to_v4(is_renewal ? &m->ciaddr : &m->requested);

    if (has_server && !ip_addr_equal(&m->server_id, &s->config.gateway)) {
        dhcp_leases_forget_offer(&s->dhcp->leases, &m->chaddr);
        return;
    }
    if (!dhcp_leases_bind(&s->dhcp->leases, &m->chaddr, ip, switch_now_ms(s))) {
        send_nak(s, m);
        return;
    }
    s->count.dhcp_acks++;
    send_address(s, m, DHCP_ACK, ip);
}

static void on_decline(struct switch_ *s, const struct dhcp_message *m)
{
    char text[IP_ADDR_TEXT_MAX];

    if (dhcp_leases_decline(&s->dhcp->leases, &m->chaddr, ip_addr_to_v4(&m->requested),
                            switch_now_ms(s)))
        log_warn_limited(LOG_SWITCH, "dhcp: %s is in use by somebody else, set aside",
                         ip_addr_format(&m->requested, text));
}

static void on_inform(struct switch_ *s, const struct dhcp_message *m)
{
    struct dhcp_reply r = reply_to(s, m, DHCP_ACK);

    if (!is_client_address(s, &m->ciaddr)) {
        s->count.drop_malformed++;
        return;
    }
    r.ciaddr = m->ciaddr;
    add_network(s, &r);
    s->count.dhcp_acks++;
    send_reply(s, m, &r);
}

void dhcp_input(struct switch_ *s, const struct packet *p, const struct udp_header *h,
                const uint8_t *payload, size_t len_bytes)
{
    struct bytes r = bytes_of(payload, len_bytes);
    struct dhcp_message m;

    (void)p;
    if (h->dst_port != DHCP_SERVER_PORT || dhcp_decode(&m, &r) || mac_is_multicast(&m.chaddr) ||
        (!ip_addr_is_unspecified(&m.giaddr) && !is_client_address(s, &m.giaddr))) {
        s->count.drop_malformed++;
        return;
    }
    switch (m.type) {
    case DHCP_DISCOVER: on_discover(s, &m); break;
    case DHCP_REQUEST: on_request(s, &m); break;
    case DHCP_DECLINE: on_decline(s, &m); break;
    case DHCP_RELEASE:
        dhcp_leases_release(&s->dhcp->leases, &m.chaddr, ip_addr_to_v4(&m.ciaddr));
        break;
    case DHCP_INFORM: on_inform(s, &m); break;
    case DHCP_OFFER:
    case DHCP_ACK:
    case DHCP_NAK: /* a server's words */ s->count.drop_malformed++; break;
    }
}
