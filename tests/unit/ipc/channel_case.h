/* SPDX-License-Identifier: Apache-2.0
 * channel_case.h - a channel against a peer whose every byte the test writes, and a recorder that
 * plays the owner of the channel. For the tests of ipc/channel; one simulated loop a case.
 */
#ifndef TESTS_UNIT_IPC_CHANNEL_CASE_H
#define TESTS_UNIT_IPC_CHANNEL_CASE_H

#include "ipc/channel.h"
#include "unit/ipc/messages.h"

#include <stdbool.h>
#include <stdint.h>

struct sim;
struct sim_peer;

#define CONTROLLER    RDLINK__V1__ROLE__ROLE_CONTROLLER
#define WORKER_DOCKER RDLINK__V1__ROLE__ROLE_WORKER_DOCKER
#define WORKER_SWITCH RDLINK__V1__ROLE__ROLE_WORKER_SWITCH
#define AGENT_BRIDGE  RDLINK__V1__ROLE__ROLE_AGENT_BRIDGE
#define AGENT_NET     RDLINK__V1__ROLE__ROLE_AGENT_NET
#define BODY(x)       RDLINK__V1__ENVELOPE__BODY_##x

enum free_when { FREE_AT_END, FREE_IN_ON_OPEN, FREE_IN_ON_MESSAGE, FREE_IN_ON_END };

struct channel_case {
    struct sim *sim;
    struct sim_peer *peer;
    struct channel *channel;          /* NULL once freed */
    enum free_when free_when;         /* the callback in which the channel is freed */
    bool fails_memory_once_open;      /* the first allocation after on_open() fails */
    unsigned opened, messages, ended; /* calls of each callback */
    struct channel_peer who;
    Rdlink__V1__Envelope__BodyCase last_body;
    enum channel_end why;
};

/* Records in a struct channel_case. */
extern const struct channel_handler channel_case_handler;

/* A channel of ours that waits for the peer's greeting: opener as the controller, or acceptor as
 * the docker worker. @silence_ms as in struct channel_config. */
void channel_case_init(struct channel_case *c, enum channel_side side, uint32_t silence_ms);
/* The same in another role, towards a peer of another kind. */
void channel_case_init_role(struct channel_case *c, enum channel_side side, Rdlink__V1__Role role,
                            const Rdlink__V1__Role *peer_role, uint32_t silence_ms);
/* One that was greeted and is open. */
void channel_case_init_open(struct channel_case *c, enum channel_side side);
/* Frees what is left, and the loop with it. */
void channel_case_fini(struct channel_case *c);
void channel_case_free_channel(struct channel_case *c);

void channel_case_peer_sends(struct channel_case *c, const struct frames *fr);
/* The peer greets as it should; @ours is our side. */
void channel_case_peer_greets(struct channel_case *c, enum channel_side ours);
/* The message number @n that we sent; the caller frees it. */
Rdlink__V1__Envelope *channel_case_sent(struct channel_case *c, unsigned n);

#endif
