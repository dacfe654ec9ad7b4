/* SPDX-License-Identifier: Apache-2.0
 * The virtio-net header of a frame of 100 bytes: Ethernet, IPv4, then TCP with a data offset of 8
 * (66 bytes of headers), or the same bytes taken for UDP.
 */
#include "link/vnet_header.h"

#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/frame_build.h"

#include <string.h>

static void header_is_held_against_its_frame(void **state)
{
    /* flags, type, hdr_len, gso_size, csum_start, csum_offset, num_buffers; little-endian */
    static const struct {
        const char *name, *hex;
        enum status want;
        unsigned header_bytes;
    } rows[] = {
        { "plain", "00 00 0000 0000 0000 0000 0000", ST_OK, 0 },
        { "verified", "02 00 0000 0000 0000 0000 0000", ST_OK, 0 },
        { "buffers are not looked at", "00 00 0000 0000 0000 0000 ffff", ST_OK, 0 },
        { "checksum", "01 00 0000 0000 2200 1000 0000", ST_OK, 0 },
        { "checksum in the last bytes", "01 00 0000 0000 2200 4000 0000", ST_OK, 0 },
        { "checksum half out", "01 00 0000 0000 2200 4100 0000", ST_PROTO, 0 },
        { "checksum far out", "01 00 0000 0000 ffff ffff 0000", ST_PROTO, 0 },
        { "checksum from Ethernet", "01 00 0000 0000 0d00 1000 0000", ST_PROTO, 0 },
        { "start without flag is nothing", "00 00 0000 0000 ffff ffff 0000", ST_OK, 0 },
        { "coalescing flag", "04 00 0000 0000 0000 0000 0000", ST_PROTO, 0 },
        { "unknown flag", "80 00 0000 0000 0000 0000 0000", ST_PROTO, 0 },
        { "TCP4", "01 01 4200 b405 2200 1000 0000", ST_OK, 66 },
        { "TCP6", "01 04 4200 b405 2200 1000 0000", ST_OK, 66 },
        { "TCP4 with ECN", "01 81 4200 b405 2200 1000 0000", ST_OK, 66 },
        { "UDP", "01 05 2a00 b405 2200 0600 0000", ST_OK, 42 },
        { "hdr_len is all of it", "01 01 6400 b405 2200 1000 0000", ST_OK, 66 },
        { "hdr_len beyond it", "01 01 6500 b405 2200 1000 0000", ST_PROTO, 0 },
        { "hdr_len beyond it, plain", "00 00 ffff 0000 0000 0000 0000", ST_PROTO, 0 },
        { "gso_size 0", "01 01 4200 0000 2200 1000 0000", ST_PROTO, 0 },
        { "gso without checksum", "00 01 4200 b405 2200 1000 0000", ST_PROTO, 0 },
        { "TCP with UDP's checksum", "01 01 4200 b405 2200 0600 0000", ST_PROTO, 0 },
        { "UDP with TCP's checksum", "01 05 2a00 b405 2200 1000 0000", ST_PROTO, 0 },
        { "UFO", "01 03 2a00 b405 2200 0600 0000", ST_PROTO, 0 },
        { "unknown type", "01 02 4200 b405 2200 1000 0000", ST_PROTO, 0 },
        { "ECN alone", "00 80 0000 0000 0000 0000 0000", ST_OK, 0 },
        { "TCP header beyond the frame", "01 01 4200 b405 5000 1000 0000", ST_PROTO, 0 },
        { "TCP header fills the frame", "01 01 0000 b405 4400 1000 0000", ST_OK, 100 },
        { "TCP data offset of 5", "01 01 0000 b405 3c00 1000 0000", ST_OK, 80 },
        { "TCP data offset of 4", "01 01 0000 b405 3d00 1000 0000", ST_PROTO, 0 },
        { "checksum from behind Ethernet", "01 00 0000 0000 0e00 1000 0000", ST_OK, 0 },
        { "gso_size alone is nothing", "00 00 0000 b405 0000 0000 0000", ST_OK, 0 },
        { "TCP data offset of 0", "01 01 4200 b405 3000 1000 0000", ST_PROTO, 0 },
    };
    uint8_t frame[100] = { 0 };

    frame[34 + 12] = 0x80;
    frame[60 + 12] = 0x50;
    frame[61 + 12] = 0x40;
    frame[68 + 12] = 0x80;
    frame[80 + 12] = 0x80;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct frame_offload off;
        struct frame f;

        frame_hex(&f, rows[i].hex);
        assert_int_equal(f.len_bytes, VNET_HEADER_BYTES);
        if (vnet_header_decode(&off, f.b, frame, sizeof frame) != rows[i].want)
            fail_msg("%s", rows[i].name);
        if (rows[i].want == ST_OK && off.header_bytes != rows[i].header_bytes)
            fail_msg("%s: headers of %u", rows[i].name, off.header_bytes);
        if (rows[i].want == ST_OK && (off.gso_size > 0) != (off.gso != FRAME_GSO_NONE))
            fail_msg("%s: segments of %u", rows[i].name, off.gso_size);
    }
}

static void fields_are_little_endian(void **state)
{
    static const uint8_t want[VNET_HEADER_BYTES] = { 1, 1, 0x42, 0, 0xb4, 5, 0x22, 0, 16, 0, 0, 0 };
    struct frame_offload off = { .needs_csum = true,
                                 .csum_start = 34,
                                 .csum_offset = 16,
                                 .gso = FRAME_GSO_TCP4,
                                 .gso_size = 1460,
                                 .header_bytes = 66 };
    uint8_t got[VNET_HEADER_BYTES];

    vnet_header_encode(got, &off);
    assert_memory_equal(got, want, sizeof got);
}

static void plain_frame_has_an_empty_header(void **state)
{
    static const uint8_t want[VNET_HEADER_BYTES];
    uint8_t got[VNET_HEADER_BYTES] = { 0xff };

    vnet_header_encode(got, NULL);
    assert_memory_equal(got, want, sizeof got);
}

/* Every header at every length of frame: nothing outside the frame is ever read or promised. */
static void whatever_is_accepted_lies_within_the_frame(void **state)
{
    static const uint8_t types[] = { 0, 1, 4, 5 };
    uint8_t frame[64];

    memset(frame, 0x50, sizeof frame);
    for (size_t len = 14; len <= sizeof frame; len++)
        for (unsigned start = 0; start < 80; start++)
            for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
                uint8_t p[VNET_HEADER_BYTES] = {
                    1, types[t], 0, 0, 1, 0, (uint8_t)start, 0, types[t] == 5 ? 6 : 16
                };
                struct frame_offload off;

                if (vnet_header_decode(&off, p, frame, len))
                    continue;
                assert_true(off.csum_start >= 14);
                assert_true((size_t)off.csum_start + off.csum_offset + 2 <= len);
                assert_true(off.header_bytes <= len);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_held_against_its_frame),
        cmocka_unit_test(fields_are_little_endian),
        cmocka_unit_test(plain_frame_has_an_empty_header),
        cmocka_unit_test(whatever_is_accepted_lies_within_the_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
