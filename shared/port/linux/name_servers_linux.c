/* SPDX-License-Identifier: Apache-2.0
 * The file is looked at, not watched: /etc/resolv.conf is often a link into a directory that its
 * owner replaces as a whole, and a stat() a second costs less than being right about that.
 */
#include "port/uv/name_servers.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONF_MAX_BYTES = 16 * 1024 };

static size_t read_file(const char *path, char *buf, size_t cap)
{
    size_t have = 0;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return 0;
    do {
        have += (size_t)n;
        n = read(fd, buf + have, cap - have);
    } while (n > 0 && have + (size_t)n < cap);
    close(fd);
    return n > 0 ? have + (size_t)n : have;
}

bool name_servers_refresh(struct name_servers *out, struct name_servers_mark *mark,
                          const char *path)
{
    struct name_servers_mark now = { { 1, 0, 0, 0 } };
    char text[CONF_MAX_BYTES];
    struct stat file;

    if (!path)
        path = "/etc/resolv.conf";
    if (stat(path, &file) == 0)
        now = (struct name_servers_mark){ { (uint64_t)file.st_ino, (uint64_t)file.st_mtim.tv_sec,
                                            (uint64_t)file.st_mtim.tv_nsec,
                                            (uint64_t)file.st_size + 1 } };
    if (memcmp(&now, mark, sizeof now) == 0)
        return false;
    *mark = now;
    resolv_conf_parse(out, text, read_file(path, text, sizeof text));
    return true;
}
