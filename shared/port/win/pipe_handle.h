/* SPDX-License-Identifier: Apache-2.0
 * pipe_handle.h - creating and looking at named pipe handles; the system calls beneath
 * pipe_listener, pipe_claim and pipe_dial. Runs on: any thread. Private to port/win.
 */
#ifndef SHARED_PORT_WIN_PIPE_HANDLE_H
#define SHARED_PORT_WIN_PIPE_HANDLE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <windows.h>

struct claim_owner;

enum { PIPE_PATH_MAX = 256 };

enum pipe_create {
    PIPE_CLAIM, /* the first instance, and one that no client can reach: it holds the name */
    PIPE_JOIN   /* an instance that serves, of a pipe that exists */
};

/* "\\.\pipe\NAME". ST_INVAL: bad UTF-8, a backslash or an empty name; ST_FULL: too long. */
enum status pipe_path(wchar_t out[static PIPE_PATH_MAX], const char *name, struct errmsg *e);

/* One instance: overlapped, local clients only, as many instances as wanted. @sddl NULL is the
 * default of pipe_acl_build(); PIPE_JOIN does not look at it. ST_EXISTS: PIPE_CLAIM of a name that
 * is taken. ST_NOTFOUND: PIPE_JOIN of one that does not exist (not under Wine: look first where
 * that matters). ST_INVAL (SDDL), ST_DENIED, ST_NOFILES, ST_NOMEM, ST_IO. */
enum status pipe_create(HANDLE *out, const wchar_t *path, enum pipe_create how, bool byte_mode,
                        const char *sddl, struct errmsg *e);

/* Another descriptor for the pipe that the claim @h holds: the list of who may do what, for all its
 * instances; owner and label stay. ST_INVAL (SDDL), ST_DENIED, ST_IO. */
enum status pipe_regrant(HANDLE h, const char *sddl, struct errmsg *e);

/* Somebody serves or holds the name; connects to nobody. */
bool pipe_exists(const wchar_t *path);
/* Who serves the name; zeroed where that cannot be found out. Connects for a moment, as anonymous,
 * so that whoever is there cannot act as us. */
void pipe_find_owner(const wchar_t *path, struct claim_owner *owner);
/* "already taken by pid 12 (C:\x.exe)" around @owner. */
void pipe_owner_message(struct errmsg *e, const struct claim_owner *owner);

#endif
