/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A virtual machine is often switched off without a word, and others read these files at any time.
 * So a new file is written beside the old one, synchronised, and renamed over it: everybody finds
 * the old content or the new one.
 *
 * That needs a folder one may write to and a name that is no mount point. Where it is not so (a
 * file of its own, bind-mounted into a sandbox or a container) the file is written in place: the
 * bytes first, then the length, so that it is never empty.
 *
 * Symbolic links are not followed for writing. A link at @path says that somebody else owns what
 * it leads to (WSL's resolv.conf for all distributions, systemd-resolved's); the link is replaced,
 * what it leads to stays as it is.
 */
#include "guestagent/linux/file_put.h"

#include "guestagent/linux/os_status.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NEW_MODE = 0644 };

static enum status fail(struct errmsg *e, int err, const char *path)
{
    errmsg_set(e, "%s: %s", path, strerror(err));
    return os_status(err);
}

/* Fills @buf or comes to the end; -1 with errno. */
static ssize_t read_all(int fd, char *buf, size_t cap)
{
    size_t len = 0;

    while (len < cap) {
        ssize_t n = read(fd, buf + len, cap - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static bool write_all(int fd, const char *text, size_t len_bytes)
{
    while (len_bytes > 0) {
        ssize_t n = write(fd, text, len_bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        text += n;
        len_bytes -= (size_t)n;
    }
    return true;
}

static enum status read_text(int fd, const char *path, char **out, size_t *len_bytes,
                             struct errmsg *e)
{
    struct stat s;
    char *text = NULL;
    ssize_t n;

    if (fstat(fd, &s) != 0)
        return fail(e, errno, path);
    if (!S_ISREG(s.st_mode)) {
        errmsg_set(e, "%s is not a regular file", path);
        return ST_INVAL;
    }
    if (s.st_size > FILE_TEXT_MAX) {
        errmsg_set(e, "%s has more than %d bytes", path, FILE_TEXT_MAX);
        return ST_FULL;
    }
    text = malloc((size_t)s.st_size + 1);
    if (!text)
        return ST_NOMEM;
    n = read_all(fd, text, (size_t)s.st_size);
    if (n < 0) {
        free(text);
        return fail(e, errno, path);
    }
    text[n] = '\0';
    *out = text;
    *len_bytes = (size_t)n;
    return ST_OK;
}

enum status file_text(const char *path, char **out, size_t *len_bytes, struct errmsg *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    enum status st;

    if (fd < 0)
        return fail(e, errno, path);
    st = read_text(fd, path, out, len_bytes, e);
    close(fd);
    return st;
}

/* A link counts as another content: what is behind it may change. */
static bool has_content(const char *path, const struct stat *old, const char *text,
                        size_t len_bytes)
{
    char *now = NULL;
    size_t now_bytes = 0;
    bool same;

    if (!S_ISREG(old->st_mode) || (size_t)old->st_size != len_bytes ||
        file_text(path, &now, &now_bytes, NULL) != ST_OK || !now)
        return false;
    same = now_bytes == len_bytes && memcmp(now, text, len_bytes) == 0;
    free(now);
    return same;
}

/* 0 or an errno. @old is NULL for a new file. */
static int write_beside(const char *beside, const struct stat *old, const char *text,
                        size_t len_bytes)
{
    mode_t mode = old ? old->st_mode & 07777 : NEW_MODE;
    int err = 0;
    int fd;

    unlink(beside); /* of a predecessor that was killed */
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    if (!write_all(fd, text, len_bytes) ||
        (old && (old->st_uid != geteuid() || old->st_gid != getegid()) &&
         fchown(fd, old->st_uid, old->st_gid) != 0) ||
        fchmod(fd, mode) != 0 || fsync(fd) != 0)
        err = errno;
    close(fd);
    if (err)
        unlink(beside);
    return err;
}

static int replace(const char *path, const struct stat *old, const char *text, size_t len_bytes)
{
    char beside[PATH_MAX];
    int err;

    if ((size_t)snprintf(beside, sizeof beside, "%s.rdlink-new", path) >= sizeof beside)
        return ENAMETOOLONG;
    err = write_beside(beside, old, text, len_bytes);
    if (!err && rename(beside, path) != 0) {
        err = errno;
        unlink(beside);
    }
    return err;
}

static int write_in_place(const char *path, const char *text, size_t len_bytes)
{
    int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int err = 0;

    if (fd < 0)
        return errno;
    if (!write_all(fd, text, len_bytes) || ftruncate(fd, (off_t)len_bytes) != 0 || fsync(fd) != 0)
        err = errno;
    close(fd);
    return err;
}

static bool is_about_the_folder(int err)
{
    return err == EROFS || err == EACCES || err == EPERM || err == EBUSY || err == EXDEV;
}

enum status file_put(const char *path, const char *text, size_t len_bytes, struct errmsg *e)
{
    struct stat s;
    bool exists = lstat(path, &s) == 0;
    bool is_file = exists && S_ISREG(s.st_mode);
    int err;

    if (exists && !is_file && !S_ISLNK(s.st_mode)) {
        errmsg_set(e, "%s is not a regular file", path);
        return ST_INVAL;
    }
    if (exists && has_content(path, &s, text, len_bytes))
        return ST_OK;
    err = replace(path, is_file ? &s : NULL, text, len_bytes);
    if (is_file && is_about_the_folder(err))
        err = write_in_place(path, text, len_bytes);
    return err ? fail(e, err, path) : ST_OK;
}
