/* SPDX-License-Identifier: Apache-2.0
 * worker_token.h - the least token with which a worker still works, and the job that it lives in.
 * Any thread. Private to port/win.
 */
#ifndef SHARED_PORT_WIN_WORKER_TOKEN_H
#define SHARED_PORT_WIN_WORKER_TOKEN_H

#include "base/status.h"

#include <stdbool.h>
#include <windows.h>

/* A copy of our own token: no privilege but SeChangeNotify, the group of administrators can only
 * deny, integrity at most medium. *out is closed by the caller. ST_DENIED, ST_NOMEM, ST_IO. */
enum status worker_token_new(HANDLE *out, struct errmsg *e);
/* A job with room for one process, which it ends when its last handle is closed. With
 * @restricts_desktop its process also has neither clipboard nor desktop. As above. */
enum status worker_job_new(HANDLE *out, bool restricts_desktop, struct errmsg *e);

#endif
