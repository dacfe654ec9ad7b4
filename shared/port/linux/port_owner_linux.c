/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Who holds a port: the kernel's table of sockets (/proc/net/tcp and its like) gives the inode of
 * the one that is in the way, and the processes' open descriptors say whose that is.
 *
 *   /proc/net/tcp6: "0: 00000000...:0050 ... 0A ... uid ... inode"   ->  /proc/PID/fd/N ->
 * socket:[inode]
 *
 * Descriptors of another user's processes cannot be read without rights; then the user is named.
 * Only after a bind() failed, so it may take some milliseconds; LINKS_MAX bounds them.
 */
#include "port/uv/net_uv_internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINKS_MAX = 20000, TCP_LISTENING = 0x0a, COMM_MAX = 32 };

struct socket_row {
    struct ip_endpoint at;
    unsigned state, uid;
    uint64_t inode;
};

/* ---- the kernel's table ------------------------------------------------------------------ */

/* "0100007F" or four of those, 32-bit words in the machine's order, a colon and the port. */
static bool parse_address(const char *text, struct ip_endpoint *out)
{
    size_t digits = strspn(text, "0123456789ABCDEF");
    uint32_t words[4];
    char word[9] = "";

    if ((digits != 8 && digits != 32) || text[digits] != ':')
        return false;
    for (size_t i = 0; i < digits / 8; i++) {
        memcpy(word, text + 8 * i, 8);
        words[i] = (uint32_t)strtoul(word, NULL, 16);
    }
    out->addr = digits == 8 ? ip_addr_v4(ntohl(words[0])) : ip_addr_of_v6((const uint8_t *)words);
    out->port = (uint16_t)strtoul(text + digits + 1, NULL, 16);
    return true;
}

/* "N: local remote state queues timer retransmits uid timeout inode ..." */
static bool parse_row(char *line, struct socket_row *out)
{
    enum { LOCAL = 1, STATE = 3, UID = 7, INODE = 9, FIELDS };
    char *field[FIELDS], *rest = NULL;

    for (unsigned i = 0; i < FIELDS; i++) {
        field[i] = strtok_r(i ? NULL : line, " ", &rest);
        if (!field[i])
            return false;
    }
    out->state = (unsigned)strtoul(field[STATE], NULL, 16);
    out->uid = (unsigned)strtoul(field[UID], NULL, 10);
    out->inode = strtoull(field[INODE], NULL, 10);
    return parse_address(field[LOCAL], &out->at);
}

/* A socket at every address of IPv6 may stand in the way of IPv4 as well. */
static bool is_in_the_way(const struct socket_row *row, const struct ip_endpoint *at)
{
    bool same_family = ip_addr_is_v4(&row->at.addr) == ip_addr_is_v4(&at->addr);
    bool row_is_any = ip_addr_is_unspecified(&row->at.addr);

    if (row->at.port != at->port)
        return false;
    if (!same_family)
        return row_is_any && ip_addr_is_v4(&at->addr);
    return row_is_any || ip_addr_is_unspecified(&at->addr) ||
           ip_addr_equal(&row->at.addr, &at->addr);
}

static bool find_in_table(const char *path, bool is_udp, const struct ip_endpoint *at,
                          struct socket_row *out)
{
    FILE *f = fopen(path, "re");
    char line[512];
    bool found = false;

    if (!f)
        return false;
    while (!found && fgets(line, sizeof line, f))
        found = parse_row(line, out) && (is_udp || out->state == TCP_LISTENING) &&
                is_in_the_way(out, at);
    fclose(f);
    return found;
}

/* Its own family's table first. */
static bool find_socket(bool is_udp, const struct ip_endpoint *at, struct socket_row *out)
{
    static const char *const tables[2][2] = { { "/proc/net/tcp", "/proc/net/tcp6" },
                                              { "/proc/net/udp", "/proc/net/udp6" } };

    return (ip_addr_is_v4(&at->addr) && find_in_table(tables[is_udp][0], is_udp, at, out)) ||
           find_in_table(tables[is_udp][1], is_udp, at, out);
}

/* ---- whose it is ------------------------------------------------------------------------- */

static bool holds_socket(const char *pid, uint64_t inode, unsigned *links)
{
    char path[300], want[48], got[48];
    struct dirent *d;
    bool found = false;
    DIR *fds;

    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    fds = opendir(path);
    if (!fds)
        return false;
    snprintf(want, sizeof want, "socket:[%" PRIu64 "]", inode);
    /* cppcheck-suppress readdirCalled; each call has a DIR of its own */
    while (!found && *links > 0 && (d = readdir(fds)) != NULL) {
        ssize_t n = readlinkat(dirfd(fds), d->d_name, got, sizeof got - 1);

        (*links)--;
        got[n > 0 ? n : 0] = '\0';
        found = strcmp(got, want) == 0;
    }
    closedir(fds);
    return found;
}

static int find_process(uint64_t inode)
{
    DIR *proc = opendir("/proc");
    unsigned links = LINKS_MAX;
    struct dirent *d;
    int pid = 0;

    if (!proc)
        return 0;
    /* cppcheck-suppress readdirCalled; as above */
    while (!pid && links > 0 && (d = readdir(proc)) != NULL) {
        if (d->d_name[0] >= '1' && d->d_name[0] <= '9' && holds_socket(d->d_name, inode, &links))
            pid = (int)strtol(d->d_name, NULL, 10);
    }
    closedir(proc);
    return pid;
}

static void read_name(int pid, char name[static COMM_MAX])
{
    char path[40];
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    f = fopen(path, "re");
    if (!f || !fgets(name, COMM_MAX, f))
        snprintf(name, COMM_MAX, "?");
    name[strcspn(name, "\n")] = '\0';
    if (f)
        fclose(f);
}

bool net_os_why_taken(bool is_udp, const struct ip_endpoint *at, enum status st, char *buf,
                      size_t cap)
{
    struct socket_row row;
    char name[COMM_MAX];
    int pid;

    if (st == ST_DENIED && at->port < 1024) {
        snprintf(buf, cap, "ports below 1024 need a right (CAP_NET_BIND_SERVICE)");
        return true;
    }
    if (st != ST_EXISTS || !find_socket(is_udp, at, &row))
        return false;
    pid = find_process(row.inode);
    if (pid) {
        read_name(pid, name);
        snprintf(buf, cap, "taken by pid %d (%s)", pid, name);
    } else {
        snprintf(buf, cap, "taken by a program of user %u", row.uid);
    }
    return true;
}
