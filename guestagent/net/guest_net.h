/* SPDX-License-Identifier: Apache-2.0
 * guest_net.h - everything the net unit changes in the guest's kernel and files: network namespace,
 * tap device, veth pair, address, routes, resolv.conf, hosts.
 *
 * guestagent/linux/ is the real one (rtnetlink; no program is started, nothing of another program
 * is touched), guestagent/win/ refuses (the Windows build of the agent exists for tests), tests
 * script their own. What is to be the case is said, not what to do: each call may be repeated.
 * Runs on: one loop; calls are short and synchronous. Owns: the namespace's descriptor, its
 * sockets.
 */
#ifndef GUESTAGENT_NET_GUEST_NET_H
#define GUESTAGENT_NET_GUEST_NET_H

#include "base/ip_addr.h"
#include "base/status.h"
#include "guestagent/net/tap.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct guest_net;
struct loop;

enum { GUEST_NET_NAME_MAX = 16 /* IFNAMSIZ */, GUEST_NET_SEARCH_MAX = 256 };

struct guest_net_config {
    /* "host": the one this process is in; "unit:NAME": of a systemd unit's main process;
     * "path:FILE": such as /run/netns/x; "new:NAME": made, and kept as /run/netns/NAME. */
    const char *netns;
    const char *tap_name;                         /* "eth0" */
    const char *resolv_conf;                      /* file to write, in place; "" = none */
    const char *hosts;                            /* file that gets the gateway's line; "" = none */
    bool veth;                                    /* the pair between this namespace and @netns */
    const char *veth_outside, *veth_inside;       /* "veth-rd-wsl", "veth-rd-ns" */
    const char *veth_outside_ip, *veth_inside_ip; /* "192.168.143.2/24", "192.168.143.1/24" */
};

/* What an address assignment says, by DHCP or by the host's offer. */
struct guest_lease {
    struct ip_addr ip;
    unsigned prefix_bits;
    struct ip_addr gateway, dns; /* unspecified = none */
    uint16_t mtu;                /* 0 = leave it */
    char search[GUEST_NET_SEARCH_MAX];
};

/* The same for IPv6, as the host's switch advertises it (router_advert.h). */
struct guest_router {
    struct ip_addr ip;
    unsigned prefix_bits;
    struct ip_addr gateway; /* link-local */
};

static inline bool guest_lease_equal(const struct guest_lease *a, const struct guest_lease *b)
{
    return ip_addr_equal(&a->ip, &b->ip) && a->prefix_bits == b->prefix_bits &&
           ip_addr_equal(&a->gateway, &b->gateway) && ip_addr_equal(&a->dns, &b->dns) &&
           a->mtu == b->mtu && strcmp(a->search, b->search) == 0;
}

/* Finds or makes the namespace, and the veth pair in it; a stale pair of a predecessor is removed.
 * ST_NOTFOUND: the unit does not run or the file is not there (yet); ST_DENIED, ST_UNSUPPORTED,
 * ST_IO, with a message that says what to do. */
enum status guest_net_open(struct guest_net **out, struct loop *loop,
                           const struct guest_net_config *config, struct errmsg *e);
/* The tap device in that namespace, with @mac, up; lo is up too. ST_EXISTS: an interface of that
 * name is there and not ours; ST_UNSUPPORTED: no /dev/net/tun. */
enum status guest_net_open_tap(struct guest_net *n, const struct mac *mac, unsigned mtu,
                               const struct tap_handler *handler, void *ctx, struct tap **out,
                               struct errmsg *e);
/* Address, on-link route, default route, MTU, resolv.conf and hosts become @lease's; those of an
 * earlier lease go. What did not work is said; the rest is done. ST_OK: the guest has its address
 * and route; with a message in @e (which is empty before) a file could not be written. */
enum status guest_net_apply(struct guest_net *n, const struct guest_lease *lease, struct errmsg *e);
/* Address and default route of @router, beside what the kernel makes of the same advertisement. */
enum status guest_net_apply_router(struct guest_net *n, const struct guest_router *router,
                                   struct errmsg *e);
/* False when the namespace's owner died (unit: restarted with another one): open it anew. */
bool guest_net_is_current(struct guest_net *n);
/* Takes the veth pair away; the namespace stays (others are in it). NULL is fine. */
void guest_net_close(struct guest_net *n);

#endif
