/* SPDX-License-Identifier: Apache-2.0
 * THEORY: a page of evil.example, whose name first has an address of the internet and a second
 * later 192.168.1.1, makes a browser talk to the router as if it were that page. Who resolves names
 * can see it: a name that anybody can make has an address that only this network has.
 *
 * Companies do the same on purpose, with names of their own and addresses behind a VPN, so what is
 * the host's search domain is trusted, and what happens is a policy (switch_config.dns_rebind):
 * told (the default), refused by an answer without addresses, or not looked at.
 */
#include "switch/dns_rebind.h"

#include "base/util.h"

#include <string.h>

bool dns_rebind_is_private(const struct ip_addr *a)
{
    static const struct {
        const char *net;
        unsigned bits;
    } nets[] = { { "0.0.0.0", 8 },     { "10.0.0.0", 8 },     { "100.64.0.0", 10 },
                 { "172.16.0.0", 12 }, { "192.168.0.0", 16 }, { "fc00::", 7 } };

    if (ip_addr_is_unspecified(a) || ip_addr_is_loopback(a) || ip_addr_is_link_local(a))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(nets); i++) {
        struct ip_addr net;

        if (ip_addr_parse(&net, nets[i].net) == ST_OK && ip_addr_is_v4(&net) == ip_addr_is_v4(a) &&
            ip_addr_in_prefix(a, &net, nets[i].bits))
            return true;
    }
    return false;
}

static bool is_below(const struct dns_question *q, const char *domain)
{
    uint8_t name[DNS_NAME_MAX];
    size_t n = dns_name_encode(name, domain);

    return n > 1 && dns_name_is_below(q->key, q->name_bytes, name, n);
}

static bool is_below_any(const struct dns_question *q, const char *domains)
{
    static const char separators[] = " ,";
    char domain[DNS_NAME_MAX + 1];

    while (*(domains += strspn(domains, separators))) {
        size_t n = strcspn(domains, separators);

        if (n < sizeof domain) {
            memcpy(domain, domains, n);
            domain[n] = '\0';
            if (is_below(q, domain))
                return true;
        }
        domains += n;
    }
    return false;
}

bool dns_rebind_is_public(const struct dns_question *q, const char *search_domains)
{
    /* RFC 6761, 6762 (and its appendix G), 7686, 8375, and ICANN's .internal. */
    static const char kept[] = "internal local localhost test invalid onion home.arpa "
                               "lan home corp private intranet";
    bool is_single = q->name_bytes < 2 || (size_t)q->key[0] + 2 == q->name_bytes;

    return !is_single && !is_below_any(q, kept) && !is_below_any(q, search_domains);
}
