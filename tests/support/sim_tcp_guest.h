/* SPDX-License-Identifier: Apache-2.0
 * sim_tcp_guest.h - one TCP connection of a guest, small, and strict about what it is told.
 *
 * It sends and expects a known byte at each offset, retransmits, acknowledges, and asserts what no
 * peer may do: acknowledge what was not sent, send beyond a window, change a byte. As Linux does it
 * looks at nothing of a segment outside of its window (RFC 9293 3.10.7.4) and believes only an RST
 * of the exact sequence number (RFC 5961). Segments leave by a function, so a test may lose or
 * reorder them. Pure: time is a parameter.
 */
#ifndef TESTS_SUPPORT_SIM_TCP_GUEST_H
#define TESTS_SUPPORT_SIM_TCP_GUEST_H

#include "base/ip_addr.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tcp_guest;
typedef void tcp_guest_send_fn(void *ctx, struct tcp_guest *g, const struct tcp_header *h,
                               const uint8_t *data, size_t len_bytes);

enum tcp_guest_state { TG_CLOSED, TG_SYN_SENT, TG_LISTEN, TG_SYN_RCVD, TG_OPEN, TG_RESET };

struct tcp_guest {
    struct ip_endpoint self, remote;
    tcp_guest_send_fn *send;
    void *ctx;
    enum tcp_guest_state state;
    unsigned id; /* of its streams' bytes */

    /* what the test sets */
    uint16_t mss, segment; /* announced; most bytes of a segment it sends */
    uint8_t scale;
    bool scaling;
    uint32_t window;  /* bytes it is willing to have in flight towards it */
    uint64_t to_send; /* length of its stream; grows as the test likes */
    bool ends;        /* a FIN behind it */
    bool keeps_early; /* out-of-order segments (one stretch) are kept */
    bool gso;         /* segments may be larger than the mss: the link cuts them */
    const char *text; /* what it sends instead of its known bytes; to_send long */
    bool takes_all;   /* what it receives is not looked at but by @on_text */
    void (*on_text)(void *ctx, struct tcp_guest *g, const uint8_t *data, size_t len_bytes);

    /* what happened */
    uint64_t acked, received;
    bool fin_acked, got_fin;
    unsigned retransmits, segments_in, dup_acks_in, acks_in, syns_sent, probes_sent;

    uint32_t iss, snd_una, snd_nxt, snd_max, snd_edge;
    uint32_t irs, rcv_nxt, rcv_edge;
    uint32_t early_start, early_end;
    uint8_t peer_scale, dup_acks;
    uint16_t peer_mss;
    uint64_t rto_due_ms, rto_ms;
    uint64_t established_ms;

    /* of the harness: where the window given to this guest ended, in the order it was given */
    bool was_told;
    uint32_t told_edge;
};

/* The byte at @offset of stream @id; the guest's own streams have odd ids (id * 2 + 1). */
uint8_t tcp_guest_byte(unsigned id, uint64_t offset);
void tcp_guest_fill(uint8_t *to, unsigned id, uint64_t offset, size_t len_bytes);
/* Aborts unless @data is what stream @id has at @offset. */
void tcp_guest_check(const uint8_t *data, unsigned id, uint64_t offset, size_t len_bytes);

void tcp_guest_init(struct tcp_guest *g, unsigned id, tcp_guest_send_fn *send, void *ctx);
void tcp_guest_connect(struct tcp_guest *g, uint32_t iss, uint64_t now_ms);
void tcp_guest_input(struct tcp_guest *g, const struct tcp_header *h, const uint8_t *data,
                     size_t len_bytes, uint64_t now_ms);
/* Sends what may be sent, retransmits what is due. */
void tcp_guest_run(struct tcp_guest *g, uint64_t now_ms);
/* When tcp_guest_run() has something to do if nothing else happens; UINT64_MAX = never. */
uint64_t tcp_guest_due_ms(const struct tcp_guest *g);
/* A keepalive: a segment below the window, which makes the other side say where it is. */
void tcp_guest_probe(struct tcp_guest *g);
void tcp_guest_ack(struct tcp_guest *g);
void tcp_guest_reset(struct tcp_guest *g);

#endif
