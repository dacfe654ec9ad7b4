/* SPDX-License-Identifier: Apache-2.0
 * HMAC-SHA256 against the vectors of RFC 4231, on whichever library this system has.
 */
#include "base/util.h"
#include "port/crypto.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

/* A key or data is @text, or @len times @fill. Section numbers are of RFC 4231; the fifth is about
 * truncation, which is not done here. */
static const struct row {
    const char *name;
    const char *key;
    uint8_t key_fill;
    size_t key_len;
    const char *data;
    uint8_t data_fill;
    size_t data_len;
    const char *mac;
} rows[] = {
    { "4.2", NULL, 0x0b, 20, "Hi There", 0, 8,
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
    { "4.3", "Jefe", 0, 4, "what do ya want for nothing?", 0, 28,
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
    { "4.4", NULL, 0xaa, 20, NULL, 0xdd, 50,
      "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
    { "4.5",
      "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16"
      "\x17\x18\x19",
      0, 25, NULL, 0xcd, 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
    { "4.7", NULL, 0xaa, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 0, 54,
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
    { "4.8", NULL, 0xaa, 131,
      "This is a test using a larger than block-size key and a larger than block-size data. The "
      "key "
      "needs to be hashed before being used by the HMAC algorithm.",
      0, 152, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
};

static const uint8_t *bytes_of_row(uint8_t buf[200], const char *text, uint8_t fill, size_t len)
{
    if (text)
        memcpy(buf, text, len);
    else
        memset(buf, fill, len);
    return buf;
}

static void hmac_gives_the_vectors_of_rfc_4231(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *r = &rows[i];
        uint8_t key[200], data[200], mac[HMAC_SHA256_BYTES];
        char hex[2 * sizeof mac + 1];

        assert_int_equal(hmac_sha256(bytes_of_row(key, r->key, r->key_fill, r->key_len), r->key_len,
                                     bytes_of_row(data, r->data, r->data_fill, r->data_len),
                                     r->data_len, mac),
                         ST_OK);
        for (size_t k = 0; k < sizeof mac; k++)
            snprintf(hex + 2 * k, 3, "%02x", mac[k]);
        if (strcmp(hex, r->mac) != 0)
            fail_msg("section %s: %s", r->name, hex);
    }
}

static void every_differing_byte_is_seen(void **state)
{
    uint8_t a[32] = { 0 }, b[32] = { 0 };

    assert_true(crypto_equal(a, b, sizeof a));
    for (size_t i = 0; i < sizeof a; i++) {
        b[i] = 0x80;
        assert_false(crypto_equal(a, b, sizeof a));
        b[i] = 0;
    }
    assert_true(crypto_equal(a, b, 0));
}

static void wiped_memory_is_zero(void **state)
{
    static const uint8_t zero[32];
    uint8_t a[sizeof zero];

    memset(a, 7, sizeof a);
    crypto_wipe(a, sizeof a);
    assert_memory_equal(a, zero, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_gives_the_vectors_of_rfc_4231),
        cmocka_unit_test(every_differing_byte_is_seen),
        cmocka_unit_test(wiped_memory_is_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
