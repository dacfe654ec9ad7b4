/* SPDX-License-Identifier: Apache-2.0
 * switch_random_test.c - a guest that pings, sends datagrams whole and in pieces, sends garbage and
 * loses its link, before a host that echoes, loses, refuses and runs out of things, by seeds.
 *
 * Holds for every seed: what comes back to a port is what was sent from it, every frame to the
 * guest is right (sim_guest.h), no table is above its limit, nothing is left open. A failing seed
 * is printed; `switch_random_test SEED` replays it.
 */
#include "base/log.h"
#include "support/cmocka_all.h"
#include "support/sim_guest.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 2000, STEPS = 60, PORTS = 12, MAX_PAYLOAD = 3000 };
enum { GARBAGE_PORT = 5000 };

static uint64_t dice, answers;
static struct frame f, piece;

static uint32_t pick(uint32_t below)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice >> 33) % below;
}

static struct frame_path random_path(void)
{
    static const char *const to4[] = { "10.1.2.3", "192.168.127.254", "192.168.127.1" };
    static const char *const to6[] = { "2001:db8::1", "fd00:72:64::254", "fd00:72:64::1" };

    if (pick(2))
        return frame_path("192.168.127.2", to4[pick(3)]);
    return frame_path("fd00:72:64::2", to6[pick(3)]);
}

static void send_datagram(struct sim_guest *g)
{
    uint8_t data[MAX_PAYLOAD];
    struct frame_path path = random_path();
    uint16_t port = (uint16_t)(4000 + pick(PORTS));
    size_t len = 2 + pick(pick(4) ? 100 : MAX_PAYLOAD - 2), total, at = 0;

    path.id = pick(8);
    memset(data, port & 0xff, len);
    data[0] = (uint8_t)(port >> 8);
    frame_udp(&f, &path, port, (uint16_t)(7000 + pick(3)), data, len);
    total = len + UDP_HEADER_BYTES;
    if (total + 60 < 1500) {
        guest_queues(g, &f);
        return;
    }
    for (; at < total; at += 1200) {
        frame_fragment(&piece, &f, at, MIN(1200, total - at));
        if (pick(20)) /* some are lost, some come twice */
            guest_queues(g, &piece);
        if (pick(20) == 0)
            guest_queues(g, &piece);
    }
}

static void send_ping(struct sim_guest *g)
{
    struct frame_path path = random_path();
    bool six = !ip_addr_is_v4(&path.dst);

    frame_icmp(&f, &path, six ? ICMP6_ECHO : ICMP4_ECHO, 0, pick(1000), NULL, pick(1400));
    guest_queues(g, &f);
}

static void send_garbage(struct sim_guest *g)
{
    struct frame_path path = random_path();

    frame_udp(&f, &path, GARBAGE_PORT, 7000, NULL, pick(64));
    for (uint32_t i = pick(4); i-- > 0;)
        f.b[6 + pick((uint32_t)f.len_bytes - 6)] ^= (uint8_t)(1 + pick(255));
    if (pick(3) == 0)
        f.len_bytes = ETH_HEADER_BYTES + pick((uint32_t)f.len_bytes - ETH_HEADER_BYTES);
    if (memcmp(f.b + 6, frame_guest_mac.b, 6) == 0) /* its neighbours are none of this test's */
        guest_queues(g, &f);
}

static void host_has_a_mood(struct sim_guest *g)
{
    net_sim_udp_default(g->net, pick(3) ? NET_SIM_UDP_ECHO : (enum net_sim_udp)(2 + pick(3)));
    switch (pick(6)) {
    case 0: net_sim_next_udp_open_fails(g->net, pick(2) ? ST_NOFILES : ST_NOMEM); break;
    case 1: net_sim_next_udp_send_fails(g->net, pick(2) ? ST_FULL : ST_INVAL); break;
    case 2: net_sim_next_ping(g->net, pick(2) ? ST_OK : ST_UNREACHABLE, pick(6000)); break;
    case 3: sim_peer_set_room(g->link, pick(2) ? SIZE_MAX : pick(5000)); break;
    default: break;
    }
}

static void link_breaks(struct sim_guest *g)
{
    sim_guest_cut(g);
    clock_advance_ms(g, pick(2000));
    sim_guest_attach(g);
}

static void look_at_answers(struct sim_guest *g)
{
    struct switch_census c;
    struct frame_view v;

    while (guest_gets(g, &v)) {
        if (!v.is_udp || v.ip.more_fragments || v.ip.fragment_offset || v.udp.src_port < 7000 ||
            v.udp.dst_port >= GARBAGE_PORT)
            continue;
        answers++;
        for (size_t i = 1; i < v.payload_bytes; i++)
            assert_int_equal(v.payload[i], v.udp.dst_port & 0xff);
    }
    c = guest_census(g);
    assert_true(c.udp_flows <= 8 && c.pings <= 4 && c.fragments <= 4);
    assert_true(net_sim_open_udp(g->net) == c.udp_flows);
    assert_true(net_sim_open_pings(g->net) == c.pings);
}

static void run_seed(uint64_t seed)
{
    static const enum frame_protocol protocols[] = { FRAME_STDIO, FRAME_QEMU, FRAME_V2 };
    struct switch_config c = { .ip6 = true,
                               .limits = { .udp_flows = 8, .pings = 4, .fragments = 4 } };
    struct sim_guest *g = sim_guest_new(&c, protocols[seed % 3]);

    dice = seed;
    sim_shuffle(g->sim, seed + 1);
    net_sim_udp_default(g->net, NET_SIM_UDP_ECHO);
    for (int step = 0; step < STEPS; step++) {
        uint32_t what = pick(100);

        if (what < 50)
            send_datagram(g);
        else if (what < 65)
            send_ping(g);
        else if (what < 80)
            send_garbage(g);
        else if (what < 95)
            host_has_a_mood(g);
        else
            link_breaks(g);
        if (pick(3) == 0)
            clock_advance_ms(g, pick(4) ? pick(50) : pick(20000));
        if (sim_peer_is_closed(g->link)) /* garbage in its length */
            sim_guest_attach(g);
    }
    sim_peer_set_room(g->link, SIZE_MAX);
    look_at_answers(g);
    sim_guest_free(g);
}

static const char *only_seed;
static uint64_t current;
static bool is_done;

static void say_seed(void)
{
    if (!is_done) /* the process ends here: a garbled seed is better than none */
        /* NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c) */
        fprintf(stderr, "failed: replay with switch_random_test %llu\n",
                (unsigned long long)current);
}

static void on_abort(int number)
{
    say_seed();
}

static void every_seed_keeps_the_rules(void **state)
{
    uint64_t first = only_seed ? strtoull(only_seed, NULL, 10) : 0;

    (void)state;
    for (current = first; current < (only_seed ? first + 1 : SEEDS); current++)
        run_seed(current);
    assert_true(only_seed || answers > SEEDS); /* the rest of the rules were put to the test */
    is_done = true;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_seed_keeps_the_rules) };

    only_seed = argc > 1 ? argv[1] : NULL;
    log_set_level(LOG_ERROR);
    atexit(say_seed);
    signal(SIGABRT, on_abort);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
