/* SPDX-License-Identifier: Apache-2.0
 * host_look.h - what a person who has trouble would look up on this computer: whose a socket or
 * pipe is, which ports the system keeps, whether the list of virtual machines can be read.
 *
 * For the command line, as the person who runs it: each call may take the time of a system's
 * program (a tenth of a second). Changes nothing. Implemented by linux/ and win/.
 */
#ifndef SHARED_PORT_HOST_LOOK_H
#define SHARED_PORT_HOST_LOOK_H

#include "base/status.h"

#include <stdbool.h>

struct addr;
struct port_ranges;

enum { HOST_LOOK_ACCOUNT_MAX = 96 };

struct host_owner {
    char account[HOST_LOOK_ACCOUNT_MAX]; /* "uid 0", "NT AUTHORITY\SYSTEM"; "" = unknown */
    bool is_trusted;                     /* the system's, an administrator's or the caller's own */
    bool may_open;                       /* the caller */
};

struct host_look {
    /* Of a unix socket or a pipe. ST_NOTFOUND; ST_UNSUPPORTED for what has no owner; ST_DENIED: not
     * even that is told to the caller. */
    enum status (*owner)(const struct addr *at, struct host_owner *out);
    /* TCP ports on which nobody may listen unasked; *out is filled anew. ST_UNSUPPORTED, ST_IO. */
    enum status (*reserved_ports)(struct port_ranges *out);
    /* Whether Windows' list of WSL's virtual machines can be read: ST_NOTFOUND while WSL has not
     * run; ST_DENIED; ST_UNSUPPORTED elsewhere. */
    enum status (*machine_list)(void);
};

extern const struct host_look host_look_os;

#endif
