/* SPDX-License-Identifier: Apache-2.0
 * hybrid.h - many vsock-like ports behind one unix socket or loopback TCP port.
 *
 * Both ends of the convention that Firecracker, Cloud Hypervisor and vhost-device-vsock speak: the
 * client says "CONNECT port\n", the server answers "OK number\n", then it is a plain stream.
 * Runs on: the loop's thread. For port/ only.
 */
#ifndef SHARED_PORT_UV_HYBRID_H
#define SHARED_PORT_UV_HYBRID_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addr;
struct listener;
struct listener_handler;
struct listener_opts;
struct loop;

/* As loop_ops.listen, for vsock-hybrid and tcp-hybrid with a port. The first port at a path makes
 * the socket, with its options; the last one to close removes it. ST_EXISTS when this process
 * listens at that port already. Streams come with the peer of a vsock connection from the host. */
enum status hybrid_listen(struct loop *loop, struct listener **out, const struct addr *at,
                          const struct listener_opts *opts, const struct listener_handler *handler,
                          void *ctx, struct errmsg *e);

/* ---- the two lines; pure --------------------------------------------------------------- */

/* Longest line either side may send, newline included. */
enum { HYBRID_LINE_MAX = 32 };

enum hybrid_parse { HYBRID_MORE, HYBRID_DONE, HYBRID_BAD };

/* Looks for "@word NUMBER\n" in what arrived so far. HYBRID_DONE: *number is set and the line took
 * *used bytes. HYBRID_BAD as soon as it cannot become one, at HYBRID_LINE_MAX bytes at the latest.
 */
enum hybrid_parse hybrid_parse_line(const char *word, const uint8_t *data, size_t len,
                                    uint32_t *number, size_t *used);

#endif
