/* SPDX-License-Identifier: Apache-2.0
 * sock_owner.h - whose a unix socket in the file system is. One stat(), no connect.
 * linux/sock_owner.c; win/sock_owner.c can tell nothing.
 */
#ifndef GUESTAGENT_SOCK_OWNER_H
#define GUESTAGENT_SOCK_OWNER_H

#include "base/status.h"

#include <stdint.h>

struct sock_owner {
    int64_t uid;
    uint64_t inode;
};

/* ST_NOTFOUND; ST_DENIED: a folder on the way may not be searched; ST_INVAL: it is no socket;
 * ST_UNSUPPORTED; ST_IO. */
enum status sock_owner_get(const char *path, struct sock_owner *out);

#endif
