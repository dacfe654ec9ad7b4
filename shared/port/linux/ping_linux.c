/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Linux gives an ordinary user ICMP echo through a datagram socket (socket(AF_INET, SOCK_DGRAM,
 * IPPROTO_ICMP)): the kernel chooses the identifier, fills in the checksum, and hands back only
 * replies to that identifier. Who may is net.ipv4.ping_group_range; outside of it the answer is
 * ST_UNSUPPORTED, and the guest's ping gets no reply. Not done: the raw socket that root could use
 * instead, because the switch is not meant to be root.
 *
 * One socket a request: it is connected, so that only the target's answers and errors arrive, and
 * the switch has at most 64 of them. An error that comes back (no route, host unreachable) is that
 * request's end; every other packet than its reply is skipped.
 */
#include "base/bytes.h"
#include "port/uv/net_uv_internal.h"
#include "port/uv/uv_status.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ECHO_HEADER_BYTES = 8, ECHO4 = 8, ECHO4_REPLY = 0, ECHO6 = 128, ECHO6_REPLY = 129 };

struct net_ping {
    uv_poll_t poll;
    struct timer timeout;
    net_ping_fn *done; /* NULL once it has ended */
    void *ctx;
    int fd; /* owned */
    uint16_t sequence;
    bool ip6;
};

static void on_closed(uv_handle_t *handle)
{
    struct net_ping *p = handle->data;

    close(p->fd);
    free(p);
}

void net_os_ping_cancel(struct net_ping *p)
{
    if (!p || !p->done)
        return;
    p->done = NULL;
    timer_stop(&p->timeout);
    uv_close((uv_handle_t *)&p->poll, on_closed);
}

static void ping_end(struct net_ping *p, enum status st, const uint8_t *data, size_t len)
{
    net_ping_fn *done = p->done;

    net_os_ping_cancel(p);
    done(p->ctx, st, p->sequence, data, len);
}

static void on_timeout(void *ctx)
{
    ping_end(ctx, ST_TIMEOUT, NULL, 0);
}

static bool is_our_reply(const struct net_ping *p, struct bytes *r)
{
    uint8_t type = bytes_u8(r);
    uint8_t code = bytes_u8(r);

    (void)bytes_be16(r); /* the kernel has verified the checksum, */
    (void)bytes_be16(r); /* ... and the identifier is why we were given it */
    return bytes_be16(r) == p->sequence && bytes_ok(r) && code == 0 &&
           type == (p->ip6 ? ECHO6_REPLY : ECHO4_REPLY);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct net_ping *p = poll->data;
    size_t cap;
    uint8_t *buf = loop_uv_scratch(p->timeout.loop, &cap);

    for (;;) {
        ssize_t n = recv(p->fd, buf, cap, MSG_DONTWAIT);
        struct bytes r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            ping_end(p, ST_UNREACHABLE, NULL, 0);
            return;
        }
        r = bytes_of(buf, (size_t)n);
        if (is_our_reply(p, &r)) {
            ping_end(p, ST_OK, r.p, r.left);
            return;
        }
    }
}

static int ping_socket(const struct ip_addr *to)
{
    bool ip6 = !ip_addr_is_v4(to);
    struct ip_endpoint at = { .addr = *to };
    struct sockaddr_storage sa;
    int on = 1, err;
    int fd = socket(ip6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    ip6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);

    if (fd < 0)
        return -errno;
    if (ip6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    else
        setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    net_uv_to_sockaddr(&sa, &at);
    if (connect(fd, (struct sockaddr *)&sa,
                ip6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)) == 0)
        return fd;
    err = -errno;
    close(fd);
    return err;
}

static enum status ping_send(struct net_ping *p, const uint8_t *data, size_t len)
{
    uint8_t header[ECHO_HEADER_BYTES] = { p->ip6 ? ECHO6 : ECHO4 };
    struct iovec iov[] = { { header, sizeof header }, { (void *)(uintptr_t)data, len } };

    header[6] = (uint8_t)(p->sequence >> 8);
    header[7] = (uint8_t)p->sequence;
    return writev(p->fd, iov, 2) < 0 ? uv_status(uv_translate_sys_error(errno)) : ST_OK;
}

enum status net_os_ping(struct net *n, struct net_ping **out, const struct ip_addr *to,
                        uint16_t sequence, const uint8_t *data, size_t len_bytes,
                        uint32_t timeout_ms, net_ping_fn *done, void *ctx)
{
    struct net_uv *net = net_uv_of(n);
    struct net_ping *p;
    enum status st;
    int fd = ping_socket(to);
    int err;

    if (fd < 0) {
        st = uv_status(uv_translate_sys_error(-fd));
        return st == ST_DENIED ? ST_UNSUPPORTED : st;
    }
    p = calloc(1, sizeof *p);
    if (!p) {
        close(fd);
        return ST_NOMEM;
    }
    *p = (struct net_ping){
        .done = done, .ctx = ctx, .fd = fd, .sequence = sequence, .ip6 = !ip_addr_is_v4(to)
    };
    st = ping_send(p, data, len_bytes);
    err = st == ST_OK ? uv_poll_init(net_uv_loop(net), &p->poll, fd) : 0;
    if (st || err) {
        close(fd);
        free(p);
        return st ? st : uv_status(err);
    }
    p->poll.data = p;
    timer_init(&p->timeout, net->loop, on_timeout, p);
    timer_start(&p->timeout, timeout_ms);
    uv_poll_start(&p->poll, UV_READABLE, on_readable);
    *out = p;
    return ST_OK;
}
