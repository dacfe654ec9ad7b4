/* SPDX-License-Identifier: Apache-2.0
 * session_case.h - a world of one virtual machine and its session: the test opens and closes the
 * machine's ports, plays its guests, and owns the links. For the tests of vm/guest_session; time is
 * simulated.
 */
#ifndef TESTS_UNIT_VM_SESSION_CASE_H
#define TESTS_UNIT_VM_SESSION_CASE_H

#include "port/sim/loop_sim.h"
#include "vm/guest_session.h"
#include "vm/vm_source.h"

#include <stdbool.h>
#include <stdint.h>

struct signature;
struct sim_peer;

enum { PORTS_MAX = 4, LINKS_MAX = 8 };

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
    struct stream *links[LINKS_MAX]; /* in order of arrival; the test plays their owner */
    enum guest_generation link_generation[LINKS_MAX];
    unsigned link_count;
    unsigned changes;
};

/* ---- the world -------------------------------------------------------------------------- */

/* Counts changes and keeps links in a struct world. */
extern const struct session_ops world_ops;
void world_on_link(void *ctx, struct guest_session *s, struct stream *link,
                   enum guest_generation generation);

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
/* Where a guest dials to reach @port of the host. */
struct addr world_data_port(const struct world *w, uint32_t port);
bool world_is_listening(const struct world *w, uint32_t port);

struct session_view world_view(const struct world *w);
void expect_state(const struct world *w, enum session_state state, enum guest_generation g);
void expect_reason(const struct world *w, const char *type, enum condition_status status,
                   const char *reason);

/* ---- what a guest of generation A or B does --------------------------------------------- */

struct guest_kind {
    enum guest_generation generation;
    uint32_t handshake, data;
    const struct signature *signature;
};

extern const struct guest_kind A, B;

/* network-setup starts. */
void guest_listens(struct world *w, const struct guest_kind *k);
/* It answers the probe that is there by now. */
void guest_answers_probe(struct world *w, const struct guest_kind *k);
/* It accepts the connection that brings READY, and leaves its loop. */
void guest_takes_ready(struct world *w, const struct guest_kind *k);
/* Its data link; the session has seen it. */
struct sim_peer *guest_dials_data(struct world *w, const struct guest_kind *k);
/* All of this in order, a second from now. */
struct sim_peer *guest_links(struct world *w, const struct guest_kind *k);

#endif
