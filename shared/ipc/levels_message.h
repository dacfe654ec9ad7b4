/* SPDX-License-Identifier: Apache-2.0
 * levels_message.h - levels of the log that a person asked the controller for (log_override()),
 * passed on to a worker or agent. Runs on: the channel's loop.
 */
#ifndef SHARED_IPC_LEVELS_MESSAGE_H
#define SHARED_IPC_LEVELS_MESSAGE_H

#include "base/log.h"
#include "ipc/channel.h"

/* What a peer was told; zeros for a new one. */
struct levels_told {
    char text[LOG_LEVELS_MAX];
};

/* Tells @c when there is something that it has not been told. Called with each of its reports, so
 * that it hears within a second and whoever changes the levels need not know the channels. */
void levels_follow(struct levels_told *told, struct channel *c);
/* What a controller said: from now on those levels here. What makes no sense is passed over. */
void levels_take(const Rdlink__V1__LogLevels *msg);

#endif
