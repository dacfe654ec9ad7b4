/* SPDX-License-Identifier: Apache-2.0
 * network_health.h - what a switch worker says of its guest's network: the component "switch", with
 * the conditions that network_worker.h lists. No I/O of its own.
 */
#ifndef WINSVC_NETWORK_NETWORK_HEALTH_H
#define WINSVC_NETWORK_NETWORK_HEALTH_H

#include "base/condition.h"
#include "ipc/health.h"
#include "network/link_watch.h"

#include <stdbool.h>
#include <stdint.h>

struct route;
struct switch_;

/* What it is drawn from. */
struct network_facts {
    struct switch_ *sw; /* borrowed, as all here */
    const struct link_watch *watch;
    const struct route *overlap; /* NULL = the subnet is nobody else's */
    const char *listen_why;      /* of the link's listener; "" = it listens */
    uint64_t refused_links;      /* since the worker started */
    bool guest_has_address;      /* or had one, on this link */
    uint64_t now_ms;             /* of the loop */
    int64_t wall_ms;
};

/* Brings @set up to date. True: something changed that a reader of the status wants to know. */
bool network_health_update(struct condition_set *set, const struct network_facts *facts);
/* True: nothing is amiss that a wait of seconds would not show. */
bool network_health_is_ready(const struct condition_set *set);
/* Adds the component, with @set and the counters. */
void network_health_fill(struct health_report *out, const struct condition_set *set,
                         const struct network_facts *facts);

#endif
