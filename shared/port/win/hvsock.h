/* SPDX-License-Identifier: Apache-2.0
 * hvsock.h - Hyper-V sockets: the host's side of a guest's vsock. Private to port/win.
 */
#ifndef SHARED_PORT_WIN_HVSOCK_H
#define SHARED_PORT_WIN_HVSOCK_H

#include "port/listener.h"
#include "port/loop.h"
#include "port/win/socket_dial.h"

struct guid;

/* mingw-w64's headers have the address structure but not the family's number. */
#define HVSOCK_AF_HYPERV 34

/* @port becomes the first group of the service id: 00000000-facb-11e6-bd58-64006a7986d3 with the
 * vsock port in place of the zeros. */
void hvsock_name(struct socket_name *out, const struct guid *vm, uint32_t port);

enum status hvsock_dial(struct loop *loop, struct dial **out, const struct addr *to,
                        uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e);
/* Accepts from the virtual machine @at->vm only. */
enum status hvsock_listen(struct loop *loop, struct listener **out, const struct addr *at,
                          const struct listener_opts *opts, const struct listener_handler *handler,
                          void *ctx, struct errmsg *e);

#endif
