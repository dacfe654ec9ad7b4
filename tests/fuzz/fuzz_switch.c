/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes a whole switch with sequences of frames: a hostile guest before a host that answers,
 * refuses, stalls and resets. Checked: no table grows beyond its limit, and nothing is left open at
 * the end (the sims' own checks).
 *
 * Input: records of [how][length][bytes]. The low bits of `how` say what is done: a frame whose
 * Ethernet header and addresses are made right so that its bytes reach the parsers; the frame as it
 * is; its IPv4 header sealed; time; the host's doings; a new link.
 */
#include "base/bytes.h"
#include "base/util.h"
#include "link/frame_link.h"
#include "port/sim/net_sim.h"
#include "port/sim/stream_sim.h"
#include "switch/switch.h"
#include "wire/csum.h"

#include <string.h>

enum { DO_RAW, DO_IP4, DO_IP6, DO_TIME, DO_HOST, DO_LINK, DO_COUNT };
enum { MAX_FRAME = 600, QEMU_PREFIX = 4 };

struct world {
    struct sim *sim;
    struct net_sim *net;
    struct switch_ *sw;
    struct sim_peer *link;
    unsigned turn;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static enum status zeros(void *buf, size_t len_bytes)
{
    memset(buf, 0, len_bytes);
    return ST_OK;
}

static struct net_sim_answer decide(void *ctx, const struct ip_endpoint *to)
{
    static const struct net_sim_answer answers[] = {
        { ST_OK, 0 }, { ST_OK, 20 }, { ST_REFUSED, 0 }, { ST_UNREACHABLE, 5 }, { ST_OK, SIM_NEVER }
    };

    return answers[to->port % ARRAY_SIZE(answers)];
}

static void attach(struct world *w)
{
    struct stream *s;

    w->link = sim_stream(w->sim, &s);
    ASSERT(switch_attach(w->sw, s, FRAME_QEMU) == ST_OK);
}

static void open_world(struct world *w)
{
    static const struct switch_config config = { .ip6 = true,
                                                 .limits = { .tcp_flows = 20,
                                                             .tcp_half_open = 8,
                                                             .udp_flows = 8,
                                                             .pings = 4,
                                                             .fragments = 4,
                                                             .neighbours = 4 } };
    struct switch_env env = { .random = zeros };
    struct errmsg e;

    w->sim = sim_new();
    w->net = net_sim_new(w->sim);
    net_sim_on_connect(w->net, decide, NULL);
    net_sim_udp_default(w->net, NET_SIM_UDP_ECHO);
    env.loop = sim_loop(w->sim);
    env.net = net_sim_net(w->net);
    ASSERT(switch_new(&w->sw, &env, &config, &e) == ST_OK);
    attach(w);
}

/* To the gateway's MAC from the guest's, the addresses from a small set. */
static void make_right(uint8_t *f, size_t len, bool six, unsigned how)
{
    static const uint8_t head[12] = { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xdd,
                                      0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xee };
    static const uint8_t net4[4] = { 192, 168, 127, 2 }, net6[8] = { 0xfd, 0, 0, 0x72, 0, 0x64 };
    static const uint8_t hosts[4] = { 1, 2, 254, 255 };

    memcpy(f, head, sizeof head);
    f[12] = six ? 0x86 : 0x08;
    f[13] = six ? 0xdd : 0x00;
    if (six && len >= 54) {
        f[14] = (uint8_t)(0x60 | (f[14] & 15));
        memcpy(f + 22, net6, sizeof net6);
        f[18] = (uint8_t)((len - 54) >> 8);
        f[19] = (uint8_t)(len - 54);
    } else if (!six && len >= 34) {
        uint16_t sum;

        f[14] = 0x45;
        f[16] = (uint8_t)((len - 14) >> 8);
        f[17] = (uint8_t)(len - 14);
        memcpy(f + 26, net4, sizeof net4);
        if (how & 0x80) {
            memcpy(f + 30, net4, 3);
            f[33] = hosts[how >> 4 & 3];
        }
        f[24] = f[25] = 0;
        sum = csum_finish(csum_add(0, f + 14, 20));
        f[24] = (uint8_t)(sum >> 8);
        f[25] = (uint8_t)sum;
    }
}

static void seal_tcp_udp(uint8_t *f, size_t len)
{
    size_t at = f[23] == IP_PROTO_TCP ? 34 + 16 : f[23] == IP_PROTO_UDP ? 34 + 6 : 34 + 2;
    struct ip_addr src, dst;
    uint16_t sum;

    if (len < at + 2)
        return;
    src = ip_addr_of_v4(f + 26);
    dst = ip_addr_of_v4(f + 30);
    f[at] = f[at + 1] = 0;
    sum = csum_finish(
        csum_add(f[23] == IP_PROTO_ICMP ? 0 : csum_pseudo(&src, &dst, f[23], (uint32_t)len - 34),
                 f + 34, len - 34));
    f[at] = (uint8_t)(sum >> 8);
    f[at + 1] = (uint8_t)sum;
}

static void send_frame(struct world *w, unsigned how, const uint8_t *bytes, size_t len)
{
    uint8_t buf[QEMU_PREFIX + MAX_FRAME] = { 0 };
    uint8_t *f = buf + QEMU_PREFIX;

    if (len)
        memcpy(f, bytes, len);
    if (how % DO_COUNT != DO_RAW && len >= ETH_HEADER_BYTES) {
        make_right(f, len, how % DO_COUNT == DO_IP6, how);
        if (how % DO_COUNT == DO_IP4 && len >= 34 && (how & 0x40))
            seal_tcp_udp(f, len);
    }
    buf[2] = (uint8_t)(len >> 8);
    buf[3] = (uint8_t)len;
    sim_peer_send(w->link, buf, QEMU_PREFIX + len);
    sim_run(w->sim);
}

static void host_acts(struct world *w, unsigned how)
{
    struct net_sim_peer *p = net_sim_take_connected(w->net);

    if (!p)
        return;
    switch (how >> 3 & 3) {
    case 0: net_sim_peer_send_text(p, "answer"); break;
    case 1: net_sim_peer_end(p); break;
    case 2: net_sim_peer_reset(p, ST_RESET); break;
    default: net_sim_peer_set_room(p, 3); break;
    }
    sim_run(w->sim);
}

static void check(struct world *w)
{
    struct switch_census c;

    switch_get_census(w->sw, &c);
    ASSERT(c.tcp_flows <= 20 && c.tcp_half_open <= 20 && c.udp_flows <= 8 && c.pings <= 4);
    ASSERT(c.fragments <= 4 && c.neighbours <= 4);
    ASSERT(net_sim_open_udp(w->net) <= 8 && net_sim_open_pings(w->net) <= 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    struct bytes r = bytes_of(data, len_bytes);
    struct world w = { .turn = 0 };

    open_world(&w);
    while (r.left >= 3 && w.turn++ < 300) {
        unsigned how = bytes_u8(&r);
        size_t wanted = bytes_le16(&r) % MAX_FRAME, len = MIN(wanted, r.left);
        const uint8_t *bytes = bytes_take(&r, len);

        switch (how % DO_COUNT) {
        case DO_TIME: sim_advance_ms(w.sim, len * 50); break;
        case DO_HOST: host_acts(&w, how); break;
        case DO_LINK: attach(&w); break;
        default: send_frame(&w, how, bytes, len); break;
        }
        check(&w);
    }
    switch_free(w.sw);
    net_sim_free(w.net);
    sim_free(w.sim);
    return 0;
}
