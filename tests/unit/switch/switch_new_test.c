/* SPDX-License-Identifier: Apache-2.0
 * switch_new_test.c - a switch is made whole or not at all, and goes with everything under way.
 */
#include "support/alloc_fail.h"
#include "support/cmocka_all.h"
#include "support/sim_guest.h"

#include <string.h>

static struct frame f;

static enum status zeros(void *buf, size_t len_bytes)
{
    memset(buf, 0, len_bytes);
    return ST_OK;
}

static enum status no_random(void *buf, size_t len_bytes)
{
    return ST_IO;
}

struct world {
    struct sim *sim;
    struct net_sim *net;
    struct switch_env env;
};

static struct world open_world(void)
{
    struct world w = { .sim = sim_new() };

    w.net = net_sim_new(w.sim);
    w.env =
        (struct switch_env){ .loop = sim_loop(w.sim), .net = net_sim_net(w.net), .random = zeros };
    return w;
}

/* Aborts if a socket, stream or timer was left. */
static void close_world(struct world *w)
{
    net_sim_free(w->net);
    sim_free(w->sim);
}

static void without_memory_nothing_is_left_behind(void **state)
{
    struct switch_config c = { .ip6 = true };
    struct world w = open_world();
    struct switch_ *s = NULL;
    struct errmsg e = { "" };
    bool failed = true;

    (void)state;
    for (unsigned i = 0; failed; i++) {
        enum status st;

        alloc_fail_after(i);
        st = switch_new(&s, &w.env, &c, &e);
        failed = alloc_fail_stop();
        if (failed && st == ST_OK) /* one that can be done without */
            switch_free(s);
        else
            assert_int_equal(st, failed ? ST_NOMEM : ST_OK);
    }
    switch_free(s);
    close_world(&w);
}

static void without_random_there_is_no_switch(void **state)
{
    struct switch_config c = { .ip6 = true };
    struct world w = open_world();
    struct switch_ *s;
    struct errmsg e = { "" };

    (void)state;
    w.env.random = no_random;
    assert_int_equal(switch_new(&s, &w.env, &c, &e), ST_IO);
    assert_true(strstr(e.text, "start the switch") != NULL);
    close_world(&w);
}

static void a_wrong_configuration_is_told_and_nothing_left(void **state)
{
    struct switch_config c = { .prefix_bits = 30 };
    struct world w = open_world();
    struct switch_ *s;
    struct errmsg e = { "" };

    (void)state;
    assert_int_equal(switch_new(&s, &w.env, &c, &e), ST_INVAL);
    assert_true(strstr(e.text, "/30") != NULL);
    close_world(&w);
}

static void teardown_with_live_flows(void **state)
{
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct sim_guest *g = sim_guest_new(NULL, FRAME_QEMU);
    struct tcp_header syn = { .dst_port = 80, .seq = 7, .flags = TCP_SYN, .window = 65535 };

    (void)state;
    for (uint16_t port = 1000; port < 1020; port++) {
        net_sim_next_connect(g->net, ST_OK, port % 2 ? SIM_NEVER : 0);
        syn.src_port = port;
        frame_tcp(&f, &path, &syn, NULL, 0);
        guest_sends(g, &f);
        frame_udp(&f, &path, port, 7000, "x", 1);
        guest_sends(g, &f);
        net_sim_next_ping(g->net, ST_OK, SIM_NEVER);
        frame_icmp(&f, &path, ICMP4_ECHO, 0, port, NULL, 8);
        guest_sends(g, &f);
    }
    assert_int_equal(guest_census(g).udp_flows, 20);
    assert_int_equal(guest_census(g).pings, 20);
    assert_int_equal(guest_census(g).tcp_flows, 20);
    sim_guest_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_nothing_is_left_behind),
        cmocka_unit_test(without_random_there_is_no_switch),
        cmocka_unit_test(a_wrong_configuration_is_told_and_nothing_left),
        cmocka_unit_test(teardown_with_live_flows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
