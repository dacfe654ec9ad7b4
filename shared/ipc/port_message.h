/* SPDX-License-Identifier: Apache-2.0
 * port_message.h - message PublishedPorts as its reader keeps it: bounded, and ports at the guest's
 * own loopback told from the others. Pure.
 */
#ifndef SHARED_IPC_PORT_MESSAGE_H
#define SHARED_IPC_PORT_MESSAGE_H

#include "base/ip_addr.h"
#include "ipc/channel.h"

#include <stdbool.h>

enum { PORT_MESSAGE_MAX = 256 }; /* ports taken of one message */

/* "tcp" or "udp", and a port number. */
bool port_message_is_sound(const Rdlink__V1__PublishedPort *p);
/* It is published at a loopback address of the guest, which is @at (NULL is fine). */
bool port_message_is_loopback(const Rdlink__V1__PublishedPort *p, struct ip_addr *at);
/* The first PORT_MESSAGE_MAX ports, of those at the guest's loopback only if @loopback_only. NULL:
 * no memory. To be freed by rdlink__v1__published_ports__free_unpacked(). */
Rdlink__V1__PublishedPorts *port_message_copy(const Rdlink__V1__PublishedPorts *msg,
                                              bool loopback_only);

#endif
