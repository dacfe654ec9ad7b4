/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * /proc/PID/ns/net opens for who may trace the process. For one of root's that is CAP_SYS_PTRACE,
 * with which one also writes into the memory of every process there is, systemd's included. A
 * program that takes frames from outside should not have that, so the namespace is got at with what
 * it needs anyway, CAP_NET_ADMIN:
 *
 *   a tap device "rdlink%d" here  --rtnetlink, IFLA_NET_NS_PID-->  the same device there
 *   TUNGETDEVNETNS on its descriptor                               a descriptor of "there"
 *   close                                                          the device is gone
 *
 * The device is down all the time and lives for the length of this call. A process may end
 * meanwhile and its number be given to another: what namespace the number stands for is asked
 * before and compared afterwards. TUNGETDEVNETNS is there since Linux 5.7; WSL has 5.15 and newer.
 */
#include "guestagent/linux/netns_of_pid.h"

#include "guestagent/linux/os_status.h"
#include "guestagent/linux/tap_linux.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

static enum status fail(struct errmsg *e, const char *what)
{
    int err = errno;

    errmsg_set(e, "%s: %s", what, strerror(err));
    return os_status(err);
}

/* Makes the device of @tun_fd and puts it there. */
static enum status send_device(struct rtnetlink *nl, int tun_fd, long pid, struct errmsg *e)
{
    struct ifreq request = { .ifr_name = "rdlink%d",
                             .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL };
    struct rtnetlink_link link;
    enum status st;

    if (ioctl(tun_fd, TUNSETIFF, &request) != 0)
        return fail(e, "tap device to find the namespace with");
    st = rtnetlink_find_link(nl, request.ifr_name, &link, e);
    return st ? st : rtnetlink_move_link(nl, link.index, pid, e);
}

enum status netns_of_pid(struct rtnetlink *nl, long pid, int *out_fd, struct errmsg *e)
{
    int tun_fd = -1;
    int fd = -1;
    int wanted = 0;
    int found = 0;
    enum status st = rtnetlink_namespace_id(nl, RTNETLINK_BY_PID, pid, &wanted, e);

    if (!st)
        st = tap_linux_open_device(&tun_fd, e);
    if (!st)
        st = send_device(nl, tun_fd, pid, e);
    if (!st) {
        fd = ioctl(tun_fd, TUNGETDEVNETNS);
        st = fd < 0 ? fail(e, "namespace of a tap device") : ST_OK;
    }
    if (tun_fd >= 0)
        close(tun_fd);
    if (!st)
        st = rtnetlink_namespace_id(nl, RTNETLINK_BY_FD, fd, &found, e);
    if (!st && found != wanted) {
        errmsg_set(e, "process %ld ended", pid);
        st = ST_NOTFOUND;
    }
    if (st) {
        if (fd >= 0)
            close(fd);
        return st;
    }
    *out_fd = fd;
    return ST_OK;
}
