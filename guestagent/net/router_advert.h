/* SPDX-License-Identifier: Apache-2.0
 * router_advert.h - what the host's switch says about IPv6, read from the link's frames. Pure.
 */
#ifndef GUESTAGENT_NET_ROUTER_ADVERT_H
#define GUESTAGENT_NET_ROUTER_ADVERT_H

#include "guestagent/net/guest_net.h"

/* Whether @frame is a router's advertisement with a /64 to make an address of: that of @mac. */
bool router_advert_read(struct guest_router *out, const struct mac *mac, const uint8_t *frame,
                        size_t len_bytes);

#endif
