/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ring.h"

#include "support/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

static uint8_t byte_at(uint32_t offset)
{
    return (uint8_t)((offset * UINT32_C(2654435761)) >> 17);
}

static size_t append(struct ring *r, struct ring_pool *p, uint32_t from, size_t n, size_t max)
{
    static uint8_t data[RING_MAX_BYTES];

    for (size_t i = 0; i < n; i++)
        data[i] = byte_at(from + (uint32_t)i);
    return ring_append(r, p, data, n, max);
}

static void expect(const struct ring *r, uint32_t from)
{
    static uint8_t data[RING_MAX_BYTES];

    ring_copy_out(r, 0, data, r->len_bytes);
    for (size_t i = 0; i < r->len_bytes; i++)
        assert_int_equal(data[i], byte_at(from + (uint32_t)i));
}

static void an_empty_ring_has_no_memory(void **state)
{
    struct ring_pool p;
    struct ring r = { 0 };

    ring_pool_init(&p, 1 << 20);
    assert_int_equal(append(&r, &p, 0, 10, 1000), 10);
    assert_int_equal(p.used_bytes, RING_MIN_BYTES);
    ring_trim(&r, &p);
    assert_non_null(r.data); /* not empty */
    ring_consume(&r, 10);
    ring_trim(&r, &p);
    assert_null(r.data);
    assert_int_equal(p.used_bytes, 0);
    assert_int_equal(p.kept_bytes, RING_MIN_BYTES);
    ring_pool_fini(&p);
}

/* Four MiB of spare blocks are kept; what comes back beyond is the allocator's, and counted. */
static void what_is_not_kept_is_counted_as_freed(void **state)
{
    enum { RINGS = 300 };
    static struct ring rings[RINGS];
    struct ring_pool p;

    ring_pool_init(&p, 64 << 20);
    for (unsigned i = 0; i < RINGS; i++)
        assert_int_equal(append(&rings[i], &p, 0, 1, 1), 1);
    for (unsigned i = 0; i < RINGS; i++)
        ring_free(&rings[i], &p);
    assert_int_equal(p.kept_bytes, 4 << 20);
    assert_int_equal(p.freed_bytes, (uint64_t)RINGS * RING_MIN_BYTES - (4 << 20));
    ring_pool_fini(&p);
}

static void a_full_ring_takes_what_fits(void **state)
{
    struct ring_pool p;
    struct ring r = { 0 };

    ring_pool_init(&p, 1 << 20);
    assert_int_equal(append(&r, &p, 0, 50000, 30000), 30000);
    assert_int_equal(append(&r, &p, 30000, 1, 30000), 0);
    expect(&r, 0);
    ring_free(&r, &p);
    ring_pool_fini(&p);
}

static void the_pool_bounds_all_rings_together(void **state)
{
    struct ring_pool p;
    struct ring a = { 0 }, b = { 0 };

    ring_pool_init(&p, 3 * RING_MIN_BYTES);
    assert_int_equal(append(&a, &p, 0, RING_MIN_BYTES, RING_MAX_BYTES), RING_MIN_BYTES);
    assert_int_equal(append(&b, &p, 0, RING_MIN_BYTES, RING_MAX_BYTES), RING_MIN_BYTES);
    /* A bigger block for either is over the limit, the content stays as it is. */
    assert_int_equal(append(&a, &p, RING_MIN_BYTES, 100, RING_MAX_BYTES), 0);
    assert_false(ring_reserve(&a, &p, RING_MAX_BYTES));
    assert_false(ring_reserve(&a, &p, (size_t)RING_MAX_BYTES + 1));
    expect(&a, 0);
    ring_free(&b, &p);
    assert_int_equal(ring_room(&b, &p, 100).len_bytes, 100);
    ring_free(&a, &p);
    ring_free(&b, &p);
    assert_int_equal(p.used_bytes, 0);
    ring_pool_fini(&p);
}

static void the_size_that_was_needed_is_remembered_and_forgotten(void **state)
{
    struct ring_pool p;
    struct ring r = { 0 };

    ring_pool_init(&p, 4 << 20);
    append(&r, &p, 0, 200000, RING_MAX_BYTES);
    assert_int_equal(r.cap_bytes, 262144);
    ring_consume(&r, 200000);
    ring_trim(&r, &p);
    append(&r, &p, 0, 1, RING_MAX_BYTES);
    assert_int_equal(r.cap_bytes, 262144);
    for (unsigned i = 0; i < 4; i++) {
        ring_consume(&r, 1);
        ring_trim(&r, &p);
        append(&r, &p, 0, 1, RING_MAX_BYTES);
    }
    assert_int_equal(r.cap_bytes, RING_MIN_BYTES);
    ring_free(&r, &p);
    ring_pool_fini(&p);
}

static void bytes_ahead_of_the_end_survive_growing(void **state)
{
    struct ring_pool p;
    struct ring r = { 0 };
    uint8_t ahead[100];
    uint32_t base = 12000;

    ring_pool_init(&p, 4 << 20);
    append(&r, &p, 0, base, RING_MAX_BYTES);
    ring_consume(&r, base); /* not trimmed: the next bytes wrap */
    for (uint32_t i = 0; i < sizeof ahead; i++)
        ahead[i] = byte_at(base + 6000 + i);
    assert_true(ring_reserve(&r, &p, 6100));
    ring_put(&r, 6000, ahead, sizeof ahead);
    assert_true(ring_reserve(&r, &p, 100000));
    assert_int_equal(append(&r, &p, base, 6000, RING_MAX_BYTES), 6000);
    ring_commit(&r, sizeof ahead);
    assert_int_equal(r.len_bytes, 6100);
    expect(&r, base);
    ring_free(&r, &p);
    ring_pool_fini(&p);
}

static void a_queue_of_bytes_keeps_them_in_order(void **state)
{
    struct ring_pool p;
    struct ring r = { 0 };
    uint32_t head = 0, tail = 0, rng = 1;

    ring_pool_init(&p, 4 << 20);
    for (unsigned step = 0; step < 20000; step++) {
        struct ring_span room;
        size_t n;

        rng = rng * 1664525 + 1013904223;
        n = rng >> 16 & 8191;
        switch (rng >> 30) {
        case 0: tail += (uint32_t)append(&r, &p, tail, n, 150000); break;
        case 1:
            room = ring_room(&r, &p, 150000);
            n = n < room.len_bytes ? n : room.len_bytes;
            for (size_t i = 0; i < n; i++)
                room.data[i] = byte_at(tail + (uint32_t)i);
            ring_commit(&r, n);
            tail += (uint32_t)n;
            break;
        default:
            n = n < r.len_bytes ? n : r.len_bytes;
            ring_consume(&r, n);
            head += (uint32_t)n;
            ring_trim(&r, &p);
        }
        assert_int_equal(r.len_bytes, tail - head);
        if (step % 64 == 0)
            expect(&r, head);
    }
    expect(&r, head);
    ring_free(&r, &p);
    ring_pool_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_ring_has_no_memory),
        cmocka_unit_test(what_is_not_kept_is_counted_as_freed),
        cmocka_unit_test(a_full_ring_takes_what_fits),
        cmocka_unit_test(the_pool_bounds_all_rings_together),
        cmocka_unit_test(the_size_that_was_needed_is_remembered_and_forgotten),
        cmocka_unit_test(bytes_ahead_of_the_end_survive_growing),
        cmocka_unit_test(a_queue_of_bytes_keeps_them_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
