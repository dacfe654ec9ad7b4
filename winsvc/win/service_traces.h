/* SPDX-License-Identifier: Apache-2.0
 * service_traces.h - what the installed service has on the computer beside its registration: a
 * source of the Event Log, and %ProgramData%\rdlink with keys and logs in it.
 * Runs on: any thread. All may be called again.
 */
#ifndef WINSVC_WIN_SERVICE_TRACES_H
#define WINSVC_WIN_SERVICE_TRACES_H

#include "base/status.h"

/* ST_DENIED: no administrator, or the folder is somebody else's. ST_FULL, ST_IO. */
enum status service_traces_make(struct errmsg *e);
/* At each start, before the configuration is read. ST_DENIED: the folder, or rdlinkd.conf in it,
 * was made by somebody who is neither SYSTEM nor an administrator nor whoever asks. */
enum status service_traces_check(struct errmsg *e);
/* Keys and logs go with what is in them; the folder stays where a person's files are left in it. */
enum status service_traces_remove(struct errmsg *e);

#endif
