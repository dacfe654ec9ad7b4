/* SPDX-License-Identifier: Apache-2.0
 * control_server.h - rdlinkd's control socket: HTTP/1.1 for those who may change something.
 *
 * Apart from the status on purpose: that one is read-only and open to everybody who may use docker,
 * this one is its owner's alone (unix: mode 0600; a pipe's descriptor: SYSTEM and administrators),
 * so whoever can connect may do all of it and nothing here asks who it is.
 *
 * The owner brings the table of routes (app_control.c); each is served at once, from the loop, and
 * answers with http/api.h. A refusal is one line of text. GET /v1 is ours: the list of the routes.
 * Owns: the listener, its connections. Runs on: the loop.
 */
#ifndef WINSVC_CONTROL_CONTROL_SERVER_H
#define WINSVC_CONTROL_CONTROL_SERVER_H

#include "base/status.h"
#include "http/api.h"

#include <stddef.h>

struct addr;
struct control_server;
struct loop;

enum { CONTROL_ROUTES_MAX = 16 };

/* @routes are borrowed for life (at most CONTROL_ROUTES_MAX - 2 of them: ST_FULL); their request's
 * owner is @owner. Statuses of listener_open() with a message: ST_EXISTS when somebody else has the
 * name; ST_NOMEM. */
enum status control_server_new(struct control_server **out, struct loop *loop,
                               const struct addr *at, const struct api_route *routes,
                               size_t route_count, void *owner, struct errmsg *e);
/* Closes every connection. NULL is fine. */
void control_server_free(struct control_server *s);

#endif
