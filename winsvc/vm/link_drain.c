/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/link_drain.h"

#include "base/list.h"
#include "base/log.h"
#include "port/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct held_link {
    struct list node;
    struct link_drain *drain;
    struct stream *stream; /* owned */
    enum guest_generation generation;
    char vm_id[64];
    uint64_t bytes;
};

struct link_drain {
    struct list links; /* of struct held_link, owned */
    const struct link_drain_ops *ops;
    void *ctx;
    unsigned count;
    uint64_t bytes;
    struct log_limit ends_log;
};

static void drop(struct held_link *l)
{
    l->drain->count--;
    list_remove(&l->node);
    stream_close(l->stream);
    free(l);
}

static void end(struct held_link *l, enum status why)
{
    struct link_drain *d = l->drain;
    enum guest_generation generation = l->generation;
    char vm_id[sizeof l->vm_id];

    memcpy(vm_id, l->vm_id, sizeof vm_id);
    log_write_limited(&d->ends_log, LOG_INFO, LOG_VM,
                      "vm=%s generation=%s data link ended after %llu bytes: %s", vm_id,
                      guest_generation_name(generation), (unsigned long long)l->bytes,
                      status_text(why));
    drop(l);
    d->ops->on_end(d->ctx, vm_id, generation, why);
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct held_link *l = ctx;

    l->bytes += len_bytes;
    l->drain->bytes += len_bytes;
    l->drain->ops->on_activity(l->drain->ctx, l->vm_id, l->generation);
}

static void on_eof(void *ctx)
{
    end(ctx, ST_EOF);
}

static void on_error(void *ctx, enum status why)
{
    end(ctx, why);
}

static const struct stream_handler handler = { .on_data = on_data,
                                               .on_eof = on_eof,
                                               .on_error = on_error };

enum status link_drain_new(struct link_drain **out, const struct link_drain_ops *ops, void *ctx)
{
    struct link_drain *d = calloc(1, sizeof *d);

    if (!d)
        return ST_NOMEM;
    list_init(&d->links);
    d->ops = ops;
    d->ctx = ctx;
    d->ends_log.burst = LOG_BURST;
    *out = d;
    return ST_OK;
}

static struct held_link *find(struct link_drain *d, const char *vm_id,
                              enum guest_generation generation)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &d->links)
    {
        struct held_link *l = container_of(it, struct held_link, node);

        if (l->generation == generation && !strcmp(l->vm_id, vm_id))
            return l;
    }
    return NULL;
}

void link_drain_add(struct link_drain *d, const char *vm_id, enum guest_generation generation,
                    struct stream *s)
{
    struct held_link *older = find(d, vm_id, generation);
    struct held_link *l = calloc(1, sizeof *l);

    if (older)
        drop(older);
    if (!l) {
        stream_close(s);
        d->ops->on_end(d->ctx, vm_id, generation, ST_NOMEM);
        return;
    }
    l->drain = d;
    l->stream = s;
    l->generation = generation;
    snprintf(l->vm_id, sizeof l->vm_id, "%s", vm_id);
    list_append(&d->links, &l->node);
    d->count++;
    stream_set_handler(s, &handler, l);
    stream_read_start(s);
}

unsigned link_drain_count(const struct link_drain *d)
{
    return d->count;
}

uint64_t link_drain_bytes(const struct link_drain *d)
{
    return d->bytes;
}

void link_drain_free(struct link_drain *d)
{
    struct list *it, *tmp;

    if (!d)
        return;
    list_for_each(it, tmp, &d->links) drop(container_of(it, struct held_link, node));
    free(d);
}
