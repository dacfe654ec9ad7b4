/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the protobuf stream: the envelope reader by itself, cut in two ways that must agree, then
 * a whole channel on the simulator. The first byte chooses the channel: bits 0-1 and 5 our side
 * and role, bit 2 byte-wise delivery, bit 3 a good greeting before the input, bit 4 an end after
 * it, bit 6 takes part in a proof with a key, bit 7 requires it.
 *
 * Checked: both cuts give the same messages and the same end; the reader never holds more than
 * arrived; a channel tells one end at most, and nothing stays open; nobody is proved who does not
 * have the key, nor taken where proof is required.
 */
#include "base/util.h"
#include "ipc/channel.h"
#include "ipc/envelope.h"
#include "ipc/health.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

/* ---- the reader --------------------------------------------------------------------------- */

struct outcome {
    unsigned messages;
    size_t body_bytes; /* of all messages, packed again */
    enum status st;
    enum channel_end why;
};

static struct outcome read_in_pieces(const uint8_t *data, size_t len_bytes, size_t piece_bytes)
{
    struct outcome o = { .st = ST_QUEUED, .why = CHANNEL_END_COUNT };
    struct envelope_reader r = { .have_bytes = 0 };

    for (size_t at = 0; at < len_bytes && o.st == ST_QUEUED; at += piece_bytes) {
        const uint8_t *p = data + at;
        size_t left = MIN(len_bytes - at, piece_bytes);

        while (left > 0) {
            Rdlink__V1__Envelope *msg = NULL;

            o.st = envelope_read(&r, &p, &left, &msg, &o.why);
            ASSERT(r.cap_bytes <= MAX(2 * len_bytes, 256u));
            if (o.st != ST_OK)
                break;
            o.messages++;
            o.body_bytes += rdlink__v1__envelope__get_packed_size(msg);
            rdlink__v1__envelope__free_unpacked(msg, NULL);
            o.st = ST_QUEUED;
        }
    }
    envelope_reader_fini(&r);
    return o;
}

static void fuzz_reader(const uint8_t *data, size_t len_bytes)
{
    struct outcome whole = read_in_pieces(data, len_bytes, len_bytes ? len_bytes : 1);
    struct outcome bytewise = read_in_pieces(data, len_bytes, 1);

    ASSERT(whole.messages == bytewise.messages && whole.body_bytes == bytewise.body_bytes);
    ASSERT(whole.st == bytewise.st && whole.why == bytewise.why);
}

/* ---- the channel -------------------------------------------------------------------------- */

static const struct kind {
    enum channel_side side;
    Rdlink__V1__Role ours, theirs;
} kinds[] = {
    { CHANNEL_OPENER, RDLINK__V1__ROLE__ROLE_CONTROLLER, RDLINK__V1__ROLE__ROLE_WORKER_DOCKER },
    { CHANNEL_ACCEPTOR, RDLINK__V1__ROLE__ROLE_WORKER_DOCKER, RDLINK__V1__ROLE__ROLE_CONTROLLER },
    { CHANNEL_OPENER, RDLINK__V1__ROLE__ROLE_CONTROLLER, RDLINK__V1__ROLE__ROLE_AGENT_BRIDGE },
    { CHANNEL_ACCEPTOR, RDLINK__V1__ROLE__ROLE_AGENT_BRIDGE, RDLINK__V1__ROLE__ROLE_CONTROLLER },
    { CHANNEL_OPENER, RDLINK__V1__ROLE__ROLE_CONTROLLER, RDLINK__V1__ROLE__ROLE_WORKER_SWITCH },
    { CHANNEL_ACCEPTOR, RDLINK__V1__ROLE__ROLE_WORKER_SWITCH, RDLINK__V1__ROLE__ROLE_CONTROLLER },
    { CHANNEL_OPENER, RDLINK__V1__ROLE__ROLE_CONTROLLER, RDLINK__V1__ROLE__ROLE_AGENT_NET },
    { CHANNEL_ACCEPTOR, RDLINK__V1__ROLE__ROLE_AGENT_NET, RDLINK__V1__ROLE__ROLE_CONTROLLER },
};

struct world {
    bool is_required;
    unsigned opened, ended;
    struct health_report health;
};

static void on_open(void *ctx, const struct channel_peer *peer)
{
    struct world *w = ctx;

    ASSERT(++w->opened == 1);
    ASSERT(!w->is_required && peer->proved != CHANNEL_PROVED);
    ASSERT(memchr(peer->instance, '\0', sizeof peer->instance));
}

static void on_message(void *ctx, const Rdlink__V1__Envelope *msg)
{
    struct world *w = ctx;

    ASSERT(w->opened == 1 && w->ended == 0);
    if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_HEALTH)
        health_decode(&w->health, msg->health);
}

static void on_end(void *ctx, enum channel_end why, const char *detail)
{
    struct world *w = ctx;

    ASSERT(++w->ended == 1);
    ASSERT(why < CHANNEL_END_COUNT && detail[0]);
}

static const struct channel_handler handler = { on_open, on_message, on_end };

static enum status find_key(void *ctx, const char *instance, struct proof_key *out)
{
    ASSERT(strlen(instance) < PROOF_INSTANCE_MAX);
    memset(out, 0x5a, sizeof *out);
    return ST_OK;
}

/* Hello or HelloAck with major 1 and the right role. */
static void send_greeting(struct sim_peer *peer, const struct kind *k)
{
    const uint8_t tag = k->side == CHANNEL_ACCEPTOR ? 0x0a : 0x12;
    const uint8_t frame[] = { 6, 0, 0, 0, tag, 4, 0x08, IPC_MAJOR, 0x18, (uint8_t)k->theirs };

    sim_peer_send(peer, frame, sizeof frame);
}

static void fuzz_channel(uint8_t choice, const uint8_t *data, size_t len_bytes)
{
    const struct kind *k = &kinds[(choice & 3) | (choice >> 3 & 4)];
    const struct channel_proof proof = { .find_key = find_key, .is_required = choice >> 7 };
    const struct channel_config config = {
        .side = k->side,
        .role = k->ours,
        .instance = "fuzz",
        .peer_roles = &k->theirs,
        .peer_role_count = 1,
        .silence_ms = 1000,
        .greeting_ms = 500,
        .proof = choice & 64 ? &proof : NULL,
    };
    struct sim *sim = sim_new();
    struct world w = { .is_required = (choice & 0xc0) == 0xc0 };
    struct channel *c = NULL;
    struct stream *s = NULL;
    struct sim_peer *peer = sim_stream(sim, &s);

    ASSERT(channel_new(&c, sim_loop(sim), s, &config, &handler, &w) == ST_OK);
    if (choice & 4)
        sim_peer_set_piece(peer, 1);
    if (choice & 8)
        send_greeting(peer, k);
    sim_peer_send(peer, data, len_bytes);
    if (choice & 16)
        sim_peer_end(peer);
    sim_run(sim);
    ASSERT(!(choice & 8) || w.opened == !w.is_required);
    ASSERT(!(choice & 16) || w.ended == 1);
    sim_advance_ms(sim, 1000);
    ASSERT(w.ended == 1);
    channel_free(c);
    sim_free(sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    if (len_bytes == 0)
        return 0;
    fuzz_reader(data + 1, len_bytes - 1);
    fuzz_channel(data[0], data + 1, len_bytes - 1);
    return 0;
}
