/* SPDX-License-Identifier: Apache-2.0
 * guest_session.h - one virtual machine: is a guest of ours in it, which protocol does it speak,
 * is its data link up, is its agent healthy?
 *
 * Three ways in are probed side by side, each on its own timer, each dial and read bounded and
 * cancellable: v2 (rdlink.v1 messages, port 6680), generation B (6670, data 6657) and generation A
 * (6669, data 6656). For A and B: read the signature, comparing byte by byte; on a match listen on
 * the data port, dial the handshake port again, write READY, accept the data link. Probing goes on
 * beside a live link: a signature answered again while the link is gone or silent is a fresh guest
 * and gets READY again. The five-minute budget is reported as a condition and is never an end.
 * The three lanes are independent: one virtual machine may hold a generation A and a generation B
 * distribution at once (WSL gives every distribution the same machine), so links are told apart by
 * their generation. Theory of operation: top of guest_session.c.
 * Runs on: the controller's loop.
 */
#ifndef WINSVC_VM_GUEST_SESSION_H
#define WINSVC_VM_GUEST_SESSION_H

#include "base/condition.h"
#include "base/status.h"
#include "ipc/health.h"
#include "port/addr.h"

#include <stdbool.h>
#include <stdint.h>

struct guest_session;
struct loop;
struct stream;
struct vm_info;

enum guest_generation { GUEST_NONE, GUEST_A, GUEST_B, GUEST_V2, GUEST_GENERATION_COUNT };
const char *guest_generation_name(enum guest_generation g); /* "none", "A", "B", "v2" */

enum session_state {
    SESSION_PROBING,   /* nobody of ours answered yet, or the guest went away */
    SESSION_HANDSHAKE, /* signature matched; listening on the data port, READY being sent */
    SESSION_WAIT_LINK, /* READY sent, guest has not dialled the data port yet */
    SESSION_LINKED,    /* data link up (A, B) */
    SESSION_CONTROL,   /* v2: control channel open */
    SESSION_STATE_COUNT
};
const char *session_state_name(enum session_state s);

struct session_config {
    uint32_t probe_interval_ms; /* 0 = 1,000 */
    uint32_t dial_timeout_ms;   /* 0 = 2,000 */
    uint32_t read_timeout_ms;   /* 0 = 5,000: whole signature */
    uint32_t link_timeout_ms;   /* 0 = 10,000: from READY to the data link */
    uint32_t budget_ms;         /* 0 = 300,000: then condition reason HandshakeOverdue */
    uint32_t link_quiet_ms;     /* 0 = 3,000: a link without a frame for so long may be replaced */
    uint32_t port_a, data_a;    /* 0 = 6669, 6656 */
    uint32_t port_b, data_b;    /* 0 = 6670, 6657 */
    uint32_t port_v2, port_docker; /* 0 = 6680, 6660 */
};

struct session_view {
    char vm_id[64];
    struct addr addr;
    enum session_state state; /* of the lane that came furthest: CONTROL, then LINKED, ... */
    enum guest_generation generation;                 /* that lane, GUEST_NONE while PROBING */
    enum session_state lanes[GUEST_GENERATION_COUNT]; /* each lane by itself; [GUEST_NONE] unused */
    uint64_t since_ms;                                /* monotonic, of the state */
    uint64_t probes, matches, mismatches, timeouts, handshakes, links;
    bool agent_reports; /* v2: agent's health is known */
    bool agent_serving; /* v2: the bridge says it serves */
    char agent_version[32];
    int64_t agent_pid;
    char last_error[160];
    struct condition_set conditions;       /* GuestFound, LinkUp, AgentHealthy: guest_session.c */
    struct condition_set agent_conditions; /* v2: as the agent reports them, bounded */
    struct health_counter agent_counters[HEALTH_MAX_COUNTERS];
    unsigned agent_counter_count;
};

struct session_ops {
    /* Something but the counters changed. Comes from the loop, never from within a call to the
     * session; several changes may be told at once. The session may be freed in it. */
    void (*on_change)(void *ctx, struct guest_session *s);
    /* The callee owns @link. When it still holds a link of that generation, the guest was started
     * again: the old one is to be closed, without guest_session_on_link_end(). */
    void (*on_link)(void *ctx, struct guest_session *s, struct stream *link,
                    enum guest_generation generation);
};

/* Probing starts at once. @instance is what we call ourselves in Hello, copied. ST_NOMEM. */
enum status guest_session_new(struct guest_session **out, struct loop *loop,
                              const struct vm_info *vm, const char *instance,
                              const struct session_config *config, const struct session_ops *ops,
                              void *ctx);
/* Starts every probe anew, now: resume from sleep, or a person asked. */
void guest_session_probe_now(struct guest_session *s);
/* The owner of the data link of @generation says that it ended. */
void guest_session_on_link_end(struct guest_session *s, enum guest_generation generation,
                               enum status why);
/* ... or that a frame came through, so that a silent link can be told from a live one. */
void guest_session_on_link_activity(struct guest_session *s, enum guest_generation generation);
void guest_session_view(const struct guest_session *s, struct session_view *out);
/* Cancels everything under way; links handed over stay with their owner. Not from within
 * on_link(). NULL is fine. */
void guest_session_free(struct guest_session *s);

#endif
