/* SPDX-License-Identifier: Apache-2.0
 * wake_watch.h - tells that this computer slept, or that we did not run for a while.
 *
 * What the system does not tell a program, the two clocks do: looked at every WAKE_LOOK_MS, both
 * must have moved by about that much. The monotonic clock moved further: we were stopped (or the
 * system's monotonic clock counts sleep, as Windows' does). The wall clock moved further than it:
 * the computer slept (Linux' monotonic clock stands still then), or somebody set the clock, which
 * is worth the same look at every link. Pure: the owner has the timer and reads the clocks.
 */
#ifndef WINSVC_SUPERVISOR_WAKE_WATCH_H
#define WINSVC_SUPERVISOR_WAKE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

enum { WAKE_LOOK_MS = 500, WAKE_AWAY_MS = 5000 };

struct wake_watch {
    bool has_looked;
    uint64_t now_ms;
    int64_t wall_ms;
};

/* To be asked every WAKE_LOOK_MS, with both clocks. True: about *away_ms are missing since the last
 * look, at least WAKE_AWAY_MS (0: the wall clock was set back). */
bool wake_watch_look(struct wake_watch *w, uint64_t now_ms, int64_t wall_ms, uint64_t *away_ms);

#endif
