/* SPDX-License-Identifier: Apache-2.0
 * app.h - the controller: owns every part of rdlinkd, starts them in order, stops them in reverse.
 *
 * vm source -> vm manager (sessions) -> network service (a switch worker for each guest),
 * docker services (name + worker each) -> status server, control socket; all of them by a
 * configuration that may change.
 * Runs on: the main loop.
 */
#ifndef WINSVC_APP_H
#define WINSVC_APP_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct app;
struct config;
struct config_input;
struct log_service;
struct loop;
struct routes;

/* The process should exit with @code. Called once, from the loop, after app_stop(). */
typedef void app_done_fn(void *ctx, int code);

/* @config was loaded from @input just now and is replaced in place when what is written there
 * changes; both and @logs are borrowed for the life of the app. Fails only for what cannot get
 * better by itself (the status address is taken by another rdlinkd, memory); names that are taken,
 * guests that are not there and workers that do not start are states, shown in the status. */
enum status app_start(struct app **out, struct loop *loop, struct config *config,
                      const struct config_input *input, struct log_service *logs, app_done_fn *done,
                      void *ctx, struct errmsg *e);
/* First call: drain and stop. Second call: cut what is left. */
void app_stop(struct app *a);
/* Somebody asks to read the configuration now. ST_OK also when nothing has changed; otherwise @e is
 * the first mistake, with its place, and everything is as it was. */
enum status app_reload(struct app *a, struct errmsg *e);
/* The machine woke up, its network changed, somebody logged on or off: look at every guest now, and
 * whose it is. */
void app_probe_now(struct app *a);
/* From now on a change of @routes means app_probe_now(); borrowed until app_free(). */
void app_watch_routes(struct app *a, struct routes *routes);
/* Drains the component @name, a worker of ours, and starts it again. *restarts: how often it was
 * started again before, which a reader of the status sees grow. ST_NOTFOUND; ST_CLOSED while
 * stopping. */
enum status app_restart(struct app *a, const char *name, uint64_t *restarts);
/* The names that app_restart() takes now, "docker, switch-vm1-v2". */
void app_component_names(struct app *a, char *buf, size_t cap);
struct log_service *app_logs(const struct app *a); /* of app_start() */
/* NULL is fine. */
void app_free(struct app *a);

#endif
