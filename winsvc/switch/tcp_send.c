/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Segments to the guest. A byte lies in the down ring from the socket's read until the guest
 * acknowledged it; a segment is made from the ring each time it is sent.
 *
 *      snd_una          snd_nxt           snd_una + down.len
 *         |--in flight----|---to be sent-------|FIN
 *
 * Turns. The link is one queue for all, and whatever was put into it waits for everything before
 * it. So only TURN_BYTES of data go in at a time (twice that in super-segments, which are gone in
 * less time; four times with a large MTU, where the guest takes turns with us less often then, for
 * a fifth less of our processor time), and flows share them by deficit round robin in two lists, as
 * fq_codel does: a flow that has nothing under way enters `fresh` and goes first; once it has used
 * up a quantum it is `bulk` and takes turns. A request's answer beside eight bulk streams is such a
 * fresh flow each time. One that runs dry while fresh passes through the end of bulk, so that it
 * cannot go first for ever by sending a little at a time.
 *
 * Bare ACKs (tcp_ack.c) and an RST have the sequence number behind everything that was ever sent:
 * snd_nxt may have gone back, and below its window the guest would look at neither.
 *
 * Loss. The link loses nothing, but a queue in the guest may. Retransmission is RFC 6298's timer
 * (200 ms to 60 s) going back to snd_una, and NewReno's fast retransmit (RFC 6582) on three
 * duplicate ACKs. There is no slow start: until something was lost the guest's window and the
 * ring are the limit, for the path is one stream; a loss halves what may be in flight, and each ACK
 * gives some back until the limit means nothing any more. No SACK: rounds here take well under a
 * millisecond, so a hole per round is cheap, and the option would cost every ACK its parsing.
 *
 * One timer a flow, on the wheel, for whatever it waits for (enum tcp_wait). It is moved only when
 * it must fire earlier; when it comes too early it looks at due_ms and waits on. So neither an ACK
 * nor a segment touches the wheel in a steady stream.
 *
 *   ACK      something is in flight: retransmit, twice the time each; after STALL_MS without any
 *            progress the flow is reset. Without a link nothing is sent and the time not doubled.
 *   WINDOW   the guest's window is closed: a probe below snd_una, which any TCP answers by an ACK
 *   MEMORY   no block for the down ring: the socket is asked again
 *   IDLE     two hours of silence as kernels do, then KEEPALIVE_PROBES probes of the same kind;
 *            for a flow nobody is behind any more, and for TIME_WAIT, the end
 */
#include "switch/tcp_internal.h"

#include "base/util.h"

enum {
    TURN_BYTES = 128 * 1024,
    TURN_BYTES_LARGE = 256 * 1024,     /* super-segments */
    TURN_BYTES_LARGE_MTU = 512 * 1024, /* whole, within FRAME_BATCH_BYTES */
    QUANTUM_BYTES = 16 * 1024,
    QUANTUM_BYTES_LARGE = 64 * 1024,
    RTO_MIN_MS = 200,
    RTO_MAX_MS = 60 * 1000,
    STALL_MS = 100 * 1000,
    HANDSHAKE_MS = 10 * 1000,
    KEEPALIVE_MS = 2 * 3600 * 1000,
    KEEPALIVE_STEP_MS = 75 * 1000,
    KEEPALIVE_PROBES = 9,
    ORPHAN_MS = 60 * 1000,
    MEMORY_RETRY_MS = 50,
    CSUM_OFFSET = 16, /* in the TCP header */
    CWND_FREE = 0x40000000,
    CWND_LIMIT = 4 * 1024 * 1024, /* beyond it nothing is limited any more */
    DUP_ACKS = 3
};

bool tcp_has_large_frames(const struct tcp_table *t)
{
    return switch_has_large_mtu(t->sw) || (t->sw->link && frame_link_has_offload(t->sw->link));
}

size_t tcp_turn_bytes(const struct tcp_table *t)
{
    if (switch_has_large_mtu(t->sw))
        return TURN_BYTES_LARGE_MTU;
    return tcp_has_large_frames(t) ? TURN_BYTES_LARGE : TURN_BYTES;
}

/* ---- one segment ------------------------------------------------------------------------ */

unsigned tcp_own_mss(const struct tcp_table *t, bool v4)
{
    return t->sw->config.mtu - TCP_HEADER_BYTES - (v4 ? IP4_HEADER_BYTES : IP6_HEADER_BYTES);
}

/* The link's checksum is the guest's work, or it is made while the bytes pass. */
static void put_payload(const struct tcp_flow *f, struct out *o, uint8_t *to, size_t offset,
                        size_t len_bytes)
{
    struct ring_span part[2];
    unsigned count;

    if (frame_link_has_offload(f->table->sw->link)) {
        ring_copy_out(&f->down, offset, to, len_bytes);
        return;
    }
    count = ring_peek(&f->down, offset, len_bytes, part);
    for (unsigned i = 0; i < count; i++) {
        out_copy(o, to, part[i].data, part[i].len_bytes);
        to += part[i].len_bytes;
    }
}

/* Writes one segment: @len_bytes of the down ring from @offset. False: the link has no room. */
static bool emit(struct tcp_flow *f, struct tcp_header *h, size_t offset, size_t len_bytes,
                 unsigned gso_size)
{
    uint8_t header[60];
    struct bytes_out w = bytes_into(header, sizeof header);
    struct ip_header ip = { .src = f->key.remote,
                            .dst = f->key.guest,
                            .proto = IP_PROTO_TCP,
                            .ttl = 64,
                            .dont_fragment = true };
    uint32_t edge = f->rcv_edge;
    struct out o;

    h->src_port = f->key.remote_port;
    h->dst_port = f->key.guest_port;
    if (h->flags & TCP_ACK) {
        h->ack = f->rcv_nxt;
        h->window = tcp_window_field(f, &edge, !(h->flags & TCP_SYN));
    }
    tcp_put(&w, h);
    if (!out_begin(f->table->sw, &o, &ip, w.len_bytes + len_bytes))
        return false;
    memcpy(o.l4, header, w.len_bytes);
    put_payload(f, &o, o.l4 + w.len_bytes, offset, len_bytes);
    out_end(f->table->sw, &o, CSUM_OFFSET, gso_size);
    if (h->flags & TCP_ACK) {
        f->rcv_edge = seq_max(f->rcv_edge, edge);
        tcp_ack_sent(f, len_bytes);
    }
    return true;
}

bool tcp_send_control(struct tcp_flow *f, uint32_t seq, uint8_t flags)
{
    struct tcp_header h = { .seq = seq, .flags = flags };

    return emit(f, &h, 0, 0, 0);
}

uint32_t tcp_syn_window(const struct tcp_table *t)
{
    return MIN(t->sw->config.limits.flow_buffer_bytes, UINT16_MAX);
}

void tcp_send_syn(struct tcp_flow *f)
{
    bool answer = f->state == TCP_SYN_RCVD;
    struct tcp_header h = { .seq = f->snd_una,
                            .flags = answer ? TCP_SYN | TCP_ACK : TCP_SYN,
                            .has_mss = true,
                            .mss = (uint16_t)tcp_own_mss(f->table, ip_addr_is_v4(&f->key.guest)),
                            .has_window_scale = !answer || (f->flags & TF_SCALED) != 0,
                            .window_scale = f->table->own_scale };

    if (!answer)
        h.window = (uint16_t)tcp_syn_window(f->table);
    f->snd_nxt = f->snd_max = f->snd_una + 1;
    f->flags &= ~(uint32_t)TF_ACK_OWED;
    if (!emit(f, &h, 0, 0, 0))
        tcp_owe_ack(f); /* with the first room there is, not with the time-out */
    tcp_wait_for(f, TCP_WAIT_ACK, f->rto_ms);
}

void tcp_send_rst(struct tcp_flow *f)
{
    if (f->state == TCP_DIALLING)
        tcp_send_control(f, 0, TCP_RST | TCP_ACK);
    else if (f->state != TCP_DEAD && f->state != TCP_TIME_WAIT)
        tcp_send_control(f, f->snd_max, TCP_RST | TCP_ACK);
}

void tcp_refuse(struct switch_ *s, const struct packet *p, const struct tcp_header *h,
                uint32_t seg_len)
{
    struct tcp_header rst = { .src_port = h->dst_port, .dst_port = h->src_port, .flags = TCP_RST };
    struct ip_header ip = {
        .src = p->ip.dst, .dst = p->ip.src, .proto = IP_PROTO_TCP, .ttl = 64, .dont_fragment = true
    };
    struct bytes_out w;
    struct out o;

    if (h->flags & TCP_RST)
        return;
    if (h->flags & TCP_ACK) {
        rst.seq = h->ack;
    } else {
        rst.flags |= TCP_ACK;
        rst.ack = h->seq + seg_len;
    }
    if (!out_begin(s, &o, &ip, TCP_HEADER_BYTES))
        return;
    w = bytes_into(o.l4, TCP_HEADER_BYTES);
    tcp_put(&w, &rst);
    out_end(s, &o, CSUM_OFFSET, 0);
}

/* ---- turns ------------------------------------------------------------------------------ */

void tcp_deactivate(struct tcp_flow *f)
{
    if (!(f->flags & (TF_NEW | TF_BULK)))
        return;
    f->flags &= ~(uint32_t)(TF_NEW | TF_BULK);
    list_remove(&f->turn);
}

void tcp_activate(struct tcp_flow *f)
{
    struct tcp_table *t = f->table;

    if (f->state != TCP_OPEN)
        return;
    if (f->flags & (TF_NEW | TF_BULK)) {
        switch_want_flush(t->sw);
        return;
    }
    if (f->snd_max == f->snd_una) {
        f->flags |= TF_NEW;
        f->credit = QUANTUM_BYTES;
        list_append(&t->fresh, &f->turn);
    } else {
        f->flags |= TF_BULK;
        list_append(&t->bulk, &f->turn);
    }
    switch_want_flush(t->sw);
}

/* The FIN follows the last byte; it goes with it, or alone. */
static bool fin_follows(const struct tcp_flow *f, uint32_t sent, size_t n)
{
    return (f->flags & TF_HOST_EOF) && !(f->flags & TF_FIN_ACKED) && sent + n == f->down.len_bytes;
}

/* What may still be sent is waited for: an ACK, a window, or the next thing to happen. */
void tcp_wait_idle(struct tcp_flow *f)
{
    if (f->state != TCP_OPEN)
        return;
    if (f->snd_max != f->snd_una) {
        if (f->wait != TCP_WAIT_ACK)
            tcp_wait_for(f, TCP_WAIT_ACK, f->rto_ms);
    } else if (f->snd_wnd == 0 && (f->down.len_bytes > 0 || fin_follows(f, 0, 0))) {
        if (f->wait != TCP_WAIT_WINDOW)
            tcp_wait_for(f, TCP_WAIT_WINDOW, f->rto_ms);
    } else if ((f->flags & TF_STOPPED) && f->down.len_bytes == 0) {
        if (f->wait != TCP_WAIT_MEMORY)
            tcp_wait_for(f, TCP_WAIT_MEMORY, MEMORY_RETRY_MS);
    } else {
        tcp_wait_for(f, TCP_WAIT_IDLE, f->flags & TF_ORPHAN ? ORPHAN_MS : KEEPALIVE_MS);
    }
}

size_t tcp_segment_max(const struct tcp_flow *f, bool offload)
{
    size_t most = IP_MAX_BYTES - IP6_HEADER_BYTES - TCP_HEADER_BYTES;

    return offload ? f->mss * MAX(1, most / f->mss) : f->mss;
}

/* How much of the ring the next segment carries; 0: nothing now. */
static size_t next_len(const struct tcp_flow *f, uint32_t sent, bool offload)
{
    size_t avail = f->down.len_bytes > sent ? f->down.len_bytes - sent : 0;
    uint32_t window = MIN(f->snd_wnd, f->cwnd);
    size_t n = MIN(avail, window > sent ? window - sent : 0);

    n = MIN(n, tcp_segment_max(f, offload));
    if (n == avail || n < f->mss)
        return n < avail && sent > 0 && n < f->mss ? 0 : n;
    return n - n % f->mss;
}

static void count_sent(struct tcp_flow *f, uint32_t seq, uint32_t len)
{
    uint32_t end = seq + len;

    if (seq_lt(f->snd_max, end)) {
        if (!(f->flags & TF_TIMING)) {
            f->flags |= TF_TIMING;
            f->rtt_seq = end;
            f->rtt_start_ms = tcp_now(f->table);
        }
        if (f->snd_max == f->snd_una)
            f->progress_ms = tcp_now(f->table);
        f->snd_max = end;
    } else {
        f->table->sw->count.tcp_retransmits++;
        f->flags &= ~(uint32_t)TF_TIMING;
    }
}

enum turn { TURN_SENT, TURN_DRY, TURN_LINK_FULL };

/* Sends the next segment of @f, of @n payload bytes at @sent behind snd_una. */
static enum turn send_data(struct tcp_flow *f, uint32_t sent, size_t n, bool fin)
{
    struct tcp_header h = { .seq = f->snd_una + sent, .flags = TCP_ACK };

    if (sent + n == f->down.len_bytes && n > 0)
        h.flags |= TCP_PSH;
    if (fin)
        h.flags |= TCP_FIN;
    if (!emit(f, &h, sent, n, n > f->mss ? f->mss : 0))
        return TURN_LINK_FULL;
    if (fin)
        f->flags |= TF_FIN_SENT;
    count_sent(f, h.seq, (uint32_t)n + fin);
    f->snd_nxt = seq_max(f->snd_nxt, h.seq + (uint32_t)n + fin);
    f->credit -= (int32_t)(n + TCP_HEADER_BYTES + IP4_HEADER_BYTES);
    if (f->wait != TCP_WAIT_ACK)
        tcp_wait_for(f, TCP_WAIT_ACK, f->rto_ms);
    return TURN_SENT;
}

static enum turn send_next(struct tcp_flow *f, bool offload)
{
    uint32_t sent = f->snd_nxt - f->snd_una;
    size_t n;
    bool fin;

    if (f->flags & TF_REXMIT) { /* what was sent, and not more: the window may end there */
        n = MIN(f->down.len_bytes, MIN(f->snd_max - f->snd_una, f->mss));
        if (send_data(f, 0, n, fin_follows(f, 0, n)) == TURN_LINK_FULL)
            return TURN_LINK_FULL;
        f->flags &= ~(uint32_t)TF_REXMIT;
        return TURN_SENT;
    }
    n = next_len(f, sent, offload);
    fin = fin_follows(f, sent, n) && sent + n < f->snd_wnd;
    if (n == 0 && !fin)
        return TURN_DRY;
    return send_data(f, sent, n, fin);
}

/* @f has nothing more to send: see fq_codel in the THEORY. */
static void run_dry(struct tcp_table *t, struct tcp_flow *f)
{
    bool was_new = (f->flags & TF_NEW) != 0;

    tcp_deactivate(f);
    if (was_new && !list_is_empty(&t->bulk)) {
        f->flags |= TF_BULK;
        list_append(&t->bulk, &f->turn);
    }
    tcp_wait_idle(f);
}

static void end_turn(struct tcp_table *t, struct tcp_flow *f, int32_t quantum)
{
    tcp_deactivate(f);
    f->credit += quantum;
    f->flags |= TF_BULK;
    list_append(&t->bulk, &f->turn);
}

static void send_turns(struct tcp_table *t)
{
    bool offload = frame_link_has_offload(t->sw->link);
    bool large = tcp_has_large_frames(t);
    int32_t quantum = large ? QUANTUM_BYTES_LARGE : QUANTUM_BYTES;
    int64_t left = (int64_t)tcp_turn_bytes(t);

    while (left > 0 && frame_link_is_writable(t->sw->link)) {
        struct list *from = list_is_empty(&t->fresh) ? &t->bulk : &t->fresh;
        struct tcp_flow *f;
        int32_t before;
        enum turn what;

        if (list_is_empty(from))
            return;
        f = container_of(from->next, struct tcp_flow, turn);
        if (f->credit <= 0) {
            end_turn(t, f, quantum);
            continue;
        }
        before = f->credit;
        what = send_next(f, offload);
        if (what == TURN_LINK_FULL)
            break;
        if (what == TURN_DRY)
            run_dry(t, f);
        left -= before - f->credit;
    }
    if (frame_link_is_writable(t->sw->link))
        switch_want_flush(t->sw);
}

void tcp_produce(struct switch_ *s)
{
    struct tcp_table *t = s->tcp;

    if (!s->link)
        return;
    tcp_pay_acks(t, false);
    send_turns(t);
    tcp_pay_acks(t, true);
}

void tcp_batch_end(struct switch_ *s)
{
    struct tcp_table *t = s->tcp;

    for (struct tcp_flow *f = t->touched; f; f = f->touched_next) {
        tcp_settle(f);
        tcp_owe_window(f);
    }
    t->piece_count = 0;
    tcp_reap(t);
}

/* ---- what the guest acknowledged -------------------------------------------------------- */

/* RFC 6298 section 2, in milliseconds. */
static void measure(struct tcp_flow *f)
{
    uint32_t rtt = tcp_now(f->table) - f->rtt_start_ms;
    uint32_t delta = rtt > f->srtt_ms ? rtt - f->srtt_ms : f->srtt_ms - rtt;

    f->flags &= ~(uint32_t)TF_TIMING;
    if (f->srtt_ms == 0 && f->rttvar_ms == 0) {
        f->srtt_ms = rtt;
        f->rttvar_ms = rtt / 2;
    } else {
        f->rttvar_ms = (3 * f->rttvar_ms + delta) / 4;
        f->srtt_ms = (7 * f->srtt_ms + rtt) / 8;
    }
}

void tcp_rto_reset(struct tcp_flow *f)
{
    uint32_t rto = f->srtt_ms + MAX(4 * f->rttvar_ms, WHEEL_TICK_MS);

    f->rto_ms = MIN(MAX(rto, RTO_MIN_MS), RTO_MAX_MS);
    f->probes = 0;
}

void tcp_new_window(struct tcp_flow *f, uint32_t bytes)
{
    if (f->snd_wnd == 0 && bytes > 0) {
        tcp_rto_reset(f);
        f->wait = TCP_WAIT_NOTHING;
        tcp_wait_idle(f);
    }
    f->snd_wnd = bytes;
}

static void open_cwnd(struct tcp_flow *f, uint32_t acked)
{
    if (f->cwnd >= CWND_FREE)
        return;
    if (f->cwnd < f->ssthresh)
        f->cwnd += acked;
    else
        f->cwnd += MAX(1, (uint32_t)((uint64_t)f->mss * acked / f->cwnd));
    if (f->cwnd > CWND_LIMIT)
        f->cwnd = f->ssthresh = CWND_FREE;
}

static void halve_cwnd(struct tcp_flow *f)
{
    uint32_t flight = f->snd_max - f->snd_una;

    f->ssthresh = MAX(flight / 2, 8U * f->mss);
}

void tcp_acked(struct tcp_flow *f, uint32_t ack)
{
    uint32_t acked = ack - f->snd_una;
    uint32_t data = MIN(acked, f->down.len_bytes);

    if (acked > data && (f->flags & TF_FIN_SENT))
        f->flags |= TF_FIN_ACKED;
    ring_consume(&f->down, data);
    ring_trim(&f->down, &f->table->pool);
    f->snd_una = ack;
    f->snd_nxt = seq_max(f->snd_nxt, ack);
    f->dup_acks = 0;
    f->progress_ms = tcp_now(f->table);
    if ((f->flags & TF_TIMING) && seq_le(f->rtt_seq, ack))
        measure(f);
    tcp_rto_reset(f);
    if ((f->flags & TF_RECOVERY) && seq_lt(ack, f->recover)) {
        f->flags |= TF_REXMIT; /* a partial ACK: the next hole starts here */
    } else {
        f->flags &= ~(uint32_t)(TF_RECOVERY | TF_REXMIT);
        open_cwnd(f, acked);
    }
    f->wait = TCP_WAIT_NOTHING;
    tcp_wait_idle(f);
    if (f->flags & TF_SERVICE)
        tcp_service_acked(f);
    else if ((f->flags & TF_STOPPED) && f->down.len_bytes <= tcp_down_max(f) / 4 * 3)
        tcp_host_read(f);
}

void tcp_dup_acked(struct tcp_flow *f)
{
    if (f->dup_acks < UINT8_MAX)
        f->dup_acks++;
    if (f->dup_acks != DUP_ACKS || (f->flags & TF_RECOVERY))
        return;
    halve_cwnd(f);
    f->cwnd = f->ssthresh;
    f->recover = f->snd_max;
    f->flags |= TF_RECOVERY | TF_REXMIT;
    tcp_activate(f);
}

/* ---- timers ----------------------------------------------------------------------------- */

static void arm(struct tcp_table *t)
{
    uint64_t now = switch_now_ms(t->sw), next = wheel_next_ms(&t->wheel);

    if (next == t->timer_due_ms && timer_is_running(&t->timer))
        return;
    t->timer_due_ms = next;
    if (next == UINT64_MAX)
        timer_stop(&t->timer);
    else
        timer_start(&t->timer, next > now ? next - now : 0);
}

void tcp_wait_for(struct tcp_flow *f, enum tcp_wait what, uint32_t delay_ms)
{
    struct tcp_table *t = f->table;
    uint64_t due = switch_now_ms(t->sw) + delay_ms;

    f->wait = (uint8_t)what;
    f->due_ms = (uint32_t)due;
    if (wheel_is_set(&f->timer) && f->timer.due_tick <= due / WHEEL_TICK_MS + 1)
        return;
    wheel_set(&t->wheel, &f->timer, due);
    if (t->timer_due_ms > due)
        arm(t);
}

static void give_up(struct tcp_flow *f)
{
    if (f->state != TCP_SYN_SENT)
        tcp_send_rst(f);
    f->table->sw->count.tcp_reset++;
    tcp_flow_end(f, true);
}

/* Any TCP answers a segment below its window by an ACK that says its window. */
static void probe(struct tcp_flow *f, enum tcp_wait what, uint32_t delay_ms)
{
    f->probes++;
    tcp_send_control(f, f->snd_una - 1, TCP_ACK);
    tcp_wait_for(f, what, delay_ms);
}

static void retransmit(struct tcp_flow *f)
{
    bool handshake = f->state != TCP_OPEN;
    uint32_t limit = handshake ? HANDSHAKE_MS : STALL_MS;
    bool closed = !handshake && f->snd_wnd == 0; /* it may stay so as long as the guest answers */

    if (tcp_now(f->table) - (closed ? f->heard_ms : f->progress_ms) >= limit) {
        give_up(f);
        return;
    }
    if (f->table->sw->link)
        f->rto_ms = MIN(f->rto_ms * 2, RTO_MAX_MS);
    f->flags &= ~(uint32_t)TF_TIMING;
    if (handshake) {
        f->table->sw->count.tcp_retransmits++;
        tcp_send_syn(f);
        return;
    }
    if (f->cwnd != f->mss)
        halve_cwnd(f);
    f->cwnd = f->mss;
    f->snd_nxt = f->snd_una;
    f->flags &= ~(uint32_t)(TF_RECOVERY | TF_REXMIT);
    f->dup_acks = 0;
    if (closed) { /* a window that was taken back: nothing may be sent until it is known again */
        probe(f, TCP_WAIT_ACK, f->rto_ms);
        return;
    }
    tcp_wait_for(f, TCP_WAIT_ACK, f->rto_ms);
    tcp_activate(f);
}

static void window_probe(struct tcp_flow *f)
{
    if (tcp_now(f->table) - f->heard_ms >= STALL_MS) {
        give_up(f);
        return;
    }
    f->rto_ms = MIN(f->rto_ms * 2, RTO_MAX_MS / 2);
    probe(f, TCP_WAIT_WINDOW, f->rto_ms);
}

static void idle(struct tcp_flow *f)
{
    uint32_t silent = tcp_now(f->table) - f->heard_ms;

    if (f->state == TCP_TIME_WAIT) {
        tcp_flow_end(f, false);
    } else if (f->flags & TF_ORPHAN) {
        give_up(f);
    } else if (silent < KEEPALIVE_MS) {
        f->probes = 0;
        tcp_wait_for(f, TCP_WAIT_IDLE, KEEPALIVE_MS - silent);
    } else if (f->probes >= KEEPALIVE_PROBES) {
        give_up(f);
    } else {
        probe(f, TCP_WAIT_IDLE, KEEPALIVE_STEP_MS);
    }
}

static void on_due(struct tcp_flow *f)
{
    int32_t early = (int32_t)(f->due_ms - tcp_now(f->table));

    if (early > 0) {
        tcp_wait_for(f, f->wait, (uint32_t)early);
        return;
    }
    switch (f->wait) {
    case TCP_WAIT_ACK: retransmit(f); break;
    case TCP_WAIT_WINDOW: window_probe(f); break;
    case TCP_WAIT_MEMORY:
        f->wait = TCP_WAIT_NOTHING;
        tcp_host_read(f);
        tcp_wait_idle(f);
        break;
    case TCP_WAIT_IDLE: idle(f); break;
    default: break;
    }
}

void tcp_on_timer(void *table)
{
    struct tcp_table *t = table;
    uint64_t now = switch_now_ms(t->sw);
    struct wheel_timer *due;

    t->timer_due_ms = 0; /* no arming from within */
    while ((due = wheel_expire(&t->wheel, now)) != NULL)
        on_due(container_of(due, struct tcp_flow, timer));
    t->timer_due_ms = UINT64_MAX;
    tcp_reap(t);
    arm(t);
}

static void send_again(struct tcp_flow *f)
{
    enum { RECENT_MS = 60 * 1000 };

    if (f->state != TCP_OPEN) {
        if (f->state == TCP_SYN_RCVD || f->state == TCP_SYN_SENT)
            tcp_send_syn(f);
        return;
    }
    f->flags &= ~(uint32_t)(TF_RECOVERY | TF_REXMIT | TF_TIMING);
    f->snd_nxt = f->snd_una;
    tcp_rto_reset(f);
    if (f->snd_max != f->snd_una) {
        f->progress_ms = tcp_now(f->table);
        tcp_wait_for(f, TCP_WAIT_ACK, f->rto_ms);
    }
    if (f->down.len_bytes > 0 || (f->flags & TF_HOST_EOF))
        tcp_activate(f);
    if (tcp_now(f->table) - f->heard_ms < RECENT_MS)
        tcp_owe_ack(f);
}

void tcp_link_attached(struct switch_ *s)
{
    tcp_for_each(s->tcp, send_again);
    switch_want_flush(s);
}
