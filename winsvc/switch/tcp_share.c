/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Flows that move much at the same time share what may be under way, in each direction.
 *
 * Up, that is what the guest's windows let it queue: a request waits behind all of it, 2 ms for the
 * 2 MiB of eight windows at 8 Gbit/s. Down, it is what was read from sockets before its turn: 2 MiB
 * are out of the processor's cache by then, and are better left where they are. So ALL_BYTES are
 * divided by the number of flows that moved MUCH_BYTES within a tick. With eight each has two
 * super-segments, one under way and one being worked at. Less (96 KiB each) cost a fifth of the
 * rate up, half as much again added a third to the wait of a request.
 *
 * The count is that of this tick or of the one before, whichever is more, however long ago that
 * was: what is stale is corrected within a tick, but a count forgotten in a pause of the machine
 * would open all windows at once, and a window cannot be taken back.
 */
#include "switch/tcp_internal.h"

#include "base/util.h"

enum {
    TICK_MS = 16,
    MUCH_BYTES = 32 * 1024,
    ALL_BYTES = 1024 * 1024,
    LEAST_BYTES = 64 * 1024,
    LEAST_SEGMENTS = 2
};

void tcp_share_count(struct tcp_flow *f, enum tcp_way way, size_t len_bytes)
{
    struct tcp_movers *all = &f->table->movers[way];
    struct tcp_moved *one = &f->moved[way];
    uint32_t tick = tcp_now(f->table) / TICK_MS, before;

    if (all->tick != tick)
        *all = (struct tcp_movers){ .tick = tick, .before = all->now };
    if (one->tick != tick)
        *one = (struct tcp_moved){ .tick = tick };
    before = one->bytes;
    one->bytes += (uint32_t)len_bytes;
    if (before < MUCH_BYTES && one->bytes >= MUCH_BYTES)
        all->now++;
}

size_t tcp_share_of(const struct tcp_flow *f, enum tcp_way way, size_t most)
{
    const struct tcp_movers *all = &f->table->movers[way];
    size_t share = ALL_BYTES / MAX(MAX(all->now, all->before), 1);
    size_t least = MAX((size_t)LEAST_BYTES, (size_t)LEAST_SEGMENTS * tcp_own_mss(f->table, true));

    return MIN(most, MAX(share, least));
}
