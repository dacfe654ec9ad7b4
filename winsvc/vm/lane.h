/* SPDX-License-Identifier: Apache-2.0
 * lane.h - what the lanes of one guest session have in common: what they count, and the data link
 * that they ask the session's owner for.
 *
 *     want --answer--> the host switch listens at the data port, or does not, and why
 *     link start ... activity ... end, told by whoever has the link
 *
 * Pure; embedded in a lane.
 */
#ifndef WINSVC_VM_LANE_H
#define WINSVC_VM_LANE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Shared by the lanes of a session. */
struct lane_totals {
    uint64_t probes, matches, mismatches, timeouts, handshakes, links, proofs, proof_failures;
};

/* Why a lane has no data link although a guest answered. */
enum lane_trouble {
    LANE_NO_TROUBLE,
    LANE_PORT_TAKEN,    /* the data port is somebody else's */
    LANE_LISTEN_FAILED, /* ... or nobody of ours listens there for another reason */
    LANE_NETWORK_OFF,   /* this host was told to have no switch */
    LANE_READY_FAILED,  /* the second dial or READY itself did not get through */
    LANE_LINK_TIMEOUT,  /* READY sent, no data link in time: a phantom, or the guest died */
    LANE_LINK_LOST      /* there was a data link */
};

enum lane_answer { LANE_NO_ANSWER, LANE_IS_READY, LANE_NOT_READY };

struct lane_link {
    bool wanted;
    enum lane_answer answer; /* LANE_NO_ANSWER unless wanted */
    enum status why;         /* with LANE_NOT_READY */
    char text[160];          /* likewise */
    bool live;               /* it started, and nobody has said that it ended */
    uint64_t start_ms, active_ms;
};

/* An answer to a question that was taken back counts for nothing: false. */
static inline bool lane_link_answer(struct lane_link *l, enum status st, const char *text)
{
    if (!l->wanted)
        return false;
    l->answer = st == ST_OK ? LANE_IS_READY : LANE_NOT_READY;
    l->why = st;
    snprintf(l->text, sizeof l->text, "%s", st == ST_OK ? "" : text);
    return true;
}

/* What LANE_NOT_READY means for the lane. */
static inline enum lane_trouble lane_link_trouble(const struct lane_link *l)
{
    switch (l->why) {
    case ST_EXISTS: return LANE_PORT_TAKEN;
    case ST_UNSUPPORTED: return LANE_NETWORK_OFF;
    default: return LANE_LISTEN_FAILED;
    }
}

/* That trouble ends by itself when the answer becomes another one. */
static inline bool lane_trouble_is_of_host(enum lane_trouble t)
{
    return t == LANE_PORT_TAKEN || t == LANE_LISTEN_FAILED || t == LANE_NETWORK_OFF;
}

#endif
