/* SPDX-License-Identifier: Apache-2.0
 * status_file.h - the status as a file, for whoever asks when the service is gone.
 *
 * The same JSON as GET /v1/status, replaced as a whole at each change, at most once a second, and
 * for counters every ten. What is left after a crash says how it was shortly before. A file that
 * cannot be written is a log line, not an end: it is tried again at the next change.
 * Owns: nothing but its timer and path; borrows the server. Runs on: the loop.
 */
#ifndef WINSVC_STATUS_STATUS_FILE_H
#define WINSVC_STATUS_STATUS_FILE_H

#include "base/status.h"

struct loop;
struct status_file;
struct status_server;

enum { STATUS_FILE_PACE_MS = 1000, STATUS_FILE_COUNTER_MS = 10000, STATUS_FILE_MODE = 0600 };

/* @path is copied. @server outlives it. ST_NOMEM, ST_INVAL (path too long). */
enum status status_file_new(struct status_file **out, struct loop *loop,
                            struct status_server *server, const char *path);
/* Something other than a counter changed. Cheap. */
void status_file_changed(struct status_file *f);
/* Writes what there is at last. NULL is fine. */
void status_file_free(struct status_file *f);

#endif
