/* SPDX-License-Identifier: Apache-2.0 */
#include "app_config.h"

#include "base/condition.h"
#include "config/config_live.h"
#include "port/sys.h"
#include "status/snapshot.h"

#include <inttypes.h>
#include <stdio.h>

static void add_name(struct snapshot_names *to, const char *name)
{
    if (to->count < SNAPSHOT_MAX_NAMES)
        to->items[to->count++] = name;
}

static void set_condition_of(const struct config_view *v, struct condition_set *own)
{
    if (v->valid)
        condition_update(own, "ConfigValid", COND_TRUE, "ConfigLoaded", sys_wall_ms(),
                         "generation %" PRIu64, v->generation);
    else
        condition_update(own, "ConfigValid", COND_FALSE, "ConfigInvalid", sys_wall_ms(), "%.200s",
                         v->message);
}

void app_config_fill(const struct config_live *l, struct condition_set *own, struct snapshot *out)
{
    static struct config_view v; /* some KiB */
    struct snapshot_config *to = &out->config;

    config_live_view(l, &v);
    set_condition_of(&v, own);
    to->is_known = true;
    snprintf(to->file, sizeof to->file, "%s", v.file);
    to->file_exists = v.file_is_there;
    to->generation = v.generation;
    to->loaded_ms = v.loaded_ms;
    for (unsigned layer = 0; layer < OPTION_LAYER_COUNT; layer++)
        if (v.layers & 1u << layer)
            add_name(&to->sources, option_layer_name((enum option_layer)layer));
    for (unsigned i = 0; i < v.pending_count; i++)
        add_name(&to->pending, v.pending[i]);
    for (unsigned i = 0; i < v.locked_count; i++)
        add_name(&to->locked, v.locked[i]);
}
