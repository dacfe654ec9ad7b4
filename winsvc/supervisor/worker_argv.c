/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/worker_argv.h"

#include "base/util.h"

#include <inttypes.h>
#include <stdio.h>

/* The cast is for exec's type: nobody writes to an argument. */
void worker_argv_add(struct worker_argv *v, const char *arg)
{
    ASSERT(v->count + 1 < v->cap);
    v->at[v->count++] = (char *)(uintptr_t)arg;
    v->at[v->count] = NULL;
}

void worker_argv_text(struct worker_argv *v, const char *option, const char *value)
{
    if (!value[0])
        return;
    worker_argv_add(v, option);
    worker_argv_add(v, value);
}

void worker_argv_flag(struct worker_argv *v, const char *option, bool is_set)
{
    if (is_set)
        worker_argv_add(v, option);
}

void worker_argv_number(struct worker_argv *v, const char *option, uint32_t value, const char *unit,
                        char buf[static WORKER_NUMBER_MAX])
{
    snprintf(buf, WORKER_NUMBER_MAX, "%" PRIu32 "%s", value, unit);
    worker_argv_text(v, option, buf);
}

void worker_argv_list(struct worker_argv *v, const char *option, const struct option_list *list)
{
    for (unsigned i = 0; i < list->count; i++)
        worker_argv_text(v, option, list->items[i]);
}
