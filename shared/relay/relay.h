/* SPDX-License-Identifier: Apache-2.0
 * relay.h - copies bytes between two streams, both ways, until both directions have ended.
 *
 * Each direction ends on its own: end of data on one side becomes a shutdown of the other side's
 * write direction, nothing else. When the receiving side cannot take more, the sending side is not
 * read until it can (back-pressure): at most one read's worth of bytes waits per direction.
 * An error on either side ends both, after what that side had said before has got out. Runs on: the
 * loop of both streams. The caller embeds the struct; the relay owns the streams from relay_start()
 * on.
 */
#ifndef SHARED_RELAY_RELAY_H
#define SHARED_RELAY_RELAY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay;
struct stream;

enum relay_side { RELAY_A, RELAY_B };

/* Both streams are closed already. @why is ST_OK after two clean ends, else what killed it;
 * @where is the side that failed. The callee may free the relay. */
typedef void relay_done_fn(void *ctx, enum status why, enum relay_side where);

struct relay_half {
    struct relay *relay;
    struct stream *stream; /* owned */
    enum relay_side side;
    bool eof;       /* this side will send no more, and the other side was told */
    uint64_t bytes; /* read from this side */
};

/* What side A says, before side B hears it; borrowed for the call. Must not end the relay. */
typedef void relay_tap_fn(void *ctx, const uint8_t *data, size_t len_bytes);

struct relay {
    struct relay_half half[2];
    enum status why_dead; /* while one side is dead and the other still drains */
    relay_done_fn *done;
    void *ctx;
    relay_tap_fn *tap; /* NULL = nobody listens */
    void *tap_ctx;
};

/* Takes both streams, starts at once. @done is never called before this returns. */
void relay_start(struct relay *r, struct stream *a, struct stream *b, relay_done_fn *done,
                 void *ctx);
/* Closes both streams now; @done is not called. */
void relay_abort(struct relay *r);
/* From now on; NULL ends it. */
void relay_set_tap(struct relay *r, relay_tap_fn *tap, void *ctx);
/* Both sides live, and side B has neither said anything nor ended. */
bool relay_is_unanswered(const struct relay *r);
/* Ends an unanswered relay: closes side B and gives side A's stream back, which nobody has written
 * to and which wants another handler at once; @done is not called. */
struct stream *relay_take_unanswered(struct relay *r);

#endif
