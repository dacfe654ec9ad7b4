/* SPDX-License-Identifier: Apache-2.0
 * routes_test.c - what overlaps, and the table of the system that this runs on.
 */
#include "port/routes.h"

#include "base/util.h"
#include "port/uv/loop_uv.h"
#include "port/uv/routes_os.h"
#include "support/cmocka_all.h"

#include <string.h>

static struct ip_addr addr(const char *text)
{
    struct ip_addr a;

    assert_int_equal(ip_addr_parse(&a, text), ST_OK);
    return a;
}

static const struct {
    const char *name, *route;
    unsigned route_bits;
    const char *net;
    unsigned bits;
    bool want;
} rows[] = {
    { "the same network", "192.168.127.0", 24, "192.168.127.0", 24, true },
    { "a wider one around it", "192.168.0.0", 16, "192.168.127.0", 24, true },
    { "an address within it", "192.168.127.9", 32, "192.168.127.0", 24, true },
    { "the network beside it", "192.168.126.0", 24, "192.168.127.0", 24, false },
    { "an address beside it", "192.168.128.1", 32, "192.168.127.0", 24, false },
    { "a default route", "0.0.0.0", 0, "192.168.127.0", 24, false },
    { "half a default route", "128.0.0.0", 1, "192.168.127.0", 24, false },
    { "the shortest that is a network", "10.0.0.0", 8, "10.9.8.0", 29, true },
    { "loopback", "127.0.0.0", 8, "127.0.0.0", 24, false },
    { "link-local", "169.254.0.0", 16, "169.254.0.0", 24, false },
    { "the same network of IPv6", "fd00:72:64::", 64, "fd00:72:64::", 64, true },
    { "a wider one of IPv6", "fd00::", 8, "fd00:72:64::", 64, true },
    { "another one of IPv6", "fd00:72:65::", 64, "fd00:72:64::", 64, false },
    { "a default route of IPv6", "::", 0, "fd00:72:64::", 64, false },
    { "the other family", "::", 8, "192.168.127.0", 24, false },
};

static void an_overlap_is_a_network_in_common(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct route r = { .net = addr(rows[i].route), .prefix_bits = rows[i].route_bits };
        struct ip_addr net = addr(rows[i].net);

        if (route_overlaps(&r, &net, rows[i].bits) != rows[i].want)
            fail_msg("%s", rows[i].name);
    }
}

static void the_text_of_a_route_names_its_device_if_that_is_known(void **state)
{
    struct route tun = { .net = addr("192.168.0.0"), .prefix_bits = 16, .device = "tun0" };
    struct route r = { .net = addr("fd00:72:64::"), .prefix_bits = 64 };
    char text[ROUTE_TEXT_MAX];

    assert_string_equal(route_format(&tun, text), "192.168.0.0/16 (tun0)");
    assert_string_equal(route_format(&r, text), "fd00:72:64::/64");
}

/* Which ones there are depends on the machine; tests/system/linux/switch_worker_test.py changes
 * them.
 */
static void check_route(void *ctx, const struct route *r)
{
    bool is_v4 = ip_addr_is_v4(&r->net);

    assert_true(r->prefix_bits <= (is_v4 ? 32 : 128));
    assert_true(ip_addr_in_prefix(&r->net, &r->net, r->prefix_bits));
    assert_false(ip_addr_is_multicast(&r->net));
    assert_non_null(memchr(r->device, '\0', sizeof r->device));
}

static void hear_nothing(void *ctx)
{
    fail_msg("nothing has changed, and nobody listens");
}

static void the_systems_table_can_be_read(void **state)
{
    struct loop *loop = NULL;
    struct routes *routes = NULL;
    struct errmsg e = { "" };

    assert_int_equal(loop_uv_new(&loop, &e), ST_OK);
    assert_int_equal(routes_os_new(&routes, loop, &e), ST_OK);
    routes->ops->watch(routes, hear_nothing, NULL);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(routes->ops->each(routes, check_route, NULL), ST_OK);
    routes->ops->watch(routes, NULL, NULL);
    assert_false(loop_uv_run_once(loop)); /* a watch alone keeps no loop going */
    routes->ops->close(routes);
    loop_uv_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_overlap_is_a_network_in_common),
        cmocka_unit_test(the_text_of_a_route_names_its_device_if_that_is_known),
        cmocka_unit_test(the_systems_table_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
