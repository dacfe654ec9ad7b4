/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/linux/guest_files.h"

#include "base/util.h"
#include "support/cmocka_all.h"
#include "unit/guest_net/sandbox.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESOLV "/run/resolv.conf"
#define HOSTS  "/run/hosts"
#define OURS   "192.168.127.1 gateway.rancher-desktop.internal\n"

static struct ip_addr ip(const char *text)
{
    struct ip_addr a;

    assert_int_equal(ip_addr_parse(&a, text), ST_OK);
    return a;
}

static enum status put_resolver(const char *server, const char *search)
{
    struct ip_addr a = ip(server);

    return guest_files_put_resolver(RESOLV, &a, search, NULL);
}

static enum status put_gateway(const char *gateway)
{
    struct ip_addr a = ip(gateway);

    return guest_files_put_gateway(HOSTS, &a, NULL);
}

/* The file at @path without its comments. */
static void assert_says(const char *path, const char *want)
{
    char *text = sandbox_read(path);
    const char *from = *text == '#' ? strchr(text, '\n') + 1 : text;

    assert_string_equal(from, want);
    free(text);
}

static void the_resolver_is_one_server_and_a_search_list(void **state)
{
    sandbox_write(RESOLV, "nameserver 9.9.9.9\nnameserver 8.8.8.8\noptions rotate\n");
    assert_int_equal(put_resolver("192.168.127.1", ""), ST_OK);
    assert_says(RESOLV, "nameserver 192.168.127.1\n");
    assert_int_equal(put_resolver("192.168.127.1", "corp.example lab.example"), ST_OK);
    assert_says(RESOLV, "search corp.example lab.example\nnameserver 192.168.127.1\n");
    assert_int_equal(put_resolver("fd00::1", ""), ST_OK);
    assert_says(RESOLV, "nameserver fd00::1\n");
}

static void a_search_list_that_is_none_is_left_out_and_said(void **state)
{
    static const char *const rows[] = {
        "a.example\nnameserver 6.6.6.6",
        "a.example\toptions",
        "a;b",
        "\xc3\xbc.example",
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(put_resolver("192.168.127.1", rows[i]), ST_INVAL);
        assert_says(RESOLV, "nameserver 192.168.127.1\n");
    }
}

static void hosts_has_exactly_one_line_of_ours(void **state)
{
    static const struct {
        const char *name, *before, *after;
    } rows[] = {
        { "an empty file", "", OURS },
        { "appended", "127.0.0.1 localhost\n", "127.0.0.1 localhost\n" OURS },
        { "no end of line", "127.0.0.1 localhost", "127.0.0.1 localhost\n" OURS },
        { "kept as it is", "1.1.1.1 a\n" OURS "2.2.2.2 b\n", "1.1.1.1 a\n" OURS "2.2.2.2 b\n" },
        { "another address, at its place",
          "1.1.1.1 a\n10.0.0.1 \t gateway.rancher-desktop.internal \r\n2.2.2.2 b\n",
          "1.1.1.1 a\n" OURS "2.2.2.2 b\n" },
        { "several become one",
          "10.0.0.1 gateway.rancher-desktop.internal\n1.1.1.1 a\n" OURS
          "10.0.0.2\tgateway.rancher-desktop.internal",
          OURS "1.1.1.1 a\n" },
        { "somebody else's lines stay",
          "1.1.1.1 gateway.rancher-desktop.internal alias\n"
          "1.1.1.1 alias gateway.rancher-desktop.internal\n"
          "# gateway.rancher-desktop.internal\n"
          "#1.1.1.1 gateway.rancher-desktop.internal\n"
          "gateway.rancher-desktop.internal\n"
          "1.1.1.1 my-gateway.rancher-desktop.internal\n",
          "1.1.1.1 gateway.rancher-desktop.internal alias\n"
          "1.1.1.1 alias gateway.rancher-desktop.internal\n"
          "# gateway.rancher-desktop.internal\n"
          "#1.1.1.1 gateway.rancher-desktop.internal\n"
          "gateway.rancher-desktop.internal\n"
          "1.1.1.1 my-gateway.rancher-desktop.internal\n" OURS },
        { "empty lines and spaces stay", "\n\n  \n1.1.1.1\ta\n\n", "\n\n  \n1.1.1.1\ta\n\n" OURS },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        sandbox_write(HOSTS, rows[i].before);
        for (int turn = 0; turn < 2; turn++) {
            char *text = NULL;

            assert_int_equal(put_gateway("192.168.127.1"), ST_OK);
            text = sandbox_read(HOSTS);
            if (strcmp(text, rows[i].after) != 0)
                fail_msg("%s, turn %d: %s", rows[i].name, turn, text);
            free(text);
        }
    }
}

static void without_a_gateway_our_line_goes(void **state)
{
    sandbox_write(HOSTS, "1.1.1.1 a\n" OURS "2.2.2.2 b\n");
    assert_int_equal(put_gateway("0.0.0.0"), ST_OK);
    assert_says(HOSTS, "1.1.1.1 a\n2.2.2.2 b\n");
}

static void a_missing_hosts_file_is_made_when_there_is_something_to_say(void **state)
{
    unlink(HOSTS);
    assert_int_equal(put_gateway("0.0.0.0"), ST_OK);
    assert_int_equal(access(HOSTS, F_OK), -1);
    assert_int_equal(put_gateway("192.168.127.1"), ST_OK);
    assert_says(HOSTS, OURS);
}

static void hosts_behind_a_link_is_copied_not_changed(void **state)
{
    struct stat s;

    unlink(HOSTS);
    sandbox_write("/run/theirs", "1.1.1.1 a\n");
    assert_int_equal(symlink("theirs", HOSTS), 0);
    assert_int_equal(put_gateway("192.168.127.1"), ST_OK);
    assert_says(HOSTS, "1.1.1.1 a\n" OURS);
    assert_says("/run/theirs", "1.1.1.1 a\n");
    assert_int_equal(lstat(HOSTS, &s), 0);
    assert_true(S_ISREG(s.st_mode));
}

static void a_hosts_file_beyond_all_measure_is_left_alone(void **state)
{
    sandbox_write(HOSTS, "1.1.1.1 a\n");
    assert_int_equal(truncate(HOSTS, 2 * 1024 * 1024), 0);
    assert_int_equal(put_gateway("192.168.127.1"), ST_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_resolver_is_one_server_and_a_search_list),
        cmocka_unit_test(a_search_list_that_is_none_is_left_out_and_said),
        cmocka_unit_test(hosts_has_exactly_one_line_of_ours),
        cmocka_unit_test(without_a_gateway_our_line_goes),
        cmocka_unit_test(a_missing_hosts_file_is_made_when_there_is_something_to_say),
        cmocka_unit_test(hosts_behind_a_link_is_copied_not_changed),
        cmocka_unit_test(a_hosts_file_beyond_all_measure_is_left_alone),
    };

    if (!sandbox_enter())
        return SANDBOX_SKIP;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
