/* SPDX-License-Identifier: Apache-2.0
 * guest_files.h - resolv.conf and hosts of the guest, as Rancher's DHCP script leaves them.
 * Private to linux/. Statuses: file_put()'s. Both may be called again and again.
 */
#ifndef GUESTAGENT_LINUX_GUEST_FILES_H
#define GUESTAGENT_LINUX_GUEST_FILES_H

#include "base/ip_addr.h"
#include "base/status.h"

/* The whole of resolv.conf at @path: a line "search" (none when @search is ""), one "nameserver".
 * ST_INVAL: @search, which the host said, has what is no list of domain names; the server was
 * written without it. */
enum status guest_files_put_resolver(const char *path, const struct ip_addr *server,
                                     const char *search, struct errmsg *e);
/* In the hosts file at @path exactly one line "GATEWAY gateway.rancher-desktop.internal"; an
 * unspecified @gateway: none. All other lines stay as they are, byte for byte. */
enum status guest_files_put_gateway(const char *path, const struct ip_addr *gateway,
                                    struct errmsg *e);

#endif
