/* SPDX-License-Identifier: Apache-2.0
 * admit.h - who may connect to the agent. One rule for every listener, alone so it can be reviewed.
 *
 * Over vsock only the host (CID 2) may: CID 1 is any process of this virtual machine, other numbers
 * are other guests, and an address that is missing or cut short proves nothing. Over the local
 * transports of development and tests the permissions of the socket decide before we are asked.
 * Pure.
 */
#ifndef GUESTAGENT_ADMIT_H
#define GUESTAGENT_ADMIT_H

#include "base/status.h"

struct peer;

/* ST_OK or ST_DENIED; says who was denied, at most once a second. */
enum status admit_peer(const struct peer *peer, const char *listener_name);

#endif
