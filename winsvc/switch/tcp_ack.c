/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * What the guest is told about its own bytes: that they are here, and how many more it may send.
 *
 *   in order  --> owed: paid at the end of the batch, alone or by data that goes anyway
 *             '-> later: a question whose answer will carry it, or ACK_LATER_MS
 *   early, old, out of bounds --> owed, with duplicates for each that came early
 *
 * Owed. Flows that owe an ACK are on the touched list. Bare ACKs go before data, except where the
 * flow is about to send data that carries them, and whatever did not fit stays on the list until
 * the link has room.
 *
 * Later. Asking and answering by turns costs an ACK each way that says nothing: half of what goes
 * over the link. So once a flow's guest has got EXCHANGES answers in a row, each within ANSWER_MS
 * of one small segment, the ACK of the next small segment waits for the answer. It is owed as soon
 * as a second segment comes, and when the answer is late; then the flow has to show its habit
 * afresh. A writer that sends two small segments a question (Nagle's algorithm holds back the
 * second until the first is acknowledged) never gets into the habit, nor does a stream of data.
 *
 * How much. The window is what the ring can take, so no accepted byte is dropped, and a share of
 * what all uploads may have under way (tcp_share.c). A promise once made is kept: a share shrinks
 * as its bytes arrive.
 */
#include "switch/tcp_internal.h"

#include "base/util.h"

enum { EXCHANGES = 3, ANSWER_MS = 8, ACK_LATER_MS = 10 };

/* ---- how much --------------------------------------------------------------------------- */

/* What the guest may be given beyond rcv_nxt. */
static uint32_t window_room(const struct tcp_flow *f)
{
    size_t max = tcp_share_of(f, TCP_UP, tcp_up_max(f));

    return max > f->up.len_bytes ? (uint32_t)(max - f->up.len_bytes) : 0;
}

static uint32_t window_promised(const struct tcp_flow *f)
{
    return seq_lt(f->rcv_nxt, f->rcv_edge) ? f->rcv_edge - f->rcv_nxt : 0;
}

/* The edge never goes back: where there is less room than was promised once, the promise stands,
 * rounded up to what the field can say. */
uint16_t tcp_window_field(const struct tcp_flow *f, uint32_t *edge, bool scaled)
{
    unsigned shift = scaled && (f->flags & TF_SCALED) ? f->table->own_scale : 0;
    uint32_t field = window_room(f) >> shift, promised = window_promised(f);

    if (f->flags & TF_GUEST_FIN)
        field = 0;
    if (field << shift < promised)
        field = (promised + (1U << shift) - 1) >> shift;
    field = MIN(field, 65535);
    *edge = f->rcv_nxt + (field << shift);
    return (uint16_t)field;
}

void tcp_owe_window(struct tcp_flow *f)
{
    uint32_t step =
        MIN(2 * tcp_own_mss(f->table, true), f->table->sw->config.limits.flow_buffer_bytes / 2);

    if (f->state != TCP_OPEN || (f->flags & TF_GUEST_FIN) ||
        window_room(f) < window_promised(f) + step)
        return;
    tcp_owe_ack(f);
    switch_want_flush(f->table->sw);
}

/* ---- later ------------------------------------------------------------------------------ */

/* In the habit of asking and answering the next one comes at once, or never did. Beside bulk the
 * loop has enough to do, and its core is needed. */
static void expect(struct tcp_flow *f, enum loop_expectation what)
{
    struct switch_ *s = f->table->sw;

    if (!tcp_moves_much(s))
        loop_expect(s->env.loop, what);
}

void tcp_arrived(struct tcp_flow *f, size_t len_bytes, bool alone)
{
    struct tcp_table *t = f->table;
    bool is_question = alone && !(f->flags & TF_ASKED) && len_bytes < f->mss;

    tcp_share_count(f, TCP_UP, len_bytes);
    f->flags |= TF_ASKED;
    if (!is_question)
        f->exchanges = 0;
    if (f->exchanges < EXCHANGES || f->early_count > 0 || f->up.len_bytes > 0)
        return;
    f->flags &= ~(uint32_t)TF_ACK_OWED;
    f->flags |= TF_ACK_LATER;
    f->later_ms = tcp_now(t);
    list_append(&t->later, &f->later);
    if (!timer_is_running(&t->later_timer))
        timer_start(&t->later_timer, ACK_LATER_MS);
    expect(f, LOOP_ANSWER);
}

void tcp_later_end(struct tcp_flow *f)
{
    f->flags &= ~(uint32_t)TF_ACK_LATER;
    list_remove(&f->later);
}

/* Goes on with whoever is the oldest by then, so that the timer is not moved by every question. */
void tcp_on_later(void *table)
{
    struct tcp_table *t = table;

    while (!list_is_empty(&t->later)) {
        struct tcp_flow *f = container_of(t->later.next, struct tcp_flow, later);
        uint32_t age = tcp_now(t) - f->later_ms;

        if (age < ACK_LATER_MS) {
            timer_start(&t->later_timer, ACK_LATER_MS - age);
            return;
        }
        tcp_later_end(f);
        f->exchanges = 0;
        tcp_owe_ack(f);
        switch_want_flush(t->sw);
    }
}

void tcp_ack_sent(struct tcp_flow *f, size_t data_bytes)
{
    f->flags &= ~(uint32_t)TF_ACK_OWED;
    tcp_later_end(f);
    if (data_bytes == 0 || !(f->flags & TF_ASKED))
        return;
    f->flags &= ~(uint32_t)TF_ASKED;
    if (tcp_now(f->table) - f->heard_ms > ANSWER_MS)
        f->exchanges = 0;
    else if (f->exchanges < EXCHANGES)
        f->exchanges++;
    else
        expect(f, LOOP_QUESTION);
}

/* ---- owed ------------------------------------------------------------------------------- */

void tcp_owe_ack(struct tcp_flow *f)
{
    f->flags |= TF_ACK_OWED;
    tcp_touch(f);
}

/* Bare ACKs, with the duplicates that a loss asks for. False: the link has no room. */
static bool send_acks(struct tcp_flow *f)
{
    if (f->state == TCP_SYN_RCVD || f->state == TCP_SYN_SENT) {
        tcp_send_syn(f);
        return !(f->flags & TF_ACK_OWED);
    }
    do {
        if (!tcp_send_control(f, f->snd_max, TCP_ACK))
            return false;
        if (f->acks_owed > 0)
            f->acks_owed--;
    } while (f->acks_owed > 0);
    return true;
}

void tcp_pay_acks(struct tcp_table *t, bool all)
{
    struct tcp_flow **at = &t->touched;
    bool room = true;

    while (*at) {
        struct tcp_flow *f = *at;
        bool defer = !all && (f->flags & (TF_NEW | TF_BULK)) && f->acks_owed == 0;

        if (f->state != TCP_DEAD && (f->flags & TF_ACK_OWED)) {
            if (room && !defer)
                room = send_acks(f);
            if (!room || defer) {
                at = &f->touched_next;
                continue;
            }
        }
        *at = f->touched_next;
        f->flags &= ~(uint32_t)TF_TOUCHED;
    }
    t->touched_end = at;
}
