/* SPDX-License-Identifier: Apache-2.0
 * claim.h - holds an endpoint's name for as long as the program lives.
 *
 * Clients must never find the name gone, or somebody else behind it, while the process that serves
 * it is being replaced. So the name belongs to the controller and only the serving is delegated:
 *
 *   unix:PATH   the claim is the bound and listening socket; a worker inherits it as fd 3 and
 *               listens at "fd:3". Between two workers clients wait in its backlog.
 *   npipe:NAME  the claim is the pipe's first instance, opened so that nobody can connect to it;
 *               a worker adds the instances that serve, with listener_opts.join. Between two
 *               workers clients see ERROR_PIPE_BUSY, which they wait out, not "not found".
 *
 * A name that is taken is not joined: claim_open() says by whom, and the owner serves its fallback
 * name and tries again later. Implemented by linux/claim_unix.c and win/pipe_claim.c.
 * Runs on: the loop's thread. Never blocks longer than one connect() to a local socket.
 */
#ifndef SHARED_PORT_CLAIM_H
#define SHARED_PORT_CLAIM_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct addr;
struct claim;
struct loop;

enum { CLAIM_IMAGE_MAX = 260 };

/* Who holds a name that we did not get, as far as the system tells us. */
struct claim_owner {
    int64_t pid;                 /* 0 = unknown */
    char image[CLAIM_IMAGE_MAX]; /* path of its program, UTF-8, cut at the end; "" = unknown */
};

struct claim_opts {
    unsigned backlog;   /* unix: 0 = 1024 */
    unsigned unix_mode; /* permission bits of the socket, 0 = 0600 */
    const char *sddl; /* npipe: security descriptor for all instances, NULL = pipe_acl's default */
    bool byte_mode;   /* npipe: as listener_opts.byte_mode of those who join; must agree */
};

/* Takes the name of @at (unix or npipe; anything else is ST_UNSUPPORTED). A unix socket that nobody
 * listens on is a leftover and is replaced; any other file is not. ST_EXISTS: taken, *owner is
 * filled and @e names it; on any other status *owner is zeroed. ST_DENIED, ST_INVAL (SDDL, path),
 * ST_NOTFOUND (no such directory), ST_NOFILES, ST_NOMEM, ST_IO. @owner and @opts may be NULL. */
enum status claim_open(struct loop *loop, const struct addr *at, const struct claim_opts *opts,
                       struct claim **out, struct claim_owner *owner, struct errmsg *e);
/* The listening socket, for process_spec.inherit_fd: borrowed, valid until claim_close().
 * -1 on Windows, where there is nothing to inherit. */
int claim_inherit_fd(const struct claim *c);
/* False once the name no longer leads to us (somebody removed or replaced the socket file): close
 * the claim and open it again. Always true for a pipe, whose name lives as long as our handle. */
bool claim_still_held(const struct claim *c);
/* Who may connect from now on; those who are connected stay so. ST_UNSUPPORTED: a unix socket,
 * whose rights are a file's. ST_INVAL (SDDL), ST_DENIED, ST_IO. */
enum status claim_regrant(struct claim *c, const char *sddl, struct errmsg *e);
/* Gives the name up; removes a socket file only when it is still ours. NULL is fine. */
void claim_close(struct claim *c);

#endif
