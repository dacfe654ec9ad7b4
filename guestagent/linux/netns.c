/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A namespace is a descriptor of the kernel's nsfs; device and inode number say which one it is,
 * or for a process's, which may not be looked at, the number that rtnetlink has for it. What
 * differs is only where the descriptor comes from, and how to see that it is an old one:
 *
 *   host        /proc/thread-self/ns/net                    never old
 *   unit:NAME   a process of the unit (netns_of_pid.h)      old when no process of it is there
 *   path:FILE   FILE, such as /run/netns/x                  old when FILE is another namespace
 *   new:NAME    /run/netns/NAME, made when it is missing    likewise
 *
 * unit: the first process that is not in our own namespace counts. systemd forks the main process
 * first and gives it its namespace after, and for a plain service says "started" in between; so a
 * process in our namespace is one that is not there yet, and the answer is ST_NOTFOUND: ask again.
 * All processes of a unit with PrivateNetwork= share one namespace, so no one looks for the main
 * one.
 *
 * new: is made the way iproute2 does it, so that `ip netns exec` finds it: /run/netns is a shared
 * mount, NAME in it an empty file with the namespace mounted over it. It outlives us, and is found
 * again.
 *
 * While a thread is away everything it opens belongs there, so away is short and nothing between
 * enter and leave may call back into the loop. If the way back fails (it cannot, with a descriptor
 * that is held for life, unless privileges were dropped meanwhile) the process ends.
 */
#include "guestagent/linux/netns.h"

#include "base/log.h"
#include "guestagent/linux/netns_of_pid.h"
#include "guestagent/linux/netns_unit.h"
#include "guestagent/linux/os_status.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_NAMESPACE "/proc/thread-self/ns/net"
#define KEPT_AT       "/run/netns"

static enum status fail(struct errmsg *e, int err, const char *what)
{
    enum status st = os_status(err);

    errmsg_set(e, "%s: %s%s", what, strerror(err),
               st == ST_DENIED ? " (needs root, with CAP_SYS_ADMIN)" : "");
    return st;
}

static bool is_net_namespace(int fd)
{
    return ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

/* The namespace at @path; a file that is none (yet) is not found. */
static enum status open_file(int *out, const char *path, struct errmsg *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fail(e, errno, path);
    if (!is_net_namespace(fd)) {
        close(fd);
        errmsg_set(e, "%s is not a network namespace (yet)", path);
        return ST_NOTFOUND;
    }
    *out = fd;
    return ST_OK;
}

/* ---- unit:NAME ------------------------------------------------------------------------- */

struct search {
    struct netns *n;
    int home_id;
    enum status st; /* why a process's namespace was not had; ST_NOTFOUND: none had another one */
    bool seen_home; /* a process in our own namespace */
    struct errmsg why;
};

static bool try_process(void *ctx, long pid)
{
    struct search *s = ctx;
    int id = 0;
    enum status st = rtnetlink_namespace_id(&s->n->home, RTNETLINK_BY_PID, pid, &id, &s->why);

    if (!st && id == s->home_id) {
        s->seen_home = true;
        return true;
    }
    if (!st)
        st = netns_of_pid(&s->n->home, pid, &s->n->fd, &s->why);
    if (st != ST_NOTFOUND) /* else it ended meanwhile */
        s->st = st;
    return st == ST_NOTFOUND;
}

static enum status open_unit(struct netns *n, struct errmsg *e)
{
    struct search s = { .n = n, .st = ST_NOTFOUND };
    enum status st = rtnetlink_namespace_id(&n->home, RTNETLINK_BY_FD, n->home_fd, &s.home_id, e);

    if (!st)
        st = netns_unit_visit(n->name, try_process, &s, e);
    if (st || !s.st)
        return st;
    if (s.st == ST_NOTFOUND && s.seen_home)
        errmsg_set(e, "%s has no network namespace of its own (yet): PrivateNetwork=yes?", n->name);
    else if (s.st == ST_NOTFOUND)
        errmsg_set(e, "%s ended", n->name);
    else
        errmsg_set(e, "namespace of %s: %s", n->name, s.why.text);
    return s.st;
}

struct membership {
    struct netns *n;
    int id; /* of the namespace */
    bool found;
};

static bool is_member(void *ctx, long pid)
{
    struct membership *m = ctx;
    int id = 0;

    m->found = rtnetlink_namespace_id(&m->n->home, RTNETLINK_BY_PID, pid, &id, NULL) == ST_OK &&
               id == m->id;
    return !m->found;
}

static bool unit_is_there(struct netns *n)
{
    struct membership m = { .n = n };

    return rtnetlink_namespace_id(&n->home, RTNETLINK_BY_FD, n->fd, &m.id, NULL) == ST_OK &&
           netns_unit_visit(n->name, is_member, &m, NULL) == ST_OK && m.found;
}

/* ---- new:NAME -------------------------------------------------------------------------- */

/* As iproute2 does: a mount that others see too, whatever namespace of mounts they are in. */
static enum status share_folder(struct errmsg *e)
{
    if (mkdir(KEPT_AT, 0755) != 0 && errno != EEXIST)
        return fail(e, errno, KEPT_AT);
    if (mount("", KEPT_AT, "none", MS_SHARED | MS_REC, NULL) == 0)
        return ST_OK;
    if (errno != EINVAL || mount(KEPT_AT, KEPT_AT, "none", MS_BIND | MS_REC, NULL) != 0 ||
        mount("", KEPT_AT, "none", MS_SHARED | MS_REC, NULL) != 0)
        return fail(e, errno, "mount " KEPT_AT);
    return ST_OK;
}

/* The calling thread makes a namespace, leaves its name at @path, and is back. */
static enum status make_namespace(const struct netns *n, struct errmsg *e)
{
    enum status st = ST_OK;

    if (unshare(CLONE_NEWNET) != 0)
        return fail(e, errno, "new network namespace");
    if (mount(OWN_NAMESPACE, n->name, "none", MS_BIND, NULL) != 0)
        st = fail(e, errno, n->name);
    netns_leave(n);
    return st;
}

static enum status open_or_make(struct netns *n, struct errmsg *e)
{
    enum status st = open_file(&n->fd, n->name, NULL);
    int fd;

    if (st != ST_NOTFOUND)
        return st ? open_file(&n->fd, n->name, e) : ST_OK;
    st = share_folder(e);
    if (st)
        return st;
    fd = open(n->name, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0);
    if (fd < 0)
        return fail(e, errno, n->name);
    close(fd);
    st = make_namespace(n, e);
    if (st) {
        unlink(n->name);
        return st;
    }
    return open_file(&n->fd, n->name, e);
}

/* ---- the contract ---------------------------------------------------------------------- */

static const struct {
    const char *prefix;
    enum netns_kind kind;
} kinds[] = {
    { "unit:", NETNS_UNIT },
    { "path:", NETNS_PATH },
    { "new:", NETNS_NEW },
};

static enum status refuse_spec(const char *spec, struct errmsg *e)
{
    errmsg_set(e, "network namespace \"%s\": not host, unit:NAME, path:FILE or new:NAME", spec);
    return ST_INVAL;
}

static enum status parse_spec(struct netns *n, const char *spec, struct errmsg *e)
{
    n->kind = NETNS_HOST;
    if (strcmp(spec, "host") == 0)
        return ST_OK;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t len = strlen(kinds[i].prefix);
        const char *rest = spec + len;
        int written;

        if (strncmp(spec, kinds[i].prefix, len) != 0)
            continue;
        n->kind = kinds[i].kind;
        if (!*rest || (n->kind == NETNS_NEW && (strchr(rest, '/') || *rest == '.')))
            return refuse_spec(spec, e);
        written = snprintf(n->name, sizeof n->name, "%s%s", n->kind == NETNS_NEW ? KEPT_AT "/" : "",
                           rest);
        return written < (int)sizeof n->name ? ST_OK : refuse_spec(spec, e);
    }
    return refuse_spec(spec, e);
}

static enum status open_kind(struct netns *n, struct errmsg *e)
{
    switch (n->kind) {
    case NETNS_UNIT: return open_unit(n, e);
    case NETNS_PATH: return open_file(&n->fd, n->name, e);
    case NETNS_NEW: return open_or_make(n, e);
    case NETNS_HOST: break;
    }
    return open_file(&n->fd, OWN_NAMESPACE, e);
}

static enum status identify(struct netns *n, struct errmsg *e)
{
    struct stat home;
    struct stat there;

    if (fstat(n->home_fd, &home) != 0 || fstat(n->fd, &there) != 0)
        return fail(e, errno, "network namespace");
    n->dev = there.st_dev;
    n->ino = there.st_ino;
    n->is_home = home.st_dev == there.st_dev && home.st_ino == there.st_ino;
    return ST_OK;
}

enum status netns_open(struct netns *out, const char *spec, struct errmsg *e)
{
    struct netns n = { .fd = -1, .home_fd = -1, .home.fd = -1 };
    enum status st = parse_spec(&n, spec, e);

    if (st)
        return st;
    st = open_file(&n.home_fd, OWN_NAMESPACE, e);
    if (!st)
        st = rtnetlink_open(&n.home, e);
    if (!st)
        st = open_kind(&n, e);
    if (!st)
        st = identify(&n, e);
    if (st) {
        netns_close(&n);
        return st;
    }
    *out = n;
    return ST_OK;
}

bool netns_is_current(struct netns *n)
{
    struct stat s;

    switch (n->kind) {
    case NETNS_UNIT: return unit_is_there(n);
    case NETNS_PATH:
    case NETNS_NEW: return stat(n->name, &s) == 0 && s.st_dev == n->dev && s.st_ino == n->ino;
    case NETNS_HOST: break;
    }
    return true;
}

enum status netns_enter(const struct netns *n, struct errmsg *e)
{
    if (!n->is_home && setns(n->fd, CLONE_NEWNET) != 0)
        return fail(e, errno, "enter the network namespace");
    return ST_OK;
}

void netns_leave(const struct netns *n)
{
    if (n->is_home || setns(n->home_fd, CLONE_NEWNET) == 0)
        return;
    log_error(LOG_NET, "cannot go back to this process's network namespace: %s; ending",
              strerror(errno));
    abort();
}

void netns_close(struct netns *n)
{
    if (n->fd >= 0)
        close(n->fd);
    if (n->home_fd >= 0)
        close(n->home_fd);
    n->fd = n->home_fd = -1;
    rtnetlink_close(&n->home);
}
