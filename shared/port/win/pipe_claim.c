/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Windows knows a pipe's name while any handle to any of its instances is open. The claim is such a
 * handle, and one that cannot be connected to (pipe_handle.c, PIPE_CLAIM). Whoever else wants the
 * name as a first instance is refused by the kernel; whoever wants to add an instance needs
 * FILE_CREATE_PIPE_INSTANCE, which the descriptor that came with the claim gives to our account
 * only.
 *
 * A taken name is never joined: what serves there may be anything, and clients would reach it half
 * of the time. We only find out who it is, for the person who has to end it.
 */
#include "port/win/pipe_claim.h"

#include "port/addr.h"

#include <stdlib.h>

struct claim {
    HANDLE h;
};

static const struct pipe_claim_sys windows = {
    .create = pipe_create,
    .find_owner = pipe_find_owner,
};

enum status pipe_claim_open_on(const struct pipe_claim_sys *sys, const char *name,
                               const struct claim_opts *opts, struct claim **out,
                               struct claim_owner *owner, struct errmsg *e)
{
    wchar_t path[PIPE_PATH_MAX];
    struct claim_owner nobody;

    if (!owner)
        owner = &nobody;
    *owner = (struct claim_owner){ 0 };
    enum status st = pipe_path(path, name, e);
    if (st)
        return st;
    struct claim *c = calloc(1, sizeof(*c));
    if (!c)
        return ST_NOMEM;
    st = sys->create(&c->h, path, PIPE_CLAIM, opts && opts->byte_mode, opts ? opts->sddl : NULL, e);
    if (st) {
        free(c);
        if (st == ST_EXISTS) {
            sys->find_owner(path, owner);
            pipe_owner_message(e, owner);
        }
        return st;
    }
    *out = c;
    return ST_OK;
}

enum status pipe_claim_open(const char *name, const struct claim_opts *opts, struct claim **out,
                            struct claim_owner *owner, struct errmsg *e)
{
    return pipe_claim_open_on(&windows, name, opts, out, owner, e);
}

enum status claim_open(struct loop *loop, const struct addr *at, const struct claim_opts *opts,
                       struct claim **out, struct claim_owner *owner, struct errmsg *e)
{
    if (at->kind == ADDR_NPIPE)
        return pipe_claim_open(at->path, opts, out, owner, e);
    if (owner)
        *owner = (struct claim_owner){ 0 };
    errmsg_set(e, "only a pipe's name can be claimed on Windows");
    return ST_UNSUPPORTED;
}

int claim_inherit_fd(const struct claim *c)
{
    return -1;
}

enum status claim_regrant(struct claim *c, const char *sddl, struct errmsg *e)
{
    return pipe_regrant(c->h, sddl, e);
}

bool claim_still_held(const struct claim *c)
{
    return true;
}

void claim_close(struct claim *c)
{
    if (!c)
        return;
    CloseHandle(c->h);
    free(c);
}
