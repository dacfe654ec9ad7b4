/* SPDX-License-Identifier: Apache-2.0
 * cli_status.h - `rdlink status`: ask once, show it, say by exit code how it is.
 */
#ifndef WINSVC_CLI_CLI_STATUS_H
#define WINSVC_CLI_CLI_STATUS_H

#include <stddef.h>

struct cli_env;
struct cli_status;

/* @argv: what follows "status". An exit code, or CLI_PENDING with *out set. */
int cli_status_start(struct cli_status **out, const struct cli_env *env, int argc,
                     const char *const *argv);
/* Help on the options, as snprintf. */
size_t cli_status_help(char *buf, size_t cap);
/* NULL is fine. */
void cli_status_free(struct cli_status *s);

#endif
