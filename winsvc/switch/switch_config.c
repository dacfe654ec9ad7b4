/* SPDX-License-Identifier: Apache-2.0
 * switch_config.c - what is not given is derived, then all of it is checked.
 *
 * Addresses follow Rancher's rule: of the network's own address + 1 is the gateway, + 2 the guest,
 * + 254 the host alias. That rule was written for /24; in a network too small to hold + 254 the
 * host alias is the last usable address (/29: .1, .2, .6), in a larger one it stays + 254. All
 * three must be different, inside the network, and neither its first nor its last address, whether
 * derived or given. An address inside the network is taken for the network (192.168.127.9/24).
 */
#include "switch/switch.h"

#include <string.h>

enum { HOST_OFFSET = 254, MIN_PREFIX_BITS = 8, MAX_PREFIX_BITS = 29, PREFIX6_BYTES = 8 };
enum { DEFAULT_MTU = 1500, MIN_MTU4 = 576, MIN_MTU6 = 1280, MAX_MTU = 65520 };

static const struct mac default_gateway_mac = { { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xdd } };
static const struct mac default_guest_mac = { { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xee } };
static const struct mac no_mac;

/* ---- IPv4 -------------------------------------------------------------------------------- */

static uint32_t mask_of(unsigned prefix_bits)
{
    return UINT32_MAX << (32 - prefix_bits);
}

static enum status check_net(const struct switch_config *c, struct errmsg *e)
{
    char text[IP_ADDR_TEXT_MAX];

    if (c->prefix_bits < MIN_PREFIX_BITS || c->prefix_bits > MAX_PREFIX_BITS) {
        errmsg_set(e, "network: prefix /%u is not between /%d and /%d", c->prefix_bits,
                   MIN_PREFIX_BITS, MAX_PREFIX_BITS);
        return ST_INVAL;
    }
    if (ip_addr_is_v4(&c->net) && ip_addr_to_v4(&c->net) >> 24 != 0 &&
        ip_addr_to_v4(&c->net) >> 28 != 0xf && !ip_addr_is_loopback(&c->net) &&
        !ip_addr_is_link_local(&c->net) && !ip_addr_is_multicast(&c->net))
        return ST_OK;
    errmsg_set(e, "network: %s is no usable IPv4 network", ip_addr_format(&c->net, text));
    return ST_INVAL;
}

static enum status check_own(const struct switch_config *c, const char *name,
                             const struct ip_addr *a, struct errmsg *e)
{
    char text[IP_ADDR_TEXT_MAX];
    uint32_t host_bits;

    if (!ip_addr_in_prefix(a, &c->net, c->prefix_bits)) {
        errmsg_set(e, "%s: %s is outside the network", name, ip_addr_format(a, text));
        return ST_INVAL;
    }
    host_bits = ip_addr_to_v4(a) & ~mask_of(c->prefix_bits);
    if (host_bits == 0 || host_bits == ~mask_of(c->prefix_bits)) {
        errmsg_set(e, "%s: %s is the network's first or last address", name,
                   ip_addr_format(a, text));
        return ST_INVAL;
    }
    return ST_OK;
}

static void derive(struct switch_config *c)
{
    uint32_t mask = mask_of(c->prefix_bits), net = ip_addr_to_v4(&c->net) & mask;
    uint32_t last_usable = (net | ~mask) - 1;

    c->net = ip_addr_v4(net);
    if (ip_addr_is_unspecified(&c->gateway))
        c->gateway = ip_addr_v4(net + 1);
    if (ip_addr_is_unspecified(&c->guest))
        c->guest = ip_addr_v4(net + 2);
    if (ip_addr_is_unspecified(&c->host))
        c->host = ip_addr_v4(MIN(net + HOST_OFFSET, last_usable));
}

static enum status finish_ip4(struct switch_config *c, struct errmsg *e)
{
    enum status st;

    if (ip_addr_is_unspecified(&c->net))
        c->net = ip_addr_v4(0xc0a87f00);
    if (c->prefix_bits == 0)
        c->prefix_bits = 24;
    st = check_net(c, e);
    if (st)
        return st;
    derive(c);
    st = check_own(c, "gateway", &c->gateway, e);
    if (!st)
        st = check_own(c, "guest", &c->guest, e);
    if (!st)
        st = check_own(c, "host alias", &c->host, e);
    if (st)
        return st;
    if (ip_addr_equal(&c->gateway, &c->guest) || ip_addr_equal(&c->gateway, &c->host) ||
        ip_addr_equal(&c->guest, &c->host)) {
        errmsg_set(e, "gateway, guest and host alias must be three different addresses");
        return ST_INVAL;
    }
    return ST_OK;
}

/* ---- DHCP: search domains, static leases --------------------------------------------------- */

enum { LABEL_MAX = 63, DOMAIN_MAX = 253 };

static bool is_name_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* "corp.example": what every guest's resolv.conf takes. */
static bool is_domain(const char *name, size_t len)
{
    size_t label = 0;

    for (size_t i = 0; i < len; i++) {
        if (name[i] == '.' ? label == 0 : !is_name_letter(name[i]) || label == LABEL_MAX)
            return false;
        label = name[i] == '.' ? 0 : label + 1;
    }
    return len <= DOMAIN_MAX && label > 0;
}

enum status switch_config_check_search(const char *domains, struct errmsg *e)
{
    static const char between[] = " ,";

    for (const char *p = domains + strspn(domains, between); *p; p += strspn(p, between)) {
        size_t len = strcspn(p, between);

        if (!is_domain(p, len)) {
            errmsg_set(e, "'%.*s' is no domain such as corp.example", (int)MIN(len, 60u), p);
            return ST_INVAL;
        }
        p += len;
    }
    return ST_OK;
}

static enum status check_lease(const struct switch_config *c, unsigned at, struct errmsg *e)
{
    const struct switch_static_lease *l = &c->static_leases[at];
    char text[IP_ADDR_TEXT_MAX];
    enum status st = check_own(c, "static-lease", &l->ip, e);
    bool is_taken = ip_addr_equal(&l->ip, &c->gateway) || ip_addr_equal(&l->ip, &c->host) ||
                    ip_addr_equal(&l->ip, &c->guest) || mac_equal(&l->mac, &c->guest_mac) ||
                    mac_equal(&l->mac, &c->gateway_mac);

    if (st)
        return st;
    for (unsigned i = 0; i < at; i++)
        is_taken |= ip_addr_equal(&l->ip, &c->static_leases[i].ip) ||
                    mac_equal(&l->mac, &c->static_leases[i].mac);
    if (!is_taken && !mac_is_multicast(&l->mac) && !mac_equal(&l->mac, &no_mac))
        return ST_OK;
    errmsg_set(e, "static-lease: %s or its MAC is somebody else's already",
               ip_addr_format(&l->ip, text));
    return ST_INVAL;
}

static enum status finish_dhcp(struct switch_config *c, struct errmsg *e)
{
    enum status st = switch_config_check_search(c->search_domains, e);

    if (st)
        errmsg_wrap(e, "search domains");
    for (unsigned i = 0; !st && i < c->static_lease_count; i++)
        st = check_lease(c, i, e);
    return st;
}

/* ---- IPv6, MACs, MTU --------------------------------------------------------------------- */

static enum status finish_ip6(struct switch_config *c, struct errmsg *e)
{
    static const uint8_t preset[16] = { 0xfd, 0x00, 0x00, 0x72, 0x00, 0x64 };
    char text[IP_ADDR_TEXT_MAX];

    if (ip_addr_is_unspecified(&c->net6))
        c->net6 = ip_addr_of_v6(preset);
    memset(c->net6.b + PREFIX6_BYTES, 0, sizeof c->net6.b - PREFIX6_BYTES);
    if (!ip_addr_is_v4(&c->net6) && !ip_addr_is_unspecified(&c->net6) &&
        !ip_addr_is_link_local(&c->net6) && !ip_addr_is_multicast(&c->net6))
        return ST_OK;
    errmsg_set(e, "IPv6 network: %s is no usable /64", ip_addr_format(&c->net6, text));
    return ST_INVAL;
}

static enum status finish_macs(struct switch_config *c, struct errmsg *e)
{
    if (mac_equal(&c->gateway_mac, &no_mac))
        c->gateway_mac = default_gateway_mac;
    if (mac_equal(&c->guest_mac, &no_mac))
        c->guest_mac = default_guest_mac;
    if (!mac_is_multicast(&c->gateway_mac) && !mac_is_multicast(&c->guest_mac) &&
        !mac_equal(&c->gateway_mac, &c->guest_mac))
        return ST_OK;
    errmsg_set(e, "gateway and guest need two different MACs that are not multicast");
    return ST_INVAL;
}

static enum status finish_mtu(struct switch_config *c, struct errmsg *e)
{
    unsigned least = c->ip6 ? MIN_MTU6 : MIN_MTU4;

    if (c->mtu == 0)
        c->mtu = DEFAULT_MTU;
    if (c->mtu >= least && c->mtu <= MAX_MTU)
        return ST_OK;
    errmsg_set(e, "MTU: %u is not between %u and %d", c->mtu, least, MAX_MTU);
    return ST_INVAL;
}

enum status switch_config_finish(struct switch_config *c, struct errmsg *e)
{
    struct switch_config done = *c;
    enum status st = finish_ip4(&done, e);

    if (!st)
        st = finish_ip6(&done, e);
    if (!st)
        st = finish_macs(&done, e);
    if (!st)
        st = finish_dhcp(&done, e);
    if (!st)
        st = finish_mtu(&done, e);
    if (!st)
        st = switch_limits_finish(&done.limits, e);
    if (!st)
        *c = done;
    return st;
}
