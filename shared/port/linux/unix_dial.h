/* SPDX-License-Identifier: Apache-2.0
 * unix_dial.h - connects to a unix socket of either type. Parameters and promises are those of
 * loop_ops.dial.
 */
#ifndef SHARED_PORT_LINUX_UNIX_DIAL_H
#define SHARED_PORT_LINUX_UNIX_DIAL_H

#include "port/loop.h"

enum status unix_dial(struct loop *loop, struct dial **out, const struct addr *to,
                      uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e);

#endif
