/* SPDX-License-Identifier: Apache-2.0
 * resolv_conf.h - the name servers of a resolv.conf. Pure.
 */
#ifndef SHARED_PORT_RESOLV_CONF_H
#define SHARED_PORT_RESOLV_CONF_H

#include "base/ip_addr.h"

#include <stddef.h>

/* As many as the C library takes. */
enum { NAME_SERVERS_MAX = 3 };

struct name_servers {
    struct ip_addr at[NAME_SERVERS_MAX];
    unsigned count;
};

/* Takes the `nameserver` lines of @text in order; lines it does not understand, addresses with a
 * zone ("fe80::1%eth0", which a socket without an interface cannot reach) and everything beyond
 * the third are passed over. Without any: 127.0.0.1, as the C library does. */
void resolv_conf_parse(struct name_servers *out, const char *text, size_t len_bytes);

#endif
