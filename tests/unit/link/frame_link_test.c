/* SPDX-License-Identifier: Apache-2.0
 * The link's other side is the test: it sends bytes in any pieces, and takes as much as it likes.
 */
#include "link/frame_link.h"

#include "base/util.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/alloc_fail.h"
#include "support/cmocka_all.h"
#include "support/frame_build.h"
#include "support/frame_expect.h"

#include <stdlib.h>
#include <string.h>

enum { SEEN_MAX = 64 };

/* What the handler of a link saw; frames are looked at again at the end of their batch. */
struct world {
    struct sim *sim;
    struct sim_peer *peer;
    struct frame_link *link;
    const uint8_t *seen[SEEN_MAX];
    size_t seen_bytes[SEEN_MAX];
    uint8_t seen_first[SEEN_MAX], seen_last[SEEN_MAX];
    unsigned in_batch, frames, batches, writable, ends;
    struct frame_offload off;
    bool has_off;
    enum status why;
    enum { FREE_NEVER, FREE_ON_FRAME, FREE_ON_BATCH_END, FREE_ON_WRITABLE, FREE_ON_END } free_when;
};

static void free_link(struct world *w)
{
    frame_link_free(w->link);
    w->link = NULL;
}

static void on_frame(void *ctx, const uint8_t *frame, size_t len_bytes,
                     const struct frame_offload *off)
{
    struct world *w = ctx;

    assert_int_equal(w->ends, 0);
    assert_true(w->in_batch < SEEN_MAX);
    w->seen[w->in_batch] = frame;
    w->seen_bytes[w->in_batch] = len_bytes;
    w->seen_first[w->in_batch] = frame[0];
    w->seen_last[w->in_batch] = frame[len_bytes - 1];
    w->in_batch++;
    w->frames++;
    w->has_off = off != NULL;
    if (off)
        w->off = *off;
    if (w->free_when == FREE_ON_FRAME)
        free_link(w);
}

static void on_batch_end(void *ctx)
{
    struct world *w = ctx;

    assert_true(w->in_batch > 0);
    for (unsigned i = 0; i < w->in_batch; i++) {
        assert_int_equal(w->seen[i][0], w->seen_first[i]);
        assert_int_equal(w->seen[i][w->seen_bytes[i] - 1], w->seen_last[i]);
    }
    w->in_batch = 0;
    w->batches++;
    if (w->free_when == FREE_ON_BATCH_END)
        free_link(w);
}

static void on_writable(void *ctx)
{
    struct world *w = ctx;

    assert_true(frame_link_is_writable(w->link));
    w->writable++;
    if (w->free_when == FREE_ON_WRITABLE)
        free_link(w);
}

static void on_end(void *ctx, enum status why)
{
    struct world *w = ctx;

    w->ends++;
    w->why = why;
    if (w->free_when == FREE_ON_END)
        free_link(w);
}

static const struct frame_link_handler handler = { on_frame, on_batch_end, on_writable, on_end };

static void open_world(struct world *w, enum frame_protocol protocol, size_t max_frame_bytes)
{
    struct frame_link_config config = { .protocol = protocol, .max_frame_bytes = max_frame_bytes };
    struct stream *s;

    memset(w, 0, sizeof *w);
    w->sim = sim_new();
    w->peer = sim_stream(w->sim, &s);
    assert_int_equal(frame_link_new(&w->link, s, &config, &handler, w), ST_OK);
}

static void close_world(struct world *w)
{
    frame_link_free(w->link);
    sim_free(w->sim);
}

/* The other side sends a frame whose first byte is @first and whose last is ~@first. */
static void peer_sends(struct world *w, enum frame_protocol protocol, size_t len_bytes,
                       uint8_t first)
{
    static uint8_t frame[FRAME_MAX_BYTES], wrapped[FRAME_MAX_BYTES + 16];

    memset(frame, 0x55, len_bytes);
    if (len_bytes > 0) {
        frame[0] = first;
        frame[len_bytes - 1] = (uint8_t)~first;
    }
    sim_peer_send(w->peer, wrapped, frame_wrap(wrapped, protocol, frame, len_bytes));
}

static void link_sends(struct world *w, size_t len_bytes, uint8_t first)
{
    uint8_t *frame = frame_link_reserve(w->link, len_bytes);

    assert_non_null(frame);
    memset(frame, 0x55, len_bytes);
    frame[0] = first;
    frame[len_bytes - 1] = (uint8_t)~first;
    frame_link_commit(w->link, len_bytes, NULL);
}

/* The frames that reached the other side are whole and in order. Returns how many. */
static unsigned peer_got(struct world *w, enum frame_protocol protocol)
{
    size_t left, len_bytes;
    const uint8_t *p = sim_peer_data(w->peer, &left), *frame;
    unsigned n = 0;

    while (left > 0) {
        assert_true(frame_unwrap(protocol, &p, &left, &frame, &len_bytes, NULL));
        assert_int_equal(frame[0], (uint8_t)n);
        assert_int_equal(frame[len_bytes - 1], (uint8_t)~n);
        n++;
    }
    return n;
}

/* ---- reading ------------------------------------------------------------------------------ */

static const enum frame_protocol framed[] = { FRAME_STDIO, FRAME_QEMU, FRAME_V2 };

/* Byte by byte a large frame is 65,535 events of the simulator and shows nothing that a smaller one
 * does not. */
static bool is_worth_it(size_t piece_bytes, size_t frame_bytes)
{
    return piece_bytes >= 64 || frame_bytes <= 1515;
}

static void frames_arrive_whole_in_pieces_of_any_size(void **state)
{
    static const size_t pieces[] = { 1, 2, 3, 13, 17, 64, 1000, 65536 };
    static const size_t sizes[] = { 14, 15, 60, 1514, 1515, 9000, 65535, 14, 14 };

    for (size_t p = 0; p < ARRAY_SIZE(framed); p++)
        for (size_t k = 0; k < ARRAY_SIZE(pieces); k++) {
            unsigned sent = 0;
            struct world w;

            open_world(&w, framed[p], 0);
            sim_peer_set_piece(w.peer, pieces[k]);
            for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
                if (is_worth_it(pieces[k], sizes[i]))
                    peer_sends(&w, framed[p], sizes[i], (uint8_t)sent++);
            sim_run(w.sim);
            assert_int_equal(w.frames, sent);
            assert_true(w.has_off == (framed[p] == FRAME_V2));
            assert_int_equal(w.in_batch, 0);
            assert_int_equal(w.ends, 0);
            close_world(&w);
        }
}

static void frames_of_one_read_are_one_batch(void **state)
{
    struct world w;

    open_world(&w, FRAME_QEMU, 0);
    for (unsigned i = 0; i < 20; i++)
        peer_sends(&w, FRAME_QEMU, 60 + i, (uint8_t)i);
    sim_run(w.sim);
    assert_int_equal(w.frames, 20);
    assert_int_equal(w.batches, 1);
    close_world(&w);
}

/* The end of one frame, others, and the start of one more, all in one read. */
static void straddling_frame_is_valid_until_its_batch_ends(void **state)
{
    struct world w;

    open_world(&w, FRAME_STDIO, 0);
    for (unsigned i = 0; i < 40; i++)
        peer_sends(&w, FRAME_STDIO, 1000, (uint8_t)i);
    sim_peer_set_piece(w.peer, 2500);
    sim_run(w.sim);
    assert_int_equal(w.frames, 40);
    assert_int_equal(w.batches, (40 * 1002 + 2499) / 2500);
    close_world(&w);
}

static void read_without_a_whole_frame_is_no_batch(void **state)
{
    struct world w;

    open_world(&w, FRAME_QEMU, 0);
    sim_peer_send(w.peer, "\0\0\0\x20 half of it", 16);
    sim_run(w.sim);
    assert_int_equal(w.batches, 0);
    sim_peer_end(w.peer);
    sim_run(w.sim);
    assert_int_equal(w.ends, 1);
    assert_int_equal(w.why, ST_EOF);
    assert_int_equal(w.frames, 0);
    close_world(&w);
}

/* CVE class of gvisor-tap-vsock b843c673: a length of the stream's decides about memory. */
static void frame_len_cap(void **state)
{
    enum outcome { RUNT, TAKEN, OVERSIZED, END };
    static const uint32_t lens[] = { 0,     13,    14,    1514,      1515,
                                     65535, 65549, 65550, INT32_MAX, UINT32_MAX };
    static const struct {
        enum frame_protocol protocol;
        enum outcome want[ARRAY_SIZE(lens)];
        unsigned count;
    } rows[] = {
        { FRAME_STDIO, { RUNT, RUNT, TAKEN, TAKEN, OVERSIZED, OVERSIZED }, 6 },
        { FRAME_QEMU,
          { RUNT, RUNT, TAKEN, TAKEN, OVERSIZED, OVERSIZED, OVERSIZED, END, END, END },
          10 },
        { FRAME_V2,
          { RUNT, RUNT, TAKEN, TAKEN, OVERSIZED, OVERSIZED, OVERSIZED, END, END, END },
          10 },
    };
    static const size_t pieces[] = { 1, 1000, 65536 };
    static uint8_t zeros[FRAME_MAX_BYTES];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (size_t k = 0; k < rows[i].count * ARRAY_SIZE(pieces); k++) {
            uint32_t len = lens[k % rows[i].count];
            enum outcome want = rows[i].want[k % rows[i].count];
            uint8_t head[16] = { 0 };
            struct bytes_out out = bytes_into(head, sizeof head);
            const struct frame_link_stats *stats;
            struct world w;

            if (!is_worth_it(pieces[k / rows[i].count], MIN(len, sizeof zeros)))
                continue;
            open_world(&w, rows[i].protocol, 1514);
            sim_peer_set_piece(w.peer, pieces[k / rows[i].count]);
            if (rows[i].protocol == FRAME_STDIO)
                bytes_put_le16(&out, (uint16_t)len);
            else if (rows[i].protocol == FRAME_QEMU)
                bytes_put_be32(&out, len);
            else
                bytes_put_le32(&out, len > UINT32_MAX - 12 ? len : len + 12);
            sim_peer_send(w.peer, head, rows[i].protocol == FRAME_V2 ? 16 : out.len_bytes);
            sim_peer_send(w.peer, zeros, MIN(len, sizeof zeros));
            peer_sends(&w, rows[i].protocol, 60, 1);
            sim_run(w.sim);
            stats = frame_link_get_stats(w.link);
            if (w.frames != (want == END     ? 0u
                             : want == TAKEN ? 2u
                                             : 1u) ||
                stats->rx_runt != (want == RUNT) || stats->rx_oversized != (want == OVERSIZED) ||
                w.ends != (want == END))
                fail_msg("%s, length %lu: %u frames, %u ends",
                         frame_protocol_name(rows[i].protocol), (unsigned long)len, w.frames,
                         w.ends);
            if (want == END)
                assert_int_equal(w.why, ST_PROTO);
            close_world(&w);
        }
}

static void v2_length_without_room_for_its_header_ends_the_link(void **state)
{
    for (uint8_t len = 0; len <= 12; len++) {
        const uint8_t head[16] = { len };
        struct world w;

        open_world(&w, FRAME_V2, 0);
        sim_peer_send(w.peer, head, sizeof head);
        sim_run(w.sim);
        assert_int_equal(w.ends, len < 12);
        assert_int_equal(frame_link_get_stats(w.link)->rx_runt, len == 12);
        close_world(&w);
    }
}

static void frames_before_a_bad_length_are_handed_over(void **state)
{
    struct world w;

    open_world(&w, FRAME_QEMU, 0);
    peer_sends(&w, FRAME_QEMU, 60, 1);
    sim_peer_send(w.peer, "\xff\xff\xff\xff", 4);
    peer_sends(&w, FRAME_QEMU, 60, 2);
    sim_run(w.sim);
    assert_int_equal(w.frames, 1);
    assert_int_equal(w.batches, 1);
    assert_int_equal(w.ends, 1);
    assert_null(frame_link_reserve(w.link, 60));
    assert_false(frame_link_is_writable(w.link));
    close_world(&w);
}

static void bess_takes_one_frame_a_datagram(void **state)
{
    uint8_t frame[FRAME_MIN_BYTES + 1] = { 7, [FRAME_MIN_BYTES] = 9 };
    struct world w;

    open_world(&w, FRAME_BESS, 14);
    for (size_t n = 13; n <= 15; n++) {
        sim_peer_send(w.peer, frame, n);
        sim_run(w.sim);
    }
    assert_int_equal(w.frames, 1);
    assert_int_equal(frame_link_get_stats(w.link)->rx_runt, 1);
    assert_int_equal(frame_link_get_stats(w.link)->rx_oversized, 1);
    for (unsigned i = 0; i < 3; i++)
        link_sends(&w, 14, (uint8_t)i);
    frame_link_flush(w.link);
    assert_int_equal(frame_link_get_stats(w.link)->tx_writes, 3);
    {
        size_t n;
        const uint8_t *got = sim_peer_data(w.peer, &n);

        assert_int_equal(n, 42);
        assert_int_equal(got[28], 2);
    }
    close_world(&w);
}

/* ---- writing ------------------------------------------------------------------------------ */

static void frames_are_sent_by_one_write(void **state)
{
    for (size_t p = 0; p < ARRAY_SIZE(framed); p++) {
        struct world w;

        open_world(&w, framed[p], 0);
        for (unsigned i = 0; i < 50; i++)
            link_sends(&w, 60 + i, (uint8_t)i);
        assert_int_equal(peer_got(&w, framed[p]), 0);
        frame_link_flush(w.link);
        assert_int_equal(peer_got(&w, framed[p]), 50);
        assert_int_equal(frame_link_get_stats(w.link)->tx_writes, 1);
        assert_int_equal(frame_link_get_stats(w.link)->tx_frames, 50);
        frame_link_flush(w.link);
        assert_int_equal(frame_link_get_stats(w.link)->tx_writes, 1);
        close_world(&w);
    }
}

static void frame_given_up_is_not_sent(void **state)
{
    struct world w;

    open_world(&w, FRAME_STDIO, 0);
    link_sends(&w, 14, 0);
    assert_non_null(frame_link_reserve(w.link, 1514));
    frame_link_commit(w.link, 0, NULL);
    link_sends(&w, 14, 1);
    frame_link_flush(w.link);
    assert_int_equal(peer_got(&w, FRAME_STDIO), 2);
    close_world(&w);
}

static void a_full_link_still_takes_a_little_that_is_small(void **state)
{
    struct world w;
    unsigned small = 0;

    open_world(&w, FRAME_QEMU, 0);
    sim_peer_set_room(w.peer, 1000);
    link_sends(&w, 60000, 0);
    frame_link_flush(w.link);
    assert_false(frame_link_is_writable(w.link));
    while (small < 200 && frame_link_reserve(w.link, 1000)) {
        frame_link_commit(w.link, 0, NULL); /* what is not sent costs nothing */
        link_sends(&w, 1000, (uint8_t)(1 + small++));
        frame_link_flush(w.link);
    }
    assert_int_equal(small, 64 * 1024 / 1004);
    sim_peer_set_room(w.peer, SIZE_MAX);
    sim_run(w.sim);
    assert_true(frame_link_is_writable(w.link));
    assert_int_equal(peer_got(&w, FRAME_QEMU), 1 + small);
    close_world(&w);
}

static void flush_while_a_frame_is_composed_leaves_it_alone(void **state)
{
    struct world w;
    uint8_t *frame;

    open_world(&w, FRAME_QEMU, 0);
    link_sends(&w, 14, 0);
    frame = frame_link_reserve(w.link, 14);
    frame[0] = 1;
    frame_link_flush(w.link);
    assert_int_equal(peer_got(&w, FRAME_QEMU), 1);
    frame[13] = (uint8_t)~1;
    frame_link_commit(w.link, 14, NULL);
    frame_link_flush(w.link);
    assert_int_equal(peer_got(&w, FRAME_QEMU), 2);
    close_world(&w);
}

static void full_batch_makes_room_by_itself(void **state)
{
    struct world w;

    open_world(&w, FRAME_V2, 0);
    for (unsigned i = 0; i < 30; i++)
        link_sends(&w, FRAME_MAX_BYTES, (uint8_t)i);
    frame_link_flush(w.link);
    assert_int_equal(peer_got(&w, FRAME_V2), 30);
    assert_int_equal(frame_link_get_stats(w.link)->tx_full, 0);
    close_world(&w);
}

static void largest_frame_is_what_the_length_field_holds(void **state)
{
    static const struct {
        enum frame_protocol protocol;
        size_t config, want;
    } rows[] = {
        { FRAME_STDIO, 0, 65535 }, { FRAME_STDIO, 1514, 1514 },  { FRAME_QEMU, 0, 65549 },
        { FRAME_V2, 0, 65549 },    { FRAME_V2, 1 << 20, 65549 }, { FRAME_BESS, 9014, 9014 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct world w;

        open_world(&w, rows[i].protocol, rows[i].config);
        assert_int_equal(frame_link_max_bytes(w.link), rows[i].want);
        assert_null(frame_link_reserve(w.link, rows[i].want + 1));
        assert_non_null(frame_link_reserve(w.link, rows[i].want));
        assert_int_equal(frame_link_get_stats(w.link)->tx_full, 1);
        close_world(&w);
    }
}

static void link_is_not_writable_while_the_stream_is_full(void **state)
{
    static const enum frame_protocol all[] = { FRAME_STDIO, FRAME_QEMU, FRAME_V2, FRAME_BESS };

    for (size_t p = 0; p < ARRAY_SIZE(all); p++) {
        struct world w;
        unsigned sent = 0;

        open_world(&w, all[p], 0);
        sim_peer_set_room(w.peer, 1000);
        while (sent < 255 && frame_link_is_writable(w.link)) {
            link_sends(&w, 60000, (uint8_t)sent++);
            frame_link_flush(w.link);
        }
        assert_int_equal(sent, 1);
        assert_null(frame_link_reserve(w.link, 4000));
        assert_int_equal(frame_link_get_stats(w.link)->tx_full, 1);
        sim_run(w.sim);
        assert_int_equal(w.writable, 0);
        sim_peer_set_room(w.peer, SIZE_MAX);
        sim_run(w.sim);
        assert_int_equal(w.writable, 1);
        link_sends(&w, 60000, (uint8_t)sent++);
        frame_link_flush(w.link);
        if (all[p] != FRAME_BESS)
            assert_int_equal(peer_got(&w, all[p]), 2);
        close_world(&w);
    }
}

/* What does not fit into one slice stays in the batch and follows as the stream drains. */
static void long_batch_follows_as_the_stream_drains(void **state)
{
    static const size_t rooms[] = { 1, 100000, 131072, 131073, 300000 };

    for (size_t k = 0; k < ARRAY_SIZE(rooms); k++) {
        struct world w;

        open_world(&w, FRAME_QEMU, 0);
        sim_peer_set_room(w.peer, rooms[k]);
        for (unsigned i = 0; i < 7; i++)
            link_sends(&w, 65000, (uint8_t)i);
        frame_link_flush(w.link);
        for (unsigned turns = 0; w.writable == 0; turns++) {
            assert_true(turns < 1000);
            assert_false(frame_link_is_writable(w.link));
            sim_peer_set_room(w.peer, 100000);
            sim_run(w.sim);
        }
        assert_int_equal(peer_got(&w, FRAME_QEMU), 7);
        close_world(&w);
    }
}

static void batch_stays_when_memory_runs_out(void **state)
{
    static const enum status why[] = { ST_NOMEM, ST_FULL };

    for (size_t i = 0; i < ARRAY_SIZE(why); i++) {
        struct world w;

        open_world(&w, FRAME_STDIO, 0);
        link_sends(&w, 60, 0);
        sim_peer_next_write_fails(w.peer, why[i]);
        frame_link_flush(w.link);
        assert_int_equal(peer_got(&w, FRAME_STDIO), 0);
        link_sends(&w, 60, 1);
        frame_link_flush(w.link);
        assert_int_equal(peer_got(&w, FRAME_STDIO), 2);
        close_world(&w);
    }
}

/* ---- offload ------------------------------------------------------------------------------ */

static void offload_travels_with_its_frame(void **state)
{
    static const struct frame_offload rows[] = {
        { .gso = FRAME_GSO_NONE },
        { .csum_valid = true },
        { .needs_csum = true, .csum_start = 34, .csum_offset = 6 },
        { .needs_csum = true,
          .csum_start = 34,
          .csum_offset = 16,
          .gso = FRAME_GSO_TCP4,
          .gso_size = 1448,
          .header_bytes = 54 },
        { .needs_csum = true,
          .csum_start = 54,
          .csum_offset = 16,
          .gso = FRAME_GSO_TCP6,
          .gso_size = 1,
          .header_bytes = 74 },
        { .needs_csum = true,
          .csum_start = 34,
          .csum_offset = 6,
          .gso = FRAME_GSO_UDP,
          .gso_size = 65535,
          .header_bytes = 42 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct world w;
        size_t n;
        const uint8_t *sent;
        uint8_t *frame;

        open_world(&w, FRAME_V2, 0);
        assert_true(frame_link_has_offload(w.link));
        frame = frame_link_reserve(w.link, 100);
        memset(frame, 0x50, 100); /* a TCP data offset of 5 wherever it is looked for */
        frame_link_commit(w.link, 100, &rows[i]);
        frame_link_flush(w.link);
        sent = sim_peer_data(w.peer, &n);
        assert_int_equal(n, 116);
        sim_peer_send(w.peer, sent, n);
        sim_run(w.sim);
        assert_int_equal(w.frames, 1);
        assert_int_equal(w.off.needs_csum, rows[i].needs_csum);
        assert_int_equal(w.off.csum_valid, rows[i].csum_valid);
        assert_int_equal(w.off.csum_start, rows[i].csum_start);
        assert_int_equal(w.off.csum_offset, rows[i].csum_offset);
        assert_int_equal(w.off.gso, rows[i].gso);
        assert_int_equal(w.off.gso_size, rows[i].gso_size);
        assert_int_equal(w.off.header_bytes, rows[i].header_bytes);
        close_world(&w);
    }
}

/* ---- life --------------------------------------------------------------------------------- */

static void end_is_told_once_with_its_reason(void **state)
{
    static const enum status reasons[] = { ST_EOF, ST_RESET, ST_IO };

    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        struct world w;

        open_world(&w, FRAME_QEMU, 0);
        peer_sends(&w, FRAME_QEMU, 60, 1);
        sim_run(w.sim);
        if (reasons[i] == ST_EOF)
            sim_peer_end(w.peer);
        else
            sim_peer_reset(w.peer, reasons[i]);
        sim_run(w.sim);
        assert_int_equal(w.ends, 1);
        assert_int_equal(w.why, reasons[i]);
        assert_null(frame_link_reserve(w.link, 14));
        frame_link_flush(w.link);
        close_world(&w);
    }
}

static void write_that_fails_ends_the_link(void **state)
{
    struct world w;

    open_world(&w, FRAME_QEMU, 0);
    sim_peer_break_writes(w.peer, ST_RESET);
    link_sends(&w, 60, 0);
    frame_link_flush(w.link);
    assert_int_equal(w.ends, 0);
    assert_null(frame_link_reserve(w.link, 60));
    sim_run(w.sim);
    assert_int_equal(w.ends, 1);
    assert_int_equal(w.why, ST_RESET);
    close_world(&w);
}

static void link_may_be_freed_in_every_callback(void **state)
{
    for (int when = FREE_ON_FRAME; when <= FREE_ON_END; when++) {
        struct world w;

        open_world(&w, FRAME_QEMU, 0);
        w.free_when = when;
        if (when == FREE_ON_WRITABLE) {
            sim_peer_set_room(w.peer, 10);
            link_sends(&w, 60, 0);
            frame_link_flush(w.link);
            sim_peer_set_room(w.peer, SIZE_MAX);
        } else {
            peer_sends(&w, FRAME_QEMU, 60, 1);
            peer_sends(&w, FRAME_QEMU, 60, 2);
            sim_peer_send(w.peer, "\xff\xff\xff\xff half", 9);
        }
        sim_run(w.sim);
        assert_null(w.link);
        assert_int_equal(w.frames, when == FREE_ON_FRAME ? 1 : when == FREE_ON_WRITABLE ? 0 : 2);
        assert_int_equal(w.ends, when == FREE_ON_END);
        close_world(&w);
    }
}

static void stream_is_closed_when_there_is_no_memory(void **state)
{
    struct frame_link_config config = { .protocol = FRAME_V2 };
    struct frame_link *link = NULL;
    struct sim *sim = sim_new();
    struct stream *s;
    struct sim_peer *peer = sim_stream(sim, &s);

    alloc_fail_after(0);
    assert_int_equal(frame_link_new(&link, s, &config, &handler, NULL), ST_NOMEM);
    assert_true(alloc_fail_stop());
    assert_null(link);
    assert_true(sim_peer_is_closed(peer));
    frame_link_free(NULL);
    sim_free(sim);
}

static void protocols_have_names(void **state)
{
    assert_string_equal(frame_protocol_name(FRAME_STDIO), "stdio");
    assert_string_equal(frame_protocol_name(FRAME_QEMU), "qemu");
    assert_string_equal(frame_protocol_name(FRAME_V2), "v2");
    assert_string_equal(frame_protocol_name(FRAME_BESS), "bess");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_arrive_whole_in_pieces_of_any_size),
        cmocka_unit_test(frames_of_one_read_are_one_batch),
        cmocka_unit_test(straddling_frame_is_valid_until_its_batch_ends),
        cmocka_unit_test(read_without_a_whole_frame_is_no_batch),
        cmocka_unit_test(frame_len_cap),
        cmocka_unit_test(v2_length_without_room_for_its_header_ends_the_link),
        cmocka_unit_test(frames_before_a_bad_length_are_handed_over),
        cmocka_unit_test(bess_takes_one_frame_a_datagram),
        cmocka_unit_test(frames_are_sent_by_one_write),
        cmocka_unit_test(frame_given_up_is_not_sent),
        cmocka_unit_test(a_full_link_still_takes_a_little_that_is_small),
        cmocka_unit_test(flush_while_a_frame_is_composed_leaves_it_alone),
        cmocka_unit_test(full_batch_makes_room_by_itself),
        cmocka_unit_test(largest_frame_is_what_the_length_field_holds),
        cmocka_unit_test(link_is_not_writable_while_the_stream_is_full),
        cmocka_unit_test(long_batch_follows_as_the_stream_drains),
        cmocka_unit_test(batch_stays_when_memory_runs_out),
        cmocka_unit_test(offload_travels_with_its_frame),
        cmocka_unit_test(end_is_told_once_with_its_reason),
        cmocka_unit_test(write_that_fails_ends_the_link),
        cmocka_unit_test(link_may_be_freed_in_every_callback),
        cmocka_unit_test(stream_is_closed_when_there_is_no_memory),
        cmocka_unit_test(protocols_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
