/* SPDX-License-Identifier: Apache-2.0
 * net_sim.h - the host's network by script: a struct net whose every socket ends at the test.
 *
 *     struct net_sim *n = net_sim_new(sim);
 *     net_sim_next_connect(n, ST_OK, 5);                 the next connect succeeds after 5 ms
 *     ... the code under test connects over net_sim_net(n) ...
 *     sim_advance_ms(sim, 5);
 *     struct net_sim_peer *web = net_sim_take_connected(n);
 *     net_sim_peer_send_text(web, "hello");
 *     sim_run(sim);                                      deliver
 *     net_sim_free(n);                                   aborts if anything was left open
 *
 * The rules are those of loop_sim.h, whose clock and events this uses: callbacks reach the code
 * under test only from sim_step(), sim_run() and sim_advance_ms(); with the same calls and seed
 * everything repeats; a use after close, a second close and something open at the end is an ASSERT.
 * Peers stay valid until net_sim_free(), also after their connection was closed.
 */
#ifndef SHARED_PORT_SIM_NET_SIM_H
#define SHARED_PORT_SIM_NET_SIM_H

#include "port/net.h"
#include "port/sim/loop_sim.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_sim;
struct net_sim_peer; /* the test's end of one TCP connection */

struct net_sim *net_sim_new(struct sim *sim);
struct net *net_sim_net(struct net_sim *n);
/* Before sim_free(). Everything must be closed. NULL is fine. */
void net_sim_free(struct net_sim *n);

/* ---- TCP connects of the code under test ------------------------------------------------ */

struct net_sim_answer {
    enum status st;    /* ST_OK connects; anything else is how it fails */
    uint64_t delay_ms; /* SIM_NEVER, or beyond the timeout: it ends with ST_TIMEOUT then */
};

/* Appends to the script: answers are used up in order, whatever the destination. */
void net_sim_next_connect(struct net_sim *n, enum status st, uint64_t delay_ms);
/* The next tcp_connect() itself returns @st and starts nothing. */
void net_sim_next_connect_start_fails(struct net_sim *n, enum status st);
/* Decides where the script has nothing. Without it such a connect is refused at once. */
typedef struct net_sim_answer net_sim_connect_fn(void *ctx, const struct ip_endpoint *to);
void net_sim_on_connect(struct net_sim *n, net_sim_connect_fn *decide, void *ctx);
unsigned net_sim_connect_count(const struct net_sim *n); /* started so far */
unsigned net_sim_connects_pending(const struct net_sim *n);
/* The far end of the oldest successful connect not taken yet; NULL when there is none. */
struct net_sim_peer *net_sim_take_connected(struct net_sim *n);
/* The same, of connects to @to only. */
struct net_sim_peer *net_sim_take_connected_to(struct net_sim *n, const struct ip_endpoint *to);

/* ---- the far end of a TCP connection ----------------------------------------------------- */

/* Where the code under test connected to, or of an accepted one: where the listener is. */
const struct ip_endpoint *net_sim_peer_at(const struct net_sim_peer *p);
void net_sim_peer_send(struct net_sim_peer *p, const void *data, size_t len_bytes);
void net_sim_peer_send_text(struct net_sim_peer *p, const char *text);
/* One read takes at most @max_bytes from now on; 0 = all there is. */
void net_sim_peer_set_piece(struct net_sim_peer *p, size_t max_bytes);
/* The peer sends no more; it still reads. */
void net_sim_peer_end(struct net_sim_peer *p);
/* The connection dies with @why (ST_RESET, ST_IO, ST_TIMEOUT); bytes not read yet are lost. As in
 * production it is noticed by who reads, waits for room, or writes next. */
void net_sim_peer_reset(struct net_sim_peer *p, enum status why);
/* Bytes sent and not read yet by the code under test. */
size_t net_sim_peer_unread(const struct net_sim_peer *p);
/* Takes no more than @bytes further ones: writes become partial; 0 = stalls at once, SIZE_MAX =
 * takes all again. */
void net_sim_peer_set_room(struct net_sim_peer *p, size_t bytes);
/* The same for every connection made from now on. */
void net_sim_set_new_room(struct net_sim *n, size_t bytes);
/* Bytes received and not dropped, and how many. */
const uint8_t *net_sim_peer_data(const struct net_sim_peer *p, size_t *len_bytes);
/* The same as a string, valid until the next thing happens on this connection. */
const char *net_sim_peer_text(struct net_sim_peer *p);
/* Forgets what was received so far. */
void net_sim_peer_drop_received(struct net_sim_peer *p);
/* Calls of tcp_write(): what would have been system calls. */
unsigned net_sim_peer_writes(const struct net_sim_peer *p);
/* The code under test ended its direction (shutdown, or close without reset). */
bool net_sim_peer_saw_end(const struct net_sim_peer *p);
/* It closed with a reset: by its own will, or with bytes unread, as a system would make it. */
bool net_sim_peer_saw_reset(const struct net_sim_peer *p);
bool net_sim_peer_is_closed(const struct net_sim_peer *p);
/* tcp_read() was called, and on_space() has not said stop since. */
bool net_sim_peer_is_read(const struct net_sim_peer *p);

/* ---- TCP listeners of the code under test ----------------------------------------------- */

void net_sim_next_listen_fails(struct net_sim *n, enum status st, const char *why);
bool net_sim_is_listening(const struct net_sim *n, const struct ip_endpoint *at);
/* Somebody on the host connects; accepted by the next event. NULL when nobody listens there. */
struct net_sim_peer *net_sim_connect(struct net_sim *n, const struct ip_endpoint *at,
                                     const struct ip_endpoint *from);
void net_sim_listener_error(struct net_sim *n, const struct ip_endpoint *at, enum status why);

/* ---- UDP sockets of the code under test -------------------------------------------------- */

/* What becomes of a datagram that is sent. KEEP: the test takes it. */
enum net_sim_udp {
    NET_SIM_UDP_KEEP,
    NET_SIM_UDP_ECHO,
    NET_SIM_UDP_DROP,
    NET_SIM_UDP_REFUSED,
    NET_SIM_UDP_UNREACHABLE
};
void net_sim_udp_default(struct net_sim *n, enum net_sim_udp what); /* KEEP at first */
/* For one destination; at most 32 of them. */
void net_sim_udp_at(struct net_sim *n, const struct ip_endpoint *to, enum net_sim_udp what);
void net_sim_next_udp_open_fails(struct net_sim *n, enum status st);
void net_sim_next_udp_send_fails(struct net_sim *n, enum status st);

struct net_sim_datagram {
    struct ip_endpoint from, to; /* from: the socket's local endpoint */
    const uint8_t *data;
    size_t len_bytes;
};
/* The oldest kept datagram not taken yet; *out is valid until the next call. */
bool net_sim_take_datagram(struct net_sim *n, struct net_sim_datagram *out);
/* @from sends to the socket whose local endpoint is @to (an unspecified address of either there
 * fits every one); false: no such socket. */
bool net_sim_udp_send(struct net_sim *n, const struct ip_endpoint *from,
                      const struct ip_endpoint *to, const void *data, size_t len_bytes);
/* Datagrams sent by the code under test so far, whatever became of them. */
unsigned net_sim_udp_sent(const struct net_sim *n);

/* ---- echo requests ----------------------------------------------------------------------- */

/* Script for the next request; without one it is answered at once. */
void net_sim_next_ping(struct net_sim *n, enum status st, uint64_t delay_ms);
/* ping() itself returns @st from now on; ST_OK = works again. */
void net_sim_set_ping_fails(struct net_sim *n, enum status st);
/* The destination of the last request. */
struct ip_addr net_sim_last_ping(const struct net_sim *n);

/* ---- leaks ------------------------------------------------------------------------------- */

unsigned net_sim_open_tcp(const struct net_sim *n); /* pending connects included */
unsigned net_sim_open_udp(const struct net_sim *n);
unsigned net_sim_open_listeners(const struct net_sim *n);
unsigned net_sim_open_pings(const struct net_sim *n);

#endif
