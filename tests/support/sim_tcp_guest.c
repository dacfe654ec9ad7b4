/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_tcp_guest.h"

#include "base/util.h"

#include <string.h>

enum { RTO_FIRST_MS = 200, RTO_MAX_MS = 8000 };

static bool lt(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

uint8_t tcp_guest_byte(unsigned id, uint64_t offset)
{
    return (uint8_t)(((uint32_t)offset * UINT32_C(2654435761)) >> 21) ^ (uint8_t)(id * 37);
}

void tcp_guest_fill(uint8_t *to, unsigned id, uint64_t offset, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++)
        to[i] = tcp_guest_byte(id, offset + i);
}

void tcp_guest_check(const uint8_t *data, unsigned id, uint64_t offset, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++)
        ASSERT(data[i] == tcp_guest_byte(id, offset + i));
}

void tcp_guest_init(struct tcp_guest *g, unsigned id, tcp_guest_send_fn *send, void *ctx)
{
    *g = (struct tcp_guest){ .id = id,
                             .send = send,
                             .ctx = ctx,
                             .mss = 1460,
                             .segment = 1460,
                             .scale = 7,
                             .scaling = true,
                             .window = 1 << 20,
                             .rto_ms = RTO_FIRST_MS };
}

static void emit(struct tcp_guest *g, uint32_t seq, uint8_t flags, const uint8_t *data, size_t len)
{
    struct tcp_header h = {
        .src_port = g->self.port, .dst_port = g->remote.port, .seq = seq, .flags = flags
    };
    uint32_t room = lt(g->rcv_nxt, g->rcv_edge) ? g->rcv_edge - g->rcv_nxt : 0;

    if (flags & TCP_SYN) {
        h.has_mss = true;
        h.mss = g->mss;
        h.has_window_scale = g->scaling;
        h.window_scale = g->scale;
        h.window = (uint16_t)MIN(g->window, 65535U);
    } else {
        unsigned scale = g->scaling ? g->scale : 0;
        uint32_t field = MIN(MAX(room, g->window) >> scale, 65535U);

        if (lt(g->rcv_edge, g->rcv_nxt + (field << scale)))
            g->rcv_edge = g->rcv_nxt + (field << scale);
        h.window = (uint16_t)field;
    }
    if (flags & TCP_ACK)
        h.ack = g->rcv_nxt;
    g->send(g->ctx, g, &h, data, len);
}

void tcp_guest_ack(struct tcp_guest *g)
{
    emit(g, g->snd_nxt, TCP_ACK, NULL, 0);
}

void tcp_guest_reset(struct tcp_guest *g)
{
    emit(g, g->snd_nxt, TCP_RST | TCP_ACK, NULL, 0);
    g->state = TG_RESET;
}

void tcp_guest_connect(struct tcp_guest *g, uint32_t iss, uint64_t now_ms)
{
    g->iss = g->snd_una = g->snd_nxt = g->snd_max = iss;
    g->state = TG_SYN_SENT;
    g->rto_due_ms = now_ms + 1000;
    g->syns_sent = 1;
    emit(g, iss, TCP_SYN, NULL, 0);
}

void tcp_guest_probe(struct tcp_guest *g)
{
    g->probes_sent++;
    emit(g, g->snd_una - 1, TCP_ACK, NULL, 0);
}

/* ---- sending ---------------------------------------------------------------------------- */

static uint64_t stream_offset(const struct tcp_guest *g, uint32_t seq)
{
    return g->acked + (seq - g->snd_una);
}

static bool send_one(struct tcp_guest *g, uint32_t seq)
{
    uint8_t data[65536];
    uint64_t at = stream_offset(g, seq);
    uint64_t left = g->to_send > at ? g->to_send - at : 0;
    uint32_t room = lt(seq, g->snd_edge) ? g->snd_edge - seq : 0;
    size_t most = g->gso ? g->segment : MIN(g->segment, g->peer_mss);
    size_t n = (size_t)MIN(left, MIN(room, most));
    bool fin = g->ends && at + n == g->to_send && room > n && !g->fin_acked;

    if (n == 0 && !fin)
        return false;
    if (at > g->to_send)
        return false;
    if (g->text)
        memcpy(data, g->text + at, n);
    else
        tcp_guest_fill(data, g->id * 2 + 1, at, n);
    if (lt(seq, g->snd_max))
        g->retransmits++;
    emit(g, seq, (uint8_t)(TCP_ACK | (fin ? TCP_FIN : 0)), data, n);
    seq += (uint32_t)n + fin;
    if (lt(g->snd_nxt, seq))
        g->snd_nxt = seq;
    if (lt(g->snd_max, seq))
        g->snd_max = seq;
    return true;
}

static bool is_opening(const struct tcp_guest *g)
{
    return g->state == TG_SYN_SENT || g->state == TG_SYN_RCVD;
}

/* Has something to send and no window for it. */
static bool is_shut_out(const struct tcp_guest *g)
{
    bool more = g->to_send > g->acked || (g->ends && !g->fin_acked);

    return g->state == TG_OPEN && g->snd_una == g->snd_max && more && !lt(g->snd_una, g->snd_edge);
}

static bool is_waiting(const struct tcp_guest *g)
{
    return is_opening(g) || (g->state == TG_OPEN && g->snd_una != g->snd_max) || is_shut_out(g);
}

static void time_out(struct tcp_guest *g, uint64_t now_ms)
{
    g->rto_ms = MIN(g->rto_ms * 2, RTO_MAX_MS);
    g->rto_due_ms = now_ms + g->rto_ms;
    if (g->state == TG_SYN_SENT) {
        g->syns_sent++;
        emit(g, g->iss, TCP_SYN, NULL, 0);
    } else if (g->state == TG_SYN_RCVD) {
        emit(g, g->iss, TCP_SYN | TCP_ACK, NULL, 0);
    } else if (is_shut_out(g)) {
        tcp_guest_probe(g);
    } else {
        g->snd_nxt = g->snd_una;
    }
}

void tcp_guest_run(struct tcp_guest *g, uint64_t now_ms)
{
    if (!is_waiting(g) || g->rto_due_ms == 0)
        g->rto_due_ms = now_ms + g->rto_ms;
    else if (g->rto_due_ms <= now_ms)
        time_out(g, now_ms);
    if (g->state != TG_OPEN)
        return;
    while (send_one(g, g->snd_nxt))
        continue;
}

uint64_t tcp_guest_due_ms(const struct tcp_guest *g)
{
    return is_waiting(g) ? g->rto_due_ms : UINT64_MAX;
}

/* ---- receiving -------------------------------------------------------------------------- */

static void take_ack(struct tcp_guest *g, const struct tcp_header *h, size_t len, uint64_t now_ms)
{
    uint32_t edge = h->ack + ((uint32_t)h->window << g->peer_scale);
    uint32_t acked = h->ack - g->snd_una;

    ASSERT(!lt(g->snd_max, h->ack));
    if (lt(h->ack, g->snd_una))
        return;
    g->acks_in++;
    if (lt(g->snd_edge, edge))
        g->snd_edge = edge;
    if (acked == 0) {
        if (len == 0 && g->snd_max != g->snd_una && !(h->flags & TCP_FIN)) {
            g->dup_acks_in++;
            if (++g->dup_acks == 3)
                send_one(g, g->snd_una);
        }
        return;
    }
    g->dup_acks = 0;
    g->rto_ms = RTO_FIRST_MS;
    g->rto_due_ms = now_ms + g->rto_ms;
    if (g->snd_una == g->iss) {
        acked--; /* of a SYN */
    } else if (g->acked + acked > g->to_send) {
        ASSERT(g->ends && g->acked + acked == g->to_send + 1);
        g->fin_acked = true;
        acked--;
    }
    g->acked += acked;
    g->snd_una = h->ack;
    if (lt(g->snd_nxt, h->ack))
        g->snd_nxt = h->ack;
}

static void take_new(struct tcp_guest *g, const uint8_t *data, size_t len)
{
    if (!g->takes_all)
        tcp_guest_check(data, g->id * 2, g->received, len);
    else if (g->on_text)
        g->on_text(g->ctx, g, data, len);
    g->received += len;
    g->rcv_nxt += (uint32_t)len;
    if (g->early_end != g->early_start && !lt(g->rcv_nxt, g->early_start)) {
        uint32_t more = lt(g->rcv_nxt, g->early_end) ? g->early_end - g->rcv_nxt : 0;

        g->received += more;
        g->rcv_nxt += more;
        g->early_start = g->early_end = 0;
    }
}

static void keep_early(struct tcp_guest *g, uint32_t seq, const uint8_t *data, size_t len)
{
    if (!g->keeps_early || len == 0)
        return;
    if (g->early_start != g->early_end && seq != g->early_end)
        return;
    tcp_guest_check(data, g->id * 2, g->received + (seq - g->rcv_nxt), len);
    if (g->early_start == g->early_end)
        g->early_start = seq;
    g->early_end = seq + (uint32_t)len;
}

static void take_data(struct tcp_guest *g, const struct tcp_header *h, const uint8_t *data,
                      size_t len)
{
    uint32_t seq = h->seq, end = seq + (uint32_t)len;

    if (len == 0 && !(h->flags & TCP_FIN))
        return;
    ASSERT(len == 0 || !lt(g->rcv_edge, end));
    if (lt(g->rcv_nxt, seq)) {
        keep_early(g, seq, data, len);
    } else if (!g->got_fin) {
        size_t old = MIN(g->rcv_nxt - seq, len);

        if (len > old)
            take_new(g, data + old, len - old);
        if ((h->flags & TCP_FIN) && g->rcv_nxt == end && lt(end, g->rcv_edge)) {
            g->rcv_nxt++;
            g->got_fin = true;
        }
    }
    tcp_guest_ack(g);
}

static void establish(struct tcp_guest *g, const struct tcp_header *h, uint64_t now_ms)
{
    g->irs = h->seq;
    g->rcv_nxt = h->seq + 1;
    g->rcv_edge = g->rcv_nxt + MIN(g->window, 65535U);
    g->peer_mss = h->has_mss ? h->mss : 536;
    g->scaling = g->scaling && h->has_window_scale;
    g->peer_scale = g->scaling ? h->window_scale : 0;
    g->established_ms = now_ms;
    g->state = TG_OPEN;
}

static void listen_input(struct tcp_guest *g, const struct tcp_header *h, uint64_t now_ms)
{
    establish(g, h, now_ms);
    g->state = TG_SYN_RCVD;
    g->snd_una = g->snd_edge = g->iss;
    g->snd_nxt = g->snd_max = g->iss + 1;
    g->rto_due_ms = now_ms + g->rto_ms;
    emit(g, g->iss, TCP_SYN | TCP_ACK, NULL, 0);
}

static void syn_input(struct tcp_guest *g, const struct tcp_header *h, uint64_t now_ms)
{
    if (g->state == TG_LISTEN && !(h->flags & TCP_ACK)) {
        listen_input(g, h, now_ms);
    } else if (g->state == TG_SYN_RCVD && h->seq == g->irs) {
        emit(g, g->iss, TCP_SYN | TCP_ACK, NULL, 0);
    } else if (g->state == TG_OPEN) {
        tcp_guest_ack(g); /* ours was lost */
    } else if (g->state == TG_SYN_SENT && (h->flags & TCP_ACK) && h->ack == g->iss + 1) {
        establish(g, h, now_ms);
        g->snd_una = g->snd_nxt = g->snd_max = h->ack;
        g->snd_edge = h->ack + h->window;
        g->rto_ms = RTO_FIRST_MS;
        tcp_guest_ack(g);
    }
}

static void rst_input(struct tcp_guest *g, const struct tcp_header *h)
{
    if (g->state == TG_SYN_SENT) {
        if ((h->flags & TCP_ACK) && h->ack == g->iss + 1)
            g->state = TG_RESET;
    } else if (g->fin_acked && g->got_fin) {
        return; /* TIME-WAIT: it is over anyway (RFC 1337) */
    } else if (h->seq == g->rcv_nxt) {
        g->state = TG_RESET;
    } else if (lt(g->rcv_nxt, h->seq) && !lt(g->rcv_edge, h->seq)) {
        tcp_guest_ack(g); /* a challenge */
    }
}

void tcp_guest_input(struct tcp_guest *g, const struct tcp_header *h, const uint8_t *data,
                     size_t len_bytes, uint64_t now_ms)
{
    uint32_t end = h->seq + (uint32_t)len_bytes + !!(h->flags & TCP_FIN);

    g->segments_in++;
    if (g->state == TG_CLOSED || g->state == TG_RESET)
        return;
    if (h->flags & TCP_RST) {
        rst_input(g, h);
        return;
    }
    if (h->flags & TCP_SYN) {
        syn_input(g, h, now_ms);
        return;
    }
    if (g->state == TG_SYN_RCVD && (h->flags & TCP_ACK) && h->ack == g->iss + 1)
        g->state = TG_OPEN;
    if (g->state != TG_OPEN)
        return;
    if (lt(end, g->rcv_nxt) || lt(g->rcv_edge, h->seq)) {
        tcp_guest_ack(g);
        return;
    }
    take_ack(g, h, len_bytes, now_ms);
    take_data(g, h, data, len_bytes);
    tcp_guest_run(g, now_ms);
}
