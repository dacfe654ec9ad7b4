/* SPDX-License-Identifier: Apache-2.0
 * Who has a port that cannot be had: from tables that the test wrote, and from Windows' about a
 * socket of ours. (Wine names the owner of a UDP port only; the one of a TCP port is 0 there.)
 */
#include "port/win/port_owner_win.h"

#include "base/util.h"
#include "port/net.h"
#include "port/sys.h"
#include "port/uv/loop_uv.h"
#include "port/uv/net_uv.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <winsock2.h>
/* After winsock2.h. */
#include <iphlpapi.h>
#include <windows.h>

enum { ROWS = 3 };

static const struct {
    const char *name, *at;
    const char *rows[ROWS]; /* owned by processes 11, 12, 13 */
    unsigned long want;     /* 0: nobody is in the way */
} cases[] = {
    { "the same", "127.0.0.1:80", { "127.0.0.1:79", "127.0.0.1:80", "127.0.0.1:81" }, 12 },
    { "another address", "127.0.0.1:80", { "127.0.0.2:80", "10.0.0.1:80", "1.2.3.4:5" }, 0 },
    { "one at all addresses", "127.0.0.1:80", { "10.0.0.1:80", "1.2.3.4:5", "0.0.0.0:80" }, 13 },
    { "wanted at all addresses", "0.0.0.0:80", { "10.0.0.1:80", "1.2.3.4:5", "1.2.3.4:6" }, 11 },
    { "a port's bytes in order",
      "127.0.0.1:258",
      { "127.0.0.1:513", "127.0.0.1:258", "0.0.0.0:1" },
      12 },
    { "IPv6, the same", "[::1]:80", { "[::1]:79", "[fe80::1]:80", "[::1]:80" }, 13 },
    { "IPv6, another", "[::1]:80", { "[::2]:80", "[fe80::1]:80", "[::1]:81" }, 0 },
    { "IPv6, all addresses", "[::1]:80", { "[::]:80", "[::2]:80", "[::1]:81" }, 11 },
};

static struct ip_endpoint endpoint(const char *text)
{
    struct ip_endpoint e;

    assert_int_equal(ip_endpoint_parse(&e, text), ST_OK);
    return e;
}

static union {
    DWORD count;
    struct {
        DWORD count;
        MIB_TCPROW_OWNER_PID rows[ROWS];
    } tcp4;
    struct {
        DWORD count;
        MIB_UDPROW_OWNER_PID rows[ROWS];
    } udp4;
    struct {
        DWORD count;
        MIB_TCP6ROW_OWNER_PID rows[ROWS];
    } tcp6;
    struct {
        DWORD count;
        MIB_UDP6ROW_OWNER_PID rows[ROWS];
    } udp6;
} table;

static void put_row(unsigned i, bool is_udp, const struct ip_endpoint *e)
{
    DWORD port = htons(e->port) | 0xabcd0000, pid = 11 + i, v4;

    memcpy(&v4, e->addr.b + 12, sizeof v4);
    if (ip_addr_is_v4(&e->addr) && is_udp) {
        table.udp4.rows[i] = (MIB_UDPROW_OWNER_PID){ v4, port, pid };
    } else if (ip_addr_is_v4(&e->addr)) {
        table.tcp4.rows[i] =
            (MIB_TCPROW_OWNER_PID){ .dwLocalAddr = v4, .dwLocalPort = port, .dwOwningPid = pid };
    } else if (is_udp) {
        memcpy(table.udp6.rows[i].ucLocalAddr, e->addr.b, 16);
        table.udp6.rows[i].dwLocalPort = port;
        table.udp6.rows[i].dwOwningPid = pid;
    } else {
        memcpy(table.tcp6.rows[i].ucLocalAddr, e->addr.b, 16);
        table.tcp6.rows[i].dwLocalPort = port;
        table.tcp6.rows[i].dwOwningPid = pid;
    }
}

static void the_row_in_the_way_is_found(void **state)
{
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
        bool is_udp = i % 2;
        struct ip_endpoint at = endpoint(cases[i / 2].at);
        unsigned long pid = 0;
        bool found;

        memset(&table, 0, sizeof table);
        table.count = ROWS;
        for (unsigned row = 0; row < ROWS; row++) {
            struct ip_endpoint e = endpoint(cases[i / 2].rows[row]);

            put_row(row, is_udp, &e);
        }
        found = port_owner_in_table(&pid, is_udp, &table, &at);
        if (found != (cases[i / 2].want != 0) || pid != cases[i / 2].want)
            fail_msg("%s (%s): %lu", cases[i / 2].name, is_udp ? "udp" : "tcp", pid);
        table.count = 0;
        assert_false(port_owner_in_table(&pid, is_udp, &table, &at));
    }
}

/* ---- Windows' own tables ------------------------------------------------------------------ */

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

static void a_taken_udp_port_names_its_owner(void **state)
{
    struct ip_endpoint at = endpoint("127.0.0.1:0");
    struct net_udp *one, *two;
    struct errmsg e = { "" };
    char want[64];
    enum status st;

    assert_int_equal(net->ops->udp_open(net, &one, &at, &udp_handler, NULL), ST_OK);
    at = net->ops->udp_local(one);
    st = net->ops->udp_open(net, &two, &at, &udp_handler, NULL);
    assert_int_equal(st, ST_EXISTS);
    net->ops->udp_explain(net, &at, st, &e);
    net->ops->udp_close(one);
    snprintf(want, sizeof want, "taken by pid %lld (port_win_port_owner_test",
             (long long)sys_pid());
    assert_non_null(strstr(e.text, want));
}

static void a_taken_tcp_port_is_said_to_be_taken(void **state)
{
    static const char *const addresses[] = { "127.0.0.1:0", "[::1]:0" };

    for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
        struct ip_endpoint at = endpoint(addresses[i]);
        struct net_listener *one, *two;
        struct errmsg e = { "" };

        assert_int_equal(net->ops->tcp_listen(net, &one, &at, &listener_handler, NULL, &e), ST_OK);
        at = net->ops->listener_local(one);
        assert_int_not_equal(net->ops->tcp_listen(net, &two, &at, &listener_handler, NULL, &e),
                             ST_OK);
        net->ops->listener_close(one);
        assert_non_null(strstr(e.text, ": taken by pid "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_row_in_the_way_is_found),
        cmocka_unit_test_setup_teardown(a_taken_udp_port_names_its_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(a_taken_tcp_port_is_said_to_be_taken, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
