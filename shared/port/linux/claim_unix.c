/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * The claim of a unix socket is the bound and listening socket itself: nobody accepts on it here, a
 * worker inherits it and does. While there is no worker, the kernel completes clients' connects up
 * to the backlog and they wait; what one worker has not accepted, the next one will.
 *
 * A name that is taken has an owner, which listen_socket.c finds out.
 */
#include "port/claim.h"

#include "port/addr.h"
#include "port/linux/listen_socket.h"

#include <stdlib.h>

struct claim {
    struct listen_socket socket;
};

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
        if (st == ST_EXISTS && owner)
            *owner = c->socket.taken_by;
        free(c);
        return st;
    }
    *out = c;
    return ST_OK;
}

int claim_inherit_fd(const struct claim *c)
{
    return c->socket.fd;
}

enum status claim_regrant(struct claim *c, const char *sddl, struct errmsg *e)
{
    errmsg_set(e, "a unix socket has the rights of a file, no descriptor");
    return ST_UNSUPPORTED;
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
