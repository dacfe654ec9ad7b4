/* SPDX-License-Identifier: Apache-2.0
 * guest_clock.h - how far a guest's clock is from ours, from what it says in its reports. Pure.
 *
 * WSL's clock stands still while the computer sleeps and is not always set afterwards; certificates
 * and builds then fail in ways that nobody connects with a clock.
 */
#ifndef WINSVC_VM_GUEST_CLOCK_H
#define WINSVC_VM_GUEST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { GUEST_CLOCK_MOST_S = 315360000 }; /* ten years: further off is as far */

struct guest_clock {
    bool is_known;
    int64_t
        ahead_s; /* of ours; negative: behind. Does not move for less than a second and a half */
};

/* A report said @theirs_ms (0: nothing), at @ours_ms by our clock. True: what a reader sees moved.
 */
bool guest_clock_look(struct guest_clock *c, int64_t theirs_ms, int64_t ours_ms);

#endif
