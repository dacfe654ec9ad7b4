/* SPDX-License-Identifier: Apache-2.0
 * agent.h - the agent's parts put together: bridge, control port, systemd.
 * Theory of operation: agent.c. Runs on: one loop. Owns: all parts.
 */
#ifndef GUESTAGENT_AGENT_H
#define GUESTAGENT_AGENT_H

#include "base/status.h"

struct agent;
struct config;
struct loop;

/* Listens everywhere it was told to. @on_stopped is called once, from the loop, when agent_stop()
 * has been carried out; agent_free() and the end of the program may follow. @config is borrowed
 * until agent_free(). Statuses of listener_open(), ST_NOMEM. */
enum status agent_new(struct agent **out, struct loop *loop, const struct config *config,
                      void (*on_stopped)(void *ctx), void *ctx, struct errmsg *e);
/* First call: accept nothing more, end when the last stream has, or at the drain deadline. Second
 * call: cut what is left now. */
void agent_stop(struct agent *a);
/* NULL is fine. */
void agent_free(struct agent *a);

#endif
