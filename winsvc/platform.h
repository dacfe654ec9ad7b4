/* SPDX-License-Identifier: Apache-2.0
 * platform.h - what differs between rdlinkd on Windows and on Linux apart from port/: default
 * names, and who may use docker. One implementation in win/, one in linux/.
 */
#ifndef WINSVC_PLATFORM_H
#define WINSVC_PLATFORM_H

#include "base/options.h"
#include "base/status.h"

#include <stddef.h>

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
/* Security descriptor string of the docker pipe for the accounts in @grant, beside administrators
 * and the service itself; "" where there are no pipes. Accounts that do not exist are left out
 * and logged: the endpoint must come up. ST_FULL when it does not fit. */
enum status platform_endpoint_sddl(const struct option_list *grant, char *buf, size_t cap,
                                   struct errmsg *e);

#endif
