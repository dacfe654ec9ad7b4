/* SPDX-License-Identifier: Apache-2.0
 * switch_host_test.c - where a switch's link comes from, and what happens when that fails.
 */
#include "network/switch_host.h"

#include "base/options.h"
#include "port/sim/loop_sim.h"
#include "port/sim/net_sim.h"
#include "port/sim/resolver_sim.h"
#include "port/sim/routes_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"
#include "switch/switch_options.h"

#include <string.h>

struct fixture {
    struct sim *sim;
    struct net_sim *net;
    struct resolver_sim *resolver;
    struct routes_sim *routes;
    struct switch_env env;
    struct switch_options options;
    struct switch_host_config config;
    struct switch_host *host;
    struct errmsg e;
    unsigned links, ends, changes;
};

static void on_link(void *ctx)
{
    ((struct fixture *)ctx)->links++;
}

static void on_link_end(void *ctx, enum status why)
{
    ((struct fixture *)ctx)->ends++;
}

static void on_network_change(void *ctx)
{
    ((struct fixture *)ctx)->changes++;
}

static const struct switch_host_ops ops = {
    .on_link = on_link,
    .on_link_end = on_link_end,
    .on_network_change = on_network_change,
};

static enum status zeros(void *buf, size_t len_bytes)
{
    memset(buf, 0, len_bytes);
    return ST_OK;
}

enum { WORDS_MAX = 6 };

static void prepare(struct fixture *f, const char *const words[WORDS_MAX])
{
    int count = 0;

    while (count < WORDS_MAX && words[count])
        count++;
    memset(f, 0, sizeof *f);
    f->sim = sim_new();
    f->net = net_sim_new(f->sim);
    f->resolver = resolver_sim_new(f->sim);
    f->routes = routes_sim_new();
    f->env = (struct switch_env){ .loop = sim_loop(f->sim),
                                  .net = net_sim_net(f->net),
                                  .resolver = resolver_sim_resolver(f->resolver),
                                  .random = zeros };
    assert_int_equal(switch_options_parse(&f->options, count, words, &f->e), ST_OK);
    assert_int_equal(switch_host_config_of(&f->config, &f->options, &f->e), ST_OK);
    f->config.routes = routes_sim_routes(f->routes);
}

static enum status open_host(struct fixture *f)
{
    return switch_host_new(&f->host, &f->env, &f->config, &ops, f, &f->e);
}

static void start(struct fixture *f, const char *const words[WORDS_MAX])
{
    prepare(f, words);
    assert_int_equal(open_host(f), ST_OK);
    sim_run(f->sim);
}

static void stop(struct fixture *f)
{
    switch_host_free(f->host);
    net_sim_free(f->net);
    resolver_sim_free(f->resolver);
    routes_sim_free(f->routes);
    sim_free(f->sim);
}

static const char *const dials[WORDS_MAX] = { "--link=qemu:unix:/run/vm.sock", "--dial" };
static const char *const listens[WORDS_MAX] = { "--link=qemu:vsock:5000", "--peer-cid=7" };

static void it_dials_until_somebody_is_there(void **state)
{
    struct fixture f;

    start(&f, dials);
    assert_int_equal(sim_dial_count(f.sim), 1); /* refused: nothing was scripted */
    sim_advance_ms(f.sim, 2000);
    assert_int_equal(sim_dial_count(f.sim), 5);
    sim_next_dial(f.sim, ST_OK, 0);
    sim_advance_ms(f.sim, 500);
    assert_int_equal(f.links, 1);
    assert_true(switch_has_link(switch_host_switch(f.host)));
    sim_advance_ms(f.sim, 10000);
    assert_int_equal(sim_dial_count(f.sim), 6);
    stop(&f);
}

static void it_dials_again_when_the_link_is_lost(void **state)
{
    struct fixture f;

    prepare(&f, dials);
    sim_next_dial(f.sim, ST_OK, 0);
    assert_int_equal(open_host(&f), ST_OK);
    sim_run(f.sim);
    sim_next_dial(f.sim, ST_OK, 0);
    sim_peer_reset(sim_take_dialled(f.sim), ST_RESET);
    sim_run(f.sim);
    assert_int_equal(f.ends, 1);
    sim_advance_ms(f.sim, 500);
    assert_int_equal(f.links, 2);
    stop(&f);
}

static void a_dial_that_cannot_begin_is_tried_again(void **state)
{
    struct fixture f;

    prepare(&f, dials);
    sim_next_dial_start_fails(f.sim, ST_NOFILES);
    assert_int_equal(open_host(&f), ST_OK);
    sim_run(f.sim);
    sim_next_dial(f.sim, ST_OK, 0);
    sim_advance_ms(f.sim, 500);
    assert_int_equal(f.links, 1);
    stop(&f);
}

static void it_may_end_while_it_dials(void **state)
{
    struct fixture f;

    prepare(&f, dials);
    sim_next_dial(f.sim, ST_OK, SIM_NEVER);
    assert_int_equal(open_host(&f), ST_OK);
    sim_run(f.sim);
    assert_int_equal(sim_dials_pending(f.sim), 1);
    stop(&f);
}

static void a_guest_is_known_by_its_cid(void **state)
{
    static const struct {
        const char *name;
        struct peer peer;
        bool taken;
    } rows[] = {
        { "the guest", { .is_vsock = true, .has_cid = true, .cid = 7 }, true },
        { "another guest", { .is_vsock = true, .has_cid = true, .cid = 8 }, false },
        { "nobody knows who", { .is_vsock = true }, false },
        { "no vsock at all: the file's mode decides", { .has_pid = true, .pid = 9 }, true },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fixture f;
        struct sim_peer *peer;

        start(&f, listens);
        peer = sim_connect(f.sim, &f.config.link, &rows[i].peer);
        sim_run(f.sim);
        if (f.links != rows[i].taken || sim_peer_is_closed(peer) == rows[i].taken)
            fail_msg("%s", rows[i].name);
        stop(&f);
    }
}

static void what_cannot_be_opened_leaves_nothing(void **state)
{
    static const struct {
        const char *name;
        const char *words[WORDS_MAX];
        enum status want;
    } rows[] = {
        { "the link", { "--link=qemu:unix:/x" }, ST_EXISTS },
        { "the control socket", { "--link=qemu:unix:/x", "--control=unix:/c" }, ST_EXISTS },
        { "a forward",
          { "--link=qemu:unix:/x", "--forward=127.0.0.1:80=192.168.127.2:80",
            "--forward=127.0.0.1:80=192.168.127.3:80" },
          ST_EXISTS },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fixture f;

        prepare(&f, rows[i].words);
        sim_next_listen_fails(f.sim, ST_EXISTS);
        if (open_host(&f) != rows[i].want || !f.e.text[0])
            fail_msg("%s: %s", rows[i].name, f.e.text);
        assert_null(f.host);
        stop(&f);
    }
}

static void the_switch_hears_of_the_hosts_network(void **state)
{
    struct fixture f;

    start(&f, listens);
    assert_null(switch_host_overlap(f.host));
    routes_sim_add(f.routes, "192.168.127.128", 25, "vmnet8");
    routes_sim_hint(f.routes);
    sim_advance_ms(f.sim, 1000);
    assert_int_equal(f.changes, 1);
    assert_int_equal(resolver_sim_reloads(f.resolver), 1);
    assert_non_null(switch_host_overlap(f.host));
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_dials_until_somebody_is_there),
        cmocka_unit_test(it_dials_again_when_the_link_is_lost),
        cmocka_unit_test(a_dial_that_cannot_begin_is_tried_again),
        cmocka_unit_test(it_may_end_while_it_dials),
        cmocka_unit_test(a_guest_is_known_by_its_cid),
        cmocka_unit_test(what_cannot_be_opened_leaves_nothing),
        cmocka_unit_test(the_switch_hears_of_the_hosts_network),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
