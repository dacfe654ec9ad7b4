/* SPDX-License-Identifier: Apache-2.0
 * service_install.h - registers, starts, stops and removes the Windows service, with what belongs
 * to it on the computer: the Event Log source and the folders below ProgramData.
 *
 * Installing twice is an update; removing what is not there is no error. Needs administrators'
 * rights (ST_DENIED). Blocks; Runs on: the main thread of a command.
 */
#ifndef WINSVC_WIN_SERVICE_INSTALL_H
#define WINSVC_WIN_SERVICE_INSTALL_H

#include "base/status.h"
#include "win/service_settings.h"

#include <stdbool.h>
#include <stdint.h>

enum { SERVICE_PATH_MAX = 1024 };

struct service_state {
    bool is_installed;
    bool is_running;
    const char *state;  /* "running" */
    uint32_t pid;       /* 0 = none */
    uint32_t exit_code; /* Windows' own of the last stop; 0 = clean */
    bool is_automatic;
    char account[128], command[SERVICE_PATH_MAX];
    struct service_settings settings;
};

/* @command as service_command() makes it. A running service goes on as it is until it is started
 * anew. */
enum status service_install(const char *command, struct service_settings *out, struct errmsg *e);
/* Gives an installed service the settings that it lacks, as the service does by itself at its first
 * start. ST_NOTFOUND: there is none. */
enum status service_configure(struct service_settings *out, struct errmsg *e);
/* The same from within the service, only when it was never done: cheap. ST_EXISTS: it was. */
enum status service_configure_self(struct errmsg *e);
/* Stops it first. The configuration that a person wrote stays, keys and logs go. */
enum status service_uninstall(bool *was_installed, struct errmsg *e);
/* Wait until it runs, or until its process has gone. ST_NOTFOUND: not installed. ST_TIMEOUT.
 * ST_IO: it stopped by itself, the message says how. */
enum status service_start(struct errmsg *e);
enum status service_stop(struct errmsg *e);
/* Not installed is ST_OK. Any user may ask. */
enum status service_query(struct service_state *out, struct errmsg *e);

#endif
