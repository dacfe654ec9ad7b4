/* SPDX-License-Identifier: Apache-2.0 */
#include "support/taken_port.h"

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

int taken_port_setup(void **state)
{
    struct errmsg e;

    if (loop_uv_new(&loop, &e) || net_uv_new(&net, loop, &e))
        fail_msg("%s", e.text);
    return 0;
}

int taken_port_teardown(void **state)
{
    net_uv_free(net);
    loop_uv_free(loop);
    return 0;
}

struct net *taken_port_net(void)
{
    return net;
}

struct ip_endpoint taken_port_endpoint(const char *text)
{
    struct ip_endpoint e;

    assert_int_equal(ip_endpoint_parse(&e, text), ST_OK);
    return e;
}

enum status taken_port_tcp(const char *first, const char *second, struct errmsg *why)
{
    struct ip_endpoint at = taken_port_endpoint(first), again = taken_port_endpoint(second);
    struct net_listener *one, *two;
    enum status st;

    assert_int_equal(net->ops->tcp_listen(net, &one, &at, &listener_handler, NULL, why), ST_OK);
    again.port = net->ops->listener_local(one).port;
    st = net->ops->tcp_listen(net, &two, &again, &listener_handler, NULL, why);
    assert_int_not_equal(st, ST_OK);
    net->ops->listener_close(one);
    return st;
}

enum status taken_port_udp(const char *text, struct errmsg *why)
{
    struct ip_endpoint at = taken_port_endpoint(text);
    struct net_udp *one, *two;
    enum status st;

    assert_int_equal(net->ops->udp_open(net, &one, &at, &udp_handler, NULL), ST_OK);
    at = net->ops->udp_local(one);
    st = net->ops->udp_open(net, &two, &at, &udp_handler, NULL);
    assert_int_not_equal(st, ST_OK);
    net->ops->udp_explain(net, &at, st, why);
    net->ops->udp_close(one);
    return st;
}

void taken_port_assert_names_us(const char *text, const char *program)
{
    char want[96];

    snprintf(want, sizeof want, "taken by pid %lld (%s", (long long)sys_pid(), program);
    if (!strstr(text, want))
        fail_msg("\"%s\" does not say \"%s\"", text, want);
}
