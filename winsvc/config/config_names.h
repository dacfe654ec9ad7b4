/* SPDX-License-Identifier: Apache-2.0
 * config_names.h - names that differ between Windows and Linux: of sockets and pipes where nothing
 * was configured, and of the places where configuration is. One implementation in win/, one in
 * linux/. Any thread.
 */
#ifndef WINSVC_CONFIG_CONFIG_NAMES_H
#define WINSVC_CONFIG_CONFIG_NAMES_H

#include "base/options.h"
#include "base/status.h"
#include "config/config_store.h"

/* Addresses in the grammar of port/addr.h. */
const char *config_default_endpoint(void);
const char *config_default_fallback(void);
const char *config_default_status(void);
const char *config_default_control(void);
/* Where the status outlives the service; on Windows among the logs. */
const char *config_default_status_file(void);
/* Of the switches, without "-VM-GENERATION". */
const char *config_default_switch_control(void);
/* The folder of hybrid sockets to watch where nothing was configured; NULL = the registry. */
const char *config_default_vm_folder(void);
/* Where configuration is found. */
struct config_places {
    char file[OPTION_VALUE_MAX];        /* read when it exists and none is named */
    char policy_file[OPTION_VALUE_MAX]; /* "" = there is none on this system */
    struct config_store store;
};
/* @root "" = the system's own. Linux: the folder of rdlinkd.conf and policy.conf; Windows: the name
 * of the folder under %ProgramData% and of the keys. ST_FULL: it is too long. */
enum status config_places_find(const char *root, struct config_places *out);

#endif
