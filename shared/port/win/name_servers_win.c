/* SPDX-License-Identifier: Apache-2.0
 * The servers of the adapters that are up, in the system's order of preference (its list is sorted
 * by metric within a family). Does not know the name resolution policy table (NRPT): see
 * docs/windows-checklist.md.
 */
#include "port/uv/file_uv.h"
#include "port/uv/name_servers.h"
#include "port/uv/net_uv_internal.h"

#include <stdlib.h>
#include <string.h>

/* After winsock2.h (uv.h), whose types it uses. */
#include <iphlpapi.h>

enum { TABLE_MAX_BYTES = 256 * 1024 };

static bool has_server(const struct name_servers *s, const struct ip_addr *a)
{
    for (unsigned i = 0; i < s->count; i++)
        if (ip_addr_equal(&s->at[i], a))
            return true;
    return false;
}

static void take_adapter(struct name_servers *out, const IP_ADAPTER_ADDRESSES *adapter)
{
    const IP_ADAPTER_DNS_SERVER_ADDRESS *dns = adapter->FirstDnsServerAddress;
    struct ip_endpoint at;

    for (; dns && out->count < NAME_SERVERS_MAX; dns = dns->Next) {
        if (!net_uv_from_sockaddr(&at, dns->Address.lpSockaddr))
            continue;
        /* fec0:0:0:ffff::1-3 stand for "none configured"; link-local ones want an interface. */
        if (at.addr.b[0] == 0xfe && at.addr.b[1] >= 0x80)
            continue;
        if (!has_server(out, &at.addr))
            out->at[out->count++] = at.addr;
    }
}

static void read_adapters(struct name_servers *out)
{
    const ULONG flags = GAA_FLAG_SKIP_UNICAST | GAA_FLAG_SKIP_ANYCAST | GAA_FLAG_SKIP_MULTICAST |
                        GAA_FLAG_SKIP_FRIENDLY_NAME;
    IP_ADAPTER_ADDRESSES *table = malloc(TABLE_MAX_BYTES);
    ULONG cap = TABLE_MAX_BYTES;

    memset(out, 0, sizeof *out);
    if (table && GetAdaptersAddresses(AF_UNSPEC, flags, NULL, table, &cap) == NO_ERROR)
        for (const IP_ADAPTER_ADDRESSES *a = table; a; a = a->Next)
            if (a->OperStatus == IfOperStatusUp && a->IfType != IF_TYPE_SOFTWARE_LOOPBACK)
                take_adapter(out, a);
    free(table);
    if (out->count == 0)
        out->at[out->count++] = ip_addr_v4(0x7f000001);
}

static bool read_conf(struct name_servers *out, const char *path)
{
    char text[4096];
    int file = file_uv_open(path, UV_FS_O_RDONLY, 0);
    int n;

    if (file < 0)
        return false;
    n = file_uv_read(file, text, sizeof text, 0);
    (void)file_uv_close(file);
    resolv_conf_parse(out, text, n > 0 ? (size_t)n : 0);
    return true;
}

bool name_servers_refresh(struct name_servers *out, struct name_servers_mark *mark,
                          const char *path)
{
    struct name_servers now;

    if (!path || !read_conf(&now, path))
        read_adapters(&now);
    if (mark->words[0] && now.count == out->count &&
        memcmp(now.at, out->at, now.count * sizeof now.at[0]) == 0)
        return false;
    mark->words[0] = 1;
    *out = now;
    return true;
}
