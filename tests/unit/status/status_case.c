/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/status/status_case.h"

#include "base/log.h"
#include "support/cmocka_all.h"

#include <stdlib.h>

static void fill(void *ctx, struct snapshot *out)
{
    struct status_case *c = ctx;

    snapshot_init(out, "rdlinkd", "0.1.0", 255, 4096);
    out->phase = c->phase;
    out->ready = c->phase == PHASE_READY;
    out->left_out = c->counter;
}

const struct status_server_ops status_case_ops = { .fill = fill };

static void ignore_log(void *ctx, const struct log_record *r)
{
}

int status_case_setup(void **state, unsigned max_connections)
{
    const struct status_server_config config = { .max_connections = max_connections };
    struct status_case *c = calloc(1, sizeof *c);
    struct errmsg e;

    assert_non_null(c);
    log_set_sink(ignore_log, NULL);
    c->sim = sim_new();
    assert_int_equal(addr_parse(&c->at, "unix:/run/status.sock", &e), ST_OK);
    assert_int_equal(status_server_new(&c->server, sim_loop(c->sim), &c->at, &config,
                                       &status_case_ops, c, &e),
                     ST_OK);
    *state = c;
    return 0;
}

int status_case_teardown(void **state)
{
    struct status_case *c = *state;

    status_server_free(c->server);
    sim_free(c->sim);
    log_set_sink(NULL, NULL);
    free(c);
    return 0;
}

struct sim_peer *status_case_client(struct status_case *c)
{
    struct sim_peer *p = sim_connect(c->sim, &c->at, &sim_local_peer);

    assert_non_null(p);
    sim_run(c->sim);
    return p;
}

const char *status_case_ask(struct status_case *c, struct sim_peer *p, const char *request)
{
    sim_peer_drop_received(p);
    sim_peer_send_text(p, request);
    sim_run(c->sim);
    return sim_peer_text(p);
}

const struct status_server_stats *status_case_stats(struct status_case *c)
{
    status_server_stats(c->server, &c->stats);
    return &c->stats;
}
