/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A question is one datagram: nlmsghdr, the family's fixed part, attributes (length, type, value,
 * padded to 4), nested ones inside of others. Every question asks for an acknowledgement:
 *
 *   we      RTM_GETLINK + "eth0"                     RTM_NEWADDR ...
 *   kernel  RTM_NEWLINK (what there is), NLMSG_ERROR 0          NLMSG_ERROR -EEXIST "text"
 *
 * so an answer ends with NLMSG_ERROR in every case, and one loop (exchange) reads them all. The
 * kernel works a question off inside of sendto(), so receiving does not wait; the time limit of the
 * socket is for a kernel that is broken, and answers to questions of before are known by their
 * sequence number and skipped. NETLINK_EXT_ACK makes the kernel say in words what it did not like.
 *
 * Everything is in the byte order of the machine, so fixed parts are the kernel's own structs,
 * copied whole through base/bytes, which keeps the bounds both ways.
 *
 * Why by hand: it is ten kinds of message with at most three levels of attributes. libmnl does the
 * lower half of that (padding, sequence numbers, iterating) and none of the upper half, is LGPL,
 * and the agent is linked statically for arm64; libnl is larger than the agent.
 */
#include "guestagent/linux/rtnetlink.h"

#include "base/bytes.h"
#include "guestagent/linux/os_status.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    REQUEST_MAX = 512, /* the largest, a veth pair with both names, takes 124 */
    ANSWER_MAX = 16384,
    ANSWER_LIMIT_S = 2,
    RTGEN_BYTES = NLMSG_ALIGN(sizeof(struct rtgenmsg))
};

/* ---- composing a question -------------------------------------------------------------- */

struct request {
    struct bytes_out w;
    uint8_t buf[REQUEST_MAX];
};

static void pad(struct request *r)
{
    static const uint8_t zero[NLMSG_ALIGNTO];

    bytes_put(&r->w, zero, NLMSG_ALIGN(r->w.len_bytes) - r->w.len_bytes);
}

/* @fixed is the family's part; all of them are multiples of 4. */
static void request_init(struct request *r, uint16_t type, uint16_t flags, const void *fixed,
                         size_t len_bytes)
{
    struct nlmsghdr head = { .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags };

    r->w = bytes_into(r->buf, sizeof r->buf);
    bytes_put(&r->w, &head, sizeof head);
    bytes_put(&r->w, fixed, len_bytes);
}

static void put(struct request *r, uint16_t type, const void *value, size_t len_bytes)
{
    struct rtattr head = { .rta_len = (uint16_t)RTA_LENGTH(len_bytes), .rta_type = type };

    bytes_put(&r->w, &head, sizeof head);
    bytes_put(&r->w, value, len_bytes);
    pad(r);
}

static void put_u32(struct request *r, uint16_t type, uint32_t value)
{
    put(r, type, &value, sizeof value);
}

static void put_text(struct request *r, uint16_t type, const char *text)
{
    put(r, type, text, strlen(text) + 1);
}

static void put_ip(struct request *r, uint16_t type, const struct ip_addr *ip)
{
    if (ip_addr_is_v4(ip))
        put(r, type, ip->b + 12, 4);
    else
        put(r, type, ip->b, sizeof ip->b);
}

/* Returns what nest_end() wants. */
static size_t nest_begin(struct request *r, uint16_t type)
{
    size_t at = r->w.len_bytes;

    put(r, type, NULL, 0);
    return at;
}

static void nest_end(struct request *r, size_t at)
{
    uint16_t len = (uint16_t)(r->w.len_bytes - at);

    if (bytes_out_ok(&r->w))
        memcpy(r->buf + at + offsetof(struct rtattr, rta_len), &len, sizeof len);
}

static unsigned char family_of(const struct ip_addr *ip)
{
    return ip_addr_is_v4(ip) ? AF_INET : AF_INET6;
}

/* ---- reading the answer ---------------------------------------------------------------- */

/* The next attribute of @r; false at the end of what is well formed. */
static bool next_attribute(struct bytes *r, uint16_t *type, struct bytes *value)
{
    struct rtattr head;
    const uint8_t *p = bytes_take(r, sizeof head);
    size_t padding;

    if (!p)
        return false;
    memcpy(&head, p, sizeof head);
    if (head.rta_len < sizeof head)
        return false;
    p = bytes_take(r, head.rta_len - sizeof head);
    if (!p)
        return false;
    *type = head.rta_type & NLA_TYPE_MASK;
    *value = bytes_of(p, head.rta_len - sizeof head);
    padding = RTA_ALIGN(head.rta_len) - head.rta_len;
    bytes_take(r, MIN(padding, r->left));
    return true;
}

static void copy_text(char *out, size_t cap, const struct bytes *value)
{
    size_t len = MIN(value->left, cap - 1);

    memcpy(out, value->p, len);
    out[len] = '\0';
}

/* What an answer may say before its acknowledgement; who asks for nothing passes NULL. */
struct answer {
    struct rtnetlink_link link; /* RTM_NEWLINK */
    int32_t namespace_id;       /* RTM_NEWNSID */
};

static void read_namespace_id(struct bytes body, int32_t *out)
{
    struct bytes value;
    uint16_t type;

    bytes_take(&body, RTGEN_BYTES);
    while (next_attribute(&body, &type, &value)) {
        if (type == NETNSA_NSID && value.left == sizeof *out)
            memcpy(out, value.p, sizeof *out);
    }
}

static void read_link(struct bytes body, struct rtnetlink_link *out)
{
    struct ifinfomsg fixed;
    const uint8_t *p = bytes_take(&body, sizeof fixed);
    struct bytes value, inner;
    uint16_t type;

    if (!p)
        return;
    memcpy(&fixed, p, sizeof fixed);
    *out = (struct rtnetlink_link){ .index = fixed.ifi_index };
    while (next_attribute(&body, &type, &value)) {
        if (type != IFLA_LINKINFO)
            continue;
        while (next_attribute(&value, &type, &inner)) {
            if (type == IFLA_INFO_KIND)
                copy_text(out->kind, sizeof out->kind, &inner);
        }
    }
}

static void explain(struct errmsg *e, int err, const char *kernel_says)
{
    const char *hint = "";

    if (err == EPERM || err == EACCES)
        hint = " (needs CAP_NET_ADMIN)";
    errmsg_set(e, "%s%s%s%s", strerror(err), *kernel_says ? ": " : "", kernel_says, hint);
}

/* NLMSG_ERROR: the acknowledgement, with the kernel's words behind it when it has some. */
static enum status read_acknowledgement(const struct nlmsghdr *head, struct bytes body,
                                        struct errmsg *e)
{
    struct nlmsgerr fixed;
    const uint8_t *p = bytes_take(&body, sizeof fixed);
    char text[128] = "";
    struct bytes value;
    uint16_t type;

    if (!p) {
        errmsg_set(e, "the kernel's answer is cut");
        return ST_IO;
    }
    memcpy(&fixed, p, sizeof fixed);
    if (fixed.error == 0)
        return ST_OK;
    if (head->nlmsg_flags & NLM_F_ACK_TLVS) {
        while (next_attribute(&body, &type, &value)) {
            if (type == NLMSGERR_ATTR_MSG)
                copy_text(text, sizeof text, &value);
        }
    }
    explain(e, -fixed.error, text);
    return os_status(-fixed.error);
}

/* One datagram. True: the answer is complete, with *st. */
static bool read_answer(struct rtnetlink *nl, struct bytes r, struct answer *answer,
                        enum status *st, struct errmsg *e)
{
    struct nlmsghdr head;
    const uint8_t *p;

    while ((p = bytes_take(&r, sizeof head))) {
        struct bytes body;

        memcpy(&head, p, sizeof head);
        if (head.nlmsg_len < sizeof head || head.nlmsg_len - sizeof head > r.left)
            return false;
        body = bytes_of(bytes_take(&r, head.nlmsg_len - sizeof head), head.nlmsg_len - sizeof head);
        bytes_take(&r, MIN(NLMSG_ALIGN(head.nlmsg_len) - head.nlmsg_len, r.left));
        if (head.nlmsg_seq != nl->sequence)
            continue;
        if (head.nlmsg_type == NLMSG_ERROR) {
            *st = read_acknowledgement(&head, body, e);
            return true;
        }
        if (head.nlmsg_type == RTM_NEWLINK && answer)
            read_link(body, &answer->link);
        if (head.nlmsg_type == RTM_NEWNSID && answer)
            read_namespace_id(body, &answer->namespace_id);
    }
    return false;
}

static enum status fail(struct errmsg *e, int err, const char *what)
{
    errmsg_set(e, "%s: %s", what, strerror(err));
    return os_status(err);
}

/* Asks, and reads until the acknowledgement. */
static enum status exchange(struct rtnetlink *nl, struct request *r, struct answer *answer,
                            struct errmsg *e)
{
    uint8_t datagram[ANSWER_MAX];
    struct nlmsghdr head;
    enum status st = ST_IO;

    ASSERT(bytes_out_ok(&r->w)); /* names were measured before, the rest is of fixed size */
    memcpy(&head, r->buf, sizeof head);
    head.nlmsg_len = (uint32_t)r->w.len_bytes;
    head.nlmsg_seq = ++nl->sequence;
    memcpy(r->buf, &head, sizeof head);
    if (send(nl->fd, r->buf, r->w.len_bytes, 0) < 0)
        return fail(e, errno, "ask rtnetlink");
    for (;;) {
        ssize_t n = recv(nl->fd, datagram, sizeof datagram, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(e, errno, "answer of rtnetlink");
        if (read_answer(nl, bytes_of(datagram, (size_t)n), answer, &st, e))
            return st;
    }
}

/* Takes something away that may be gone already, which is as good. */
static enum status exchange_removal(struct rtnetlink *nl, struct request *r, struct errmsg *e)
{
    struct errmsg why = { .text = "" };
    enum status st = exchange(nl, r, NULL, &why);

    if (st == ST_NOTFOUND)
        return ST_OK;
    if (st)
        errmsg_set(e, "%s", why.text);
    return st;
}

/* ---- the socket ------------------------------------------------------------------------ */

enum status rtnetlink_open(struct rtnetlink *out, struct errmsg *e)
{
    struct timeval limit = { .tv_sec = ANSWER_LIMIT_S };
    int on = 1;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0)
        return fail(e, errno, "rtnetlink socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    /* Words are a comfort; a kernel without them still answers. */
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    *out = (struct rtnetlink){ .fd = fd };
    return ST_OK;
}

void rtnetlink_close(struct rtnetlink *nl)
{
    if (nl->fd >= 0)
        close(nl->fd);
    nl->fd = -1;
}

/* ---- interfaces ------------------------------------------------------------------------ */

enum status rtnetlink_find_link(struct rtnetlink *nl, const char *name, struct rtnetlink_link *out,
                                struct errmsg *e)
{
    struct ifinfomsg fixed = { .ifi_family = AF_UNSPEC };
    struct answer found = { .link.index = 0 };
    struct request r;
    enum status st;

    if (!*name || strlen(name) >= IFNAMSIZ) {
        errmsg_set(e, "\"%s\" is no name of an interface", name);
        return ST_INVAL;
    }
    request_init(&r, RTM_GETLINK, 0, &fixed, sizeof fixed);
    put_text(&r, IFLA_IFNAME, name);
    st = exchange(nl, &r, &found, e);
    if (!st)
        *out = found.link;
    else
        errmsg_wrap(e, "interface %s", name);
    return st;
}

enum status rtnetlink_change_link(struct rtnetlink *nl, int index,
                                  const struct rtnetlink_change *change, struct errmsg *e)
{
    struct ifinfomsg fixed = { .ifi_family = AF_UNSPEC, .ifi_index = index };
    struct request r;

    if (change->up)
        fixed.ifi_flags = fixed.ifi_change = IFF_UP;
    request_init(&r, RTM_NEWLINK, 0, &fixed, sizeof fixed);
    if (change->mac)
        put(&r, IFLA_ADDRESS, change->mac->b, sizeof change->mac->b);
    if (change->mtu)
        put_u32(&r, IFLA_MTU, change->mtu);
    if (change->queue_frames)
        put_u32(&r, IFLA_TXQLEN, change->queue_frames);
    return exchange(nl, &r, NULL, e);
}

enum status rtnetlink_delete_link(struct rtnetlink *nl, int index, struct errmsg *e)
{
    struct ifinfomsg fixed = { .ifi_family = AF_UNSPEC, .ifi_index = index };
    struct request r;

    request_init(&r, RTM_DELLINK, 0, &fixed, sizeof fixed);
    return exchange_removal(nl, &r, e);
}

enum status rtnetlink_move_link(struct rtnetlink *nl, int index, long pid, struct errmsg *e)
{
    struct ifinfomsg fixed = { .ifi_family = AF_UNSPEC, .ifi_index = index };
    struct request r;

    request_init(&r, RTM_NEWLINK, 0, &fixed, sizeof fixed);
    put_u32(&r, IFLA_NET_NS_PID, (uint32_t)pid);
    return exchange(nl, &r, NULL, e);
}

enum status rtnetlink_add_veth(struct rtnetlink *nl, const char *name, const char *peer,
                               int peer_netns_fd, struct errmsg *e)
{
    struct ifinfomsg fixed = { .ifi_family = AF_UNSPEC };
    size_t info, data, peer_part;
    struct request r;
    enum status st;

    request_init(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &fixed, sizeof fixed);
    put_text(&r, IFLA_IFNAME, name);
    info = nest_begin(&r, IFLA_LINKINFO);
    put_text(&r, IFLA_INFO_KIND, "veth");
    data = nest_begin(&r, IFLA_INFO_DATA);
    peer_part = nest_begin(&r, VETH_INFO_PEER);
    bytes_put(&r.w, &fixed, sizeof fixed);
    put_text(&r, IFLA_IFNAME, peer);
    put_u32(&r, IFLA_NET_NS_FD, (uint32_t)peer_netns_fd);
    nest_end(&r, peer_part);
    nest_end(&r, data);
    nest_end(&r, info);
    st = exchange(nl, &r, NULL, e);
    if (st == ST_UNSUPPORTED)
        errmsg_wrap(e, "the kernel has no veth (modprobe veth)");
    return st;
}

/* ---- addresses ------------------------------------------------------------------------- */

static void address_request(struct request *r, uint16_t type, uint16_t flags, int index,
                            const struct ip_addr *ip, unsigned prefix_bits)
{
    struct ifaddrmsg fixed = {
        .ifa_family = family_of(ip),
        .ifa_prefixlen = (uint8_t)prefix_bits,
        .ifa_flags = ip_addr_is_v4(ip) ? 0 : IFA_F_NODAD,
        .ifa_scope = RT_SCOPE_UNIVERSE,
        .ifa_index = (uint32_t)index,
    };

    request_init(r, type, flags, &fixed, sizeof fixed);
    put_ip(r, IFA_LOCAL, ip);
    put_ip(r, IFA_ADDRESS, ip);
}

enum status rtnetlink_put_address(struct rtnetlink *nl, int index, const struct ip_addr *ip,
                                  unsigned prefix_bits, struct errmsg *e)
{
    struct request r;

    address_request(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, ip, prefix_bits);
    if (ip_addr_is_v4(ip) && prefix_bits < 31) { /* RFC 3021: with 31 bits there is none */
        struct ip_addr all = ip_addr_v4(ip_addr_to_v4(ip) | (UINT32_MAX >> prefix_bits));

        put_ip(&r, IFA_BROADCAST, &all);
    }
    return exchange(nl, &r, NULL, e);
}

enum status rtnetlink_remove_address(struct rtnetlink *nl, int index, const struct ip_addr *ip,
                                     unsigned prefix_bits, struct errmsg *e)
{
    struct request r;

    address_request(&r, RTM_DELADDR, 0, index, ip, prefix_bits);
    return exchange_removal(nl, &r, e);
}

/* ---- routes ---------------------------------------------------------------------------- */

/* Behind the one that the kernel makes of an advertisement, which has 1024: never in its place. */
enum { IP6_METRIC = 1025 };

static void route_request(struct request *r, uint16_t type, uint16_t flags, int index,
                          const struct ip_addr *gateway, bool is_on_link)
{
    struct rtmsg fixed = {
        .rtm_family = family_of(gateway),
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = type == RTM_NEWROUTE ? RTPROT_DHCP : RTPROT_UNSPEC,
        .rtm_scope = type == RTM_NEWROUTE ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE,
        .rtm_type = type == RTM_NEWROUTE ? RTN_UNICAST : RTN_UNSPEC,
        .rtm_flags = is_on_link ? RTNH_F_ONLINK : 0,
    };

    request_init(r, type, flags, &fixed, sizeof fixed);
    put_ip(r, RTA_GATEWAY, gateway);
    put_u32(r, RTA_OIF, (uint32_t)index);
    if (!ip_addr_is_v4(gateway))
        put_u32(r, RTA_PRIORITY, IP6_METRIC);
}

enum status rtnetlink_put_default_route(struct rtnetlink *nl, int index,
                                        const struct ip_addr *gateway, bool is_on_link,
                                        struct errmsg *e)
{
    struct request r;

    route_request(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, index, gateway, is_on_link);
    return exchange(nl, &r, NULL, e);
}

enum status rtnetlink_remove_default_route(struct rtnetlink *nl, int index,
                                           const struct ip_addr *gateway, struct errmsg *e)
{
    struct request r;

    route_request(&r, RTM_DELROUTE, 0, index, gateway, false);
    return exchange_removal(nl, &r, e);
}

/* ---- namespaces ------------------------------------------------------------------------ */

static void namespace_request(struct request *r, uint16_t type, enum rtnetlink_by by, long value)
{
    uint8_t fixed[RTGEN_BYTES] = { AF_UNSPEC };

    request_init(r, type, 0, fixed, sizeof fixed);
    put_u32(r, by == RTNETLINK_BY_PID ? NETNSA_PID : NETNSA_FD, (uint32_t)value);
}

enum status rtnetlink_namespace_id(struct rtnetlink *nl, enum rtnetlink_by by, long value,
                                   int *out_id, struct errmsg *e)
{
    struct answer found = { .namespace_id = NETNSA_NSID_NOT_ASSIGNED };
    struct request r;
    enum status st;

    namespace_request(&r, RTM_NEWNSID, by, value);
    put_u32(&r, NETNSA_NSID, (uint32_t)-1); /* any number */
    st = exchange(nl, &r, NULL, e);
    if (st && st != ST_EXISTS) /* it has one already */
        return st;
    namespace_request(&r, RTM_GETNSID, by, value);
    st = exchange(nl, &r, &found, e);
    if (!st && found.namespace_id < 0) {
        errmsg_set(e, "the namespace has no number");
        st = ST_IO;
    }
    if (!st)
        *out_id = found.namespace_id;
    return st;
}
