/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/handshake.h"

#include "port/addr.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/cmocka_all.h"

#include <string.h>

#define PREFIX "github.com/rancher-sandbox/rancher-desktop"

/* ---- the matcher ------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const struct signature *want;
    const char *bytes;
    enum match_result result;
    size_t right_bytes;
} rows[] = {
    { "nothing yet", &SIGNATURE_A, "", MATCH_NEED_MORE, 0 },
    { "A for A", &SIGNATURE_A, PREFIX "/src/go/networking", MATCH_YES, 60 },
    { "B for B", &SIGNATURE_B, PREFIX "-opensuse/src/go/networking", MATCH_YES, 69 },
    { "A for B", &SIGNATURE_B, PREFIX "/src/go/networking", MATCH_NO, 42 },
    { "B for A", &SIGNATURE_A, PREFIX "-opensuse/src/go/networking", MATCH_NO, 42 },
    { "what both begin with", &SIGNATURE_A, PREFIX, MATCH_NEED_MORE, 42 },
    { "all but the last byte", &SIGNATURE_A, PREFIX "/src/go/networkin", MATCH_NEED_MORE, 59 },
    { "wrong last byte", &SIGNATURE_A, PREFIX "/src/go/networkinG", MATCH_NO, 59 },
    { "wrong first byte", &SIGNATURE_A, "Github.com", MATCH_NO, 0 },
    { "more than the phrase", &SIGNATURE_A, PREFIX "/src/go/networking\nmore", MATCH_YES, 60 },
    { "somebody else", &SIGNATURE_B, "HTTP/1.1 400 Bad Request\r\n", MATCH_NO, 0 },
};

static void feed_in_pieces(size_t row, size_t piece_bytes)
{
    const char *bytes = rows[row].bytes;
    size_t len_bytes = strlen(bytes);
    struct signature_match m;
    enum match_result r = MATCH_NEED_MORE;

    signature_match_init(&m, rows[row].want);
    for (size_t at = 0; at < len_bytes && r == MATCH_NEED_MORE; at += piece_bytes)
        r = signature_match_feed(&m, (const uint8_t *)bytes + at, MIN(piece_bytes, len_bytes - at));
    if (r != rows[row].result || m.have_bytes != rows[row].right_bytes)
        fail_msg("%s in pieces of %zu: result %d after %zu right bytes", rows[row].name,
                 piece_bytes, (int)r, m.have_bytes);
}

static void matcher_gives_the_same_answer_however_bytes_are_cut(void **state)
{
    static const size_t pieces[] = { 1, 2, 7, 41, 42, 43, 59, 60, 61, 200 };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (size_t k = 0; k < ARRAY_SIZE(pieces); k++)
            feed_in_pieces(i, pieces[k]);
}

static void matcher_decides_at_the_first_wrong_byte(void **state)
{
    struct signature_match m;

    signature_match_init(&m, &SIGNATURE_A);
    assert_int_equal(signature_match_feed(&m, (const uint8_t *)PREFIX, 42), MATCH_NEED_MORE);
    assert_int_equal(signature_match_feed(&m, (const uint8_t *)"-", 1), MATCH_NO);
    assert_int_equal(signature_match_feed(&m, (const uint8_t *)"/src/go/networking", 18), MATCH_NO);
}

/* ---- one conversation on simulated streams ----------------------------------------------- */

struct world {
    struct sim *sim;
    struct handshake h;
    unsigned done;
    enum handshake_outcome outcome;
    enum status why;
    char detail[160];
    struct addr at;
};

static void on_done(void *ctx, enum handshake_outcome outcome, enum status why, const char *detail)
{
    struct world *w = ctx;

    w->done++;
    w->outcome = outcome;
    w->why = why;
    strncpy(w->detail, detail, sizeof w->detail - 1);
    assert_true(handshake_is_idle(&w->h));
}

static int set_up(void **state)
{
    static struct world w;

    memset(&w, 0, sizeof w);
    w.sim = sim_new();
    w.at = (struct addr){ .kind = ADDR_VSOCK, .cid = 3, .port = 6669 };
    handshake_init(&w.h, sim_loop(w.sim), on_done, &w);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    handshake_cancel(&w->h);
    sim_free(w->sim);
    return 0;
}

static struct sim_peer *probe(struct world *w)
{
    sim_next_dial(w->sim, ST_OK, 0);
    handshake_probe(&w->h, &w->at, &SIGNATURE_A, 2000, 5000);
    sim_run(w->sim);
    return sim_take_dialled(w->sim);
}

static struct sim_peer *ready(struct world *w)
{
    sim_next_dial(w->sim, ST_OK, 0);
    handshake_send_ready(&w->h, &w->at, &SIGNATURE_A, 2000, 5000);
    sim_run(w->sim);
    return sim_take_dialled(w->sim);
}

static void expect(const struct world *w, enum handshake_outcome outcome, enum status why)
{
    assert_int_equal(w->done, 1);
    assert_int_equal(w->outcome, outcome);
    assert_int_equal(w->why, why);
    assert_true(w->detail[0] != '\0');
    assert_int_equal(sim_open_streams(w->sim), 0);
    assert_int_equal(sim_dials_pending(w->sim), 0);
}

static void probe_matches_and_closes_without_a_word(void **state)
{
    struct world *w = *state;
    struct sim_peer *guest = probe(w);

    sim_peer_send_text(guest, SIGNATURE_A.text);
    sim_run(w->sim);
    expect(w, HANDSHAKE_MATCHED, ST_OK);
    assert_true(sim_peer_is_closed(guest));
    assert_string_equal(sim_peer_text(guest), "");
}

static void probe_matches_a_phrase_in_one_byte_pieces(void **state)
{
    struct world *w = *state;
    struct sim_peer *guest = probe(w);

    sim_peer_set_piece(guest, 1);
    sim_peer_send_text(guest, SIGNATURE_A.text);
    sim_run(w->sim);
    expect(w, HANDSHAKE_MATCHED, ST_OK);
}

static void probe_closes_at_the_first_wrong_byte(void **state)
{
    struct world *w = *state;
    struct sim_peer *guest = probe(w);

    sim_peer_send_text(guest, PREFIX "-");
    sim_run(w->sim);
    expect(w, HANDSHAKE_MISMATCH, ST_PROTO);
    assert_string_equal(w->detail, "wrong signature at byte 43 of 60");
}

static void probe_gives_a_silent_peer_up_after_its_time(void **state)
{
    struct world *w = *state;

    probe(w);
    sim_advance_ms(w->sim, 4999);
    assert_int_equal(w->done, 0);
    sim_advance_ms(w->sim, 1);
    expect(w, HANDSHAKE_SILENT, ST_TIMEOUT);
    assert_string_equal(w->detail, "silent: 0 of 60 bytes in 5000 ms");
}

/* The limit is on the whole signature: a byte now and then does not extend it. */
static void probe_gives_a_dripping_peer_up_after_the_same_time(void **state)
{
    struct world *w = *state;
    struct sim_peer *guest = probe(w);

    for (unsigned i = 0; i < 10; i++) {
        sim_peer_send(guest, SIGNATURE_A.text + i, 1);
        sim_advance_ms(w->sim, 499);
    }
    assert_int_equal(w->done, 0);
    sim_advance_ms(w->sim, 10);
    expect(w, HANDSHAKE_SILENT, ST_TIMEOUT);
}

static void probe_takes_a_slow_peer_that_is_in_time(void **state)
{
    struct world *w = *state;
    struct sim_peer *guest = probe(w);

    for (unsigned i = 0; i < 60; i++) {
        sim_peer_send(guest, SIGNATURE_A.text + i, 1);
        sim_advance_ms(w->sim, 80);
    }
    expect(w, HANDSHAKE_MATCHED, ST_OK);
}

static void probe_reports_a_cut_and_how_far_it_came(void **state)
{
    struct world *w = *state;
    struct sim_peer *guest = probe(w);

    sim_peer_send(guest, SIGNATURE_A.text, 59);
    sim_peer_end(guest);
    sim_run(w->sim);
    expect(w, HANDSHAKE_CUT, ST_EOF);
    assert_string_equal(w->detail, "closed by the guest after 59 of 60 bytes");
}

static void probe_reports_a_reset(void **state)
{
    struct world *w = *state;

    sim_peer_reset(probe(w), ST_RESET);
    sim_run(w->sim);
    expect(w, HANDSHAKE_CUT, ST_RESET);
}

static void dial_that_fails_is_reported(void **state)
{
    struct world *w = *state;

    sim_next_dial(w->sim, ST_REFUSED, 3);
    handshake_probe(&w->h, &w->at, &SIGNATURE_A, 2000, 5000);
    sim_advance_ms(w->sim, 3);
    expect(w, HANDSHAKE_NO_DIAL, ST_REFUSED);
}

static void dial_that_never_ends_times_out(void **state)
{
    struct world *w = *state;

    sim_next_dial(w->sim, ST_OK, SIM_NEVER);
    handshake_probe(&w->h, &w->at, &SIGNATURE_A, 2000, 5000);
    sim_advance_ms(w->sim, 2000);
    expect(w, HANDSHAKE_NO_DIAL, ST_TIMEOUT);
}

static void dial_that_cannot_start_is_reported_from_the_loop(void **state)
{
    struct world *w = *state;

    sim_next_dial_start_fails(w->sim, ST_NOFILES);
    handshake_probe(&w->h, &w->at, &SIGNATURE_A, 2000, 5000);
    assert_int_equal(w->done, 0);
    sim_run(w->sim);
    expect(w, HANDSHAKE_NO_DIAL, ST_NOFILES);
}

static void ready_is_five_bytes_an_end_and_a_drain(void **state)
{
    struct world *w = *state;
    struct sim_peer *guest = ready(w);

    assert_string_equal(sim_peer_text(guest), "READY");
    assert_true(sim_peer_saw_end(guest));
    assert_false(sim_peer_is_closed(guest)); /* a close now might reset the connection */
    sim_peer_send(guest, SIGNATURE_A.text, 59);
    sim_run(w->sim);
    assert_false(sim_peer_is_closed(guest));
    sim_peer_send(guest, SIGNATURE_A.text + 59, 1);
    sim_run(w->sim);
    expect(w, HANDSHAKE_READY, ST_OK);
    assert_true(sim_peer_is_closed(guest));
}

static void ready_waits_no_longer_than_its_time_for_the_signature(void **state)
{
    struct world *w = *state;

    ready(w);
    sim_advance_ms(w->sim, 4999);
    assert_int_equal(w->done, 0);
    sim_advance_ms(w->sim, 1);
    expect(w, HANDSHAKE_READY, ST_OK);
}

/* A close while the guest still writes would end it before it reads. */
static void ready_lets_a_slow_guest_finish_its_signature(void **state)
{
    struct world *w = *state;
    struct sim_peer *guest = ready(w);

    for (unsigned i = 0; i < 60; i++) {
        assert_false(sim_peer_is_closed(guest));
        sim_peer_send(guest, SIGNATURE_A.text + i, 1);
        sim_advance_ms(w->sim, 80);
    }
    expect(w, HANDSHAKE_READY, ST_OK);
}

static void ready_counts_as_sent_when_the_guest_leaves_with_it(void **state)
{
    struct world *w = *state;

    sim_peer_end(ready(w));
    sim_run(w->sim);
    expect(w, HANDSHAKE_READY, ST_OK);
}

static void ready_counts_as_sent_when_the_guest_resets_after_it(void **state)
{
    struct world *w = *state;

    sim_peer_reset(ready(w), ST_RESET);
    sim_run(w->sim);
    expect(w, HANDSHAKE_READY, ST_OK);
}

/* Stalls the new stream before the conversation begins on it. */
static struct sim_peer *ready_to_a_guest_that_does_not_read(struct world *w)
{
    struct sim_peer *guest;

    sim_next_dial(w->sim, ST_OK, 5);
    sim_set_new_room(w->sim, 2);
    handshake_send_ready(&w->h, &w->at, &SIGNATURE_A, 2000, 5000);
    sim_advance_ms(w->sim, 5);
    guest = sim_take_dialled(w->sim);
    assert_string_equal(sim_peer_text(guest), "RE");
    return guest;
}

static void ready_is_not_cut_short_by_an_early_signature(void **state)
{
    struct world *w = *state;
    struct sim_peer *guest = ready_to_a_guest_that_does_not_read(w);

    sim_peer_send_text(guest, SIGNATURE_A.text);
    sim_run(w->sim);
    assert_false(sim_peer_is_closed(guest));
    sim_peer_set_room(guest, SIZE_MAX);
    sim_run(w->sim);
    assert_string_equal(sim_peer_text(guest), "READY");
    expect(w, HANDSHAKE_READY, ST_OK);
}

static void ready_that_is_never_taken_is_a_failure(void **state)
{
    struct world *w = *state;

    ready_to_a_guest_that_does_not_read(w);
    sim_advance_ms(w->sim, 5000);
    expect(w, HANDSHAKE_CUT, ST_TIMEOUT);
}

static void cancel_at_any_step_leaves_nothing(void **state)
{
    struct world *w = *state;

    for (unsigned steps = 0; steps < 6; steps++) {
        for (unsigned is_ready = 0; is_ready < 2; is_ready++) {
            sim_next_dial(w->sim, ST_OK, 0);
            if (is_ready)
                handshake_send_ready(&w->h, &w->at, &SIGNATURE_A, 2000, 5000);
            else
                handshake_probe(&w->h, &w->at, &SIGNATURE_A, 2000, 5000);
            for (unsigned i = 0; i < steps; i++)
                sim_step(w->sim);
            handshake_cancel(&w->h);
            sim_run(w->sim);
            assert_int_equal(w->done, 0);
            assert_int_equal(sim_open_streams(w->sim), 0);
            assert_int_equal(sim_dials_pending(w->sim), 0);
        }
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matcher_gives_the_same_answer_however_bytes_are_cut),
        cmocka_unit_test(matcher_decides_at_the_first_wrong_byte),
        T(probe_matches_and_closes_without_a_word),
        T(probe_matches_a_phrase_in_one_byte_pieces),
        T(probe_closes_at_the_first_wrong_byte),
        T(probe_gives_a_silent_peer_up_after_its_time),
        T(probe_gives_a_dripping_peer_up_after_the_same_time),
        T(probe_takes_a_slow_peer_that_is_in_time),
        T(probe_reports_a_cut_and_how_far_it_came),
        T(probe_reports_a_reset),
        T(dial_that_fails_is_reported),
        T(dial_that_never_ends_times_out),
        T(dial_that_cannot_start_is_reported_from_the_loop),
        T(ready_is_five_bytes_an_end_and_a_drain),
        T(ready_waits_no_longer_than_its_time_for_the_signature),
        T(ready_lets_a_slow_guest_finish_its_signature),
        T(ready_counts_as_sent_when_the_guest_leaves_with_it),
        T(ready_counts_as_sent_when_the_guest_resets_after_it),
        T(ready_is_not_cut_short_by_an_early_signature),
        T(ready_that_is_never_taken_is_a_failure),
        T(cancel_at_any_step_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
