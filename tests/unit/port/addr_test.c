/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "port/addr.h"
#include "support/cmocka_all.h"

#include <string.h>

#define GUID "6b6f5c1e-facb-11e6-bd58-64006a7986d3"
#define P10  "/abcdefghi"
#define P50  P10 P10 P10 P10 P10
#define P107 P50 P50 "/abcdef"

static void addr_parse_takes_every_kind(void **state)
{
    static const struct {
        const char *text;
        struct addr want;
    } rows[] = {
        { "unix:/run/docker.sock", { .kind = ADDR_UNIX, .path = "/run/docker.sock" } },
        { "unix:/a:b:77", { .kind = ADDR_UNIX, .path = "/a:b:77" } },
        { "unix:" P107, { .kind = ADDR_UNIX, .path = P107 } },
        { "unixpacket:/run/p:1", { .kind = ADDR_UNIXPACKET, .path = "/run/p:1" } },
        { "tcp:127.0.0.1:2375", { .kind = ADDR_TCP, .path = "127.0.0.1", .tcp_port = 2375 } },
        { "tcp:127.255.0.9:1", { .kind = ADDR_TCP, .path = "127.255.0.9", .tcp_port = 1 } },
        { "tcp:[::1]:65535", { .kind = ADDR_TCP, .path = "::1", .tcp_port = 65535 } },
        { "vsock:6660", { .kind = ADDR_VSOCK, .cid = ADDR_CID_ANY, .port = 6660 } },
        { "vsock:3:6660", { .kind = ADDR_VSOCK, .cid = 3, .port = 6660 } },
        { "vsock:3:", { .kind = ADDR_VSOCK, .cid = 3, .port = ADDR_PORT_NONE } },
        { "vsock:0:4294967294", { .kind = ADDR_VSOCK, .cid = 0, .port = 4294967294u } },
        { "vsock-hybrid:/vm/a.vsock",
          { .kind = ADDR_VSOCK_HYBRID, .path = "/vm/a.vsock", .port = ADDR_PORT_NONE } },
        { "vsock-hybrid:/vm/a:b:6660",
          { .kind = ADDR_VSOCK_HYBRID, .path = "/vm/a:b", .port = 6660 } },
        { "vsock-hybrid:/vm/a:b",
          { .kind = ADDR_VSOCK_HYBRID, .path = "/vm/a:b", .port = ADDR_PORT_NONE } },
        { "tcp-hybrid:127.0.0.1:9000",
          { .kind = ADDR_TCP_HYBRID,
            .path = "127.0.0.1",
            .tcp_port = 9000,
            .port = ADDR_PORT_NONE } },
        { "tcp-hybrid:[::1]:9000:6660",
          { .kind = ADDR_TCP_HYBRID, .path = "::1", .tcp_port = 9000, .port = 6660 } },
        { "npipe:docker_engine", { .kind = ADDR_NPIPE, .path = "docker_engine" } },
        { "fd:3", { .kind = ADDR_FD, .fd = 3 } },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[ADDR_TEXT_MAX];
        struct addr a;
        struct errmsg e;

        if (addr_parse(&a, rows[i].text, &e))
            fail_msg("%s: %s", rows[i].text, e.text);
        if (a.kind != rows[i].want.kind || strcmp(a.path, rows[i].want.path) != 0 ||
            a.tcp_port != rows[i].want.tcp_port)
            fail_msg("%s: wrong kind, path or TCP port", rows[i].text);
        if (a.kind == ADDR_VSOCK)
            assert_int_equal(a.cid, rows[i].want.cid);
        if (rows[i].want.port)
            assert_int_equal(a.port, rows[i].want.port);
        if (a.kind == ADDR_FD)
            assert_int_equal(a.fd, rows[i].want.fd);
        assert_string_equal(addr_format(&a, text, sizeof text), rows[i].text);
    }
}

static void addr_parse_refuses_what_is_wrong_and_says_why(void **state)
{
    static const struct {
        const char *text;
        const char *says; /* part of the message */
    } rows[] = {
        { "", "must begin with" },
        { "unix", "must begin with" },
        { "http:127.0.0.1:80", "must begin with" },
        { "UNIX:/x", "must begin with" },
        { "unix:", "empty" },
        { "unix:" P107 "8", "108 bytes" },
        { "tcp:", "loopback" },
        { "tcp:0.0.0.0:80", "loopback" },
        { "tcp:10.0.0.1:80", "loopback" },
        { "tcp:128.0.0.1:80", "loopback" },
        { "tcp:localhost:80", "loopback" },
        { "tcp:[::]:80", "loopback" },
        { "tcp:[::1]80", "loopback" },
        { "tcp:127.0.0:80", "loopback" },
        { "tcp:127.0.0.1.1:80", "loopback" },
        { "tcp:127.0.0.256:80", "loopback" },
        { "tcp:127.0.0.0001:80", "loopback" },
        { "tcp:127..0.1:80", "loopback" },
        { "tcp:127.0.0.1", "1 to 65535" },
        { "tcp:127.0.0.1:", "1 to 65535" },
        { "tcp:127.0.0.1:0", "1 to 65535" },
        { "tcp:127.0.0.1:65536", "1 to 65535" },
        { "tcp:127.0.0.1:-1", "1 to 65535" },
        { "tcp:127.0.0.1:80 ", "1 to 65535" },
        { "tcp:127.0.0.1:80:1", "nothing may follow" },
        { "vsock:", "vsock port" },
        { "vsock:x", "vsock port" },
        { "vsock:4294967295", "vsock port" },
        { "vsock:99999999999", "vsock port" },
        { "vsock::1", "CID" },
        { "vsock:4294967295:1", "CID" },
        { "vsock:1:2:3", "vsock port" },
        { "hvsock:", "GUID" },
        { "hvsock:nonsense:1", "GUID" },
        { "hvsock:" GUID GUID ":1", "GUID" },
        { "hvsock:" GUID ":", "port" },
        { "hvsock:" GUID ":x", "port" },
        { "vsock-hybrid:", "empty" },
        { "unixpacket:", "empty" },
        { "vsock-hybrid::5", "empty" },
        { "vsock-hybrid:/x:4294967295", "port" },
        { "tcp-hybrid:192.168.0.1:1", "loopback" },
        { "tcp-hybrid:127.0.0.1:9000:", "port" },
        { "tcp-hybrid:127.0.0.1:9000:1:2", "port" },
        { "npipe:", "empty" },
        { "npipe:\\\\.\\pipe\\x", "slashes" },
        { "fd:", "3 or more" },
        { "fd:0", "3 or more" },
        { "fd:2", "3 or more" },
        { "fd:-3", "3 or more" },
        { "fd:9999999", "3 or more" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct addr a = { .kind = ADDR_KIND_COUNT };
        struct errmsg e = { "" };

        if (addr_parse(&a, rows[i].text, &e) != ST_INVAL)
            fail_msg("\"%s\" was accepted", rows[i].text);
        if (!strstr(e.text, rows[i].says))
            fail_msg("\"%s\": the message is \"%s\"", rows[i].text, e.text);
        if (a.kind != ADDR_KIND_COUNT)
            fail_msg("\"%s\": the result was touched", rows[i].text);
        assert_int_equal(addr_parse(&a, rows[i].text, NULL), ST_INVAL);
    }
}

static void addr_hvsock_keeps_its_vm_and_takes_braces(void **state)
{
    struct addr plain, braces;
    char text[ADDR_TEXT_MAX];

    assert_int_equal(addr_parse(&plain, "hvsock:" GUID, NULL), ST_OK);
    assert_int_equal(plain.port, ADDR_PORT_NONE);
    assert_string_equal(addr_format(&plain, text, sizeof text), "hvsock:" GUID);
    assert_int_equal(addr_parse(&braces, "hvsock:{" GUID "}:6669", NULL), ST_OK);
    assert_string_equal(addr_format(&braces, text, sizeof text), "hvsock:" GUID ":6669");
    plain = addr_at_port(&plain, 6669);
    assert_true(addr_equal(&plain, &braces));
}

static void addr_format_never_overflows(void **state)
{
    struct addr a;
    char text[8];

    assert_int_equal(addr_parse(&a, "unix:/a/long/path", NULL), ST_OK);
    assert_string_equal(addr_format(&a, text, sizeof text), "unix:/a");
    memset(&a, 0, sizeof a);
    assert_string_equal(addr_format(&a, text, sizeof text), "none");
}

static void addr_guest_to_host_follows_the_transport(void **state)
{
    static const struct {
        const char *vm;
        uint32_t port;
        const char *want; /* NULL = ST_INVAL */
    } rows[] = {
        { "vsock-hybrid:/vm/a.vsock", 6656, "unix:/vm/a.vsock_6656" },
        { "vsock-hybrid:" P50 P50, 6656, "unix:" P50 P50 "_6656" },
        { "vsock-hybrid:" P50 P50 "/2", 66560, NULL }, /* one byte too many */
        { "tcp-hybrid:127.0.0.1:9000", 6656, "tcp:127.0.0.1:15656" },
        { "tcp-hybrid:[::1]:9000", 56535, "tcp:[::1]:65535" },
        { "tcp-hybrid:127.0.0.1:9000", 56536, NULL },
        { "tcp-hybrid:127.0.0.1:9000", 4294967290u, NULL },
        { "hvsock:" GUID, 6656, "hvsock:" GUID ":6656" },
        { "vsock:7:", 6656, "vsock:6656" },
        { "unix:/x", 6656, NULL },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct addr vm, host;
        struct errmsg e = { "" };
        char text[ADDR_TEXT_MAX];
        enum status st;

        assert_int_equal(addr_parse(&vm, rows[i].vm, NULL), ST_OK);
        st = addr_guest_to_host(&host, &vm, rows[i].port, &e);
        assert_int_equal(st, rows[i].want ? ST_OK : ST_INVAL);
        if (rows[i].want)
            assert_string_equal(addr_format(&host, text, sizeof text), rows[i].want);
        else
            assert_true(e.text[0]);
    }
}

static void addr_equal_compares_what_counts(void **state)
{
    static const char *const different[] = {
        "unix:/a",   "unix:/b",      "vsock:1",          "vsock:2",         "vsock:1:2",
        "vsock:3:2", "npipe:a",      "tcp:127.0.0.1:1",  "tcp:127.0.0.1:2", "fd:3",
        "fd:4",      "hvsock:" GUID, "hvsock:" GUID ":1"
    };

    for (size_t i = 0; i < ARRAY_SIZE(different); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(different); j++) {
            struct addr a, b;

            assert_int_equal(addr_parse(&a, different[i], NULL), ST_OK);
            assert_int_equal(addr_parse(&b, different[j], NULL), ST_OK);
            if (addr_equal(&a, &b) != (i == j))
                fail_msg("%s and %s", different[i], different[j]);
        }
    }
}

static void addr_parse_guarded_takes_what_the_system_guards(void **state)
{
    static const char *const open_to_all[] = { "tcp:127.0.0.1:1", "fd:3", "vsock:1:2",
                                               "vsock-hybrid:/a", "unixpacket:/a" };
    struct errmsg e = { "" };
    struct addr a = { .kind = ADDR_NONE };

    for (size_t i = 0; i < ARRAY_SIZE(open_to_all); i++) {
        assert_int_equal(addr_parse_guarded(&a, open_to_all[i], &e), ST_INVAL);
        assert_non_null(strstr(e.text, "unix:PATH or npipe:NAME only"));
        assert_int_equal(a.kind, ADDR_NONE);
    }
    assert_int_equal(addr_parse_guarded(&a, "nonsense", &e), ST_INVAL);
    assert_int_equal(addr_parse_guarded(&a, "unix:/a", NULL), ST_OK);
    assert_int_equal(a.kind, ADDR_UNIX);
    assert_int_equal(addr_parse_guarded(&a, "npipe:a", NULL), ST_OK);
    assert_int_equal(a.kind, ADDR_NPIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addr_parse_takes_every_kind),
        cmocka_unit_test(addr_parse_refuses_what_is_wrong_and_says_why),
        cmocka_unit_test(addr_hvsock_keeps_its_vm_and_takes_braces),
        cmocka_unit_test(addr_format_never_overflows),
        cmocka_unit_test(addr_guest_to_host_follows_the_transport),
        cmocka_unit_test(addr_equal_compares_what_counts),
        cmocka_unit_test(addr_parse_guarded_takes_what_the_system_guards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
