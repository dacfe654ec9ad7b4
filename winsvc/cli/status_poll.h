/* SPDX-License-Identifier: Apache-2.0
 * status_poll.h - the service's status, now and at each change, by long polls.
 *
 * A service that goes away or is not there yet is asked again every POLL_RETRY_MS. Owns: its
 * request and the JSON that it last got. Runs on: the loop.
 */
#ifndef WINSVC_CLI_STATUS_POLL_H
#define WINSVC_CLI_STATUS_POLL_H

#include "base/status.h"

#include <stddef.h>

struct addr;
struct cJSON;
struct loop;
struct status_poll;

enum { POLL_RETRY_MS = 500, POLL_WAIT_MS = 25000, POLL_ANSWER_MS = 5000 };

/* @status is NULL unless @st is ST_OK, and borrowed until the next call or status_poll_free(),
 * which may be called from here. Failures are told each time. */
typedef void status_poll_fn(void *ctx, enum status st, const struct cJSON *status,
                            const struct errmsg *why);

/* The same status as the service sent it, every digit of it; for status_poll_fn with ST_OK only. */
const char *status_poll_text(const struct status_poll *p, size_t *len_bytes);

/* @fn is never called before this returns. ST_NOMEM. */
enum status status_poll_start(struct status_poll **out, struct loop *loop, const struct addr *at,
                              status_poll_fn *fn, void *ctx);
/* NULL is fine. */
void status_poll_free(struct status_poll *p);

#endif
