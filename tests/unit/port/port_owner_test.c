/* SPDX-License-Identifier: Apache-2.0
 * port_owner_test.c - who has a port that cannot be had, told by the real kernel about ourselves.
 */
#include "port/net.h"
#include "port/sys.h"
#include "port/uv/loop_uv.h"
#include "port/uv/net_uv.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

static struct loop *loop;
static struct net *net;

static void on_accept(void *ctx, struct net_tcp *conn, const struct ip_endpoint *from)
{
    fail_msg("nobody connects here");
}

static void on_listener_error(void *ctx, enum status why)
{
    fail_msg("the listener failed: %s", status_text(why));
}

static void on_datagram(void *ctx, const struct ip_endpoint *from, const uint8_t *data,
                        size_t len_bytes)
{
    fail_msg("nobody sends here");
}

static void on_unreachable(void *ctx, const struct ip_endpoint *to, enum status why)
{
    fail_msg("nothing was sent");
}

static const struct net_listener_handler listener_handler = { on_accept, on_listener_error };
static const struct net_udp_handler udp_handler = { on_datagram, NULL, on_unreachable };

static int setup(void **state)
{
    struct errmsg e;

    if (loop_uv_new(&loop, &e) || net_uv_new(&net, loop, &e))
        fail_msg("%s", e.text);
    return 0;
}

static int teardown(void **state)
{
    net_uv_free(net);
    loop_uv_free(loop);
    return 0;
}

static struct ip_endpoint endpoint(const char *text)
{
    struct ip_endpoint e;

    assert_int_equal(ip_endpoint_parse(&e, text), ST_OK);
    return e;
}

static void assert_names_us(const char *text)
{
    char want[64];

    snprintf(want, sizeof want, "taken by pid %lld (port_owner_test", (long long)sys_pid());
    if (!strstr(text, want))
        fail_msg("\"%s\" does not say \"%s\"", text, want);
}

/* Listens at @first, any port, and then at @second with that port, which fails. */
static void assert_tcp_taken(const char *first, const char *second)
{
    struct ip_endpoint at = endpoint(first), again = endpoint(second);
    struct net_listener *one, *two;
    struct errmsg e = { "" };

    assert_int_equal(net->ops->tcp_listen(net, &one, &at, &listener_handler, NULL, &e), ST_OK);
    again.port = net->ops->listener_local(one).port;
    assert_int_equal(net->ops->tcp_listen(net, &two, &again, &listener_handler, NULL, &e),
                     ST_EXISTS);
    net->ops->listener_close(one);
    assert_memory_equal(e.text, "listen at tcp ", 14);
    assert_names_us(e.text);
}

static void a_taken_tcp_port_names_its_owner(void **state)
{
    assert_tcp_taken("127.0.0.1:0", "127.0.0.1:1");
    assert_tcp_taken("127.0.0.1:0", "0.0.0.0:1");
    assert_tcp_taken("0.0.0.0:0", "127.0.0.1:1");
    assert_tcp_taken("[::1]:0", "[::1]:1");
    assert_tcp_taken("[::]:0", "[::1]:1");
}

static void a_taken_udp_port_names_its_owner(void **state)
{
    struct ip_endpoint at = endpoint("127.0.0.1:0");
    struct net_udp *one, *two;
    struct errmsg e = { "" };
    enum status st;

    assert_int_equal(net->ops->udp_open(net, &one, &at, &udp_handler, NULL), ST_OK);
    at = net->ops->udp_local(one);
    st = net->ops->udp_open(net, &two, &at, &udp_handler, NULL);
    assert_int_equal(st, ST_EXISTS);
    net->ops->udp_explain(net, &at, st, &e);
    net->ops->udp_close(one);
    assert_memory_equal(e.text, "listen at udp 127.0.0.1:", 24);
    assert_names_us(e.text);
}

static void an_address_that_is_not_ours_has_no_owner(void **state)
{
    struct ip_endpoint at = endpoint("192.0.2.1:8080"); /* RFC 5737 */
    struct net_listener *l;
    struct errmsg e = { "" };

    assert_int_not_equal(net->ops->tcp_listen(net, &l, &at, &listener_handler, NULL, &e), ST_OK);
    assert_memory_equal(e.text, "listen at tcp 192.0.2.1:8080: ", 30);
    assert_null(strstr(e.text, "taken"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_taken_tcp_port_names_its_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(a_taken_udp_port_names_its_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(an_address_that_is_not_ours_has_no_owner, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
