/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/guest_clock.h"

#include "base/util.h"

/* A report is some milliseconds old, and its second may have turned in between. */
enum { STILL_MS = 1500 };

bool guest_clock_look(struct guest_clock *c, int64_t theirs_ms, int64_t ours_ms)
{
    const int64_t most_ms = (int64_t)GUEST_CLOCK_MOST_S * 1000;
    int64_t ahead_ms, off_ms;

    if (theirs_ms <= 0)
        return false;
    /* What a guest says may be any number: no difference of it is taken before it is bounded. */
    ahead_ms = theirs_ms > ours_ms + most_ms ? most_ms : MAX(theirs_ms - ours_ms, -most_ms);
    off_ms = ahead_ms - c->ahead_s * 1000;
    if (c->is_known && off_ms > -STILL_MS && off_ms < STILL_MS)
        return false;
    c->is_known = true;
    c->ahead_s = (ahead_ms + (ahead_ms < 0 ? -500 : 500)) / 1000;
    return true;
}
