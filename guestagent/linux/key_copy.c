/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * The bridge runs as a dynamic user, who may not read root's key. systemd's credentials are made
 * for that, but reach the unit through a mount that has to propagate, which it does not where
 * systemd takes its machine for a container: in WSL. So root puts a copy into the unit's runtime
 * directory (in memory, 0700, gone with the unit).
 *
 * That directory is the unit's, and root writes into it, on a reload beside a running bridge. A
 * bridge that somebody has taken over must not gain by that. Hence
 *
 *   the folder is opened once; its owner, and everything below it, is found by that descriptor
 *   the copy is a new file (O_EXCL, which follows no link), and is handed over by descriptor
 *   a rename puts it in the place of the old one, so a reader finds the one or the other
 *
 * and what the folder's owner can bring about is that the copy fails, or is not what it should be:
 * in his own folder, of a key that he is given anyway.
 *
 * Symbolic links on the way to the folder are followed: systemd makes /run/NAME one, and /run is
 * root's.
 */
#include "guestagent/key_copy.h"

#include "guestagent/linux/os_status.h"
#include "ipc/key_file.h"
#include "ipc/proof.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_BYTES = 2 * PROOF_KEY_BYTES + 1 };

/* Where the copy goes. */
struct place {
    int folder;
    uid_t owner;
    char name[NAME_MAX + 1], beside[NAME_MAX + 1];
};

static enum status fail(struct errmsg *e, int err, const char *path)
{
    errmsg_set(e, "%s: %s", path, strerror(err));
    return os_status(err);
}

static enum status open_folder(struct place *out, const char *folder, struct errmsg *e)
{
    struct stat s;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err;

    if (fd < 0)
        return fail(e, errno, folder);
    if (fstat(fd, &s) != 0) {
        err = errno;
        close(fd);
        return fail(e, err, folder);
    }
    out->folder = fd;
    out->owner = s.st_uid;
    return ST_OK;
}

/* Close place.folder. */
static enum status open_place(struct place *out, const char *path, struct errmsg *e)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char folder[PATH_MAX];
    int len = slash ? snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path)
                    : snprintf(folder, sizeof folder, ".");

    if (!*name || len >= (int)sizeof folder ||
        (size_t)snprintf(out->beside, sizeof out->beside, "%s.new", name) >= sizeof out->beside) {
        errmsg_set(e, "'%.80s' is no path of a file", path);
        return ST_INVAL;
    }
    snprintf(out->name, sizeof out->name, "%s", name);
    return open_folder(out, folder, e);
}

/* 0 or an errno. */
static int fill(int fd, uid_t owner, const char *text, size_t len_bytes)
{
    ssize_t n = write(fd, text, len_bytes);

    if (n < 0)
        return errno;
    if ((size_t)n != len_bytes)
        return ENOSPC;
    return fchmod(fd, S_IRUSR) != 0 || fchown(fd, owner, (gid_t)-1) != 0 ? errno : 0;
}

static int put(const struct place *at, const char *text, size_t len_bytes)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int err;
    int fd;

    unlinkat(at->folder, at->beside, 0); /* of a predecessor that was killed */
    fd = openat(at->folder, at->beside, flags, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return errno;
    err = fill(fd, at->owner, text, len_bytes);
    close(fd);
    if (!err && renameat(at->folder, at->beside, at->folder, at->name) != 0)
        err = errno;
    if (err)
        unlinkat(at->folder, at->beside, 0);
    return err;
}

static enum status put_key(const struct place *at, const struct proof_key *key, const char *path,
                           struct errmsg *e)
{
    char text[TEXT_BYTES];
    int err;

    proof_key_format(key, text);
    text[TEXT_BYTES - 1] = '\n';
    err = put(at, text, sizeof text);
    crypto_wipe(text, sizeof text);
    return err ? fail(e, err, path) : ST_OK;
}

static enum status take_away(const struct place *at, const char *path, struct errmsg *e)
{
    if (unlinkat(at->folder, at->name, 0) == 0 || errno == ENOENT)
        return ST_OK;
    return fail(e, errno, path);
}

enum status key_copy(const char *from, const char *to, struct errmsg *e)
{
    struct place at;
    struct proof_key key;
    enum status st = open_place(&at, to, e);
    enum status gone;

    if (st)
        return st;
    st = key_file_read(from, &key, e);
    if (st == ST_OK)
        st = put_key(&at, &key, to, e);
    crypto_wipe(&key, sizeof key);
    if (st != ST_OK) {
        gone = take_away(&at, to, st == ST_NOTFOUND ? e : NULL);
        st = st == ST_NOTFOUND ? gone : st;
    }
    close(at.folder);
    return st;
}
