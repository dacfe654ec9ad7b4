/* SPDX-License-Identifier: Apache-2.0
 * health_check.h - gRPC's health semantics (grpc.health.v1) over the snapshot: one service, one
 * state, by name. Pure; any thread.
 *
 * Services: "" is the whole; every component by its name ("docker", "switch-vm1-v2"); a guest's
 * units as "VM/bridge" and "VM/net". The states are health.h's, whose numbers are gRPC's.
 */
#ifndef WINSVC_STATUS_HEALTH_CHECK_H
#define WINSVC_STATUS_HEALTH_CHECK_H

#include "ipc/health.h"

#include <stdbool.h>

struct snapshot;

enum { HEALTH_SERVICE_MAX = 96 };

/* HEALTH_SERVICE_UNKNOWN: there is none of that name now. While we stop every service that there is
 * stays NOT_SERVING, whatever its part says. */
enum health_state health_check(const struct snapshot *s, const char *service);

#endif
