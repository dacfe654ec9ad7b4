/* SPDX-License-Identifier: Apache-2.0
 * resolver.h - answers a DNS question the way this host would: whole messages in and out, so that
 * every type, TTL and response code passes unchanged. On Windows DnsQueryRaw() (which honours VPNs
 * and the name resolution policy table), before 11 24H2 DnsQueryEx() as far as it goes; on Linux
 * the servers of /etc/resolv.conf. Runs on: the switch's loop. Bounded: at most
 * RESOLVER_MAX_PENDING questions at a time.
 */
#ifndef SHARED_PORT_RESOLVER_H
#define SHARED_PORT_RESOLVER_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { RESOLVER_MAX_PENDING = 64, RESOLVER_MAX_MESSAGE = 65535 };

struct resolver;
struct resolver_query;

/* ST_OK with the whole answer (its id is the question's); otherwise TIMEOUT, UNREACHABLE, PROTO:
 * the client gets SERVFAIL. Borrowed for the call; never from within resolver_ask(). */
typedef void resolver_fn(void *ctx, enum status st, const uint8_t *answer, size_t len_bytes);

struct resolver_ops {
    /* ST_FULL at the cap, ST_NOMEM, ST_PROTO: that is not one question. */
    enum status (*ask)(struct resolver *r, struct resolver_query **out, const uint8_t *question,
                       size_t len_bytes, resolver_fn *fn, void *ctx);
    void (*cancel)(struct resolver_query *q);
    /* The host's network changed: read the configuration again. */
    void (*reload)(struct resolver *r);
    void (*close)(struct resolver *r);
};

struct resolver {
    const struct resolver_ops *ops;
};

#endif
