/* SPDX-License-Identifier: Apache-2.0
 * A worker's log while its controller does not read: nothing waits, and what was lost is told.
 */
#include "base/log_line.h"
#include "port/log_pipe.h"
#include "support/cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINES = 5000 };

static void a_reader_that_does_not_read_stops_nobody(void **state)
{
    static char all[16 * 1024 * 1024], *line, *next;
    int pair[2], saved = dup(STDERR_FILENO);
    size_t len = 0;
    ssize_t n;
    unsigned whole = 0, told = 0;
    struct log_line l;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
    close(pair[1]);
    log_pipe_open();
    for (unsigned i = 0; i < LINES; i++)
        log_info(LOG_MAIN, "a line that nobody reads for now"); /* would wait for ever */
    while ((n = recv(pair[0], all + len, sizeof all - 1 - len, MSG_DONTWAIT)) > 0)
        len += (size_t)n;
    log_info(LOG_MAIN, "read again");
    log_set_sink(NULL, NULL);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO); /* ours was the last */
    close(saved);
    while ((n = recv(pair[0], all + len, sizeof all - 1 - len, 0)) > 0)
        len += (size_t)n;
    close(pair[0]);
    for (line = all; (next = strchr(line, '\n')); line = next + 1) {
        if (!log_line_parse(&l, line, (size_t)(next - line)))
            continue; /* one that was cut */
        if (!strncmp(l.text, "lines=", 6))
            told += (unsigned)strtoul(l.text + 6, NULL, 10);
        else
            whole++;
    }
    assert_in_range(told, 1, LINES - 1);
    assert_int_equal(whole + told, LINES + 1);
    assert_string_equal(l.text, "read again");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_that_does_not_read_stops_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
