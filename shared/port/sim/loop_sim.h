/* SPDX-License-Identifier: Apache-2.0
 * loop_sim.h - a loop with a virtual clock and a scripted outside world, for tests.
 *
 * Nothing here is real: no descriptor, no thread, no time. The code under test gets sim_loop() and
 * cannot tell; the test plays everybody else and decides when anything happens:
 *
 *     struct sim *sim = sim_new();
 *     sim_next_dial(sim, ST_OK, 5);                      the next dial succeeds after 5 ms
 *     code_under_test_start(sim_loop(sim));
 *     sim_advance_ms(sim, 5);
 *     struct sim_peer *guest = sim_take_dialled(sim);    the far end of that stream
 *     sim_peer_send_text(guest, "hello");
 *     sim_run(sim);                                      deliver
 *     assert_string_equal(sim_peer_text(guest), "hi");   what the code under test answered
 *     ...
 *     sim_free(sim);                                     aborts if anything was left open
 *
 * Callbacks reach the code under test only from within sim_step(), sim_run() and sim_advance_ms(),
 * so "never before this returns" holds as in production. Events of one moment are handled in the
 * order they arose; sim_shuffle() makes that order random but repeatable. The order of bytes, end
 * and error within one stream is never changed.
 *
 * Ownership: the sim owns every peer until sim_free(), also after the stream was closed, so a test
 * may look at what arrived afterwards. A broken rule (use after close, a second close, something
 * still open at the end) is an ASSERT. Running out of memory in the sim itself is one too.
 */
#ifndef SHARED_PORT_SIM_LOOP_SIM_H
#define SHARED_PORT_SIM_LOOP_SIM_H

#include "port/listener.h"
#include "port/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct sim;
struct sim_peer; /* stream_sim.h: the test's end of a stream */

/* A delay that never passes. */
#define SIM_NEVER UINT64_MAX

struct sim *sim_new(void);
/* Every stream, dial and listener must be closed and every timer stopped. NULL is fine. */
void sim_free(struct sim *sim);
struct loop *sim_loop(struct sim *sim);

/* ---- time and order -------------------------------------------------------------------- */

uint64_t sim_now_ms(const struct sim *sim);
/* Handles one event that is due; false when there is none. */
bool sim_step(struct sim *sim);
/* Handles everything due now, and what that causes, without letting time pass. */
void sim_run(struct sim *sim);
/* sim_run(), then lets @ms pass, stopping at each timer and delayed event on the way. */
void sim_advance_ms(struct sim *sim, uint64_t ms);
/* Lets @ms pass in which we did not run: the computer slept, the process was stopped. What fell due
 * meanwhile is handled late, by the next sim_run(). */
void sim_stall_ms(struct sim *sim, uint64_t ms);
/* Among events due at the same time the next is chosen at random from now on. 0 = in order again.
 */
void sim_shuffle(struct sim *sim, uint64_t seed);
/* When the next timer or delayed event is due; SIM_NEVER when nothing is under way. */
uint64_t sim_next_due_ms(const struct sim *sim);

/* ---- dials ------------------------------------------------------------------------------ */

struct sim_dial_answer {
    enum status st;    /* ST_OK connects; anything else is how the dial fails */
    uint64_t delay_ms; /* SIM_NEVER, or beyond the dial's timeout: it ends with ST_TIMEOUT */
};

/* Appends to the script: answers are used up in order, whatever address is dialled. */
void sim_next_dial(struct sim *sim, enum status st, uint64_t delay_ms);
/* The next dial_start() itself returns @st and starts nothing. */
void sim_next_dial_start_fails(struct sim *sim, enum status st);
/* Decides each dial for which the script has nothing. Without it such a dial is refused at once. */
typedef struct sim_dial_answer sim_dial_fn(void *ctx, const struct addr *to);
void sim_on_dial(struct sim *sim, sim_dial_fn *decide, void *ctx);
/* Dials started so far, successful or not. */
unsigned sim_dial_count(const struct sim *sim);
/* Dials under way. */
unsigned sim_dials_pending(const struct sim *sim);
/* The far end of the oldest successful dial not taken yet; NULL when there is none. */
struct sim_peer *sim_take_dialled(struct sim *sim);
/* The same, of dials to @to only. */
struct sim_peer *sim_take_dialled_to(struct sim *sim, const struct addr *to);

/* ---- listeners -------------------------------------------------------------------------- */

/* Peers ready for use with sim_connect(). */
extern const struct peer sim_host_peer;  /* vsock, CID 2 */
extern const struct peer sim_local_peer; /* unix socket: no CID, pid 1234, uid 0 */
/* A vsock peer of any CID. */
struct peer sim_vsock_peer(uint32_t cid);

/* The next listener_open() fails. */
void sim_next_listen_fails(struct sim *sim, enum status st);
bool sim_is_listening(const struct sim *sim, const struct addr *at);
/* @who connects to the listener at @at; it is accepted by the next event, or waits while the
 * listener is paused. NULL when nobody listens there. */
struct sim_peer *sim_connect(struct sim *sim, const struct addr *at, const struct peer *who);
/* The listener at @at reports a state now, as from an event. */
void sim_listener_report(struct sim *sim, const struct addr *at, enum status st, const char *why);

/* ---- leaks ------------------------------------------------------------------------------ */

/* What the code under test holds open. */
unsigned sim_open_streams(const struct sim *sim);
unsigned sim_open_listeners(const struct sim *sim);

#endif
