/* SPDX-License-Identifier: Apache-2.0
 * resolver_sim.h - a struct resolver whose answers the test gives, when it likes.
 *
 * Questions wait until the test answers them by number (0 = the oldest waiting) or a default
 * answer is set. Ownership and rules as in net_sim.h.
 */
#ifndef SHARED_PORT_SIM_RESOLVER_SIM_H
#define SHARED_PORT_SIM_RESOLVER_SIM_H

#include "port/resolver.h"
#include "port/sim/loop_sim.h"

#include <stdbool.h>

struct resolver_sim;

struct resolver_sim *resolver_sim_new(struct sim *sim);
struct resolver *resolver_sim_resolver(struct resolver_sim *r);
/* No question may be waiting. NULL is fine; close() of the contract frees nothing. */
void resolver_sim_free(struct resolver_sim *r);

unsigned resolver_sim_waiting(const struct resolver_sim *r);
/* A waiting question; borrowed until it is answered. */
const uint8_t *resolver_sim_question(const struct resolver_sim *r, unsigned i, size_t *len_bytes);
/* Answers it from the next event on. With @st other than ST_OK the answer is not looked at. */
void resolver_sim_answer(struct resolver_sim *r, unsigned i, enum status st, const void *answer,
                         size_t len_bytes);
/* ask() itself returns @st from now on; ST_OK = works again. */
void resolver_sim_set_ask_fails(struct resolver_sim *r, enum status st);
unsigned resolver_sim_asked(const struct resolver_sim *r);
unsigned resolver_sim_reloads(const struct resolver_sim *r);

#endif
