/* SPDX-License-Identifier: Apache-2.0
 * check_host.h - the rows of `rdlink check` that come from this computer and not from the service:
 * whose the sockets or pipes are, what the caller may do, versions and clocks that differ, reserved
 * ports, the list of virtual machines.
 */
#ifndef WINSVC_CLI_CHECK_HOST_H
#define WINSVC_CLI_CHECK_HOST_H

struct addr;
struct cJSON;
struct host_look;

enum check_result { CHECK_PASS, CHECK_WARN, CHECK_FAIL, CHECK_RESULT_COUNT };

/* @next NULL: nothing to do. All texts are borrowed for the call. */
typedef void check_row_fn(void *ctx, enum check_result result, const char *name,
                          const char *message, const char *next);

/* @status is the service's, from @status_at. */
void check_host(const struct host_look *look, const struct cJSON *status,
                const struct addr *status_at, check_row_fn *row, void *ctx);

#endif
