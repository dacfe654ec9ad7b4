/* SPDX-License-Identifier: Apache-2.0
 * netns_unit.h - which processes a systemd unit has, read from its cgroup. Private to linux/.
 *
 * systemd would say MainPID over D-Bus; its cgroups say the same to everybody, without a library
 * and without asking a service that may be the one that is stuck. Runs on: any thread.
 */
#ifndef GUESTAGENT_LINUX_NETNS_UNIT_H
#define GUESTAGENT_LINUX_NETNS_UNIT_H

#include "base/status.h"

#include <stdbool.h>

/* True = go on with the next process. */
typedef bool netns_unit_visit_fn(void *ctx, long pid);

/* Calls @visit with each process of @unit, oldest member of the cgroup first, until it says false.
 * @unit is a name ("network-namespace.service", looked for in system.slice, where systemd puts
 * services) or a path below the root of the cgroups ("machine.slice/x.service").
 * ST_NOTFOUND: no process of it; ST_INVAL: no name for a unit. */
enum status netns_unit_visit(const char *unit, netns_unit_visit_fn *visit, void *ctx,
                             struct errmsg *e);

#endif
