/* SPDX-License-Identifier: Apache-2.0
 * uv_status.h - the one place where libuv's error numbers become statuses. Any thread.
 */
#ifndef SHARED_PORT_UV_UV_STATUS_H
#define SHARED_PORT_UV_UV_STATUS_H

#include "base/status.h"

/* @err is negative, as libuv returns it (uv_translate_sys_error() makes one of an errno or a
 * GetLastError()). Never ST_OK. */
enum status uv_status(int err);

#endif
