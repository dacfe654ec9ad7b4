/* SPDX-License-Identifier: Apache-2.0
 * event_log.h - a sink of the log that writes to Windows' Event Log, as source RancherDesktopLink.
 *
 * Owns: a thread, which does the writing. Made and closed on the main thread; records come from
 * any.
 */
#ifndef WINSVC_WIN_EVENT_LOG_H
#define WINSVC_WIN_EVENT_LOG_H

#include "base/status.h"

struct event_log;

/* From here on what event_entry.h picks of the log goes there too. ST_NOMEM, ST_FULL (sinks), ST_IO
 * and what win_error_status() makes of the system's refusal. */
enum status event_log_open(struct event_log **out, struct errmsg *e);
/* Writes what is left, for at most two seconds. NULL is fine. */
void event_log_close(struct event_log *l);

#endif
