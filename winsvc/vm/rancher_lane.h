/* SPDX-License-Identifier: Apache-2.0
 * rancher_lane.h - one generation (A or B) of Rancher's handshake with one virtual machine: probe,
 * see that somebody listens for the data link, READY, and again. Embedded in a guest session, which
 * owns it; theory of operation: top of guest_session.c. Runs on: the controller's loop.
 */
#ifndef WINSVC_VM_RANCHER_LANE_H
#define WINSVC_VM_RANCHER_LANE_H

#include "base/log.h"
#include "vm/guest_session.h"
#include "vm/handshake.h"
#include "vm/lane.h"

/* What the latest probe found. */
enum lane_finding {
    LANE_NOT_TRIED,
    LANE_NOBODY,       /* the dial failed */
    LANE_PEER_CLOSED,  /* accepted, then closed before the signature was complete */
    LANE_PEER_SILENT,  /* accepted, but no complete signature in time */
    LANE_WRONG_PHRASE, /* somebody else speaks on that port */
    LANE_ANSWERED
};

struct rancher_lane;

struct rancher_lane_ops {
    /* State, finding or trouble changed. */
    void (*on_change)(void *ctx);
    /* A conversation failed; @nobody = there was nobody to talk to, which is what most probes of
     * an empty port find. */
    void (*on_failure)(void *ctx, enum guest_generation generation, bool nobody, const char *text);
    /* As session_ops of guest_session.h. */
    void (*want_link)(void *ctx, enum guest_generation generation);
    void (*release_link)(void *ctx, enum guest_generation generation);
};

/* Everything here is borrowed from the session and outlives the lane. */
struct rancher_lane_config {
    enum guest_generation generation;
    const struct signature *signature;
    const char *vm_id;
    const struct addr *vm; /* without a port */
    uint32_t handshake_port;
    const struct session_config *times; /* no zeroes left */
    struct lane_totals *totals;
};

struct rancher_lane {
    struct loop *loop;
    struct rancher_lane_config config;
    const struct rancher_lane_ops *ops;
    void *ctx;
    enum session_state state; /* never SESSION_CONTROL */
    enum lane_finding finding;
    enum lane_trouble trouble;
    char trouble_text[160];
    bool unhurried; /* an agent's control channel is open: probe less often */
    bool asking;    /* within want_link() */
    struct lane_link link;
    struct handshake handshake;
    struct timer probe_timer;
    struct timer link_timer; /* until the listener, then the link, has to be there */
    struct log_limit changes_log;
};

void rancher_lane_init(struct rancher_lane *l, struct loop *loop,
                       const struct rancher_lane_config *config, const struct rancher_lane_ops *ops,
                       void *ctx);
void rancher_lane_probe_now(struct rancher_lane *l);
void rancher_lane_set_unhurried(struct rancher_lane *l, bool unhurried);
/* The four things that the owner of the data link tells. */
void rancher_lane_link_ready(struct rancher_lane *l, enum status st, const char *why);
void rancher_lane_link_started(struct rancher_lane *l);
void rancher_lane_link_active(struct rancher_lane *l);
void rancher_lane_link_ended(struct rancher_lane *l, enum status why);
void rancher_lane_fini(struct rancher_lane *l);

#endif
