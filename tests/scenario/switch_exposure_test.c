/* SPDX-License-Identifier: Apache-2.0
 * switch_exposure_test.c - what a guest reaches of the host, and what it can guess: a whole switch
 * is scanned, asked and watched. Several names are those of the vulnerabilities of others that
 * docs/testing.md lists.
 */
#include "base/log.h"
#include "base/util.h"
#include "support/cmocka_all.h"
#include "support/frame_build.h"
#include "support/sim_world.h"

#include <string.h>

enum { PORTS = 65536, BURST = 500 };

/* ---- scanning ----------------------------------------------------------------------------- */

struct scan {
    uint8_t open[PORTS / 8]; /* answered by a SYN-ACK */
    unsigned open_count, refused;
    unsigned port_unreachable;
};

static void scan_frame(void *ctx, const struct frame_view *v, const struct frame_offload *off)
{
    struct scan *s = ctx;

    if (v->is_tcp && (v->tcp.flags & TCP_SYN)) {
        s->open[v->tcp.src_port / 8] |= (uint8_t)(1 << v->tcp.src_port % 8);
        s->open_count++;
    } else if (v->is_tcp && (v->tcp.flags & TCP_RST)) {
        s->refused++;
    } else if (v->is_icmp && v->icmp.type == ICMP4_UNREACHABLE && v->icmp.code == 3) {
        s->port_unreachable++;
    }
}

static bool is_open(const struct scan *s, uint16_t port)
{
    return s->open[port / 8] >> port % 8 & 1;
}

/* A SYN to every port of @to, each from a port of its own. */
static void scan_tcp(struct sim_world *w, struct scan *s, const char *to)
{
    struct frame_path path = frame_path("192.168.127.2", to);
    struct tcp_header h = { .src_port = 1000, .seq = 7, .flags = TCP_SYN, .window = 1000 };
    struct frame f;

    memset(s, 0, sizeof *s);
    w->wire.on_frame = scan_frame;
    w->wire.ctx = s;
    frame_tcp(&f, &path, &h, NULL, 0);
    for (unsigned port = 1; port < PORTS; port++) {
        f.b[f.l4 + 2] = (uint8_t)(port >> 8);
        f.b[f.l4 + 3] = (uint8_t)port;
        frame_seal(&f);
        sim_wire_send(&w->wire, f.b, f.len_bytes, NULL);
        if (port % BURST == 0)
            sim_wire_run(&w->wire);
    }
    sim_wire_run(&w->wire);
}

static uint8_t dialled[PORTS]; /* how often, of the host's loopback */

static struct net_sim_answer note_dial(void *ctx, const struct ip_endpoint *to)
{
    assert_true(ip_addr_is_loopback(&to->addr));
    dialled[to->port]++;
    return (struct net_sim_answer){ ST_REFUSED, 0 };
}

static void only_names_and_the_api_are_open_at_the_gateway(void **state)
{
    static struct scan s;
    struct sim_world *w = sim_world_new(1, FRAME_QEMU, NULL);

    scan_tcp(w, &s, "192.168.127.1");
    assert_int_equal(s.open_count, 2);
    assert_true(is_open(&s, 53) && is_open(&s, 80));
    assert_int_equal(s.refused, PORTS - 1 - 2);
    assert_int_equal(net_sim_connect_count(w->net), 0);
    sim_world_free(w);
}

/* CVE-2025-9074: the engine's API was reachable from every container. */
static void engine_api_not_on_switch_net(void **state)
{
    static const uint16_t denied[] = { 135, 445, 2375, 2376, 5985, 5986 };
    static struct scan s;
    struct sim_world *w = sim_world_new(1, FRAME_QEMU, NULL);
    unsigned reached = 0;

    memset(dialled, 0, sizeof dialled);
    net_sim_on_connect(w->net, note_dial, NULL);
    scan_tcp(w, &s, "192.168.127.254");
    assert_int_equal(s.open_count, 0);
    for (unsigned port = 1; port < PORTS; port++)
        reached += dialled[port] == 1;
    assert_int_equal(reached, PORTS - 1 - ARRAY_SIZE(denied));
    for (size_t i = 0; i < ARRAY_SIZE(denied); i++)
        assert_int_equal(dialled[denied[i]], 0);
    sim_world_free(w);
}

/* CVE-2021-3595, CVE-2020-7211: there is no file service that could have a path. */
static void there_is_no_tftp_server(void **state)
{
    static const char request[] = "\0\1..\\..\\boot.ini\0octet";
    static struct scan s;
    struct sim_world *w = sim_world_new(1, FRAME_QEMU, NULL);
    struct frame_path path = frame_path("192.168.127.2", "192.168.127.1");
    struct frame f;

    w->wire.on_frame = scan_frame;
    w->wire.ctx = &s;
    frame_udp(&f, &path, 4000, 69, request, sizeof request);
    sim_wire_send(&w->wire, f.b, f.len_bytes, NULL);
    sim_wire_run(&w->wire);
    assert_int_equal(s.port_unreachable, 1);
    sim_world_free(w);
}

/* CVE-2021-4024: the forwarding API listened on every address of the host. */
static void no_unexpected_listener(void **state)
{
    struct sim_world *w = sim_world_new(1, FRAME_QEMU, NULL);

    sim_world_ask_address(w);
    sim_world_ask_name(w, 1, "host.rancher-desktop.internal");
    sim_world_ask_api(w, 0);
    sim_world_run_ms(w, 100);
    assert_int_equal(net_sim_open_listeners(w->net), 0);
    assert_int_equal(net_sim_open_udp(w->net), 0);
    assert_int_equal(strncmp(w->flows[0].answer, "HTTP/1.1 200", 12), 0);
    sim_world_free(w);
}

/* ---- what passes through ------------------------------------------------------------------ */

/* CVE-2020-7039, 8608, 2019-6778, 9824: payload is never looked at, so no protocol's is. */
static void what_others_rewrite_passes_unchanged(void **state)
{
    static const struct {
        uint16_t slot; /* chooses the port */
        const char *text;
    } rows[] = {
        { 0, "113, 20000\r\n" },
        { 1, "PRIVMSG a :\001DCC CHAT chat 3232268034 1024\001\r\n" },
        { 2, "PORT 192,168,127,2,4,1\r\n" },
    };
    struct sim_world *w = sim_world_new(1, FRAME_QEMU, NULL);
    struct ip_addr to = frame_addr("10.1.2.3");

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ip_endpoint at = { to, (uint16_t)(rows[i].slot == 0 ? 113 : 6667 + i) };
        struct world_flow *f = sim_world_dial(w, rows[i].slot, &to, ST_OK);
        struct net_sim_peer *host = NULL;

        f->g.text = rows[i].text;
        f->g.to_send = strlen(rows[i].text);
        f->g.remote = at;
        net_sim_next_connect(w->net, ST_OK, 0);
        sim_world_connect(w, f);
        for (unsigned turn = 0; turn < 4 && !host; turn++) {
            sim_wire_run(&w->wire);
            host = net_sim_take_connected(w->net);
        }
        assert_non_null(host);
        tcp_guest_run(&f->g, sim_now_ms(w->sim));
        sim_wire_run(&w->wire);
        assert_string_equal(net_sim_peer_text(host), rows[i].text);
    }
    sim_world_free(w);
}

/* CVE-2021-20199: what came through a forward looked like the guest's own loopback. */
static void forward_source_never_loopback(void **state)
{
    struct sim_world *w = sim_world_new(1, FRAME_QEMU, NULL);
    struct world_flow *f = sim_world_dial_in(w, 0);

    assert_non_null(f);
    f->down_total = 5;
    f->host_ends = f->g.ends = true;
    sim_world_host_sends(f, 5);
    sim_world_run_ms(w, 100);
    assert_true(world_flow_is_done(f));
    assert_true(ip_addr_equal(&f->g.remote.addr, &w->config.gateway));
    sim_world_free(w);
}

/* CVE-2024-10026, 10603: ports and first sequence numbers of a stack could be foretold. */
static void ephemeral_port_entropy(void **state)
{
    enum { SEEN = WORLD_FLOWS_MAX };
    struct sim_world *w = sim_world_new(1, FRAME_QEMU, NULL);
    unsigned near = 0;

    for (unsigned i = 0; i < SEEN; i++)
        assert_non_null(sim_world_dial_in(w, i));
    sim_world_run_ms(w, 50);
    for (unsigned i = 0; i < SEEN; i++) {
        const struct tcp_guest *a = &w->flows[i].g;

        assert_int_equal(a->state, TG_OPEN);
        assert_true(a->remote.port >= 0x8000);
        for (unsigned k = 0; k < i; k++) {
            const struct tcp_guest *b = &w->flows[k].g;

            assert_true(a->remote.port != b->remote.port && a->irs != b->irs);
            near += a->remote.port - b->remote.port + 16U < 32;
            near += a->irs - b->irs + 0x100000U < 0x200000;
        }
    }
    assert_in_range(near, 0, 3); /* of 276 pairs, where chance has 0.4 */
    sim_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_names_and_the_api_are_open_at_the_gateway),
        cmocka_unit_test(engine_api_not_on_switch_net),
        cmocka_unit_test(there_is_no_tftp_server),
        cmocka_unit_test(no_unexpected_listener),
        cmocka_unit_test(what_others_rewrite_passes_unchanged),
        cmocka_unit_test(forward_source_never_loopback),
        cmocka_unit_test(ephemeral_port_entropy),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
