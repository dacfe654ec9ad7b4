/* SPDX-License-Identifier: Apache-2.0
 * guest_session.h - one virtual machine: is a guest of ours in it, which protocol does it speak,
 * is its data link up, is its agent healthy?
 *
 * Four ways in are probed side by side, each on its own timer, each dial and read bounded and
 * cancellable: v2 (rdlink.v1 messages; our bridge at port 6680, our network unit at 6681, data
 * 6658), generation B (6670, data 6657) and generation A (6669, data 6656). For A and B: read the
 * signature, comparing byte by byte; on a match have the data port listened at, dial the handshake
 * port again and write READY. For v2: have the data port listened at, and say so in a NetworkOffer.
 * Probing goes on beside a live link: a signature answered again while the link is gone or silent
 * is a fresh guest and gets READY again. The five-minute budget is reported as a condition and is
 * never an end.
 * The lanes are independent: one virtual machine may hold a generation A and a generation B
 * distribution at once (WSL gives every distribution the same machine), so links are told apart by
 * their generation. The data links themselves are the owner's: session_ops asks for them, and the
 * owner tells what became of them. Theory of operation: top of guest_session.c.
 * Runs on: the controller's loop.
 */
#ifndef WINSVC_VM_GUEST_SESSION_H
#define WINSVC_VM_GUEST_SESSION_H

#include "base/condition.h"
#include "base/status.h"
#include "ipc/channel.h"
#include "ipc/health.h"
#include "port/addr.h"
#include "vm/guest_clock.h"

#include <stdbool.h>
#include <stdint.h>

struct guest_session;
struct keyring;
struct link_token;
struct loop;
struct vm_info;

enum guest_generation { GUEST_NONE, GUEST_A, GUEST_B, GUEST_V2, GUEST_GENERATION_COUNT };
const char *guest_generation_name(enum guest_generation g); /* "none", "A", "B", "v2" */

enum session_state {
    SESSION_PROBING,   /* nobody of ours answered yet, or the guest went away */
    SESSION_HANDSHAKE, /* signature matched; the data port is seen to, READY being sent */
    SESSION_WAIT_LINK, /* READY sent, guest has not dialled the data port yet */
    SESSION_LINKED,    /* data link up (A, B) */
    SESSION_CONTROL,   /* v2: a control channel is open */
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
    uint32_t port_v2, port_net, data_v2; /* 0 = 6680, 6681, 6658 */
    uint32_t mtu;                        /* told to our own agent; 0 = its own choice */
    const struct keyring *keys;          /* borrowed; NULL = this host has none */
    bool relays_ports;  /* the guest is asked to relay what is published at its own loopback */
    bool require_proof; /* only an agent that proves itself is taken, no A or B */
};

/* One unit of rdlink-agent, as it reports itself. */
struct agent_view {
    bool reports;                      /* its health is known */
    bool serving;                      /* and it says that it serves */
    enum channel_proved proved;        /* CHANNEL_NOT_ASKED while no channel is open */
    char instance[PROOF_INSTANCE_MAX]; /* as it calls itself; proved or not */
    char version[32];
    int64_t pid;
    struct guest_clock clock;
    struct condition_set conditions;
    struct health_counter counters[HEALTH_MAX_COUNTERS];
    unsigned counter_count;
};

struct session_view {
    char vm_id[64];
    struct addr addr;
    enum session_state state; /* of the lane that came furthest: CONTROL, then LINKED, ... */
    enum guest_generation generation;                 /* that lane, GUEST_NONE while PROBING */
    enum session_state lanes[GUEST_GENERATION_COUNT]; /* each lane by itself; [GUEST_NONE] unused */
    uint64_t since_ms;                                /* monotonic, of the state */
    uint64_t probes, matches, mismatches, timeouts, handshakes, links, proofs, proof_failures;
    char last_error[160];
    struct condition_set conditions; /* GuestFound, LinkUp, AgentHealthy...: guest_session.c */
    struct agent_view bridge, net;   /* v2 */
};

struct session_ops {
    /* Something but the counters changed. Comes from the loop, never from within a call to the
     * session; several changes may be told at once. The session may be freed in it. */
    void (*on_change)(void *ctx, struct guest_session *s);
    /* The guest is there: its link is to be listened for at @data_port. guest_session_link_ready()
     * follows, now or later, and again whenever it changes. May be repeated. With a @token, which
     * the guest is told, its link begins with that (link/link_token.h); NULL: it does not. */
    void (*want_link)(void *ctx, struct guest_session *s, enum guest_generation generation,
                      uint32_t data_port, const struct link_token *token);
    /* For now not any more. A link that exists goes on. */
    void (*release_link)(void *ctx, struct guest_session *s, enum guest_generation generation);
    /* The ports that the guest's containers publish, all of them; borrowed for the call. */
    void (*on_published)(void *ctx, struct guest_session *s,
                         const Rdlink__V1__PublishedPorts *ports);
    /* Which of those at its own loopback it relays, and where (relay_port); likewise. None when
     * nobody does any more. */
    void (*on_relayed)(void *ctx, struct guest_session *s, const Rdlink__V1__PublishedPorts *ports);
};

/* Probing starts at once. @instance is what we call ourselves in Hello, copied. ST_NOMEM. */
enum status guest_session_new(struct guest_session **out, struct loop *loop,
                              const struct vm_info *vm, const char *instance,
                              const struct session_config *config, const struct session_ops *ops,
                              void *ctx);
/* Starts every probe anew, now: resume from sleep, or a person asked. */
void guest_session_probe_now(struct guest_session *s);
/* What may change while it runs: of @config probe_interval_ms (0 = 1,000), relays_ports, and mtu,
 * which counts from the next offer on. */
void guest_session_set(struct guest_session *s, const struct session_config *config);
/* The keyring may hold other keys: an agent that was greeted with what has changed is greeted anew.
 */
void guest_session_keys_changed(struct guest_session *s);
/* ST_OK: somebody listens at the data port of @generation. ST_UNSUPPORTED: this host has no switch
 * and will not have one. Anything else: not (any more), @why says why; ST_EXISTS = the port is
 * somebody else's. Fine when it was not asked for. */
void guest_session_link_ready(struct guest_session *s, enum guest_generation generation,
                              enum status st, const char *why);
/* What the owner of the data link has to say about it: the guest dialled (which replaces the link
 * that there was), a frame came (so that a silent link can be told from a live one), it ended. */
void guest_session_on_link_start(struct guest_session *s, enum guest_generation generation);
void guest_session_on_link_activity(struct guest_session *s, enum guest_generation generation);
void guest_session_on_link_end(struct guest_session *s, enum guest_generation generation,
                               enum status why);
void guest_session_view(const struct guest_session *s, struct session_view *out);
/* Cancels everything under way, and releases nothing: the owner knows which links it has. Not from
 * within want_link() or release_link(). NULL is fine. */
void guest_session_free(struct guest_session *s);

#endif
