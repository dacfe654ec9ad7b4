/* SPDX-License-Identifier: Apache-2.0
 * THEORY: the guest's kernel configures IPv6 from router advertisements by itself, until it
 * forwards: then it takes away the default route it had made and hears no more of them. An engine
 * turns forwarding on for its first network with IPv6, and accept_ra=2 is not ours to set (the unit
 * has no /proc/sys). So the same address and route are put there as lasting ones, with each
 * advertisement anew; the kernel's own, while it has them, come first.
 *
 * A frame counts by the rules of RFC 4861 6.1.2: hop limit 255, so nobody behind a router sent it,
 * a link-local source, a right checksum. A router that says it is none (lifetime 0) is not taken,
 * nor one without a prefix of 64 bits (RFC 4862 5.5.3 and RFC 2464 4: the rest is the MAC's).
 */
#include "guestagent/net/router_advert.h"

#include "wire/csum.h"

#include <string.h>

enum { HOP_LIMIT = 255, PREFIX_BITS = 64 };

/* fd00:72:64::/64 and 5a:94:ef:e4:0c:ee: fd00:72:64:0:5894:efff:fee4:cee */
static struct ip_addr address_of(const struct ip_addr *prefix, const struct mac *mac)
{
    uint8_t b[16];

    memcpy(b, prefix->b, 8);
    b[8] = mac->b[0] ^ 2;
    b[9] = mac->b[1];
    b[10] = mac->b[2];
    b[11] = 0xff;
    b[12] = 0xfe;
    memcpy(b + 13, mac->b + 3, 3);
    return ip_addr_of_v6(b);
}

bool router_advert_read(struct guest_router *out, const struct mac *mac, const uint8_t *frame,
                        size_t len_bytes)
{
    struct bytes r = bytes_of(frame, len_bytes);
    struct ndp_router router;
    struct icmp_header icmp;
    struct eth_header eth;
    struct ip_header ip;
    uint64_t sum;

    if (eth_decode(&eth, &r) || eth.type != ETH_TYPE_IP6 || ip6_decode(&ip, &r))
        return false;
    if (ip.proto != IP_PROTO_ICMP6 || ip.ttl != HOP_LIMIT || ip.more_fragments ||
        ip.fragment_offset || ip_addr_is_v4(&ip.src) || !ip_addr_is_link_local(&ip.src))
        return false;
    sum = csum_pseudo(&ip.src, &ip.dst, ip.proto, (uint32_t)r.left);
    if (csum_finish(csum_add(sum, r.p, r.left)) != 0 || icmp_decode(&icmp, &r) ||
        icmp.type != ICMP6_ROUTER_ADVERT || icmp.code != 0 ||
        ndp_router_decode(&router, icmp.rest, &r))
        return false;
    if (router.lifetime_s == 0 || ip_addr_is_unspecified(&router.prefix) ||
        router.prefix_bits != PREFIX_BITS || router.prefix_lifetime_s == 0)
        return false;
    *out = (struct guest_router){ .gateway = ip.src,
                                  .ip = address_of(&router.prefix, mac),
                                  .prefix_bits = PREFIX_BITS };
    return true;
}
