/* SPDX-License-Identifier: Apache-2.0
 * The Windows half of net_uv.
 */
#include "port/uv/net_uv_internal.h"

int net_os_bind_device(uv_os_fd_t fd, const char *device)
{
    return UV_ENOTSUP;
}

void net_os_prepare_listener(uv_os_fd_t fd)
{
    /* Otherwise another program could bind the same address with SO_REUSEADDR and take our clients.
     */
    BOOL on = TRUE;

    setsockopt((SOCKET)fd, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&on, sizeof on);
}

/* Windows reports an ICMP error as WSAECONNRESET of the next receive, without the address it is
 * about; on a socket with many peers that tells nothing, and libuv goes on receiving. */
void net_os_want_udp_errors(uv_os_fd_t fd, bool ip6)
{
}

bool net_os_next_udp_error(uv_os_fd_t fd, struct ip_endpoint *to, enum status *why)
{
    return false;
}
