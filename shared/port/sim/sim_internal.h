/* SPDX-License-Identifier: Apache-2.0
 * sim_internal.h - what loop_sim.c and stream_sim.c share. Private to port/sim.
 */
#ifndef SHARED_PORT_SIM_SIM_INTERNAL_H
#define SHARED_PORT_SIM_SIM_INTERNAL_H

#include "port/addr.h"
#include "port/loop.h"
#include "port/sim/loop_sim.h"
#include "port/stream.h"

/* Something that will happen; embedded in what it happens to. */
struct sim_event {
    struct list
        link; /* on sim->events, in order of due_ms, then of arising; self-linked when idle */
    uint64_t due_ms;
    void (*happen)(struct sim_event *e);
};

void sim_event_init(struct sim_event *e, void (*happen)(struct sim_event *e));
/* Does nothing when it is already on its way. @delay_ms may be SIM_NEVER. */
void sim_event_post(struct sim *sim, struct sim_event *e, uint64_t delay_ms);
void sim_event_cancel(struct sim_event *e);

/* Memory or abort: the sim is a test tool. */
void *sim_alloc(size_t len_bytes);

/* Bytes on their way. */
struct sim_bytes {
    uint8_t *data; /* owned */
    size_t len, cap;
};

void sim_bytes_append(struct sim_bytes *b, const void *data, size_t len);
void sim_bytes_prepend(struct sim_bytes *b, const void *data, size_t len);
void sim_bytes_consume(struct sim_bytes *b, size_t len);

/* One stream and whoever is at its far end: the test, or another stream of a pair. */
struct sim_peer {
    struct stream stream; /* what the code under test holds; stays the first member */
    struct sim *sim;
    struct list link;         /* on sim->peers until sim_free() */
    struct list dialled_link; /* on sim->dialled until taken */
    struct addr dialled_to;   /* ADDR_NONE unless a dial made it */
    struct sim_peer *pair;    /* NULL: the far end is the test */
    struct sim_event on_readable, on_writable;

    /* towards the code under test */
    struct sim_bytes in; /* sent by the far end, not delivered */
    size_t piece;        /* most bytes one on_data() hands over */
    bool in_ended;       /* nothing follows @in */
    bool told_end;
    bool reading;

    /* from the code under test */
    struct sim_bytes queued;   /* accepted by stream_write(), not taken by the far end */
    struct sim_bytes received; /* taken by the test */
    size_t room;               /* further bytes the test takes; SIZE_MAX = any */
    size_t window;             /* of a pair: most bytes in the far end's @in */
    bool owes_drained;
    bool shut;      /* stream_shutdown() was called */
    bool out_ended; /* and everything before it has been taken */

    enum status broken; /* ST_OK, or why writes fail from now on */
    bool write_failed;  /* one did, so on_error() follows what is still to be delivered */
    enum status dead;   /* ST_OK, or what on_error() says */
    bool noticed_dead;
    bool told_error;
    bool closed;
    bool close_reset; /* closed with bytes unread or unsent */
    enum status next_write, next_unread;
};

struct sim_peer *sim_peer_new(struct sim *sim);
void sim_peer_free(struct sim_peer *p);

struct sim {
    struct loop loop;
    uint64_t now_ms, armed_ms;
    uint64_t shuffle; /* state of the generator; 0 = in order */
    struct list events, peers, dialled, listeners, dials;
    struct list script; /* of struct scripted_dial */
    enum status next_dial_start, next_listen;
    sim_dial_fn *decide;
    void *decide_ctx;
    unsigned dial_count;
    size_t new_room; /* of peers to come */
};

#endif
