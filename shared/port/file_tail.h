/* SPDX-License-Identifier: Apache-2.0
 * file_tail.h - reads a file that somebody else writes, renames and begins anew (a log).
 *
 * On Windows too the writer may rename it meanwhile. Blocks as long as the file system does; one
 * thread at a time.
 */
#ifndef SHARED_PORT_FILE_TAIL_H
#define SHARED_PORT_FILE_TAIL_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct file_tail;

/* From its first byte on. ST_NOTFOUND, DENIED, INVAL (path too long), NOMEM, IO. */
enum status file_tail_open(struct file_tail **out, const char *path);
/* What comes next, at most @cap bytes; *len_bytes is 0 at what is the end now. ST_IO. */
enum status file_tail_read(struct file_tail *t, void *buf, size_t cap, size_t *len_bytes);
/* The path leads to another file now, or the file was cut: read this one to its end, open anew. */
bool file_tail_is_replaced(struct file_tail *t);
void file_tail_close(struct file_tail *t); /* NULL is fine */

#endif
