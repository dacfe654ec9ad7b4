/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the guest's side of Rancher's handshake: the input is a script for whoever connects, one
 * letter a step.
 *
 *   c      somebody connects: the byte that follows is the CID (2 is the host)
 *   0..9   the connection of that number becomes the current one
 *   R      it says READY           s      it says the bytes that follow: a length byte, then them
 *   p      its bytes come one by one
 *   e r    it ends, is reset       k      it takes nothing of what is written to it
 *   t T    a tenth of a second, five seconds pass
 *
 * Checked: only CID 2 ever hears a byte, and that is the signature or its beginning; READY is
 * reported at most once for each connection of the host that began with that word; no more than
 * eight conversations are open; nothing stays open in the end.
 */
#include "base/log.h"
#include "guestagent/net/handshake_server.h"
#include "port/addr.h"
#include "port/sim/stream_sim.h"

#include <stdbool.h>
#include <string.h>

enum { PEERS_MAX = 64, WORD_BYTES = 5, TALKS_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static const char signature[] = "github.com/rancher-sandbox/rancher-desktop/src/go/networking";

struct caller {
    struct sim_peer *peer;
    uint32_t cid;
    bool mute;             /* ended or reset: it has nothing more to say */
    char word[WORD_BYTES]; /* what it said first */
    size_t said;
};

struct world {
    struct sim *sim;
    struct addr at;
    struct caller callers[PEERS_MAX];
    unsigned count;
    struct caller *current;
    unsigned readies;
};

static void on_ready(void *ctx, enum rancher_generation generation)
{
    struct world *w = ctx;

    ASSERT(generation == RANCHER_A);
    w->readies++;
}

static void connect_as(struct world *w, uint32_t cid)
{
    struct peer who = sim_vsock_peer(cid);

    if (w->count == PEERS_MAX)
        return;
    w->current = &w->callers[w->count++];
    w->current->cid = cid;
    w->current->peer = sim_connect(w->sim, &w->at, &who);
    ASSERT(w->current->peer); /* it listens for life */
}

static void speak(struct caller *c, const void *data, size_t len_bytes)
{
    size_t n = c->said < WORD_BYTES ? MIN(WORD_BYTES - c->said, len_bytes) : 0;

    memcpy(c->word + c->said, data, n);
    c->said += n;
    sim_peer_send(c->peer, data, len_bytes);
}

static size_t say(struct world *w, const uint8_t *data, size_t len_bytes)
{
    size_t n = len_bytes > 0 ? MIN((size_t)data[0], len_bytes - 1) : 0;

    if (n > 0 && w->current && !w->current->mute)
        speak(w->current, data + 1, n);
    return len_bytes > 0 ? n + 1 : 0;
}

static void act_on(struct caller *c, uint8_t letter)
{
    if (!c || c->mute)
        return;
    switch (letter) {
    case 'R': speak(c, "READY", WORD_BYTES); break;
    case 'p': sim_peer_set_piece(c->peer, 1); break;
    case 'k': sim_peer_set_room(c->peer, 0); break;
    case 'e':
        sim_peer_end(c->peer);
        c->mute = true;
        break;
    case 'r':
        sim_peer_reset(c->peer, ST_RESET);
        c->mute = true;
        break;
    default: break;
    }
}

static void act(struct world *w, uint8_t letter)
{
    if (letter >= '0' && letter <= '9') {
        if ((unsigned)(letter - '0') < w->count)
            w->current = &w->callers[letter - '0'];
    } else if (letter == 't' || letter == 'T') {
        sim_advance_ms(w->sim, letter == 't' ? 100 : 5000);
    } else {
        act_on(w->current, letter);
    }
}

static void check(const struct world *w, const struct handshake_stats *stats)
{
    unsigned open = 0, expected = 0;

    for (unsigned i = 0; i < w->count; i++) {
        const struct caller *c = &w->callers[i];
        size_t len;
        const uint8_t *heard = sim_peer_data(c->peer, &len);

        ASSERT(len < sizeof signature && (len == 0 || memcmp(heard, signature, len) == 0));
        ASSERT(c->cid == ADDR_CID_HOST || (len == 0 && sim_peer_is_closed(c->peer)));
        open += !sim_peer_is_closed(c->peer);
        expected += c->cid == ADDR_CID_HOST && memcmp(c->word, "READY", WORD_BYTES) == 0;
    }
    ASSERT(open <= TALKS_MAX && open == sim_open_streams(w->sim));
    ASSERT(stats->readies == w->readies && w->readies <= expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    struct world w = { .readies = 0 };
    struct handshake_server *server;
    size_t at = 0;

    log_set_level(LOG_ERROR);
    w.sim = sim_new();
    ASSERT(addr_parse(&w.at, "vsock:6669", NULL) == ST_OK);
    ASSERT(handshake_server_new(&server, sim_loop(w.sim), RANCHER_A, &w.at, on_ready, &w, NULL) ==
           ST_OK);
    while (at < len_bytes) {
        uint8_t letter = data[at++];

        if (letter == 'c')
            connect_as(&w, at < len_bytes ? data[at++] : ADDR_CID_HOST);
        else if (letter == 's')
            at += say(&w, data + at, len_bytes - at);
        else
            act(&w, letter);
        sim_run(w.sim);
        check(&w, handshake_server_stats(server));
    }
    handshake_server_free(server);
    ASSERT(sim_open_streams(w.sim) == 0);
    sim_free(w.sim);
    return 0;
}
