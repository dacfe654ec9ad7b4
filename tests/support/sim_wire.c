/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_wire.h"

#include "base/util.h"
#include "support/frame_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RX_BYTES = 2 * 1024 * 1024, PREFIX_MAX_BYTES = 16, FNV_PRIME = 0x1b3 };

struct parcel {
    struct list link;
    uint64_t due_ms;
    bool has_off;
    struct frame_offload off;
    size_t len_bytes;
    uint8_t frame[];
};

uint32_t sim_wire_random(struct sim_wire *w, uint32_t below)
{
    w->rng = w->rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((w->rng >> 33) % below);
}

bool sim_wire_chance(struct sim_wire *w, unsigned of_1000)
{
    return of_1000 > 0 && sim_wire_random(w, 1000) < of_1000;
}

/* FNV-1a's step, over what tells one run from another. */
static void remember(struct sim_wire *w, uint64_t value)
{
    w->hash = (w->hash ^ value) * (((uint64_t)1 << 40) + FNV_PRIME);
}

/* All headers; payloads are checked elsewhere. */
static void remember_frame(struct sim_wire *w, bool up, const uint8_t *frame, size_t len_bytes)
{
    enum { HEADERS_BYTES = 80 };

    remember(w, sim_now_ms(w->sim) << 1 | up);
    remember(w, len_bytes);
    for (size_t i = 0; i < MIN(len_bytes, (size_t)HEADERS_BYTES); i++)
        remember(w, frame[i]);
}

/* ---- frames on their way ------------------------------------------------------------------ */

static void post(struct sim_wire *w, struct list *to, const uint8_t *frame, size_t len_bytes,
                 const struct frame_offload *off, unsigned late_ms)
{
    struct parcel *p = NULL;
    struct list *at = to->prev;

    for (unsigned tries = 0; !p && tries < 3; tries++) /* allocations may be made to fail */
        p = malloc(sizeof *p + len_bytes);
    ASSERT(p);
    *p = (struct parcel){ .due_ms = sim_now_ms(w->sim) + w->faults.delay_ms + late_ms,
                          .has_off = off != NULL,
                          .len_bytes = len_bytes };
    if (off)
        p->off = *off;
    memcpy(p->frame, frame, len_bytes);
    while (at != to && container_of(at, struct parcel, link)->due_ms > p->due_ms)
        at = at->prev;
    list_insert_after(at, &p->link);
}

static void post_with_faults(struct sim_wire *w, struct list *to, const uint8_t *frame,
                             size_t len_bytes, const struct frame_offload *off)
{
    const struct sim_wire_faults *f = &w->faults;
    unsigned copies = sim_wire_chance(w, f->duplicate) ? 2 : 1;

    if (sim_wire_chance(w, f->lose))
        return;
    while (copies-- > 0)
        post(w, to, frame, len_bytes, off,
             sim_wire_chance(w, f->reorder) ? 1 + sim_wire_random(w, 4) : 0);
}

static void drop_all(struct list *parcels)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, parcels)
    {
        list_remove(it);
        free(container_of(it, struct parcel, link));
    }
}

/* The next one that is due, off the list; NULL when there is none. */
static struct parcel *take_due(struct sim_wire *w, struct list *from)
{
    struct parcel *p;

    if (list_is_empty(from))
        return NULL;
    p = container_of(from->next, struct parcel, link);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as in base/list.h */
    if (p->due_ms > sim_now_ms(w->sim))
        return NULL;
    list_remove(&p->link);
    return p;
}

/* ---- towards the switch ------------------------------------------------------------------- */

/* virtio 1.2, 5.1.6 */
static void put_vnet(uint8_t *p, const struct frame_offload *off)
{
    static const uint8_t gso_type[] = {
        [FRAME_GSO_NONE] = 0, [FRAME_GSO_TCP4] = 1, [FRAME_GSO_TCP6] = 4, [FRAME_GSO_UDP] = 5
    };
    const uint16_t numbers[] = { off->header_bytes, off->gso_size, off->csum_start,
                                 off->csum_offset };

    p[0] = (uint8_t)((off->needs_csum ? 1 : 0) | (off->csum_valid ? 2 : 0));
    p[1] = gso_type[off->gso];
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        p[2 + 2 * i] = (uint8_t)numbers[i];
        p[3 + 2 * i] = (uint8_t)(numbers[i] >> 8);
    }
}

static size_t wrap(struct sim_wire *w, uint8_t *out, const uint8_t *frame, size_t len_bytes,
                   const struct frame_offload *off)
{
    size_t n = frame_wrap(out, w->protocol, frame, len_bytes);

    if (off && w->protocol == FRAME_V2)
        put_vnet(out + 4, off);
    return n;
}

void sim_wire_send(struct sim_wire *w, const uint8_t *frame, size_t len_bytes,
                   const struct frame_offload *off)
{
    static uint8_t damaged[FRAME_MAX_BYTES];

    ASSERT(len_bytes <= sizeof damaged && (!off || w->protocol == FRAME_V2));
    remember_frame(w, true, frame, len_bytes);
    if (!w->link)
        return;
    w->frames_up++;
    if (!off && sim_wire_chance(w, w->faults.corrupt)) {
        memcpy(damaged, frame, len_bytes);
        damaged[sim_wire_random(w, (uint32_t)len_bytes)] ^= (uint8_t)(1 << sim_wire_random(w, 8));
        frame = damaged;
        w->corrupted++;
    }
    post_with_faults(w, &w->up, frame, len_bytes, off);
}

static bool deliver_up(struct sim_wire *w)
{
    static uint8_t wrapped[FRAME_MAX_BYTES + PREFIX_MAX_BYTES];
    struct parcel *p;
    bool any = false;

    while ((p = take_due(w, &w->up)) != NULL) {
        size_t n = wrap(w, wrapped, p->frame, p->len_bytes, p->has_off ? &p->off : NULL);

        if (w->link)
            sim_peer_send(w->link, wrapped, n);
        free(p);
        any = true;
    }
    return any;
}

/* ---- towards the guest -------------------------------------------------------------------- */

static void check_size(const struct sim_wire *w, const struct frame_view *v,
                       const struct frame_offload *off)
{
    size_t most = w->mtu + ETH_HEADER_BYTES;

    if (off && off->gso != FRAME_GSO_NONE) {
        ASSERT(v->is_tcp && w->protocol == FRAME_V2 && off->needs_csum);
        ASSERT(off->gso_size > 0 && v->payload_bytes > off->gso_size);
        ASSERT(off->header_bytes + off->gso_size <= most);
        ASSERT(off->header_bytes == (size_t)(v->payload - v->frame));
        most = FRAME_MAX_BYTES;
    }
    ASSERT(v->len_bytes <= most);
}

static void take_frame(struct sim_wire *w, const uint8_t *frame, size_t len_bytes,
                       const struct frame_offload *off)
{
    struct frame_view v;
    const char *wrong = frame_check(&v, frame, len_bytes, off);
    char text[FRAME_TEXT_MAX];

    if (wrong)
        fprintf(stderr, "%s: %s\n", wrong, frame_describe(text, frame, len_bytes));
    ASSERT(!wrong);
    check_size(w, &v, off);
    remember_frame(w, false, frame, len_bytes);
    w->frames_down++;
    post_with_faults(w, &w->down, frame, len_bytes, off);
}

static void read_link(struct sim_wire *w)
{
    const uint8_t *data, *frame, *at = w->rx;
    struct frame_offload off;
    size_t n, len;

    if (!w->link)
        return;
    data = sim_peer_data(w->link, &n);
    if (n == 0)
        return;
    ASSERT(w->rx_bytes + n <= RX_BYTES);
    memcpy(w->rx + w->rx_bytes, data, n);
    w->rx_bytes += n;
    sim_peer_drop_received(w->link);
    while (frame_unwrap(w->protocol, &at, &w->rx_bytes, &frame, &len, &off))
        take_frame(w, frame, len, w->protocol == FRAME_V2 ? &off : NULL);
    memmove(w->rx, at, w->rx_bytes);
}

static bool deliver_down(struct sim_wire *w)
{
    struct parcel *p;
    struct frame_view v;
    bool any = false;

    while ((p = take_due(w, &w->down)) != NULL) {
        const struct frame_offload *off = p->has_off ? &p->off : NULL;

        ASSERT(!frame_check(&v, p->frame, p->len_bytes, off));
        w->on_frame(w->ctx, &v, off);
        free(p);
        any = true;
    }
    return any;
}

/* ---- both --------------------------------------------------------------------------------- */

static void give_rate(struct sim_wire *w)
{
    uint64_t now = sim_now_ms(w->sim);

    if (w->link && w->rate_bytes_ms == 0 && w->is_rated)
        sim_peer_set_room(w->link, SIZE_MAX);
    else if (w->link && w->rate_bytes_ms > 0 && now > w->rate_ms)
        sim_peer_set_room(w->link, w->rate_bytes_ms * (size_t)MIN(now - w->rate_ms, 5));
    w->is_rated = w->rate_bytes_ms > 0;
    w->rate_ms = now;
}

void sim_wire_run(struct sim_wire *w)
{
    bool any;

    give_rate(w);
    do {
        any = deliver_up(w);
        sim_run(w->sim);
        read_link(w);
        any |= deliver_down(w);
    } while (any);
}

static uint64_t first_due_ms(const struct list *parcels)
{
    return list_is_empty(parcels) ? UINT64_MAX
                                  : container_of(parcels->next, struct parcel, link)->due_ms;
}

uint64_t sim_wire_next_due_ms(const struct sim_wire *w)
{
    uint64_t due = MIN(first_due_ms(&w->up), first_due_ms(&w->down));

    return w->rate_bytes_ms ? MIN(due, sim_now_ms(w->sim) + 1) : due;
}

void sim_wire_cut(struct sim_wire *w)
{
    uint8_t half[200] = { 0 };
    size_t n = wrap(w, half, half + 100, 60, NULL);

    if (!w->link)
        return;
    w->cuts++;
    if (sim_wire_chance(w, 500) && !sim_peer_is_closed(w->link))
        sim_peer_send(w->link, half, 1 + sim_wire_random(w, (uint32_t)n - 1));
    sim_run(w->sim);
    if (sim_wire_chance(w, 300))
        sim_peer_end(w->link);
    else
        sim_peer_reset(w->link, sim_wire_chance(w, 500) ? ST_RESET : ST_IO);
    sim_run(w->sim);
    w->link = NULL;
    w->rx_bytes = 0;
    drop_all(&w->up);
    drop_all(&w->down);
}

enum status sim_wire_attach(struct sim_wire *w)
{
    static const size_t pieces[] = { 0, 0, 0, 5000, 1000, 97 };
    struct stream *s;
    struct sim_peer *link = sim_stream(w->sim, &s);
    enum status st;

    sim_peer_set_piece(link, pieces[sim_wire_random(w, ARRAY_SIZE(pieces))]);
    st = switch_attach(w->sw, s, (int)w->protocol);
    w->link = st == ST_OK ? link : w->link;
    w->rx_bytes = st == ST_OK ? 0 : w->rx_bytes;
    w->rate_ms = sim_now_ms(w->sim);
    return st;
}

void sim_wire_init(struct sim_wire *w, struct sim *sim, struct switch_ *sw,
                   enum frame_protocol protocol, unsigned mtu, uint64_t seed)
{
    *w = (struct sim_wire){ .sim = sim, .sw = sw, .protocol = protocol, .mtu = mtu };
    w->rng = seed * 2 + 1;
    w->hash = UINT64_C(0xcbf29ce484222325);
    w->rx = malloc(RX_BYTES);
    ASSERT(w->rx);
    list_init(&w->up);
    list_init(&w->down);
    ASSERT(sim_wire_attach(w) == ST_OK);
}

void sim_wire_fini(struct sim_wire *w)
{
    drop_all(&w->up);
    drop_all(&w->down);
    free(w->rx);
}
