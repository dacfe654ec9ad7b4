/* SPDX-License-Identifier: Apache-2.0
 * check_network.h - the rows of `rdlink check` that a guest's switch gives by what it has counted:
 * does the guest ask for its address and names and get them, do its connections come about. Pure.
 */
#ifndef WINSVC_CLI_CHECK_NETWORK_H
#define WINSVC_CLI_CHECK_NETWORK_H

#include "cli/check_host.h"

struct cJSON;

/* @component is one of the status; rows come of a switch alone. */
void check_network(const struct cJSON *component, check_row_fn *row, void *ctx);

#endif
