/* SPDX-License-Identifier: Apache-2.0
 * hash_test.c - SipHash-1-3 against known answers: key 00..0f, message 00, 01, 02, ...
 * The answers were computed by an independent implementation that also gives the published answer
 * of SipHash-2-4 for 15 bytes (a129ca6149be45e5).
 */
#include "base/hash.h"
#include "base/util.h"
#include "support/cmocka_all.h"

static const struct {
    const char *name;
    size_t len_bytes;
    uint64_t want;
} rows[] = {
    { "nothing", 0, 0xabac0158050fc4dc },          { "one byte", 1, 0xc9f49bf37d57ca93 },
    { "below a word", 7, 0xd3927d989bb11140 },     { "a word", 8, 0x369095118d299a8e },
    { "below two words", 15, 0xd320d86d2a519956 }, { "two words", 16, 0xcc4fdd1a7d908b66 },
    { "a flow's key", 36, 0x2cf508d3ada26206 },    { "long", 63, 0x9d199062b7bbb3a8 },
};

static const struct hash_key key = { { 0x0706050403020100, 0x0f0e0d0c0b0a0908 } };

static void hash_gives_the_known_answers(void **state)
{
    uint8_t message[64];

    (void)state;
    for (unsigned i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)i;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (hash_bytes(&key, message, rows[i].len_bytes) != rows[i].want)
            fail_msg("%s", rows[i].name);
    }
}

static void another_key_gives_another_hash(void **state)
{
    struct hash_key other = key;

    (void)state;
    other.k[1] ^= 1;
    assert_true(hash_bytes(&key, "abc", 3) != hash_bytes(&other, "abc", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_gives_the_known_answers),
        cmocka_unit_test(another_key_gives_another_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
