/* SPDX-License-Identifier: Apache-2.0
 * netns_of_pid.h - the network namespace that a process is in, for who may not look into the
 * process. Private to linux/. Runs on: any one thread, in its own namespace.
 */
#ifndef GUESTAGENT_LINUX_NETNS_OF_PID_H
#define GUESTAGENT_LINUX_NETNS_OF_PID_H

#include "base/status.h"
#include "guestagent/linux/rtnetlink.h"

/* A descriptor of the namespace of @pid, which is not the caller's own. @nl belongs to the
 * caller's. ST_NOTFOUND: no such process; ST_UNSUPPORTED: no /dev/net/tun; ST_DENIED, ST_IO. */
enum status netns_of_pid(struct rtnetlink *nl, long pid, int *out_fd, struct errmsg *e);

#endif
