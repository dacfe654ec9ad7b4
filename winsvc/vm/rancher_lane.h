/* SPDX-License-Identifier: Apache-2.0
 * rancher_lane.h - one generation (A or B) of Rancher's handshake with one virtual machine: probe,
 * listen, READY, data link, and again. Embedded in a guest session, which owns it; theory of
 * operation: top of guest_session.c. Runs on: the controller's loop.
 */
#ifndef WINSVC_VM_RANCHER_LANE_H
#define WINSVC_VM_RANCHER_LANE_H

#include "base/log.h"
#include "vm/guest_session.h"
#include "vm/handshake.h"

struct listener;

/* What the latest probe found. */
enum lane_finding {
    LANE_NOT_TRIED,
    LANE_NOBODY,       /* the dial failed */
    LANE_PEER_CLOSED,  /* accepted, then closed before the signature was complete */
    LANE_PEER_SILENT,  /* accepted, but no complete signature in time */
    LANE_WRONG_PHRASE, /* somebody else speaks on that port */
    LANE_ANSWERED
};

/* Why the lane has no data link although a guest answered. */
enum lane_trouble {
    LANE_NO_TROUBLE,
    LANE_PORT_TAKEN,    /* the data port is somebody else's */
    LANE_LISTEN_FAILED, /* ... or could not be opened for another reason */
    LANE_READY_FAILED,  /* the second dial or READY itself did not get through */
    LANE_LINK_TIMEOUT,  /* READY sent, no data link in time: a phantom, or the guest died */
    LANE_LINK_LOST      /* there was a data link */
};

/* Shared by the lanes of a session. */
struct lane_totals {
    uint64_t probes, matches, mismatches, timeouts, handshakes, links;
};

struct rancher_lane;

struct rancher_lane_ops {
    /* State, finding or trouble changed. */
    void (*on_change)(void *ctx);
    /* A conversation failed; @nobody = there was nobody to talk to, which is what most probes of
     * an empty port find. */
    void (*on_failure)(void *ctx, enum guest_generation generation, bool nobody, const char *text);
    /* Last thing the lane does in that event. */
    void (*on_link)(void *ctx, enum guest_generation generation, struct stream *link);
};

/* Everything here is borrowed from the session and outlives the lane. */
struct rancher_lane_config {
    enum guest_generation generation;
    const struct signature *signature;
    const char *vm_id;
    const struct addr *vm; /* without a port */
    uint32_t handshake_port, data_port;
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
    bool unhurried; /* the agent's control channel is open: probe less often */
    bool link_live; /* the owner of the data link has not said that it ended */
    uint64_t link_start_ms, link_active_ms;
    struct handshake handshake;
    struct timer probe_timer;
    struct timer link_timer;   /* runs while the listener waits for a link */
    struct listener *listener; /* owned; NULL until a signature matched */
    struct log_limit changes_log;
};

void rancher_lane_init(struct rancher_lane *l, struct loop *loop,
                       const struct rancher_lane_config *config, const struct rancher_lane_ops *ops,
                       void *ctx);
void rancher_lane_probe_now(struct rancher_lane *l);
void rancher_lane_set_unhurried(struct rancher_lane *l, bool unhurried);
void rancher_lane_link_ended(struct rancher_lane *l, enum status why);
void rancher_lane_link_active(struct rancher_lane *l);
void rancher_lane_fini(struct rancher_lane *l);

#endif
