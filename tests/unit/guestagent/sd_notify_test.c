/* SPDX-License-Identifier: Apache-2.0
 * What the environment may say; that the datagrams arrive is a system test (agent_systemd_test.py).
 */
#include "support/cmocka_all.h"

#include "guestagent/sd_notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void set(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void notify_socket_is_checked(void **state)
{
    char too_long[200];

    memset(too_long, 'x', sizeof too_long);
    too_long[0] = '/';
    too_long[sizeof too_long - 1] = '\0';
    set("NOTIFY_SOCKET", NULL);
    assert_int_equal(sd_notify_send("READY=1"), ST_NOTFOUND);
    set("NOTIFY_SOCKET", "");
    assert_int_equal(sd_notify_send("READY=1"), ST_NOTFOUND);
    set("NOTIFY_SOCKET", "relative/path");
    assert_int_equal(sd_notify_send("READY=1"), ST_INVAL);
    set("NOTIFY_SOCKET", "@");
    assert_int_equal(sd_notify_send("READY=1"), ST_INVAL);
    set("NOTIFY_SOCKET", too_long);
    assert_int_equal(sd_notify_send("READY=1"), ST_INVAL);
    set("NOTIFY_SOCKET", "/nowhere/notify");
    assert_int_equal(sd_notify_send("READY=1"), ST_REFUSED);
}

static void watchdog_interval_is_read_for_our_pid_only(void **state)
{
    static const struct {
        const char *usec, *pid; /* "self" = ours */
        uint32_t want_ms;
    } rows[] = {
        { NULL, NULL, 0 },
        { "10000000", NULL, 10000 },
        { "10000000", "self", 10000 },
        { "10000000", "1", 0 },
        { "10000000", "junk", 0 },
        { "", NULL, 0 },
        { "-5", NULL, 0 },
        { "12s", NULL, 0 },
        { "999", NULL, 0 },
        { "18446744073709551615", NULL, UINT32_MAX },
        { "99999999999999999999", NULL, 0 },
    };
    char self[24];

    snprintf(self, sizeof self, "%ld", (long)getpid());
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("row %u\n", (unsigned)i);
        set("WATCHDOG_USEC", rows[i].usec);
        set("WATCHDOG_PID", rows[i].pid && !strcmp(rows[i].pid, "self") ? self : rows[i].pid);
        assert_int_equal(sd_notify_watchdog_ms(), rows[i].want_ms);
    }
}

static void sockets_meant_for_another_process_are_left_alone(void **state)
{
    struct sd_listen_fd fds[SD_LISTEN_MAX];

    set("LISTEN_PID", "1");
    set("LISTEN_FDS", "2");
    assert_int_equal(sd_notify_listen_fds(fds), 0);
    assert_null(getenv("LISTEN_FDS"));
    set("LISTEN_FDS", "2"); /* without a pid */
    assert_int_equal(sd_notify_listen_fds(fds), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notify_socket_is_checked),
        cmocka_unit_test(watchdog_interval_is_read_for_our_pid_only),
        cmocka_unit_test(sockets_meant_for_another_process_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
