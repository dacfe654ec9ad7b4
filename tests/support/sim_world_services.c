/* SPDX-License-Identifier: Apache-2.0
 * sim_world_services.c - what a sim_world's UDP forward and names by TCP carry, and the rules for
 * it: a datagram reaches the client that it is for, and each question gets at most one answer.
 */
#include "base/util.h"
#include "support/frame_build.h"
#include "support/sim_world_internal.h"

#include <stdio.h>
#include <string.h>

enum { SLOT_PORT_FIRST = 49152, CLIENT_PORT = 41000, UDP_FORWARD_PORT = 8900 };
enum { DNS_HEADER_BYTES = 12, LENGTH_BYTES = 2, RESPONSE = 0x80 };

/* ---- datagrams of the host's clients ------------------------------------------------------ */

static struct ip_endpoint client_at(unsigned client)
{
    return (struct ip_endpoint){ frame_addr("127.0.0.1"), (uint16_t)(CLIENT_PORT + client) };
}

static void open_forward(struct sim_world *w)
{
    struct ip_endpoint guest = { w->ip4, WORLD_UDP_SERVICE_PORT };
    struct errmsg e = { "" };
    char local[32];

    snprintf(local, sizeof local, "127.0.0.1:%u", UDP_FORWARD_PORT);
    if (switch_forward_add(w->sw, SWITCH_FORWARD_UDP, local, &guest, false, &e) != ST_OK)
        return;
    w->udp_forwards = 1;
    for (unsigned i = 0; i < WORLD_UDP_CLIENTS; i++) {
        struct ip_endpoint at = client_at(i);

        net_sim_udp_at(w->net, &at, NET_SIM_UDP_KEEP);
    }
}

void sim_world_udp_in(struct sim_world *w, unsigned client, size_t len_bytes)
{
    struct ip_endpoint from = client_at(client), to = { frame_addr("127.0.0.1"), UDP_FORWARD_PORT };
    uint8_t data[WORLD_UDP_IN_MAX];

    ASSERT(client < WORLD_UDP_CLIENTS && len_bytes <= sizeof data);
    if (!w->udp_forwards)
        open_forward(w);
    if (!w->udp_forwards)
        return;
    memset(data, (int)client + 1, len_bytes);
    ASSERT(net_sim_udp_send(w->net, &from, &to, data, len_bytes));
    w->udp_in_sent++;
}

void world_udp_service(struct sim_world *w, const struct frame_view *v)
{
    static struct frame answer;
    struct frame_path path = { .src_mac = frame_guest_mac,
                               .dst_mac = frame_gateway_mac,
                               .src = w->ip4,
                               .dst = v->ip.src,
                               .ttl = 64 };

    ASSERT(ip_addr_equal(&v->ip.src, &w->config.gateway) && v->udp.src_port >= SLOT_PORT_FIRST);
    w->udp_in_seen++;
    frame_udp(&answer, &path, WORLD_UDP_SERVICE_PORT, v->udp.src_port, v->payload,
              v->payload_bytes);
    sim_wire_send(&w->wire, answer.b, answer.len_bytes, NULL);
}

void world_look_at_clients(struct sim_world *w)
{
    struct net_sim_datagram d;

    while (net_sim_take_datagram(w->net, &d)) {
        unsigned client = (unsigned)d.to.port - CLIENT_PORT;

        ASSERT(client < WORLD_UDP_CLIENTS && d.from.port == UDP_FORWARD_PORT);
        for (size_t i = 0; i < d.len_bytes; i++)
            ASSERT(d.data[i] == client + 1);
        w->udp_in_answered++;
    }
}

/* ---- names by TCP ------------------------------------------------------------------------- */

static void put_question(struct bytes_out *b, uint16_t id, const char *name)
{
    uint8_t message[128];
    struct bytes_out m = bytes_into(message, sizeof message);

    world_put_question(&m, id, name);
    bytes_put_be16(b, (uint16_t)m.len_bytes);
    bytes_put(b, message, m.len_bytes);
}

/* The answers so far: each whole one is to a question of ours that had none yet. */
static unsigned count_answers(const struct world_flow *f)
{
    struct bytes r = bytes_of(f->answer, MIN(f->g.received, sizeof f->answer));
    unsigned seen = 0, count = 0;

    while (r.left >= LENGTH_BYTES) {
        uint16_t len = bytes_be16(&r), id;
        const uint8_t *message = bytes_take(&r, len);

        if (!message)
            break;
        ASSERT(len >= DNS_HEADER_BYTES && (message[2] & RESPONSE));
        id = (uint16_t)(message[0] << 8 | message[1]);
        ASSERT(id < f->questions && !(seen & 1U << id));
        seen |= 1U << id;
        count++;
    }
    return count;
}

static void take_answers(void *ctx, struct tcp_guest *g, const uint8_t *data, size_t len_bytes)
{
    struct world_flow *f = container_of(g, struct world_flow, g);

    ASSERT(g->received + len_bytes <= sizeof f->answer);
    memcpy(f->answer + g->received, data, len_bytes);
}

unsigned world_flow_answers(const struct world_flow *f)
{
    return f->kind == WORLD_NAMES ? count_answers(f) : 0;
}

struct world_flow *sim_world_ask_names(struct sim_world *w, unsigned slot, const char *const *names,
                                       unsigned count)
{
    struct world_flow *f = world_begin_service(w, slot, WORLD_NAMES, 53);
    struct bytes_out b = bytes_into(f->question, sizeof f->question);

    ASSERT(count <= WORLD_NAMES_MAX);
    for (unsigned i = 0; i < count; i++)
        put_question(&b, (uint16_t)i, names[i]);
    ASSERT(bytes_out_ok(&b));
    f->questions = count;
    f->g.text = (const char *)f->question;
    f->g.to_send = b.len_bytes;
    f->g.on_text = take_answers;
    return f;
}
