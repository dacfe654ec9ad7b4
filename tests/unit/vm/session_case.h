/* SPDX-License-Identifier: Apache-2.0
 * session_case.h - a world of one virtual machine and its session: the test opens and closes the
 * machine's ports, plays its guests, and owns the links, that is it plays the host switch. For the
 * tests of vm/guest_session; time is simulated.
 */
#ifndef TESTS_UNIT_VM_SESSION_CASE_H
#define TESTS_UNIT_VM_SESSION_CASE_H

#include "ipc/channel.h"
#include "link/link_token.h"
#include "port/sim/loop_sim.h"
#include "vm/guest_session.h"
#include "vm/vm_source.h"

#include <stdbool.h>
#include <stdint.h>

struct signature;
struct sim_peer;

enum { PORTS_MAX = 5 };

/* A port of the machine: how a dial there ends. Anything not listed refuses. */
struct port_rule {
    uint32_t port;
    struct sim_dial_answer answer;
};

struct world {
    struct sim *sim;
    struct guest_session *s;
    struct vm_info vm;
    struct port_rule ports[PORTS_MAX];
    unsigned port_count;
    /* The host switch: what it says when it is asked for a link (ST_QUEUED: nothing yet), and who
     * is asked for at the moment. */
    enum status switch_says;
    bool wanted[GUEST_GENERATION_COUNT];
    uint32_t wanted_port[GUEST_GENERATION_COUNT];
    bool wanted_token; /* the last one that asked has one */
    struct link_token token;
    /* Of the next session. */
    struct keyring *keys;
    bool require_proof;
    unsigned wants, releases, published; /* published: ports of the last message */
    unsigned relayed, relay_port;        /* likewise; of the first of them */
    unsigned changes;
};

/* ---- the world -------------------------------------------------------------------------- */

/* Counts changes, and answers at once with w->switch_says. */
extern const struct session_ops world_ops;
void world_on_want(void *ctx, struct guest_session *s, enum guest_generation generation,
                   uint32_t data_port, const struct link_token *token);
void world_on_release(void *ctx, struct guest_session *s, enum guest_generation generation);

/* A machine all of whose ports refuse, and its session. */
void world_begin(struct world *w);
/* Frees all of it; sim_free() aborts when the session left anything open. */
void world_end(struct world *w);
/* The same for cmocka: *state is a struct world. */
int world_set_up(void **state);
int world_tear_down(void **state);
/* A session of w->vm as it is now, in place of the one there is. */
void world_new_session(struct world *w, const struct session_ops *ops);

/* Dials to @port of the machine end with @st from now on, after @delay_ms. */
void world_set_port(struct world *w, uint32_t port, enum status st, uint64_t delay_ms);
/* The far end of the next dial to a port of the guest; NULL when there was none. */
struct sim_peer *world_accepted(struct world *w, uint32_t port);
/* The switch changes its mind, or says at last what it has to say. */
void world_switch_says(struct world *w, enum guest_generation generation, enum status st,
                       const char *why);
/* A guest would find somebody of ours at the data port. */
bool world_is_listening(const struct world *w, enum guest_generation generation);

struct session_view world_view(const struct world *w);
void expect_state(const struct world *w, enum session_state state, enum guest_generation g);
void expect_reason(const struct world *w, const char *type, enum condition_status status,
                   const char *reason);

/* ---- what a guest of generation A or B does --------------------------------------------- */

struct guest_kind {
    enum guest_generation generation;
    uint32_t handshake;
    const struct signature *signature;
};

extern const struct guest_kind A, B;

/* network-setup starts. */
void guest_listens(struct world *w, const struct guest_kind *k);
/* It answers the probe that is there by now. */
void guest_answers_probe(struct world *w, const struct guest_kind *k);
/* It accepts the connection that brings READY, and leaves its loop. */
void guest_takes_ready(struct world *w, const struct guest_kind *k);
/* Its data link reaches the switch, which tells. */
void guest_dials_data(struct world *w, const struct guest_kind *k);
/* All of this in order, a second from now. */
void guest_links(struct world *w, const struct guest_kind *k);

/* ---- what a unit of rdlink-agent does ----------------------------------------------------- */

struct agent_kind {
    uint32_t port;
    Rdlink__V1__Role role;
};

extern const struct agent_kind BRIDGE, NET;

/* It starts, and answers the greeting that is there a second from now. */
struct sim_peer *agent_comes(struct world *w, const struct agent_kind *k);
void agent_greets(struct world *w, struct sim_peer *p, const struct agent_kind *k, uint32_t major);
void agent_sends(struct world *w, struct sim_peer *p, const Rdlink__V1__Envelope *msg);

#endif
