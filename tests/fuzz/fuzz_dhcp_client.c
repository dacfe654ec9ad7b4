/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the DHCP client of the net unit with a server's answers: each is one byte of length in
 * units of 4, a byte of flags, and its bytes. With flag 2 they are options behind a header that is
 * right for the transaction under way; flag 1 lets time pass before, flag 4 makes that two hours,
 * flag 8 takes the link away and brings it back.
 *
 * Checked: an answer is taken or not without harm; a lease that is told can be put into an
 * interface and its search list into a file; what the client sends decodes, and it sends a bounded
 * number of messages whatever it hears.
 */
#include "base/log.h"
#include "guestagent/net/dhcp_client.h"
#include "port/sim/loop_sim.h"
#include "wire/dhcp.h"

#include <string.h>

enum { FLAG_TIME = 1, FLAG_HEADER = 2, FLAG_HOURS = 4, FLAG_LINK = 8, FRAME_BYTES = 2048 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static const struct mac guest_mac = { { 2, 0, 0, 0, 0, 1 } };

struct world {
    uint32_t xid;
    unsigned sent;
};

static void on_send(void *ctx, const uint8_t *frame, size_t len_bytes)
{
    struct world *w = ctx;
    struct bytes r = bytes_of(frame, len_bytes);
    struct eth_header eth;
    struct ip_header ip;
    struct udp_header udp;
    struct dhcp_message m;

    ASSERT(eth_decode(&eth, &r) == ST_OK && ip4_decode(&ip, &r) == ST_OK);
    ASSERT(udp_decode(&udp, &r) == ST_OK && dhcp_decode(&m, &r) == ST_OK);
    ASSERT(m.type == DHCP_DISCOVER || m.type == DHCP_REQUEST);
    w->xid = m.xid;
    w->sent++;
}

static void on_lease(void *ctx, const struct guest_lease *l)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_. ";

    (void)ctx;
    ASSERT(ip_addr_is_v4(&l->ip) && !ip_addr_is_unspecified(&l->ip));
    ASSERT(!ip_addr_is_multicast(&l->ip) && !ip_addr_is_loopback(&l->ip));
    ASSERT(l->prefix_bits >= 1 && l->prefix_bits <= 32);
    ASSERT(ip_addr_is_unspecified(&l->gateway) ||
           ip_addr_in_prefix(&l->gateway, &l->ip, l->prefix_bits));
    ASSERT(l->mtu == 0 || l->mtu >= 576);
    ASSERT(strlen(l->search) < sizeof l->search && strspn(l->search, allowed) == strlen(l->search));
}

static void on_lost(void *ctx, const char *why)
{
    (void)ctx;
    ASSERT(*why);
}

static const struct dhcp_client_ops ops = { on_send, on_lease, on_lost };

static enum status repeatable_random(void *buf, size_t len_bytes)
{
    static const uint8_t bytes[] = { 7, 1, 8, 2 };

    for (size_t i = 0; i < len_bytes; i++)
        ((uint8_t *)buf)[i] = bytes[i % sizeof bytes];
    return ST_OK;
}

/* The fixed part of an answer, and the cookie. The first bytes of @r choose its address. */
static void put_header(struct bytes_out *w, struct bytes *r, uint32_t xid)
{
    static const uint8_t zeros[DHCP_FIXED_BYTES];
    size_t start = w->len_bytes;

    bytes_put(w, (const uint8_t[]){ 2, 1, 6, 0 }, 4);
    bytes_put_be32(w, xid);
    bytes_put(w, zeros, 8);
    bytes_put_be32(w, (bytes_u8(r) & 1) ? 0xc0a87f00u + bytes_u8(r) : bytes_be32(r));
    bytes_put(w, zeros, 8);
    bytes_put(w, guest_mac.b, sizeof guest_mac.b);
    bytes_put(w, zeros, DHCP_FIXED_BYTES - (w->len_bytes - start));
    bytes_put_be32(w, 0x63825363);
}

/* @body as a datagram of a server's. */
static size_t wrap(uint8_t *frame, const uint8_t *dhcp, size_t len_bytes)
{
    const struct eth_header eth = { .dst = guest_mac, .type = ETH_TYPE_IP4 };
    const struct udp_header udp = { .src_port = DHCP_SERVER_PORT,
                                    .dst_port = DHCP_CLIENT_PORT,
                                    .payload_bytes = (uint16_t)len_bytes };
    const struct ip_header ip = { .src = ip_addr_v4(0xc0a87f01),
                                  .dst = ip_addr_v4(0xffffffff),
                                  .proto = IP_PROTO_UDP,
                                  .ttl = 64,
                                  .payload_bytes = (uint16_t)(UDP_HEADER_BYTES + len_bytes) };
    struct bytes_out w = bytes_into(frame, FRAME_BYTES);

    eth_put(&w, &eth);
    ip4_put(&w, &ip);
    udp_put(&w, &udp);
    bytes_put(&w, dhcp, len_bytes);
    ASSERT(bytes_out_ok(&w));
    return w.len_bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    const struct dhcp_client_config config = { guest_mac, repeatable_random };
    struct bytes r = bytes_of(data, len_bytes);
    struct world w = { .sent = 0 };
    struct sim *sim = sim_new();
    struct dhcp_client *client;

    log_set_level(LOG_ERROR);
    ASSERT(dhcp_client_new(&client, sim_loop(sim), &config, &ops, &w) == ST_OK);
    dhcp_client_start(client);
    sim_run(sim);
    while (r.left) {
        uint8_t units = bytes_u8(&r), flags = bytes_u8(&r), msg[1500], frame[FRAME_BYTES];
        size_t n = MIN(units * 4u, r.left);
        struct bytes body = bytes_of(bytes_take(&r, n), n);
        struct bytes_out out = bytes_into(msg, sizeof msg);
        unsigned before = w.sent;

        if (flags & FLAG_LINK) {
            dhcp_client_stop(client);
            dhcp_client_start(client);
        }
        if (flags & FLAG_TIME)
            sim_advance_ms(sim, flags & FLAG_HOURS ? 7200000 : 20000);
        if (flags & FLAG_HEADER)
            put_header(&out, &body, w.xid);
        if (body.left)
            bytes_put(&out, body.p, body.left);
        dhcp_client_input(client, frame, wrap(frame, msg, out.len_bytes));
        sim_run(sim);
        ASSERT(w.sent - before < 7200 / 10);
    }
    dhcp_client_free(client);
    sim_free(sim);
    return 0;
}
