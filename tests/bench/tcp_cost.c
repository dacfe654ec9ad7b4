/* SPDX-License-Identifier: Apache-2.0
 * tcp_cost - what the switch's TCP costs per byte, without link, sockets and kernel around it.
 *
 *     tcp_cost [up|down] [mss|gso] [MiB]
 *
 * Prints nanoseconds and segments per MiB. The number to track is that of instructions per byte,
 * which does not depend on how busy the machine is: tcp_cost_test.py has them counted. The copy
 * into the frame is part of it, the checksum (out.c) is not.
 */
#include "base/util.h"
#include "port/loop.h"
#include "switch/switch_internal.h"
#include "switch/tcp_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MSS = 1460, GSO = 44 * MSS, FRAME_BYTES = 70000 };

struct net_tcp {
    const struct net_tcp_handler *h;
    void *ctx;
    bool connecting, reading;
};

static struct {
    struct switch_ sw;
    struct net_tcp conn;
    uint8_t frame[FRAME_BYTES];
    struct tcp_header last;
    uint64_t segments, written, received;
    bool offload;
} bench;

/* ---- a host that takes and has everything ------------------------------------------------- */

static enum status host_connect(struct net *n, struct net_tcp **out, const struct ip_endpoint *to,
                                uint32_t timeout_ms, const struct net_tcp_handler *h, void *ctx)
{
    bench.conn = (struct net_tcp){ h, ctx, true, false };
    *out = &bench.conn;
    return ST_OK;
}

static void host_read(struct net_tcp *t)
{
    t->reading = true;
}

static size_t host_write(struct net_tcp *t, const struct net_iov *iov, unsigned count)
{
    size_t total = 0;

    for (unsigned i = 0; i < count; i++)
        total += iov[i].len_bytes;
    bench.written += total;
    return total;
}

static void host_close(struct net_tcp *t, bool reset)
{
    t->reading = false;
}

static const struct net_ops ops = {
    .tcp_connect = host_connect,
    .tcp_read = host_read,
    .tcp_write = host_write,
    .tcp_close = host_close,
};
static struct net net = { &ops };

/* ---- a clock that stands ------------------------------------------------------------------- */

static uint64_t loop_now(struct loop *loop)
{
    return 1000;
}

static void loop_arm(struct loop *loop, uint64_t due_ms)
{
}

static const struct loop_ops loop_ops = { .now_ms = loop_now, .arm = loop_arm };

/* ---- the rest of the switch ---------------------------------------------------------------- */

bool frame_link_is_writable(const struct frame_link *l)
{
    return true;
}

bool frame_link_has_offload(const struct frame_link *l)
{
    return bench.offload;
}

bool out_begin(struct switch_ *s, struct out *o, struct ip_header *ip, size_t l4_bytes)
{
    o->l4 = bench.frame;
    o->l4_bytes = l4_bytes;
    return true;
}

void out_copy(struct out *o, uint8_t *to, const uint8_t *data, size_t len_bytes)
{
    memcpy(to, data, len_bytes);
}

void out_end(struct switch_ *s, struct out *o, size_t csum_offset, unsigned gso_size)
{
    struct bytes r = bytes_of(o->l4, o->l4_bytes);

    ASSERT(tcp_decode(&bench.last, &r) == ST_OK);
    bench.received += r.left;
    bench.segments++;
}

void icmp_send_error(struct switch_ *s, const struct packet *p, enum icmp_error what, uint32_t rest)
{
}

void switch_turn(struct switch_ *s)
{
}

void switch_want_flush(struct switch_ *s)
{
}

enum nat_verdict nat_outbound(const struct switch_ *s, uint8_t proto, const struct ip_endpoint *dst,
                              struct ip_endpoint *to)
{
    return NAT_OUTSIDE;
}

static enum status fixed_random(void *buf, size_t len_bytes)
{
    memset(buf, 7, len_bytes);
    return ST_OK;
}

/* ---- the guest ------------------------------------------------------------------------------ */

static uint8_t packets[64 * 1024 * 8];

/* One segment of @len bytes, composed at @at; returns where the next may go. */
static uint8_t *segment(uint8_t *at, uint32_t seq, uint32_t ack, uint8_t flags, size_t len)
{
    struct tcp_header h = { .src_port = 1000,
                            .dst_port = 80,
                            .seq = seq,
                            .ack = ack,
                            .flags = flags,
                            .window = 65535,
                            .has_mss = (flags & TCP_SYN) != 0,
                            .mss = MSS,
                            .has_window_scale = (flags & TCP_SYN) != 0,
                            .window_scale = 7 };
    struct bytes_out w = bytes_into(at, 60);
    struct packet p = { .l4 = at, .csum_ok = true, .lasts = true };

    p.ip.src = ip_addr_v4(0xc0a87f02);
    p.ip.dst = ip_addr_v4(0x0a000001);
    tcp_put(&w, &h);
    p.l4_bytes = w.len_bytes + len;
    tcp_input(&bench.sw, &p);
    return at + p.l4_bytes;
}

static void batch_end(void)
{
    tcp_batch_end(&bench.sw);
    tcp_produce(&bench.sw);
}

/* As a guest whose congestion window never ends: what the window allows, one batch after another.
 */
static uint64_t run_up(uint64_t bytes, size_t size)
{
    uint32_t ack = bench.last.seq + 1;

    segment(packets, 2, ack, TCP_ACK, 1);
    batch_end();
    while (bench.written < bytes) {
        uint32_t seq = bench.last.ack;
        uint32_t edge = seq + ((uint32_t)bench.last.window << bench.sw.tcp->own_scale);
        uint8_t *at = packets;

        for (; (int32_t)(edge - seq) >= (int32_t)size; seq += (uint32_t)size)
            at = segment(at, seq, ack, TCP_ACK, size);
        batch_end();
        ASSERT(bench.last.ack == seq);
    }
    return bench.written;
}

static uint64_t run_down(uint64_t bytes)
{
    while (bench.received < bytes) {
        uint8_t *to;
        size_t n;

        while (bench.conn.reading && (n = bench.conn.h->on_space(bench.conn.ctx, &to)) > 0)
            bench.conn.h->on_data(bench.conn.ctx, n);
        bench.conn.reading = false;
        tcp_produce(&bench.sw);
        segment(packets, 2, bench.last.seq + (uint32_t)MSS, TCP_ACK, 0);
        segment(packets, 2, bench.sw.tcp->chunks[0][0].snd_max, TCP_ACK, 0);
        batch_end();
    }
    return bench.received;
}

int main(int argc, char **argv)
{
    struct loop loop;
    bool down = argc > 1 && strcmp(argv[1], "down") == 0;
    uint64_t bytes = (argc > 3 ? strtoull(argv[3], NULL, 10) : 1024) << 20;
    struct timespec a, b;
    double ns;

    loop_init(&loop, &loop_ops);
    bench.offload = argc > 2 && strcmp(argv[2], "gso") == 0;
    bench.sw.env = (struct switch_env){ .loop = &loop, .net = &net, .random = fixed_random };
    bench.sw.config.mtu = 1500;
    bench.sw.config.limits = (struct switch_limits){ .tcp_flows = 64,
                                                     .tcp_half_open = 8,
                                                     .tcp_half_open_dest = 8,
                                                     .opens_beside_bulk = 2000,
                                                     .flow_buffer_bytes = 262144,
                                                     .total_buffer_bytes = 192U << 20 };
    bench.sw.link = (struct frame_link *)(void *)bench.frame;
    ASSERT(tcp_new(&bench.sw) == ST_OK);
    segment(packets, 1, 0, TCP_SYN, 0);
    batch_end();
    bench.conn.h->on_connected(bench.conn.ctx, ST_OK);
    segment(packets, 2, bench.last.seq + 1, TCP_ACK, 0);
    batch_end();
    timespec_get(&a, TIME_UTC);
    bytes = down ? run_down(bytes) : run_up(bytes, bench.offload ? GSO : MSS);
    timespec_get(&b, TIME_UTC);
    ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
    printf("%s %s: %.4f ns/byte, %.1f segments to the guest per MiB\n", down ? "down" : "up",
           bench.offload ? "gso" : "mss", ns / (double)bytes,
           (double)bench.segments / ((double)bytes / 1048576.0));
    tcp_free(&bench.sw);
    return 0;
}
