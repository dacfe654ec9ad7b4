/* SPDX-License-Identifier: Apache-2.0
 * port_owner_test.c - who has a port that cannot be had, told by the real kernel about ourselves.
 */
#include "base/util.h"
#include "port/net.h"
#include "support/cmocka_all.h"
#include "support/taken_port.h"

#include <string.h>

static const char program[] = "port_owner_test";

static void a_taken_tcp_port_names_its_owner(void **state)
{
    static const struct {
        const char *first, *second;
    } rows[] = {
        { "127.0.0.1:0", "127.0.0.1:1" }, { "127.0.0.1:0", "0.0.0.0:1" },
        { "0.0.0.0:0", "127.0.0.1:1" },   { "[::1]:0", "[::1]:1" },
        { "[::]:0", "[::1]:1" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct errmsg e = { "" };

        assert_int_equal(taken_port_tcp(rows[i].first, rows[i].second, &e), ST_EXISTS);
        assert_memory_equal(e.text, "listen at tcp ", 14);
        taken_port_assert_names_us(e.text, program);
    }
}

static void a_taken_udp_port_names_its_owner(void **state)
{
    struct errmsg e = { "" };

    assert_int_equal(taken_port_udp("127.0.0.1:0", &e), ST_EXISTS);
    assert_memory_equal(e.text, "listen at udp 127.0.0.1:", 24);
    taken_port_assert_names_us(e.text, program);
}

static void on_accept(void *ctx, struct net_tcp *conn, const struct ip_endpoint *from)
{
    fail_msg("nobody connects here");
}

static void an_address_that_is_not_ours_has_no_owner(void **state)
{
    static const struct net_listener_handler handler = { .on_accept = on_accept };
    struct ip_endpoint at = taken_port_endpoint("192.0.2.1:8080"); /* RFC 5737 */
    struct net *net = taken_port_net();
    struct net_listener *l;
    struct errmsg e = { "" };

    assert_int_not_equal(net->ops->tcp_listen(net, &l, &at, &handler, NULL, &e), ST_OK);
    assert_memory_equal(e.text, "listen at tcp 192.0.2.1:8080: ", 30);
    assert_null(strstr(e.text, "taken"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, taken_port_setup, taken_port_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_taken_tcp_port_names_its_owner),
        TEST(a_taken_udp_port_names_its_owner),
        TEST(an_address_that_is_not_ours_has_no_owner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
