/* SPDX-License-Identifier: Apache-2.0
 * net_uv.h - the host's real network (port/net.h) over libuv. Only main*.c, workers and tests make
 * one; everybody else sees struct net. Runs on: the loop's thread.
 */
#ifndef SHARED_PORT_UV_NET_UV_H
#define SHARED_PORT_UV_NET_UV_H

#include "base/status.h"

struct loop;
struct net;

/* @loop is one of loop_uv_new() and outlives the net. ST_NOMEM. */
enum status net_uv_new(struct net **out, struct loop *loop, struct errmsg *e);
/* Listeners and UDP sockets made from now on at another address than a loopback one get only what
 * comes in by the interface @device, of the network namespace they are made in (Linux; elsewhere
 * they are refused, ST_UNSUPPORTED). "": all interfaces, as at first. ST_INVAL: no such name can
 * be. */
enum status net_uv_set_device(struct net *n, const char *device);
/* Every object of it was closed or cancelled before; connections that were closed with bytes still
 * to go are cut. NULL is fine. */
void net_uv_free(struct net *n);

#endif
