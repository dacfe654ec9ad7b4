/* SPDX-License-Identifier: Apache-2.0
 * link_gate.h - who may become the switch's link: while a token is set, only a stream that begins
 * with it (link/link_token.h); else everybody, but in the place of a link that there is only one
 * that has said something, or has stayed for LINK_GATE_STAY_MS. Who connects only to see whether
 * somebody listens takes nobody's link.
 *
 * A stream has LINK_GATE_MS to say its token. At most LINK_GATE_MAX wait at a time; another one
 * takes the place of the oldest, so that strangers that say nothing do not keep the guest out.
 * Owns: the streams that wait. Runs on: the switch's loop.
 */
#ifndef WINSVC_NETWORK_LINK_GATE_H
#define WINSVC_NETWORK_LINK_GATE_H

#include "link/link_token.h"
#include "port/loop.h"

#include <stdbool.h>
#include <stdint.h>

enum { LINK_GATE_MAX = 8, LINK_GATE_MS = 2000, LINK_GATE_STAY_MS = 200 };

struct link_gate;
struct stream;

/* @s is the receiver's now; what followed the token, or all of it, is still to be read. */
typedef void link_gate_pass_fn(void *ctx, struct stream *s, bool is_proved);

/* One that waits; free while @stream is NULL. */
struct link_gate_wait {
    struct link_gate *gate;
    struct stream *stream; /* owned */
    struct timer deadline;
    uint64_t number; /* the higher the younger */
    uint8_t said[LINK_PREAMBLE_BYTES];
    size_t said_bytes;
};

struct link_gate {
    struct link_gate_wait waits[LINK_GATE_MAX];
    bool has_token;
    struct link_token token;
    uint64_t count;   /* of streams, ever */
    uint64_t refused; /* of them */
    link_gate_pass_fn *pass;
    void *ctx;
};

void link_gate_init(struct link_gate *g, struct loop *loop, link_gate_pass_fn *pass, void *ctx);
/* NULL: everybody passes. Those that wait are closed: they will begin anew. */
void link_gate_set_token(struct link_gate *g, const struct link_token *token);
/* Takes @s. @has_link: it would take another's place. Without a token and without another it passes
 * from within. */
void link_gate_admit(struct link_gate *g, struct stream *s, bool has_link);
/* Closes those that wait. Also for one that was never initialised, if it is zero. */
void link_gate_fini(struct link_gate *g);

#endif
