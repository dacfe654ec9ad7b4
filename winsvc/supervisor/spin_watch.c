/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/spin_watch.h"

#include "ipc/health.h"

#include <string.h>

static bool is_age(const char *name)
{
    static const char suffix[] = "_age_ms";
    size_t len = strlen(name);

    return len >= sizeof suffix - 1 && !strcmp(name + len - (sizeof suffix - 1), suffix);
}

uint64_t spin_watch_progress(const struct health_report *report)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < report->count; i++) {
        const struct health_component *c = &report->components[i];

        for (unsigned k = 0; k < c->counter_count; k++)
            if (!is_age(c->counters[k].name))
                sum = sum * UINT64_C(1099511628211) + c->counters[k].value;
    }
    return sum;
}

bool spin_watch_look(struct spin_watch *w, uint32_t while_ms, uint64_t now_ms, uint64_t cpu_ms,
                     uint64_t progress)
{
    uint64_t passed_ms = now_ms - w->since_ms, used_ms = cpu_ms - w->cpu_ms;
    bool moved = !w->has_looked || progress != w->progress;

    if (!moved && passed_ms < while_ms)
        return false;
    *w = (struct spin_watch){ true, now_ms, cpu_ms, progress };
    return !moved && used_ms * 100 >= passed_ms * SPIN_WATCH_PERCENT;
}
