/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "unit/guest_net/sandbox.h"

#include "support/cmocka_all.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWN_NAMESPACE "/proc/thread-self/ns/net"
#define CGROUPS       "/sys/fs/cgroup"

enum { PATH_TEXT_MAX = 512 };

/* ---- this process ---------------------------------------------------------------------- */

void sandbox_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    if (!f)
        fail_msg("%s: %s", path, strerror(errno));
    fputs(text, f);
    if (fclose(f) != 0)
        fail_msg("%s: %s", path, strerror(errno));
}

static bool refused(const char *what)
{
    printf("SKIP: %s: %s\n", what, strerror(errno));
    return false;
}

/* Not root: a user namespace, in which we are. */
static bool become_root(void)
{
    char map[64];
    unsigned uid = geteuid();
    unsigned gid = getegid();

    if (uid == 0)
        return true;
    if (unshare(CLONE_NEWUSER) != 0)
        return refused("user namespace");
    sandbox_write("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1", uid);
    sandbox_write("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "0 %u 1", gid);
    sandbox_write("/proc/self/gid_map", map);
    return true;
}

bool sandbox_enter(void)
{
    if (!become_root())
        return false;
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0)
        return refused("network and mount namespaces");
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/run", "tmpfs", 0, NULL) != 0 ||
        mount("none", CGROUPS, "tmpfs", 0, NULL) != 0)
        return refused("mounts of its own");
    return true;
}

bool sandbox_has_tun(void)
{
    return access("/dev/net/tun", R_OK | W_OK) == 0 || refused("/dev/net/tun");
}

ino_t sandbox_namespace(void)
{
    struct stat s;

    assert_int_equal(stat(OWN_NAMESPACE, &s), 0);
    return s.st_ino;
}

/* ---- others' namespaces ---------------------------------------------------------------- */

static void move_to(pid_t pid)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(setns(fd, CLONE_NEWNET), 0);
    close(fd);
}

/* @beside: 0 = ours. The child only sits there; the test learns through a pipe that it does. */
static pid_t start(bool own_namespace, pid_t beside)
{
    int ready[2];
    char c = 0;
    pid_t pid;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (own_namespace && unshare(CLONE_NEWNET) != 0)
            _exit(1);
        if (beside)
            move_to(beside);
        if (write(ready[1], "y", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return pid;
}

pid_t sandbox_process(bool own_namespace)
{
    return start(own_namespace, 0);
}

pid_t sandbox_process_beside(pid_t pid)
{
    return start(false, pid);
}

void sandbox_kill(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

void sandbox_in(pid_t pid, void (*fn)(void *ctx), void *ctx)
{
    int home = open(OWN_NAMESPACE, O_RDONLY | O_CLOEXEC);

    assert_true(home >= 0);
    move_to(pid);
    fn(ctx);
    assert_int_equal(setns(home, CLONE_NEWNET), 0);
    close(home);
}

/* ---- cgroups --------------------------------------------------------------------------- */

static void make_folders(const char *path)
{
    char part[PATH_TEXT_MAX];

    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            fail_msg("%s: %s", part, strerror(errno));
    }
}

void sandbox_cgroup(const char *folder, pid_t first, pid_t second)
{
    char path[PATH_TEXT_MAX];
    char text[64] = "";
    size_t len = 0;

    if (first)
        len = (size_t)snprintf(text, sizeof text, "%d\n", (int)first);
    if (second)
        snprintf(text + len, sizeof text - len, "%d\n", (int)second);
    snprintf(path, sizeof path, CGROUPS "/%s/cgroup.procs", folder);
    make_folders(path);
    sandbox_write(path, text);
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
    return at->level > 0 ? remove(path) : 0;
}

void sandbox_remove_cgroups(void)
{
    assert_int_equal(nftw(CGROUPS, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- somebody else's device ------------------------------------------------------------ */

static void persist(const char *name, unsigned long on)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
    assert_int_equal(ioctl(fd, TUNSETPERSIST, on), 0);
    close(fd);
}

void sandbox_foreign_device(const char *name)
{
    persist(name, 1);
}

void sandbox_remove_foreign_device(const char *name)
{
    persist(name, 0);
}

/* ---- what the kernel says -------------------------------------------------------------- */

/* False: no such device, or it has none. */
static bool ask(const char *device, unsigned long what, struct ifreq *out)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result;

    assert_true(fd >= 0);
    memset(out, 0, sizeof *out);
    snprintf(out->ifr_name, sizeof out->ifr_name, "%s", device);
    result = ioctl(fd, what, out);
    close(fd);
    return result == 0;
}

bool sandbox_has_address(const char *device, const char *ip)
{
    struct sockaddr_in sa;
    struct ifreq request;

    if (!ask(device, SIOCGIFADDR, &request))
        return false;
    memcpy(&sa, &request.ifr_addr, sizeof sa);
    return sa.sin_addr.s_addr == inet_addr(ip);
}

int sandbox_mtu(const char *device)
{
    struct ifreq request;

    return ask(device, SIOCGIFMTU, &request) ? request.ifr_mtu : -1;
}

bool sandbox_is_up(const char *device)
{
    struct ifreq request;

    return ask(device, SIOCGIFFLAGS, &request) && request.ifr_flags & IFF_UP;
}

/* The lines of the kernel's table: device, destination, gateway in hex as they lie in memory. */
static unsigned count_default_routes(const char *device, unsigned long gateway)
{
    char *text = sandbox_read("/proc/thread-self/net/route");
    char *rest = text;
    char *line;
    unsigned count = 0;

    while ((line = strsep(&rest, "\n"))) {
        char name[IFNAMSIZ];
        unsigned long to, through, flags, references, use, metric, mask;

        if (sscanf(line, "%15s %lx %lx %lx %lu %lu %lu %lx", name, &to, &through, &flags,
                   &references, &use, &metric, &mask) != 8)
            continue;
        if (mask == 0 && (!device || (strcmp(device, name) == 0 && through == gateway)))
            count++;
    }
    free(text);
    return count;
}

unsigned sandbox_default_routes(void)
{
    return count_default_routes(NULL, 0);
}

bool sandbox_has_default_route(const char *device, const char *gateway)
{
    return count_default_routes(device, inet_addr(gateway)) == 1;
}

char *sandbox_read(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = calloc(1, 65536);

    assert_non_null(text);
    if (!f)
        fail_msg("%s: %s", path, strerror(errno));
    text[fread(text, 1, 65535, f)] = '\0';
    fclose(f);
    return text;
}
