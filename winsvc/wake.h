/* SPDX-License-Identifier: Apache-2.0
 * wake.h - when everything has to be looked at again at once: this computer slept (or we did not
 * run), or its network changed: routes, addresses, name servers.
 *
 * Owns: two timers. Runs on: the main loop.
 */
#ifndef WINSVC_WAKE_H
#define WINSVC_WAKE_H

#include "port/loop.h"
#include "supervisor/wake_watch.h"

struct routes;

/* Within a second of it; many changes at once are one call. */
typedef void wake_fn(void *ctx);

struct wake {
    struct loop *loop;     /* borrowed */
    struct routes *routes; /* borrowed; NULL = changes of the network are not told */
    struct wake_watch watch;
    uint64_t names;        /* name_look() */
    struct timer look;     /* at the clocks */
    struct timer rerouted; /* runs out when changes of the routes have settled */
    wake_fn *fn;
    void *ctx;
};

void wake_start(struct wake *w, struct loop *loop, wake_fn *fn, void *ctx);
/* Of these too; borrowed until wake_stop(). */
void wake_watch_routes(struct wake *w, struct routes *routes);
/* One that was never started is fine, as zeros. */
void wake_stop(struct wake *w);

#endif
