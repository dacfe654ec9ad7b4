/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: a relay between two peers that do anything a peer may do, in any order.
 *
 *     peer A  ~~~  relay  ~~~  peer B        each step: one of them sends, stalls, takes some,
 * ends, changes its piece size, goes away; or events happen
 *
 * Both peers send a numbered pattern, so that a lost, doubled or moved byte shows where. Checked
 * after every step: what arrived is a prefix of what was sent; an end arrived only after all of it;
 * what waits in the relay is bounded. Checked at the end, with both peers taking everything and
 * both ended: if nobody was reset, everything arrived, each end once, done() once with ST_OK; after
 * a reset, done() once with it. sim_free() checks that nothing is left.
 *
 * A seed decides everything. `relay_scenario_test SEED` replays one; without it FIRST_SEED and the
 * next SEEDS are run. A failure prints the command.
 */
#include "port/sim/stream_sim.h"
#include "relay/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SEED = 1, SEEDS = 2000, STEPS = 120, MAX_SEND = 150000 };

struct side {
    struct sim_peer *peer;
    size_t sent;
    size_t checked; /* of what it received */
    bool ended;
};

struct world {
    uint64_t seed, random;
    struct sim *sim;
    struct side side[2];
    struct relay relay;
    unsigned done;
    enum status why;
    bool reset; /* somebody was */
};

static struct world *current; /* for the message of check() */

#define CHECK(cond) ((cond) ? (void)0 : failed(#cond, __LINE__))

static void failed(const char *what, int line)
{
    fprintf(stderr, "line %d: %s\nreplay: relay_scenario_test %llu\n", line, what,
            (unsigned long long)current->seed);
    exit(1);
}

static unsigned below(struct world *w, unsigned n)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (unsigned)((w->random >> 11) % n);
}

/* Byte @at of what side @side sends: different at any two near places and for both sides. */
static uint8_t pattern(int side, size_t at)
{
    return (uint8_t)(at * 31 + at / 251 * 7 + at / 65521 + (size_t)side * 101);
}

static void on_done(void *ctx, enum status why, enum relay_side where)
{
    struct world *w = ctx;

    w->done++;
    w->why = why;
}

static size_t any_size(struct world *w)
{
    static const unsigned limits[] = { 2, 10, 100, 5000, 70000, MAX_SEND };

    return below(w, limits[below(w, ARRAY_SIZE(limits))]);
}

static void send_some(struct world *w, int side)
{
    static uint8_t buf[MAX_SEND];
    struct side *s = &w->side[side];
    size_t len = any_size(w);

    if (s->ended)
        return;
    for (size_t i = 0; i < len; i++)
        buf[i] = pattern(side, s->sent + i);
    sim_peer_send(s->peer, buf, len);
    s->sent += len;
}

/* One thing that a peer does. */
static void act(struct world *w)
{
    int side = (int)below(w, 2);
    struct side *s = &w->side[side];

    switch (below(w, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: send_some(w, side); break;
    case 5: sim_peer_set_room(s->peer, 0); break;
    case 6:
    case 7: sim_peer_set_room(s->peer, any_size(w)); break;
    case 8: sim_peer_set_room(s->peer, SIZE_MAX); break;
    case 9: sim_peer_set_piece(s->peer, 1 + any_size(w)); break;
    case 10:
        if (below(w, 4) == 0) {
            sim_peer_end(s->peer);
            s->ended = true;
        }
        break;
    case 11:
        if (w->seed % 3 == 0 && below(w, 6) == 0) {
            sim_peer_reset(s->peer, ST_RESET);
            w->reset = true;
        }
        break;
    case 12:
        if (w->seed % 3 == 1 && below(w, 6) == 0) {
            sim_peer_break_writes(s->peer, ST_RESET);
            w->reset = true;
        }
        break;
    default:
        for (unsigned n = below(w, 20); n && sim_step(w->sim); n--)
            ;
    }
}

/* What must be true at any time. */
static void check_always(struct world *w)
{
    for (int to = 0; to < 2; to++) {
        const struct side *from = &w->side[!to];
        struct side *s = &w->side[to];
        size_t len;
        const uint8_t *data = sim_peer_data(s->peer, &len);

        CHECK(len <= from->sent);
        for (; s->checked < len; s->checked++)
            CHECK(data[s->checked] == pattern(!to, s->checked));
        if (!w->reset && sim_peer_saw_end(w->side[to].peer)) {
            CHECK(from->ended);
            CHECK(len == from->sent);
        }
        if (!w->done && w->relay.half[to].stream)
            CHECK(stream_queued_bytes(w->relay.half[to].stream) <= MAX_SEND);
    }
    CHECK(w->done <= 1);
}

static void finish(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        sim_peer_set_piece(w->side[i].peer, 0);
        sim_peer_set_room(w->side[i].peer, SIZE_MAX);
        if (!w->side[i].ended)
            sim_peer_end(w->side[i].peer);
        w->side[i].ended = true;
    }
    sim_run(w->sim);
    check_always(w);
    CHECK(w->done == 1);
    if (w->reset)
        return;
    CHECK(w->why == ST_OK);
    for (int to = 0; to < 2; to++) {
        size_t len;

        sim_peer_data(w->side[to].peer, &len);
        CHECK(len == w->side[!to].sent);
        CHECK(w->relay.half[!to].bytes == len);
        CHECK(sim_peer_saw_end(w->side[to].peer));
        CHECK(!sim_peer_saw_reset(w->side[to].peer));
    }
}

static void run(uint64_t seed)
{
    struct world w = { .seed = seed, .random = seed * 0x9e3779b97f4a7c15u | 1 };
    struct stream *a, *b;

    current = &w;
    w.sim = sim_new();
    if (seed % 2)
        sim_shuffle(w.sim, seed);
    w.side[0].peer = sim_stream(w.sim, &a);
    w.side[1].peer = sim_stream(w.sim, &b);
    relay_start(&w.relay, a, b, on_done, &w);
    for (int i = 0; i < STEPS; i++) {
        act(&w);
        if (i % 16 == 0)
            check_always(&w);
    }
    finish(&w);
    sim_free(w.sim);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        run(strtoull(argv[1], NULL, 10));
        return 0;
    }
    for (uint64_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++)
        run(seed);
    printf("relay_scenario_test: seeds %d to %d\n", FIRST_SEED, FIRST_SEED + SEEDS - 1);
    return 0;
}
