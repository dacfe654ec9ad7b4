/* SPDX-License-Identifier: Apache-2.0
 * status_case.h - a status server on the simulator, whose owner shows what the test wants, and
 * clients of it.
 */
#ifndef TESTS_UNIT_STATUS_STATUS_CASE_H
#define TESTS_UNIT_STATUS_STATUS_CASE_H

#include "port/addr.h"
#include "port/sim/stream_sim.h"
#include "status/snapshot.h"
#include "status/status_server.h"

struct status_case {
    struct sim *sim;
    struct addr at;
    struct status_server *server;
    struct status_server_stats stats; /* as status_case_stats() found them */
    enum snapshot_phase phase;        /* what the owner shows */
    unsigned counter;                 /* likewise */
};

extern const struct status_server_ops status_case_ops;

/* *state is a struct status_case; a server with room for @max_connections. Logs nothing. */
int status_case_setup(void **state, unsigned max_connections);
/* Aborts when anything was left open. */
int status_case_teardown(void **state);
struct sim_peer *status_case_client(struct status_case *c);
/* What came back since the last look. */
const char *status_case_ask(struct status_case *c, struct sim_peer *p, const char *request);
const struct status_server_stats *status_case_stats(struct status_case *c);

#endif
