/* SPDX-License-Identifier: Apache-2.0 */
#include "network/forward_memory.h"

#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- made at run time ---------------------------------------------------------------------- */

static struct forward_text *find(const struct forward_memory *m, const struct forward_text *key)
{
    for (unsigned i = 0; i < m->count; i++)
        if (!strcmp(m->items[i].protocol, key->protocol) && !strcmp(m->items[i].local, key->local))
            return &m->items[i];
    return NULL;
}

/* A place at the end of the list; NULL when it is full. */
static struct forward_text *add(struct forward_memory *m)
{
    if (m->count == m->cap) {
        unsigned cap = m->cap ? 2 * m->cap : 16;
        struct forward_text *larger =
            cap > FORWARD_MEMORY_MAX ? NULL : realloc(m->items, cap * sizeof *m->items);

        if (!larger)
            return NULL;
        m->items = larger;
        m->cap = cap;
    }
    return &m->items[m->count++];
}

enum status forward_memory_put(struct forward_memory *m, const struct forward_text *f)
{
    struct forward_text *to = find(m, f);

    if (!to)
        to = add(m);
    if (!to)
        return ST_FULL;
    *to = *f;
    return ST_OK;
}

void forward_memory_remove(struct forward_memory *m, const struct forward_text *key)
{
    struct forward_text *found = find(m, key);

    if (found)
        *found = m->items[--m->count];
}

void forward_memory_clear(struct forward_memory *m)
{
    free(m->items);
    *m = (struct forward_memory){ .items = NULL };
}

/* ---- of the configuration ------------------------------------------------------------------ */

static struct forward_text text_of(const char *spec)
{
    static const char udp[] = "udp:";
    bool is_udp = !strncmp(spec, udp, sizeof udp - 1);
    const char *local = spec + (is_udp ? sizeof udp - 1 : 0), *equals = strchr(local, '=');
    struct forward_text out;

    ASSERT(equals);
    snprintf(out.protocol, sizeof out.protocol, "%s", is_udp ? "udp" : "tcp");
    snprintf(out.local, sizeof out.local, "%.*s", (int)(equals - local), local);
    snprintf(out.remote, sizeof out.remote, "%s", equals + 1);
    return out;
}

static bool lists(const struct option_list *list, const char *spec)
{
    for (unsigned i = 0; i < list->count; i++)
        if (!strcmp(list->items[i], spec))
            return true;
    return false;
}

/* Of @list what @other lacks. */
static enum status tell_difference(const struct option_list *list, const struct option_list *other,
                                   bool removed, forward_change_fn *fn, void *ctx)
{
    enum status st = ST_OK;

    for (unsigned i = 0; i < list->count && st == ST_OK; i++) {
        struct forward_text f = text_of(list->items[i]);

        if (!lists(other, list->items[i]))
            st = fn(ctx, &f, removed);
    }
    return st;
}

enum status forward_specs_diff(const struct option_list *before, const struct option_list *after,
                               forward_change_fn *fn, void *ctx)
{
    enum status st = tell_difference(before, after, true, fn, ctx);

    return st ? st : tell_difference(after, before, false, fn, ctx);
}
