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
 * Runs on: the controller's loop.
 */
#ifndef WINSVC_VM_GUEST_SESSION_H
#define WINSVC_VM_GUEST_SESSION_H

#include "base/condition.h"
#include "base/status.h"
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
    uint32_t probe_interval_ms;  /* 0 = 1,000 */
    uint32_t dial_timeout_ms;    /* 0 = 2,000 */
    uint32_t read_timeout_ms;    /* 0 = 5,000: whole signature */
    uint32_t link_timeout_ms;    /* 0 = 10,000: from READY to the data link */
    uint32_t budget_ms;          /* 0 = 300,000: then condition HandshakeOverdue */
    uint32_t port_a, data_a, port_b, data_b, port_v2, port_docker; /* 0 = 6669 6656 6670 6657 6680 6660 */
};

struct session_view {
    char vm_id[64];
    struct addr addr;
    enum session_state state;
    enum guest_generation generation;
    uint64_t since_ms;      /* monotonic, of the state */
    uint64_t probes, matches, mismatches, timeouts, handshakes, links;
    bool agent_reports;     /* v2: agent's health is known */
    bool agent_serving;     /* v2: the bridge says it serves */
    char agent_version[32];
    int64_t agent_pid;
    char last_error[160];
    struct condition_set conditions; /* GuestFound, LinkUp, AgentHealthy */
};

struct session_ops {
    void (*on_change)(void *ctx, struct guest_session *s);
    void (*on_link)(void *ctx, struct guest_session *s, struct stream *link); /* callee owns */
};

enum status guest_session_new(struct guest_session **out, struct loop *loop,
                              const struct vm_info *vm, const char *instance,
                              const struct session_config *config, const struct session_ops *ops,
                              void *ctx);
void guest_session_probe_now(struct guest_session *s);
/* The owner of the data link says that it ended. */
void guest_session_on_link_end(struct guest_session *s, enum status why);
/* ... or that a frame came through, so that a silent link can be told from a live one. */
void guest_session_on_link_activity(struct guest_session *s);
void guest_session_view(const struct guest_session *s, struct session_view *out);
/* Cancels everything under way. NULL is fine. */
void guest_session_free(struct guest_session *s);

#endif
