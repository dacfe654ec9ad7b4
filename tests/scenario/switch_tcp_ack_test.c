/* SPDX-License-Identifier: Apache-2.0
 * When an ACK goes alone, and how much flows that move much at the same time may have under way.
 */
#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/tcp_rig.h"
#include "switch/tcp_internal.h"

#include <string.h>

enum {
    QUESTION_BYTES = 100,
    ANSWER_BYTES = 50,
    HABIT = 3,
    FLOWS = 8,
    ALL_BYTES = 1024 * 1024,
    SHARE_BYTES = ALL_BYTES / FLOWS
};

struct dialogue {
    struct tcp_rig *r;
    struct net_sim_peer *host;
    struct tcp_guest *g;
};

static void ask(const struct dialogue *d, unsigned ms)
{
    d->g->to_send += QUESTION_BYTES;
    tcp_rig_run_ms(d->r, ms);
    tcp_rig_expect(d->host, d->g, d->g->to_send);
}

static void answer(const struct dialogue *d)
{
    uint64_t want = d->g->received + ANSWER_BYTES;

    tcp_rig_host_sends(d->host, d->g, d->g->received, ANSWER_BYTES);
    tcp_rig_run_ms(d->r, 3);
    assert_int_equal(d->g->received, want);
    assert_int_equal(d->g->acked, d->g->to_send);
}

/* Segments that an exchange took, towards the guest. */
static unsigned exchange(const struct dialogue *d)
{
    unsigned before = d->r->segments;

    ask(d, 3);
    answer(d);
    return d->r->segments - before;
}

static struct dialogue begin(void)
{
    struct dialogue d = { .r = tcp_rig_new(5, NULL) };

    d.g = tcp_rig_open(d.r, 1000, &d.host);
    return d;
}

/* One that has the habit of asking and being answered. */
static struct dialogue begin_with_habit(void)
{
    struct dialogue d = begin();

    for (unsigned i = 0; i < HABIT; i++)
        assert_int_equal(exchange(&d), 2);
    return d;
}

static void the_answer_carries_the_ack_once_that_is_a_habit(void **state)
{
    struct dialogue d = begin_with_habit();

    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(exchange(&d), 1);
    assert_int_equal(d.g->retransmits, 0);
    tcp_rig_free(d.r);
}

static void an_ack_does_not_wait_long_for_an_answer(void **state)
{
    struct dialogue d = begin_with_habit();

    ask(&d, 5);
    assert_int_equal(d.g->acked, d.g->to_send - QUESTION_BYTES);
    tcp_rig_run_ms(d.r, 12);
    assert_int_equal(d.g->acked, d.g->to_send);
    answer(&d);
    for (unsigned i = 0; i < HABIT; i++)
        assert_int_equal(exchange(&d), 2); /* the habit has to be shown again */
    assert_int_equal(exchange(&d), 1);
    tcp_rig_free(d.r);
}

static void a_second_question_is_acknowledged_at_once_with_the_first(void **state)
{
    struct dialogue d = begin_with_habit();

    ask(&d, 2);
    assert_int_equal(d.g->acked, d.g->to_send - QUESTION_BYTES);
    ask(&d, 3);
    assert_int_equal(d.g->acked, d.g->to_send);
    tcp_rig_free(d.r);
}

/* Nagle's algorithm holds back a writer's second small segment until the first is acknowledged. */
static void who_asks_in_two_segments_never_waits_for_an_ack(void **state)
{
    struct dialogue d = begin();

    for (unsigned i = 0; i < 10; i++) {
        ask(&d, 3);
        assert_int_equal(d.g->acked, d.g->to_send);
        ask(&d, 3);
        assert_int_equal(d.g->acked, d.g->to_send);
        answer(&d);
    }
    tcp_rig_free(d.r);
}

static void a_flow_that_ends_leaves_no_ack_waiting(void **state)
{
    struct dialogue d = begin_with_habit();

    ask(&d, 2);
    tcp_guest_reset(d.g);
    tcp_rig_run_ms(d.r, 50);
    assert_int_equal(tcp_rig_census(d.r).tcp_flows, 0);
    tcp_rig_free(d.r);
}

static unsigned expected[LOOP_EXPECTATIONS];

static void count_expected(struct loop *loop, enum loop_expectation what)
{
    expected[what]++;
}

/* From then on the loop counts what it is told. */
static void watch_loop(struct loop *loop)
{
    static struct loop_ops watched;

    watched = *loop->ops;
    watched.expect = count_expected;
    loop->ops = &watched;
    memset(expected, 0, sizeof expected);
}

static void the_loop_is_told_what_a_habit_lets_expect(void **state)
{
    struct dialogue d = begin();

    watch_loop(sim_loop(d.r->sim));
    for (unsigned i = 0; i < HABIT; i++)
        exchange(&d);
    assert_int_equal(expected[LOOP_ANSWER] + expected[LOOP_QUESTION], 0);
    for (unsigned i = 0; i < 5; i++)
        exchange(&d);
    assert_int_equal(expected[LOOP_ANSWER], 5);
    assert_int_equal(expected[LOOP_QUESTION], 5);
    tcp_rig_free(d.r);
}

static void beside_bulk_the_loop_is_told_nothing(void **state)
{
    struct dialogue d = begin_with_habit();
    struct net_sim_peer *host;
    struct tcp_guest *g = tcp_rig_open(d.r, 1001, &host);

    g->to_send = 1 << 20;
    tcp_rig_run_ms(d.r, 5);
    watch_loop(sim_loop(d.r->sim));
    exchange(&d);
    assert_int_equal(expected[LOOP_ANSWER] + expected[LOOP_QUESTION], 0);
    tcp_rig_free(d.r);
}

static void many_bytes_are_acknowledged_at_once(void **state)
{
    struct dialogue d = begin_with_habit();

    d.g->to_send += 40 * 1460;
    tcp_rig_run_ms(d.r, 3);
    assert_int_equal(d.g->acked, d.g->to_send);
    tcp_rig_free(d.r);
}

/* ---- shares -------------------------------------------------------------------------------- */

static uint32_t window_of(const struct tcp_guest *g)
{
    return g->snd_edge - g->snd_una;
}

static void uploads_share_what_may_be_under_way(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *hosts[FLOWS];
    struct tcp_guest *g[FLOWS];

    for (unsigned i = 0; i < FLOWS; i++)
        g[i] = tcp_rig_open(r, (uint16_t)(1000 + i), &hosts[i]);
    g[0]->to_send = 1 << 30;
    tcp_rig_run_ms(r, 100);
    assert_in_range(window_of(g[0]), 262144 - 1460, 262144);
    for (unsigned i = 1; i < FLOWS; i++)
        g[i]->to_send = 1 << 30;
    tcp_rig_run_ms(r, 100);
    for (unsigned i = 0; i < FLOWS; i++)
        assert_in_range(window_of(g[i]), SHARE_BYTES - 1460, SHARE_BYTES);
    for (unsigned i = 1; i < FLOWS; i++)
        g[i]->to_send = (uint64_t)g[i]->snd_nxt - g[i]->iss - 1; /* they end with what is out */
    tcp_rig_run_ms(r, 100);
    assert_in_range(window_of(g[0]), 262144 - 1460, 262144);
    tcp_rig_free(r);
}

/* Seven uploads and a flow that asks a little now and then; the upload's window beside it. */
static uint32_t window_beside_a_request(bool offload)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *hosts[FLOWS];
    struct tcp_guest *g[FLOWS];
    uint32_t window;

    r->offload = offload;
    for (unsigned i = 0; i < FLOWS; i++) {
        g[i] = tcp_rig_open(r, (uint16_t)(1000 + i), &hosts[i]);
        g[i]->to_send = i > 0 ? 1 << 30 : 0;
    }
    tcp_rig_run_ms(r, 1500); /* what began was little, too */
    assert_in_range(window_of(g[1]), ALL_BYTES / (FLOWS - 1) - 1460, ALL_BYTES / (FLOWS - 1));
    for (unsigned i = 0; i < 3; i++) {
        g[0]->to_send += 100;
        tcp_rig_run_ms(r, 50);
    }
    window = window_of(g[1]);
    tcp_rig_run_ms(r, 1500);
    assert_in_range(window_of(g[1]), ALL_BYTES / (FLOWS - 1) - 1460, ALL_BYTES / (FLOWS - 1));
    tcp_rig_free(r);
    return window;
}

static void uploads_hold_half_as_much_beside_who_sends_a_little(void **state)
{
    assert_in_range(window_beside_a_request(false), ALL_BYTES / 2 / (FLOWS - 1) - 1460,
                    ALL_BYTES / 2 / (FLOWS - 1));
}

static void a_link_with_offload_needs_no_such_care(void **state)
{
    assert_in_range(window_beside_a_request(true), ALL_BYTES / (FLOWS - 1) - 1460,
                    ALL_BYTES / (FLOWS - 1));
}

static void flows_that_send_a_little_do_not_narrow_an_upload(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *hosts[FLOWS];
    struct tcp_guest *g[FLOWS];

    for (unsigned i = 0; i < FLOWS; i++)
        g[i] = tcp_rig_open(r, (uint16_t)(1000 + i), &hosts[i]);
    g[0]->to_send = 1 << 30;
    for (unsigned ms = 0; ms < 100; ms++) {
        for (unsigned i = 1; i < FLOWS; i++)
            g[i]->to_send += 500;
        tcp_rig_run_ms(r, 1);
    }
    assert_in_range(window_of(g[0]), 262144 - 1460, 262144);
    tcp_rig_free(r);
}

static void downloads_share_what_is_read_ahead(void **state)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *hosts[FLOWS];
    struct tcp_guest *g[FLOWS];

    r->rate_bytes_ms = 512 * 1024;
    for (unsigned i = 0; i < FLOWS; i++) {
        g[i] = tcp_rig_open(r, (uint16_t)(1000 + i), &hosts[i]);
        tcp_rig_host_sends(hosts[i], g[i], 0, 20000000);
    }
    tcp_rig_run_ms(r, 100);
    for (unsigned ms = 0; ms < 50; ms++) {
        for (unsigned i = 0; i < FLOWS; i++)
            assert_in_range(tcp_rig_flow(r, g[i])->down.len_bytes, 0, SHARE_BYTES);
        tcp_rig_run_ms(r, 1);
    }
    tcp_rig_run_ms(r, 500);
    for (unsigned i = 0; i < FLOWS; i++)
        assert_int_equal(g[i]->received, 20000000);
    tcp_rig_free(r);
}

/* The most that the switch holds for one download, which the guest takes at @rate_bytes_ms. */
static size_t held_for_a_download(size_t rate_bytes_ms)
{
    struct tcp_rig *r = tcp_rig_new(5, NULL);
    struct net_sim_peer *host;
    struct tcp_guest *g;
    size_t most = 0;

    r->sw.config.mtu = 65520;
    r->rate_bytes_ms = rate_bytes_ms;
    g = tcp_rig_open(r, 1000, &host);
    tcp_rig_host_sends(host, g, 0, 60000000);
    for (unsigned ms = 0; ms < 60; ms++) {
        most = MAX(most, tcp_rig_flow(r, g)->down.len_bytes);
        tcp_rig_run_ms(r, 1);
    }
    tcp_rig_free(r);
    return most;
}

static void a_fast_download_in_large_frames_may_have_twice_the_buffer(void **state)
{
    assert_in_range(held_for_a_download(512 * 1024), 262144 + 1, 2 * 262144);
    assert_in_range(held_for_a_download(64 * 1024), 1, 262144);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_carries_the_ack_once_that_is_a_habit),
        cmocka_unit_test(the_loop_is_told_what_a_habit_lets_expect),
        cmocka_unit_test(beside_bulk_the_loop_is_told_nothing),
        cmocka_unit_test(an_ack_does_not_wait_long_for_an_answer),
        cmocka_unit_test(a_second_question_is_acknowledged_at_once_with_the_first),
        cmocka_unit_test(who_asks_in_two_segments_never_waits_for_an_ack),
        cmocka_unit_test(a_flow_that_ends_leaves_no_ack_waiting),
        cmocka_unit_test(many_bytes_are_acknowledged_at_once),
        cmocka_unit_test(uploads_share_what_may_be_under_way),
        cmocka_unit_test(uploads_hold_half_as_much_beside_who_sends_a_little),
        cmocka_unit_test(a_link_with_offload_needs_no_such_care),
        cmocka_unit_test(flows_that_send_a_little_do_not_narrow_an_upload),
        cmocka_unit_test(downloads_share_what_is_read_ahead),
        cmocka_unit_test(a_fast_download_in_large_frames_may_have_twice_the_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
