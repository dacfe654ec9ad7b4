/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/sd_notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_LISTEN_FD = 3 };

/* "/run/systemd/notify", or "@name" for an abstract socket. */
static enum status notify_address(struct sockaddr_un *to, socklen_t *len)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n;

    if (!path || !*path)
        return ST_NOTFOUND;
    n = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || n < 2 || n > sizeof to->sun_path - 1)
        return ST_INVAL;
    memset(to, 0, sizeof *to);
    to->sun_family = AF_UNIX;
    memcpy(to->sun_path, path, n);
    if (path[0] == '@') /* abstract: a zero byte first, and no terminator counted */
        to->sun_path[0] = '\0';
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
    return ST_OK;
}

enum status sd_notify_send(const char *lines)
{
    struct sockaddr_un to;
    socklen_t to_len = 0;
    enum status st = notify_address(&to, &to_len);
    ssize_t sent;
    int fd;

    if (st != ST_OK)
        return st;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ST_IO;
    sent = sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *)&to, to_len);
    if (sent < 0)
        st = errno == ECONNREFUSED || errno == ENOENT ? ST_REFUSED : ST_IO;
    close(fd);
    return st;
}

/* A decimal number in an environment variable; false when there is none. */
static bool env_number(const char *name, unsigned long long *out)
{
    const char *text = getenv(name);
    char *end;

    if (!text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0;
}

/* Variables may have been inherited by the wrong process: the pid beside them says whose they are.
 */
static bool is_for_us(const char *pid_variable, bool when_absent)
{
    unsigned long long pid;

    if (!getenv(pid_variable))
        return when_absent;
    return env_number(pid_variable, &pid) && pid == (unsigned long long)getpid();
}

uint32_t sd_notify_watchdog_ms(void)
{
    unsigned long long usec;

    if (!env_number("WATCHDOG_USEC", &usec) || !is_for_us("WATCHDOG_PID", true))
        return 0;
    return usec / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(usec / 1000);
}

/* The next name of a colon-separated list; *list is NULL once it is used up. */
static void next_name(const char **list, char name[static SD_NAME_MAX])
{
    size_t len = *list ? strcspn(*list, ":") : 0;

    snprintf(name, SD_NAME_MAX, "%.*s", (int)len, *list ? *list : "");
    if (*list)
        *list = (*list)[len] == ':' ? *list + len + 1 : NULL;
}

unsigned sd_notify_listen_fds(struct sd_listen_fd out[static SD_LISTEN_MAX])
{
    const char *names = getenv("LISTEN_FDNAMES");
    unsigned long long count = 0;
    unsigned n = 0;

    if (!is_for_us("LISTEN_PID", false) || !env_number("LISTEN_FDS", &count) || count > 1024)
        count = 0;
    for (int fd = FIRST_LISTEN_FD; fd < FIRST_LISTEN_FD + (int)count; fd++) {
        int flags = fcntl(fd, F_GETFD);
        char name[SD_NAME_MAX];

        next_name(&names, name);
        if (flags < 0)
            continue;
        if (n == SD_LISTEN_MAX) {
            close(fd);
            continue;
        }
        fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
        out[n].fd = fd;
        memcpy(out[n].name, name, sizeof name);
        n++;
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return n;
}
