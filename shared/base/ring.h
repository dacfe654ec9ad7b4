/* SPDX-License-Identifier: Apache-2.0
 * ring.h - a bounded byte ring that has memory only while it has bytes.
 *
 * Storage comes from a pool of blocks in a few sizes, shared by all rings of one owner: taken on
 * the first byte, doubled while the ring stays full, given back when it is empty. So ten thousand
 * idle connections cost their entries and nothing else, and the pool's limit bounds them together.
 * Pure but for malloc(). Runs on: one thread. THEORY: ring.c.
 */
#ifndef SHARED_BASE_RING_H
#define SHARED_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RING_MIN_BYTES = 16 * 1024, RING_SIZES = 7, RING_MAX_BYTES = RING_MIN_BYTES << 6 };

struct ring_pool {
    uint64_t limit_bytes;
    uint64_t used_bytes;     /* lent to rings */
    uint64_t kept_bytes;     /* given back, kept for the next one */
    uint64_t freed_bytes;    /* in all: given back to the allocator */
    void *spare[RING_SIZES]; /* owned; each block starts with the pointer to the next */
};

void ring_pool_init(struct ring_pool *p, uint64_t limit_bytes);
/* Every ring must have been freed. */
void ring_pool_fini(struct ring_pool *p);

struct ring {
    uint8_t *data; /* lent by the pool; NULL = none */
    uint32_t cap_bytes, start, len_bytes;
    uint8_t size;  /* index of the block's size, or of the one to begin with */
    bool was_busy; /* more than a quarter was in use since the block was taken */
};

/* One contiguous part of the content. */
struct ring_span {
    uint8_t *data;
    size_t len_bytes;
};

/* All zero is an empty ring. Gives the storage back, content and all. */
void ring_free(struct ring *r, struct ring_pool *p);
/* Gives the storage back if the ring is empty; call when nothing beyond its end matters. */
void ring_trim(struct ring *r, struct ring_pool *p);

/* Storage for at least @bytes from the first byte on; what is there stays, also beyond the end.
 * False: over RING_MAX_BYTES, over the pool's limit, or out of memory; nothing changed. */
bool ring_reserve(struct ring *r, struct ring_pool *p, size_t bytes);
/* Writes at @offset from the first byte, within the reserved storage, without counting it. */
void ring_put(struct ring *r, size_t offset, const uint8_t *data, size_t len_bytes);
/* @len_bytes behind the end are content from now on. */
void ring_commit(struct ring *r, size_t len_bytes);
/* Bytes taken of @data: up to what @max_bytes of content and the pool allow. */
size_t ring_append(struct ring *r, struct ring_pool *p, const uint8_t *data, size_t len_bytes,
                   size_t max_bytes);
/* The free part that follows the content directly, for a read; grows while the content fills
 * what there is and is below @max_bytes. Empty: no room, or no memory. */
struct ring_span ring_room(struct ring *r, struct ring_pool *p, size_t max_bytes);

/* The content from @offset on, at most @len_bytes, as up to two spans; returns how many. */
unsigned ring_peek(const struct ring *r, size_t offset, size_t len_bytes,
                   struct ring_span out[static 2]);
void ring_copy_out(const struct ring *r, size_t offset, uint8_t *to, size_t len_bytes);
/* Drops @len_bytes from the front; storage stays, see ring_trim(). */
void ring_consume(struct ring *r, size_t len_bytes);

#endif
