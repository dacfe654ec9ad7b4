/* SPDX-License-Identifier: Apache-2.0
 * switch_load: client and server of the switch benchmark, over TCP and UDP.
 *
 *   switch_load serve PORT
 *   switch_load latency ADDRESS PORT SECONDS PAUSE_US   between an exchange's start and the next's
 *   switch_load connect ADDRESS PORT SECONDS THREADS
 *   switch_load idle ADDRESS PORT CONNECTIONS     holds them until its stdin ends
 *   switch_load echo ADDRESS PORT CONNECTIONS     likewise; for each line of its stdin, a word of
 *                                                 its own is exchanged over every one of them
 *   switch_load scan ADDRESS                      which of all ports take a connection, one a line
 *   switch_load dns ADDRESS NAME SECONDS WINDOW   WINDOW questions are always on their way
 *
 * Every client prints one line of `name value` pairs. A connection's every byte is echoed. The
 * server is one epoll loop, so that it costs the same beside every subject.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
#include <time.h>
#include <unistd.h>

enum {
    MAX_THREADS = 64,
    MAX_SAMPLES = 1 << 21,
    MAX_QUESTION = 300,
    DNS_HEADER = 12,
    DNS_PORT = 53,
    LOST_AFTER_MS = 1000
};

/* Left out of the samples: the first exchanges warm caches and congestion windows. */
static const double WARM_UP_S = 0.1;

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

static struct sockaddr_in address(const char *ip, unsigned port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

    if (inet_pton(AF_INET, ip, &a.sin_addr) != 1) {
        fprintf(stderr, "%s: not an IPv4 address\n", ip);
        exit(2);
    }
    return a;
}

static void no_delay(int fd)
{
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int dial(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)to, sizeof *to)) {
        close(fd);
        return -1;
    }
    no_delay(fd);
    return fd;
}

/* ---- server ---------------------------------------------------------------------------------- */

static void watch(int ep, int fd)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
        fail("epoll_ctl");
}

static void accept_all(int ep, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        no_delay(fd);
        watch(ep, fd);
    }
}

/* The clients send a byte and wait for it, so an echo never finds the socket full. */
static void echo(int fd)
{
    char buf[4096];
    ssize_t n = read(fd, buf, sizeof buf);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || write(fd, buf, (size_t)n) != n)
        close(fd);
}

static void serve(unsigned port)
{
    struct sockaddr_in a = address("0.0.0.0", port);
    int ep = epoll_create1(EPOLL_CLOEXEC), one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (ep < 0 || listener < 0)
        fail("serve");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&a, sizeof a) || listen(listener, 8192))
        fail("serve");
    watch(ep, listener);
    printf("listening\n");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(ep, events, 256, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(ep, listener);
            else
                echo(events[i].data.fd);
        }
    }
}

/* ---- TCP clients ----------------------------------------------------------------------------- */

static bool exchange(int fd)
{
    char byte = 'x';

    return write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static void sleep_until(double at_s)
{
    double left_s = at_s - now_s();

    if (left_s > 0)
        usleep((useconds_t)(left_s * 1e6));
}

static void latency(const struct sockaddr_in *to, double seconds, double pause_s)
{
    static float us[MAX_SAMPLES];
    int fd = dial(to);
    double start_s = now_s(), at_s = start_s;
    size_t n = 0;

    if (fd < 0)
        fail("connect");
    while (at_s - start_s < seconds && n < MAX_SAMPLES) {
        at_s = now_s();
        if (!exchange(fd))
            fail("exchange");
        if (at_s - start_s > WARM_UP_S)
            us[n++] = (float)((now_s() - at_s) * 1e6);
        if (pause_s > 0)
            sleep_until(at_s + pause_s);
    }
    if (n == 0) {
        fprintf(stderr, "no exchange came back in time\n");
        exit(1);
    }
    qsort(us, n, sizeof us[0], by_value);
    printf("p50_us %.1f p99_us %.1f max_us %.1f n %zu\n", (double)us[n / 2],
           (double)us[n * 99 / 100], (double)us[n - 1], n);
}

struct job {
    pthread_t thread;
    const struct sockaddr_in *to;
    double end_s;
    uint64_t count, errors;
};

/* Connect, a byte each way, close. */
static void *connect_thread(void *ctx)
{
    struct job *j = ctx;

    while (now_s() < j->end_s) {
        int fd = dial(j->to);

        if (fd >= 0 && exchange(fd))
            j->count++;
        else
            j->errors++;
        if (fd >= 0)
            close(fd);
    }
    return NULL;
}

static void connects(const struct sockaddr_in *to, double seconds, unsigned threads)
{
    struct job jobs[MAX_THREADS];
    double start_s = now_s();
    uint64_t count = 0, errors = 0;

    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    for (unsigned i = 0; i < threads; i++) {
        jobs[i] = (struct job){ .to = to, .end_s = start_s + seconds };
        if (pthread_create(&jobs[i].thread, NULL, connect_thread, &jobs[i]))
            fail("thread");
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(jobs[i].thread, NULL);
        count += jobs[i].count;
        errors += jobs[i].errors;
    }
    printf("per_s %.1f errors %llu\n", (double)count / (now_s() - start_s),
           (unsigned long long)errors);
}

static void idle(const struct sockaddr_in *to, unsigned n)
{
    unsigned open_count = 0;
    char byte;

    for (unsigned i = 0; i < n; i++) {
        int fd = dial(to);

        if (fd < 0 || !exchange(fd))
            break;
        open_count++;
    }
    printf("open %u\n", open_count);
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
}

struct word {
    uint32_t flow, round;
};

/* The word of each flow goes out on all of them before any is read. */
static void exchange_words(const int *fds, unsigned n, uint32_t round)
{
    unsigned echoed = 0, wrong = 0, lost = 0;

    for (unsigned i = 0; i < n; i++) {
        struct word w = { i, round };

        if (write(fds[i], &w, sizeof w) != sizeof w)
            lost++;
    }
    for (unsigned i = 0; i < n; i++) {
        struct word w = { UINT32_MAX, 0 };

        if (recv(fds[i], &w, sizeof w, MSG_WAITALL) != sizeof w)
            lost++;
        else if (w.flow != i || w.round != round)
            wrong++;
        else
            echoed++;
    }
    printf("echoed %u wrong %u lost %u\n", echoed, wrong, lost);
    fflush(stdout);
}

static void echo_words(const struct sockaddr_in *to, unsigned n)
{
    int *fds = calloc(n, sizeof *fds);
    unsigned open_count = 0;
    char line[16];

    if (!fds)
        fail("calloc");
    while (open_count < n && (fds[open_count] = dial(to)) >= 0)
        open_count++;
    printf("open %u\n", open_count);
    fflush(stdout);
    for (uint32_t round = 1; fgets(line, sizeof line, stdin); round++)
        exchange_words(fds, open_count, round);
    free(fds);
}

/* ---- scan ------------------------------------------------------------------------------------ */

enum { SCAN_AT_A_TIME = 24, SCAN_WAIT_MS = 3000, LAST_PORT = 65535 };

struct probe {
    struct pollfd poll; /* fd -1: free */
    unsigned port;
    double began_s;
};

static void end_probe(struct probe *p, bool is_open)
{
    if (is_open)
        printf("%u\n", p->port);
    close(p->poll.fd);
    p->poll.fd = -1;
}

/* Of either family, written as people do: "fe80::1%eth0" too. */
union target {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t parse_target(union target *to, const char *text)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found;
    socklen_t len;

    if (getaddrinfo(text, NULL, &hints, &found) != 0 || found->ai_addrlen > sizeof *to) {
        fprintf(stderr, "%s is no address\n", text);
        exit(2);
    }
    len = found->ai_addrlen;
    memcpy(to, found->ai_addr, len);
    freeaddrinfo(found);
    return len;
}

static void begin_probe(struct probe *p, union target to, socklen_t len, unsigned port)
{
    to.v4.sin_port = htons((uint16_t)port); /* at the same place in both */
    p->port = port;
    p->began_s = now_s();
    p->poll.events = POLLOUT;
    p->poll.fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->poll.fd < 0)
        fail("socket");
    if (connect(p->poll.fd, &to.any, len) == 0)
        end_probe(p, true);
    else if (errno != EINPROGRESS)
        end_probe(p, false);
}

/* Nothing of a connection that is pending for SCAN_WAIT_MS is open. */
static void look_at(struct probe *p)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (poll(&p->poll, 1, 0) > 0) {
        getsockopt(p->poll.fd, SOL_SOCKET, SO_ERROR, &error, &len);
        end_probe(p, error == 0);
    } else if (now_s() - p->began_s > SCAN_WAIT_MS * 1e-3) {
        end_probe(p, false);
    }
}

static void scan(const char *address)
{
    union target to;
    socklen_t len = parse_target(&to, address);
    struct probe probes[SCAN_AT_A_TIME];
    struct pollfd fds[SCAN_AT_A_TIME];
    unsigned next = 1, busy = 1;

    for (unsigned i = 0; i < SCAN_AT_A_TIME; i++)
        probes[i].poll.fd = -1;
    while (busy > 0) {
        busy = 0;
        for (unsigned i = 0; i < SCAN_AT_A_TIME; i++) {
            if (probes[i].poll.fd >= 0)
                look_at(&probes[i]);
            if (probes[i].poll.fd < 0 && next <= LAST_PORT)
                begin_probe(&probes[i], to, len, next++);
            busy += probes[i].poll.fd >= 0 || next <= LAST_PORT;
            fds[i] = probes[i].poll;
        }
        poll(fds, SCAN_AT_A_TIME, SCAN_WAIT_MS);
    }
}

/* ---- DNS ------------------------------------------------------------------------------------- */

/* A question for the name's IPv4 address; its length. */
static size_t put_question(uint8_t q[MAX_QUESTION], const char *name)
{
    static const uint8_t head[DNS_HEADER] = { 0, 0, 1, 0, 0, 1 };
    static const uint8_t tail[] = { 0, 0, 1, 0, 1 };
    size_t n = DNS_HEADER;

    if (strlen(name) > MAX_QUESTION - DNS_HEADER - sizeof tail - 1)
        exit(2);
    memcpy(q, head, sizeof head);
    while (*name) {
        size_t label = strcspn(name, ".");

        q[n++] = (uint8_t)label;
        memcpy(q + n, name, label);
        n += label;
        name += label + (name[label] == '.');
    }
    memcpy(q + n, tail, sizeof tail);
    return n + sizeof tail;
}

struct tally {
    uint64_t good, bad, lost;
};

/* Keeps `window` questions on their way; those without an answer for a second are lost. */
static void ask(int fd, uint8_t *question, size_t len, double end_s, unsigned window,
                struct tally *t)
{
    uint8_t answer[2048];
    unsigned waiting = 0;
    uint16_t id = 0;

    while (now_s() < end_s) {
        ssize_t n;

        for (; waiting < window; waiting++) {
            question[0] = (uint8_t)(++id >> 8);
            question[1] = (uint8_t)id;
            if (send(fd, question, len, 0) < 0)
                break;
        }
        if (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, LOST_AFTER_MS) == 0) {
            t->lost += waiting;
            waiting = 0;
            continue;
        }
        n = recv(fd, answer, sizeof answer, 0);
        if (waiting)
            waiting--;
        if (n >= DNS_HEADER && (answer[3] & 15) == 0 && (answer[6] || answer[7]))
            t->good++;
        else
            t->bad++;
    }
}

static void dns(const struct sockaddr_in *to, const char *name, double seconds, unsigned window)
{
    uint8_t question[MAX_QUESTION];
    size_t len = put_question(question, name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    double start_s = now_s();
    struct tally t = { .good = 0 };

    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to))
        fail("dns");
    ask(fd, question, len, start_s + seconds, window, &t);
    printf("per_s %.1f bad %llu lost %llu\n", (double)t.good / (now_s() - start_s),
           (unsigned long long)t.bad, (unsigned long long)t.lost);
}

/* ---- main ------------------------------------------------------------------------------------ */

static void allow_many_descriptors(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    struct sockaddr_in to;

    signal(SIGPIPE, SIG_IGN);
    allow_many_descriptors();
    if (strcmp(verb, "serve") == 0 && argc == 3)
        serve((unsigned)atoi(argv[2]));
    if (strcmp(verb, "scan") == 0 && argc == 3) {
        scan(argv[2]);
        return 0;
    }
    if (argc < 5) {
        fprintf(stderr, "usage: switch_load serve|latency|connect|idle|echo|scan|dns ...\n");
        return 2;
    }
    to = address(argv[2], strcmp(verb, "dns") == 0 ? DNS_PORT : (unsigned)atoi(argv[3]));
    if (strcmp(verb, "latency") == 0 && argc == 6)
        latency(&to, atof(argv[4]), atof(argv[5]) * 1e-6);
    else if (strcmp(verb, "idle") == 0)
        idle(&to, (unsigned)atoi(argv[4]));
    else if (strcmp(verb, "echo") == 0)
        echo_words(&to, (unsigned)atoi(argv[4]));
    else if (strcmp(verb, "connect") == 0 && argc == 6)
        connects(&to, atof(argv[4]), (unsigned)atoi(argv[5]));
    else if (strcmp(verb, "dns") == 0 && argc == 6)
        dns(&to, argv[3], atof(argv[4]), (unsigned)atoi(argv[5]));
    else
        return 2;
    return 0;
}
