/* SPDX-License-Identifier: Apache-2.0
 * routes.h - which networks this host reaches, and being told when that may have changed.
 *
 * For who makes a network of its own: addresses that the host has a way to already would be two
 * things at once. Runs on: its loop's thread.
 */
#ifndef SHARED_PORT_ROUTES_H
#define SHARED_PORT_ROUTES_H

#include "base/ip_addr.h"
#include "base/status.h"

#include <stdbool.h>

struct routes;

enum { ROUTE_DEVICE_MAX = 64 };

/* A route, or an address of an interface, which is a route to itself. */
struct route {
    struct ip_addr net;
    unsigned prefix_bits;          /* of 32 or 128 */
    char device[ROUTE_DEVICE_MAX]; /* "eth0"; "" = not known */
};

/* @r is borrowed for the call. */
typedef void route_fn(void *ctx, const struct route *r);
typedef void routes_change_fn(void *ctx);

struct routes_ops {
    /* Each route of both families; multicast and what is refused on purpose are left out. The
     * calling thread waits for the system's table, a fraction of a millisecond. ST_NOMEM,
     * ST_NOFILES, ST_DENIED, ST_IO: @fn may have been called for some. */
    enum status (*each)(struct routes *r, route_fn *fn, void *ctx);
    /* Calls @fn from the loop after routes or addresses changed: a hint, once or several times a
     * change. NULL = nobody. */
    void (*watch)(struct routes *r, routes_change_fn *fn, void *ctx);
    void (*close)(struct routes *r);
};

struct routes {
    const struct routes_ops *ops;
};

/* Whether @net/@prefix_bits and @r have an address in common that matters. A default route names no
 * network, and neither do the pieces of one that VPNs write to go before it (0.0.0.0/1,
 * 128.0.0.0/1): what is shorter than 8 bits. Loopback and link-local are no overlap. */
bool route_overlaps(const struct route *r, const struct ip_addr *net, unsigned prefix_bits);
/* "192.168.0.0/16 (eth0)" */
enum { ROUTE_TEXT_MAX = IP_ADDR_TEXT_MAX + ROUTE_DEVICE_MAX + 8 };
const char *route_format(const struct route *r, char buf[static ROUTE_TEXT_MAX]);

#endif
