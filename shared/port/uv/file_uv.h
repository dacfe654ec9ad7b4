/* SPDX-License-Identifier: Apache-2.0
 * file_uv.h - libuv's file calls without a loop: over when they return, with nothing left to clean
 * up. Each returns what libuv's does: a negative UV_E*, and 0 or what is said here. Private to the
 * files that may include uv.h. Blocks for as long as the file system does; any thread.
 */
#ifndef SHARED_PORT_UV_FILE_UV_H
#define SHARED_PORT_UV_FILE_UV_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* The file, which is closed by file_uv_close(). @flags of UV_FS_O_*. */
int file_uv_open(const char *path, int flags, int mode);
int file_uv_close(uv_file file);
/* How many bytes from place @at on; 0 at the end. */
int file_uv_read(uv_file file, void *buf, size_t cap, int64_t at);
/* All of it, where the file stands; *done_bytes says how much of it was written, also after a
 * failure, and may be NULL. */
int file_uv_write(uv_file file, const void *data, size_t len_bytes, size_t *done_bytes);
int file_uv_remove(const char *path);
/* What was at @to is gone. */
int file_uv_rename(const char *from, const char *to);

#endif
