/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/linux/netns_unit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cgroup v2; v1 beside a v2 that only systemd uses ("hybrid", WSL's default); v1 alone. */
static const char *const roots[] = {
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/unified",
    "/sys/fs/cgroup/systemd",
};

enum { UNIT_NAME_MAX = 255 /* as in systemd */, PID_TEXT_MAX = 32 };

static bool is_unit_name(const char *unit)
{
    return *unit && *unit != '/' && strlen(unit) <= UNIT_NAME_MAX && !strstr(unit, "..");
}

/* The number of processes shown to @visit; *stopped when it wanted no more. */
static unsigned visit_procs(FILE *procs, netns_unit_visit_fn *visit, void *ctx, bool *stopped)
{
    char line[PID_TEXT_MAX];
    unsigned count = 0;

    while (!*stopped && fgets(line, sizeof line, procs)) {
        long pid = strtol(line, NULL, 10);

        if (pid <= 0) /* of a pid namespace that this one cannot see */
            continue;
        count++;
        *stopped = !visit(ctx, pid);
    }
    return count;
}

enum status netns_unit_visit(const char *unit, netns_unit_visit_fn *visit, void *ctx,
                             struct errmsg *e)
{
    const char *slice = strchr(unit, '/') ? "" : "system.slice/";

    if (!is_unit_name(unit)) {
        errmsg_set(e, "\"%s\" is no name of a systemd unit", unit);
        return ST_INVAL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        char path[PATH_MAX];
        bool stopped = false;
        unsigned count = 0;
        FILE *procs;

        snprintf(path, sizeof path, "%s/%s%s/cgroup.procs", roots[i], slice, unit);
        procs = fopen(path, "re");
        if (!procs)
            continue;
        count = visit_procs(procs, visit, ctx, &stopped);
        fclose(procs);
        if (count > 0)
            return ST_OK;
    }
    errmsg_set(e, "%s has no process: is the unit started (systemctl status %s)?", unit, unit);
    return ST_NOTFOUND;
}
