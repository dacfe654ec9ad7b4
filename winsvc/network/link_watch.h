/* SPDX-License-Identifier: Apache-2.0
 * link_watch.h - how a switch's links are doing: how long they live, and whether the guest behind
 * the one there is still says anything. Pure: time and counters come in.
 */
#ifndef WINSVC_NETWORK_LINK_WATCH_H
#define WINSVC_NETWORK_LINK_WATCH_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LINK_WATCH_SHORT_MS = 5000,    /* a link that lived less was short-lived */
    LINK_WATCH_SHORT_IN_A_ROW = 3, /* so many are a trouble of its own */
    LINK_WATCH_ASK_AFTER_MS = 10000,
    LINK_WATCH_ASK_EVERY_MS = 5000,
    LINK_WATCH_DOUBT_MS = 500, /* the same while there is a doubt */
    LINK_WATCH_UNANSWERED = 3  /* questions; then the guest is silent */
};

enum link_state {
    LINK_NONE,        /* there was none yet */
    LINK_LOST,        /* there was one */
    LINK_SHORT_LIVED, /* the last ones ended at once, and the one there, if any, may too */
    LINK_UNHEARD,     /* frames have not gone both ways on it yet */
    LINK_SILENT,      /* the guest does not answer */
    LINK_ALIVE,
    LINK_STATE_COUNT
};

/* Zero-initialise. */
struct link_watch {
    bool is_up;
    uint64_t since_ms;           /* of the link, or of its end */
    uint64_t rx_frames;          /* as last looked at */
    uint64_t tx_frames;          /* when the link began */
    uint64_t heard_ms;           /* when @rx_frames last grew; or the link's beginning */
    uint64_t asked_ms;           /* 0 = not since */
    unsigned unanswered;         /* questions asked since the guest was heard */
    bool went_in, went_out;      /* frames, on this link */
    bool is_doubted;             /* until it is heard, or is silent */
    unsigned short_lived;        /* in a row */
    uint64_t links, short_total; /* ever */
    enum status end_why;         /* of the last one */
};

/* A new link; one that was there has ended by it. @rx_frames and @tx_frames are the switch's
 * counters, which go on over all links. */
void link_watch_up(struct link_watch *w, uint64_t now_ms, uint64_t rx_frames, uint64_t tx_frames);
void link_watch_down(struct link_watch *w, uint64_t now_ms, enum status why);
/* Something happened that a link may not have lived through: the guest is asked at the next look,
 * and has less time to answer. */
void link_watch_doubt(struct link_watch *w);
/* Looks at the counters; to be called once a second or more often, in
 * doubt every LINK_WATCH_DOUBT_MS. True: the guest is to be asked
 * whether it is there. */
bool link_watch_look(struct link_watch *w, uint64_t now_ms, uint64_t rx_frames, uint64_t tx_frames);
enum link_state link_watch_state(const struct link_watch *w, uint64_t now_ms);

#endif
