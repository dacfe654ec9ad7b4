/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Who holds a port, from the tables of sockets with their processes. Windows refuses a bind with
 * WSAEACCES in two cases that look the same: another program holds the port and does not share it,
 * or the port is in a range that was set aside (Hyper-V and WSL do so at each start). So the tables
 * are asked first, and only a port that nobody holds is said to be set aside.
 */
#include "port/uv/net_uv_internal.h"

#include "port/win/port_owner_win.h"
#include "port/win/utf16.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After winsock2.h (uv.h), whose types it uses. */
#include <iphlpapi.h>

enum { IMAGE_MAX = 260 };

/* ---- the tables -------------------------------------------------------------------------- */

/* All of one table; free() it. NULL: it cannot be had. */
static void *get_table(bool is_udp, bool is_v4)
{
    ULONG family = is_v4 ? AF_INET : AF_INET6;
    DWORD size = 16 * 1024, err = ERROR_INSUFFICIENT_BUFFER;
    void *table = NULL;

    for (unsigned tries = 0; tries < 4 && err == ERROR_INSUFFICIENT_BUFFER; tries++) {
        free(table);
        table = malloc(size);
        if (!table)
            return NULL;
        err = is_udp ? GetExtendedUdpTable(table, &size, FALSE, family, UDP_TABLE_OWNER_PID, 0)
                     : GetExtendedTcpTable(table, &size, FALSE, family,
                                           TCP_TABLE_OWNER_PID_LISTENER, 0);
    }
    if (err == NO_ERROR)
        return table;
    free(table);
    return NULL;
}

static bool is_in_the_way(const struct ip_addr *addr, DWORD port, const struct ip_endpoint *at)
{
    return ntohs((u_short)port) == at->port &&
           (ip_addr_is_unspecified(addr) || ip_addr_is_unspecified(&at->addr) ||
            ip_addr_equal(addr, &at->addr));
}

static bool find_v4(unsigned long *pid, bool is_udp, const void *table,
                    const struct ip_endpoint *at)
{
    const MIB_TCPTABLE_OWNER_PID *tcp = table;
    const MIB_UDPTABLE_OWNER_PID *udp = table;
    DWORD count = is_udp ? udp->dwNumEntries : tcp->dwNumEntries;

    for (DWORD i = 0; i < count; i++) {
        DWORD net = is_udp ? udp->table[i].dwLocalAddr : tcp->table[i].dwLocalAddr;
        struct ip_addr addr = ip_addr_v4(ntohl(net));
        DWORD port = is_udp ? udp->table[i].dwLocalPort : tcp->table[i].dwLocalPort;

        if (!is_in_the_way(&addr, port, at))
            continue;
        *pid = is_udp ? udp->table[i].dwOwningPid : tcp->table[i].dwOwningPid;
        return true;
    }
    return false;
}

static bool find_v6(unsigned long *pid, bool is_udp, const void *table,
                    const struct ip_endpoint *at)
{
    const MIB_TCP6TABLE_OWNER_PID *tcp = table;
    const MIB_UDP6TABLE_OWNER_PID *udp = table;
    DWORD count = is_udp ? udp->dwNumEntries : tcp->dwNumEntries;

    for (DWORD i = 0; i < count; i++) {
        const UCHAR *net = is_udp ? udp->table[i].ucLocalAddr : tcp->table[i].ucLocalAddr;
        struct ip_addr addr = ip_addr_of_v6(net);
        DWORD port = is_udp ? udp->table[i].dwLocalPort : tcp->table[i].dwLocalPort;

        if (!is_in_the_way(&addr, port, at))
            continue;
        *pid = is_udp ? udp->table[i].dwOwningPid : tcp->table[i].dwOwningPid;
        return true;
    }
    return false;
}

bool port_owner_in_table(unsigned long *pid, bool is_udp, const void *table,
                         const struct ip_endpoint *at)
{
    return (ip_addr_is_v4(&at->addr) ? find_v4 : find_v6)(pid, is_udp, table, at);
}

static bool find_owner(unsigned long *pid, bool is_udp, const struct ip_endpoint *at)
{
    void *table = get_table(is_udp, ip_addr_is_v4(&at->addr));
    bool is_found = table && port_owner_in_table(pid, is_udp, table, at);

    free(table);
    return is_found;
}

/* ---- names ------------------------------------------------------------------------------- */

/* The file's name alone; "?" for a process that cannot be asked. */
static void read_name(DWORD pid, char *buf, size_t cap)
{
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
    wchar_t image[IMAGE_MAX], *name;
    DWORD len = ARRAY_SIZE(image);

    snprintf(buf, cap, "?");
    if (!process)
        return;
    if (QueryFullProcessImageNameW(process, 0, image, &len)) {
        name = wcsrchr(image, L'\\');
        if (utf16_to_utf8(buf, cap, name ? name + 1 : image))
            snprintf(buf, cap, "?");
    }
    CloseHandle(process);
}

bool net_os_why_taken(bool is_udp, const struct ip_endpoint *at, enum status st, char *buf,
                      size_t cap)
{
    char name[3 * IMAGE_MAX];
    unsigned long pid;

    if (st != ST_EXISTS && st != ST_DENIED)
        return false;
    if (find_owner(&pid, is_udp, at)) {
        read_name(pid, name, sizeof name);
        snprintf(buf, cap, "taken by pid %lu (%.80s)", pid, name);
        return true;
    }
    if (st != ST_DENIED)
        return false;
    snprintf(buf, cap,
             "Windows keeps that port for itself (netsh interface ipv4 show excludedportrange "
             "protocol=%s)",
             is_udp ? "udp" : "tcp");
    return true;
}
