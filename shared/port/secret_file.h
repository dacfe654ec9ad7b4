/* SPDX-License-Identifier: Apache-2.0
 * secret_file.h - small files that nobody but their owner may read.
 *
 * On Linux a file is refused that anybody else could read or write: it must be the caller's or
 * root's, and closed to others; root's group may read (systemd's credentials look like that). On
 * Windows who may read is the folder's business, which the installer closes; what is made here is
 * closed by itself. Blocks for as long as the file system does; any thread.
 */
#ifndef SHARED_PORT_SECRET_FILE_H
#define SHARED_PORT_SECRET_FILE_H

#include "base/status.h"

#include <stddef.h>

enum { SECRET_FILE_MAX = 512 };

/* All of it. ST_NOTFOUND; ST_DENIED (cannot be read, or others can); ST_FULL (longer than @cap);
 * ST_INVAL (no plain file, or not a path); ST_IO. */
enum status secret_file_read(const char *path, char *buf, size_t cap, size_t *len_bytes,
                             struct errmsg *e);
/* A new one. ST_EXISTS: there is one, which stays as it is; ST_NOTFOUND (no such folder),
 * ST_DENIED, ST_INVAL, ST_IO; then there is none. */
enum status secret_file_create(const char *path, const char *data, size_t len_bytes,
                               struct errmsg *e);

#endif
