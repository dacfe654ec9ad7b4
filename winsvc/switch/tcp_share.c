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
 * Without offload a byte takes twice the time, and so does the same queue. It is halved while there
 * is somebody to wait behind it: a flow that moves little, seen in the last LIGHT_TICKS. Alone,
 * bulk flows need no such care, and half of it costs them a tenth to a fifth of their rate.
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
    LEAST_SEGMENTS = 2,
    LIGHT_TICKS = 64, /* 1 s: a person's request a second is enough */
    PAUSE_TICKS = 8,  /* a bulk flow that paused for longer begins anew */
    RECENT_TICKS = 4,
    FAST_BYTES = 2 * 1024 * 1024
};

/* A tick of @f is over: it moved little if neither way was bulk lately. What a download's reader
 * says to its server meanwhile is part of the bulk. */
static void look_back(struct tcp_flow *f, uint32_t tick)
{
    bool any = false;

    for (unsigned way = 0; way < ARRAY_SIZE(f->moved); way++) {
        const struct tcp_moved *last = &f->moved[way];

        any |= last->bytes > 0;
        if (last->bytes >= MUCH_BYTES && tick - last->tick <= PAUSE_TICKS)
            return;
    }
    if (any)
        f->table->light_tick = tick;
}

void tcp_share_end(struct tcp_flow *f)
{
    look_back(f, tcp_now(f->table) / TICK_MS);
}

void tcp_share_count(struct tcp_flow *f, enum tcp_way way, size_t len_bytes)
{
    struct tcp_movers *all = &f->table->movers[way];
    struct tcp_moved *one = &f->moved[way];
    uint32_t tick = tcp_now(f->table) / TICK_MS, before;

    if (all->tick != tick)
        *all = (struct tcp_movers){ .tick = tick, .before = all->now };
    if (one->tick != tick) {
        look_back(f, tick);
        *one = (struct tcp_moved){ .tick = tick, .before = tick - one->tick == 1 ? one->bytes : 0 };
    }
    before = one->bytes;
    one->bytes += (uint32_t)len_bytes;
    if (before < MUCH_BYTES && one->bytes >= MUCH_BYTES)
        all->now++;
}

bool tcp_moves_much(const struct switch_ *s)
{
    uint32_t tick = tcp_now(s->tcp) / TICK_MS;

    for (unsigned way = 0; way < ARRAY_SIZE(s->tcp->movers); way++) {
        const struct tcp_movers *all = &s->tcp->movers[way];

        if ((all->now > 0 || all->before > 0) && tick - all->tick < RECENT_TICKS)
            return true;
    }
    return false;
}

bool tcp_share_is_fast(const struct tcp_flow *f, enum tcp_way way)
{
    const struct tcp_moved *one = &f->moved[way];

    return MAX(one->bytes, one->before) >= FAST_BYTES &&
           tcp_now(f->table) / TICK_MS - one->tick < RECENT_TICKS;
}

/* Whether a queue is shorter in bytes, for somebody who waits behind it. */
static bool is_narrow(const struct tcp_table *t)
{
    bool offload = t->sw->link && frame_link_has_offload(t->sw->link);

    return !offload && tcp_now(t) / TICK_MS - t->light_tick < LIGHT_TICKS;
}

size_t tcp_share_of(const struct tcp_flow *f, enum tcp_way way, size_t most)
{
    const struct tcp_movers *all = &f->table->movers[way];
    size_t part = is_narrow(f->table) ? 2 : 1;
    size_t room = switch_has_large_mtu(f->table->sw) ? 2 * (size_t)ALL_BYTES : (size_t)ALL_BYTES;
    size_t share = room / part / MAX(MAX(all->now, all->before), 1);
    size_t least = MAX(LEAST_BYTES / part, (size_t)LEAST_SEGMENTS * tcp_own_mss(f->table, true));

    return MIN(most, MAX(share, least));
}
