/* SPDX-License-Identifier: Apache-2.0
 * main_env.h - what a process that runs a switch stands on: loop, sockets, resolver, routes, all of
 * this operating system.
 */
#ifndef WINSVC_MAIN_ENV_H
#define WINSVC_MAIN_ENV_H

#include "base/status.h"
#include "switch/switch.h"

struct routes;

/* Zero-initialise. */
struct main_env {
    struct switch_env env; /* owned, what it names */
    struct routes *routes; /* owned; NULL where this system does not tell */
};

/* Otherwise what was opened is for main_env_close(). */
enum status main_env_open(struct main_env *m, struct errmsg *e);
void main_env_close(struct main_env *m);

#endif
