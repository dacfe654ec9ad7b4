/* SPDX-License-Identifier: Apache-2.0
 * network_service.h - the controller's side of the guests' networks: one switch worker for each
 * guest, that is for each machine and generation of it.
 *
 *     guest_session wants its data link -> network_service_want() -> worker starts, listens at the
 *     guest's data port, Ready -> on_ready(ST_OK) -> the session lets the guest dial (READY, or
 *     NetworkOffer) -> the worker has the link: on_link_start() ... on_link_end()
 *
 * No descriptor crosses processes: the worker listens itself. A worker outlives its link, so a
 * guest that dials again finds its flows; without one for linger_ms, or when the machine is gone,
 * it is ended, and with it every host port it held. Forwards made at run time are remembered here
 * and given to the worker that takes the place of one that died.
 * Theory of operation: network_service.c. Owns: the workers. Runs on: the controller's loop.
 */
#ifndef WINSVC_NETWORK_NETWORK_SERVICE_H
#define WINSVC_NETWORK_NETWORK_SERVICE_H

#include "base/condition.h"
#include "base/status.h"
#include "network/published.h"
#include "vm/guest_session.h"

#include <stdint.h>

struct addr;
struct link_token;
struct loop;
struct network_service;
struct snapshot;
struct snapshot_clock;
struct switch_options;

enum { NETWORK_MAX_WORKERS = 16 };

struct network_service_config {
    const char *program; /* absolute path of rdlinkd; all strings are copied */
    const char *log_level;
    const char *control; /* where a worker's control socket goes, without "-NAME"; "" = none */
    const char *sddl;    /* npipe: who may connect to it; NULL = default */
    uint16_t page_port;  /* of the status page, which no guest reaches; 0 = there is none */
    /* Every worker's, as far as struct config has them; copied. */
    const struct switch_options *options;
    enum publish_policy publish;
    uint32_t drain_ms;
    uint32_t linger_ms; /* 0 = 60,000 */
};

struct network_service_ops {
    void (*on_change)(void *ctx); /* something a status reader can see */
    /* ST_OK: the worker of that guest listens at its data port. Otherwise it does not (any more),
     * @why says why; it is being brought back and on_ready() comes again. */
    void (*on_ready)(void *ctx, const char *vm_id, enum guest_generation generation, enum status st,
                     const char *why);
    void (*on_link_start)(void *ctx, const char *vm_id, enum guest_generation generation);
    /* Frames came in since the last time; about once a second. */
    void (*on_link_activity)(void *ctx, const char *vm_id, enum guest_generation generation);
    void (*on_link_end)(void *ctx, const char *vm_id, enum guest_generation generation,
                        enum status why);
    /* Its worker keeps ending: find the guest anew. */
    void (*on_escalate)(void *ctx, const char *vm_id);
    void (*on_stopped)(void *ctx); /* network_service_stop() is complete */
};

/* ST_NOMEM. */
enum status network_service_new(struct network_service **out, struct loop *loop,
                                const struct network_service_config *config,
                                const struct network_service_ops *ops, void *ctx);
/* The guest wants to be listened for at @data_port; @vm is its machine's address. With a @token its
 * link must begin with that (copied), NULL: any link is taken. on_ready()
 * follows from the loop, at once where the worker listens already. Calls may be repeated. */
void network_service_want(struct network_service *n, const char *vm_id, const struct addr *vm,
                          enum guest_generation generation, uint32_t data_port,
                          const struct link_token *token);
/* Which of them at the guest's own loopback are relayed, and where, all of it. */
void network_service_relay(struct network_service *n, const char *vm_id,
                           const Rdlink__V1__PublishedPorts *ports);
/* What its containers publish from now on, all of it: forwards of every switch that has a link to
 * the machine. */
void network_service_publish(struct network_service *n, const char *vm_id,
                             const Rdlink__V1__PublishedPorts *ports);
/* It does not for now: without a link the worker ends after linger_ms. */
void network_service_release(struct network_service *n, const char *vm_id,
                             enum guest_generation generation);
/* The machine is gone: its workers end now, its host ports are free again. */
void network_service_forget(struct network_service *n, const char *vm_id);
/* Another configuration; @config as in network_service_new(), program, sddl and linger_ms unused.
 * Forwards that came or went are told to the workers; a worker that cannot be told now is started
 * anew. @restart: all of them are started anew, keeping the forwards that were made at run time;
 * otherwise a worker that starts next has the rest. */
void network_service_set(struct network_service *n, const struct network_service_config *config,
                         bool restart);
/* Its workers as components, and their forwards; those that wait for a port come first. */
void network_service_fill(const struct network_service *n, struct snapshot *out,
                          const struct snapshot_clock *clock);
/* How the network of a machine is, as the condition NetworkReady: what the worker
 * of it says that is best off, SwitchStarting or SwitchDown. False: it has none. */
bool network_service_condition(const struct network_service *n, const char *vm_id,
                               struct condition *out);
/* Ends the worker @name, a component's, and starts another one, with the forwards that were made at
 * run time; *restarts as docker_service_restart(). ST_NOTFOUND. */
enum status network_service_restart(struct network_service *n, const char *name,
                                    uint64_t *restarts);
/* Who may ask a control socket, of workers that are made from now on. ST_NOMEM. */
enum status network_service_regrant(struct network_service *n, const char *sddl);
/* Its workers ask their guests now. */
void network_service_look_now(struct network_service *n);
/* Ends all workers; on_stopped() follows, never before this returns. */
void network_service_stop(struct network_service *n);
/* Cuts a running stop short. */
void network_service_kill(struct network_service *n);
/* NULL is fine. */
void network_service_free(struct network_service *n);

#endif
