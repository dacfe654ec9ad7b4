/* SPDX-License-Identifier: Apache-2.0
 * platform.h - what differs between rdlinkd on Windows and on Linux apart from port/: default
 * names, where configuration is, and who may use docker. One implementation in win/, one in linux/;
 * the names are in a file of their own (platform_names_x.c), because the command line needs them.
 */
#ifndef WINSVC_PLATFORM_H
#define WINSVC_PLATFORM_H

#include "base/options.h"
#include "base/status.h"
#include "config_store.h"

#include <stdbool.h>
#include <stddef.h>

enum { PLATFORM_SDDL_MAX = 4096 };

/* First thing in main(): what makes the process harder to abuse. */
void platform_harden_process(void);
/* For whoever has a socket a flow: as many descriptors as this process may have. */
void platform_raise_limits(void);

/* Addresses in the grammar of port/addr.h. */
const char *platform_default_endpoint(void);
const char *platform_default_fallback(void);
const char *platform_default_status(void);
const char *platform_default_control(void);
/* The folder of hybrid sockets to watch where nothing was configured; NULL = the registry. */
const char *platform_default_vm_folder(void);
/* Where configuration is found. */
struct config_places {
    char file[OPTION_VALUE_MAX];        /* read when it exists and none is named */
    char policy_file[OPTION_VALUE_MAX]; /* "" = there is none on this system */
    struct config_store store;
};
/* @root "" = the system's own. Linux: the folder of rdlinkd.conf and policy.conf; Windows: the name
 * of the folder under %ProgramData% and of the keys. ST_FULL: it is too long. */
enum status platform_config_places(const char *root, struct config_places *out);

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
