/* SPDX-License-Identifier: Apache-2.0
 * patience.h - how long side A of a relay waits for side B's first byte, once it has asked.
 *
 * The time begins with the first byte that A says: who asks nothing is owed nothing. When it is
 * over and B has been silent, A's stream can be had back as if nobody had read from it, for a
 * refusal to answer. What A says is copied meanwhile, at most HTTP_HEAD_MAX bytes of it: no request
 * whose head is longer is answered anyway, and of its body nobody needs anything.
 * Owns: that copy. Borrows: the relay, whose tap it is. Runs on: the relay's loop.
 */
#ifndef SHARED_RELAY_PATIENCE_H
#define SHARED_RELAY_PATIENCE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct patience;
struct relay;
struct stream;

/* The time is over, once. @is_silent: B has said nothing, and A can be had back. The callee frees
 * it. */
typedef void patience_over_fn(void *ctx, bool is_silent);

/* @r has just been started. ST_NOMEM. */
enum status patience_new(struct patience **out, struct loop *loop, struct relay *r,
                         uint32_t time_ms, patience_over_fn *over, void *ctx);
uint32_t patience_time_ms(const struct patience *p);
/* From over() with is_silent: ends the relay, side B is closed. What A had said is to be read
 * again from the result, the end of its data too. NULL: no memory for that, A is closed as well. */
struct stream *patience_take_client(struct patience *p);
/* While the relay is in memory. NULL is fine. */
void patience_free(struct patience *p);

#endif
