/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A unix socket outlives its process as a file. bind() then says "in use", and only a connect()
 * tells a leftover (refused) from a living owner (accepted, or its backlog is full). A leftover is
 * unlinked and the name taken; a living owner is named from the credentials of that connect().
 *
 * Who may connect is decided by the file's mode, so it must be right from the first moment: the
 * umask is set around bind(), not a chmod() after it.
 *
 * On close the file is removed only while it still is the one that we made (device and inode):
 * whoever replaced it keeps theirs.
 *
 * Not done: a lock file against two processes that find the same leftover in the same moment. The
 * loser of that race is left without the name, which listen_socket_has_name() tells.
 */
#include "port/linux/listen_socket.h"

#include "port/addr.h"
#include "port/uv/uv_status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

/* After sys/socket.h: older versions of this header use its types. */
#include <linux/vm_sockets.h>

enum { DEFAULT_BACKLOG = 1024, DEFAULT_UNIX_MODE = 0600 };

static enum status sys_status(int err)
{
    return uv_status(uv_translate_sys_error(err));
}

static enum status fail_errno(struct errmsg *e, const char *doing, int err)
{
    errmsg_set(e, "%s: %s", doing, strerror(err));
    return sys_status(err);
}

/* ---- addresses ------------------------------------------------------------------------- */

static enum status fill_tcp(struct listen_socket *s, const struct addr *at, struct errmsg *e)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&s->at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&s->at;

    if (inet_pton(AF_INET, at->path, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(at->tcp_port);
        s->at_len = sizeof *v4;
    } else if (inet_pton(AF_INET6, at->path, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(at->tcp_port);
        s->at_len = sizeof *v6;
    } else {
        errmsg_set(e, "\"%s\" is no IP address", at->path);
        return ST_INVAL;
    }
    return ST_OK;
}

static enum status fill_sockaddr(struct listen_socket *s, const struct addr *at, struct errmsg *e)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&s->at;
    struct sockaddr_vm *vm = (struct sockaddr_vm *)&s->at;

    _Static_assert(sizeof un->sun_path >= ADDR_PATH_MAX, "every parsed path fits");
    switch (at->kind) {
    case ADDR_UNIXPACKET: s->type = SOCK_SEQPACKET; /* fall through */
    case ADDR_UNIX:
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, at->path, sizeof at->path);
        s->at_len = sizeof *un;
        return ST_OK;
    case ADDR_TCP: return fill_tcp(s, at, e);
    case ADDR_VSOCK:
        vm->svm_family = AF_VSOCK;
        vm->svm_cid = at->cid; /* ADDR_CID_ANY is VMADDR_CID_ANY */
        vm->svm_port = at->port;
        s->at_len = sizeof *vm;
        return ST_OK;
    default: errmsg_set(e, "%s", status_text(ST_UNSUPPORTED)); return ST_UNSUPPORTED;
    }
}

/* NULL when it is no unix socket with a path. */
static const char *unix_path(const struct listen_socket *s)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&s->at;

    return un->sun_family == AF_UNIX && un->sun_path[0] ? un->sun_path : NULL;
}

/* ---- names that are taken -------------------------------------------------------------- */

/* Who called listen() on the socket that @fd is connected to. */
static void find_owner(int fd, struct claim_owner *out)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    char link[64];
    ssize_t n;

    *out = (struct claim_owner){ 0 };
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 || cred.pid <= 0)
        return;
    out->pid = cred.pid;
    snprintf(link, sizeof link, "/proc/%d/exe", (int)cred.pid);
    n = readlink(link, out->image, sizeof out->image - 1);
    out->image[n > 0 ? n : 0] = '\0';
}

static void describe_owner(const struct claim_owner *owner, const char *path, struct errmsg *e)
{
    if (owner->pid)
        errmsg_set(e, "%s is in use by pid %d (%.120s)", path, (int)owner->pid,
                   owner->image[0] ? owner->image : "program unknown");
    else
        errmsg_set(e, "%s is in use by another process", path);
}

/* ST_OK: it was a leftover and is gone. ST_EXISTS: somebody answers. */
static enum status remove_leftover(struct listen_socket *s, const char *path, struct errmsg *e)
{
    struct stat file;
    enum status st = ST_OK;
    int fd;

    if (lstat(path, &file) != 0)
        return errno == ENOENT ? ST_OK : fail_errno(e, path, errno);
    if (!S_ISSOCK(file.st_mode)) {
        errmsg_set(e, "%s is a file, not a socket", path);
        return ST_EXISTS;
    }
    fd = socket(AF_UNIX, s->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail_errno(e, "socket", errno);
    if (connect(fd, (const struct sockaddr *)&s->at, s->at_len) == 0 || errno == EAGAIN) {
        find_owner(fd, &s->taken_by);
        describe_owner(&s->taken_by, path, e);
        st = ST_EXISTS;
    } else if (errno != ECONNREFUSED && errno != ENOENT) {
        st = fail_errno(e, path, errno);
    } else if (unlink(path) != 0 && errno != ENOENT) {
        st = fail_errno(e, "remove the stale socket", errno);
    }
    close(fd);
    return st;
}

/* ---- making it ------------------------------------------------------------------------- */

static int bind_with_mode(const struct listen_socket *s)
{
    mode_t old = umask(0777 & ~s->mode);
    int err = bind(s->fd, (const struct sockaddr *)&s->at, s->at_len) == 0 ? 0 : errno;

    umask(old);
    return err;
}

static enum status bind_name(struct listen_socket *s, struct errmsg *e)
{
    const char *path = unix_path(s);
    struct stat file;
    int err = bind_with_mode(s);
    enum status st;

    if (err == EADDRINUSE && path) {
        st = remove_leftover(s, path, e);
        if (st)
            return st;
        err = bind_with_mode(s);
    }
    if (err)
        return fail_errno(e, "bind", err);
    if (path && lstat(path, &file) == 0) {
        s->owns_name = true;
        s->dev = file.st_dev;
        s->ino = file.st_ino;
    }
    return ST_OK;
}

static enum status make_socket(struct listen_socket *s, struct errmsg *e)
{
    int on = 1;
    enum status st;

    s->fd = socket(s->at.ss_family, s->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return fail_errno(e, "socket", errno);
    if (s->at.ss_family == AF_INET || s->at.ss_family == AF_INET6)
        setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (s->at.ss_family == AF_INET6)
        setsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    st = bind_name(s, e);
    if (st == ST_OK && listen(s->fd, (int)s->backlog) != 0)
        st = fail_errno(e, "listen", errno);
    if (st)
        listen_socket_close(s);
    return st;
}

static void listen_socket_clear(struct listen_socket *s, unsigned mode, unsigned backlog)
{
    memset(s, 0, sizeof *s);
    s->fd = -1;
    s->type = SOCK_STREAM;
    s->mode = mode ? mode & 0777 : DEFAULT_UNIX_MODE;
    s->backlog = backlog ? backlog : DEFAULT_BACKLOG;
}

enum status listen_socket_open(struct listen_socket *s, const struct addr *at, unsigned mode,
                               unsigned backlog, struct errmsg *e)
{
    char text[ADDR_TEXT_MAX];
    enum status st;

    listen_socket_clear(s, mode, backlog);
    st = fill_sockaddr(s, at, e);
    if (st == ST_OK)
        st = make_socket(s, e);
    if (st)
        errmsg_wrap(e, "listen at %s", addr_format(at, text, sizeof text));
    return st;
}

enum status listen_socket_adopt(struct listen_socket *s, int fd, unsigned mode, unsigned backlog,
                                struct errmsg *e)
{
    int listening = 0, type = 0;
    socklen_t len = sizeof listening;
    int flags;

    listen_socket_clear(s, mode, backlog);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening) {
        errmsg_set(e, "descriptor %d is not a listening socket", fd);
        return ST_INVAL;
    }
    len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
        return fail_errno(e, "getsockopt", errno);
    s->type = type;
    s->at_len = sizeof s->at;
    if (getsockname(fd, (struct sockaddr *)&s->at, &s->at_len) != 0)
        return fail_errno(e, "getsockname", errno);
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return fail_errno(e, "fcntl", errno);
    s->fd = fd;
    return ST_OK;
}

enum status listen_socket_reopen(struct listen_socket *s, struct errmsg *e)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    return make_socket(s, e);
}

bool listen_socket_has_name(const struct listen_socket *s)
{
    const char *path = unix_path(s);
    struct stat file;

    if (!path || !s->owns_name)
        return true;
    return lstat(path, &file) == 0 && file.st_dev == s->dev && file.st_ino == s->ino;
}

void listen_socket_close(struct listen_socket *s)
{
    if (s->owns_name && listen_socket_has_name(s))
        unlink(unix_path(s));
    s->owns_name = false;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}
