/* SPDX-License-Identifier: Apache-2.0
 * switch_world_test.c - the whole switch between a guest and a host, by seeds: connections both
 * ways, datagrams, names, pings, while the wire loses, doubles, reorders and damages frames, links
 * break, sockets fail, memory is short, tables are small, readers are slow, and either side resets.
 *
 * What holds at every moment is in sim_world.h. At the end of a seed, when the faults are over:
 *   - each connection that nothing was allowed to end has carried all its bytes both ways;
 *   - one that was reset is known to be so by both sides, one that was refused never opened;
 *   - each question on a connection for names has its answer, unless something was in the way, and
 *     a datagram over the UDP forward comes back to its client and to no other;
 *   - all of that within LIMIT_MS; where nothing fails within PROMPT_MS, and nothing sent twice;
 *   - then nothing is left: no flow, no byte of memory, no socket, no timer.
 * A failing seed is printed; `switch_world_test SEED` replays it, FIRST LAST runs others.
 */
#include "base/log.h"
#include "base/util.h"
#include "support/alloc_fail.h"
#include "support/cmocka_all.h"
#include "support/frame_build.h"
#include "support/sim_world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_MS = 180 * 1000, PROMPT_MS = 500, STEPS = 140, KEEPALIVE_MS = 3 * 3600 * 1000 };

/* What a seed may do. */
struct profile {
    bool wire, cuts, tight, no_memory, socket_errors, resets, slow;
    unsigned flows;
};

struct run {
    struct sim_world *w;
    struct profile p;
    uint64_t dice;
};

static uint64_t current_seed;
static unsigned lossy_resets, flows_done, flows_refused, flows_reset; /* of all seeds */
static unsigned names_answered, datagrams_answered;

static uint32_t pick(struct run *r, uint32_t below)
{
    r->dice = r->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((r->dice >> 33) % below);
}

static bool one_in(struct run *r, uint32_t n)
{
    return pick(r, n) == 0;
}

/* ---- the beginning ------------------------------------------------------------------------ */

static void draw_profile(struct run *r)
{
    struct profile *p = &r->p;

    p->flows = 1 + pick(r, 12);
    p->slow = one_in(r, 2);
    if (one_in(r, 4))
        return; /* nothing fails: nothing may be sent twice */
    p->wire = one_in(r, 2);
    p->cuts = one_in(r, 3);
    p->tight = one_in(r, 4);
    p->no_memory = one_in(r, 4);
    p->socket_errors = one_in(r, 3);
    p->resets = one_in(r, 2);
    if (p->tight)
        p->flows = 6 + pick(r, 12);
}

static struct switch_config draw_config(struct run *r)
{
    static const unsigned mtus[] = { 1500, 1500, 1500, 1280, 9000, 65520 };
    struct switch_config c = { .ip6 = true, .mtu = mtus[pick(r, ARRAY_SIZE(mtus))] };

    c.limits.flow_buffer_bytes = one_in(r, 2) ? 32768 : 0;
    if (r->p.tight)
        c.limits = (struct switch_limits){ .tcp_flows = 6 + pick(r, 6),
                                           .tcp_half_open = 2 + pick(r, 4),
                                           .tcp_half_open_dest = 2,
                                           .udp_flows = 4,
                                           .pings = 2,
                                           .fragments = 2,
                                           .neighbours = 4,
                                           .forwards = 6,
                                           .dns_queries = 2,
                                           .flow_buffer_bytes = 32768,
                                           .total_buffer_bytes = 256 * 1024 };
    return c;
}

static void draw_wire(struct run *r)
{
    struct sim_wire *wire = &r->w->wire;

    wire->faults.delay_ms = one_in(r, 2) ? 0 : pick(r, 8);
    r->w->dial_delay_ms = one_in(r, 2) ? 0 : pick(r, 300);
    if (one_in(r, 4))
        wire->rate_bytes_ms = 10000 + pick(r, 50000);
    if (!r->p.wire)
        return;
    wire->faults.lose = one_in(r, 4) ? 0 : pick(r, 60);
    wire->faults.duplicate = one_in(r, 2) ? 0 : pick(r, 60);
    wire->faults.reorder = one_in(r, 2) ? 0 : pick(r, 200);
    wire->faults.corrupt = one_in(r, 2) ? 0 : pick(r, 40);
}

/* ---- connections -------------------------------------------------------------------------- */

static uint64_t draw_length(struct run *r)
{
    switch (pick(r, 6)) {
    case 0: return 0;
    case 1: return pick(r, 3);
    case 2: return pick(r, 200000);
    default: return pick(r, 12000);
    }
}

static enum status draw_outcome(struct run *r)
{
    static const enum status failures[] = { ST_REFUSED, ST_UNREACHABLE, ST_TIMEOUT,
                                            ST_DENIED,  ST_NOFILES,     ST_RESET };

    return one_in(r, 6) ? failures[pick(r, ARRAY_SIZE(failures))] : ST_OK;
}

static struct ip_addr draw_destination(struct run *r)
{
    static const char *const to[] = { "10.1.2.3",    "10.1.2.3",    "192.168.127.254",
                                      "203.0.113.9", "2001:db8::1", "fd00:72:64::254" };

    return frame_addr(to[pick(r, ARRAY_SIZE(to))]);
}

static void draw_streams(struct run *r, struct world_flow *f)
{
    static const uint8_t scales[] = { 0, 2, 7, 14 };
    struct tcp_guest *g = &f->g;

    g->to_send = draw_length(r);
    g->ends = one_in(r, 2);
    g->keeps_early = one_in(r, 2);
    g->scaling = !one_in(r, 4);
    g->scale = scales[pick(r, ARRAY_SIZE(scales))];
    g->window = one_in(r, 3) ? 20000 + pick(r, 200000) : 1 << 20;
    if (r->w->wire.protocol == FRAME_V2 && one_in(r, 2)) {
        g->gso = true;
        g->segment = (uint16_t)(g->mss + pick(r, 60000 - g->mss % 60000));
        g->segment = MIN(g->segment, 60000);
    }
    f->down_total = draw_length(r);
    f->host_ends = one_in(r, 2);
}

static const char *const names[] = { "host.rancher-desktop.internal", "www.example.org",
                                     "gateway.containers.internal", "a.b.c.example.net" };

/* Several questions on one connection, cut anywhere, by one who may read slowly. */
static void ask_names(struct run *r, unsigned slot)
{
    const char *asked[WORLD_NAMES_MAX];
    unsigned count = 1 + pick(r, WORLD_NAMES_MAX);
    struct world_flow *f;

    for (unsigned i = 0; i < count; i++)
        asked[i] = names[pick(r, ARRAY_SIZE(names))];
    f = sim_world_ask_names(r->w, slot, asked, count);
    if (one_in(r, 2))
        f->g.segment = (uint16_t)(1 + pick(r, 50));
    f->g.ends = one_in(r, 2);
    sim_world_connect(r->w, f);
}

static void open_flow(struct run *r)
{
    struct sim_world *w = r->w;
    unsigned slot = pick(r, MIN(w->flow_count + 1, r->p.flows));
    struct world_flow *f = &w->flows[slot];
    struct ip_addr to = draw_destination(r);

    if (slot < w->flow_count && !world_flow_is_over(f))
        return;
    if (slot < w->flow_count && f->kind != WORLD_IN && !one_in(r, 4)) {
        to = f->g.remote.addr; /* the same two endpoints again */
        if (f->g.takes_all || !f->host_ended)
            return; /* the guest has its TIME-WAIT */
    }
    switch (pick(r, 9)) {
    case 0: sim_world_ask_api(w, slot); break;
    case 1: ask_names(r, slot); break;
    case 2:
    case 3:
        f = sim_world_dial_in(w, slot);
        if (f)
            draw_streams(r, f);
        break;
    default:
        f = sim_world_dial(w, slot, &to, draw_outcome(r));
        draw_streams(r, f);
        sim_world_connect(w, f);
        break;
    }
}

/* Only news is told, or it would pass for duplicate ACKs. */
static void guest_window(struct world_flow *f, uint32_t bytes)
{
    uint32_t most = UINT32_C(65535) << (f->g.scaling ? f->g.scale : 0);
    uint32_t told = f->g.rcv_edge - f->g.rcv_nxt;

    f->g.window = bytes;
    if (f->g.state == TG_OPEN && !f->g.got_fin && MIN(bytes, most) > told)
        tcp_guest_ack(&f->g);
}

static void disturb_flow(struct run *r, struct world_flow *f)
{
    bool slow = r->p.slow;

    switch (pick(r, 10)) {
    case 0:
    case 1:
    case 2:
    case 3: sim_world_host_sends(f, 1 + pick(r, 80000)); break;
    case 4:
        if (f->host && slow)
            net_sim_peer_set_room(f->host, one_in(r, 2) ? 0 : pick(r, 20000));
        break;
    case 5:
        if (f->host)
            net_sim_peer_set_room(f->host, SIZE_MAX);
        break;
    case 6:
        if (f->host)
            net_sim_peer_set_piece(f->host, one_in(r, 2) ? 0 : 1 + pick(r, 3000));
        break;
    case 7:
        if (slow)
            guest_window(f, one_in(r, 2) ? 0 : pick(r, 30000));
        break;
    case 8: guest_window(f, 1 << 20); break;
    default:
        if (r->p.resets && one_in(r, 3))
            one_in(r, 2) ? sim_world_host_resets(f, one_in(r, 2) ? ST_RESET : ST_TIMEOUT)
                         : sim_world_guest_resets(f);
        break;
    }
}

/* ---- the rest of the world ---------------------------------------------------------------- */

static void ask(struct run *r)
{
    static const enum status answers[] = { ST_OK, ST_OK, ST_TIMEOUT, ST_PROTO };
    struct sim_world *w = r->w;
    struct ip_addr to = draw_destination(r);

    switch (pick(r, 8)) {
    case 6:
    case 7: sim_world_udp_in(w, pick(r, WORLD_UDP_CLIENTS), 1 + pick(r, WORLD_UDP_IN_MAX)); break;
    case 0: sim_world_ping(w, &to, pick(r, 1200)); break;
    case 1: sim_world_ping(w, &w->config.gateway, pick(r, 1200)); break;
    case 2:
        sim_world_ask_name(w, (uint16_t)pick(r, 65536), names[pick(r, ARRAY_SIZE(names))]);
        break;
    case 3: sim_world_resolve(w, answers[pick(r, ARRAY_SIZE(answers))]); break;
    case 4: sim_world_ask_address(w); break;
    default:
        sim_world_udp(w, (uint16_t)(4000 + pick(r, 9)), &to,
                      one_in(r, 4) ? pick(r, 6000) : pick(r, 600));
        break;
    }
}

static void socket_fails(struct run *r)
{
    static const enum status why[] = { ST_NOFILES, ST_NOMEM };
    struct sim_world *w = r->w;
    enum status st = why[pick(r, ARRAY_SIZE(why))];

    switch (pick(r, 7)) {
    case 0: net_sim_next_connect_start_fails(w->net, st); break;
    case 1: net_sim_next_listen_fails(w->net, st, "out of files"); break;
    case 2: net_sim_next_udp_open_fails(w->net, st); break;
    case 3: net_sim_next_udp_send_fails(w->net, one_in(r, 2) ? ST_FULL : ST_INVAL); break;
    case 4: net_sim_set_ping_fails(w->net, one_in(r, 2) ? ST_NOFILES : ST_OK); break;
    case 5: resolver_sim_set_ask_fails(w->resolver, one_in(r, 2) ? ST_NOMEM : ST_OK); break;
    default:
        if (w->wire.link)
            sim_peer_next_write_fails(w->wire.link, one_in(r, 2) ? ST_NOMEM : ST_FULL);
        break;
    }
}

static void attach(struct sim_world *w)
{
    while (sim_wire_attach(&w->wire) != ST_OK)
        continue;
}

static void link_breaks(struct run *r)
{
    if (one_in(r, 3)) { /* replaced, not missed */
        attach(r->w);
        return;
    }
    sim_wire_cut(&r->w->wire);
    sim_world_run_ms(r->w, one_in(r, 3) ? pick(r, 3000) : pick(r, 200));
    attach(r->w);
}

static void step(struct run *r)
{
    uint32_t what = pick(r, 100);

    if (what < 25)
        open_flow(r);
    else if (what < 75 && r->w->flow_count > 0)
        disturb_flow(r, &r->w->flows[pick(r, r->w->flow_count)]);
    else if (what < 90)
        ask(r);
    else if (what < 95 && r->p.socket_errors)
        socket_fails(r);
    else if (what < 98 && r->p.cuts)
        link_breaks(r);
    if (!one_in(r, 3))
        sim_world_run_ms(r->w, one_in(r, 12) ? pick(r, 1500) : pick(r, 25));
}

/* ---- the end ------------------------------------------------------------------------------ */

/* Faults stop, everybody reads, sends the rest and ends. */
static void calm(struct run *r)
{
    struct sim_world *w = r->w;

    alloc_fail_stop();
    w->wire.faults = (struct sim_wire_faults){ .delay_ms = w->wire.faults.delay_ms };
    w->wire.rate_bytes_ms = 0;
    net_sim_set_ping_fails(w->net, ST_OK);
    resolver_sim_set_ask_fails(w->resolver, ST_OK);
    sim_world_resolve(w, ST_OK);
    for (unsigned i = 0; i < w->flow_count; i++) {
        struct world_flow *f = &w->flows[i];

        if (f->host) {
            net_sim_peer_set_room(f->host, SIZE_MAX);
            net_sim_peer_set_piece(f->host, 0);
        }
        f->g.ends = f->host_ends = true;
        guest_window(f, 1 << 20);
    }
}

/* A guest whose dial nobody answers gives up, and one that hears nothing any more asks; names are
 * answered. */
static void nudge(struct run *r, uint64_t ms)
{
    sim_world_resolve(r->w, ST_OK);
    for (unsigned i = 0; i < r->w->flow_count; i++) {
        struct world_flow *f = &r->w->flows[i];

        if (f->host && net_sim_peer_is_closed(f->host) && f->g.state == TG_LISTEN)
            f->g.state = TG_CLOSED;
        if (f->g.state == TG_SYN_SENT && ms > 60000)
            f->g.state = TG_CLOSED;
        if (f->g.state == TG_SYN_RCVD && f->host && net_sim_peer_is_closed(f->host))
            f->g.state = TG_RESET;
        if (f->g.state == TG_OPEN && !world_flow_is_done(f) && ms % 5000 == 4500)
            tcp_guest_probe(&f->g);
        sim_world_host_sends(f, UINT64_MAX);
    }
}

static bool all_over(const struct sim_world *w)
{
    for (unsigned i = 0; i < w->flow_count; i++) {
        if (!world_flow_is_over(&w->flows[i]))
            return false;
    }
    return true;
}

/* Nobody answers some, and their guests are patient. */
static bool all_over_but_dials(const struct sim_world *w)
{
    for (unsigned i = 0; i < w->flow_count; i++) {
        if (!world_flow_is_over(&w->flows[i]) && w->flows[i].g.state != TG_SYN_SENT)
            return false;
    }
    return true;
}

static void describe(const struct sim_world *w, const char *what)
{
    fprintf(stderr, "%s at %llu ms\n", what, (unsigned long long)sim_now_ms(w->sim));
    for (unsigned i = 0; i < w->flow_count; i++) {
        const struct world_flow *f = &w->flows[i];

        fprintf(stderr,
                "  flow %u kind %d state %d: up %llu seen, %llu acked of %llu%s; down %llu of %llu "
                "of %llu%s; host %s%s%s; outcome %s%s%s%s\n",
                i, f->kind, f->g.state, (unsigned long long)f->up_seen,
                (unsigned long long)f->g.acked, (unsigned long long)f->g.to_send,
                f->g.fin_acked ? " fin" : "", (unsigned long long)f->g.received,
                (unsigned long long)f->down_sent, (unsigned long long)f->down_total,
                f->g.got_fin ? " fin" : "", f->host ? "there" : "none",
                f->host && net_sim_peer_is_closed(f->host) ? " closed" : "",
                f->host && net_sim_peer_saw_reset(f->host) ? " by reset" : "",
                status_name(f->outcome), f->host_reset ? " host-reset" : "",
                f->guest_reset ? " guest-reset" : "", f->was_open ? " was-open" : "");
    }
}

static void say_seed(void)
{
    /* From SIGABRT too: a garbled seed is better than none. */
    /* NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c) */
    fprintf(stderr, "failed: replay with switch_world_test %llu\n",
            (unsigned long long)current_seed);
}

static void require(const struct sim_world *w, bool ok, const char *what)
{
    if (ok)
        return;
    describe(w, what);
    say_seed();
    fail_msg("%s", what);
}

static bool tables_were_full(struct sim_world *w)
{
    const struct switch_counters *c = switch_get_counters(w->sw);

    return c->tcp_limit_hits + c->tcp_half_open_limit_hits + c->api_limit_hits > 0;
}

/* A handshake whose packets were lost for ten seconds ends in a reset before any byte. */
static bool handshake_was_lost(const struct run *r, const struct world_flow *f)
{
    return (r->p.wire || r->p.cuts) && f->g.acked == 0 && f->g.received == 0 && f->up_seen == 0;
}

static void judge(struct run *r, struct world_flow *f)
{
    struct sim_world *w = r->w;
    bool refusable = f->outcome != ST_OK || r->p.socket_errors || r->p.no_memory ||
                     tables_were_full(w) || handshake_was_lost(r, f);

    if (world_flow_is_done(f)) {
        flows_done++;
        require(w, f->g.takes_all || f->g.received == f->down_total, "bytes are missing");
        if (f->kind == WORLD_NAMES && !r->p.no_memory && !r->p.slow && !r->p.wire && !r->p.cuts)
            require(w, world_flow_answers(f) == f->questions, "a question has no answer");
        names_answered += world_flow_answers(f);
        if (f->kind == WORLD_API && !r->p.no_memory && !tables_were_full(w))
            require(w, strncmp(f->answer, "HTTP/1.1 200", 12) == 0, "the API answers");
        return;
    }
    if (!f->was_open) {
        flows_refused++;
        require(w, refusable, "refused without a reason");
        return;
    }
    flows_reset++;
    if (handshake_was_lost(r, f)) {
        lossy_resets++;
        return;
    }
    if (f->g.takes_all && (r->p.no_memory || tables_were_full(w)))
        return;
    require(w, f->host_reset || f->guest_reset, "reset without a reason");
    require(w,
            !f->guest_reset || !f->host || f->host_reset || net_sim_peer_saw_reset(f->host) ||
                net_sim_peer_saw_end(f->host),
            "the host was not told of the guest's reset");
}

static void finish(struct run *r)
{
    struct sim_world *w = r->w;
    const struct switch_counters *count;
    struct switch_census c;
    uint64_t ms = 0;
    bool clean = !r->p.wire && !r->p.cuts && !r->p.tight && !r->p.no_memory && !r->p.socket_errors;

    calm(r);
    for (; !all_over(w) && ms < LIMIT_MS; ms += 500) {
        nudge(r, ms);
        sim_world_run_ms(w, 500);
        if (clean && ms == PROMPT_MS)
            require(w, all_over_but_dials(w), "nobody is in the way, and it takes its time");
    }
    if (!all_over(w)) { /* only one who has nothing more to hear: keepalive finds out */
        for (unsigned i = 0; i < w->flow_count; i++)
            require(w, world_flow_is_over(&w->flows[i]) || w->flows[i].guest_reset,
                    "a connection stalls");
        sim_world_run_ms(w, KEEPALIVE_MS);
    }
    require(w, all_over(w), "a connection does not end");
    for (unsigned i = 0; i < w->flow_count; i++)
        judge(r, &w->flows[i]);
    sim_world_run_ms(w, 200000);
    c = sim_world_census(w);
    count = switch_get_counters(w->sw);
    require(w, c.tcp_flows + c.tcp_half_open + c.udp_flows + c.pings + c.fragments == 0,
            "a table is not empty");
    require(w, c.buffer_bytes == 0, "memory is not given back");
    require(w, resolver_sim_waiting(w->resolver) == 0, "a question is left");
    require(w, !clean || count->tcp_retransmits == 0, "sent again what nobody lost");
    require(w, !clean || w->udp_in_answered == w->udp_in_sent, "a datagram is lost");
    datagrams_answered += w->udp_in_answered;
}

static uint64_t run_seed(uint64_t seed)
{
    static const enum frame_protocol protocols[] = { FRAME_STDIO, FRAME_QEMU, FRAME_V2, FRAME_V2 };
    struct run r = { .dice = seed * 7919 + 1 };
    struct switch_config c;
    uint64_t hash;

    current_seed = seed;
    draw_profile(&r);
    c = draw_config(&r);
    r.w = sim_world_new(seed + 1, protocols[seed % ARRAY_SIZE(protocols)], &c);
    sim_shuffle(r.w->sim, one_in(&r, 2) ? seed + 1 : 0);
    draw_wire(&r);
    if (r.p.no_memory)
        alloc_fail_randomly(seed, 2 + pick(&r, 30));
    for (unsigned i = 0; i < STEPS; i++)
        step(&r);
    finish(&r);
    hash = r.w->wire.hash;
    sim_world_free(r.w);
    return hash;
}

/* ---- which seeds -------------------------------------------------------------------------- */

static uint64_t first_seed = 0, last_seed = 999;

static void on_abort(int number)
{
    say_seed();
}

static void every_seed_keeps_the_rules(void **state)
{
    for (uint64_t seed = first_seed; seed <= last_seed; seed++)
        run_seed(seed);
    if (last_seed - first_seed >= 100) { /* the rules were put to the test */
        assert_true(flows_done > last_seed - first_seed);
        assert_true(flows_refused > 10 && flows_reset > 10);
        assert_true(names_answered > last_seed - first_seed);
        assert_true(datagrams_answered > last_seed - first_seed);
        assert_true(lossy_resets * 20 < flows_done);
    }
}

static void a_seed_is_one_run(void **state)
{
    unsigned runs = first_seed == last_seed ? 0 : 8;

    for (uint64_t seed = first_seed; seed < first_seed + runs; seed++)
        assert_true(run_seed(seed) == run_seed(seed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_seed_keeps_the_rules),
        cmocka_unit_test(a_seed_is_one_run),
    };

    if (argc > 1)
        first_seed = last_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        last_seed = strtoull(argv[2], NULL, 10);
    log_set_level(LOG_ERROR);
    signal(SIGABRT, on_abort);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
