/* SPDX-License-Identifier: Apache-2.0
 * vm_manager.h - all virtual machines of this computer: source, difference, one session each.
 *
 * Snapshots become sessions (guest_session.h); a session that changes is reported through
 * on_change. Owns: the source and the sessions. Runs on: the controller's loop.
 */
#ifndef WINSVC_VM_VM_MANAGER_H
#define WINSVC_VM_VM_MANAGER_H

#include "vm/guest_session.h"
#include "vm/vm_source.h"

struct vm_manager;

struct vm_manager_config {
    struct session_config session;
    const char *instance; /* what we call ourselves in Hello */
};

struct vm_manager_ops {
    /* Any session (or the source) changed in a way a reader can see. */
    void (*on_change)(void *ctx);
    /* As session_ops of guest_session.h; @vm is the machine's address. Answer with
     * vm_manager_link_ready(). */
    void (*want_link)(void *ctx, const char *vm_id, const struct addr *vm,
                      enum guest_generation generation, uint32_t data_port,
                      const struct link_token *token);
    void (*release_link)(void *ctx, const char *vm_id, enum guest_generation generation);
    void (*on_published)(void *ctx, const char *vm_id, const Rdlink__V1__PublishedPorts *ports);
    void (*on_relayed)(void *ctx, const char *vm_id, const Rdlink__V1__PublishedPorts *ports);
    /* The machine is gone (or comes anew at another address): what it wanted is void. */
    void (*on_gone)(void *ctx, const char *vm_id);
};

enum status vm_manager_new(struct vm_manager **out, struct loop *loop,
                           const struct vm_manager_config *config, const struct vm_manager_ops *ops,
                           void *ctx);
/* Feed to any vm_source as its callback (ctx = the manager). */
void vm_manager_on_snapshot(void *ctx, const struct vm_snapshot *snap);
/* Probe everything now: resume from sleep, network change, a person asked. */
void vm_manager_probe_now(struct vm_manager *m);
/* As guest_session_set(), of all sessions and of those to come. */
void vm_manager_set(struct vm_manager *m, const struct session_config *config);
/* Forgets all that is known of the machine and begins as if it had just been found; what it wanted
 * is released. For a chain that keeps failing. An unknown @vm_id is fine. */
void vm_manager_rediscover(struct vm_manager *m, const char *vm_id);
/* As guest_session_keys_changed(), of every session. */
void vm_manager_keys_changed(struct vm_manager *m);
/* As the functions of guest_session.h; an unknown @vm_id (gone meanwhile) is fine. */
void vm_manager_link_ready(struct vm_manager *m, const char *vm_id,
                           enum guest_generation generation, enum status st, const char *why);
void vm_manager_on_link_start(struct vm_manager *m, const char *vm_id,
                              enum guest_generation generation);
void vm_manager_on_link_activity(struct vm_manager *m, const char *vm_id,
                                 enum guest_generation generation);
void vm_manager_on_link_end(struct vm_manager *m, const char *vm_id,
                            enum guest_generation generation, enum status why);
unsigned vm_manager_count(const struct vm_manager *m);
void vm_manager_view(const struct vm_manager *m, unsigned i, struct session_view *out);
bool vm_manager_source_exists(const struct vm_manager *m);
void vm_manager_free(struct vm_manager *m);

#endif
