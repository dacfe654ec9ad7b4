/* SPDX-License-Identifier: Apache-2.0
 * app_config.h - what the status says of the configuration. Runs on: the controller's loop.
 */
#ifndef WINSVC_APP_CONFIG_H
#define WINSVC_APP_CONFIG_H

struct condition_set;
struct config_live;
struct snapshot;

/* Updates the condition ConfigValid in @own and fills out->config. */
void app_config_fill(const struct config_live *l, struct condition_set *own, struct snapshot *out);

#endif
