/* SPDX-License-Identifier: Apache-2.0
 * handshake_server.h - the guest's side of Rancher's handshake (generations A and B), so that an
 * unmodified Rancher host can use rdlink-agent.
 *
 * Listens at a generation's handshake port; whoever connects gets the signature at once. READY,
 * five bytes from the host itself (CID 2), means: the host listens at the data port, dial it.
 * A probe reads the signature and hangs up, which is normal. Unlike the original: several
 * conversations at a time (at most 8, the oldest goes), each with a deadline (5 s), nobody but CID
 * 2 where CIDs exist, and one listener for life. Fuzzed: the five bytes. Runs on: one loop.
 */
#ifndef GUESTAGENT_NET_HANDSHAKE_SERVER_H
#define GUESTAGENT_NET_HANDSHAKE_SERVER_H

#include "base/status.h"

#include <stdint.h>

struct addr;
struct handshake_server;
struct loop;

enum rancher_generation { RANCHER_A, RANCHER_B, RANCHER_GENERATION_COUNT };

struct handshake_stats {
    uint64_t probes, readies, rejected, timeouts, wrong;
};

/* May free the server: it is the last thing that an event of it does. */
typedef void handshake_ready_fn(void *ctx, enum rancher_generation generation);

enum status handshake_server_new(struct handshake_server **out, struct loop *loop,
                                 enum rancher_generation generation, const struct addr *at,
                                 handshake_ready_fn *on_ready, void *ctx, struct errmsg *e);
const struct handshake_stats *handshake_server_stats(const struct handshake_server *h);
/* NULL is fine. */
void handshake_server_free(struct handshake_server *h);

#endif
