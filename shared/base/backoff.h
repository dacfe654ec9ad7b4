/* SPDX-License-Identifier: Apache-2.0
 * backoff.h - how long to wait before the next try: full jitter over a doubling ceiling.
 *
 * Delay n is uniform in [0, min(cap, base * 2^n)]: synchronised failures spread out, and the first
 * retry is quick. A success does not reset it; having been well for @reset_ms does, or a thing that
 * fails right after each start would be restarted at full speed for ever. Pure; randomness comes
 * in.
 */
#ifndef SHARED_BASE_BACKOFF_H
#define SHARED_BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t base_ms, cap_ms, reset_ms;
    unsigned failures;
};

void backoff_init(struct backoff *b, uint32_t base_ms, uint32_t cap_ms, uint32_t reset_ms);
/* One more failure after having been up for @up_ms; @random is any uniform 32-bit number. */
uint32_t backoff_next_ms(struct backoff *b, uint64_t up_ms, uint32_t random);
void backoff_reset(struct backoff *b);

#endif
