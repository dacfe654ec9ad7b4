/* SPDX-License-Identifier: Apache-2.0 */
#include "base/backoff.h"

#include "base/util.h"

void backoff_init(struct backoff *b, uint32_t base_ms, uint32_t cap_ms, uint32_t reset_ms)
{
    *b = (struct backoff){ .base_ms = base_ms, .cap_ms = cap_ms, .reset_ms = reset_ms };
}

uint32_t backoff_next_ms(struct backoff *b, uint64_t up_ms, uint32_t random)
{
    uint64_t ceiling_ms;

    if (up_ms >= b->reset_ms)
        b->failures = 0;
    ceiling_ms = (uint64_t)b->base_ms << MIN(b->failures, 31u);
    ceiling_ms = MIN(ceiling_ms, (uint64_t)b->cap_ms);
    if (b->failures < 31)
        b->failures++;
    return (uint32_t)((ceiling_ms * random) >> 32);
}

void backoff_reset(struct backoff *b)
{
    b->failures = 0;
}
