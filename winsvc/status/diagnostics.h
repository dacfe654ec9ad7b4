/* SPDX-License-Identifier: Apache-2.0
 * diagnostics.h - the snapshot as a list of checks, each passed or not, for a user interface.
 *
 * The rows are those of Rancher Desktop's diagnostics, one to one: {id, category, documentation,
 * description, passed, mute, fixes}. The list is always whole and in one order: a check that does
 * not apply now has passed. One row is one thing that a person can mend, so several parts that fail
 * alike (two guests without a link) are one row, which tells of the first. Pure; any thread.
 */
#ifndef WINSVC_STATUS_DIAGNOSTICS_H
#define WINSVC_STATUS_DIAGNOSTICS_H

#include "base/condition.h"

#include <stdbool.h>
#include <stdint.h>

struct snapshot;

enum {
    DIAGNOSTIC_ROWS = 13,
    DIAGNOSTIC_TEXT_MAX = 400,
    DIAGNOSTIC_DOCUMENTATION_MAX = 40 + CONDITION_REASON_MAX
};

struct diagnostic {
    const char *id;       /* "RDLINK_DOCKER_REACHABLE": stable */
    const char *category; /* "Container Engine" or "Networking" */
    bool passed;
    char description[DIAGNOSTIC_TEXT_MAX];
    char documentation[DIAGNOSTIC_DOCUMENTATION_MAX]; /* "docs/...#anchor"; "" when passed */
    const char *fix;                                  /* one line; NULL when passed */
};

/* Fills all DIAGNOSTIC_ROWS of @out. */
void diagnostics_of(const struct snapshot *s, struct diagnostic out[static DIAGNOSTIC_ROWS]);
/* When the last of what they are drawn from changed: wall clock, Unix milliseconds; 0 = never. */
int64_t diagnostics_last_update_ms(const struct snapshot *s);

#endif
