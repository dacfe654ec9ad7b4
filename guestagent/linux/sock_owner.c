/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/sock_owner.h"

#include <errno.h>
#include <sys/stat.h>

enum status sock_owner_get(const char *path, struct sock_owner *out)
{
    struct stat s;

    if (stat(path, &s) != 0) {
        switch (errno) {
        case ENOENT:
        case ENOTDIR: return ST_NOTFOUND;
        case EACCES: return ST_DENIED;
        default: return ST_IO;
        }
    }
    if (!S_ISSOCK(s.st_mode))
        return ST_INVAL;
    *out = (struct sock_owner){ .uid = (int64_t)s.st_uid, .inode = (uint64_t)s.st_ino };
    return ST_OK;
}
