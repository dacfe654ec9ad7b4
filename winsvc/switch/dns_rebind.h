/* SPDX-License-Identifier: Apache-2.0
 * dns_rebind.h - which names may not lead to private addresses (DNS rebinding): those that anybody
 * on the internet can make. Pure.
 */
#ifndef WINSVC_SWITCH_DNS_REBIND_H
#define WINSVC_SWITCH_DNS_REBIND_H

#include "switch/dns_message.h"

#include <stdbool.h>

/* An address that only this machine or its networks have: loopback, unspecified, link-local,
 * private (RFC 1918, 4193) or shared (RFC 6598). */
bool dns_rebind_is_private(const struct ip_addr *a);
/* Not a single label, not below a top-level domain kept for private use, and not below one of
 * @search_domains (separated by spaces or commas), which are the host's own. */
bool dns_rebind_is_public(const struct dns_question *q, const char *search_domains);

#endif
