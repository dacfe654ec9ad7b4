/* SPDX-License-Identifier: Apache-2.0
 * control_server.h - where the host asks the agent how it is: rdlink.v1 on a port of its own.
 *
 * The host dials (the guest needs no route to it); every channel gets Ready once and a HealthReport
 * at least every second. The host may ask and offer, not order: there is no message by which it
 * could stop the guest's side. A greeting takes 5 s at most. At most CONTROL_MAX_CHANNELS; a new
 * one replaces the oldest that has not greeted, then the oldest that is not proved, then the
 * oldest: one whose host died unheard must not lock the new host out, nor strangers that say
 * nothing the one that is there. Once a second our key is looked at; when it is another one, every
 * channel ends, so that hosts greet anew. Runs on: one loop.
 */
#ifndef GUESTAGENT_CONTROL_SERVER_H
#define GUESTAGENT_CONTROL_SERVER_H

#include "base/status.h"
#include "ipc/health.h"

#include <stdbool.h>
#include <stdint.h>

enum { CONTROL_MAX_CHANNELS = 4 };

struct addr;
struct control_server;
struct health_report;
struct identity;
struct listener_opts;
struct loop;

/* Who serves here. The unit's own, static. */
struct control_source {
    Rdlink__V1__Role role;    /* ROLE_AGENT_BRIDGE, _NET or _RELAY */
    Rdlink__V1__Role peer;    /* whom it takes */
    const char *ready_detail; /* of Ready, for people */
    /* Adds what there is to say to an empty report. */
    void (*report)(void *ctx, struct health_report *out);
    /* The agent does its job: Ready may be sent. */
    bool (*is_serving)(void *ctx);
    /* What a host is told after its greeting and at each control_server_publish(); borrowed for the
     * call. False: nothing yet. May be NULL. */
    bool (*publish)(void *ctx, Rdlink__V1__Envelope *out);
    /* A host, proved or not, offers its network, on channel @channel (never 0, never used again);
     * borrowed for the call. Must not free the server. NULL: such are ignored. */
    void (*on_offer)(void *ctx, uint64_t channel, bool is_proved,
                     const Rdlink__V1__NetworkOffer *offer);
    /* Which ports at the guest's own loopback that host wants relayed; otherwise as on_offer(). */
    void (*on_relay)(void *ctx, uint64_t channel, bool is_proved,
                     const Rdlink__V1__PublishedPorts *ports);
    /* A channel that had been greeted ended. Must not free the server. May be NULL. */
    void (*on_gone)(void *ctx, uint64_t channel);
};

/* @source and @identity are borrowed for life. ST_NOMEM. */
enum status control_server_new(struct control_server **out, struct loop *loop,
                               const struct identity *identity, const struct control_source *source,
                               void *ctx, struct errmsg *e);
/* One address. Statuses of listener_open(). */
enum status control_server_listen(struct control_server *c, const struct addr *at,
                                  const struct listener_opts *opts, struct errmsg *e);
/* Reports to everybody now instead of within a second. */
void control_server_changed(struct control_server *c);
/* Asks the source's publish() and tells everybody. */
void control_server_publish(struct control_server *c);
/* Says goodbye (ExitNotice) and closes everything. NULL is fine. */
void control_server_free(struct control_server *c);

#endif
