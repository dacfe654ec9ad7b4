/* SPDX-License-Identifier: Apache-2.0
 * vsock.h - dials AF_VSOCK, which libuv does not know. Runs on: the loop's thread.
 */
#ifndef SHARED_PORT_LINUX_VSOCK_H
#define SHARED_PORT_LINUX_VSOCK_H

#include "port/loop.h"

/* As loop_ops.dial. @to without a CID means the host. */
enum status vsock_dial(struct loop *loop, struct dial **out, const struct addr *to,
                       uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e);

#endif
