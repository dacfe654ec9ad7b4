/* SPDX-License-Identifier: Apache-2.0
 * subnet_watch.h - whether the guest's network is nobody else's on this host, and whether the
 * host's own network changed. Runs on: the loop it was started with. Owns: nothing.
 */
#ifndef WINSVC_NETWORK_SUBNET_WATCH_H
#define WINSVC_NETWORK_SUBNET_WATCH_H

#include "base/ip_addr.h"
#include "port/loop.h"
#include "port/routes.h"

#include <stdbool.h>
#include <stdint.h>

enum { SUBNET_WATCH_EVERY_MS = 30000, SUBNET_WATCH_SETTLE_MS = 500 };

/* Called from the loop; also when only @overlap changed hands. */
typedef void subnet_watch_fn(void *ctx);

struct subnet_watch_config {
    struct ip_addr net;
    unsigned prefix_bits;
    bool ip6; /* @net6 is looked at too */
    struct ip_addr net6;
    unsigned prefix6_bits;
};

struct subnet_watch {
    struct routes *routes; /* borrowed; NULL = not started */
    struct subnet_watch_config config;
    struct timer next_look;
    bool settling;   /* a hint came, the look is near */
    uint64_t digest; /* of all routes, when last looked at */
    bool has_overlap;
    struct route overlap; /* the first one */
    subnet_watch_fn *on_change;
    void *ctx;
};

/* Looks at once, then after each hint of the system and every 30 s. */
void subnet_watch_start(struct subnet_watch *w, struct loop *loop, struct routes *routes,
                        const struct subnet_watch_config *config, subnet_watch_fn *on_change,
                        void *ctx);
/* Also for one that was never started, if it is zero. */
void subnet_watch_stop(struct subnet_watch *w);
/* NULL: none, or not known. Valid until the next look. */
const struct route *subnet_watch_overlap(const struct subnet_watch *w);

#endif
