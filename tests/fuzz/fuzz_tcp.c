/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the states of the switch's TCP: a whole switch, a guest that sends segments near the edges
 * of what it may, and a host that answers, stalls, ends and resets.
 *
 * Random numbers never meet a window. So a record [what][flags][numbers][length] makes a segment
 * of one of SLOTS connections whose sequence and acknowledgement numbers are relative to what the
 * switch said last: right, one off, at the window's edge, or far away. Byte s of the guest's
 * sequence space is s modulo 256 and byte i of the host's stream i modulo 256, however often they
 * are sent, so a byte that is lost, doubled or moved shows on either side.
 *
 * Checked: those bytes, each frame's checksum and size, the tables' limits, and that nothing is
 * left open at the end (the sims' own checks).
 */
#include "base/bytes.h"
#include "base/log.h"
#include "base/util.h"
#include "link/frame_link.h"
#include "port/sim/net_sim.h"
#include "port/sim/stream_sim.h"
#include "switch/switch.h"
#include "wire/csum.h"

#include <string.h>

enum { SLOTS = 4, GUEST_PORT = 3000, HOST_PORT = 7000, FORWARD_PORT = 8000, LISTEN_PORT = 5000 };
enum { RECORD_BYTES = 4, RECORDS_MAX = 400, PREFIX_BYTES = 4, MTU = 1500, PEERS_MAX = 64 };
enum { DO_SEGMENT, DO_TIME = 4, DO_HOST, DO_LINK, DO_DIAL_IN, DO_COUNT };

/* What the guest knows of one connection. */
struct slot {
    uint16_t port, remote_port;
    struct ip_addr remote;
    uint32_t next;     /* its own next sequence number */
    uint32_t edge;     /* of the window it was given */
    uint32_t peer_iss; /* of the switch's last SYN */
    uint32_t peer_next;
    bool knows_peer;
};

struct world {
    struct sim *sim;
    struct net_sim *net;
    struct switch_ *sw;
    struct sim_peer *link;
    struct slot slots[SLOTS];
    struct net_sim_peer *peers[PEERS_MAX];
    uint32_t sent[PEERS_MAX]; /* by the host */
    bool ended[PEERS_MAX];
    unsigned peer_count;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static const struct mac guest_mac = { { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xee } };
static const struct mac gateway_mac = { { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xdd } };
static const struct switch_limits limits = {
    .tcp_flows = 6,
    .tcp_half_open = 4,
    .tcp_half_open_dest = 3,
    .flow_buffer_bytes = 16384,
    .total_buffer_bytes = 96 * 1024,
};

static enum status zeros(void *buf, size_t len_bytes)
{
    memset(buf, 0, len_bytes);
    return ST_OK;
}

static struct net_sim_answer decide(void *ctx, const struct ip_endpoint *to)
{
    return (struct net_sim_answer){ ST_OK, to->port % 2 ? 20 : 0 };
}

static void attach(struct world *w)
{
    struct stream *s;

    w->link = sim_stream(w->sim, &s);
    ASSERT(switch_attach(w->sw, s, FRAME_QEMU) == ST_OK);
    sim_run(w->sim);
}

static void open_world(struct world *w)
{
    struct switch_config config = { .mtu = MTU, .limits = limits };
    struct switch_env env = { .random = zeros };
    struct errmsg e;

    w->sim = sim_new();
    w->net = net_sim_new(w->sim);
    net_sim_on_connect(w->net, decide, NULL);
    env.loop = sim_loop(w->sim);
    env.net = net_sim_net(w->net);
    ASSERT(switch_new(&w->sw, &env, &config, &e) == ST_OK);
    for (unsigned i = 0; i < SLOTS; i++) {
        w->slots[i] = (struct slot){ .port = (uint16_t)(GUEST_PORT + i),
                                     .remote_port = (uint16_t)(HOST_PORT + i),
                                     .remote = ip_addr_v4(0x0a010203),
                                     .next = i * 0x40000000U };
    }
    w->slots[SLOTS - 1].port = LISTEN_PORT; /* the one that the host dials */
    w->slots[SLOTS - 1].remote = ip_addr_v4(0xc0a87f01);
    attach(w);
}

/* ---- towards the guest -------------------------------------------------------------------- */

static void guest_gets(struct world *w, const struct ip_header *ip, const struct tcp_header *h,
                       const uint8_t *data, size_t len_bytes)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *s = &w->slots[i];

        if (s->port != h->dst_port || !ip_addr_equal(&s->remote, &ip->src))
            continue;
        if (h->flags & TCP_SYN) {
            s->peer_iss = h->seq;
            s->remote_port = h->src_port;
            s->knows_peer = true;
        }
        if (h->src_port != s->remote_port || (h->flags & TCP_RST) || !s->knows_peer)
            continue;
        for (size_t k = 0; k < len_bytes; k++)
            ASSERT(data[k] == (uint8_t)(h->seq + k - s->peer_iss - 1));
        s->peer_next =
            h->seq + (uint32_t)len_bytes + !!(h->flags & TCP_SYN) + !!(h->flags & TCP_FIN);
        if (h->flags & TCP_ACK)
            s->edge = h->ack + h->window;
    }
}

static void take_frame(struct world *w, struct bytes r)
{
    struct eth_header eth;
    struct ip_header ip;
    struct tcp_header h;
    uint64_t sum;

    ASSERT(r.left <= MTU + ETH_HEADER_BYTES && eth_decode(&eth, &r) == ST_OK);
    if (eth.type != ETH_TYPE_IP4)
        return;
    ASSERT(ip4_decode(&ip, &r) == ST_OK);
    if (ip.proto != IP_PROTO_TCP)
        return;
    sum = csum_pseudo(&ip.src, &ip.dst, IP_PROTO_TCP, (uint32_t)r.left);
    ASSERT(csum_finish(csum_add(sum, r.p, r.left)) == 0);
    ASSERT(tcp_decode(&h, &r) == ST_OK);
    guest_gets(w, &ip, &h, r.p, r.left);
}

static void read_link(struct world *w)
{
    size_t len;
    const uint8_t *data = sim_peer_data(w->link, &len);
    struct bytes r = bytes_of(data, len);

    while (r.left >= PREFIX_BYTES) {
        size_t n = bytes_be32(&r);
        const uint8_t *frame = bytes_take(&r, n);

        ASSERT(frame);
        take_frame(w, bytes_of(frame, n));
    }
    sim_peer_drop_received(w->link);
}

/* ---- towards the host --------------------------------------------------------------------- */

static void look_at_hosts(struct world *w)
{
    struct net_sim_peer *p;

    while (w->peer_count < PEERS_MAX && (p = net_sim_take_connected(w->net)) != NULL)
        w->peers[w->peer_count++] = p;
    for (unsigned i = 0; i < w->peer_count; i++) {
        size_t len;
        const uint8_t *data = net_sim_peer_data(w->peers[i], &len);

        for (size_t k = 1; k < len; k++)
            ASSERT(data[k] == (uint8_t)(data[k - 1] + 1));
    }
}

static void settle(struct world *w)
{
    struct switch_census c;

    sim_run(w->sim);
    read_link(w);
    look_at_hosts(w);
    switch_get_census(w->sw, &c);
    ASSERT(c.tcp_flows <= limits.tcp_flows && c.tcp_half_open <= limits.tcp_half_open);
    ASSERT(c.buffer_bytes <= limits.total_buffer_bytes);
}

static void put_be16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static void send_segment(struct world *w, const struct slot *s, const struct tcp_header *h,
                         size_t len_bytes)
{
    uint8_t buf[PREFIX_BYTES + ETH_HEADER_BYTES + MTU];
    struct bytes_out o = bytes_into(buf, sizeof buf);
    const size_t headers = ETH_HEADER_BYTES + IP4_HEADER_BYTES;
    size_t options = 4 * ((size_t)h->has_mss + h->has_window_scale);
    size_t l4_bytes = TCP_HEADER_BYTES + options + len_bytes;
    struct ip_header ip = { .src = ip_addr_v4(0xc0a87f02),
                            .dst = s->remote,
                            .proto = IP_PROTO_TCP,
                            .ttl = 64,
                            .payload_bytes = (uint16_t)l4_bytes };
    uint8_t *l4 = buf + PREFIX_BYTES + headers;

    bytes_put_be32(&o, (uint32_t)(headers + l4_bytes));
    eth_put(&o, &(struct eth_header){ gateway_mac, guest_mac, ETH_TYPE_IP4 });
    ip4_put(&o, &ip);
    tcp_put(&o, h);
    for (size_t i = 0; i < len_bytes; i++)
        bytes_put_u8(&o, (uint8_t)(h->seq + i));
    ASSERT(bytes_out_ok(&o));
    put_be16(l4 + 16,
             csum_finish(csum_add(csum_pseudo(&ip.src, &ip.dst, IP_PROTO_TCP, (uint32_t)l4_bytes),
                                  l4, l4_bytes)));
    sim_peer_send(w->link, buf, o.len_bytes);
}

/* ---- records ------------------------------------------------------------------------------ */

/* Low nibble: which sequence number, high nibble: which acknowledgement. */
static void make_segment(struct world *w, struct slot *s, uint8_t flags, uint8_t numbers,
                         uint8_t length)
{
    const uint32_t seqs[8] = { s->next,     s->next - 1,   s->next + 1,   s->edge,
                               s->edge - 1, s->next + 700, s->next - 500, s->next + 0x7fffffff };
    const uint32_t acks[8] = { s->peer_next,      s->peer_next - 1,          s->peer_next + 1,
                               s->peer_iss + 1,   s->peer_next - 900,        s->peer_next,
                               s->peer_next + 80, s->peer_next ^ 0x80000000U };
    static const uint16_t windows[4] = { 65535, 0, 1, 3000 };
    static const uint16_t lengths[4] = { 0, 1, 400, 1400 };
    struct tcp_header h = { .src_port = s->port,
                            .dst_port = s->remote_port,
                            .seq = seqs[numbers & 7],
                            .ack = acks[numbers >> 4 & 7],
                            .flags = flags,
                            .window = windows[length >> 2 & 3],
                            .has_mss = (flags & TCP_SYN) && (length & 0x80),
                            .mss = 1000,
                            .has_window_scale = (flags & TCP_SYN) && (length & 0x40),
                            .window_scale = 0 };
    size_t len = flags & (TCP_SYN | TCP_RST) ? 0 : lengths[length & 3];

    send_segment(w, s, &h, len);
    if ((numbers & 7) == 0) /* the guest goes on from there */
        s->next += (uint32_t)len + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
}

static void host_acts(struct world *w, uint8_t what, uint8_t which, uint8_t amount)
{
    unsigned i = w->peer_count ? which % w->peer_count : 0;
    uint8_t data[256 * 20];
    size_t n = (size_t)amount * 20;

    if (w->peer_count == 0)
        return;
    switch (what >> 3 & 7) {
    case 0:
        net_sim_peer_end(w->peers[i]);
        w->ended[i] = true;
        break;
    case 1: net_sim_peer_reset(w->peers[i], ST_RESET); break;
    case 2: net_sim_peer_set_room(w->peers[i], n); break;
    case 3: net_sim_peer_set_room(w->peers[i], SIZE_MAX); break;
    default:
        if (w->ended[i])
            break;
        for (size_t k = 0; k < n; k++)
            data[k] = (uint8_t)(w->sent[i] + k);
        net_sim_peer_send(w->peers[i], data, n);
        w->sent[i] += (uint32_t)n;
        break;
    }
}

static void dial_in(struct world *w)
{
    const struct ip_endpoint at = { ip_addr_v4(0x7f000001), FORWARD_PORT };
    const struct ip_endpoint to = { ip_addr_v4(0xc0a87f02), LISTEN_PORT };
    struct net_sim_peer *p;
    struct errmsg e;

    if (switch_forward_add(w->sw, SWITCH_FORWARD_TCP, "127.0.0.1:8000", &to, false, &e))
        return;
    p = net_sim_connect(w->net, &at, &at);
    if (p && w->peer_count < PEERS_MAX)
        w->peers[w->peer_count++] = p;
}

static void play(struct world *w, const uint8_t record[RECORD_BYTES])
{
    uint8_t what = record[0];

    switch (what % DO_COUNT) {
    case DO_TIME: sim_advance_ms(w->sim, (uint64_t)record[1] * (record[2] & 1 ? 500 : 5)); break;
    case DO_HOST: host_acts(w, what, record[1], record[2]); break;
    case DO_LINK: attach(w); break;
    case DO_DIAL_IN: dial_in(w); break;
    default: make_segment(w, &w->slots[what % SLOTS], record[1], record[2], record[3]); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    struct bytes r = bytes_of(data, len_bytes);
    struct world w = { .peer_count = 0 };

    log_set_level(LOG_ERROR);
    open_world(&w);
    for (unsigned i = 0; r.left >= RECORD_BYTES && i < RECORDS_MAX; i++) {
        const uint8_t *record = bytes_take(&r, RECORD_BYTES);

        play(&w, record);
        if (!(record[0] & 0x80)) /* else it shares a batch with the next one */
            settle(&w);
    }
    settle(&w);
    switch_free(w.sw);
    net_sim_free(w.net);
    sim_free(w.sim);
    return 0;
}
