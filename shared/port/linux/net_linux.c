/* SPDX-License-Identifier: Apache-2.0
 * The Linux half of net_uv. No SO_EXCLUSIVEADDRUSE is needed: two listeners at one address are
 * refused unless both ask for SO_REUSEPORT, which needs the same user.
 */
#include "port/uv/net_uv_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* After the socket headers: it uses their types. */
#include <linux/errqueue.h>

void net_os_prepare_listener(uv_os_fd_t fd)
{
}

/* Without special rights since Linux 5.7. */
int net_os_bind_device(uv_os_fd_t fd, const char *device)
{
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) == 0)
        return 0;
    return uv_translate_sys_error(errno);
}

void net_os_want_udp_errors(uv_os_fd_t fd, bool ip6)
{
    int on = 1;

    /* Without it errors go unheard, nothing else: not worth a failure. */
    if (ip6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    else
        setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
}

static const struct sock_extended_err *extended_error(struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
            return (const struct sock_extended_err *)(const void *)CMSG_DATA(c);
    return NULL;
}

bool net_os_next_udp_error(uv_os_fd_t fd, struct ip_endpoint *to, enum status *why)
{
    union {
        struct cmsghdr align;
        char bytes[256];
    } control;
    struct sockaddr_storage sa;
    char payload[1];
    struct iovec iov = { payload, sizeof payload };

    for (;;) {
        struct msghdr msg = { .msg_name = &sa,
                              .msg_namelen = sizeof sa,
                              .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof control.bytes };
        const struct sock_extended_err *error;

        if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
            if (errno == EINTR)
                continue;
            return false;
        }
        error = extended_error(&msg);
        /* A message without one, or about an unknown family, is none that anybody waits for. */
        if (!error || msg.msg_namelen == 0 || !net_uv_from_sockaddr(to, (struct sockaddr *)&sa))
            continue;
        *why = error->ee_errno == ECONNREFUSED ? ST_REFUSED : ST_UNREACHABLE;
        return true;
    }
}
