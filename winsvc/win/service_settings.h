/* SPDX-License-Identifier: Apache-2.0
 * service_settings.h - what the service is given beyond its command line: delayed start, restarts,
 * privileges, its own SID, time to shut down, who may use it (values: service_plan.h).
 * Runs on: any thread.
 */
#ifndef WINSVC_WIN_SERVICE_SETTINGS_H
#define WINSVC_WIN_SERVICE_SETTINGS_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <windows.h>

enum { SERVICE_SETTINGS = 8 };

/* What became of one setting. */
struct service_setting {
    const char *name; /* "restart delays" */
    bool is_set;
    uint32_t error; /* why not; ERROR_INVALID_PARAMETER: this system does not know it */
};

struct service_settings {
    struct service_setting items[SERVICE_SETTINGS];
};

/* Gives @service all of them; it must have been opened with SERVICE_ALL_ACCESS. What Wine says it
 * does not know is logged, left out and told in *out (may be NULL); any other failure ends it. */
enum status service_settings_apply(SC_HANDLE service, struct service_settings *out,
                                   struct errmsg *e);
/* Which of them @service has now. */
void service_settings_query(SC_HANDLE service, struct service_settings *out);
/* Is it the one setting that only this program makes? It is how an installer's bare service is told
 * from one that has been set up. */
bool service_settings_are_ours(SC_HANDLE service);

#endif
