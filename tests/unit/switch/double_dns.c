/* SPDX-License-Identifier: Apache-2.0
 * double_dns.c - test double: a switch without a DNS server. Linked only while rdl_switch itself
 * has none.
 */
#include "switch/switch_internal.h"

enum status dns_new(struct switch_ *s)
{
    return ST_OK;
}

void dns_free(struct switch_ *s)
{
}

void dns_input(struct switch_ *s, const struct packet *p, const struct udp_header *h,
               const uint8_t *payload, size_t len_bytes)
{
    s->count.drop_no_flow++;
}
