/* SPDX-License-Identifier: Apache-2.0
 * sim_guest.c - see sim_guest.h. Owns the sim, the host's network and resolver, and the switch.
 */
#include "support/sim_guest.h"

#include "support/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

/* ---- what the switch gets ---------------------------------------------------------------- */

static uint64_t random_state;

static enum status repeatable_random(void *buf, size_t len_bytes)
{
    uint8_t *p = buf;

    for (size_t i = 0; i < len_bytes; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        p[i] = (uint8_t)(random_state >> 56);
    }
    return ST_OK;
}

static void start_switch(struct sim_guest *g, const struct switch_config *config)
{
    struct switch_env env = { .loop = sim_loop(g->sim),
                              .net = net_sim_net(g->net),
                              .resolver = resolver_sim_resolver(g->resolver),
                              .random = repeatable_random };
    struct errmsg e = { "" };

    if (switch_new(&g->sw, &env, config, &e))
        fail_msg("switch_new: %s", e.text);
}

struct sim_guest *sim_guest_new(const struct switch_config *config, enum frame_protocol protocol)
{
    struct sim_guest *g = calloc(1, sizeof *g);
    struct switch_config c = { .ip6 = true };
    struct errmsg e = { "" };

    assert_non_null(g);
    if (config)
        c = *config;
    if (switch_config_finish(&c, &e))
        fail_msg("switch_config_finish: %s", e.text);
    random_state = 1;
    g->sim = sim_new();
    g->net = net_sim_new(g->sim);
    g->resolver = resolver_sim_new(g->sim);
    g->protocol = protocol;
    g->ip4 = c.guest;
    g->ip6 = c.net6;
    g->ip6.b[15] = 2;
    start_switch(g, &c);
    sim_guest_attach(g);
    return g;
}

void sim_guest_free(struct sim_guest *g)
{
    if (!g)
        return;
    switch_free(g->sw);
    net_sim_free(g->net);
    resolver_sim_free(g->resolver);
    sim_free(g->sim);
    free(g);
}

void sim_guest_attach(struct sim_guest *g)
{
    struct stream *s;

    g->link = sim_stream(g->sim, &s);
    g->taken = 0;
    assert_int_equal(switch_attach(g->sw, s, (int)g->protocol), ST_OK);
    sim_run(g->sim);
}

void sim_guest_cut(struct sim_guest *g)
{
    sim_peer_reset(g->link, ST_RESET);
    sim_run(g->sim);
    g->link = NULL;
}

/* ---- guest to switch --------------------------------------------------------------------- */

void guest_queues(struct sim_guest *g, const struct frame *f)
{
    static uint8_t wrapped[FRAME_MAX_BYTES + 16];
    size_t len = frame_wrap(wrapped, g->protocol, f->b, f->len_bytes);

    sim_peer_send(g->link, wrapped, len);
}

void guest_sends(struct sim_guest *g, const struct frame *f)
{
    guest_queues(g, f);
    sim_run(g->sim);
}

/* virtio 1.2, 5.1.6: flags, gso_type, then five little-endian numbers. */
static void put_vnet(uint8_t *p, const struct frame_offload *off)
{
    static const uint8_t gso_type[] = {
        [FRAME_GSO_NONE] = 0, [FRAME_GSO_TCP4] = 1, [FRAME_GSO_TCP6] = 4, [FRAME_GSO_UDP] = 5
    };
    const uint16_t numbers[] = { off->header_bytes, off->gso_size, off->csum_start,
                                 off->csum_offset };

    p[0] = (uint8_t)((off->needs_csum ? 1 : 0) | (off->csum_valid ? 2 : 0));
    p[1] = gso_type[off->gso];
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        p[2 + 2 * i] = (uint8_t)numbers[i];
        p[3 + 2 * i] = (uint8_t)(numbers[i] >> 8);
    }
}

void guest_sends_offload(struct sim_guest *g, const struct frame *f,
                         const struct frame_offload *off)
{
    static uint8_t wrapped[FRAME_MAX_BYTES + 16];
    size_t len = frame_wrap(wrapped, g->protocol, f->b, f->len_bytes);

    assert_int_equal(g->protocol, FRAME_V2);
    put_vnet(wrapped + 4, off);
    sim_peer_send(g->link, wrapped, len);
    sim_run(g->sim);
}

void clock_advance_ms(struct sim_guest *g, uint64_t ms)
{
    sim_advance_ms(g->sim, ms);
}

/* ---- switch to guest --------------------------------------------------------------------- */

static bool next_frame(struct sim_guest *g, struct frame_view *v)
{
    const uint8_t *p, *frame;
    size_t left, len;

    if (!g->link)
        return false;
    p = sim_peer_data(g->link, &left);
    if (left == g->taken)
        return false;
    p += g->taken;
    left -= g->taken;
    len = left;
    memset(&g->last_offload, 0, sizeof g->last_offload);
    if (!frame_unwrap(g->protocol, &p, &left, &frame, &len, &g->last_offload))
        fail_msg("half a frame on the link");
    memcpy(g->last.b, frame, len);
    g->last.len_bytes = len;
    (void)sim_peer_data(g->link, &len);
    g->taken = len - left;
    frame_expect_offload(v, g->last.b, g->last.len_bytes, &g->last_offload);
    return true;
}

static void answer_arp(struct sim_guest *g, const struct frame_view *v)
{
    char src[IP_ADDR_TEXT_MAX], dst[IP_ADDR_TEXT_MAX];
    struct frame_path path;
    struct frame f;

    if (!ip_addr_equal(&v->arp.target, &g->ip4))
        return;
    path = frame_path(ip_addr_format(&g->ip4, src), ip_addr_format(&v->arp.sender, dst));
    frame_arp_reply(&f, &path);
    guest_sends(g, &f);
}

static void answer_solicit(struct sim_guest *g, const struct frame_view *v)
{
    enum { SOLICITED_OVERRIDE = 0x60 };
    struct bytes r = bytes_of(v->payload, v->payload_bytes);
    char src[IP_ADDR_TEXT_MAX], dst[IP_ADDR_TEXT_MAX];
    struct ndp_neighbour n;
    uint8_t body[64];
    struct bytes_out w = bytes_into(body, sizeof body);
    struct frame_path path;
    struct frame f;

    assert_int_equal(ndp_decode(&n, v->icmp.type, &r), ST_OK);
    if (!ip_addr_equal(&n.target, &g->ip6))
        return;
    path = frame_path(ip_addr_format(&g->ip6, src), ip_addr_format(&v->ip.src, dst));
    path.ttl = 255;
    n.has_link_address = true;
    n.link_address = frame_guest_mac;
    ndp_put(&w, ICMP6_NEIGHBOUR_ADVERT, &n);
    frame_icmp(&f, &path, ICMP6_NEIGHBOUR_ADVERT, 0, (uint32_t)SOLICITED_OVERRIDE << 24, body,
               w.len_bytes);
    guest_sends(g, &f);
}

/* Whether the guest's kernel dealt with it by itself. */
static bool is_neighbour_business(struct sim_guest *g, const struct frame_view *v)
{
    if (g->shows_neighbours)
        return false;
    if (v->is_arp && v->arp.op == ARP_REQUEST) {
        answer_arp(g, v);
        return true;
    }
    if (!v->is_icmp || !v->is_ip6)
        return false;
    if (v->icmp.type == ICMP6_NEIGHBOUR_SOLICIT)
        answer_solicit(g, v);
    if (v->icmp.type == ICMP6_ROUTER_ADVERT)
        g->adverts++;
    return v->icmp.type == ICMP6_NEIGHBOUR_SOLICIT || v->icmp.type == ICMP6_ROUTER_ADVERT;
}

bool guest_gets(struct sim_guest *g, struct frame_view *v)
{
    sim_run(g->sim);
    while (next_frame(g, v)) {
        if (!is_neighbour_business(g, v))
            return true;
    }
    return false;
}

void expect_guest_gets(struct sim_guest *g, struct frame_view *v)
{
    if (!guest_gets(g, v))
        fail_msg("the guest gets nothing");
}

void expect_guest_gets_nothing(struct sim_guest *g)
{
    char text[FRAME_TEXT_MAX];
    struct frame_view v;

    if (guest_gets(g, &v))
        fail_msg("the guest gets %s", frame_describe(text, v.frame, v.len_bytes));
}

const struct switch_counters *guest_counters(const struct sim_guest *g)
{
    return switch_get_counters(g->sw);
}

struct switch_census guest_census(const struct sim_guest *g)
{
    struct switch_census c;

    switch_get_census(g->sw, &c);
    return c;
}
