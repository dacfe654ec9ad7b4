/* SPDX-License-Identifier: Apache-2.0
 * tcp_internal.h - what the tcp_*.c files share. Private to them.
 *
 *   tcp.c         segments of the guest: the state machine
 *   tcp_host.c    the socket (or service) behind a flow: dial, gather and write, read
 *   tcp_ack.c     what the guest is told of its bytes: ACKs, windows
 *   tcp_share.c   what flows that move much may have under way
 *   tcp_send.c    segments to the guest: data in turns, retransmission, timers
 *   tcp_table.c   flows: memory, lookup, limits, ends
 *   tcp_serve.c   services of the gateway's own: a flow as a stream
 */
#ifndef WINSVC_SWITCH_TCP_INTERNAL_H
#define WINSVC_SWITCH_TCP_INTERNAL_H

#include "base/hash.h"
#include "base/ring.h"
#include "base/timer_wheel.h"
#include "switch/switch_internal.h"

/* What the guest has been told. The states of RFC 9293 from ESTABLISHED on are TCP_OPEN with a
 * combination of TF_GUEST_FIN, TF_FIN_SENT and TF_FIN_ACKED (THEORY of tcp.c). */
enum tcp_state {
    TCP_DEAD,     /* not in the table any more; its memory waits for tcp_reap() */
    TCP_DIALLING, /* SYN came, the host connects, nothing answered yet */
    TCP_SYN_RCVD, /* SYN-ACK sent */
    TCP_SYN_SENT, /* a connection from the host side */
    TCP_OPEN,
    TCP_TIME_WAIT /* both ended, we first; no socket any more */
};

enum tcp_flag {
    TF_GUEST_FIN = 1 << 0, /* the guest ended its direction, everything before it is here */
    TF_HOST_SHUT = 1 << 1, /* and the host was told */
    TF_HOST_EOF = 1 << 2,  /* the host ended: a FIN follows the last byte of down */
    TF_FIN_SENT = 1 << 3,  /* at least once */
    TF_FIN_ACKED = 1 << 4,
    TF_ACK_OWED = 1 << 5,  /* at the next occasion */
    TF_TOUCHED = 1 << 6,   /* on table->touched */
    TF_NEW = 1 << 7,       /* on table->fresh */
    TF_BULK = 1 << 8,      /* on table->bulk */
    TF_REXMIT = 1 << 9,    /* the segment at snd_una goes again first */
    TF_RECOVERY = 1 << 10, /* of a loss, until recover is acknowledged */
    TF_BLOCKED = 1 << 11,  /* the host takes no more until it says so */
    TF_STOPPED = 1 << 12,  /* reading the host stopped for want of room */
    TF_SERVICE = 1 << 13,  /* the host side is a stream of ours */
    TF_ORPHAN = 1 << 14,   /* nobody is behind it any more; what was sent still goes out */
    TF_SCALED = 1 << 15,   /* both sides scale windows */
    TF_TIMING = 1 << 16,   /* rtt_seq is being timed */
    TF_GUEST_OPENED = 1 << 17,
    TF_HALF_OPEN = 1 << 18,   /* counted as such */
    TF_GUEST_FIRST = 1 << 19, /* the guest ended its direction before we sent our FIN */
    TF_ASKED = 1 << 20,       /* bytes came, and none went back since */
    TF_ACK_LATER = 1 << 21    /* on table->later: one segment is not acknowledged */
};

/* What the one timer of a flow waits for. */
enum tcp_wait { TCP_WAIT_NOTHING, TCP_WAIT_ACK, TCP_WAIT_WINDOW, TCP_WAIT_MEMORY, TCP_WAIT_IDLE };

enum {
    TCP_CHUNK_FLOWS = 64,
    TCP_EARLY_MAX = 3,    /* separate stretches that came out of order */
    TCP_PIECES_MAX = 512, /* segments gathered in one batch, over all flows */
    TCP_DEST_BUCKETS = 4096,
    TCP_SERVICES_MAX = 8,
    TCP_NO_PIECE = UINT16_MAX
};

/* Who talks to whom, as the guest sees it. Compared and hashed by memory: no padding. */
struct tcp_key {
    struct ip_addr guest, remote;
    uint16_t guest_port, remote_port;
};

struct tcp_stretch {
    uint32_t start, end; /* sequence numbers */
};

/* Who moves much at the same time (tcp_share.c). */
enum tcp_way { TCP_UP, TCP_DOWN };
struct tcp_moved {
    uint32_t tick, bytes, before; /* in that tick, in the one before it */
};
struct tcp_movers {
    uint32_t tick;
    unsigned now, before; /* flows: in that tick, in the one before it */
};

struct tcp_service_stream;

struct tcp_flow {
    struct tcp_table *table;
    struct tcp_flow *hash_next; /* also of the lists of dead and of spare flows */
    struct tcp_flow *touched_next;
    struct list turn; /* fresh or bulk; table->half_opened before, table->time_wait behind that */
    struct wheel_timer timer;
    union {
        struct net_tcp *conn;               /* owned; NULL = none (any more) */
        struct tcp_service_stream *service; /* with TF_SERVICE */
    } host;
    struct tcp_key key;
    uint32_t flags;
    uint8_t state, wait;
    uint8_t guest_scale, dup_acks; /* dup_acks: received in a row */
    uint8_t acks_owed;             /* duplicates to send, so that the guest retransmits fast */
    uint8_t early_count;
    uint8_t exchanges; /* questions answered at once, in a row; counts to EXCHANGES */
    uint8_t probes;    /* unanswered, of the present wait */
    uint16_t mss;      /* payload of a segment to the guest */
    uint16_t piece_first, piece_last;
    uint16_t dest_bucket;

    /* towards the guest: down holds snd_una on; behind its last byte comes the FIN */
    struct ring down;
    uint32_t snd_una, snd_nxt, snd_max; /* snd_nxt goes back on a time-out, snd_max never */
    uint32_t snd_wnd, snd_wl1, snd_wl2; /* the guest's window, and which segment said so */
    uint32_t cwnd, ssthresh, recover;   /* bytes; only a loss makes them matter */
    int32_t credit;                     /* of the present turn */
    uint32_t rtt_seq, rtt_start_ms;
    uint32_t srtt_ms, rttvar_ms, rto_ms;
    uint32_t progress_ms; /* since when nothing has moved */
    uint32_t heard_ms;    /* last segment of the guest */
    uint32_t challenge_ms;
    uint32_t due_ms; /* of @wait; the wheel may be earlier */

    /* from the guest: up ends at rcv_nxt, but for pieces gathered and not settled */
    struct ring up;
    uint32_t rcv_nxt, rcv_edge; /* rcv_edge: up to here the window was given; never goes back */
    uint32_t irs;
    struct tcp_moved moved[2];               /* by enum tcp_way */
    struct list later;                       /* on table->later, ... */
    uint32_t later_ms;                       /* ... since then */
    struct tcp_stretch early[TCP_EARLY_MAX]; /* in order, apart */
};

/* A segment's payload, in link memory until the end of the batch. */
struct tcp_piece {
    const uint8_t *data;
    uint32_t len_bytes;
    uint16_t next;
};

struct tcp_service {
    struct ip_addr at;
    uint16_t port;
    tcp_accept_fn *accept;
    void *ctx;
};

struct tcp_table {
    struct switch_ *sw;
    struct hash_key hash_key;
    struct tcp_flow **buckets;   /* owned */
    unsigned bucket_count;       /* a power of two */
    struct tcp_flow *last_found; /* or NULL; in the table */
    struct tcp_flow **chunks;    /* owned, each TCP_CHUNK_FLOWS flows; grows, never shrinks */
    unsigned chunk_count, chunk_max;
    struct tcp_flow *spare, *dead;
    unsigned flow_count, half_open;  /* flow_count: the dead not counted */
    uint16_t dest[TCP_DEST_BUCKETS]; /* half-open flows by hash of the destination */
    struct list half_opened;         /* those; what has waited the longest first */
    struct list time_wait;           /* the oldest first */

    struct tcp_flow *touched; /* this batch, or owing an ACK */
    struct tcp_flow **touched_end;
    struct tcp_piece pieces[TCP_PIECES_MAX];
    unsigned piece_count;
    struct net_iov iov[TCP_PIECES_MAX];

    struct list later; /* flows whose ACK waits for an answer, the oldest first */
    struct timer later_timer;
    struct tcp_movers movers[2]; /* by enum tcp_way */
    uint32_t light_tick;         /* when a flow that moves little was last seen (tcp_share.c) */

    struct list fresh, bulk; /* flows with something to send: the new ones, the others */
    struct ring_pool pool;
    uint8_t own_scale;

    struct timer_wheel wheel;
    struct timer timer;
    uint64_t timer_due_ms; /* what it is armed for; UINT64_MAX = not */
    struct tcp_service services[TCP_SERVICES_MAX];
    unsigned service_count;
    struct list streams; /* of services, to be closed at the end */
};

/* ---- sequence numbers, modulo 2^32 --------------------------------------------------------- */

static inline bool seq_lt(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) <= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
    return seq_lt(a, b) ? b : a;
}

static inline uint32_t tcp_now(const struct tcp_table *t)
{
    return (uint32_t)switch_now_ms(t->sw);
}

/* ---- tcp_table.c --------------------------------------------------------------------------- */

/* NULL: none. Borrowed, as every flow that is handed out here, until tcp_flow_end(). */
struct tcp_flow *tcp_find(struct tcp_table *t, const struct tcp_key *key);
/* A flow in the table, with defaults; NULL: full (counted) or no memory. */
struct tcp_flow *tcp_flow_new(struct tcp_table *t, const struct tcp_key *key);
/* By the table's secret key: what a peer chooses cannot be made to collide. */
uint64_t tcp_hash(const struct tcp_table *t, const void *data, size_t len_bytes);
/* Our first sequence number for @key, by a secret and the clock (RFC 6528). */
uint32_t tcp_isn(struct tcp_table *t, const struct tcp_key *key);
/* Counts @f as half open, towards @dest, until tcp_half_open_end(). False: too many are, and none
 * has waited long enough to give way. */
bool tcp_half_open_begin(struct tcp_flow *f, const struct ip_addr *dest);
/* It is one step further, and waits anew. */
void tcp_half_open_moved(struct tcp_flow *f);
void tcp_half_open_end(struct tcp_flow *f);
/* The end of a flow: everything given back, the host side closed. The pointer stays good until the
 * loop is reached again, with state TCP_DEAD. @reset: the host gets an RST. */
void tcp_flow_end(struct tcp_flow *f, bool reset);
/* Gives back everything but the flow itself, which answers late segments for a while. */
void tcp_enter_time_wait(struct tcp_flow *f);
/* Flows that are dead may be used again: nobody holds a pointer to one any more. */
void tcp_reap(struct tcp_table *t);
/* @f has a part in this batch: it is settled, and pays its ACK, at the end. */
void tcp_touch(struct tcp_flow *f);
/* Every flow that is in the table; @fn may end it. */
void tcp_for_each(struct tcp_table *t, void (*fn)(struct tcp_flow *f));

/* ---- tcp.c --------------------------------------------------------------------------------- */

/* The flow's direction may be over on both sides: go on to LAST_ACK's end or TIME_WAIT. */
void tcp_check_done(struct tcp_flow *f);

/* ---- tcp_host.c ---------------------------------------------------------------------------- */

/* Begins to connect the host's side. A failure has ended @f, as one that comes later does: ST_FULL
 * (half open), or what net's tcp_connect() says. */
enum status tcp_dial(struct tcp_flow *f, const struct ip_endpoint *to);
/* Takes bytes in order: gathers, writes or keeps them; advances rcv_nxt by what it could. */
void tcp_take(struct tcp_flow *f, const uint8_t *data, size_t len_bytes, bool lasts);
/* Gathered pieces and what is in up go to the host, what it does not take stays in up. */
void tcp_settle(struct tcp_flow *f);
/* A segment that came early: kept behind the end of up. False: no room. */
bool tcp_keep_early(struct tcp_flow *f, uint32_t seq, const uint8_t *data, size_t len_bytes);
/* There is room in down: the socket is read (again), unless it has ended. */
void tcp_host_read(struct tcp_flow *f);
/* Lets the socket or service go, with an RST if @reset; fine when there is none. */
void tcp_host_close(struct tcp_flow *f, bool reset);
/* @conn, accepted by a forward, is @f's from now on. */
void tcp_adopt_conn(struct tcp_flow *f, struct net_tcp *conn);
/* How much up and down may hold now; up's gets small when memory does. */
size_t tcp_up_max(const struct tcp_flow *f);
size_t tcp_down_max(const struct tcp_flow *f);

/* ---- tcp_ack.c ----------------------------------------------------------------------------- */

/* A bare ACK with the next occasion. */
void tcp_owe_ack(struct tcp_flow *f);
/* If the window opened by enough since it was last told. */
void tcp_owe_window(struct tcp_flow *f);
/* Bytes came in order, and their ACK is owed: it may go with the answer instead. @alone: there was
 * nothing to be acknowledged before. */
void tcp_arrived(struct tcp_flow *f, size_t len_bytes, bool alone);
/* The ACK does not wait any more; fine when it did not. */
void tcp_later_end(struct tcp_flow *f);
void tcp_on_later(void *table);
/* A segment with everything that is owed went to the guest, with @data_bytes of its own. */
void tcp_ack_sent(struct tcp_flow *f, size_t data_bytes);
/* Bare ACKs of the flows that owe one; unless @all, not of those that have data to send. */
void tcp_pay_acks(struct tcp_table *t, bool all);
/* The window field of the next segment, and the edge that it promises. */
uint16_t tcp_window_field(const struct tcp_flow *f, uint32_t *edge, bool scaled);

/* ---- tcp_share.c --------------------------------------------------------------------------- */

/* @f moved so many bytes. */
void tcp_share_count(struct tcp_flow *f, enum tcp_way way, size_t len_bytes);
/* @f is over. */
void tcp_share_end(struct tcp_flow *f);
/* @f moves at a gigabit a second or more. */
bool tcp_share_is_fast(const struct tcp_flow *f, enum tcp_way way);
/* How many bytes @f may have under way, at most @most. */
size_t tcp_share_of(const struct tcp_flow *f, enum tcp_way way, size_t most);

/* ---- tcp_send.c ---------------------------------------------------------------------------- */

void tcp_send_syn(struct tcp_flow *f); /* or SYN-ACK, by state */
/* What a SYN of ours promises: its window is not scaled, and no more than can be kept. */
uint32_t tcp_syn_window(const struct tcp_table *t);
void tcp_send_rst(struct tcp_flow *f);
/* Answers a segment that belongs to no flow. */
void tcp_refuse(struct switch_ *s, const struct packet *p, const struct tcp_header *h,
                uint32_t seg_len);
/* A segment without data, which acknowledges. False: the link had no room. */
bool tcp_send_control(struct tcp_flow *f, uint32_t seq, uint8_t flags);
/* Payload of the largest segment to the guest; a super-segment with @offload. */
size_t tcp_segment_max(const struct tcp_flow *f, bool offload);
/* A frame carries tens of KiB: super-segments, or a large MTU. */
bool tcp_has_large_frames(const struct tcp_table *t);
/* How much goes into the link at a time, and so how much is read from a socket. */
size_t tcp_turn_bytes(const struct tcp_table *t);
/* There may be something to send: @f gets a turn. */
void tcp_activate(struct tcp_flow *f);
/* No turn any more; fine when it had none. */
void tcp_deactivate(struct tcp_flow *f);
/* The guest has everything before @ack, which is more than before. */
void tcp_acked(struct tcp_flow *f, uint32_t ack);
/* One more duplicate ACK: the third is a loss (RFC 5681, 6582). */
void tcp_dup_acked(struct tcp_flow *f);
/* The guest's window; one that opens ends the probes of a closed one (RFC 9293 3.8.6.1). */
void tcp_new_window(struct tcp_flow *f, uint32_t bytes);
/* The retransmission time-out is the measured one again, without its doubling (RFC 6298). */
void tcp_rto_reset(struct tcp_flow *f);
/* Sets the flow's one timer. */
void tcp_wait_for(struct tcp_flow *f, enum tcp_wait what, uint32_t delay_ms);
/* Sets it to what the flow has to wait for by its state. */
void tcp_wait_idle(struct tcp_flow *f);
/* Of table->timer. */
void tcp_on_timer(void *table);
/* The MSS that our SYNs offer: what the MTU leaves. */
unsigned tcp_own_mss(const struct tcp_table *t, bool v4);

/* ---- tcp_serve.c --------------------------------------------------------------------------- */

const struct tcp_service *tcp_find_service(const struct tcp_table *t, const struct ip_addr *at,
                                           uint16_t port);
/* @f as a stream, which its owner closes; NULL: no memory. */
struct stream *tcp_service_stream(struct tcp_flow *f);
/* The handshake is done: hands the flow to its service, or sends what its dialler wrote so far. */
void tcp_service_established(struct tcp_flow *f);
/* As a socket's write: hands the guest's bytes to the stream's owner, returns how many it took. */
size_t tcp_service_write(struct tcp_flow *f, const struct net_iov *iov, unsigned count);
/* The guest ended its direction. */
void tcp_service_eof(struct tcp_flow *f);
/* The guest has taken bytes: the owner may be owed on_drained(). */
void tcp_service_acked(struct tcp_flow *f);
/* The flow ends: @why is told to the owner, but for ST_EOF, which is none. */
void tcp_service_lost(struct tcp_flow *f, enum status why);
/* At the end of the switch; those nobody closed yet wait for their owners. */
void tcp_services_free(struct tcp_table *t);

#endif
