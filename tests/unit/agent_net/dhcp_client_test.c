/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "guestagent/net/dhcp_client.h"
#include "port/sim/loop_sim.h"
#include "support/frame_build.h"
#include "wire/dhcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENT_MAX = 64 };
#define HOUR_MS (3600u * 1000)

/* What the client sent, as its server reads it. */
struct sent {
    struct dhcp_message m;
    struct eth_header eth;
    struct ip_header ip;
    bool asks_for_all;
    uint64_t at_ms;
};

struct fixture {
    struct sim *sim;
    struct dhcp_client *client;
    struct sent sent[SENT_MAX]; /* the last ones */
    unsigned sent_count;
    struct guest_lease lease;
    unsigned leases, losses;
    char why[64];
};

static void on_send(void *ctx, const uint8_t *frame, size_t len_bytes)
{
    struct fixture *f = ctx;
    struct sent *s = &f->sent[f->sent_count++ % SENT_MAX];
    struct bytes r = bytes_of(frame, len_bytes);
    struct udp_header udp;

    assert_int_equal(eth_decode(&s->eth, &r), ST_OK);
    assert_int_equal(ip4_decode(&s->ip, &r), ST_OK);
    assert_int_equal(udp_decode(&udp, &r), ST_OK);
    assert_int_equal(udp.src_port, DHCP_CLIENT_PORT);
    assert_int_equal(udp.dst_port, DHCP_SERVER_PORT);
    assert_int_equal(dhcp_decode(&s->m, &r), ST_OK);
    s->asks_for_all = dhcp_asks_for(&s->m, DHCP_OPT_SEARCH) && dhcp_asks_for(&s->m, DHCP_OPT_MTU);
    s->at_ms = sim_now_ms(f->sim);
}

static void on_lease(void *ctx, const struct guest_lease *lease)
{
    struct fixture *f = ctx;

    f->lease = *lease;
    f->leases++;
}

static void on_lost(void *ctx, const char *why)
{
    struct fixture *f = ctx;

    snprintf(f->why, sizeof f->why, "%s", why);
    f->losses++;
}

static const struct dhcp_client_ops ops = { on_send, on_lease, on_lost };

static enum status repeatable_random(void *buf, size_t len_bytes)
{
    static uint32_t state = 1;
    uint8_t *p = buf;

    for (size_t i = 0; i < len_bytes; i++) {
        state = state * 1664525u + 1013904223u;
        p[i] = (uint8_t)(state >> 24);
    }
    return ST_OK;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct dhcp_client_config config = { .mac = frame_guest_mac,
                                               .random = repeatable_random };

    f->sim = sim_new();
    assert_int_equal(dhcp_client_new(&f->client, sim_loop(f->sim), &config, &ops, f), ST_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    dhcp_client_free(f->client);
    sim_free(f->sim);
    free(f);
    return 0;
}

static const struct sent *last(const struct fixture *f)
{
    assert_true(f->sent_count > 0);
    return &f->sent[(f->sent_count - 1) % SENT_MAX];
}

/* The usual answer to the last message. */
static struct dhcp_reply reply(const struct fixture *f, enum dhcp_type type)
{
    return (struct dhcp_reply){ .type = type,
                                .xid = last(f)->m.xid,
                                .yiaddr = frame_addr("192.168.127.2"),
                                .server_id = frame_addr("192.168.127.1"),
                                .chaddr = frame_guest_mac,
                                .lease_s = 3600,
                                .mask = frame_addr("255.255.255.0"),
                                .router = frame_addr("192.168.127.1"),
                                .dns = frame_addr("192.168.127.1"),
                                .mtu = 1500 };
}

static bool answer(struct fixture *f, const struct dhcp_reply *r)
{
    struct frame_path path = frame_path("192.168.127.1", "255.255.255.255");
    uint8_t buf[DHCP_REPLY_MAX];
    struct bytes_out w = bytes_into(buf, sizeof buf);
    struct frame frame;
    bool taken;

    dhcp_put(&w, r);
    path.src_mac = frame_gateway_mac;
    path.dst_mac = frame_guest_mac;
    frame_udp(&frame, &path, DHCP_SERVER_PORT, DHCP_CLIENT_PORT, buf, w.len_bytes);
    taken = dhcp_client_input(f->client, frame.b, frame.len_bytes);
    sim_run(f->sim);
    return taken;
}

static bool answer_type(struct fixture *f, enum dhcp_type type)
{
    struct dhcp_reply r = reply(f, type);

    return answer(f, &r);
}

static void start(struct fixture *f)
{
    dhcp_client_start(f->client);
    sim_run(f->sim);
}

static void get_lease(struct fixture *f)
{
    start(f);
    assert_true(answer_type(f, DHCP_OFFER));
    assert_true(answer_type(f, DHCP_ACK));
    assert_string_equal(dhcp_client_state_name(f->client), "bound");
}

static void four_messages_make_a_lease(void **state)
{
    struct fixture *f = *state;

    start(f);
    assert_int_equal(last(f)->m.type, DHCP_DISCOVER);
    assert_true(mac_equal(&last(f)->eth.dst, &frame_broadcast_mac));
    assert_true(last(f)->asks_for_all);
    answer_type(f, DHCP_OFFER);
    assert_int_equal(last(f)->m.type, DHCP_REQUEST);
    assert_int_equal(ip_addr_to_v4(&last(f)->m.requested), 0xc0a87f02);
    assert_int_equal(ip_addr_to_v4(&last(f)->m.server_id), 0xc0a87f01);
    assert_int_equal(f->leases, 0);
    answer_type(f, DHCP_ACK);
    assert_int_equal(f->leases, 1);
    assert_true(dhcp_client_is_bound(f->client));
    assert_int_equal(ip_addr_to_v4(&f->lease.ip), 0xc0a87f02);
    assert_int_equal(f->lease.prefix_bits, 24);
    assert_int_equal(ip_addr_to_v4(&f->lease.gateway), 0xc0a87f01);
    assert_int_equal(ip_addr_to_v4(&f->lease.dns), 0xc0a87f01);
    assert_int_equal(f->lease.mtu, 1500);
    assert_int_equal(f->sent_count, 2);
}

static void a_silent_server_is_asked_less_and_less_often_for_ever(void **state)
{
    struct fixture *f = *state;
    uint64_t gap_ms;

    start(f);
    sim_advance_ms(f->sim, 1000);
    assert_in_range(f->sent_count, 3, 4);
    sim_advance_ms(f->sim, HOUR_MS);
    assert_in_range(f->sent_count, 3600 / 20, 3600 / 12 + 8);
    gap_ms = last(f)->at_ms - f->sent[(f->sent_count - 2) % SENT_MAX].at_ms;
    assert_in_range(gap_ms, 12000, 20000);
    assert_int_equal(last(f)->m.type, DHCP_DISCOVER);
    answer_type(f, DHCP_OFFER);
    answer_type(f, DHCP_ACK);
    assert_int_equal(f->leases, 1);
}

static void an_offer_whose_request_nobody_answers_is_forgotten(void **state)
{
    struct fixture *f = *state;
    uint32_t xid;

    start(f);
    xid = last(f)->m.xid;
    answer_type(f, DHCP_OFFER);
    assert_int_equal(last(f)->m.type, DHCP_REQUEST);
    sim_advance_ms(f->sim, 10000);
    assert_int_equal(last(f)->m.type, DHCP_DISCOVER);
    assert_int_not_equal(last(f)->m.xid, xid);
}

static void half_way_the_lease_is_renewed_by_unicast(void **state)
{
    struct fixture *f = *state;
    unsigned before;

    get_lease(f);
    before = f->sent_count;
    sim_advance_ms(f->sim, 1799 * 1000);
    assert_int_equal(f->sent_count, before);
    sim_advance_ms(f->sim, 2000);
    assert_int_equal(last(f)->m.type, DHCP_REQUEST);
    assert_int_equal(ip_addr_to_v4(&last(f)->m.ciaddr), 0xc0a87f02);
    assert_true(mac_equal(&last(f)->eth.dst, &frame_gateway_mac));
    assert_int_equal(ip_addr_to_v4(&last(f)->ip.dst), 0xc0a87f01);
    assert_int_equal(ip_addr_to_v4(&last(f)->ip.src), 0xc0a87f02);
    answer_type(f, DHCP_ACK);
    assert_int_equal(f->leases, 1); /* nothing new */
    assert_string_equal(dhcp_client_state_name(f->client), "bound");
}

static void a_renewal_with_other_contents_is_told(void **state)
{
    struct fixture *f = *state;
    struct dhcp_reply r;

    get_lease(f);
    sim_advance_ms(f->sim, 1801 * 1000);
    r = reply(f, DHCP_ACK);
    r.mtu = 9000;
    answer(f, &r);
    assert_int_equal(f->leases, 2);
    assert_int_equal(f->lease.mtu, 9000);
}

static void a_server_that_is_gone_is_sought_by_broadcast_and_then_the_lease_is_lost(void **state)
{
    struct fixture *f = *state;

    get_lease(f);
    sim_advance_ms(f->sim, 3200 * 1000);
    assert_string_equal(dhcp_client_state_name(f->client), "rebinding");
    assert_true(mac_equal(&last(f)->eth.dst, &frame_broadcast_mac));
    assert_int_equal(ip_addr_to_v4(&last(f)->m.ciaddr), 0xc0a87f02);
    assert_in_range(f->sent_count, 5, 16);
    assert_int_equal(f->losses, 0);
    sim_advance_ms(f->sim, 401 * 1000);
    assert_int_equal(f->losses, 1);
    assert_false(dhcp_client_is_bound(f->client));
    assert_int_equal(last(f)->m.type, DHCP_DISCOVER);
}

static void a_lease_outlives_the_link_and_is_asked_for_again(void **state)
{
    struct fixture *f = *state;
    unsigned before;

    get_lease(f);
    dhcp_client_stop(f->client);
    before = f->sent_count;
    sim_advance_ms(f->sim, 60 * 1000);
    assert_int_equal(f->sent_count, before);
    assert_true(dhcp_client_is_bound(f->client));
    start(f);
    assert_string_equal(dhcp_client_state_name(f->client), "rebooting");
    assert_int_equal(last(f)->m.type, DHCP_REQUEST);
    assert_int_equal(ip_addr_to_v4(&last(f)->m.requested), 0xc0a87f02);
    assert_true(ip_addr_is_unspecified(&last(f)->m.server_id));
    answer_type(f, DHCP_ACK);
    assert_int_equal(f->leases, 1);
    assert_string_equal(dhcp_client_state_name(f->client), "bound");
}

static void
a_new_host_that_does_not_answer_is_asked_from_the_start_with_the_address_kept(void **state)
{
    struct fixture *f = *state;

    get_lease(f);
    dhcp_client_stop(f->client);
    start(f);
    sim_advance_ms(f->sim, 10000);
    assert_int_equal(last(f)->m.type, DHCP_DISCOVER);
    assert_int_equal(ip_addr_to_v4(&last(f)->m.requested), 0xc0a87f02);
    assert_int_equal(f->losses, 0);
    assert_true(dhcp_client_is_bound(f->client));
}

static void a_refusal_costs_the_lease_and_the_next_try_waits(void **state)
{
    struct fixture *f = *state;
    unsigned before;

    get_lease(f);
    dhcp_client_stop(f->client);
    start(f);
    before = f->sent_count;
    answer_type(f, DHCP_NAK);
    assert_int_equal(f->losses, 1);
    assert_false(dhcp_client_is_bound(f->client));
    assert_int_equal(f->sent_count, before);
    sim_advance_ms(f->sim, 400);
    assert_int_equal(last(f)->m.type, DHCP_DISCOVER);
}

static void a_server_that_refuses_everything_is_not_flooded(void **state)
{
    struct fixture *f = *state;
    uint64_t began = sim_now_ms(f->sim);

    start(f);
    while (sim_now_ms(f->sim) - began < 600 * 1000) {
        answer_type(f, last(f)->m.type == DHCP_DISCOVER ? DHCP_OFFER : DHCP_NAK);
        sim_advance_ms(f->sim, 100);
    }
    assert_in_range(f->sent_count, 20, 200);
    assert_int_equal(f->leases, 0);
}

static void a_lease_for_ever_is_never_renewed(void **state)
{
    struct fixture *f = *state;
    struct dhcp_reply r;
    unsigned before;

    start(f);
    answer_type(f, DHCP_OFFER);
    r = reply(f, DHCP_ACK);
    r.lease_s = UINT32_MAX;
    answer(f, &r);
    before = f->sent_count;
    sim_advance_ms(f->sim, 100ull * 24 * HOUR_MS);
    assert_int_equal(f->sent_count, before);
    assert_true(dhcp_client_is_bound(f->client));
}

static void frames_that_are_not_for_us_go_to_the_guest(void **state)
{
    struct fixture *f = *state;
    struct frame_path path = frame_path("192.168.127.1", "192.168.127.2");
    struct dhcp_reply r;
    struct frame frame;

    start(f);
    frame_udp(&frame, &path, 53, 4000, "x", 1);
    assert_false(dhcp_client_input(f->client, frame.b, frame.len_bytes));
    frame_udp(&frame, &path, DHCP_SERVER_PORT, DHCP_CLIENT_PORT, "not dhcp", 8);
    assert_false(dhcp_client_input(f->client, frame.b, frame.len_bytes));
    assert_false(dhcp_client_input(f->client, frame.b, FRAME_MIN_BYTES));
    r = reply(f, DHCP_OFFER);
    r.xid++;
    assert_false(answer(f, &r));
    r = reply(f, DHCP_OFFER);
    r.chaddr = frame_gateway_mac;
    assert_false(answer(f, &r));
    dhcp_client_stop(f->client);
    assert_false(answer_type(f, DHCP_OFFER));
    assert_int_equal(f->sent_count, 1);
}

static void what_no_interface_can_have_is_not_taken(void **state)
{
    static const char *const addresses[] = { "0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255",
                                             "240.1.1.1" };
    struct fixture *f = *state;

    start(f);
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        struct dhcp_reply r = reply(f, DHCP_OFFER);

        r.yiaddr = frame_addr(addresses[i]);
        assert_true(answer(f, &r));
        assert_string_equal(dhcp_client_state_name(f->client), "selecting");
        answer_type(f, DHCP_ACK); /* unasked for */
        assert_int_equal(f->leases, 0);
    }
}

static void odd_values_are_put_right(void **state)
{
    struct fixture *f = *state;
    struct dhcp_reply r;

    start(f);
    answer_type(f, DHCP_OFFER);
    r = reply(f, DHCP_ACK);
    r.mtu = 68;                         /* too small for anybody */
    r.router = frame_addr("10.0.0.1");  /* not on this link */
    r.mask = frame_addr("255.0.255.0"); /* no mask */
    r.lease_s = 1;                      /* would be a flood */
    answer(f, &r);
    assert_int_equal(f->leases, 1);
    assert_int_equal(f->lease.mtu, 0);
    assert_int_equal(f->lease.prefix_bits, 24);
    assert_true(ip_addr_is_unspecified(&f->lease.gateway));
    sim_advance_ms(f->sim, 28000);
    assert_int_equal(f->sent_count, 2);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(four_messages_make_a_lease),
        WITH_FIXTURE(a_silent_server_is_asked_less_and_less_often_for_ever),
        WITH_FIXTURE(an_offer_whose_request_nobody_answers_is_forgotten),
        WITH_FIXTURE(half_way_the_lease_is_renewed_by_unicast),
        WITH_FIXTURE(a_renewal_with_other_contents_is_told),
        WITH_FIXTURE(a_server_that_is_gone_is_sought_by_broadcast_and_then_the_lease_is_lost),
        WITH_FIXTURE(a_lease_outlives_the_link_and_is_asked_for_again),
        WITH_FIXTURE(a_new_host_that_does_not_answer_is_asked_from_the_start_with_the_address_kept),
        WITH_FIXTURE(a_refusal_costs_the_lease_and_the_next_try_waits),
        WITH_FIXTURE(a_server_that_refuses_everything_is_not_flooded),
        WITH_FIXTURE(a_lease_for_ever_is_never_renewed),
        WITH_FIXTURE(frames_that_are_not_for_us_go_to_the_guest),
        WITH_FIXTURE(what_no_interface_can_have_is_not_taken),
        WITH_FIXTURE(odd_values_are_put_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
