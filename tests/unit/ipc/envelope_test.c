/* SPDX-License-Identifier: Apache-2.0
 * Frames on a byte stream: every way to cut them, every way to be wrong.
 */
#include "base/util.h"
#include "ipc/envelope.h"
#include "support/alloc_fail.h"
#include "support/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

/* A frame that holds Ready{detail: @detail_bytes times 'r'}; the caller frees it. */
static uint8_t *ready_frame(size_t detail_bytes, size_t *len_bytes)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Ready ready = RDLINK__V1__READY__INIT;
    char *detail = calloc(1, detail_bytes + 1);
    uint8_t *frame = NULL;

    assert_non_null(detail);
    memset(detail, 'r', detail_bytes);
    ready.detail = detail;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_READY;
    msg.ready = &ready;
    assert_int_equal(envelope_pack(&msg, &frame, len_bytes), ST_OK);
    free(detail);
    return frame;
}

/* Feeds @len_bytes in pieces of @piece; returns the first status that is not ST_QUEUED. */
static enum status feed(struct envelope_reader *r, const uint8_t *data, size_t len_bytes,
                        size_t piece, Rdlink__V1__Envelope **out, enum channel_end *why)
{
    while (len_bytes > 0) {
        size_t n = MIN(piece, len_bytes), left = n;
        const uint8_t *p = data;
        enum status st = envelope_read(r, &p, &left, out, why);

        if (st != ST_QUEUED)
            return st;
        assert_int_equal(left, 0);
        data += n;
        len_bytes -= n;
    }
    return ST_QUEUED;
}

static void a_message_arrives_whatever_the_pieces(void **state)
{
    static const size_t sizes[] = { 0, 1, 100, 251, 252, 253, 4096, 60000 };
    static const size_t pieces[] = { 1, 2, 3, 4, 5, 7, 255, 256, 257, 100000 };

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        size_t len_bytes;
        uint8_t *frame = ready_frame(sizes[i], &len_bytes);

        for (size_t k = 0; k < ARRAY_SIZE(pieces); k++) {
            struct envelope_reader r = { 0 };
            Rdlink__V1__Envelope *msg = NULL;
            enum channel_end why;

            assert_int_equal(feed(&r, frame, len_bytes, pieces[k], &msg, &why), ST_OK);
            assert_int_equal(msg->body_case, RDLINK__V1__ENVELOPE__BODY_READY);
            assert_int_equal(strlen(msg->ready->detail), sizes[i]);
            assert_true(envelope_reader_is_between(&r));
            assert_null(r.body);
            rdlink__v1__envelope__free_unpacked(msg, NULL);
            envelope_reader_fini(&r);
        }
        free(frame);
    }
}

static void several_messages_in_one_piece_come_one_by_one(void **state)
{
    struct envelope_reader r = { 0 };
    Rdlink__V1__Envelope *msg = NULL;
    enum channel_end why;
    size_t one, left;
    uint8_t *frame = ready_frame(10, &one);
    uint8_t *three = malloc(3 * one);
    const uint8_t *p = three;

    assert_non_null(three);
    for (int i = 0; i < 3; i++)
        memcpy(three + (size_t)i * one, frame, one);
    left = 3 * one - 1;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(envelope_read(&r, &p, &left, &msg, &why), ST_OK);
        rdlink__v1__envelope__free_unpacked(msg, NULL);
    }
    assert_int_equal(envelope_read(&r, &p, &left, &msg, &why), ST_QUEUED);
    assert_int_equal(left, 0);
    assert_false(envelope_reader_is_between(&r));
    envelope_reader_fini(&r);
    free(three);
    free(frame);
}

static const struct wrong_row {
    const char *name;
    uint8_t bytes[16];
    size_t len_bytes;
    enum channel_end want;
} wrong_rows[] = {
    { "length 0", { 0, 0, 0, 0 }, 4, CHANNEL_END_EMPTY },
    { "one above the limit", { 1, 0, 1, 0 }, 4, CHANNEL_END_OVERSIZED },
    { "largest length", { 255, 255, 255, 255 }, 4, CHANNEL_END_OVERSIZED },
    { "big-endian length", { 0, 0, 0, 9 }, 4, CHANNEL_END_OVERSIZED },
    { "tag cut off", { 1, 0, 0, 0, 0x80 }, 5, CHANNEL_END_MALFORMED },
    { "field runs past the end", { 2, 0, 0, 0, 0x22, 5 }, 6, CHANNEL_END_MALFORMED },
    { "inner message malformed", { 3, 0, 0, 0, 0x22, 1, 0x80 }, 7, CHANNEL_END_MALFORMED },
    { "wire type 7", { 1, 0, 0, 0, 0x27 }, 5, CHANNEL_END_MALFORMED },
    { "tag 0", { 2, 0, 0, 0, 0x02, 0 }, 6, CHANNEL_END_MALFORMED },
    { "endless varint",
      { 12, 0, 0, 0, 0x40, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 },
      16,
      CHANNEL_END_MALFORMED },
};

static void what_is_wrong_has_a_name(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(wrong_rows); i++) {
        for (size_t piece = 1; piece <= 16; piece += 15) {
            struct envelope_reader r = { 0 };
            Rdlink__V1__Envelope *msg = NULL;
            enum channel_end why = CHANNEL_END_COUNT;

            print_message("row: %s, pieces of %u\n", wrong_rows[i].name, (unsigned)piece);
            assert_int_equal(feed(&r, wrong_rows[i].bytes, wrong_rows[i].len_bytes, piece, &msg,
                                  &why),
                             ST_PROTO);
            assert_string_equal(channel_end_name(why), channel_end_name(wrong_rows[i].want));
            assert_null(msg);
            envelope_reader_fini(&r);
        }
    }
}

static void the_largest_message_passes_and_one_byte_more_does_not(void **state)
{
    const size_t overhead = 8; /* two tags with three-byte lengths */
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Ready ready = RDLINK__V1__READY__INIT;
    struct envelope_reader r = { 0 };
    Rdlink__V1__Envelope *out = NULL;
    enum channel_end why;
    size_t len_bytes;
    uint8_t *frame = ready_frame(IPC_MAX_MESSAGE - overhead, &len_bytes);
    char *detail;

    assert_int_equal(len_bytes, IPC_MAX_MESSAGE + ENVELOPE_HEADER_BYTES);
    assert_int_equal(feed(&r, frame, len_bytes, 1000, &out, &why), ST_OK);
    rdlink__v1__envelope__free_unpacked(out, NULL);
    free(frame);

    detail = calloc(1, IPC_MAX_MESSAGE);
    assert_non_null(detail);
    memset(detail, 'r', IPC_MAX_MESSAGE - overhead + 1);
    ready.detail = detail;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_READY;
    msg.ready = &ready;
    assert_int_equal(envelope_pack(&msg, &frame, &len_bytes), ST_INVAL);
    msg.body_case = RDLINK__V1__ENVELOPE__BODY__NOT_SET;
    assert_int_equal(envelope_pack(&msg, &frame, &len_bytes), ST_INVAL);
    free(detail);
}

static void memory_follows_the_bytes_not_the_announcement(void **state)
{
    static const uint8_t header[] = { 0, 0, 1, 0 };
    struct envelope_reader r = { 0 };
    Rdlink__V1__Envelope *msg = NULL;
    enum channel_end why;
    uint8_t byte = 0x22;

    assert_int_equal(feed(&r, header, sizeof header, 4, &msg, &why), ST_QUEUED);
    assert_null(r.body);
    for (size_t sent = 1; sent < 5000; sent++) {
        assert_int_equal(feed(&r, &byte, 1, 1, &msg, &why), ST_QUEUED);
        assert_true(r.cap_bytes <= MAX(2 * sent, 256u));
    }
    envelope_reader_fini(&r);
}

/* 64 KiB of empty health components are 32,000 structs. */
static void a_message_cannot_unpack_to_megabytes(void **state)
{
    enum { COMPONENTS = 30000, INNER = 2 * COMPONENTS };
    struct envelope_reader r = { 0 };
    Rdlink__V1__Envelope *msg = NULL;
    enum channel_end why = CHANNEL_END_COUNT;
    uint8_t *frame = calloc(1, ENVELOPE_HEADER_BYTES + 4 + INNER);
    size_t body_bytes = 4 + INNER;

    assert_non_null(frame);
    frame[0] = (uint8_t)body_bytes;
    frame[1] = (uint8_t)(body_bytes >> 8);
    frame[4] = 0x1a; /* health */
    frame[5] = (uint8_t)(INNER & 0x7f) | 0x80;
    frame[6] = (uint8_t)((INNER >> 7) & 0x7f) | 0x80;
    frame[7] = (uint8_t)(INNER >> 14);
    for (size_t i = 0; i < COMPONENTS; i++)
        frame[8 + 2 * i] = 0x12; /* an empty component */
    assert_int_equal(feed(&r, frame, 8 + INNER, 100000, &msg, &why), ST_PROTO);
    assert_string_equal(channel_end_name(why), "Oversized");
    assert_null(msg);
    envelope_reader_fini(&r);
    free(frame);
}

static void running_out_of_memory_is_not_the_peers_fault(void **state)
{
    size_t len_bytes;
    uint8_t *frame = ready_frame(1000, &len_bytes);
    unsigned failures = 0;

    for (unsigned n = 0;; n++) {
        struct envelope_reader r = { 0 };
        Rdlink__V1__Envelope *msg = NULL;
        enum channel_end why = CHANNEL_END_COUNT;
        enum status st;

        alloc_fail_after(n);
        st = feed(&r, frame, len_bytes, 100, &msg, &why);
        if (!alloc_fail_stop()) {
            assert_int_equal(st, ST_OK);
            rdlink__v1__envelope__free_unpacked(msg, NULL);
            break;
        }
        failures++;
        assert_int_equal(st, ST_NOMEM);
        assert_string_equal(channel_end_name(why), "NoMemory");
        assert_null(msg);
        envelope_reader_fini(&r);
    }
    assert_true(failures >= 5); /* buffer, its growth, envelope, ready, detail */
    free(frame);
}

static void packing_reports_running_out_of_memory(void **state)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Ping ping = RDLINK__V1__PING__INIT;
    uint8_t *frame = NULL;
    size_t len_bytes = 0;

    msg.body_case = RDLINK__V1__ENVELOPE__BODY_PING;
    msg.ping = &ping;
    alloc_fail_after(0);
    assert_int_equal(envelope_pack(&msg, &frame, &len_bytes), ST_NOMEM);
    assert_true(alloc_fail_stop());
    assert_null(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_arrives_whatever_the_pieces),
        cmocka_unit_test(several_messages_in_one_piece_come_one_by_one),
        cmocka_unit_test(what_is_wrong_has_a_name),
        cmocka_unit_test(the_largest_message_passes_and_one_byte_more_does_not),
        cmocka_unit_test(memory_follows_the_bytes_not_the_announcement),
        cmocka_unit_test(a_message_cannot_unpack_to_megabytes),
        cmocka_unit_test(running_out_of_memory_is_not_the_peers_fault),
        cmocka_unit_test(packing_reports_running_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
