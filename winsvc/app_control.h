/* SPDX-License-Identifier: Apache-2.0
 * app_control.h - what may be done through rdlinkd's control socket: the table of its routes.
 * docs/control-api.md says the same for people. Runs on: the main loop.
 */
#ifndef WINSVC_APP_CONTROL_H
#define WINSVC_APP_CONTROL_H

#include "base/status.h"

struct addr;
struct app;
struct control_server;
struct loop;

/* @a is borrowed for the server's life. As control_server_new(). */
enum status app_control_open(struct control_server **out, struct loop *loop, const struct addr *at,
                             struct app *a, struct errmsg *e);

#endif
