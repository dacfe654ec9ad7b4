/* SPDX-License-Identifier: Apache-2.0
 * tap_linux.h - struct tap over /dev/net/tun. Private to linux/.
 */
#ifndef GUESTAGENT_LINUX_TAP_LINUX_H
#define GUESTAGENT_LINUX_TAP_LINUX_H

#include "base/status.h"
#include "guestagent/net/tap.h"

/* A new device @name in the calling thread's network namespace, without offload, not yet up; it
 * goes with tap_close(). @loop is one of loop_uv_new(). ST_EXISTS: that name is taken;
 * ST_UNSUPPORTED: the kernel has no tap devices; ST_DENIED, ST_INVAL, ST_NOMEM, ST_IO. */
enum status tap_linux_open(struct tap **out, struct loop *loop, const char *name,
                           const struct tap_handler *handler, void *ctx, struct errmsg *e);
/* The descriptor that devices are made with, in the calling thread's network namespace. The same
 * statuses. */
enum status tap_linux_open_device(int *out_fd, struct errmsg *e);

#endif
