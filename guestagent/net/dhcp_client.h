/* SPDX-License-Identifier: Apache-2.0
 * dhcp_client.h - the net unit's own DHCP client (RFC 2131 4.4), on frames, not on a socket.
 *
 * The unit carries every frame of the guest, so it asks for the address on the link itself: no raw
 * socket, no other program, and it works before the interface has an address. Its replies are
 * recognised by transaction id and MAC and taken out of the stream of frames.
 *
 *   STOPPED -> SELECTING -> REQUESTING -> BOUND -> RENEWING -> REBINDING -> (SELECTING)
 *                 REBOOTING (a lease is known: after a link loss it is asked for again) -> BOUND
 *
 * Pure but for timers of the loop. Runs on: one loop.
 */
#ifndef GUESTAGENT_NET_DHCP_CLIENT_H
#define GUESTAGENT_NET_DHCP_CLIENT_H

#include "base/status.h"
#include "guestagent/net/guest_net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dhcp_client;
struct loop;

struct dhcp_client_ops {
    /* An Ethernet frame for the link; borrowed for the call. It may be lost: it is sent again. */
    void (*send)(void *ctx, const uint8_t *frame, size_t len_bytes);
    /* Bound, or renewed with other contents. */
    void (*on_lease)(void *ctx, const struct guest_lease *lease);
    /* The lease ran out or was refused (NAK); asking again. */
    void (*on_lost)(void *ctx, const char *why);
};

struct dhcp_client_config {
    struct mac mac;
    enum status (*random)(void *buf, size_t len_bytes);
};

enum status dhcp_client_new(struct dhcp_client **out, struct loop *loop,
                            const struct dhcp_client_config *config,
                            const struct dhcp_client_ops *ops, void *ctx);
/* A link is up: ask (again). Retries with back-off and jitter, for ever. */
void dhcp_client_start(struct dhcp_client *c);
/* The link is gone: keep the lease, send nothing. */
void dhcp_client_stop(struct dhcp_client *c);
/* A frame from the host: true = it was for us, do not give it to the guest. */
bool dhcp_client_input(struct dhcp_client *c, const uint8_t *frame, size_t len_bytes);
bool dhcp_client_is_bound(const struct dhcp_client *c);
const char *dhcp_client_state_name(const struct dhcp_client *c);
void dhcp_client_free(struct dhcp_client *c);

#endif
