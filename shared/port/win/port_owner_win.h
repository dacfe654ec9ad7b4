/* SPDX-License-Identifier: Apache-2.0
 * port_owner_win.h - finds a port in Windows' tables of sockets and their processes. Private to
 * port/win and its tests. Any thread.
 */
#ifndef SHARED_PORT_WIN_PORT_OWNER_WIN_H
#define SHARED_PORT_WIN_PORT_OWNER_WIN_H

#include "base/ip_addr.h"

#include <stdbool.h>

/* @table is a MIB_TCPTABLE_OWNER_PID, MIB_TCP6TABLE_OWNER_PID, or that of UDP, by the family of
 * @at. True: a socket in it is in the way of one at @at; *pid is 0 where the system does not say
 * whose. */
bool port_owner_in_table(unsigned long *pid, bool is_udp, const void *table,
                         const struct ip_endpoint *at);

#endif
