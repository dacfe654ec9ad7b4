/* SPDX-License-Identifier: Apache-2.0
 * routes_sim.h - a struct routes whose table the test writes. Ownership and rules as in net_sim.h.
 */
#ifndef SHARED_PORT_SIM_ROUTES_SIM_H
#define SHARED_PORT_SIM_ROUTES_SIM_H

#include "port/routes.h"

enum { ROUTES_SIM_MAX = 16 };

struct routes_sim;

struct routes_sim *routes_sim_new(void);
struct routes *routes_sim_routes(struct routes_sim *r);
/* Nobody may watch any more. NULL is fine; close() of the contract frees nothing. */
void routes_sim_free(struct routes_sim *r);

/* "192.168.0.0", 16, "tun0". Nobody is told: routes_sim_hint(). */
void routes_sim_add(struct routes_sim *r, const char *net, unsigned prefix_bits,
                    const char *device);
void routes_sim_clear(struct routes_sim *r);
/* The system hints at a change, as from an event of the loop. */
void routes_sim_hint(struct routes_sim *r);
/* each() returns @st from now on, before the first route; ST_OK = works again. */
void routes_sim_set_fails(struct routes_sim *r, enum status st);
unsigned routes_sim_looks(const struct routes_sim *r);

#endif
