/* SPDX-License-Identifier: Apache-2.0
 * pipe_claim.h - port/claim.h for named pipes. The system calls come in as a table, because Wine
 * does not refuse a second first instance: tests stand in for a system that does. Private to port/.
 */
#ifndef SHARED_PORT_WIN_PIPE_CLAIM_H
#define SHARED_PORT_WIN_PIPE_CLAIM_H

#include "port/claim.h"
#include "port/win/pipe_handle.h"

struct pipe_claim_sys {
    enum status (*create)(HANDLE *out, const wchar_t *path, enum pipe_create how, bool byte_mode,
                          const char *sddl, struct errmsg *e);
    void (*find_owner)(const wchar_t *path, struct claim_owner *owner);
};

/* claim_open() without a loop. */
enum status pipe_claim_open(const char *name, const struct claim_opts *opts, struct claim **out,
                            struct claim_owner *owner, struct errmsg *e);
enum status pipe_claim_open_on(const struct pipe_claim_sys *sys, const char *name,
                               const struct claim_opts *opts, struct claim **out,
                               struct claim_owner *owner, struct errmsg *e);

#endif
