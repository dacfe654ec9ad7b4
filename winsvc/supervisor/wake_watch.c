/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/wake_watch.h"

#include "base/util.h"

bool wake_watch_look(struct wake_watch *w, uint64_t now_ms, int64_t wall_ms, uint64_t *away_ms)
{
    int64_t ran_ms = (int64_t)(now_ms - w->now_ms), passed_ms = wall_ms - w->wall_ms;
    bool is_first = !w->has_looked, was_set_back = passed_ms < ran_ms - WAKE_AWAY_MS;
    int64_t longest_ms = MAX(ran_ms, passed_ms);

    *w = (struct wake_watch){ true, now_ms, wall_ms };
    if (is_first || (longest_ms < WAKE_LOOK_MS + WAKE_AWAY_MS && !was_set_back))
        return false;
    *away_ms = was_set_back && ran_ms < WAKE_AWAY_MS ? 0 : (uint64_t)longest_ms;
    return true;
}
