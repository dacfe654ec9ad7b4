/* SPDX-License-Identifier: Apache-2.0
 * RFC 826 with the only pair of types there is here: Ethernet and IPv4.
 */
#include "wire/wire.h"
#include "wire/wire_internal.h"

#include <string.h>

/* Hardware type 1, protocol type 0x0800, lengths 6 and 4. */
static const uint8_t ethernet_ip4[6] = { 0, 1, 8, 0, 6, 4 };

enum status arp_decode(struct arp_packet *out, struct bytes *r)
{
    const uint8_t *p = bytes_take(r, ARP_BYTES);
    uint16_t op;

    if (!p || memcmp(p, ethernet_ip4, sizeof ethernet_ip4) != 0)
        return ST_PROTO;
    op = field_be16(p + 6);
    if (op != ARP_REQUEST && op != ARP_REPLY)
        return ST_PROTO;
    out->op = op;
    memcpy(out->sender_mac.b, p + 8, 6);
    out->sender = ip_addr_of_v4(p + 14);
    memcpy(out->target_mac.b, p + 18, 6);
    out->target = ip_addr_of_v4(p + 24);
    return ST_OK;
}

void arp_put(struct bytes_out *w, const struct arp_packet *p)
{
    uint8_t b[ARP_BYTES];

    memcpy(b, ethernet_ip4, sizeof ethernet_ip4);
    field_set_be16(b + 6, p->op);
    memcpy(b + 8, p->sender_mac.b, 6);
    field_set_be32(b + 14, ip_addr_to_v4(&p->sender));
    memcpy(b + 18, p->target_mac.b, 6);
    field_set_be32(b + 24, ip_addr_to_v4(&p->target));
    bytes_put(w, b, sizeof b);
}
