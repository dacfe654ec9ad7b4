/* SPDX-License-Identifier: Apache-2.0
 * platform.h - what differs between rdlinkd on Windows and on Linux apart from port/ and names
 * (config/config_names.h): the process itself, and who may use docker. One implementation in win/,
 * one in linux/.
 */
#ifndef WINSVC_PLATFORM_H
#define WINSVC_PLATFORM_H

#include "base/options.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { PLATFORM_SDDL_MAX = 4096 };

/* First thing in main(): what makes the process harder to abuse. */
void platform_harden_process(void);
/* First thing in a worker: it gives up what it does not need. On Windows the rest of that is in the
 * token which the controller gives it. */
enum platform_worker { PLATFORM_WORKER_DOCKER, PLATFORM_WORKER_SWITCH };
void platform_harden_worker(enum platform_worker which);
/* For whoever has a socket a flow: as many descriptors as this process may have. */
void platform_raise_limits(void);

/* Who may connect to our pipes, beside administrators and the service itself. */
struct platform_access {
    char sddl[PLATFORM_SDDL_MAX]; /* security descriptor string; "" where there are no pipes */
    char accounts[OPTION_LIST_MAX][OPTION_VALUE_MAX]; /* those of the names that exist */
    unsigned count;
    char missing[256]; /* those that do not, "a, b": the endpoint must come up without them */
};
/* @last_is_optional: the last of @names is not missed when there is no such account. ST_FULL when
 * it does not fit; ST_UNSUPPORTED: names, where there are no pipes. */
enum status platform_access(const char *const *names, unsigned count, bool last_is_optional,
                            struct platform_access *out, struct errmsg *e);

#endif
