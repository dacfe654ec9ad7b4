/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * The claim of a unix socket is the bound and listening socket itself: nobody accepts on it here, a
 * worker inherits it and does. While there is no worker, the kernel completes clients' connects up
 * to the backlog and they wait; what one worker has not accepted, the next one will.
 *
 * A name that is taken has an owner: whoever called listen() on it, as the kernel tells each client
 * that connects (SO_PEERCRED). The connect is non-blocking and closed at once.
 */
#include "port/claim.h"

#include "port/addr.h"
#include "port/linux/listen_socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

struct claim {
    struct listen_socket socket;
};

static void find_owner(const char *path, struct claim_owner *owner)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct ucred cred = { .pid = 0 };
    socklen_t len = sizeof(cred);
    char link[64];

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.pid > 0) {
        owner->pid = cred.pid;
        snprintf(link, sizeof(link), "/proc/%d/exe", (int)cred.pid);
        ssize_t n = readlink(link, owner->image, sizeof(owner->image) - 1);
        owner->image[n > 0 ? n : 0] = '\0';
    }
    close(fd);
}

enum status claim_open(struct loop *loop, const struct addr *at, const struct claim_opts *opts,
                       struct claim **out, struct claim_owner *owner, struct errmsg *e)
{
    if (owner)
        *owner = (struct claim_owner){ 0 };
    if (at->kind != ADDR_UNIX) {
        errmsg_set(e, "only a unix socket's name can be claimed here");
        return ST_UNSUPPORTED;
    }
    struct claim *c = calloc(1, sizeof(*c));
    if (!c)
        return ST_NOMEM;
    enum status st =
        listen_socket_open(&c->socket, at, opts ? opts->unix_mode : 0, opts ? opts->backlog : 0, e);
    if (st) {
        free(c);
        if (st == ST_EXISTS && owner)
            find_owner(at->path, owner);
        return st;
    }
    *out = c;
    return ST_OK;
}

int claim_inherit_fd(const struct claim *c)
{
    return c->socket.fd;
}

bool claim_still_held(const struct claim *c)
{
    return listen_socket_has_name(&c->socket);
}

void claim_close(struct claim *c)
{
    if (!c)
        return;
    listen_socket_close(&c->socket);
    free(c);
}
