/* SPDX-License-Identifier: Apache-2.0
 * What is opened is what is looked at: the checks are on the descriptor, so that nobody can put
 * another file in its place between them and the reading.
 */
#include "port/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status fail(enum status st, const char *path, struct errmsg *e)
{
    errmsg_set(e, "%s: %s", path, status_text(st));
    return st;
}

static enum status status_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR: return ST_NOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS: return ST_DENIED;
    case EEXIST: return ST_EXISTS;
    case ENAMETOOLONG:
    case ELOOP: return ST_INVAL;
    default: return ST_IO;
    }
}

static enum status check(int fd, const char *path, struct errmsg *e)
{
    struct stat s;
    mode_t closed = S_IRWXO | S_IWGRP | S_IXGRP;

    if (fstat(fd, &s) != 0)
        return fail(status_of(errno), path, e);
    if (!S_ISREG(s.st_mode)) {
        errmsg_set(e, "%s is no plain file", path);
        return ST_INVAL;
    }
    if (s.st_gid != 0)
        closed |= S_IRGRP;
    if (s.st_uid != 0 && s.st_uid != geteuid()) {
        errmsg_set(e, "%s belongs to somebody else (uid %u); chown it", path, (unsigned)s.st_uid);
        return ST_DENIED;
    }
    if (s.st_mode & closed) {
        errmsg_set(e, "%s can be read or written by others (mode %03o); chmod 600 it", path,
                   (unsigned)(s.st_mode & 07777));
        return ST_DENIED;
    }
    return ST_OK;
}

static enum status read_all(int fd, const char *path, char *buf, size_t cap, size_t *len_bytes,
                            struct errmsg *e)
{
    size_t len = 0;

    for (;;) {
        char more;
        ssize_t n = len < cap ? read(fd, buf + len, cap - len) : read(fd, &more, 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(status_of(errno), path, e);
        if (n == 0)
            break;
        if (len == cap) {
            errmsg_set(e, "%s is longer than %zu bytes", path, cap);
            return ST_FULL;
        }
        len += (size_t)n;
    }
    *len_bytes = len;
    return ST_OK;
}

enum status secret_file_read(const char *path, char *buf, size_t cap, size_t *len_bytes,
                             struct errmsg *e)
{
    /* O_NONBLOCK: a fifo there must not hold us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    enum status st;

    if (fd < 0)
        return fail(status_of(errno), path, e);
    st = check(fd, path, e);
    if (st == ST_OK)
        st = read_all(fd, path, buf, cap, len_bytes, e);
    close(fd);
    return st;
}

static bool write_all(int fd, const char *data, size_t len_bytes)
{
    while (len_bytes > 0) {
        ssize_t n = write(fd, data, len_bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        len_bytes -= (size_t)n;
    }
    return fsync(fd) == 0;
}

enum status secret_file_create(const char *path, const char *data, size_t len_bytes,
                               struct errmsg *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    enum status st = ST_OK;

    if (fd < 0)
        return fail(status_of(errno), path, e);
    if (!write_all(fd, data, len_bytes))
        st = fail(status_of(errno), path, e);
    if (close(fd) != 0 && st == ST_OK)
        st = fail(status_of(errno), path, e);
    if (st != ST_OK)
        unlink(path);
    return st;
}
