/* SPDX-License-Identifier: Apache-2.0
 * spin_watch.h - tells that a process is busy with nothing: it used a fifth of a processor or more
 * for a while in which none of its counters moved. A loop that is woken for ever by something it
 * does not take (a dead descriptor after a sleep) looks well to a heartbeat. So whatever a worker
 * may rightly be busy with has to move a counter while it lasts. Pure: clocks come in.
 */
#ifndef WINSVC_SUPERVISOR_SPIN_WATCH_H
#define WINSVC_SUPERVISOR_SPIN_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct health_report;

enum { SPIN_WATCH_MS = 10000, SPIN_WATCH_PERCENT = 20 };

/* Zero-initialise. */
struct spin_watch {
    bool has_looked;
    uint64_t since_ms, cpu_ms, progress; /* when this while began */
};

/* What the counters of @report come to: another number after any of them moved. Ages ("..._age_ms")
 * move by themselves and do not count. */
uint64_t spin_watch_progress(const struct health_report *report);
/* To be asked at each report; @cpu_ms: what the process has used so far. True, at most once in
 * @while_ms: it spins. */
bool spin_watch_look(struct spin_watch *w, uint32_t while_ms, uint64_t now_ms, uint64_t cpu_ms,
                     uint64_t progress);

#endif
