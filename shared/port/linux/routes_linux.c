/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Everything comes from rtnetlink's routes: a dump of both families has every table (VPNs keep
 * tables of their own, which /proc/net/route does not show), and the addresses of the interfaces
 * too, as routes of type local. Changes come on a second socket that is in the kernel's groups; its
 * messages are not read for what they say, because the table is read anew anyway, and one that was
 * lost (ENOBUFS) is a change like any other.
 */
#include "port/routes.h"

#include "base/util.h"
#include "port/uv/loop_uv_internal.h"
#include "port/uv/routes_os.h"
#include "port/uv/uv_status.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* After sys/socket.h, whose types they use. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

enum { DUMP_BYTES = 32 * 1024 };

struct routes_linux {
    struct routes base;
    uv_poll_t poll;
    int fd; /* owned: hears of changes */
    routes_change_fn *on_change;
    void *ctx;
};

static struct routes_linux *routes_linux_of(struct routes *r)
{
    return container_of(r, struct routes_linux, base);
}

static enum status sys_status(int err)
{
    return uv_status(uv_translate_sys_error(err));
}

static int open_netlink(uint32_t groups)
{
    struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = groups };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        int err = errno;

        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

/* ---- the table --------------------------------------------------------------------------- */

static bool take_address(struct ip_addr *out, const struct rtmsg *m, const struct rtattr *dst)
{
    static const uint8_t nowhere[16] = { 0 };
    size_t need = m->rtm_family == AF_INET ? 4 : 16;
    const uint8_t *bytes = dst ? RTA_DATA(dst) : nowhere;

    if (dst && RTA_PAYLOAD(dst) < need)
        return false;
    *out = need == 4 ? ip_addr_of_v4(bytes) : ip_addr_of_v6(bytes);
    return true;
}

static void take_device(struct route *r, const struct rtattr *oif)
{
    char name[IF_NAMESIZE];
    unsigned index;

    if (!oif || RTA_PAYLOAD(oif) < sizeof index)
        return;
    memcpy(&index, RTA_DATA(oif), sizeof index);
    if (if_indextoname(index, name))
        snprintf(r->device, sizeof r->device, "%s", name);
}

static bool is_wanted(const struct rtmsg *m)
{
    return (m->rtm_family == AF_INET || m->rtm_family == AF_INET6) &&
           (m->rtm_type == RTN_UNICAST || m->rtm_type == RTN_LOCAL) &&
           !(m->rtm_flags & RTM_F_CLONED);
}

static void take_route(const struct nlmsghdr *h, route_fn *fn, void *ctx)
{
    const struct rtmsg *m = NLMSG_DATA(h);
    const struct rtattr *dst = NULL, *oif = NULL;
    struct route r = { .prefix_bits = 0 };
    unsigned left;

    if (h->nlmsg_len < NLMSG_LENGTH(sizeof *m) || !is_wanted(m))
        return;
    left = h->nlmsg_len - NLMSG_LENGTH(sizeof *m);
    for (const struct rtattr *a = RTM_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        if (a->rta_type == RTA_DST)
            dst = a;
        else if (a->rta_type == RTA_OIF)
            oif = a;
    }
    if (!take_address(&r.net, m, dst) || ip_addr_is_multicast(&r.net))
        return;
    r.prefix_bits = m->rtm_dst_len;
    take_device(&r, oif);
    fn(ctx, &r);
}

static enum status ask_for_dump(int fd)
{
    struct {
        struct nlmsghdr h;
        struct rtmsg m;
    } request = { .h = { .nlmsg_len = sizeof request,
                         .nlmsg_type = RTM_GETROUTE,
                         .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
                  .m = { .rtm_family = AF_UNSPEC } };

    return send(fd, &request, sizeof request, 0) == (ssize_t)sizeof request ? ST_OK
                                                                            : sys_status(errno);
}

/* One part of the answer. ST_EOF: it was the last. */
static enum status take_part(const struct nlmsghdr *h, size_t len, route_fn *fn, void *ctx)
{
    for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
        if (h->nlmsg_type == NLMSG_DONE)
            return ST_EOF;
        if (h->nlmsg_type == NLMSG_ERROR)
            return ST_IO;
        if (h->nlmsg_type == RTM_NEWROUTE)
            take_route(h, fn, ctx);
    }
    return ST_OK;
}

static enum status read_dump(int fd, struct nlmsghdr *buf, route_fn *fn, void *ctx)
{
    enum status st = ask_for_dump(fd);

    while (st == ST_OK) {
        ssize_t n = recv(fd, buf, DUMP_BYTES, 0);

        if (n < 0 && errno == EINTR)
            continue;
        st = n < 0 ? sys_status(errno) : take_part(buf, (size_t)n, fn, ctx);
    }
    return st == ST_EOF ? ST_OK : st;
}

static enum status routes_linux_each(struct routes *r, route_fn *fn, void *ctx)
{
    struct nlmsghdr *buf = malloc(DUMP_BYTES);
    int fd = open_netlink(0);
    enum status st = ST_NOMEM;

    if (fd < 0)
        st = sys_status(errno);
    else if (buf)
        st = read_dump(fd, buf, fn, ctx);
    if (fd >= 0)
        close(fd);
    free(buf);
    return st;
}

/* ---- changes ----------------------------------------------------------------------------- */

/* False: nothing is left to be read. Lost messages (ENOBUFS) count as read. */
static bool skip_message(int fd)
{
    char byte;

    return recv(fd, &byte, sizeof byte, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS ||
           errno == EINTR;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct routes_linux *self = poll->data;

    while (skip_message(self->fd))
        ;
    if (self->on_change)
        self->on_change(self->ctx);
}

static void routes_linux_watch(struct routes *r, routes_change_fn *fn, void *ctx)
{
    struct routes_linux *self = routes_linux_of(r);

    self->on_change = fn;
    self->ctx = ctx;
}

/* ---- life -------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct routes_linux *self = handle->data;

    close(self->fd);
    free(self);
}

static void routes_linux_close(struct routes *r)
{
    struct routes_linux *self = routes_linux_of(r);

    self->on_change = NULL;
    uv_close((uv_handle_t *)&self->poll, on_closed);
}

static const struct routes_ops routes_linux_ops = {
    .each = routes_linux_each,
    .watch = routes_linux_watch,
    .close = routes_linux_close,
};

enum status routes_os_new(struct routes **out, struct loop *loop, struct errmsg *e)
{
    struct routes_linux *self = calloc(1, sizeof *self);
    int err;

    if (!self) {
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    self->base.ops = &routes_linux_ops;
    self->fd = open_netlink(RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR |
                            RTMGRP_IPV6_IFADDR);
    err = self->fd < 0 ? uv_translate_sys_error(errno)
                       : uv_poll_init(loop_uv_handle(loop), &self->poll, self->fd);
    if (err) {
        errmsg_set(e, "watch the routes: %s", uv_strerror(err));
        if (self->fd >= 0)
            close(self->fd);
        free(self);
        return uv_status(err);
    }
    self->poll.data = self;
    uv_unref((uv_handle_t *)&self->poll); /* no reason by itself to go on */
    uv_poll_start(&self->poll, UV_READABLE, on_readable);
    *out = &self->base;
    return ST_OK;
}
