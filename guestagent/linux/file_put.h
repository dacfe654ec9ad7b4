/* SPDX-License-Identifier: Apache-2.0
 * file_put.h - the small text files of /etc, read and replaced whole. Private to linux/.
 */
#ifndef GUESTAGENT_LINUX_FILE_PUT_H
#define GUESTAGENT_LINUX_FILE_PUT_H

#include "base/status.h"

#include <stddef.h>

enum { FILE_TEXT_MAX = 1024 * 1024 };

/* The whole file, with a 0 behind it; free() it. ST_NOTFOUND, ST_DENIED, ST_FULL: larger than
 * FILE_TEXT_MAX; ST_INVAL: no regular file; ST_NOMEM, ST_IO. */
enum status file_text(const char *path, char **out, size_t *len_bytes, struct errmsg *e);
/* @path becomes a regular file with that content, owner and mode as it had (0644 when it is new);
 * one that has it already is not touched. ST_DENIED: it cannot be written (read-only file system,
 * immutable file), ST_FULL: no room; ST_INVAL: neither a file nor a link; ST_NOMEM, ST_IO. */
enum status file_put(const char *path, const char *text, size_t len_bytes, struct errmsg *e);

#endif
