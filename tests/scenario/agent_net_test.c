/* SPDX-License-Identifier: Apache-2.0
 * `rdlink-agent net` and the host switch, joined by a link, in one virtual clock: what one says the
 * other must take. The guest's kernel is a script; everything between it and the host's sockets is
 * the real code of both programs.
 *
 *     script_guest -> net_agent -> link (two simulated streams, carried by carry()) -> switch
 */
#include "support/cmocka_all.h"
#include "support/control_host.h"
#include "support/script_guest_net.h"
#include "support/sim_guest.h"

#include "guestagent/net/net_agent.h"
#include "guestagent/net/net_config.h"
#include "port/sys.h"

#include <stdlib.h>
#include <string.h>

struct world {
    struct sim_guest *host; /* owns the sim and the switch */
    struct net_config config;
    struct net_agent *agent;
    struct sim_peer *guest_end; /* the host's end of the agent's link; NULL: none */
    struct sim_peer *ready;     /* the host's side of the handshake */
};

static struct world world;

static struct sim *sim(void)
{
    return world.host->sim;
}

static void on_stopped(void *ctx)
{
    (void)ctx;
}

static bool move(struct sim_peer *from, struct sim_peer *to)
{
    size_t len;
    const uint8_t *data = sim_peer_data(from, &len);

    if (len == 0)
        return false;
    sim_peer_send(to, data, len);
    sim_peer_drop_received(from);
    return true;
}

/* Until neither side has anything to say. */
static void carry(void)
{
    bool moved = true;

    sim_run(sim());
    while (moved && world.guest_end) {
        moved = move(world.guest_end, world.host->link);
        moved |= move(world.host->link, world.guest_end);
        sim_run(sim());
    }
}

static void pass_ms(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 50) {
        carry();
        sim_advance_ms(sim(), 50);
    }
    carry();
}

static void start(const char *const *words, int count, const struct switch_config *config,
                  enum frame_protocol protocol)
{
    struct errmsg e = { "" };

    script_guest_reset();
    memset(&world, 0, sizeof world);
    world.host = sim_guest_new(config, protocol);
    if (net_config_load(&world.config, count, words, &e) != ST_OK ||
        net_agent_new(&world.agent, sim_loop(sim()), &world.config, on_stopped, NULL, &e) != ST_OK)
        fail_msg("%s", e.text);
    sim_run(sim());
}

static int teardown(void **state)
{
    net_agent_free(world.agent);
    sim_advance_ms(sim(), 1500);
    sim_guest_free(world.host);
    return 0;
}

static struct addr host_port(uint32_t port)
{
    struct addr at;

    assert_int_equal(addr_guest_to_host(&at, &world.config.host_at, port, NULL), ST_OK);
    return at;
}

/* The agent's next dial meets the switch. */
static void link_up(const struct addr *at)
{
    for (int i = 0; i < 200 && !world.guest_end; i++) {
        sim_advance_ms(sim(), 50);
        world.guest_end = sim_take_dialled_to(sim(), at);
    }
    assert_non_null(world.guest_end);
    carry();
}

/* The generation's host: READY, then the link. */
static void shake_hands(enum rancher_generation g)
{
    struct addr data = host_port(g == RANCHER_A ? 6656 : 6657);

    sim_advance_ms(sim(), 2000);
    world.ready = sim_connect(sim(), &world.config.handshake_at[g], &sim_host_peer);
    assert_non_null(world.ready);
    sim_next_dial(sim(), ST_OK, 0);
    sim_peer_send_text(world.ready, "READY");
    sim_peer_end(world.ready);
    link_up(&data);
}

static void cut(void)
{
    sim_peer_reset(world.guest_end, ST_RESET);
    sim_guest_cut(world.host);
    world.guest_end = NULL;
    sim_run(sim());
}

/* ---- what the guest's kernel does ------------------------------------------------------------ */

static void kernel_sends(const struct frame *f)
{
    script_guest_sends(f->b, f->len_bytes, NULL);
    carry();
}

static void expect_ping(const char *from, const char *to)
{
    struct frame_path path = frame_path(from, to);
    const struct script_frame *got;
    struct frame f;

    frame_icmp(&f, &path, ICMP4_ECHO, 0, 0x00010001, "ping", 4);
    kernel_sends(&f);
    pass_ms(100);
    while ((got = script_guest_gets()) != NULL) {
        if (got->len_bytes > f.l4 && got->b[12] == 0x08 && got->b[13] == 0x00 &&
            got->b[23] == IP_PROTO_ICMP && got->b[f.l4] == ICMP4_ECHO_REPLY)
            return;
    }
    fail_msg("no echo reply from %s", to);
}

static const char *leased(void)
{
    static char text[IP_ADDR_TEXT_MAX];

    return ip_addr_format(&script_guest.lease.ip, text);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void the_switch_leases_an_address_to_a_rancher_guest(void **state)
{
    char ip[IP_ADDR_TEXT_MAX];

    start(NULL, 0, NULL, FRAME_STDIO);
    shake_hands(RANCHER_A);
    pass_ms(1000);
    assert_string_equal(leased(), "192.168.127.2");
    assert_string_equal(ip_addr_format(&script_guest.lease.gateway, ip), "192.168.127.1");
    assert_string_equal(ip_addr_format(&script_guest.lease.dns, ip), "192.168.127.1");
    assert_int_equal(script_guest.lease.prefix_bits, 24);
    assert_int_equal(script_guest.lease.mtu, 1500);
    assert_int_equal(guest_counters(world.host)->dhcp_offers, 1);
    assert_int_equal(guest_counters(world.host)->dhcp_acks, 1);
    assert_int_equal(guest_counters(world.host)->drop_bad_checksum, 0);
    expect_ping("192.168.127.2", "192.168.127.1");
}

static void search_domains_arrive(void **state)
{
    struct switch_config config = { .search_domains = "corp.example lab.corp.example" };

    start(NULL, 0, &config, FRAME_STDIO);
    shake_hands(RANCHER_B);
    pass_ms(1000);
    assert_string_equal(script_guest.lease.search, "corp.example lab.corp.example");
}

static void every_protocol_of_a_fixed_link_carries_it(void **state)
{
    static const struct {
        enum frame_protocol protocol;
        const char *words[2];
    } rows[] = {
        { FRAME_STDIO, { "--link", "stdio:unix:/l" } },
        { FRAME_QEMU, { "--link", "qemu:unix:/l" } },
        { FRAME_V2, { "--link", "v2:unix:/l" } },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        start(rows[i].words, 2, NULL, rows[i].protocol);
        sim_next_dial(sim(), ST_OK, 0);
        sim_advance_ms(sim(), 200); /* the first dial was refused: nobody was scripted to listen */
        link_up(&world.config.link_at);
        pass_ms(1000);
        assert_string_equal(leased(), "192.168.127.2");
        expect_ping("192.168.127.2", "192.168.127.1");
        if (i + 1 < ARRAY_SIZE(rows))
            teardown(state);
    }
}

static void a_cut_link_costs_neither_address_nor_interface(void **state)
{
    struct addr data;

    start(NULL, 0, NULL, FRAME_STDIO);
    data = host_port(6656);
    shake_hands(RANCHER_A);
    pass_ms(6000);
    expect_ping("192.168.127.2", "192.168.127.1");
    cut();
    sim_guest_attach(world.host);
    sim_next_dial(sim(), ST_OK, 0);
    link_up(&data);
    pass_ms(2000);
    expect_ping("192.168.127.2", "192.168.127.1");
    assert_int_equal(script_guest.applied, 1);
    assert_int_equal(script_guest.taps_opened, 1);
    assert_int_equal(guest_counters(world.host)->dhcp_offers, 1); /* asked for again, not anew */
    assert_int_equal(guest_counters(world.host)->dhcp_acks, 2);
}

static void ip6_of_the_switch_is_lasting_whatever_the_kernel_does(void **state)
{
    static const struct switch_config config = { .ip6 = true };
    struct ip_addr ip, gateway;
    char text[IP_ADDR_TEXT_MAX];

    start(NULL, 0, &config, FRAME_STDIO);
    script_guest.apply_fails = ST_IO;
    shake_hands(RANCHER_A);
    pass_ms(1000);
    assert_int_equal(script_guest.router.prefix_bits, 0);
    script_guest.apply_fails = ST_OK;
    pass_ms(2000); /* tried again */
    assert_int_equal(script_guest.router.prefix_bits, 64);
    ip = script_guest.router.ip;
    gateway = script_guest.router.gateway;
    assert_string_equal(ip_addr_format(&ip, text), "fd00:72:64:0:5894:efff:fee4:cee");
    assert_string_equal(ip_addr_format(&gateway, text), "fe80::5894:efff:fee4:cdd");
    script_guest.routers_applied = 0;
    pass_ms(200 * 1000); /* the next advertisement */
    assert_int_equal(script_guest.routers_applied, 1);
    script_guest_tap_error(ST_CLOSED); /* another interface gets it too */
    pass_ms(3000);
    assert_int_equal(script_guest.routers_applied, 2);
}

static void a_switch_without_ip6_gives_none(void **state)
{
    static const struct switch_config config = { .ip6 = false };

    start(NULL, 0, &config, FRAME_STDIO);
    shake_hands(RANCHER_A);
    pass_ms(1000);
    assert_int_equal(script_guest.applied, 1);
    assert_int_equal(script_guest.routers_applied, 0);
}

static void a_flow_of_the_guest_goes_on_over_the_next_link(void **state)
{
    struct addr data;
    struct frame_path path = frame_path("192.168.127.2", "10.1.2.3");
    struct ip_endpoint first;
    struct net_sim_datagram d;
    struct frame f;

    start(NULL, 0, NULL, FRAME_STDIO);
    data = host_port(6656);
    shake_hands(RANCHER_A);
    pass_ms(1000);
    frame_udp(&f, &path, 4000, 7777, "one", 3);
    kernel_sends(&f);
    assert_true(net_sim_take_datagram(world.host->net, &d));
    first = d.from;
    cut();
    sim_guest_attach(world.host);
    sim_next_dial(sim(), ST_OK, 0);
    link_up(&data);
    pass_ms(500);
    frame_udp(&f, &path, 4000, 7777, "two", 3);
    kernel_sends(&f);
    assert_true(net_sim_take_datagram(world.host->net, &d));
    assert_memory_equal(d.data, "two", 3);
    assert_int_equal(d.from.port, first.port); /* the same host socket */
}

static void a_v2_host_gives_the_address_and_dhcp_is_not_asked(void **state)
{
    struct addr data;
    struct sim_peer *host;

    start(NULL, 0, NULL, FRAME_V2);
    data = host_port(6658);
    host = control_host(sim(), &world.config.control_at);
    sim_next_dial(sim(), ST_OK, 0);
    control_host_offers(sim(), host, 6658, "192.168.127.2/24", NULL);
    link_up(&data);
    pass_ms(1000);
    assert_int_equal(guest_counters(world.host)->dhcp_offers, 0);
    assert_string_equal(leased(), "192.168.127.2");
    expect_ping("192.168.127.2", "192.168.127.1");
}

static void a_host_with_another_network_moves_the_guest(void **state)
{
    struct addr data;
    struct switch_config other = { .net = frame_addr("10.55.0.0"),
                                   .prefix_bits = 16,
                                   .ip6 = false };
    struct sim_peer *link;
    struct switch_ *second;
    struct stream *s;
    struct switch_env env;
    struct errmsg e = { "" };

    start(NULL, 0, NULL, FRAME_STDIO);
    data = host_port(6656);
    shake_hands(RANCHER_A);
    pass_ms(6000);
    assert_string_equal(leased(), "192.168.127.2");
    cut();
    env = (struct switch_env){ .loop = sim_loop(sim()),
                               .net = net_sim_net(world.host->net),
                               .random = sys_random };
    assert_int_equal(switch_config_finish(&other, &e), ST_OK);
    assert_int_equal(switch_new(&second, &env, &other, &e), ST_OK);
    link = sim_stream(sim(), &s);
    assert_int_equal(switch_attach(second, s, FRAME_STDIO), ST_OK);
    world.host->link = link;
    sim_next_dial(sim(), ST_OK, 0);
    link_up(&data);
    pass_ms(5000);
    assert_string_equal(leased(), "10.55.0.2"); /* the old one was refused */
    assert_int_equal(script_guest.lease.prefix_bits, 16);
    switch_free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_switch_leases_an_address_to_a_rancher_guest, teardown),
        cmocka_unit_test_teardown(search_domains_arrive, teardown),
        cmocka_unit_test_teardown(every_protocol_of_a_fixed_link_carries_it, teardown),
        cmocka_unit_test_teardown(a_cut_link_costs_neither_address_nor_interface, teardown),
        cmocka_unit_test_teardown(ip6_of_the_switch_is_lasting_whatever_the_kernel_does, teardown),
        cmocka_unit_test_teardown(a_switch_without_ip6_gives_none, teardown),
        cmocka_unit_test_teardown(a_flow_of_the_guest_goes_on_over_the_next_link, teardown),
        cmocka_unit_test_teardown(a_v2_host_gives_the_address_and_dhcp_is_not_asked, teardown),
        cmocka_unit_test_teardown(a_host_with_another_network_moves_the_guest, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
