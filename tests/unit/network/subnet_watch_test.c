/* SPDX-License-Identifier: Apache-2.0 */
#include "network/subnet_watch.h"

#include "port/sim/loop_sim.h"
#include "port/sim/routes_sim.h"
#include "support/cmocka_all.h"

struct fixture {
    struct sim *sim;
    struct routes_sim *routes;
    struct subnet_watch watch;
    unsigned changes;
};

static void on_change(void *ctx)
{
    ((struct fixture *)ctx)->changes++;
}

/* A host with a way to the world; @ip6: the guest has a network of IPv6 too. */
static void start(struct fixture *f, bool ip6)
{
    struct subnet_watch_config config = { .prefix_bits = 24, .ip6 = ip6, .prefix6_bits = 64 };

    *f = (struct fixture){ .sim = sim_new(), .routes = routes_sim_new() };
    assert_int_equal(ip_addr_parse(&config.net, "192.168.127.0"), ST_OK);
    assert_int_equal(ip_addr_parse(&config.net6, "fd00:72:64::"), ST_OK);
    routes_sim_add(f->routes, "0.0.0.0", 0, "eth0");
    routes_sim_add(f->routes, "10.1.0.0", 16, "eth0");
    subnet_watch_start(&f->watch, sim_loop(f->sim), routes_sim_routes(f->routes), &config,
                       on_change, f);
}

static void stop(struct fixture *f)
{
    subnet_watch_stop(&f->watch);
    routes_sim_free(f->routes);
    sim_free(f->sim);
}

static void nothing_changes_by_itself(void **state)
{
    struct fixture f;

    start(&f, true);
    sim_advance_ms(f.sim, 10 * SUBNET_WATCH_EVERY_MS);
    assert_null(subnet_watch_overlap(&f.watch));
    assert_int_equal(f.changes, 0);
    assert_int_equal(routes_sim_looks(f.routes), 11);
    stop(&f);
}

static void an_overlap_is_told_soon_after_the_hint(void **state)
{
    struct fixture f;

    start(&f, true);
    routes_sim_add(f.routes, "192.168.0.0", 16, "tun0");
    routes_sim_hint(f.routes);
    sim_advance_ms(f.sim, SUBNET_WATCH_SETTLE_MS);
    assert_int_equal(f.changes, 1);
    assert_string_equal(subnet_watch_overlap(&f.watch)->device, "tun0");
    routes_sim_clear(f.routes);
    routes_sim_hint(f.routes);
    sim_advance_ms(f.sim, SUBNET_WATCH_SETTLE_MS);
    assert_int_equal(f.changes, 2);
    assert_null(subnet_watch_overlap(&f.watch));
    stop(&f);
}

static void an_overlap_of_ip6_counts_where_the_guest_has_it(void **state)
{
    struct fixture f;

    for (int ip6 = 0; ip6 <= 1; ip6++) {
        start(&f, ip6);
        routes_sim_add(f.routes, "fd00:72:64::", 48, "wg0");
        sim_advance_ms(f.sim, SUBNET_WATCH_EVERY_MS);
        assert_int_equal(subnet_watch_overlap(&f.watch) != NULL, ip6);
        stop(&f);
    }
}

static void a_change_without_a_hint_is_found(void **state)
{
    struct fixture f;

    start(&f, true);
    routes_sim_add(f.routes, "172.16.0.0", 12, "eth1");
    sim_advance_ms(f.sim, SUBNET_WATCH_EVERY_MS);
    assert_int_equal(f.changes, 1);
    stop(&f);
}

static void many_hints_are_one_look(void **state)
{
    struct fixture f;

    start(&f, true);
    for (unsigned i = 0; i < 100; i++) {
        routes_sim_hint(f.routes);
        sim_advance_ms(f.sim, SUBNET_WATCH_SETTLE_MS / 100);
    }
    assert_int_equal(routes_sim_looks(f.routes), 2);
    assert_int_equal(f.changes, 0); /* a hint at nothing is no change */
    stop(&f);
}

static void link_local_routes_come_and_go_unnoticed(void **state)
{
    struct fixture f;

    start(&f, true);
    routes_sim_add(f.routes, "fe80::1:2:3:4", 128, "veth7");
    sim_advance_ms(f.sim, SUBNET_WATCH_EVERY_MS);
    assert_int_equal(f.changes, 0);
    stop(&f);
}

static void what_was_known_outlives_a_failure(void **state)
{
    struct fixture f;

    start(&f, true);
    routes_sim_add(f.routes, "192.168.127.4", 32, "eth0");
    sim_advance_ms(f.sim, SUBNET_WATCH_EVERY_MS);
    assert_non_null(subnet_watch_overlap(&f.watch));
    routes_sim_set_fails(f.routes, ST_NOFILES);
    sim_advance_ms(f.sim, SUBNET_WATCH_EVERY_MS);
    assert_non_null(subnet_watch_overlap(&f.watch));
    assert_int_equal(f.changes, 1);
    stop(&f);
}

static void one_that_never_started_may_be_stopped(void **state)
{
    struct subnet_watch w = { .routes = NULL };

    subnet_watch_stop(&w);
    assert_null(subnet_watch_overlap(&w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changes_by_itself),
        cmocka_unit_test(an_overlap_is_told_soon_after_the_hint),
        cmocka_unit_test(an_overlap_of_ip6_counts_where_the_guest_has_it),
        cmocka_unit_test(a_change_without_a_hint_is_found),
        cmocka_unit_test(many_hints_are_one_look),
        cmocka_unit_test(link_local_routes_come_and_go_unnoticed),
        cmocka_unit_test(what_was_known_outlives_a_failure),
        cmocka_unit_test(one_that_never_started_may_be_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
