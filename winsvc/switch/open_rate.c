/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A SYN or a datagram from a new port costs the guest one frame and the switch a socket of the
 * host: made, polled, closed, some twenty times a frame's work. At 10,000 a second that is a
 * quarter of a core, which flows that move much would have had. So beside such flows sockets are
 * made at a bounded rate: a bucket of BURST tokens, filled at limits.opens_beside_bulk a second.
 * What comes when it is empty is dropped and says nothing, as if the network were busy, which it
 * is: a SYN is sent again after a second, and so is a question.
 *
 * Without bulk there is no bound: connections as fast as they can be made disturb nobody. Tokens
 * are taken all the same, so a flood that was there before the bulk does not begin with a burst.
 *
 * A datagram's socket takes two tokens: it costs as much as a connection's and, in a scan, the end
 * of an older flow as well, and there is no half-open table that bounds it before.
 *
 * The bucket is one time: when it will be full. Taking moves it one token's time ahead, and it is
 * empty when that is BURST tokens' time away. Milliseconds are coarse for that, hence the fraction.
 */
#include "switch/switch_internal.h"

#include "base/util.h"

enum { BURST = 512, UNITS_PER_MS = 1000 };

bool open_rate_take(struct switch_ *s, unsigned tokens)
{
    uint64_t now = switch_now_ms(s) * UNITS_PER_MS;
    uint64_t token = MAX(1000 * UNITS_PER_MS / s->config.limits.opens_beside_bulk, 1);
    uint64_t full = MAX(s->opens.full_at, now);

    if (full - now >= BURST * token) {
        s->opens.full_at = now + BURST * token;
        if (tcp_moves_much(s)) {
            s->count.open_limit_hits++;
            return false;
        }
        return true;
    }
    s->opens.full_at = full + tokens * token;
    return true;
}
