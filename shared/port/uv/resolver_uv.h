/* SPDX-License-Identifier: Apache-2.0
 * resolver_uv.h - struct resolver that forwards questions to the host's name servers over struct
 * net. Runs on: the loop's thread. Owns: its sockets while a question is under way, nothing else.
 */
#ifndef SHARED_PORT_UV_RESOLVER_UV_H
#define SHARED_PORT_UV_RESOLVER_UV_H

#include "base/status.h"

#include <stdint.h>

struct loop;
struct net;
struct resolver;

/* What tests change; zero everywhere is production. */
struct resolver_uv_config {
    const char *conf_path; /* NULL: the system's servers; copied */
    uint16_t port;         /* 53 */
    uint32_t try_ms;       /* 2000: one try with one server */
};

/* @loop and @net outlive it; close it with ops->close(). ST_NOMEM. */
enum status resolver_uv_new(struct resolver **out, struct loop *loop, struct net *net,
                            const struct resolver_uv_config *config, struct errmsg *e);

#endif
