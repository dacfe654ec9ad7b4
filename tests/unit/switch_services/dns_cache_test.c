/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "switch/dns_cache.h"
#include "switch/switch.h"

#include <stdio.h>
#include <string.h>

enum { ENTRIES = 100, BYTES = 1024 * 1024 };

static struct dns_cache *cache;
static uint64_t evicted;
static uint8_t answer[DNS_CACHE_ANSWER_MAX + 1];

static int setup(void **state)
{
    static const struct switch_limits limits = { .dns_cache_entries = ENTRIES,
                                                 .dns_cache_bytes = BYTES };

    evicted = 0;
    return dns_cache_new(&cache, 42, &limits, &evicted) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
    dns_cache_free(cache);
    return 0;
}

static struct dns_question question(unsigned number)
{
    struct dns_question q = { .type = DNS_TYPE_A, .class = DNS_CLASS_IN };
    char name[32];

    snprintf(name, sizeof name, "n%u.example.", number);
    q.name_bytes = (uint8_t)dns_name_encode(q.key, name);
    memcpy(q.name, q.key, q.name_bytes);
    return q;
}

static void add(unsigned number, size_t len_bytes, uint32_t ttl_s, uint64_t now_ms)
{
    struct dns_question q = question(number);

    dns_cache_add(cache, &q, answer, len_bytes, ttl_s, now_ms);
}

static bool has(unsigned number, uint64_t now_ms)
{
    struct dns_question q = question(number);
    size_t len;
    uint32_t age;

    return dns_cache_find(cache, &q, now_ms, &len, &age) != NULL;
}

static void an_answer_is_there_for_its_ttl(void **state)
{
    struct dns_question q = question(1);
    size_t len = 0;
    uint32_t age = 0;

    add(1, 100, 10, 5000);
    assert_non_null(dns_cache_find(cache, &q, 14999, &len, &age));
    assert_int_equal(len, 100);
    assert_int_equal(age, 9);
    assert_null(dns_cache_find(cache, &q, 15000, &len, &age));
    assert_int_equal(dns_cache_count(cache), 0);
}

static void what_was_asked_differently_is_another_answer(void **state)
{
    static const struct {
        const char *name;
        uint16_t type, class, flags;
        bool has_edns, dnssec_ok, want;
    } rows[] = { { "same", 1, 1, 0x0100, true, false, true },
                 { "type", 28, 1, 0x0100, true, false, false },
                 { "class", 1, 3, 0x0100, true, false, false },
                 { "no RD", 1, 1, 0, true, false, false },
                 { "CD", 1, 1, 0x0110, true, false, false },
                 { "no EDNS", 1, 1, 0x0100, false, false, false },
                 { "DO", 1, 1, 0x0100, true, true, false } };
    struct dns_question q = question(1);

    q.flags = 0x0100;
    q.has_edns = true;
    dns_cache_add(cache, &q, answer, 100, 10, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len;
        uint32_t age;

        q.type = rows[i].type;
        q.class = rows[i].class;
        q.flags = rows[i].flags;
        q.has_edns = rows[i].has_edns;
        q.dnssec_ok = rows[i].dnssec_ok;
        if ((dns_cache_find(cache, &q, 0, &len, &age) != NULL) != rows[i].want)
            fail_msg("%s", rows[i].name);
    }
}

static void the_least_recently_used_goes_at_the_limit_of_entries(void **state)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        add(i, 20, 60, 0);
    assert_true(has(0, 1)); /* used again */
    add(ENTRIES, 20, 60, 1);
    assert_int_equal(dns_cache_count(cache), ENTRIES);
    assert_true(has(0, 1));
    assert_false(has(1, 1));
    assert_int_equal(evicted, 1);
    add(ENTRIES + 1, 20, 60, 60000); /* what is too old is nobody's loss */
    assert_int_equal(evicted, 1);
}

static void bytes_are_bounded_too(void **state)
{
    static const struct switch_limits limits = { .dns_cache_entries = 1024,
                                                 .dns_cache_bytes = BYTES };

    dns_cache_free(cache);
    assert_int_equal(dns_cache_new(&cache, 42, &limits, &evicted), ST_OK);
    for (unsigned i = 0; i < 400; i++)
        add(i, DNS_CACHE_ANSWER_MAX, 60, 0);
    assert_true(dns_cache_count(cache) <= BYTES / DNS_CACHE_ANSWER_MAX);
    assert_true(dns_cache_count(cache) > 100);
    assert_int_equal(evicted, 400 - dns_cache_count(cache));
    assert_true(has(399, 0));
    add(1000, DNS_CACHE_ANSWER_MAX + 1, 60, 0);
    assert_false(has(1000, 0));
}

static void a_new_answer_replaces_the_old_even_by_nothing(void **state)
{
    add(1, 100, 60, 0);
    add(1, 200, 60, 0);
    assert_int_equal(dns_cache_count(cache), 1);
    add(1, 200, 0, 0);
    assert_int_equal(dns_cache_count(cache), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_answer_is_there_for_its_ttl),
        T(what_was_asked_differently_is_another_answer),
        T(the_least_recently_used_goes_at_the_limit_of_entries),
        T(bytes_are_bounded_too),
        T(a_new_answer_replaces_the_old_even_by_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
