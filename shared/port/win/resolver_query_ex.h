/* SPDX-License-Identifier: Apache-2.0
 * resolver_query_ex.h - struct resolver over DnsQueryEx(), for Windows before 11 24H2: answered
 * with Windows' cache, hosts file, VPNs and name resolution policy table, as far as its records go;
 * the adapters' servers are asked for the rest. Private to port/ and its tests. Theory of
 * operation: resolver_query_ex.c.
 */
#ifndef SHARED_PORT_WIN_RESOLVER_QUERY_EX_H
#define SHARED_PORT_WIN_RESOLVER_QUERY_EX_H

#include "base/status.h"

#include <windows.h>
/* After windows.h. */
#include <windns.h>

struct loop;
struct net;
struct resolver;

/* windns.h of the Windows SDK, which mingw's does not have yet. */
struct dns_ex_request {
    ULONG version;
    const WCHAR *name; /* needed until the query is over */
    WORD type;
    ULONG64 options;
    void *servers;
    ULONG interface_index;
    DNS_QUERY_COMPLETION_ROUTINE *done; /* on a thread of the system's, if the call is pending */
    void *ctx;
};

struct dns_ex_cancel {
    ULONG64 reserved[4];
};

/* The functions of dnsapi.dll, or a test's. */
struct dns_ex_api {
    LONG(WINAPI *query)
    (struct dns_ex_request *request, DNS_QUERY_RESULT *result, struct dns_ex_cancel *cancel);
    LONG(WINAPI *cancel)(struct dns_ex_cancel *cancel);
    void(WINAPI *list_free)(void *list, DNS_FREE_TYPE type);
};

/* @api NULL: the system's, or the servers alone where there is none (Wine). @servers is the
 * resolver for what Windows does not tell, owned by @out if this succeeds; NULL: the adapters'
 * servers. ST_NOMEM, ST_NOFILES. */
enum status resolver_query_ex_new(struct resolver **out, struct loop *loop, struct net *net,
                                  const struct dns_ex_api *api, struct resolver *servers,
                                  struct errmsg *e);

#endif
