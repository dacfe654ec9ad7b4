/* SPDX-License-Identifier: Apache-2.0 */
#include "network/forward_list.h"

#include "base/util.h"
#include "ipc/peer_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status forward_text_take(struct forward_text *out, const Rdlink__V1__Forward *f)
{
    if (!f || strlen(f->protocol) >= sizeof out->protocol ||
        strlen(f->local) >= sizeof out->local || strlen(f->remote) >= sizeof out->remote)
        return ST_INVAL;
    peer_text_copy(out->protocol, sizeof out->protocol, f->protocol);
    peer_text_copy(out->local, sizeof out->local, f->local);
    peer_text_copy(out->remote, sizeof out->remote, f->remote);
    return ST_OK;
}

void forward_text_message(struct forward_text *f, Rdlink__V1__Forward *forward)
{
    rdlink__v1__forward__init(forward);
    forward->protocol = f->protocol;
    forward->local = f->local;
    forward->remote = f->remote;
}

static struct forward_text *find(const struct forward_list *l, const struct forward_text *key)
{
    for (unsigned i = 0; i < l->count; i++)
        if (!strcmp(l->items[i].protocol, key->protocol) && !strcmp(l->items[i].local, key->local))
            return &l->items[i];
    return NULL;
}

static enum status make_room(struct forward_list *l)
{
    unsigned cap = l->cap ? 2 * l->cap : 16;
    struct forward_text *larger;

    if (l->count < l->cap)
        return ST_OK;
    if (cap > FORWARD_LIST_MAX)
        return ST_FULL;
    larger = realloc(l->items, cap * sizeof *l->items);
    if (!larger)
        return ST_NOMEM;
    l->items = larger;
    l->cap = cap;
    return ST_OK;
}

enum status forward_list_put(struct forward_list *l, const struct forward_text *f)
{
    struct forward_text *to = find(l, f);
    enum status st = to ? ST_OK : make_room(l);

    if (st == ST_OK && !to)
        to = &l->items[l->count++];
    if (st == ST_OK)
        *to = *f;
    return st;
}

void forward_list_remove(struct forward_list *l, const struct forward_text *f)
{
    struct forward_text *at = find(l, f);

    if (at)
        *at = l->items[--l->count];
}

static bool has(const struct forward_list *l, const struct forward_text *f)
{
    const struct forward_text *at = find(l, f);

    return at && !strcmp(at->remote, f->remote);
}

static enum status copy(struct forward_list *out, const struct forward_list *from)
{
    *out = (struct forward_list){ NULL, 0, 0 };
    for (unsigned i = 0; i < from->count; i++) {
        enum status st = forward_list_put(out, &from->items[i]);

        if (st == ST_OK)
            continue;
        forward_list_clear(out);
        return st;
    }
    return ST_OK;
}

enum status forward_list_become(struct forward_list *to, const struct forward_list *from,
                                forward_change_fn *change, void *ctx)
{
    struct forward_list fresh;
    enum status st = copy(&fresh, from);

    if (st != ST_OK)
        return st;
    for (unsigned i = 0; i < to->count && st == ST_OK; i++)
        if (!has(from, &to->items[i]))
            st = change(ctx, &to->items[i], true);
    for (unsigned i = 0; i < from->count && st == ST_OK; i++)
        if (!has(to, &from->items[i]))
            st = change(ctx, &from->items[i], false);
    forward_list_clear(to);
    *to = fresh;
    return st;
}

void forward_list_clear(struct forward_list *l)
{
    free(l->items);
    *l = (struct forward_list){ NULL, 0, 0 };
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
                                   bool removed, forward_change_fn *change, void *ctx)
{
    enum status st = ST_OK;

    for (unsigned i = 0; i < list->count && st == ST_OK; i++) {
        struct forward_text f = text_of(list->items[i]);

        if (!lists(other, list->items[i]))
            st = change(ctx, &f, removed);
    }
    return st;
}

enum status forward_specs_diff(const struct option_list *before, const struct option_list *after,
                               forward_change_fn *change, void *ctx)
{
    enum status st = tell_difference(before, after, true, change, ctx);

    return st ? st : tell_difference(after, before, false, change, ctx);
}
