/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * Flows live in chunks that are allocated as needed and kept: a flow never moves, and its pointer
 * is what the host side's callbacks carry. They are found by their key through a keyed hash,
 * because the guest chooses the keys; the flow found last is tried first, for a burst is mostly
 * segments of one flow and the hash would be half of what a segment costs. Bounds, each with a
 * counter:
 *
 *   tcp_flows            the oldest TIME_WAIT makes room, otherwise the SYN is answered by RST
 *   tcp_half_open        dials and unanswered SYN-ACKs
 *   tcp_half_open_dest   of those to one address. Counted in 4096 buckets by the address's hash:
 *                        two destinations share one only by chance that the guest cannot steer
 *
 * Half open is from the guest's SYN to its ACK of our SYN-ACK; a dial from the host side is bounded
 * by who asks for it. At either bound the oldest that has waited for a second gives way, so that
 * destinations that are dead, or SYNs that nobody meant, are in nobody's way longer than that.
 * Where none is that old the SYN is dropped: the guest sends it again, as to any busy host, and a
 * burst of connects is served late instead of being told that nobody listens. Both are silence: of
 * what was given up nothing is known. Not chosen: RST beyond the bound, which made a flood's end
 * wait for the slowest dial, and refused the rest of a burst to a server that was there.
 *
 * The end of a flow can come from deep within one of its own callbacks (a service closes its stream
 * while it is handed data). So tcp_flow_end() takes it out of everything and marks it dead, and
 * tcp_reap() makes it usable again from where nobody holds one: the end of a batch or the timer.
 * A dead flow on the touched list waits until that list is through.
 *
 * A first sequence number is RFC 6528's: a clock of 4 us plus a keyed hash of the key; so a new
 * connection between the same ports starts above the last, and nobody else can guess it.
 */
#include "switch/tcp_internal.h"

#include "base/util.h"

#include <stdlib.h>

enum { HALF_OPEN_STALE_MS = 1000 };
enum { KEEPALIVE_MS = 2 * 3600 * 1000, TIME_WAIT_MS = 10 * 1000, RTO_FIRST_MS = 1000 };

/* A window that nothing limits but the guest's. */
enum { CWND_FREE = 0x40000000 };

uint64_t tcp_hash(const struct tcp_table *t, const void *data, size_t len_bytes)
{
    return hash_bytes(&t->hash_key, data, len_bytes);
}

static struct tcp_flow **bucket_of(struct tcp_table *t, const struct tcp_key *key)
{
    return &t->buckets[tcp_hash(t, key, sizeof *key) & (t->bucket_count - 1)];
}

struct tcp_flow *tcp_find(struct tcp_table *t, const struct tcp_key *key)
{
    struct tcp_flow *f = t->last_found;

    if (f && memcmp(&f->key, key, sizeof *key) == 0)
        return f;
    f = *bucket_of(t, key);
    while (f && memcmp(&f->key, key, sizeof *key) != 0)
        f = f->hash_next;
    if (f)
        t->last_found = f;
    return f;
}

uint32_t tcp_isn(struct tcp_table *t, const struct tcp_key *key)
{
    return (uint32_t)tcp_hash(t, key, sizeof *key) + (uint32_t)(switch_now_ms(t->sw) * 250);
}

/* ---- memory ----------------------------------------------------------------------------- */

static bool add_chunk(struct tcp_table *t)
{
    struct tcp_flow *chunk;

    if (t->chunk_count == t->chunk_max)
        return false;
    chunk = calloc(TCP_CHUNK_FLOWS, sizeof *chunk);
    if (!chunk)
        return false;
    t->chunks[t->chunk_count++] = chunk;
    for (unsigned i = TCP_CHUNK_FLOWS; i-- > 0;) {
        chunk[i].hash_next = t->spare;
        t->spare = &chunk[i];
    }
    return true;
}

static bool make_room(struct tcp_table *t)
{
    if (t->flow_count < t->sw->config.limits.tcp_flows)
        return true;
    if (list_is_empty(&t->time_wait)) {
        t->sw->count.tcp_limit_hits++;
        return false;
    }
    tcp_flow_end(container_of(t->time_wait.next, struct tcp_flow, turn), false);
    return true;
}

struct tcp_flow *tcp_flow_new(struct tcp_table *t, const struct tcp_key *key)
{
    struct tcp_flow **bucket = bucket_of(t, key);
    struct tcp_flow *f;

    if (!make_room(t))
        return NULL;
    if (!t->spare && !add_chunk(t)) {
        t->sw->count.drop_no_memory++;
        return NULL;
    }
    f = t->spare;
    t->spare = f->hash_next;
    *f = (struct tcp_flow){ .table = t,
                            .key = *key,
                            .guest_scale = 0,
                            .mss = 536,
                            .piece_first = TCP_NO_PIECE,
                            .piece_last = TCP_NO_PIECE,
                            .cwnd = CWND_FREE,
                            .ssthresh = CWND_FREE,
                            .rto_ms = RTO_FIRST_MS };
    list_init(&f->turn);
    list_init(&f->later);
    wheel_timer_init(&f->timer);
    f->heard_ms = f->progress_ms = tcp_now(t);
    f->challenge_ms = f->heard_ms - KEEPALIVE_MS;
    f->hash_next = *bucket;
    *bucket = f;
    t->flow_count++;
    return f;
}

void tcp_touch(struct tcp_flow *f)
{
    struct tcp_table *t = f->table;

    if (f->flags & TF_TOUCHED)
        return;
    f->flags |= TF_TOUCHED;
    f->touched_next = NULL;
    *t->touched_end = f;
    t->touched_end = &f->touched_next;
}

/* ---- half open -------------------------------------------------------------------------- */

/* The oldest that is stale, of that bucket or of any (TCP_DEST_BUCKETS); NULL: none is. */
static struct tcp_flow *stalest(struct tcp_table *t, unsigned bucket)
{
    uint32_t now = tcp_now(t);
    struct list *it, *tmp;

    list_for_each(it, tmp, &t->half_opened)
    {
        struct tcp_flow *f = container_of(it, struct tcp_flow, turn);

        if (now - f->progress_ms < HALF_OPEN_STALE_MS)
            return NULL;
        if (bucket == TCP_DEST_BUCKETS || f->dest_bucket == bucket)
            return f;
    }
    return NULL;
}

/* False: the bound stands. */
static bool give_way(struct tcp_table *t, unsigned bucket)
{
    struct tcp_flow *old = stalest(t, bucket);

    t->sw->count.tcp_half_open_limit_hits++;
    if (!old)
        return false;
    tcp_flow_end(old, true);
    return true;
}

bool tcp_half_open_begin(struct tcp_flow *f, const struct ip_addr *dest)
{
    struct tcp_table *t = f->table;
    const struct switch_limits *limits = &t->sw->config.limits;
    unsigned bucket = tcp_hash(t, dest, sizeof *dest) & (TCP_DEST_BUCKETS - 1);

    if (t->dest[bucket] >= limits->tcp_half_open_dest && !give_way(t, bucket))
        return false;
    if (t->half_open >= limits->tcp_half_open && !give_way(t, TCP_DEST_BUCKETS))
        return false;
    t->half_open++;
    t->dest[bucket]++;
    f->dest_bucket = (uint16_t)bucket;
    f->flags |= TF_HALF_OPEN;
    list_append(&t->half_opened, &f->turn);
    return true;
}

void tcp_half_open_moved(struct tcp_flow *f)
{
    f->progress_ms = tcp_now(f->table);
    if (!(f->flags & TF_HALF_OPEN))
        return;
    list_remove(&f->turn);
    list_append(&f->table->half_opened, &f->turn);
}

void tcp_half_open_end(struct tcp_flow *f)
{
    if (!(f->flags & TF_HALF_OPEN))
        return;
    f->flags &= ~(uint32_t)TF_HALF_OPEN;
    list_remove(&f->turn);
    f->table->half_open--;
    f->table->dest[f->dest_bucket]--;
}

/* ---- ends ------------------------------------------------------------------------------- */

static void leave_hash(struct tcp_flow *f)
{
    struct tcp_flow **at = bucket_of(f->table, &f->key);

    if (f->table->last_found == f)
        f->table->last_found = NULL;
    while (*at != f)
        at = &(*at)->hash_next;
    *at = f->hash_next;
}

void tcp_flow_end(struct tcp_flow *f, bool reset)
{
    struct tcp_table *t = f->table;

    if (f->state == TCP_DEAD)
        return;
    if (f->state >= TCP_OPEN && !reset)
        t->sw->count.tcp_closed++;
    leave_hash(f);
    tcp_share_end(f);
    tcp_half_open_end(f);
    f->state = TCP_DEAD;
    f->piece_first = TCP_NO_PIECE;
    f->flags &= ~(uint32_t)TF_ACK_OWED;
    tcp_host_close(f, reset);
    tcp_deactivate(f);
    tcp_later_end(f);
    list_remove(&f->turn);
    wheel_remove(&t->wheel, &f->timer);
    ring_free(&f->up, &t->pool);
    ring_free(&f->down, &t->pool);
    t->flow_count--;
    f->hash_next = t->dead;
    t->dead = f;
}

void tcp_reap(struct tcp_table *t)
{
    struct tcp_flow *f = t->dead;

    t->dead = NULL;
    while (f) {
        struct tcp_flow *next = f->hash_next;
        struct tcp_flow **list = f->flags & TF_TOUCHED ? &t->dead : &t->spare;

        f->hash_next = *list;
        *list = f;
        f = next;
    }
}

void tcp_enter_time_wait(struct tcp_flow *f)
{
    struct tcp_table *t = f->table;

    tcp_host_close(f, false);
    tcp_deactivate(f);
    ring_free(&f->up, &t->pool);
    ring_free(&f->down, &t->pool);
    f->state = TCP_TIME_WAIT;
    list_append(&t->time_wait, &f->turn);
    tcp_wait_for(f, TCP_WAIT_IDLE, TIME_WAIT_MS);
}

void tcp_for_each(struct tcp_table *t, void (*fn)(struct tcp_flow *f))
{
    for (unsigned c = 0; c < t->chunk_count; c++) {
        for (unsigned i = 0; i < TCP_CHUNK_FLOWS; i++) {
            if (t->chunks[c][i].state != TCP_DEAD)
                fn(&t->chunks[c][i]);
        }
    }
}

/* ---- the whole -------------------------------------------------------------------------- */

static void reset_flow(struct tcp_flow *f)
{
    tcp_flow_end(f, true);
}

static void table_free(struct tcp_table *t)
{
    timer_stop(&t->timer);
    timer_stop(&t->later_timer);
    for (unsigned c = 0; c < t->chunk_count; c++)
        free(t->chunks[c]);
    ring_pool_fini(&t->pool);
    free(t->chunks);
    free(t->buckets);
    free(t);
}

void tcp_free(struct switch_ *s)
{
    struct tcp_table *t = s->tcp;

    if (!t)
        return;
    tcp_for_each(t, reset_flow);
    tcp_services_free(t);
    table_free(t);
    s->tcp = NULL;
}

static void table_init(struct tcp_table *t, struct switch_ *s)
{
    t->sw = s;
    t->touched_end = &t->touched;
    list_init(&t->time_wait);
    list_init(&t->half_opened);
    list_init(&t->later);
    list_init(&t->fresh);
    list_init(&t->bulk);
    list_init(&t->streams);
    ring_pool_init(&t->pool, s->config.limits.total_buffer_bytes);
    wheel_init(&t->wheel, switch_now_ms(s));
    timer_init(&t->timer, s->env.loop, tcp_on_timer, t);
    timer_init(&t->later_timer, s->env.loop, tcp_on_later, t);
    t->timer_due_ms = UINT64_MAX;
    while (t->own_scale < 14 &&
           (UINT32_C(65535) << t->own_scale) < s->config.limits.flow_buffer_bytes)
        t->own_scale++;
}

enum status tcp_new(struct switch_ *s)
{
    struct tcp_table *t = calloc(1, sizeof *t);
    unsigned flows = s->config.limits.tcp_flows;

    if (!t)
        return ST_NOMEM;
    table_init(t, s);
    /* The dead of one batch are there beside those that may live. */
    t->chunk_max = (flows + TCP_PIECES_MAX) / TCP_CHUNK_FLOWS + 2;
    for (t->bucket_count = 64; t->bucket_count < flows; t->bucket_count *= 2)
        continue;
    t->buckets = calloc(t->bucket_count, sizeof(struct tcp_flow *));
    t->chunks = calloc(t->chunk_max, sizeof(struct tcp_flow *));
    if (t->buckets && t->chunks && s->env.random(&t->hash_key, sizeof t->hash_key) == ST_OK) {
        s->tcp = t;
        return ST_OK;
    }
    table_free(t);
    return ST_NOMEM;
}

void tcp_census(const struct switch_ *s, struct switch_census *out)
{
    out->tcp_flows = s->tcp->flow_count;
    out->tcp_half_open = s->tcp->half_open;
    out->buffer_bytes = s->tcp->pool.used_bytes;
    out->freed_bytes = s->tcp->pool.freed_bytes;
}
