/* SPDX-License-Identifier: Apache-2.0
 * The listener on Linux: what it does when accept() fails, by injected errors and by a real lack of
 * descriptors, and whose the name of a unix socket is.
 */
#include "port/linux/listener_fd.h"

#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/port_case.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH "listener_fd_test.sock"

static struct port_case c;

/* The scripted accept(): fails @times with @err, then is the real one. */
static struct {
    int err;
    unsigned times;
    unsigned calls;
} script;

static int scripted_accept(int fd, struct sockaddr *sa, socklen_t *len)
{
    script.calls++;
    if (script.times > 0) {
        script.times--;
        errno = script.err;
        return -1;
    }
    return listener_sys_default.accept(fd, sa, len);
}

static int scripted_reserve(void)
{
    return listener_sys_default.open_reserve();
}

static const struct listener_sys scripted = { scripted_accept, scripted_reserve };

static unsigned accepts;
static bool close_in_accept, close_in_state;

static void on_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    accepts++;
    c.accepted[0].peer = *peer;
    stream_close(s);
    if (close_in_accept) {
        listener_close(c.listener);
        c.listener = NULL;
    }
}

static void on_state(void *ctx, enum status st, const struct errmsg *why)
{
    assert_true(why->text[0]);
    assert_int_not_equal(c.states > 0 ? c.state : ST_OK, st);
    c.state = st;
    c.states++;
    if (close_in_state) {
        listener_close(c.listener);
        c.listener = NULL;
    }
}

static const struct listener_handler handler = { .on_accept = on_accept, .on_state = on_state };

static enum status listen_with(const struct listener_opts *opts, struct errmsg *e)
{
    return listener_fd_open(c.loop, &c.listener, &c.at, opts, &handler, NULL, &scripted, e);
}

static void listen_at(const char *text)
{
    struct listener_opts opts = { .adopt_fd = -1, .want_credentials = true };
    struct errmsg e;

    assert_int_equal(addr_parse(&c.at, text, &e), ST_OK);
    if (listen_with(&opts, &e))
        fail_msg("%s", e.text);
}

static int setup(void **state)
{
    memset(&script, 0, sizeof script);
    accepts = 0;
    close_in_accept = close_in_state = false;
    port_case_init(&c);
    unlink(PATH);
    return 0;
}

static int teardown(void **state)
{
    port_case_fini(&c);
    unlink(PATH);
    return 0;
}

/* A client outside of the loop. */
static int raw_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    return fd;
}

static int raw_connect(int fd)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = PATH };

    return connect(fd, (struct sockaddr *)&un, sizeof un);
}

static int raw_client(void)
{
    int fd = raw_socket();

    assert_int_equal(raw_connect(fd), 0);
    return fd;
}

static bool raw_sees_end(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) == 0;
}

/* ---- injected failures ----------------------------------------------------------------- */

static void each_failure_of_accept_is_survived(void **state)
{
    static const struct {
        int err;
        unsigned states;   /* changes told: 0, or one away from ST_OK and one back */
        enum status first; /* the first of them */
        unsigned aborted, limits, reopened;
    } rows[] = {
        { EINTR, 0, ST_OK, 0, 0, 0 },        { EAGAIN, 0, ST_OK, 0, 0, 0 },
        { ECONNABORTED, 0, ST_OK, 1, 0, 0 }, { EPROTO, 0, ST_OK, 1, 0, 0 },
        { EPERM, 0, ST_OK, 1, 0, 0 },        { EMFILE, 2, ST_NOFILES, 0, 1, 0 },
        { ENFILE, 2, ST_NOFILES, 0, 1, 0 },  { ENOBUFS, 2, ST_NOFILES, 0, 1, 0 },
        { ENOMEM, 2, ST_NOFILES, 0, 1, 0 },  { EBADF, 2, ST_IO, 0, 0, 1 },
        { EINVAL, 2, ST_IO, 0, 0, 1 },       { ENOTSOCK, 2, ST_IO, 0, 0, 1 },
        { ELOOP, 2, ST_NOFILES, 0, 1, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct listener_stats *stats;
        int first, second;

        listen_at("unix:" PATH);
        stats = &c.listener->stats;
        script.err = rows[i].err;
        script.times = 1;
        first = raw_client();
        port_case_wait(&c, script.calls > 0);
        if (rows[i].states)
            assert_int_equal(c.state, rows[i].first);
        port_case_wait(&c, c.states == rows[i].states);
        second = raw_client();
        port_case_wait(&c, raw_sees_end(second));
        port_case_wait(&c, raw_sees_end(first) || rows[i].reopened);
        if (stats->aborted != rows[i].aborted || stats->limit_hits != rows[i].limits ||
            stats->reopened != rows[i].reopened || accepts == 0)
            fail_msg("%s", strerror(rows[i].err));
        close(first);
        close(second);
        listener_close(c.listener);
        c.listener = NULL;
        teardown(NULL);
        setup(NULL);
    }
}

static void a_lasting_failure_does_not_spin(void **state)
{
    static const int errors[] = { EMFILE, ENOBUFS, EPROTO, EBADF, ELOOP };

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        uint64_t start;
        int fd;

        listen_at("unix:" PATH);
        script.err = errors[i];
        script.times = UINT32_MAX;
        fd = raw_client();
        start = loop_now_ms(c.loop);
        port_case_wait(&c, loop_now_ms(c.loop) - start >= 100);
        /* 10 + 20 + 40 ms: four rounds, the largest of which is one budget of tries each. */
        if (script.calls == 0 || script.calls > 6 * 32)
            fail_msg("%s: %u calls in 100 ms", strerror(errors[i]), script.calls);
        close(fd);
        teardown(NULL);
        setup(NULL);
    }
}

static void the_reserve_descriptor_answers_one_waiting_client(void **state)
{
    int fd;

    listen_at("unix:" PATH);
    script.err = EMFILE;
    script.times = 1;
    fd = raw_client();
    port_case_wait(&c, raw_sees_end(fd));
    assert_int_equal(c.listener->stats.refused_by_reserve, 1);
    assert_int_equal(accepts, 0);
    close(fd);
}

static void the_owner_may_close_it_in_any_callback(void **state)
{
    static const int errors[] = { 0, EMFILE, EBADF };

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        int fd;

        listen_at("unix:" PATH);
        script.err = errors[i];
        script.times = errors[i] ? 1 : 0;
        close_in_accept = errors[i] == 0;
        close_in_state = errors[i] != 0;
        fd = raw_client();
        port_case_wait(&c, !c.listener);
        port_case_settle(&c);
        assert_int_equal(access(PATH, F_OK), -1);
        close(fd);
        teardown(NULL);
        setup(NULL);
    }
}

/* ---- a real lack of descriptors -------------------------------------------------------- */

static void out_of_descriptors_clients_are_answered_and_it_recovers(void **state)
{
    struct rlimit old, tight;
    int fds[4];

    listen_at("unix:" PATH);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = raw_socket();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)fds[3] + 1; /* the last of a dense row: no number below is free */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        assert_int_equal(raw_connect(fds[i]), 0);
    port_case_wait(&c, c.states == 1);
    assert_int_equal(c.state, ST_NOFILES);
    port_case_wait(&c, raw_sees_end(fds[0]));
    assert_int_equal(accepts, 0);
    assert_true(c.listener->stats.refused_by_reserve >= 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    port_case_wait(&c, raw_sees_end(fds[3]));
    port_case_wait(&c, c.state == ST_OK);
    assert_int_equal(accepts + c.listener->stats.refused_by_reserve, ARRAY_SIZE(fds));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
}

/* ---- the name of a unix socket --------------------------------------------------------- */

static void a_unix_peer_is_known_by_pid(void **state)
{
    int fd;

    listen_at("unix:" PATH);
    fd = raw_client();
    port_case_wait(&c, accepts == 1);
    assert_true(c.accepted[0].peer.has_pid);
    assert_int_equal(c.accepted[0].peer.pid, getpid());
    assert_false(c.accepted[0].peer.is_vsock);
    close(fd);
}

static void the_mode_is_as_asked_whatever_the_umask(void **state)
{
    struct listener_opts opts = { .adopt_fd = -1, .unix_mode = 0666 };
    struct stat file;
    mode_t old = umask(0077);

    assert_int_equal(addr_parse(&c.at, "unix:" PATH, NULL), ST_OK);
    assert_int_equal(listen_with(&opts, NULL), ST_OK);
    assert_int_equal(stat(PATH, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0666);
    listener_close(c.listener);
    assert_int_equal(access(PATH, F_OK), -1);
    listen_at("unix:" PATH);
    assert_int_equal(stat(PATH, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_equal(umask(old), 0077);
}

static void a_leftover_socket_is_replaced(void **state)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = PATH };
    int fd = raw_socket();

    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    close(fd);
    assert_int_equal(access(PATH, F_OK), 0);
    listen_at("unix:" PATH);
    fd = raw_client();
    port_case_wait(&c, accepts == 1);
    close(fd);
}

static void a_living_owner_is_named(void **state)
{
    struct listener_opts opts = { .adopt_fd = -1 };
    struct listener *first;
    struct errmsg e;
    char pid[32];

    listen_at("unix:" PATH);
    first = c.listener;
    assert_int_equal(listen_with(&opts, &e), ST_EXISTS);
    snprintf(pid, sizeof pid, "pid %d (", (int)getpid());
    assert_non_null(strstr(e.text, pid));
    assert_non_null(strstr(e.text, "listener_fd_test"));
    c.listener = first;
    assert_int_equal(access(PATH, F_OK), 0);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct listener_opts opts = { .adopt_fd = -1 };
    struct errmsg e;
    int fd = open(PATH, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(addr_parse(&c.at, "unix:" PATH, NULL), ST_OK);
    assert_int_equal(listen_with(&opts, &e), ST_EXISTS);
    assert_non_null(strstr(e.text, "not a socket"));
    assert_int_equal(access(PATH, F_OK), 0);
}

static void a_missing_folder_is_not_found(void **state)
{
    struct listener_opts opts = { .adopt_fd = -1 };
    struct errmsg e;

    assert_int_equal(addr_parse(&c.at, "unix:no/such/folder/x", NULL), ST_OK);
    assert_int_equal(listen_with(&opts, &e), ST_NOTFOUND);
    assert_non_null(strstr(e.text, "listen at unix:no/such/folder/x"));
}

static void a_name_that_was_replaced_is_not_removed(void **state)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = PATH };
    int fd = raw_socket();

    listen_at("unix:" PATH);
    assert_int_equal(unlink(PATH), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    listener_close(c.listener);
    c.listener = NULL;
    assert_int_equal(access(PATH, F_OK), 0);
    close(fd);
}

/* ---- adopted descriptors --------------------------------------------------------------- */

static void an_adopted_socket_serves_and_keeps_its_name(void **state)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = PATH };
    struct listener_opts opts = { .adopt_fd = -1 };
    int fd = raw_socket();
    int client;

    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(listen(fd, 5), 0);
    c.at = (struct addr){ .kind = ADDR_FD, .fd = fd };
    assert_int_equal(listen_with(&opts, NULL), ST_OK);
    client = raw_client();
    port_case_wait(&c, accepts == 1);
    listener_close(c.listener);
    c.listener = NULL;
    assert_int_equal(access(PATH, F_OK), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    close(client);
}

static void an_adopted_socket_that_dies_is_made_again(void **state)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = PATH };
    struct listener_opts opts = { .adopt_fd = raw_socket() };
    int client;

    assert_int_equal(bind(opts.adopt_fd, (struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(listen(opts.adopt_fd, 5), 0);
    assert_int_equal(addr_parse(&c.at, "unix:" PATH, NULL), ST_OK);
    assert_int_equal(listen_with(&opts, NULL), ST_OK);
    script.err = EBADF;
    script.times = 1;
    client = raw_client();
    port_case_wait(&c, c.listener->stats.reopened == 1 && c.state == ST_OK);
    close(client);
    client = raw_client();
    port_case_wait(&c, accepts >= 1);
    close(client);
}

static void a_descriptor_that_does_not_listen_is_refused(void **state)
{
    struct listener_opts opts = { .adopt_fd = raw_socket() };
    struct errmsg e;

    assert_int_equal(addr_parse(&c.at, "unix:" PATH, NULL), ST_OK);
    assert_int_equal(listen_with(&opts, &e), ST_INVAL);
    assert_non_null(strstr(e.text, "not a listening socket"));
    assert_int_equal(fcntl(opts.adopt_fd, F_GETFD), FD_CLOEXEC);
    close(opts.adopt_fd);
}

/* ---- pause ----------------------------------------------------------------------------- */

static void a_paused_listener_leaves_clients_waiting(void **state)
{
    int fd;

    listen_at("unix:" PATH);
    listener_pause(c.listener);
    fd = raw_client();
    port_case_settle(&c);
    assert_int_equal(accepts, 0);
    listener_resume(c.listener);
    listener_resume(c.listener);
    port_case_wait(&c, accepts == 1);
    close(fd);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_failure_of_accept_is_survived),
        CASE(a_lasting_failure_does_not_spin),
        CASE(the_reserve_descriptor_answers_one_waiting_client),
        CASE(the_owner_may_close_it_in_any_callback),
        CASE(out_of_descriptors_clients_are_answered_and_it_recovers),
        CASE(a_unix_peer_is_known_by_pid),
        CASE(the_mode_is_as_asked_whatever_the_umask),
        CASE(a_leftover_socket_is_replaced),
        CASE(a_living_owner_is_named),
        CASE(a_file_that_is_no_socket_is_left_alone),
        CASE(a_missing_folder_is_not_found),
        CASE(a_name_that_was_replaced_is_not_removed),
        CASE(an_adopted_socket_serves_and_keeps_its_name),
        CASE(an_adopted_socket_that_dies_is_made_again),
        CASE(a_descriptor_that_does_not_listen_is_refused),
        CASE(a_paused_listener_leaves_clients_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
