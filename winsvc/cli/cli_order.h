/* SPDX-License-Identifier: Apache-2.0
 * cli_order.h - for commands that tell the service to do something: one request at its control
 * socket (docs/control-api.md), whose address the status has.
 *
 * status -> "control" -> request -> answer. What goes wrong on the way is explained to the person.
 * Runs on: the loop of struct cli_env.
 */
#ifndef WINSVC_CLI_CLI_ORDER_H
#define WINSVC_CLI_CLI_ORDER_H

#include "cli/cli_command.h"

struct cli_order;

struct cli_order_request {
    const char *method; /* a literal: "POST" */
    const char *target; /* copied, as @body */
    const char *body;   /* JSON; NULL = none */
    const char *doing;  /* a literal for people: "restart the component" */
};

/* @body: of an answer 2xx, with CLI_READY, borrowed until cli_order_free(). Otherwise NULL and an
 * exit code that was explained. The order may be freed in it. */
typedef void cli_order_fn(void *ctx, const char *body, int exit_code);

/* @service is borrowed until the end; its timeout is for each of the two requests. @fn is called
 * once, never before this returns CLI_PENDING; another value is an exit code, explained. */
int cli_order_start(struct cli_order **out, const struct cli_env *env,
                    const struct cli_service *service, const struct cli_order_request *request,
                    cli_order_fn *fn, void *ctx);
/* NULL is fine. */
void cli_order_free(struct cli_order *o);

#endif
