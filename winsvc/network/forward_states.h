/* SPDX-License-Identifier: Apache-2.0
 * forward_states.h - every forward of a switch with its state, on its way from the worker into the
 * status: as the worker finds them in its switch, as one message ForwardStates, as the controller
 * keeps them. Pure.
 */
#ifndef WINSVC_NETWORK_FORWARD_STATES_H
#define WINSVC_NETWORK_FORWARD_STATES_H

#include "base/condition.h"
#include "base/status.h"
#include "ipc/channel.h"
#include "network/forward_list.h"

#include <stdbool.h>

struct switch_;

enum { FORWARD_WHY_MAX = 192 };

struct forward_state {
    struct forward_text text;
    bool is_listening;
    char reason[CONDITION_REASON_MAX]; /* why it waits; empty while it listens */
    char message[FORWARD_WHY_MAX];
};

/* All zero: there are none. */
struct forward_states {
    struct forward_state *items; /* owned; those that wait come first */
    unsigned count, left_out;    /* at most FORWARD_LIST_MAX; those that are not here */
};

/* Those of @s, in the place of what *out had. ST_NOMEM: *out is empty. */
enum status forward_states_of(struct forward_states *out, const struct switch_ *s);

typedef enum status forward_states_send_fn(void *ctx, Rdlink__V1__Envelope *msg);
/* Gives @send one message with as many as fit; it counts the others as left out. Its status, or
 * ST_NOMEM. */
enum status forward_states_send(struct forward_states *l, forward_states_send_fn *send, void *ctx);

/* What a worker said, in the place of what *out had: what no switch of ours says is left out, and
 * so is what exceeds FORWARD_LIST_MAX. ST_NOMEM: *out is empty. */
enum status forward_states_take(struct forward_states *out, const Rdlink__V1__ForwardStates *msg);

void forward_states_clear(struct forward_states *l);

#endif
