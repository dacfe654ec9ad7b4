/* SPDX-License-Identifier: Apache-2.0
 * netns.h - the network namespace that the guest's interface lives in. Private to linux/.
 *
 * This process stays where it is, because vsock may be bound to that namespace; netns_enter() and
 * netns_leave() take the calling thread over and back for the moment in which something is opened
 * (a netlink socket, /dev/net/tun) that then belongs there. Owns: descriptors of both namespaces.
 * Runs on: one thread, the same for enter and leave.
 */
#ifndef GUESTAGENT_LINUX_NETNS_H
#define GUESTAGENT_LINUX_NETNS_H

#include "base/status.h"
#include "guestagent/linux/rtnetlink.h"

#include <stdbool.h>
#include <sys/types.h>

enum netns_kind { NETNS_HOST, NETNS_UNIT, NETNS_PATH, NETNS_NEW };

enum { NETNS_SPEC_MAX = 256 };

struct netns {
    enum netns_kind kind;
    char name[NETNS_SPEC_MAX]; /* unit, or file */
    int fd, home_fd;           /* there, and where this process is */
    dev_t dev;                 /* with ino: which namespace it is */
    ino_t ino;
    bool is_home;
    struct rtnetlink home; /* where this process is; who looks after a unit asks it */
};

/* @spec as in guest_net.h: "host", "unit:NAME", "path:FILE", "new:NAME".
 * ST_NOTFOUND: the unit does not run or shares our namespace, the file is not there or not yet a
 * namespace; ST_DENIED, ST_UNSUPPORTED (unit: no /dev/net/tun), ST_INVAL, ST_IO. */
enum status netns_open(struct netns *out, const char *spec, struct errmsg *e);
/* Whether what the spec names is still this namespace. */
bool netns_is_current(struct netns *n);
/* ST_DENIED without CAP_SYS_ADMIN. */
enum status netns_enter(const struct netns *n, struct errmsg *e);
/* Ends the process when there is no way back: nothing it does elsewhere would be right. */
void netns_leave(const struct netns *n);
void netns_close(struct netns *n);

#endif
