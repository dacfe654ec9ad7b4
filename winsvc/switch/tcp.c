/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A TCP connection of the guest's is not relayed between two stacks: its segments become reads and
 * writes of one host socket, and this file is the part of RFC 9293 that is left of a stack then.
 * The peer is one Linux kernel behind a link that keeps order; what it sends is checked as if it
 * were anybody's.
 *
 *   guest            switch                      host
 *     SYN ------------> DIALLING --connect--------->
 *     <------ SYN-ACK   SYN_RCVD <---------connected    RST: refused, ICMP: unreachable
 *     ACK ------------> OPEN
 *
 * State x event. OPEN stands for RFC 9293's seven: G = TF_GUEST_FIN, S = TF_FIN_SENT,
 * A = TF_FIN_ACKED; none: ESTABLISHED, G: CLOSE_WAIT, S: FIN_WAIT_1, SA: FIN_WAIT_2, GS: CLOSING or
 * LAST_ACK, by who was first.
 *
 *             | SYN              | ACK                | FIN           | RST        | host says
 *   ----------+------------------+--------------------+---------------+------------+-------------
 *   no flow   | nat, DIALLING    | RST                | RST           | -          |
 *   DIALLING  | same: ignored    | ignored            | ignored       | dial ends  | ok: SYN_RCVD
 *             | new: taken over  |                    |               |            | else: the end
 *   SYN_RCVD  | same: SYN-ACK    | of ours: OPEN      | after ACK     | end        | error: RST
 *             | new: RST, end    | other: RST         |               |            |
 *   SYN_SENT  | +ACK: OPEN       | bad: RST           | ignored       | of our SYN:| error: end
 *             | alone: SYN_RCVD  |                    |               | end        |
 *   OPEN      | challenge ACK    | data, windows      | G; host told  | exact: end | data, eof: FIN
 *             |                  |                    | when all is   | in window: | error: RST
 *             |                  |                    | written       | challenge  |
 *   GSA       |                  | guest first: end; otherwise TIME_WAIT
 *   TIME_WAIT | newer: a new one | ACK                | ACK           | end        |
 *             | else ACK         |                    |               |            |
 *
 * A SYN's data is not taken (the guest sends it again), nothing follows a FIN, URG is data like
 * any other. Challenge ACKs (RFC 5961) are limited per flow, which does not tell one flow's limit
 * to another's sender as a global one would.
 * RFC 9293 would have a new SYN in SYN_RCVD reset the connection and wait for the next one; the
 * guest's retransmission of the SYN then finds no flow and starts afresh.
 */
#include "switch/tcp_internal.h"

#include "base/util.h"
#include "wire/csum.h"

enum { CHALLENGE_MS = 500, MSS_MIN = 88, MSS_DEFAULT = 536, ACKS_OWED_MAX = 4 };
enum { HOST_PORT_FIRST = 0x8000, HOST_PORT_TRIES = 64 };

struct segment {
    const struct packet *p;
    struct tcp_header h;
    const uint8_t *data;
    uint32_t len; /* payload */
    uint32_t end; /* sequence number behind it, SYN and FIN counted */
};

static bool checksum_ok(const struct packet *p)
{
    uint64_t sum = csum_pseudo(&p->ip.src, &p->ip.dst, IP_PROTO_TCP, (uint32_t)p->l4_bytes);

    return csum_finish(csum_add(sum, p->l4, p->l4_bytes)) == 0;
}

/* ---- the beginning ---------------------------------------------------------------------- */

static void take_syn_options(struct tcp_flow *f, const struct tcp_header *h)
{
    unsigned own = tcp_own_mss(f->table, ip_addr_is_v4(&f->key.guest));
    unsigned mss = h->has_mss ? h->mss : MSS_DEFAULT;

    f->mss = (uint16_t)MIN(MAX(mss, MSS_MIN), own);
    f->flags &= ~(uint32_t)TF_SCALED;
    f->guest_scale = 0;
    if (h->has_window_scale) {
        f->flags |= TF_SCALED;
        f->guest_scale = h->window_scale;
    }
    f->irs = h->seq;
    f->rcv_nxt = f->rcv_edge = h->seq + 1;
    f->snd_wnd = h->window;
    f->snd_wl1 = h->seq;
}

static struct tcp_flow *begin_flow(struct tcp_table *t, const struct tcp_key *key,
                                   const struct segment *seg)
{
    struct tcp_flow *f = tcp_flow_new(t, key);

    if (!f) {
        tcp_refuse(t->sw, seg->p, &seg->h, 1);
        return NULL;
    }
    f->flags = TF_GUEST_OPENED;
    f->snd_una = f->snd_nxt = f->snd_max = tcp_isn(t, key);
    take_syn_options(f, &seg->h);
    return f;
}

static void begin_service(struct tcp_table *t, const struct tcp_key *key, const struct segment *seg)
{
    struct tcp_flow *f;

    if (!tcp_find_service(t, &key->remote, key->remote_port)) {
        t->sw->count.tcp_refused++;
        tcp_refuse(t->sw, seg->p, &seg->h, 1);
        return;
    }
    f = begin_flow(t, key, seg);
    if (!f)
        return;
    f->flags |= TF_SERVICE;
    f->state = TCP_SYN_RCVD;
    if (tcp_half_open_begin(f, &key->guest))
        tcp_send_syn(f);
    else
        tcp_flow_end(f, true); /* it will ask again */
}

static void deny(struct switch_ *s, const struct segment *seg)
{
    s->count.drop_policy++;
    if (ip_addr_is_link_local(&seg->p->ip.dst))
        tcp_refuse(s, seg->p, &seg->h, 1);
    else
        icmp_send_error(s, seg->p, ICMP_ERROR_ADMIN, 0);
}

/* A SYN that belongs to no flow. */
static void begin(struct switch_ *s, const struct tcp_key *key, const struct segment *seg)
{
    const struct ip_endpoint dst = { key->remote, key->remote_port };
    struct ip_endpoint to = dst;
    struct tcp_flow *f;

    switch (nat_outbound(s, IP_PROTO_TCP, &dst, &to)) {
    case NAT_GATEWAY: begin_service(s->tcp, key, seg); break;
    case NAT_GUEST_NET: icmp_send_error(s, seg->p, ICMP_ERROR_HOST, 0); break;
    case NAT_DENIED: deny(s, seg); break;
    case NAT_HOST:
    case NAT_OUTSIDE:
        f = open_rate_take(s, OPEN_TCP) ? begin_flow(s->tcp, key, seg) : NULL;
        if (f)
            tcp_dial(f, &to);
        break;
    }
}

static void establish(struct tcp_flow *f, const struct tcp_header *h)
{
    tcp_half_open_end(f);
    f->state = TCP_OPEN;
    f->snd_una = f->snd_nxt = f->snd_max = h->ack;
    f->snd_wl1 = h->seq;
    f->snd_wl2 = h->ack;
    f->wait = TCP_WAIT_NOTHING;
    f->table->sw->count.tcp_opened++;
    tcp_rto_reset(f);
    tcp_new_window(f, (uint32_t)h->window << (h->flags & TCP_SYN ? 0 : f->guest_scale));
    tcp_wait_idle(f);
    if (f->flags & TF_SERVICE)
        tcp_service_established(f);
    else
        tcp_host_read(f);
}

/* ---- before it is open ------------------------------------------------------------------ */

static void abandon(struct tcp_flow *f)
{
    f->table->sw->count.tcp_reset++;
    tcp_flow_end(f, true);
}

static void dialling_input(struct tcp_flow *f, const struct segment *seg)
{
    if (seg->h.flags & TCP_RST) {
        if (seg->h.seq == f->irs || seg->h.seq == f->rcv_nxt)
            abandon(f);
    } else if ((seg->h.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && seg->h.seq != f->irs) {
        take_syn_options(f, &seg->h); /* nothing was answered: it begins again here */
    }
}

static void open_input(struct tcp_flow *f, const struct segment *given);

static void syn_rcvd_input(struct tcp_flow *f, const struct segment *seg)
{
    const struct tcp_header *h = &seg->h;

    if (h->flags & TCP_RST) {
        if (h->seq == f->rcv_nxt)
            abandon(f);
        return;
    }
    if (h->flags & TCP_SYN) {
        if (h->seq == f->irs) {
            tcp_send_syn(f);
            return;
        }
        tcp_send_rst(f);
        abandon(f);
        return;
    }
    if (!(h->flags & TCP_ACK))
        return;
    if (h->ack != f->snd_una + 1) {
        tcp_refuse(f->table->sw, seg->p, h, seg->len);
        return;
    }
    establish(f, h);
    if (f->state == TCP_OPEN)
        open_input(f, seg);
}

static void syn_sent_input(struct tcp_flow *f, const struct segment *seg)
{
    const struct tcp_header *h = &seg->h;
    bool ack_ok = (h->flags & TCP_ACK) && h->ack == f->snd_una + 1;

    if ((h->flags & TCP_ACK) && !ack_ok) {
        tcp_refuse(f->table->sw, seg->p, h, seg->len);
        return;
    }
    if (h->flags & TCP_RST) {
        if (ack_ok) {
            f->table->sw->count.tcp_refused++;
            tcp_flow_end(f, true);
        }
        return;
    }
    if (!(h->flags & TCP_SYN))
        return;
    take_syn_options(f, h);
    f->rcv_edge = f->rcv_nxt + tcp_syn_window(f->table);
    if (!ack_ok) { /* both at once */
        f->state = TCP_SYN_RCVD;
        tcp_send_syn(f);
        return;
    }
    establish(f, h);
    if (f->state == TCP_OPEN)
        tcp_owe_ack(f);
}

/* ---- open ------------------------------------------------------------------------------- */

static void challenge(struct tcp_flow *f)
{
    uint32_t now = tcp_now(f->table);

    if (now - f->challenge_ms < CHALLENGE_MS)
        return;
    f->challenge_ms = now;
    tcp_owe_ack(f);
}

/* What follows the checks of sequence number, RST, SYN: false if the segment ends here. */
static bool take_ack(struct tcp_flow *f, const struct segment *seg)
{
    const struct tcp_header *h = &seg->h;
    uint32_t window = (uint32_t)h->window << f->guest_scale;
    bool same_window = window == f->snd_wnd;

    if (seq_lt(f->snd_max, h->ack)) {
        challenge(f);
        return false;
    }
    if (seq_lt(h->ack, f->snd_una))
        return true; /* old news; its data may be new */
    /* RFC 9293 3.10.7.4, and whenever the ACK moves on: the window counts from there. */
    if (seq_lt(f->snd_una, h->ack) || seq_lt(f->snd_wl1, h->seq) ||
        (f->snd_wl1 == h->seq && seq_le(f->snd_wl2, h->ack))) {
        tcp_new_window(f, window);
        f->snd_wl1 = h->seq;
        f->snd_wl2 = h->ack;
    }
    if (h->ack != f->snd_una)
        tcp_acked(f, h->ack);
    else if (seg->len == 0 && same_window && f->snd_max != f->snd_una && !(h->flags & TCP_FIN))
        tcp_dup_acked(f);
    if (f->state != TCP_OPEN)
        return false;
    if ((f->flags & (TF_REXMIT | TF_HOST_EOF)) || f->snd_nxt - f->snd_una < f->down.len_bytes)
        tcp_activate(f);
    return true;
}

/* Cuts off what is old and what is beyond the window. False: nothing new is left. */
static bool trim(const struct tcp_flow *f, struct segment *seg, bool *fin)
{
    uint32_t edge = f->rcv_edge;

    *fin = (seg->h.flags & TCP_FIN) != 0;
    if (seq_lt(seg->h.seq, f->rcv_nxt)) {
        uint32_t old = MIN(f->rcv_nxt - seg->h.seq, seg->len);

        seg->data += old;
        seg->len -= old;
        seg->h.seq += old;
    }
    if (seq_lt(edge, seg->h.seq + seg->len)) {
        seg->len = seq_lt(seg->h.seq, edge) ? edge - seg->h.seq : 0;
        *fin = false;
    }
    return seg->len > 0 || *fin;
}

static void early(struct tcp_flow *f, const struct segment *seg)
{
    f->table->sw->count.tcp_out_of_order++;
    if (seg->len > 0)
        tcp_keep_early(f, seg->h.seq, seg->data, seg->len);
    if (f->acks_owed < ACKS_OWED_MAX)
        f->acks_owed++;
}

static void take_data(struct tcp_flow *f, struct segment *seg)
{
    bool alone = !(f->flags & (TF_ACK_OWED | TF_ACK_LATER)), fin;

    if (seg->len > 0 || (seg->h.flags & TCP_FIN))
        tcp_owe_ack(f);
    if ((f->flags & TF_GUEST_FIN) || !trim(f, seg, &fin))
        return;
    if ((f->flags & TF_ORPHAN) && seg->len > 0) {
        tcp_send_rst(f); /* RFC 9293 3.6.1: data nobody will read */
        abandon(f);
        return;
    }
    if (seg->h.seq != f->rcv_nxt) {
        early(f, seg);
        return;
    }
    if (seg->len > 0)
        tcp_take(f, seg->data, seg->len, seg->p->lasts);
    if (f->state == TCP_OPEN && seg->len > 0)
        tcp_arrived(f, seg->len, alone && !fin);
    /* With early bytes behind it the FIN's place may have been passed: then it comes again. */
    if (f->state != TCP_OPEN || !fin || f->rcv_nxt != seg->h.seq + seg->len)
        return;
    f->rcv_nxt++;
    f->flags |= TF_GUEST_FIN;
    if (!(f->flags & TF_FIN_SENT))
        f->flags |= TF_GUEST_FIRST;
    tcp_touch(f);
}

static void open_input(struct tcp_flow *f, const struct segment *given)
{
    struct segment seg = *given;
    const struct tcp_header *h = &seg.h;

    if (seq_lt(seg.end, f->rcv_nxt) || seq_lt(f->rcv_edge, h->seq)) {
        if (!(h->flags & TCP_RST))
            tcp_owe_ack(f);
        return;
    }
    if (h->flags & TCP_RST) {
        if (h->seq == f->rcv_nxt) {
            tcp_settle(f); /* what came before it in this batch did come before it */
            abandon(f);
        } else {
            challenge(f);
        }
        return;
    }
    if (h->flags & TCP_SYN) {
        challenge(f);
        return;
    }
    if (!(h->flags & TCP_ACK) || !take_ack(f, &seg))
        return;
    take_data(f, &seg);
    if (f->state == TCP_OPEN && (f->flags & TF_FIN_ACKED))
        tcp_check_done(f);
}

void tcp_check_done(struct tcp_flow *f)
{
    const uint32_t both = TF_GUEST_FIN | TF_HOST_SHUT;

    if (f->state != TCP_OPEN || (f->flags & both) != both)
        return;
    if ((f->flags & TF_HOST_EOF) && !(f->flags & TF_SERVICE))
        tcp_host_close(f, false); /* nothing more comes or goes there */
    if (!(f->flags & TF_FIN_ACKED))
        return;
    if (f->flags & TF_GUEST_FIRST)
        tcp_flow_end(f, false);
    else
        tcp_enter_time_wait(f);
}

/* ---- the rest --------------------------------------------------------------------------- */

static void time_wait_input(struct tcp_flow *f, const struct tcp_key *key,
                            const struct segment *seg)
{
    struct switch_ *s = f->table->sw;

    if (seg->h.flags & TCP_RST) {
        if (seg->h.seq == f->rcv_nxt)
            tcp_flow_end(f, false);
    } else if ((seg->h.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && seq_lt(f->rcv_nxt, seg->h.seq)) {
        tcp_flow_end(f, false); /* RFC 6191, RFC 9293 3.6.1 */
        begin(s, key, seg);
    } else if (seg->len > 0 || (seg->h.flags & (TCP_SYN | TCP_FIN))) {
        tcp_owe_ack(f);
    }
}

static void no_flow(struct switch_ *s, const struct tcp_key *key, const struct segment *seg)
{
    if ((seg->h.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN) {
        begin(s, key, seg);
        return;
    }
    s->count.drop_no_flow++;
    tcp_refuse(s, seg->p, &seg->h, seg->end - seg->h.seq);
}

static void flow_input(struct tcp_flow *f, const struct tcp_key *key, const struct segment *seg)
{
    f->heard_ms = tcp_now(f->table);
    switch ((enum tcp_state)f->state) {
    case TCP_DIALLING: dialling_input(f, seg); break;
    case TCP_SYN_RCVD: syn_rcvd_input(f, seg); break;
    case TCP_SYN_SENT: syn_sent_input(f, seg); break;
    case TCP_OPEN: open_input(f, seg); break;
    case TCP_TIME_WAIT: time_wait_input(f, key, seg); break;
    case TCP_DEAD: break;
    }
}

void tcp_input(struct switch_ *s, const struct packet *p)
{
    struct segment seg = { .p = p };
    struct bytes r = bytes_of(p->l4, p->l4_bytes);
    struct tcp_key key = { .guest = p->ip.src, .remote = p->ip.dst };
    struct tcp_flow *f;

    if (tcp_decode(&seg.h, &r) != ST_OK || seg.h.src_port == 0 || seg.h.dst_port == 0) {
        s->count.drop_malformed++;
        return;
    }
    if (!p->csum_ok && !checksum_ok(p)) {
        s->count.drop_bad_checksum++;
        return;
    }
    seg.data = r.p;
    seg.len = (uint32_t)r.left;
    seg.end = seg.h.seq + seg.len + !!(seg.h.flags & TCP_SYN) + !!(seg.h.flags & TCP_FIN);
    key.guest_port = seg.h.src_port;
    key.remote_port = seg.h.dst_port;
    f = tcp_find(s->tcp, &key);
    if (f)
        flow_input(f, &key, &seg);
    else
        no_flow(s, &key, &seg);
}

/* Gives @key a port of the host side that no flow to that guest port has. Random, so that a guest's
 * TIME-WAIT of the connection before is seldom met. False: nearly all are taken. */
static bool choose_host_port(struct tcp_table *t, struct tcp_key *key)
{
    for (unsigned i = 0; i < HOST_PORT_TRIES; i++) {
        uint16_t random = 0;

        t->sw->env.random(&random, sizeof random);
        key->remote_port = HOST_PORT_FIRST | random;
        if (!tcp_find(t, key))
            return true;
    }
    return false;
}

/* A flow whose SYN is the next thing to send, with nothing of the host side behind it yet. */
static enum status begin_to_guest(struct tcp_table *t, const struct ip_endpoint *from,
                                  const struct ip_endpoint *to, struct tcp_flow **out)
{
    struct tcp_key key = { to->addr, from->addr, to->port, from->port };
    unsigned full = t->flow_count >= t->sw->config.limits.tcp_flows;
    struct tcp_flow *f;

    if (from->port ? tcp_find(t, &key) != NULL : !choose_host_port(t, &key))
        return ST_EXISTS;
    f = tcp_flow_new(t, &key);
    if (!f)
        return full ? ST_FULL : ST_NOMEM;
    f->snd_una = f->snd_nxt = f->snd_max = tcp_isn(t, &key);
    f->state = TCP_SYN_SENT;
    *out = f;
    return ST_OK;
}

enum status tcp_open_to_guest(struct switch_ *s, struct net_tcp *conn,
                              const struct ip_endpoint *from, const struct ip_endpoint *to)
{
    struct tcp_flow *f = NULL;
    enum status st = begin_to_guest(s->tcp, from, to, &f);

    if (st) {
        s->env.net->ops->tcp_close(conn, true);
        return st;
    }
    tcp_adopt_conn(f, conn);
    tcp_send_syn(f);
    return ST_OK;
}

enum status tcp_dial_guest(struct switch_ *s, struct stream **out, const struct ip_endpoint *from,
                           const struct ip_endpoint *to)
{
    struct tcp_flow *f = NULL;
    enum status st = begin_to_guest(s->tcp, from, to, &f);

    if (st)
        return st;
    f->flags |= TF_SERVICE;
    *out = tcp_service_stream(f);
    if (!*out) {
        tcp_flow_end(f, true);
        return ST_NOMEM;
    }
    tcp_send_syn(f);
    switch_want_flush(s);
    return ST_OK;
}
