/* SPDX-License-Identifier: Apache-2.0
 * Who has a port that cannot be had: from tables that the test wrote, and from Windows' about a
 * socket of ours. (Wine names the owner of a UDP port only; the one of a TCP port is 0 there.)
 */
#include "port/win/port_owner_win.h"

#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/taken_port.h"

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
        struct ip_endpoint at = taken_port_endpoint(cases[i / 2].at);
        unsigned long pid = 0;
        bool found;

        memset(&table, 0, sizeof table);
        table.count = ROWS;
        for (unsigned row = 0; row < ROWS; row++) {
            struct ip_endpoint e = taken_port_endpoint(cases[i / 2].rows[row]);

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

static void a_taken_udp_port_names_its_owner(void **state)
{
    struct errmsg e = { "" };

    assert_int_equal(taken_port_udp("127.0.0.1:0", &e), ST_EXISTS);
    taken_port_assert_names_us(e.text, "port_win_port_owner_test");
}

static void a_taken_tcp_port_is_said_to_be_taken(void **state)
{
    static const char *const addresses[] = { "127.0.0.1:0", "[::1]:0" };

    for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
        struct errmsg e = { "" };

        (void)taken_port_tcp(addresses[i], addresses[i], &e);
        assert_non_null(strstr(e.text, ": taken by pid "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_row_in_the_way_is_found),
        cmocka_unit_test_setup_teardown(a_taken_udp_port_names_its_owner, taken_port_setup,
                                        taken_port_teardown),
        cmocka_unit_test_setup_teardown(a_taken_tcp_port_is_said_to_be_taken, taken_port_setup,
                                        taken_port_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
