/* SPDX-License-Identifier: Apache-2.0
 * vigil.h - whether a loop should stay awake for what is expected at once, or sleep. Pure.
 * Owner: an implementation of struct loop, zeroed. Theory: top of vigil.c.
 */
#ifndef SHARED_PORT_VIGIL_H
#define SHARED_PORT_VIGIL_H

#include "port/loop.h"

struct vigil {
    uint64_t until_ns; /* 0: asleep */
    enum loop_expectation kind;
    uint32_t rest;                       /* expectations to sleep through, of any kind */
    uint16_t doubt[LOOP_EXPECTATIONS];   /* how many to sleep through after the next failure */
    uint16_t skipped[LOOP_EXPECTATIONS]; /* how many still are */
};

/* Something of @kind is expected: true, stay awake and ask vigil_goes_on(). */
bool vigil_begin(struct vigil *v, enum loop_expectation kind, uint64_t now_ns);
/* While awake, after the core was offered to others, who had it for @away_ns: false, sleep. */
bool vigil_goes_on(struct vigil *v, uint64_t now_ns, uint64_t away_ns);

#endif
