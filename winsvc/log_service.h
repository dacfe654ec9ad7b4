/* SPDX-License-Identifier: Apache-2.0
 * log_service.h - the controller's part of the log: its file, who has to know that it cannot be
 * written (condition LogWritable), and levels that are changed while it runs.
 *
 * Owns: the writer and its sink. Runs on: the main loop.
 */
#ifndef WINSVC_LOG_SERVICE_H
#define WINSVC_LOG_SERVICE_H

#include "base/condition.h"
#include "base/status.h"

#include <stdint.h>

struct loop;
struct log_service;
struct snapshot;

#define LOG_SERVICE_FILE "rdlinkd.log"

struct log_service_config {
    const char *folder;  /* "" = no file: standard error only */
    uint32_t max_mib;    /* of one file */
    uint32_t max_age_ms; /* of one file */
    uint32_t keep;       /* files beside the newest */
};

/* What a status shows of the log has changed. */
typedef void log_service_fn(void *ctx);

/* From here on everything that is logged goes to the file too. ST_NOMEM, ST_NOFILES, ST_INVAL. A
 * folder that cannot be written is no failure: it is told, and tried again. */
enum status log_service_new(struct log_service **out, struct loop *loop,
                            const struct log_service_config *config, struct errmsg *e);
/* NULL = nobody wants to know any more. */
void log_service_on_change(struct log_service *s, log_service_fn *fn, void *ctx);
/* The log's part of @out, and its condition in @own, the owner's lasting set. */
void log_service_fill(const struct log_service *s, struct condition_set *own, struct snapshot *out);
/* Other levels on top of the configured ones, in every process (ipc/levels_message.h), for @for_ms
 * or, with 0, until the service ends; "" ends it now. ST_INVAL. */
enum status log_service_override(struct log_service *s, const char *levels, uint32_t for_ms,
                                 struct errmsg *e);
/* Until the override ends; 0 = there is none, or it has no end. */
uint64_t log_service_override_left_ms(const struct log_service *s);
/* Writes what is left. NULL is fine. */
void log_service_free(struct log_service *s);

#endif
