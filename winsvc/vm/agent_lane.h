/* SPDX-License-Identifier: Apache-2.0
 * agent_lane.h - the control channel to one unit of rdlink-agent in one virtual machine: dial its
 * vsock port, greet, take in what it reports of itself, and again when the channel ends. There is
 * one for the bridge (port 6680) and one for the network (6681, net_lane.h). Embedded in a guest
 * session, which owns it. Runs on: the controller's loop.
 */
#ifndef WINSVC_VM_AGENT_LANE_H
#define WINSVC_VM_AGENT_LANE_H

#include "ipc/channel.h"
#include "ipc/health.h"
#include "ipc/levels_message.h"
#include "vm/guest_clock.h"
#include "vm/guest_session.h"
#include "vm/lane.h"

#include "port/loop.h"

/* How it ended the last time. */
enum agent_end {
    AGENT_NEVER_SEEN,
    AGENT_REFUSED,       /* something answers, but the greeting did not come to a good end */
    AGENT_WRONG_VERSION, /* an agent of another major version */
    AGENT_PROOF_FAILED,  /* it has another key than we for its instance */
    AGENT_PROOF_MISSING, /* one of us requires proof, and the other gave none */
    AGENT_LOST           /* the channel was open and ended */
};

struct agent_lane_ops {
    /* Open or not, what the agent reports, or how it ended has changed. */
    void (*on_change)(void *ctx);
    void (*on_failure)(void *ctx, enum guest_generation generation, bool nobody, const char *text);
    /* What the guest's containers publish; borrowed for the call. May be NULL. */
    void (*on_published)(void *ctx, const Rdlink__V1__PublishedPorts *ports);
    /* Which of the ports at the guest's own loopback are relayed, and where; likewise. */
    void (*on_relayed)(void *ctx, const Rdlink__V1__PublishedPorts *ports);
};

/* Everything here is borrowed from the session and outlives the lane. */
struct agent_lane_config {
    const char *vm_id;
    const char *instance;         /* in Hello */
    const char *unit;             /* "bridge", for the log */
    const Rdlink__V1__Role *role; /* the only kind of peer that is taken; static */
    struct addr at;
    const struct session_config *times; /* no zeroes left */
    struct lane_totals *totals;
};

/* The key that a greeting went by. */
struct agent_key {
    bool is_there;
    struct proof_key key;
};

struct agent_lane {
    struct loop *loop;
    struct agent_lane_config config;
    const struct agent_lane_ops *ops;
    void *ctx;
    struct timer probe_timer;
    struct dial *dial;
    struct channel *channel; /* owned */
    struct levels_told levels;
    struct channel_proof proof;
    struct agent_key used;
    unsigned proof_failures; /* in a row */
    unsigned quick_probes;   /* that many more come quickly */
    bool is_open;
    uint64_t open_ms;         /* when it was opened */
    bool tried;               /* at least one dial came to an end */
    struct channel_peer peer; /* while open */
    bool reports;             /* @report is the agent's word */
    struct health_report report;
    struct guest_clock clock; /* of this channel */
    enum agent_end end;
    char end_text[160];     /* valid unless AGENT_NEVER_SEEN */
    char notice[100];       /* what the agent said before it exited; may be empty */
    enum agent_end refusal; /* AGENT_PROOF_x when that is why; else AGENT_NEVER_SEEN */
};

void agent_lane_init(struct agent_lane *l, struct loop *loop,
                     const struct agent_lane_config *config, const struct agent_lane_ops *ops,
                     void *ctx);
void agent_lane_probe_now(struct agent_lane *l);
/* The keyring may have changed. Closes an open channel that another key would make another one. */
void agent_lane_keys_changed(struct agent_lane *l);
/* The agent reports, and each of its components says that it serves. */
bool agent_lane_is_serving(const struct agent_lane *l);
/* As channel_send(); ST_CLOSED while the channel is not open. */
enum status agent_lane_send(struct agent_lane *l, Rdlink__V1__Envelope *msg);
void agent_lane_view(const struct agent_lane *l, struct agent_view *out);
void agent_lane_fini(struct agent_lane *l);

#endif
