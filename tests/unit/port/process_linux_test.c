/* SPDX-License-Identifier: Apache-2.0
 * What a child on Linux gets from us besides its control stream. The test starts itself.
 */
#include "port/process.h"

#include "port/sys.h"
#include "support/cmocka_all.h"
#include "support/port_case.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHILD_OK = 42, INHERITED_FD = 3, FDS_CHECKED = 64 };

static char self[512];

/* Exit code CHILD_OK when all is as it should be, else the number of what is not. */
static int child_check(void)
{
    int listening = 0;
    int signal = 0;
    socklen_t len = sizeof listening;

    process_die_with_parent();
    if (prctl(PR_GET_PDEATHSIG, &signal) != 0 || signal != SIGKILL)
        return 1;
    if (getsockopt(INHERITED_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening)
        return 2;
    for (int fd = INHERITED_FD + 1; fd < FDS_CHECKED; fd++) {
        if (fcntl(fd, F_GETFD) != -1)
            return 3;
    }
    return CHILD_OK;
}

static struct port_case c;
static int64_t exit_code = -1;

static void on_child_exit(void *ctx, int64_t code, int signal)
{
    exit_code = code;
}

static void a_child_gets_its_listener_and_nothing_else(void **state)
{
    char mode[] = "child-check";
    char *argv[] = { self, mode, NULL };
    struct process_spec spec = { .file = self, .argv = argv };
    struct process *p = NULL;
    struct stream *control = NULL;

    spec.inherit_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(spec.inherit_fd >= 0);
    assert_int_equal(listen(spec.inherit_fd, 1), -1); /* not bound yet */
    assert_int_equal(bind(spec.inherit_fd, &(struct sockaddr){ .sa_family = AF_UNIX },
                          sizeof(sa_family_t)),
                     0);
    assert_int_equal(listen(spec.inherit_fd, 1), 0);
    /* Not what the runner of the tests left open for us. */
    for (int fd = STDERR_FILENO + 1; fd < FDS_CHECKED; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    port_case_init(&c);
    assert_int_equal(process_spawn(c.loop, &p, &spec, &control, on_child_exit, NULL, NULL), ST_OK);
    port_case_wait(&c, exit_code != -1);
    assert_int_equal(exit_code, CHILD_OK);
    process_free(p);
    stream_close(control);
    port_case_fini(&c);
    close(spec.inherit_fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_gets_its_listener_and_nothing_else),
    };

    if (argc > 1 && strcmp(argv[1], "child-check") == 0)
        return child_check();
    if (sys_self_path(self, sizeof self))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
