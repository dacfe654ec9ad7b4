/* SPDX-License-Identifier: Apache-2.0
 * put_file.h - a small file as a whole: whoever reads it sees the old contents or the new.
 *
 * Written beside its place ("PATH.new") and renamed onto it; a link at PATH is replaced, not
 * followed. Not forced to the disk: a crash of the system may lose the newest. Blocks for as long
 * as the file system does; any thread.
 */
#ifndef SHARED_PORT_PUT_FILE_H
#define SHARED_PORT_PUT_FILE_H

#include "base/status.h"

#include <stddef.h>

enum {
    PUT_FILE_PATH_MAX = 512,
    PUT_FILE_KEEP_MODE = 01000 /* with @mode: that of the file at PATH, where there is one */
};

/* @mode: permission bits; on Windows those for group and others, all off, make the file that of
 * SYSTEM, administrators and ourselves, and otherwise it has the rights of its folder. ST_NOTFOUND
 * (no such directory), DENIED, FULL (disk), INVAL (path too long), IO. After a failure PATH is what
 * it was. */
enum status put_file(const char *path, const void *data, size_t len_bytes, unsigned mode);

#endif
