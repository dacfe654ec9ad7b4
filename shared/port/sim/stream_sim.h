/* SPDX-License-Identifier: Apache-2.0
 * stream_sim.h - streams whose far end is the test, and pairs of streams joined to each other.
 *
 * A struct sim_peer is the test's end of one stream. What the test sends is delivered by sim_run();
 * what the code under test writes can be looked at right away. By default the peer takes everything
 * at once; give it a room to make writes queue (ST_QUEUED, then on_drained() as room is given).
 *
 * As in production a stream that is neither read from nor has bytes queued does not notice a reset
 * before the next write, read start or shutdown.
 */
#ifndef SHARED_PORT_SIM_STREAM_SIM_H
#define SHARED_PORT_SIM_STREAM_SIM_H

#include "port/sim/loop_sim.h"
#include "port/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A stream for the code under test; its far end is the result. */
struct sim_peer *sim_stream(struct sim *sim, struct stream **out);
/* Two streams for the code under test, each other's far end. @window_bytes (0 = 65536) is what each
 * direction holds before writes queue. */
void sim_stream_pair(struct sim *sim, struct stream **a, struct stream **b, size_t window_bytes);
/* The peer through which faults reach a stream, one of a pair too. */
struct sim_peer *sim_peer_of(struct stream *s);
/* Where the dial that made it went; NULL for any other. */
const struct addr *sim_peer_dialled_to(const struct sim_peer *p);

/* ---- what the peer does: towards the code under test ------------------------------------ */

void sim_peer_send(struct sim_peer *p, const void *data, size_t len_bytes);
void sim_peer_send_text(struct sim_peer *p, const char *text);
/* One on_data() hands over at most @max_bytes from now on (1 = byte by byte; 0 = 65536 again). */
void sim_peer_set_piece(struct sim_peer *p, size_t max_bytes);
/* The peer sends no more; it still reads. */
void sim_peer_end(struct sim_peer *p);
/* The stream dies with @why (ST_RESET, ST_IO); bytes not delivered yet are lost. */
void sim_peer_reset(struct sim_peer *p, enum status why);
/* The peer takes nothing any more, as when it closed after its last word: writes fail with @why,
 * what it has sent is still delivered to whoever reads, and then the failed write is told as the
 * error it is. What is queued is lost. */
void sim_peer_break_writes(struct sim_peer *p, enum status why);
/* Bytes sent and not delivered yet: not 0 for ever means that the other side does not read. */
size_t sim_peer_undelivered(const struct sim_peer *p);

/* ---- what the peer does: as the reader -------------------------------------------------- */

/* Takes no more than @bytes further ones; 0 = stalls at once, SIZE_MAX = takes all again. */
void sim_peer_set_room(struct sim_peer *p, size_t bytes);
/* The same for every peer that is made from now on, so that the very first write can queue. */
void sim_set_new_room(struct sim *sim, size_t bytes);
/* Bytes received and not dropped, and how many. */
const uint8_t *sim_peer_data(const struct sim_peer *p, size_t *len_bytes);
/* The same as a string; the text is valid until the next thing happens on this stream. */
const char *sim_peer_text(struct sim_peer *p);
/* Forgets what was received so far. */
void sim_peer_drop_received(struct sim_peer *p);
/* The code under test ended its direction (shutdown or close), and everything before that has
 * arrived. */
bool sim_peer_saw_end(const struct sim_peer *p);
/* The code under test closed while bytes were unread or unsent: what had been sent may be lost on
 * its way, as a system would make it. */
bool sim_peer_saw_reset(const struct sim_peer *p);
/* The code under test closed the stream. */
bool sim_peer_is_closed(const struct sim_peer *p);
/* The code under test reads. */
bool sim_peer_is_read(const struct sim_peer *p);

/* ---- faults ----------------------------------------------------------------------------- */

/* The next stream_write() accepts nothing and returns @st (ST_NOMEM, ST_FULL). */
void sim_peer_next_write_fails(struct sim_peer *p, enum status st);
/* The next stream_unread() accepts nothing and returns @st. */
void sim_peer_next_unread_fails(struct sim_peer *p, enum status st);

#endif
