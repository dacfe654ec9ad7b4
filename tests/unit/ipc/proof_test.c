/* SPDX-License-Identifier: Apache-2.0
 * What a MAC of the greeting binds, and what a key file may hold.
 */
#include "base/util.h"
#include "ipc/proof.h"
#include "support/cmocka_all.h"

#include <string.h>

#define HEX64 "00112233445566778899aabbccddeeff0123456789ABCDEFfedcba9876543210"

static void a_key_is_64_digits_with_space_around(void **state)
{
    static const struct {
        const char *name, *text;
        enum status want;
    } rows[] = {
        { "digits", HEX64, ST_OK },
        { "a line", HEX64 "\n", ST_OK },
        { "a line of Windows", " " HEX64 "\r\n", ST_OK },
        { "nothing", "", ST_NOTFOUND },
        { "only space", " \r\n\t", ST_NOTFOUND },
        { "one digit less", "0112233445566778899aabbccddeeff0123456789ABCDEFfedcba9876543210",
          ST_INVAL },
        { "one digit more", HEX64 "0", ST_INVAL },
        { "a letter too far",
          "g"
          "0112233445566778899aabbccddeeff0123456789ABCDEFfedcba9876543210",
          ST_INVAL },
        { "space within", "00112233445566778899aabbccddeeff 123456789ABCDEFfedcba9876543210",
          ST_INVAL },
        { "two keys", HEX64 "\n" HEX64, ST_INVAL },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct proof_key key;
        enum status st = proof_key_parse(&key, rows[i].text, strlen(rows[i].text));

        if (st != rows[i].want)
            fail_msg("%s: %s", rows[i].name, status_name(st));
    }
}

static void a_key_is_written_as_it_is_read(void **state)
{
    struct proof_key key, again;
    char text[2 * PROOF_KEY_BYTES + 1];

    assert_int_equal(proof_key_parse(&key, HEX64, 64), ST_OK);
    assert_int_equal(key.bytes[1], 0x11);
    assert_int_equal(key.bytes[31], 0x10);
    proof_key_format(&key, text);
    assert_int_equal(strlen(text), 64);
    assert_int_equal(proof_key_parse(&again, text, 64), ST_OK);
    assert_memory_equal(&key, &again, sizeof key);
}

static void an_instance_may_name_a_file_and_nothing_else(void **state)
{
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        { "rancher-desktop", true },
        { "A_1.b", true },
        { "", false },
        { ".", false },
        { "..", false },
        { ".x", false },
        { "a/b", false },
        { "a\\b", false },
        { "a b", false },
        { "a\n", false },
        { "c:x", false },
        { "\xc3\xa4", false },
        { "0123456789012345678901234567890123456789012345678901234567890123", false },
        { "012345678901234567890123456789012345678901234567890123456789012", true },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (proof_is_instance(rows[i].text) != rows[i].want)
            fail_msg("\"%s\"", rows[i].text);
}

static struct proof_transcript example(void)
{
    struct proof_transcript t = { .major = 1,
                                  .opener_role = 1,
                                  .acceptor_role = 4,
                                  .opener_instance = "host",
                                  .acceptor_instance = "guest" };

    memset(t.opener_nonce, 1, sizeof t.opener_nonce);
    memset(t.acceptor_nonce, 2, sizeof t.acceptor_nonce);
    return t;
}

static void expect_other_mac(const struct proof_key *key, const struct proof_transcript *t,
                             const uint8_t *mac)
{
    assert_false(proof_verify(key, PROOF_BY_ACCEPTOR, t, mac, PROOF_MAC_BYTES));
}

static void a_mac_binds_all_that_was_said_and_who_says_it(void **state)
{
    struct proof_key key = { { 9 } }, other = { { 8 } };
    struct proof_transcript t = example();
    uint8_t mac[PROOF_MAC_BYTES];

    assert_int_equal(proof_mac(&key, PROOF_BY_ACCEPTOR, &t, mac), ST_OK);
    assert_true(proof_verify(&key, PROOF_BY_ACCEPTOR, &t, mac, sizeof mac));
    assert_false(proof_verify(&key, PROOF_BY_ACCEPTOR, &t, mac, sizeof mac - 1));
    assert_false(proof_verify(&key, PROOF_BY_OPENER, &t, mac, sizeof mac));
    expect_other_mac(&other, &t, mac);
    t.major = 2;
    expect_other_mac(&key, &t, mac);
    t = example();
    t.opener_role = 4;
    expect_other_mac(&key, &t, mac);
    t = example();
    t.acceptor_role = 5;
    expect_other_mac(&key, &t, mac);
    t = example();
    t.opener_nonce[31] ^= 1;
    expect_other_mac(&key, &t, mac);
    t = example();
    t.acceptor_nonce[0] ^= 1;
    expect_other_mac(&key, &t, mac);
    t = example();
    strcpy(t.opener_instance, "hostg"); /* the same letters, cut elsewhere */
    strcpy(t.acceptor_instance, "uest");
    expect_other_mac(&key, &t, mac);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_64_digits_with_space_around),
        cmocka_unit_test(a_key_is_written_as_it_is_read),
        cmocka_unit_test(an_instance_may_name_a_file_and_nothing_else),
        cmocka_unit_test(a_mac_binds_all_that_was_said_and_who_says_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
