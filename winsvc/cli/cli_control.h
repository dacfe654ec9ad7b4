/* SPDX-License-Identifier: Apache-2.0
 * cli_control.h - for commands that ask switches: which there are, and where their control sockets
 * (docs/control-api.md) are. Runs on: the loop of struct cli_env.
 */
#ifndef WINSVC_CLI_CLI_CONTROL_H
#define WINSVC_CLI_CLI_CONTROL_H

#include "cli/cli_command.h"

struct cJSON;
struct control_list;

enum { CONTROL_MAX = 32 };

struct control_place {
    char name[64]; /* of the component: "switch-vm1-v2" */
    struct addr at;
};

/* Of the switches in @status those that have a control socket, only that named @wanted unless it is
 * ""; returns how many. *@switches: how many there are at all. */
unsigned control_places(const struct cJSON *status, const char *wanted,
                        struct control_place places[static CONTROL_MAX], unsigned *switches);

/* The list is there (at least one place), or an exit code that was explained. */
typedef void control_list_fn(void *ctx, const struct control_place *places, unsigned count,
                             int exit_code);

/* Reads the status of @service for places; only that named @wanted unless it is "". CLI_PENDING,
 * or an exit code that was explained. */
int control_list_start(struct control_list **out, const struct cli_env *env,
                       const struct cli_service *service, const char *wanted, control_list_fn *fn,
                       void *ctx);
/* NULL is fine. */
void control_list_free(struct control_list *l);

#endif
