/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Two things go wrong with a link that is, or was, there:
 *
 *   It never lasts. A guest whose side dies right after it connected, an old program that holds the
 *   tap: each try looks like a success. Three links in a row that lived less than 5 s are a trouble
 *   of their own; one that lives longer ends the row.
 *
 *   It lasts, and nobody is behind it. Silence alone says nothing: an idle guest sends nothing for
 *   minutes. So it is asked something that every kernel answers by itself (ARP):
 *
 *       heard ---10 s---> ask ---5 s---> ask ---5 s---> ask ---5 s---> silent
 *         ^                                                              |
 *         `------------------- any frame at all -------------------------'
 *
 *   A new link is asked at once, because until frames went both ways nobody knows that it carries
 *   any. After a sleep, or when the host's network changed, it is asked at once too, and every half
 * a second, because a stream can die then without anybody being told. While it is silent the
 * questions go on, or a guest that was only stopped for a while (a laptop's lid) would stay silent
 * for as long as it has nothing to say.
 */
#include "network/link_watch.h"

static bool was_short(const struct link_watch *w, uint64_t now_ms)
{
    return now_ms - w->since_ms < LINK_WATCH_SHORT_MS;
}

void link_watch_down(struct link_watch *w, uint64_t now_ms, enum status why)
{
    if (!w->is_up)
        return;
    if (was_short(w, now_ms)) {
        w->short_lived++;
        w->short_total++;
    } else {
        w->short_lived = 0;
    }
    w->is_up = false;
    w->since_ms = now_ms;
    w->end_why = why;
}

void link_watch_up(struct link_watch *w, uint64_t now_ms, uint64_t rx_frames, uint64_t tx_frames)
{
    link_watch_down(w, now_ms, ST_OK);
    w->is_up = true;
    w->since_ms = w->heard_ms = now_ms;
    w->rx_frames = rx_frames;
    w->tx_frames = tx_frames;
    w->asked_ms = 0;
    w->unanswered = 0;
    w->went_in = w->went_out = w->is_doubted = false;
    w->links++;
}

void link_watch_doubt(struct link_watch *w)
{
    if (!w->is_up || w->unanswered >= LINK_WATCH_UNANSWERED)
        return;
    w->is_doubted = true;
    w->unanswered = 0;
    w->asked_ms = 0;
}

static bool is_time_to_ask(const struct link_watch *w, uint64_t now_ms)
{
    if (w->is_doubted)
        return !w->asked_ms || now_ms - w->asked_ms >= LINK_WATCH_DOUBT_MS;
    if (w->asked_ms)
        return now_ms - w->asked_ms >= LINK_WATCH_ASK_EVERY_MS;
    return !w->went_in || now_ms - w->heard_ms >= LINK_WATCH_ASK_AFTER_MS;
}

bool link_watch_look(struct link_watch *w, uint64_t now_ms, uint64_t rx_frames, uint64_t tx_frames)
{
    if (!w->is_up)
        return false;
    if (!was_short(w, now_ms))
        w->short_lived = 0;
    w->went_out |= tx_frames != w->tx_frames;
    if (rx_frames != w->rx_frames) {
        w->rx_frames = rx_frames;
        w->went_in = true;
        w->heard_ms = now_ms;
        w->asked_ms = 0;
        w->unanswered = 0;
        w->is_doubted = false;
    }
    if (!is_time_to_ask(w, now_ms))
        return false;
    /* Counted only once there was time for an answer. */
    if (w->asked_ms && w->unanswered < LINK_WATCH_UNANSWERED)
        w->unanswered++;
    if (w->unanswered >= LINK_WATCH_UNANSWERED)
        w->is_doubted = false;
    w->asked_ms = now_ms;
    return true;
}

enum link_state link_watch_state(const struct link_watch *w, uint64_t now_ms)
{
    if (w->short_lived >= LINK_WATCH_SHORT_IN_A_ROW && (!w->is_up || was_short(w, now_ms)))
        return LINK_SHORT_LIVED;
    if (!w->is_up)
        return w->links ? LINK_LOST : LINK_NONE;
    if (w->unanswered >= LINK_WATCH_UNANSWERED)
        return LINK_SILENT;
    return w->went_in && w->went_out ? LINK_ALIVE : LINK_UNHEARD;
}
