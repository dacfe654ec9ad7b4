/* SPDX-License-Identifier: Apache-2.0
 * status_history.h - what the service said one after the other, bounded, as the JSON that a report
 * has in it: {"savedAt":MS,"from":"service","history":[{"at":MS,"status":{...} or null},...]}.
 *
 * Times are Unix milliseconds. At either bound the oldest goes. Owns the texts. Any thread.
 */
#ifndef WINSVC_CLI_STATUS_HISTORY_H
#define WINSVC_CLI_STATUS_HISTORY_H

#include "base/status.h"
#include "page/page.h"

#include <stdint.h>

enum { STATUS_HISTORY_MAX = 600, STATUS_HISTORY_BYTES_MAX = 32 * 1024 * 1024 };

struct status_history;

/* NULL = no memory. */
struct status_history *status_history_new(void);
/* @text is JSON and copied; NULL: there was no answer then, kept once for as long as there is none.
 * ST_NOMEM; ST_FULL when it alone is above the bound. */
enum status status_history_add(struct status_history *h, int64_t at_ms, const char *text,
                               size_t len_bytes);
/* How many are answers. */
unsigned status_history_answers(const struct status_history *h);
/* The page with all of it: a report. False when @write said so. */
bool status_history_save(const struct status_history *h, int64_t saved_ms, const char *from,
                         page_write_fn *write, void *ctx);
/* NULL is fine. */
void status_history_free(struct status_history *h);

#endif
