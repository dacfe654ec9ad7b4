/* SPDX-License-Identifier: Apache-2.0
 * vsock_guest: what the tests run beside the agent inside a booted guest, where there is no Python.
 *
 *   vsock_guest engine PATH        a stand-in for docker.sock, see below; says each accept,
 *                                  and each HTTP request
 *   vsock_guest connect CID PORT   connects, sends one byte, says how the peer ended it
 *   vsock_guest load MODULE...     insmod
 *
 * The engine's first byte of a connection chooses:
 *   G  an HTTP request ("GET /_ping ..."): answers 200 OK
 *   E  echoes what follows, until its end, then ends
 *   C  reads to the end, then answers "<bytes> <sum of bytes>\n": needs a half-close both ways
 *   S  sends 8 MiB of a known pattern and ends, whatever comes in; then reads to the end
 * Linked statically; one process per connection.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

enum { SOURCE_BYTES = 8 << 20 };

static void write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len) {
        ssize_t n = write(fd, p, len);

        if (n <= 0)
            _exit(1);
        p += n;
        len -= (size_t)n;
    }
}

static void answer_http(int fd)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK";
    char buf[4096];

    if (read(fd, buf, sizeof buf) > 0)
        write_all(fd, ok, sizeof ok - 1);
}

static void echo(int fd)
{
    char buf[65536];
    ssize_t n;

    while ((n = read(fd, buf, sizeof buf)) > 0)
        write_all(fd, buf, (size_t)n);
}

static void count(int fd)
{
    unsigned long long bytes = 0, sum = 0;
    unsigned char buf[65536];
    char line[64];
    ssize_t n;

    while ((n = read(fd, buf, sizeof buf)) > 0) {
        bytes += (unsigned long long)n;
        for (ssize_t i = 0; i < n; i++)
            sum += buf[i];
    }
    n = snprintf(line, sizeof line, "%llu %llu\n", bytes, sum);
    write_all(fd, line, (size_t)n);
}

static void source(int fd)
{
    unsigned char buf[65536];

    for (size_t at = 0; at < SOURCE_BYTES; at += sizeof buf) {
        for (size_t i = 0; i < sizeof buf; i++)
            buf[i] = (unsigned char)((at + i) * 31 >> 3);
        write_all(fd, buf, sizeof buf);
    }
    shutdown(fd, SHUT_WR);
    while (read(fd, buf, sizeof buf) > 0)
        ;
}

static void serve(int fd)
{
    char mode;

    if (read(fd, &mode, 1) != 1)
        return;
    switch (mode) {
    case 'G':
        printf("engine: asked\n");
        fflush(stdout);
        answer_http(fd);
        break;
    case 'E': echo(fd); break;
    case 'C': count(fd); break;
    case 'S': source(fd); break;
    default: break;
    }
    shutdown(fd, SHUT_WR);
}

static int engine(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unsigned accepted = 0;

    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    unlink(path);
    if (bind(listener, (void *)&at, sizeof at) || chmod(path, 0666) || listen(listener, 128))
        return perror(path), 1;
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            continue;
        printf("engine: accepted %u\n", ++accepted);
        fflush(stdout);
        if (fork() == 0) {
            serve(fd);
            _exit(0);
        }
        close(fd);
    }
}

static int connect_vsock(unsigned cid, unsigned port)
{
    struct sockaddr_vm to = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    char buf[256];
    size_t got = 0;
    ssize_t n;

    signal(SIGPIPE, SIG_IGN);
    if (connect(fd, (void *)&to, sizeof to)) {
        printf("connect: %s\n", strerror(errno));
        return 0;
    }
    if (write(fd, "G", 1) != 1)
        printf("connect: write: %s\n", strerror(errno));
    while ((n = read(fd, buf, sizeof buf)) > 0)
        got += (size_t)n;
    printf("connect: cid=%u port=%u bytes=%zu end=%s\n", cid, port, got,
           n == 0 ? "eof" : strerror(errno));
    return 0;
}

static int load(int count_of, char **modules)
{
    for (int i = 0; i < count_of; i++) {
        int fd = open(modules[i], O_RDONLY | O_CLOEXEC);

        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
            return perror(modules[i]), 1;
        close(fd);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "engine"))
        return engine(argv[2]);
    if (argc == 4 && !strcmp(argv[1], "connect"))
        return connect_vsock((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]));
    if (argc > 2 && !strcmp(argv[1], "load"))
        return load(argc - 2, argv + 2);
    fprintf(stderr, "vsock_guest engine PATH | connect CID PORT | load MODULE...\n");
    return 2;
}
