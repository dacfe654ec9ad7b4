/* SPDX-License-Identifier: Apache-2.0
 * resolver_os.h - struct resolver that answers the way this operating system would:
 * linux/resolver_linux.c asks the servers of resolv.conf, win/resolver_win.c Windows itself.
 */
#ifndef SHARED_PORT_UV_RESOLVER_OS_H
#define SHARED_PORT_UV_RESOLVER_OS_H

#include "base/status.h"

struct loop;
struct net;
struct resolver;

/* @loop and @net outlive it; close it with ops->close(). ST_NOMEM, ST_NOFILES. */
enum status resolver_os_new(struct resolver **out, struct loop *loop, struct net *net,
                            struct errmsg *e);

#endif
