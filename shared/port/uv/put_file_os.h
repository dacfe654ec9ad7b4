/* SPDX-License-Identifier: Apache-2.0
 * put_file_os.h - the part of put_file() that differs: who may read a new file. One implementation
 * in linux/, one in win/. Private to port/. Any thread.
 */
#ifndef SHARED_PORT_UV_PUT_FILE_OS_H
#define SHARED_PORT_UV_PUT_FILE_OS_H

#include "base/status.h"

#include <uv.h>

/* A file that was not there before, for writing, which nobody beyond @mode could open in between.
 * On Windows a mode without bits for group and others is SYSTEM, administrators and ourselves; any
 * other one has the rights of its folder. ST_EXISTS, and what put_file() says. */
enum status put_file_create(uv_file *out, const char *path, unsigned mode);

#endif
