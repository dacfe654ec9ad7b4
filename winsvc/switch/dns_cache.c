/* SPDX-License-Identifier: Apache-2.0
 * THEORY: a hash table of entries that are also on one list in the order of use. An entry is one
 * allocation: head, the name in lower case, the answer. It dies when it is found to be too old, or
 * at the end of the list when there are too many entries or bytes. No timer: what is old costs
 * memory within the bound and nothing else.
 *
 * The hash is seeded, so a guest cannot aim at one chain; if it could, a chain is at most the
 * table.
 */
#include "switch/dns_cache.h"

#include "base/list.h"
#include "base/util.h"
#include "switch/switch.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 512 };

struct entry {
    struct list chain, use;
    uint64_t born_ms, dies_ms;
    uint16_t type, class, flags;
    bool has_edns, dnssec_ok;
    uint8_t name_bytes;
    uint32_t hash;
    size_t len_bytes;
    uint8_t bytes[]; /* name, answer */
};

struct dns_cache {
    struct list buckets[BUCKETS];
    struct list use;                    /* the least recently used first */
    const struct switch_limits *limits; /* borrowed */
    uint64_t *evicted;                  /* borrowed */
    uint32_t seed;
    unsigned count;
    size_t bytes;
};

static const uint16_t key_flags = DNS_FLAG_RD | DNS_FLAG_CD | DNS_FLAG_AD;

/* FNV-1a, seeded. */
static uint32_t hash_of(const struct dns_cache *c, const struct dns_question *q)
{
    uint32_t h = 2166136261u ^ c->seed;

    for (unsigned i = 0; i < q->name_bytes; i++)
        h = (h ^ q->key[i]) * 16777619u;
    h = (h ^ q->type) * 16777619u;
    return h ^ h >> 15;
}

enum status dns_cache_new(struct dns_cache **out, uint32_t seed, const struct switch_limits *limits,
                          uint64_t *evicted)
{
    struct dns_cache *c = calloc(1, sizeof *c);

    if (!c)
        return ST_NOMEM;
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&c->buckets[i]);
    list_init(&c->use);
    c->seed = seed;
    c->limits = limits;
    c->evicted = evicted;
    *out = c;
    return ST_OK;
}

static size_t cost(size_t name_bytes, size_t len_bytes)
{
    return sizeof(struct entry) + name_bytes + len_bytes;
}

static void drop(struct dns_cache *c, struct entry *x)
{
    list_remove(&x->chain);
    list_remove(&x->use);
    c->count--;
    c->bytes -= cost(x->name_bytes, x->len_bytes);
    free(x);
}

void dns_cache_clear(struct dns_cache *c)
{
    while (!list_is_empty(&c->use))
        drop(c, container_of(c->use.next, struct entry, use));
}

void dns_cache_free(struct dns_cache *c)
{
    if (!c)
        return;
    dns_cache_clear(c);
    free(c);
}

static struct entry *find(struct dns_cache *c, const struct dns_question *q, uint32_t hash)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &c->buckets[hash % BUCKETS])
    {
        struct entry *x = container_of(it, struct entry, chain);

        if (x->hash == hash && x->type == q->type && x->class == q->class &&
            x->name_bytes == q->name_bytes && x->flags == (q->flags & key_flags) &&
            x->has_edns == q->has_edns && x->dnssec_ok == q->dnssec_ok &&
            memcmp(x->bytes, q->key, q->name_bytes) == 0)
            return x;
    }
    return NULL;
}

const uint8_t *dns_cache_find(struct dns_cache *c, const struct dns_question *q, uint64_t now_ms,
                              size_t *len_bytes, uint32_t *age_s)
{
    struct entry *x = find(c, q, hash_of(c, q));

    if (!x)
        return NULL;
    if (x->dies_ms <= now_ms) {
        drop(c, x);
        return NULL;
    }
    list_remove(&x->use);
    list_append(&c->use, &x->use);
    *len_bytes = x->len_bytes;
    *age_s = (uint32_t)((now_ms - x->born_ms) / 1000);
    return x->bytes + x->name_bytes;
}

static void make_room(struct dns_cache *c, size_t bytes, uint64_t now_ms)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &c->use)
    {
        struct entry *x = container_of(it, struct entry, use);

        if (c->count < c->limits->dns_cache_entries &&
            c->bytes + bytes <= c->limits->dns_cache_bytes)
            return;
        *c->evicted += x->dies_ms > now_ms;
        drop(c, x);
    }
}

void dns_cache_add(struct dns_cache *c, const struct dns_question *q, const uint8_t *msg,
                   size_t len_bytes, uint32_t ttl_s, uint64_t now_ms)
{
    uint32_t hash = hash_of(c, q);
    struct entry *x = find(c, q, hash);

    if (x)
        drop(c, x);
    if (!ttl_s || len_bytes > DNS_CACHE_ANSWER_MAX)
        return;
    make_room(c, cost(q->name_bytes, len_bytes), now_ms);
    x = malloc(cost(q->name_bytes, len_bytes));
    if (!x)
        return;
    *x = (struct entry){ .born_ms = now_ms,
                         .dies_ms = now_ms + ttl_s * 1000ull,
                         .type = q->type,
                         .class = q->class,
                         .flags = q->flags & key_flags,
                         .has_edns = q->has_edns,
                         .dnssec_ok = q->dnssec_ok,
                         .name_bytes = q->name_bytes,
                         .hash = hash,
                         .len_bytes = len_bytes };
    memcpy(x->bytes, q->key, q->name_bytes);
    memcpy(x->bytes + q->name_bytes, msg, len_bytes);
    list_append(&c->buckets[hash % BUCKETS], &x->chain);
    list_append(&c->use, &x->use);
    c->count++;
    c->bytes += cost(q->name_bytes, len_bytes);
}

unsigned dns_cache_count(const struct dns_cache *c)
{
    return c->count;
}
