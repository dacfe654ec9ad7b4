/* SPDX-License-Identifier: Apache-2.0
 * rtnetlink.h - interfaces, addresses and routes of one network namespace. Private to linux/.
 *
 * A socket asks for the namespace it was opened in, from wherever its owner is later. Each call is
 * one question and its answer, which the kernel gives at once. Statuses: ST_DENIED (no
 * CAP_NET_ADMIN), ST_EXISTS, ST_NOTFOUND, ST_UNSUPPORTED (a module of the kernel is missing),
 * ST_INVAL, ST_NOMEM, ST_IO; the message has the kernel's own words where it says some.
 */
#ifndef GUESTAGENT_LINUX_RTNETLINK_H
#define GUESTAGENT_LINUX_RTNETLINK_H

#include "base/ip_addr.h"
#include "base/status.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stdint.h>

enum { RTNETLINK_KIND_MAX = 16 };

struct rtnetlink {
    int fd;
    uint32_t sequence; /* of the last question */
};

struct rtnetlink_link {
    int index;
    char kind[RTNETLINK_KIND_MAX]; /* "veth", "tun" (taps too); "" = a real device, lo */
};

/* What is zero or NULL stays as it is. */
struct rtnetlink_change {
    const struct mac *mac; /* only while it is down */
    unsigned mtu;
    unsigned queue_frames;
    bool up;
};

/* In the calling thread's namespace. */
enum status rtnetlink_open(struct rtnetlink *out, struct errmsg *e);
/* Twice is fine, and one that is all zero but its descriptor, -1. */
void rtnetlink_close(struct rtnetlink *nl);

/* ST_NOTFOUND: no interface of that name. */
enum status rtnetlink_find_link(struct rtnetlink *nl, const char *name, struct rtnetlink_link *out,
                                struct errmsg *e);
enum status rtnetlink_change_link(struct rtnetlink *nl, int index,
                                  const struct rtnetlink_change *change, struct errmsg *e);
/* ST_OK too when it is gone already. */
enum status rtnetlink_delete_link(struct rtnetlink *nl, int index, struct errmsg *e);
/* To the namespace that the process is in; its addresses go, and it is down. */
enum status rtnetlink_move_link(struct rtnetlink *nl, int index, long pid, struct errmsg *e);
/* @name here, @peer in the namespace of the descriptor. */
enum status rtnetlink_add_veth(struct rtnetlink *nl, const char *name, const char *peer,
                               int peer_netns_fd, struct errmsg *e);

/* Twice is fine. IPv6 without duplicate address detection: the assignment is the host's. */
enum status rtnetlink_put_address(struct rtnetlink *nl, int index, const struct ip_addr *ip,
                                  unsigned prefix_bits, struct errmsg *e);
/* ST_OK too when it is not there. */
enum status rtnetlink_remove_address(struct rtnetlink *nl, int index, const struct ip_addr *ip,
                                     unsigned prefix_bits, struct errmsg *e);
/* The default route of that family, in place of the one there is. @is_on_link: the gateway is
 * reached through the interface although no prefix of it says so. */
enum status rtnetlink_put_default_route(struct rtnetlink *nl, int index,
                                        const struct ip_addr *gateway, bool is_on_link,
                                        struct errmsg *e);
/* Only the one through that gateway and interface; ST_OK too when it is not there. */
enum status rtnetlink_remove_default_route(struct rtnetlink *nl, int index,
                                           const struct ip_addr *gateway, struct errmsg *e);

/* A number that stands for a namespace as long as it lives, seen from this socket's: two ways to
 * the same one have the same number. It is the namespace of a process, whoever's it is, or of a
 * descriptor. ST_NOTFOUND: no such process. */
enum rtnetlink_by { RTNETLINK_BY_PID, RTNETLINK_BY_FD };
enum status rtnetlink_namespace_id(struct rtnetlink *nl, enum rtnetlink_by by, long value,
                                   int *out_id, struct errmsg *e);

#endif
