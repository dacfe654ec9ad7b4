/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "support/link_end.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { DIAL_TRIES = 200, DIAL_PAUSE_MS = 50, BACKLOG = 4 };

void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- records ------------------------------------------------------------------------------ */

bool protocol_parse(enum protocol *out, const char *text)
{
    static const char *const names[] = { [STDIO] = "stdio", [QEMU] = "qemu", [V2] = "v2" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum protocol)i;
            return true;
        }
    }
    return false;
}

size_t length_bytes(enum protocol protocol)
{
    return protocol == STDIO ? 2 : 4;
}

/* Where byte @i of the number stands, the lowest being 0: qemu's is big endian. */
static size_t place_of(enum protocol protocol, size_t i)
{
    return protocol == QEMU ? length_bytes(protocol) - 1 - i : i;
}

size_t length_get(enum protocol protocol, const uint8_t *field)
{
    size_t len = 0;

    for (size_t i = 0; i < length_bytes(protocol); i++)
        len |= (size_t)field[place_of(protocol, i)] << (8 * i);
    return len;
}

void length_put(enum protocol protocol, uint8_t *field, size_t len)
{
    for (size_t i = 0; i < length_bytes(protocol); i++)
        field[place_of(protocol, i)] = (uint8_t)(len >> (8 * i));
}

/* ---- waiting ------------------------------------------------------------------------------ */

void catch_signals(const int *numbers, size_t count, void (*handler)(int number))
{
    const struct sigaction action = { .sa_handler = handler };
    sigset_t held_back;

    sigemptyset(&held_back);
    for (size_t i = 0; i < count; i++) {
        sigaddset(&held_back, numbers[i]);
        sigaction(numbers[i], &action, NULL);
    }
    sigprocmask(SIG_BLOCK, &held_back, NULL);
}

int wait_for(struct pollfd *fds, unsigned count, long timeout_ms)
{
    const struct timespec timeout = { .tv_sec = timeout_ms / 1000,
                                      .tv_nsec = timeout_ms % 1000 * 1000000 };
    sigset_t none;
    int n;

    sigemptyset(&none);
    n = ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, &none);
    if (n < 0 && errno != EINTR)
        fail("ppoll");
    return n;
}

/* ---- sockets ------------------------------------------------------------------------------ */

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    if ((size_t)snprintf(a.sun_path, sizeof a.sun_path, "%s", path) >= sizeof a.sun_path) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    return a;
}

int listen_at(const char *path)
{
    struct sockaddr_un at = address(path);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (s < 0)
        fail("socket");
    unlink(path);
    if (bind(s, (const struct sockaddr *)&at, sizeof at) || listen(s, BACKLOG))
        fail(path);
    return s;
}

int dial(const char *path, const volatile sig_atomic_t *stopping)
{
    struct sockaddr_un to = address(path);

    for (int i = 0; i < DIAL_TRIES && !*stopping; i++) {
        int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (s < 0)
            fail("socket");
        if (connect(s, (const struct sockaddr *)&to, sizeof to) == 0)
            return s;
        close(s);
        wait_for(NULL, 0, DIAL_PAUSE_MS);
    }
    return -1;
}
