/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "guestagent/control_server.h"
#include "guestagent/net/net_config.h"
#include "guestagent/net/uplink.h"
#include "ipc/key_file.h"
#include "link/link_token.h"
#include "port/sim/stream_sim.h"
#include "support/control_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct sim *sim;
    struct net_config config;
    struct uplink *uplink;
    struct stream *link; /* owned */
    struct uplink_terms terms;
    unsigned links;
    bool busy; /* frames come over the link */
    struct addr data_a, data_b, data_v2;
};

static void on_link(void *ctx, struct stream *link, const struct uplink_terms *terms)
{
    struct fixture *f = ctx;

    stream_close(f->link);
    f->link = link;
    f->terms = *terms;
    f->links++;
}

static void on_change(void *ctx)
{
    struct fixture *f = ctx;
    char text[200];

    if (f->uplink)
        assert_true(strlen(uplink_summary(f->uplink, text, sizeof text)) > 0);
}

static bool is_quiet(void *ctx)
{
    struct fixture *f = ctx;

    return !f->busy;
}

static const struct uplink_ops ops = { on_link, on_change, is_quiet };

static void report(void *ctx, struct health_report *out)
{
    (void)ctx;
    assert_non_null(health_add(out, "net"));
}

static bool is_serving(void *ctx)
{
    (void)ctx;
    return true;
}

static const struct control_source source = { .report = report, .is_serving = is_serving };

static struct addr host_port(struct fixture *f, uint32_t port)
{
    struct addr at;

    assert_int_equal(addr_guest_to_host(&at, &f->config.host_at, port, NULL), ST_OK);
    return at;
}

static void start(struct fixture *f, const char *const *words, int count)
{
    struct errmsg e = { "" };

    assert_int_equal(net_config_load(&f->config, count, words, NULL), ST_OK);
    if (uplink_new(&f->uplink, sim_loop(f->sim), &f->config, &source, &ops, f, &e) != ST_OK)
        fail_msg("%s", e.text);
    f->data_a = host_port(f, 6656);
    f->data_b = host_port(f, 6657);
    f->data_v2 = host_port(f, 6658);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->sim = sim_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    uplink_free(f->uplink);
    stream_close(f->link);
    sim_advance_ms(f->sim, 1500); /* a channel may take a second to say goodbye */
    sim_free(f->sim);
    free(f);
    return 0;
}

static void start_default(struct fixture *f)
{
    start(f, NULL, 0);
}

static bool answers(const struct fixture *f, enum rancher_generation g)
{
    return sim_is_listening(f->sim, &f->config.handshake_at[g]);
}

static const char *summary(const struct fixture *f)
{
    static char text[300];

    return uplink_summary(f->uplink, text, sizeof text);
}

/* ---- hosts ----------------------------------------------------------------------------------- */

static struct sim_peer *v2_host(struct fixture *f)
{
    return control_host(f->sim, &f->config.control_at);
}

static void offer(struct fixture *f, struct sim_peer *p, uint32_t port, const char *address)
{
    control_host_offers(f->sim, p, port, address, "5a:94:ef:e4:0c:77");
}

static const char address[] = "192.168.127.2/24", no_address[] = "";

static void ready(struct fixture *f, enum rancher_generation g)
{
    struct sim_peer *p = sim_connect(f->sim, &f->config.handshake_at[g], &sim_host_peer);

    assert_non_null(p);
    sim_peer_send_text(p, "READY");
    sim_peer_end(p);
    sim_run(f->sim);
}

/* The host's end of the link that was dialled to @at; fails when there is none. */
static struct sim_peer *linked(struct fixture *f, const struct addr *at)
{
    struct sim_peer *p;

    sim_run(f->sim);
    p = sim_take_dialled_to(f->sim, at);
    assert_non_null(p);
    return p;
}

static void end_link(struct fixture *f)
{
    stream_close(f->link);
    f->link = NULL;
    uplink_link_ended(f->uplink, ST_EOF);
}

/* ---- v2 -------------------------------------------------------------------------------------- */

static void an_offer_is_dialled_at_once_with_its_terms(void **state)
{
    struct fixture *f = *state;
    char mac[18], ip[IP_ADDR_TEXT_MAX];

    start_default(f);
    sim_next_dial(f->sim, ST_OK, 0);
    offer(f, v2_host(f), 6658, address);
    linked(f, &f->data_v2);
    assert_int_equal(f->links, 1);
    assert_int_equal(f->terms.protocol, FRAME_V2);
    assert_string_equal(f->terms.source, "v2");
    assert_string_equal(mac_format(&f->terms.mac, mac), "5a:94:ef:e4:0c:77");
    assert_true(f->terms.has_lease);
    assert_string_equal(ip_addr_format(&f->terms.lease.ip, ip), "192.168.127.2");
    assert_string_equal(ip_addr_format(&f->terms.lease.dns, ip), "192.168.127.1");
    assert_int_equal(f->terms.lease.mtu, 4000);
    assert_string_equal(f->terms.lease.search, "a.example b.example");
    assert_string_equal(summary(f), "linked by v2");
}

static void a_link_begins_with_the_token_of_its_offer(void **state)
{
    struct fixture *f = *state;
    struct link_token token = { { 7 } };
    uint8_t want[LINK_PREAMBLE_BYTES];
    Rdlink__V1__NetworkOffer o = RDLINK__V1__NETWORK_OFFER__INIT;
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    const uint8_t *said;
    size_t len_bytes;

    start_default(f);
    o.data_port = 6658;
    o.link_token = (ProtobufCBinaryData){ sizeof token.bytes, token.bytes };
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_NETWORK_OFFER;
    msg.network_offer = &o;
    sim_next_dial(f->sim, ST_OK, 0);
    control_host_sends(f->sim, v2_host(f), &msg);
    link_token_preamble(&token, want);
    for (int i = 0; i < 2; i++) { /* each link of that offer */
        said = sim_peer_data(linked(f, &f->data_v2), &len_bytes);
        assert_int_equal(len_bytes, sizeof want);
        assert_memory_equal(said, want, sizeof want);
        sim_advance_ms(f->sim, 10000);
        sim_next_dial(f->sim, ST_OK, 0);
        end_link(f);
    }
}

static void where_proof_is_required_ranchers_handshakes_stay_closed(void **state)
{
    static const char key_file[] = "uplink_test_key.tmp";
    static const char *const words[] = { "--require-proof", "--key-file", key_file };
    struct fixture *f = *state;

    assert_int_equal(key_file_create(key_file, NULL), ST_OK);
    start(f, words, 3);
    sim_advance_ms(f->sim, 60000);
    assert_int_equal(remove(key_file), 0);
    assert_false(answers(f, RANCHER_A) || answers(f, RANCHER_B));
}

static void an_offer_without_an_address_leaves_it_to_dhcp(void **state)
{
    struct fixture *f = *state;

    start_default(f);
    sim_next_dial(f->sim, ST_OK, 0);
    offer(f, v2_host(f), 6658, no_address);
    linked(f, &f->data_v2);
    assert_false(f->terms.has_lease);
}

static void a_v2_host_keeps_ranchers_ports_closed_while_it_is_there(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *host;

    start_default(f);
    sim_next_dial(f->sim, ST_OK, 0);
    host = v2_host(f);
    offer(f, host, 6658, address);
    sim_advance_ms(f->sim, 60000);
    assert_false(answers(f, RANCHER_A) || answers(f, RANCHER_B));
    sim_peer_end(host);
    sim_advance_ms(f->sim, 1999);
    assert_false(answers(f, RANCHER_A));
    sim_advance_ms(f->sim, 1);
    assert_true(answers(f, RANCHER_A) && answers(f, RANCHER_B));
    host = v2_host(f); /* greeted, but it offers nothing: perhaps it only wants to know */
    assert_true(answers(f, RANCHER_A));
    offer(f, host, 0, no_address);
    assert_false(answers(f, RANCHER_A) || answers(f, RANCHER_B));
    assert_non_null(strstr(summary(f), "linked by v2")); /* nobody ended it */
}

static void a_lost_link_is_dialled_again_at_once_then_with_patience(void **state)
{
    struct fixture *f = *state;
    unsigned dials;

    start_default(f);
    sim_next_dial(f->sim, ST_OK, 0);
    offer(f, v2_host(f), 6658, address);
    linked(f, &f->data_v2);
    sim_advance_ms(f->sim, 6000);
    dials = sim_dial_count(f->sim);
    end_link(f);
    sim_run(f->sim);
    assert_in_range(sim_dial_count(f->sim), dials + 1, dials + 4); /* the first jitter may be 0 */
    sim_advance_ms(f->sim, 600 * 1000);                            /* refused, again and again */
    assert_in_range(sim_dial_count(f->sim) - dials, 120, 500);
    assert_int_equal(uplink_get_state(f->uplink), UPLINK_UNREACHABLE);
    assert_non_null(strstr(summary(f), "cannot reach the host"));
    sim_next_dial(f->sim, ST_OK, 0);
    sim_advance_ms(f->sim, 5100);
    assert_int_equal(f->links, 2);
}

static void links_that_die_at_birth_do_not_make_it_spin(void **state)
{
    struct fixture *f = *state;
    unsigned dials = 0;

    start_default(f);
    sim_next_dial(f->sim, ST_OK, 0);
    offer(f, v2_host(f), 6658, address);
    for (unsigned ms = 0; ms < 60000; ms += 10) {
        if (f->link) {
            end_link(f);
            sim_next_dial(f->sim, ST_OK, 0);
            dials++;
        }
        sim_advance_ms(f->sim, 10);
    }
    assert_in_range(dials, 10, 100);
}

static void a_withdrawn_offer_is_not_dialled(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *host;
    unsigned dials;

    start_default(f);
    host = v2_host(f);
    offer(f, host, 6658, address); /* refused */
    offer(f, host, 0, no_address);
    dials = sim_dial_count(f->sim);
    sim_advance_ms(f->sim, 60000);
    assert_int_equal(sim_dial_count(f->sim), dials);
    assert_non_null(strstr(summary(f), "the switch starts"));
    sim_next_dial(f->sim, ST_OK, 0);
    offer(f, host, 6658, address);
    linked(f, &f->data_v2);
}

static void a_controller_that_restarts_does_not_cost_a_busy_link(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *host;

    start_default(f);
    sim_next_dial(f->sim, ST_OK, 0);
    host = v2_host(f);
    offer(f, host, 6658, address);
    linked(f, &f->data_v2);
    f->busy = true;
    sim_peer_end(host);
    sim_run(f->sim);
    offer(f, v2_host(f), 6658, address);
    sim_advance_ms(f->sim, 10000);
    assert_int_equal(f->links, 1);
    sim_next_dial(f->sim, ST_OK, 0);
    end_link(f);
    linked(f, &f->data_v2); /* with the new one's word */
    assert_int_equal(f->links, 2);
}

static void a_host_that_offers_anew_gets_a_quiet_link_replaced(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *host, *first;

    start_default(f);
    sim_next_dial(f->sim, ST_OK, 0);
    host = v2_host(f);
    offer(f, host, 6658, address);
    first = linked(f, &f->data_v2);
    sim_peer_end(host);
    sim_next_dial(f->sim, ST_OK, 50);
    offer(f, v2_host(f), 6658, address);
    assert_false(sim_peer_is_closed(first)); /* make before break */
    sim_advance_ms(f->sim, 50);
    assert_true(sim_peer_is_closed(first));
    assert_int_equal(f->links, 2);
}

static void the_same_offer_twice_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *host;

    start_default(f);
    sim_next_dial(f->sim, ST_OK, 0);
    host = v2_host(f);
    offer(f, host, 6658, address);
    linked(f, &f->data_v2);
    offer(f, host, 6658, address);
    sim_advance_ms(f->sim, 10000);
    assert_int_equal(sim_dial_count(f->sim), 1);
}

/* ---- Rancher's own hosts --------------------------------------------------------------------- */

static void without_a_v2_host_ready_is_answered_by_a_link_of_its_generation(void **state)
{
    static const struct {
        enum rancher_generation g;
        const char *source;
    } rows[] = { { RANCHER_A, "A" }, { RANCHER_B, "B" } };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fixture *f = *state;

        start_default(f);
        sim_advance_ms(f->sim, 1999);
        assert_false(answers(f, rows[i].g));
        sim_advance_ms(f->sim, 1);
        sim_next_dial(f->sim, ST_OK, 0);
        ready(f, rows[i].g);
        linked(f, rows[i].g == RANCHER_A ? &f->data_a : &f->data_b);
        assert_int_equal(f->terms.protocol, FRAME_STDIO);
        assert_string_equal(f->terms.source, rows[i].source);
        assert_false(f->terms.has_lease);
        teardown(state);
        setup(state);
    }
}

static void a_host_that_listens_on_after_a_lost_link_is_dialled_again(void **state)
{
    struct fixture *f = *state;

    start_default(f);
    sim_advance_ms(f->sim, 2000);
    sim_next_dial(f->sim, ST_OK, 0);
    ready(f, RANCHER_A);
    linked(f, &f->data_a);
    sim_advance_ms(f->sim, 6000);
    sim_next_dial(f->sim, ST_OK, 0);
    end_link(f);
    linked(f, &f->data_a);
    assert_int_equal(f->links, 2);
}

static void a_host_that_shakes_hands_anew_is_dialled_when_it_says_so(void **state)
{
    struct fixture *f = *state;

    start_default(f);
    sim_advance_ms(f->sim, 2000);
    sim_next_dial(f->sim, ST_OK, 0);
    ready(f, RANCHER_B);
    linked(f, &f->data_b);
    end_link(f);
    sim_advance_ms(f->sim, 120 * 1000); /* nobody listens for two minutes */
    assert_int_equal(f->links, 1);
    sim_next_dial(f->sim, ST_OK, 0);
    ready(f, RANCHER_B);
    linked(f, &f->data_b); /* not at the end of a back-off */
}

static void ready_replaces_a_quiet_link_but_not_a_busy_one(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *first;

    start_default(f);
    sim_advance_ms(f->sim, 2000);
    sim_next_dial(f->sim, ST_OK, 0);
    ready(f, RANCHER_A);
    first = linked(f, &f->data_a);
    f->busy = true;
    ready(f, RANCHER_A);
    sim_advance_ms(f->sim, 1000);
    assert_int_equal(f->links, 1);
    f->busy = false;
    sim_next_dial(f->sim, ST_OK, 0);
    ready(f, RANCHER_A);
    linked(f, &f->data_a);
    assert_true(sim_peer_is_closed(first));
    assert_int_equal(f->links, 2);
}

static void a_v2_offer_takes_the_place_of_a_rancher_link_even_a_busy_one(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *first;

    start_default(f);
    sim_advance_ms(f->sim, 2000);
    sim_next_dial(f->sim, ST_OK, 0);
    ready(f, RANCHER_A);
    first = linked(f, &f->data_a);
    f->busy = true;
    sim_next_dial(f->sim, ST_OK, 0);
    offer(f, v2_host(f), 6658, address);
    linked(f, &f->data_v2);
    assert_true(sim_peer_is_closed(first));
    assert_false(answers(f, RANCHER_A));
    assert_string_equal(f->terms.source, "v2");
}

static void ports_that_are_taken_are_tried_again(void **state)
{
    struct fixture *f = *state;

    start_default(f);
    sim_next_listen_fails(f->sim, ST_EXISTS);
    sim_advance_ms(f->sim, 2000);
    assert_false(answers(f, RANCHER_A));
    assert_true(answers(f, RANCHER_B));
    assert_non_null(strstr(summary(f), "handshake A"));
    sim_advance_ms(f->sim, 5000);
    assert_true(answers(f, RANCHER_A) && answers(f, RANCHER_B));
    assert_null(strstr(summary(f), "taken"));
}

static void only_the_generations_that_are_wanted_are_answered(void **state)
{
    static const char *const words[] = { "--handshake", "B", "--legacy-after", "0" };
    struct fixture *f = *state;

    start(f, words, 4);
    sim_run(f->sim);
    assert_false(answers(f, RANCHER_A));
    assert_true(answers(f, RANCHER_B));
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void a_fixed_link_needs_no_host_to_ask(void **state)
{
    static const char *const words[] = { "--link", "qemu:unix:/l" };
    struct fixture *f = *state;

    sim_next_dial(f->sim, ST_REFUSED, 0);
    sim_next_dial(f->sim, ST_OK, 0);
    start(f, words, 2);
    sim_advance_ms(f->sim, 200);
    linked(f, &f->config.link_at);
    assert_int_equal(f->terms.protocol, FRAME_QEMU);
    assert_string_equal(f->terms.source, "fixed");
    assert_int_equal(sim_open_listeners(f->sim), 0);
}

static void a_control_port_that_is_taken_is_fatal(void **state)
{
    struct fixture *f = *state;
    struct errmsg e = { "" };

    assert_int_equal(net_config_load(&f->config, 0, NULL, NULL), ST_OK);
    sim_next_listen_fails(f->sim, ST_EXISTS);
    assert_int_equal(uplink_new(&f->uplink, sim_loop(f->sim), &f->config, &source, &ops, f, &e),
                     ST_EXISTS);
    assert_non_null(strstr(e.text, "control port"));
    f->uplink = NULL;
}

static void an_offer_with_nonsense_in_it_is_taken_without_the_nonsense(void **state)
{
    static const struct mac none = { { 0 } };
    struct fixture *f = *state;

    start_default(f);
    sim_next_dial(f->sim, ST_OK, 0);
    control_host_offers(f->sim, v2_host(f), 6658, "1.2.3.4.5/99", "01:00:5e:00:00:01");
    linked(f, &f->data_v2);
    assert_false(f->terms.has_lease);
    assert_true(mac_equal(&f->terms.mac, &none));
}

static void more_hosts_than_there_are_channels_do_no_harm(void **state)
{
    struct fixture *f = *state;

    start_default(f);
    for (unsigned i = 0; i < 3 * CONTROL_MAX_CHANNELS; i++) {
        sim_next_dial(f->sim, ST_OK, 0);
        offer(f, v2_host(f), 6658, address);
    }
    sim_advance_ms(f->sim, 1500);
    assert_int_equal(f->links, 3 * CONTROL_MAX_CHANNELS);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(an_offer_is_dialled_at_once_with_its_terms),
        WITH_FIXTURE(a_link_begins_with_the_token_of_its_offer),
        WITH_FIXTURE(where_proof_is_required_ranchers_handshakes_stay_closed),
        WITH_FIXTURE(an_offer_without_an_address_leaves_it_to_dhcp),
        WITH_FIXTURE(a_v2_host_keeps_ranchers_ports_closed_while_it_is_there),
        WITH_FIXTURE(a_lost_link_is_dialled_again_at_once_then_with_patience),
        WITH_FIXTURE(links_that_die_at_birth_do_not_make_it_spin),
        WITH_FIXTURE(a_withdrawn_offer_is_not_dialled),
        WITH_FIXTURE(a_controller_that_restarts_does_not_cost_a_busy_link),
        WITH_FIXTURE(a_host_that_offers_anew_gets_a_quiet_link_replaced),
        WITH_FIXTURE(the_same_offer_twice_changes_nothing),
        WITH_FIXTURE(without_a_v2_host_ready_is_answered_by_a_link_of_its_generation),
        WITH_FIXTURE(a_host_that_listens_on_after_a_lost_link_is_dialled_again),
        WITH_FIXTURE(a_host_that_shakes_hands_anew_is_dialled_when_it_says_so),
        WITH_FIXTURE(ready_replaces_a_quiet_link_but_not_a_busy_one),
        WITH_FIXTURE(a_v2_offer_takes_the_place_of_a_rancher_link_even_a_busy_one),
        WITH_FIXTURE(ports_that_are_taken_are_tried_again),
        WITH_FIXTURE(only_the_generations_that_are_wanted_are_answered),
        WITH_FIXTURE(a_fixed_link_needs_no_host_to_ask),
        WITH_FIXTURE(a_control_port_that_is_taken_is_fatal),
        WITH_FIXTURE(an_offer_with_nonsense_in_it_is_taken_without_the_nonsense),
        WITH_FIXTURE(more_hosts_than_there_are_channels_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
