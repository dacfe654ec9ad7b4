/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "guestagent/journal.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void say_whose_standard_error_is(bool is_journal)
{
    char text[64];
    struct stat st;

    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino + !is_journal);
    assert_int_equal(setenv("JOURNAL_STREAM", text, 1), 0);
}

static void a_redirected_standard_error_is_left_alone(void **state)
{
    unsetenv("JOURNAL_STREAM");
    assert_int_equal(journal_open(NULL), ST_NOTFOUND);
    say_whose_standard_error_is(false);
    assert_int_equal(journal_open(NULL), ST_NOTFOUND);
}

static void a_record_is_one_datagram_of_fields(void **state)
{
    char folder[] = "/tmp/rdl-journal-XXXXXX", got[4096];
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    ssize_t n;

    assert_non_null(mkdtemp(folder));
    snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    say_whose_standard_error_is(true);
    assert_int_equal(journal_open(at.sun_path), ST_OK);
    log_set_process("bridge", 7);
    log_warn(LOG_BRIDGE, "peer says %s", "hi\nPRIORITY=0");
    n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    got[n] = '\0';
    assert_string_equal(got, "PRIORITY=4\nSYSLOG_IDENTIFIER=rdlink-agent\n"
                             "RDLINK_COMPONENT=bridge\nRDLINK_PROCESS=bridge\n"
                             "RDLINK_LEVEL=warn\nRDLINK_EVENT=0\n"
                             "MESSAGE=peer says hi\\x0aPRIORITY=0\n");
    log_set_sink(NULL, NULL);
    close(fd);
    unlink(at.sun_path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redirected_standard_error_is_left_alone),
        cmocka_unit_test(a_record_is_one_datagram_of_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
