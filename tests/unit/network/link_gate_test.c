/* SPDX-License-Identifier: Apache-2.0
 * Who gets through to the switch, and who does not.
 */
#include "network/link_gate.h"

#include "base/log.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "port/stream.h"
#include "support/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

static const struct link_token ours = { { 1, 2, 3 } }, other = { { 1, 2, 4 } };

struct fixture {
    struct sim *sim;
    struct link_gate gate;
    struct stream *passed; /* owned; the last one */
    unsigned passes;
    bool is_proved;
    char read[64]; /* what came after the token */
    size_t read_bytes;
};

static void on_pass(void *ctx, struct stream *s, bool is_proved)
{
    struct fixture *f = ctx;

    stream_close(f->passed);
    f->passed = s;
    f->passes++;
    f->is_proved = is_proved;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->sim = sim_new();
    link_gate_init(&f->gate, sim_loop(f->sim), on_pass, f);
    link_gate_set_token(&f->gate, &ours);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    link_gate_fini(&f->gate);
    stream_close(f->passed);
    sim_free(f->sim);
    free(f);
    return 0;
}

static struct sim_peer *comes_beside(struct fixture *f, bool has_link)
{
    struct stream *s = NULL;
    struct sim_peer *p = sim_stream(f->sim, &s);

    link_gate_admit(&f->gate, s, has_link);
    sim_run(f->sim);
    return p;
}

static struct sim_peer *comes(struct fixture *f)
{
    return comes_beside(f, false);
}

static void says(struct fixture *f, struct sim_peer *p, const struct link_token *token,
                 const char *more)
{
    uint8_t bytes[LINK_PREAMBLE_BYTES + 32];
    size_t more_bytes = strlen(more);

    link_token_preamble(token, bytes);
    memcpy(bytes + LINK_PREAMBLE_BYTES, more, more_bytes);
    sim_peer_send(p, bytes, LINK_PREAMBLE_BYTES + more_bytes);
    sim_run(f->sim);
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct fixture *f = ctx;

    assert_true(f->read_bytes + len_bytes < sizeof f->read);
    memcpy(f->read + f->read_bytes, data, len_bytes);
    f->read_bytes += len_bytes;
}

static const struct stream_handler reader = { .on_data = on_data };

static void the_token_passes_and_what_follows_is_still_to_be_read(void **state)
{
    static const size_t pieces[] = { 0, 1, 7 };

    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct fixture *f = *state;
        struct sim_peer *p = comes(f);

        sim_peer_set_piece(p, pieces[i]);
        says(f, p, &ours, "frames");
        assert_int_equal(f->passes, i + 1);
        assert_true(f->is_proved);
        f->read_bytes = 0;
        stream_set_handler(f->passed, &reader, f);
        stream_read_start(f->passed);
        sim_run(f->sim);
        assert_int_equal(f->read_bytes, 6);
        assert_memory_equal(f->read, "frames", 6);
    }
}

static void another_token_does_not_pass(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p = comes(f);

    says(f, p, &other, "");
    assert_true(sim_peer_is_closed(p));
    assert_int_equal(f->passes, 0);
    assert_int_equal(f->gate.refused, 1);
}

static void frames_without_a_token_do_not_pass(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p = comes(f);
    uint8_t frame[64] = { 60, 0, 0, 0 };

    sim_peer_send(p, frame, sizeof frame);
    sim_run(f->sim);
    assert_true(sim_peer_is_closed(p));
    assert_int_equal(f->gate.refused, 1);
}

static void who_says_nothing_is_closed_in_time(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p = comes(f);

    sim_advance_ms(f->sim, LINK_GATE_MS - 1);
    assert_false(sim_peer_is_closed(p));
    sim_advance_ms(f->sim, 1);
    assert_true(sim_peer_is_closed(p));
}

static void who_hangs_up_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p = comes(f), *q = comes(f);

    sim_peer_end(p);
    sim_peer_reset(q, ST_RESET);
    sim_run(f->sim);
    assert_true(sim_peer_is_closed(p) && sim_peer_is_closed(q));
    assert_int_equal(f->gate.refused, 2);
}

static void silent_strangers_do_not_keep_the_guest_out(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *guest;

    for (unsigned i = 0; i < 4 * LINK_GATE_MAX; i++)
        comes(f);
    guest = comes(f);
    says(f, guest, &ours, "");
    assert_int_equal(f->passes, 1);
    assert_int_equal(f->gate.refused, 3 * LINK_GATE_MAX + 1);
}

static void a_new_token_makes_the_old_one_worthless(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *waiting = comes(f), *p;

    link_gate_set_token(&f->gate, &other);
    sim_run(f->sim);
    assert_true(sim_peer_is_closed(waiting));
    p = comes(f);
    says(f, p, &ours, "");
    assert_int_equal(f->passes, 0);
    p = comes(f);
    says(f, p, &other, "");
    assert_int_equal(f->passes, 1);
}

static void without_a_token_everybody_passes_at_once(void **state)
{
    struct fixture *f = *state;

    link_gate_set_token(&f->gate, NULL);
    comes(f);
    assert_int_equal(f->passes, 1);
    assert_false(f->is_proved);
}

static void who_only_looks_takes_nobodys_place(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p;

    link_gate_set_token(&f->gate, NULL);
    p = comes_beside(f, true);
    sim_peer_end(p);
    sim_run(f->sim);
    sim_advance_ms(f->sim, LINK_GATE_STAY_MS);
    assert_int_equal(f->passes, 0);
    assert_int_equal(f->gate.refused, 1);
}

static void who_speaks_takes_the_place_of_another_at_once(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *p;

    link_gate_set_token(&f->gate, NULL);
    p = comes_beside(f, true);
    sim_peer_send_text(p, "frame");
    sim_run(f->sim);
    assert_int_equal(f->passes, 1);
    assert_false(f->is_proved);
    stream_set_handler(f->passed, &reader, f);
    stream_read_start(f->passed);
    sim_run(f->sim);
    assert_int_equal(f->read_bytes, 5);
    assert_memory_equal(f->read, "frame", 5);
}

static void who_stays_takes_it_without_a_word(void **state)
{
    struct fixture *f = *state;

    link_gate_set_token(&f->gate, NULL);
    comes_beside(f, true);
    assert_int_equal(f->passes, 0);
    sim_advance_ms(f->sim, LINK_GATE_STAY_MS);
    assert_int_equal(f->passes, 1);
    assert_false(f->is_proved);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_token_passes_and_what_follows_is_still_to_be_read),
        T(another_token_does_not_pass),
        T(frames_without_a_token_do_not_pass),
        T(who_says_nothing_is_closed_in_time),
        T(who_hangs_up_is_forgotten),
        T(silent_strangers_do_not_keep_the_guest_out),
        T(a_new_token_makes_the_old_one_worthless),
        T(without_a_token_everybody_passes_at_once),
        T(who_only_looks_takes_nobodys_place),
        T(who_speaks_takes_the_place_of_another_at_once),
        T(who_stays_takes_it_without_a_word),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
