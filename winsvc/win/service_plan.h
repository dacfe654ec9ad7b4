/* SPDX-License-Identifier: Apache-2.0
 * service_plan.h - how the Windows service is to be registered, as plain values: what a reviewer
 * reads and a test on any system checks. service_settings.c hands them to the service manager.
 * Pure; any thread.
 */
#ifndef WINSVC_WIN_SERVICE_PLAN_H
#define WINSVC_WIN_SERVICE_PLAN_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define SERVICE_NAME         "RancherDesktopLink"
#define SERVICE_DISPLAY_NAME "Rancher Desktop Link"
#define SERVICE_ABOUT                                                                          \
    "Carries docker clients and the network of Rancher Desktop's virtual machine. Without it " \
    "containers have no network and docker cannot be reached."

enum {
    SERVICE_COMMAND_MAX = 4096, /* bytes of a command line, terminator included */
    SERVICE_RESTARTS = 7,
    SERVICE_RESET_S = 600,         /* without a failure for so long the delays begin anew */
    SERVICE_PRESHUTDOWN_MS = 10000 /* twice what a stop may take */
};

/* Delay before each restart in a row; the last one is for all that follow. */
extern const uint32_t service_restart_ms[SERVICE_RESTARTS];
/* The privileges the service keeps of LocalSystem's; NULL ends the list. */
extern const char *const service_privileges[];
/* Who may do what with the service. */
extern const char service_sddl[];
/* The folder of configuration and logs, and the one of keys in it. */
extern const char service_folder_sddl[], service_keys_sddl[];

/* The service's command line: "PROGRAM" service ARGS..., quoted so that Windows and the C library
 * take it apart into these words again, whatever blanks, quotes and backslashes they hold.
 * ST_INVAL: @program is no absolute path, or holds a quote. ST_FULL. */
enum status service_command(char *out, size_t cap, const char *program, int argc,
                            const char *const *argv, struct errmsg *e);

#endif
