/* SPDX-License-Identifier: Apache-2.0
 * pipe_acl.h - who may use a named pipe, as a security descriptor string (SDDL).
 *
 * Two halves: pipe_acl_text() is pure text (reviewed and tested on every system), pipe_acl_build()
 * asks Windows who the names are. The descriptor is always explicit: Windows' default for a pipe
 * lets Everyone and Anonymous read.
 */
#ifndef SHARED_PORT_WIN_PIPE_ACL_H
#define SHARED_PORT_WIN_PIPE_ACL_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PIPE_ACL_MAX_CLIENTS = 16,
    PIPE_ACL_SID_MAX = 192, /* the longest SID text is 184 characters */
    PIPE_ACL_TEXT_MAX = 4096
};

struct pipe_acl {
    bool as_system;       /* the server runs as SYSTEM, which then owns the pipe */
    const char *self_sid; /* the server's own account where it is not SYSTEM; full access */
    const char *clients[PIPE_ACL_MAX_CLIENTS]; /* SID texts that may connect, read and write */
    unsigned client_count;
};

/* ST_FULL: @cap too small. ST_INVAL: a SID is not of the form S-1-... */
enum status pipe_acl_text(char *out, size_t cap, const struct pipe_acl *acl, struct errmsg *e);

/* What pipe_acl_build() could not do: the names are left out, the rest stands. */
struct pipe_acl_report {
    unsigned unresolved;
    struct errmsg names; /* "docker-users, ci": the unresolved ones */
    uint32_t resolved;   /* bit i: @names[i] has been granted */
};

/* Windows only. The descriptor for a server that runs as the current account and serves @names
 * (users, groups, DOMAIN\name, or SID texts); @count is at most PIPE_ACL_MAX_CLIENTS (ST_FULL). */
enum status pipe_acl_build(char *out, size_t cap, const char *const *names, unsigned count,
                           struct pipe_acl_report *report, struct errmsg *e);

#endif
