/* SPDX-License-Identifier: Apache-2.0
 * worker_argv.h - writes the command line of a worker process into the caller's array. Pure.
 *
 * Borrows every text for as long as the array is used. The array is always ended by NULL; that it
 * is large enough is an invariant.
 */
#ifndef WINSVC_SUPERVISOR_WORKER_ARGV_H
#define WINSVC_SUPERVISOR_WORKER_ARGV_H

#include "base/options.h"

#include <stdbool.h>
#include <stdint.h>

enum { WORKER_NUMBER_MAX = 16 };

struct worker_argv {
    char **at; /* @cap of them */
    unsigned cap, count;
};

void worker_argv_add(struct worker_argv *v, const char *arg);
/* Nothing for an empty value. */
void worker_argv_text(struct worker_argv *v, const char *option, const char *value);
void worker_argv_flag(struct worker_argv *v, const char *option, bool is_set);
/* Formats @value into @buf; @unit follows it ("ms", ""). */
void worker_argv_number(struct worker_argv *v, const char *option, uint32_t value, const char *unit,
                        char buf[static WORKER_NUMBER_MAX]);
/* The option once for each. */
void worker_argv_list(struct worker_argv *v, const char *option, const struct option_list *list);

#endif
