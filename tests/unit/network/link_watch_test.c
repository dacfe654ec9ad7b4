/* SPDX-License-Identifier: Apache-2.0 */
#include "network/link_watch.h"

#include "support/cmocka_all.h"

/* A guest that is looked at once a second. */
struct fixture {
    struct link_watch watch;
    uint64_t now_ms, rx, tx;
    unsigned asked;
};

static struct fixture start(void)
{
    return (struct fixture){ .now_ms = 1000000 };
}

static void connect_link(struct fixture *f)
{
    link_watch_up(&f->watch, f->now_ms, f->rx, f->tx);
}

static void end_link(struct fixture *f)
{
    link_watch_down(&f->watch, f->now_ms, ST_RESET);
}

static void look(struct fixture *f)
{
    if (link_watch_look(&f->watch, f->now_ms, f->rx, f->tx)) {
        f->asked++;
        f->tx++; /* the question */
    }
}

/* The guest says nothing meanwhile. */
static void pass_s(struct fixture *f, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        f->now_ms += 1000;
        look(f);
    }
}

/* It answers every question, and says nothing else. */
static void pass_idle_s(struct fixture *f, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        unsigned before = f->asked;

        pass_s(f, 1);
        f->rx += f->asked - before;
    }
}

static void live_and_end(struct fixture *f, unsigned ms)
{
    connect_link(f);
    f->now_ms += ms;
    end_link(f);
}

#define assert_state(f, want) assert_int_equal(link_watch_state(&(f)->watch, (f)->now_ms), (want))

static void there_is_none_at_first(void **state)
{
    struct fixture f = start();

    pass_s(&f, 100);
    assert_state(&f, LINK_NONE);
    assert_int_equal(f.asked, 0);
}

static void a_new_link_is_asked_at_once_and_alive_with_the_answer(void **state)
{
    struct fixture f = start();

    connect_link(&f);
    assert_state(&f, LINK_UNHEARD);
    look(&f);
    assert_int_equal(f.asked, 1);
    f.rx++;
    look(&f);
    assert_state(&f, LINK_ALIVE);
}

static void frames_have_to_go_both_ways(void **state)
{
    struct fixture f = start();

    connect_link(&f);
    f.rx++;
    look(&f);
    assert_state(&f, LINK_UNHEARD);
    f.tx++;
    look(&f);
    assert_state(&f, LINK_ALIVE);
}

static void an_idle_guest_is_not_silent(void **state)
{
    struct fixture f = start();

    connect_link(&f);
    pass_idle_s(&f, 3600);
    assert_state(&f, LINK_ALIVE);
    assert_in_range(f.asked, 300, 361); /* one question in ten seconds */
}

static void a_guest_that_talks_is_not_asked(void **state)
{
    struct fixture f = start();

    connect_link(&f);
    f.rx++;
    for (unsigned i = 0; i < 100; i++) {
        pass_s(&f, 1);
        f.rx++;
    }
    assert_int_equal(f.asked, 0);
}

static void three_questions_without_an_answer_are_silence(void **state)
{
    struct fixture f = start();

    connect_link(&f);
    pass_idle_s(&f, 2);
    assert_state(&f, LINK_ALIVE);
    pass_s(&f, 24);
    assert_state(&f, LINK_ALIVE);
    pass_s(&f, 1);
    assert_state(&f, LINK_SILENT);
}

static void silence_ends_with_any_frame(void **state)
{
    struct fixture f = start();
    unsigned asked;

    connect_link(&f);
    pass_s(&f, 60);
    assert_state(&f, LINK_SILENT);
    asked = f.asked;
    pass_s(&f, 60);
    assert_int_equal(f.asked, asked + 12); /* it is asked on */
    f.rx++;
    look(&f);
    assert_state(&f, LINK_ALIVE);
}

static void a_link_that_ends_is_lost(void **state)
{
    struct fixture f = start();

    live_and_end(&f, 60000);
    assert_state(&f, LINK_LOST);
    assert_int_equal(f.watch.end_why, ST_RESET);
    pass_s(&f, 100);
    assert_int_equal(f.asked, 0);
}

static void three_short_links_in_a_row_are_a_trouble(void **state)
{
    struct fixture f = start();

    live_and_end(&f, LINK_WATCH_SHORT_MS - 1);
    live_and_end(&f, 0);
    assert_state(&f, LINK_LOST);
    live_and_end(&f, 100);
    assert_state(&f, LINK_SHORT_LIVED);
    assert_int_equal(f.watch.short_total, 3);
}

static void the_next_link_has_to_last_first(void **state)
{
    struct fixture f = start();

    for (unsigned i = 0; i < 3; i++)
        live_and_end(&f, 100);
    connect_link(&f);
    f.rx++;
    f.tx++;
    look(&f);
    assert_state(&f, LINK_SHORT_LIVED);
    pass_idle_s(&f, LINK_WATCH_SHORT_MS / 1000);
    assert_state(&f, LINK_ALIVE);
    f.now_ms += 1;
    end_link(&f);
    assert_state(&f, LINK_LOST);
}

static void a_link_that_lasted_ends_the_row(void **state)
{
    struct fixture f = start();

    live_and_end(&f, 100);
    live_and_end(&f, 100);
    live_and_end(&f, LINK_WATCH_SHORT_MS);
    live_and_end(&f, 100);
    live_and_end(&f, 100);
    assert_state(&f, LINK_LOST);
}

static void a_replaced_link_has_ended_too(void **state)
{
    struct fixture f = start();

    for (unsigned i = 0; i < 4; i++) {
        connect_link(&f);
        f.now_ms += 100;
    }
    assert_int_equal(f.watch.links, 4);
    assert_int_equal(f.watch.short_total, 3);
    assert_state(&f, LINK_SHORT_LIVED);
}

static void a_second_end_is_none(void **state)
{
    struct fixture f = start();

    live_and_end(&f, 100);
    end_link(&f);
    assert_int_equal(f.watch.short_total, 1);
}

/* Half a second at a time. */
static void pass_in_doubt(struct fixture *f, unsigned halves)
{
    for (unsigned i = 0; i < halves; i++) {
        f->now_ms += LINK_WATCH_DOUBT_MS;
        look(f);
    }
}

static void in_doubt_it_is_asked_at_once_and_has_less_time(void **state)
{
    struct fixture f = start();

    connect_link(&f);
    pass_idle_s(&f, 30);
    f.asked = 0;
    link_watch_doubt(&f.watch);
    look(&f);
    assert_int_equal(f.asked, 1);
    pass_in_doubt(&f, 2);
    assert_state(&f, LINK_ALIVE);
    pass_in_doubt(&f, 1);
    assert_state(&f, LINK_SILENT);
    assert_false(f.watch.is_doubted); /* from here on as ever */
}

static void an_answer_ends_the_doubt(void **state)
{
    struct fixture f = start();

    connect_link(&f);
    pass_idle_s(&f, 30);
    link_watch_doubt(&f.watch);
    look(&f);
    f.rx++;
    pass_in_doubt(&f, 1);
    assert_false(f.watch.is_doubted);
    f.asked = 0;
    pass_s(&f, 9);
    assert_int_equal(f.asked, 0);
    assert_state(&f, LINK_ALIVE);
}

static void who_is_silent_or_not_there_is_not_doubted(void **state)
{
    struct fixture f = start();

    link_watch_doubt(&f.watch);
    assert_false(f.watch.is_doubted);
    connect_link(&f);
    pass_s(&f, 30);
    assert_state(&f, LINK_SILENT);
    link_watch_doubt(&f.watch);
    assert_state(&f, LINK_SILENT);
    assert_false(f.watch.is_doubted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_none_at_first),
        cmocka_unit_test(a_new_link_is_asked_at_once_and_alive_with_the_answer),
        cmocka_unit_test(frames_have_to_go_both_ways),
        cmocka_unit_test(an_idle_guest_is_not_silent),
        cmocka_unit_test(a_guest_that_talks_is_not_asked),
        cmocka_unit_test(three_questions_without_an_answer_are_silence),
        cmocka_unit_test(silence_ends_with_any_frame),
        cmocka_unit_test(a_link_that_ends_is_lost),
        cmocka_unit_test(three_short_links_in_a_row_are_a_trouble),
        cmocka_unit_test(the_next_link_has_to_last_first),
        cmocka_unit_test(a_link_that_lasted_ends_the_row),
        cmocka_unit_test(a_replaced_link_has_ended_too),
        cmocka_unit_test(a_second_end_is_none),
        cmocka_unit_test(in_doubt_it_is_asked_at_once_and_has_less_time),
        cmocka_unit_test(an_answer_ends_the_doubt),
        cmocka_unit_test(who_is_silent_or_not_there_is_not_doubted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
