/* SPDX-License-Identifier: Apache-2.0
 * token_message.h - the controller's word to a switch worker on what its links must begin with.
 */
#ifndef WINSVC_NETWORK_TOKEN_MESSAGE_H
#define WINSVC_NETWORK_TOKEN_MESSAGE_H

#include "base/status.h"

struct link_token;
struct worker_host;

/* NULL: with nothing, any link is taken. As worker_host_send() to its first worker. */
enum status token_message_send(struct worker_host *to, const struct link_token *token);

#endif
