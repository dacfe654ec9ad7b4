/* SPDX-License-Identifier: Apache-2.0
 * The net unit without memory: it is made whole or not at all, and what fails for want of it while
 * it runs is made good afterwards.
 */
#include "support/alloc_fail.h"
#include "support/cmocka_all.h"

#include "base/log.h"
#include "guestagent/net/net_agent.h"
#include "guestagent/net/net_config.h"
#include "port/sim/stream_sim.h"
#include "support/control_host.h"
#include "support/frame_build.h"
#include "support/script_guest_net.h"

#include <string.h>

enum { SEEDS = 100, ONE_IN = 8 };

static struct net_config config;

static void on_stopped(void *ctx)
{
    (void)ctx;
}

static void is_made_whole_or_not_at_all(void **state)
{
    struct sim *sim = sim_new();
    struct net_agent *a = NULL;
    bool failed = true;
    unsigned failures = 0;

    script_guest_reset();
    assert_int_equal(net_config_load(&config, 0, NULL, NULL), ST_OK);
    for (unsigned i = 0; failed; i++) {
        struct errmsg e = { "" };
        enum status st;

        alloc_fail_after(i);
        st = net_agent_new(&a, sim_loop(sim), &config, on_stopped, NULL, &e);
        failed = alloc_fail_stop();
        if (st == ST_OK) {
            net_agent_free(a);
            continue;
        }
        assert_true(failed);
        assert_int_equal(st, ST_NOMEM);
        assert_true(e.text[0] != '\0');
        failures++;
    }
    assert_true(failures >= 4); /* agent, bridge, client, uplink, control server */
    assert_int_equal(sim_open_listeners(sim), 0);
    sim_free(sim);
}

static struct sim_dial_answer accept_all(void *ctx, const struct addr *to)
{
    (void)ctx;
    return (struct sim_dial_answer){ ST_OK, 0 };
}

/* Any frame from the host, over whatever link there is now. */
static void host_says_something(struct sim *sim)
{
    static struct frame frame;
    static uint8_t wrapped[FRAME_MAX_BYTES + 16];
    struct frame_path path = frame_path("192.168.127.1", "192.168.127.2");
    struct sim_peer *p;

    frame_arp_reply(&frame, &path);
    while ((p = sim_take_dialled(sim)) != NULL) {
        if (!sim_peer_is_closed(p))
            sim_peer_send(p, wrapped, frame_wrap(wrapped, FRAME_V2, frame.b, frame.len_bytes));
    }
    sim_run(sim);
}

static void live_a_hard_life(uint64_t seed)
{
    struct sim *sim = sim_new();
    struct net_agent *a;
    struct sim_peer *host;
    struct control_news news;

    script_guest_reset();
    sim_on_dial(sim, accept_all, NULL);
    assert_int_equal(net_agent_new(&a, sim_loop(sim), &config, on_stopped, NULL, NULL), ST_OK);
    host = control_host(sim, &config.control_at);
    alloc_fail_randomly(seed, ONE_IN);
    for (unsigned i = 0; i < 20; i++) {
        sim_advance_ms(sim, 700);
        script_guest.owner_restarted = i % 5 == 4;
    }
    alloc_fail_stop();
    if (sim_peer_is_closed(host)) /* its channel fell to a failure, and so it dials again */
        host = control_host(sim, &config.control_at);
    control_host_offers(sim, host, 6658, "192.168.127.2/24", NULL);
    alloc_fail_randomly(seed + 1, ONE_IN);
    sim_advance_ms(sim, 5000);
    alloc_fail_stop();
    if (sim_peer_is_closed(host)) {
        host = control_host(sim, &config.control_at);
        control_host_offers(sim, host, 6658, "192.168.127.2/24", NULL);
    }
    script_guest.owner_restarted = false;
    sim_advance_ms(sim, 16000);
    host_says_something(sim);
    sim_advance_ms(sim, 11000);
    host_says_something(sim);
    sim_advance_ms(sim, 1000);
    control_host_hears(host, &news);
    if (!script_guest.has_tap || !script_guest.applied || !health_find(&news.report, "net") ||
        health_find(&news.report, "net")->state != HEALTH_SERVING)
        fail_msg("seed %llu: it does not serve", (unsigned long long)seed);
    net_agent_free(a);
    sim_advance_ms(sim, 1500);
    sim_free(sim);
}

static void what_failed_while_it_ran_is_made_good(void **state)
{
    log_set_level(LOG_ERROR);
    assert_int_equal(net_config_load(&config, 0, NULL, NULL), ST_OK);
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        live_a_hard_life(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_made_whole_or_not_at_all),
        cmocka_unit_test(what_failed_while_it_ran_is_made_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
