/* SPDX-License-Identifier: Apache-2.0
 * bridge_load: client and server of the bridge benchmark, over unix sockets.
 *
 *   bridge_load serve PATH
 *   bridge_load bulk PATH SECONDS CONNECTIONS up|down
 *   bridge_load latency PATH SECONDS BYTES
 *   bridge_load connect PATH SECONDS THREADS
 *   bridge_load idle PATH CONNECTIONS         holds them until its stdin ends
 *
 * Every client prints one line of `name value` pairs. The first byte of a connection tells the
 * server what it is for: S sink, G source, R echo, C one byte back, I idle after one byte back.
 * The server is one epoll loop, so that it costs the same beside every subject.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, MAX_FD = 65536, MAX_THREADS = 64, MAX_SAMPLES = 1 << 21 };

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    if ((size_t)snprintf(a.sun_path, sizeof a.sun_path, "%s", path) >= sizeof a.sun_path) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    return a;
}

static int dial(const char *path)
{
    struct sockaddr_un a = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (void *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

/* ---- server ---------------------------------------------------------------------------------- */

static char chunk[CHUNK];
static char mode_of[MAX_FD]; /* 0 = not told yet */

static void watch(int ep, int op, int fd, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.fd = fd };

    if (epoll_ctl(ep, op, fd, &ev))
        fail("epoll_ctl");
}

static void accept_all(int ep, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= MAX_FD) {
            close(fd);
            continue;
        }
        mode_of[fd] = 0;
        watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

static void echo(int fd, const char *p, size_t len)
{
    while (len) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
            continue;
        }
        if (n < 0)
            return;
        p += n;
        len -= (size_t)n;
    }
}

static void readable(int ep, int fd)
{
    ssize_t n = read(fd, chunk, sizeof chunk);
    const char *p = chunk;

    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            close(fd);
        return;
    }
    if (!mode_of[fd]) {
        mode_of[fd] = *p++;
        n--;
        if (mode_of[fd] == 'G')
            watch(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT);
        if (mode_of[fd] == 'C' || mode_of[fd] == 'I')
            echo(fd, chunk, 1);
    }
    if (mode_of[fd] == 'R')
        echo(fd, p, (size_t)n);
}

static void serve(const char *path)
{
    struct sockaddr_un a = address(path);
    int ep = epoll_create1(EPOLL_CLOEXEC);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    unlink(path);
    if (ep < 0 || listener < 0 || bind(listener, (void *)&a, sizeof a) || listen(listener, 8192))
        fail(path);
    watch(ep, EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(ep, events, 256, -1);

        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;

            if (fd == listener)
                accept_all(ep, fd);
            else if (mode_of[fd] == 'G' && (events[i].events & EPOLLOUT)) {
                if (write(fd, chunk, sizeof chunk) < 0 && errno != EAGAIN)
                    close(fd);
            } else
                readable(ep, fd);
        }
    }
}

/* ---- clients --------------------------------------------------------------------------------- */

struct job {
    pthread_t thread;
    const char *path;
    char mode;
    double end_s;
    uint64_t bytes, count, errors;
};

static void *bulk_thread(void *ctx)
{
    struct job *j = ctx;
    char *buf = malloc(CHUNK);
    int fd = dial(j->path);

    if (!buf || fd < 0 || write(fd, &j->mode, 1) != 1)
        fail(j->path);
    memset(buf, 'x', CHUNK);
    while (now_s() < j->end_s) {
        ssize_t n = j->mode == 'S' ? write(fd, buf, CHUNK / 2) : read(fd, buf, CHUNK);

        if (n <= 0)
            break;
        j->bytes += (uint64_t)n;
    }
    close(fd);
    free(buf);
    return NULL;
}

static void *connect_thread(void *ctx)
{
    struct job *j = ctx;

    while (now_s() < j->end_s) {
        int fd = dial(j->path);
        char byte = 'C';

        if (fd >= 0 && write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1)
            j->count++;
        else
            j->errors++;
        if (fd >= 0)
            close(fd);
    }
    return NULL;
}

static void run_jobs(struct job *jobs, unsigned n, void *(*body)(void *), const char *path,
                     char mode, double seconds)
{
    double end_s = now_s() + seconds;

    for (unsigned i = 0; i < n; i++) {
        jobs[i] = (struct job){ .path = path, .mode = mode, .end_s = end_s };
        if (pthread_create(&jobs[i].thread, NULL, body, &jobs[i]))
            fail("thread");
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(jobs[i].thread, NULL);
}

static void bulk(const char *path, double seconds, unsigned n, char mode)
{
    struct job jobs[MAX_THREADS];
    double start_s = now_s();
    uint64_t bytes = 0;

    run_jobs(jobs, n, bulk_thread, path, mode, seconds);
    for (unsigned i = 0; i < n; i++)
        bytes += jobs[i].bytes;
    printf("gbit_s %.3f bytes %llu\n", (double)bytes * 8e-9 / (now_s() - start_s),
           (unsigned long long)bytes);
}

static void connects(const char *path, double seconds, unsigned n)
{
    struct job jobs[MAX_THREADS];
    double start_s = now_s();
    uint64_t count = 0, errors = 0;

    run_jobs(jobs, n, connect_thread, path, 'C', seconds);
    for (unsigned i = 0; i < n; i++) {
        count += jobs[i].count;
        errors += jobs[i].errors;
    }
    printf("per_s %.1f errors %llu\n", (double)count / (now_s() - start_s),
           (unsigned long long)errors);
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static bool exchange(int fd, char *buf, size_t size)
{
    size_t got = 0;

    if (write(fd, buf, size) != (ssize_t)size)
        return false;
    while (got < size) {
        ssize_t n = read(fd, buf, size - got);

        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static void latency(const char *path, double seconds, size_t size)
{
    static float us[MAX_SAMPLES];
    static char buf[65536];
    int fd = dial(path);
    double start_s = now_s(), at_s = start_s;
    size_t n = 0;

    if (fd < 0 || write(fd, "R", 1) != 1)
        fail(path);
    while (at_s - start_s < seconds && n < MAX_SAMPLES) {
        at_s = now_s();
        if (!exchange(fd, buf, size))
            fail("exchange");
        if (at_s - start_s > 0.1) /* after warming up */
            us[n++] = (float)((now_s() - at_s) * 1e6);
    }
    qsort(us, n, sizeof us[0], by_value);
    printf("p50_us %.1f p99_us %.1f n %zu\n", (double)us[n / 2], (double)us[n * 99 / 100], n);
}

static void idle(const char *path, unsigned n)
{
    unsigned open_count = 0;
    char byte;

    for (unsigned i = 0; i < n; i++) {
        int fd = dial(path);

        byte = 'I';
        if (fd < 0 || write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
            break;
        open_count++;
    }
    printf("open %u\n", open_count);
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
}

static void allow_many_descriptors(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[1] : "";

    signal(SIGPIPE, SIG_IGN);
    allow_many_descriptors();
    if (!strcmp(verb, "serve"))
        serve(argv[2]);
    else if (!strcmp(verb, "bulk") && argc == 6 && atoi(argv[4]) <= MAX_THREADS)
        bulk(argv[2], atof(argv[3]), (unsigned)atoi(argv[4]), *argv[5] == 'u' ? 'S' : 'G');
    else if (!strcmp(verb, "latency") && argc == 5 && atoi(argv[4]) <= 65536)
        latency(argv[2], atof(argv[3]), (size_t)atoi(argv[4]));
    else if (!strcmp(verb, "connect") && argc == 5 && atoi(argv[4]) <= MAX_THREADS)
        connects(argv[2], atof(argv[3]), (unsigned)atoi(argv[4]));
    else if (!strcmp(verb, "idle") && argc == 4)
        idle(argv[2], (unsigned)atoi(argv[3]));
    else
        return fprintf(stderr, "see the head of bridge_load.c\n"), 2;
    return 0;
}
