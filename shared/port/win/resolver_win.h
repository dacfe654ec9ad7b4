/* SPDX-License-Identifier: Apache-2.0
 * resolver_win.h - struct resolver over DnsQueryRaw(): whole messages, answered as Windows itself
 * would, with its cache, hosts file, VPNs and name resolution policy table. Windows 11 24H2 and
 * Server 2025 have it. Private to port/ and its tests. Theory of operation: resolver_win.c.
 */
#ifndef SHARED_PORT_WIN_RESOLVER_WIN_H
#define SHARED_PORT_WIN_RESOLVER_WIN_H

#include "base/status.h"

#include <windows.h>
#include <winsock2.h>

struct loop;
struct resolver;

/* windns.h of the Windows SDK, which mingw's does not have yet. */
enum { DNS_RAW_VERSION = 1, DNS_RAW_UDP = 1, DNS_RAW_TCP = 2, DNS_RAW_ADDRESS_BYTES = 32 };

struct dns_raw_result {
    ULONG version;
    LONG status;
    ULONG64 options, raw_options, flags;
    ULONG response_bytes;
    BYTE *response; /* NULL: nobody answered; a refusal has both a status and a response */
    void *records;
    ULONG protocol;
    CHAR source[DNS_RAW_ADDRESS_BYTES];
};

typedef void CALLBACK dns_raw_done_fn(void *ctx, struct dns_raw_result *result);

struct dns_raw_request {
    ULONG version, results_version;
    ULONG query_bytes;
    BYTE *query; /* needed until the call returns */
    WCHAR *name; /* instead of a query */
    USHORT type;
    ULONG64 options;
    ULONG interface_index;
    dns_raw_done_fn *done; /* on a thread of the system's, once for each call that is pending */
    void *ctx;
    ULONG64 raw_options;
    ULONG custom_servers_bytes;
    void *custom_servers;
    ULONG protocol;
    CHAR source[DNS_RAW_ADDRESS_BYTES];
};

struct dns_raw_cancel {
    ULONG64 reserved[4];
};

/* The functions of dnsapi.dll, or a test's. */
struct dns_raw_api {
    LONG(WINAPI *query)(struct dns_raw_request *request, struct dns_raw_cancel *cancel);
    LONG(WINAPI *cancel)(struct dns_raw_cancel *cancel);
    void(WINAPI *result_free)(struct dns_raw_result *result);
};

/* @api NULL: the system's. ST_UNSUPPORTED: this Windows has none. ST_NOMEM, ST_NOFILES. */
enum status resolver_win_new(struct resolver **out, struct loop *loop,
                             const struct dns_raw_api *api);

#endif
