/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *        start            start + len          (both modulo cap)
 *          v                   v
 *   |......#####################..ooo....|     # content, o written ahead with ring_put()
 *
 * A ring never moves its content but when it grows, and it grows by doubling up to its owner's
 * bound, so a byte is copied at most once on average for that. Growing copies all of the old
 * block, not only the content: a TCP receiver keeps segments that came early behind the end.
 *
 * A busy connection empties its ring thousands of times a second. Giving the block back then is
 * two pointer moves, because the pool keeps up to KEEP_BYTES of blocks per owner in lists by size,
 * the last one given back first out (it is in the cache). The ring remembers the size it had, so a
 * bulk flow does not climb from 16 KiB again, and forgets half of it when it did not need it.
 *
 * Not done: one arena cut into blocks. It would bound fragmentation, which sizes that are powers
 * of two do anyway, and would cost its whole size from the first byte on.
 */
#include "base/ring.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum { KEEP_BYTES = 4 * 1024 * 1024 };

static size_t size_bytes(unsigned size)
{
    return (size_t)RING_MIN_BYTES << size;
}

/* ---- the pool --------------------------------------------------------------------------- */

void ring_pool_init(struct ring_pool *p, uint64_t limit_bytes)
{
    *p = (struct ring_pool){ .limit_bytes = limit_bytes };
}

void ring_pool_fini(struct ring_pool *p)
{
    ASSERT(p->used_bytes == 0);
    for (unsigned size = 0; size < RING_SIZES; size++) {
        while (p->spare[size]) {
            void *block = p->spare[size];

            memcpy(&p->spare[size], block, sizeof p->spare[size]);
            free(block);
        }
    }
    p->kept_bytes = 0;
}

static uint8_t *pool_take(struct ring_pool *p, unsigned size)
{
    void *block = p->spare[size];

    if (p->used_bytes + size_bytes(size) > p->limit_bytes)
        return NULL;
    if (block) {
        memcpy(&p->spare[size], block, sizeof p->spare[size]);
        p->kept_bytes -= size_bytes(size);
    } else {
        block = malloc(size_bytes(size));
    }
    if (block)
        p->used_bytes += size_bytes(size);
    return block;
}

static void pool_give(struct ring_pool *p, uint8_t *block, unsigned size)
{
    p->used_bytes -= size_bytes(size);
    if (p->kept_bytes + size_bytes(size) > KEEP_BYTES) {
        p->freed_bytes += size_bytes(size);
        free(block);
        return;
    }
    memcpy(block, &p->spare[size], sizeof p->spare[size]);
    p->spare[size] = block;
    p->kept_bytes += size_bytes(size);
}

/* ---- storage ---------------------------------------------------------------------------- */

void ring_free(struct ring *r, struct ring_pool *p)
{
    if (r->data)
        pool_give(p, r->data, r->size);
    *r = (struct ring){ 0 };
}

void ring_trim(struct ring *r, struct ring_pool *p)
{
    unsigned size = r->size;

    if (r->len_bytes > 0 || !r->data)
        return;
    if (!r->was_busy && size > 0)
        size--;
    ring_free(r, p);
    r->size = (uint8_t)size;
}

static bool ring_take(struct ring *r, struct ring_pool *p, unsigned size)
{
    uint8_t *data = pool_take(p, size);

    if (!data)
        return false;
    r->data = data;
    r->size = (uint8_t)size;
    r->cap_bytes = (uint32_t)size_bytes(size);
    r->start = 0;
    r->was_busy = false;
    return true;
}

static bool ring_grow(struct ring *r, struct ring_pool *p, unsigned size)
{
    struct ring old = *r;
    size_t tail = old.cap_bytes - old.start;

    if (!ring_take(r, p, size))
        return false;
    memcpy(r->data, old.data + old.start, tail);
    memcpy(r->data + tail, old.data, old.start);
    r->was_busy = true;
    pool_give(p, old.data, old.size);
    return true;
}

bool ring_reserve(struct ring *r, struct ring_pool *p, size_t bytes)
{
    unsigned size = r->size;

    if (r->data && r->cap_bytes >= bytes)
        return true;
    if (bytes > RING_MAX_BYTES)
        return false;
    while (size_bytes(size) < bytes)
        size++;
    if (r->data)
        return ring_grow(r, p, size);
    if (ring_take(r, p, size))
        return true;
    /* The remembered size is a wish; what is needed may still be there. */
    for (size = 0; size_bytes(size) < bytes; size++)
        continue;
    return size < r->size && ring_take(r, p, size);
}

/* ---- content ---------------------------------------------------------------------------- */

static size_t ring_index(const struct ring *r, size_t offset)
{
    return (r->start + offset) & (r->cap_bytes - 1);
}

void ring_put(struct ring *r, size_t offset, const uint8_t *data, size_t len_bytes)
{
    size_t at, first;

    if (len_bytes == 0)
        return;
    ASSERT(r->data && offset + len_bytes <= r->cap_bytes);
    at = ring_index(r, offset);
    first = MIN(len_bytes, r->cap_bytes - at);
    memcpy(r->data + at, data, first);
    memcpy(r->data, data + first, len_bytes - first);
}

void ring_commit(struct ring *r, size_t len_bytes)
{
    ASSERT(len_bytes <= r->cap_bytes - r->len_bytes);
    r->len_bytes += (uint32_t)len_bytes;
    if (r->len_bytes > r->cap_bytes / 4)
        r->was_busy = true;
}

size_t ring_append(struct ring *r, struct ring_pool *p, const uint8_t *data, size_t len_bytes,
                   size_t max_bytes)
{
    size_t n = MIN(len_bytes, max_bytes > r->len_bytes ? max_bytes - r->len_bytes : 0);

    if (n == 0)
        return 0;
    if (!ring_reserve(r, p, r->len_bytes + n))
        n = MIN(n, r->cap_bytes - r->len_bytes);
    ring_put(r, r->len_bytes, data, n);
    ring_commit(r, n);
    return n;
}

struct ring_span ring_room(struct ring *r, struct ring_pool *p, size_t max_bytes)
{
    struct ring_span room = { NULL, 0 };
    size_t at, n;

    if (r->len_bytes >= max_bytes)
        return room;
    if (!r->data)
        ring_reserve(r, p, 1);
    else if (r->len_bytes == r->cap_bytes)
        ring_reserve(r, p, r->cap_bytes + 1);
    if (!r->data || r->len_bytes == r->cap_bytes)
        return room;
    if (r->len_bytes == 0)
        r->start = 0;
    at = ring_index(r, r->len_bytes);
    n = MIN(r->cap_bytes - r->len_bytes, r->cap_bytes - at);
    room.data = r->data + at;
    room.len_bytes = MIN(n, max_bytes - r->len_bytes);
    return room;
}

unsigned ring_peek(const struct ring *r, size_t offset, size_t len_bytes,
                   struct ring_span out[static 2])
{
    size_t n, at, first;

    if (offset >= r->len_bytes)
        return 0;
    n = MIN(len_bytes, r->len_bytes - offset);
    at = ring_index(r, offset);
    first = MIN(n, r->cap_bytes - at);
    out[0] = (struct ring_span){ r->data + at, first };
    out[1] = (struct ring_span){ r->data, n - first };
    return n == 0 ? 0 : n > first ? 2 : 1;
}

void ring_copy_out(const struct ring *r, size_t offset, uint8_t *to, size_t len_bytes)
{
    struct ring_span part[2];
    unsigned count = ring_peek(r, offset, len_bytes, part);

    for (unsigned i = 0; i < count; i++) {
        memcpy(to, part[i].data, part[i].len_bytes);
        to += part[i].len_bytes;
    }
}

void ring_consume(struct ring *r, size_t len_bytes)
{
    ASSERT(len_bytes <= r->len_bytes);
    if (len_bytes == 0)
        return;
    r->start = (uint32_t)ring_index(r, len_bytes);
    r->len_bytes -= (uint32_t)len_bytes;
}
