/* SPDX-License-Identifier: Apache-2.0
 * double_dhcp.c - test double: a switch without a DHCP server. Linked only while rdl_switch itself
 * has none.
 */
#include "switch/switch_internal.h"

enum status dhcp_new(struct switch_ *s)
{
    return ST_OK;
}

void dhcp_free(struct switch_ *s)
{
}

bool dhcp_guest_has_address(const struct switch_ *s)
{
    return false;
}

void dhcp_input(struct switch_ *s, const struct packet *p, const struct udp_header *h,
                const uint8_t *payload, size_t len_bytes)
{
    s->count.drop_no_flow++;
}
