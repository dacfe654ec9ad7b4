/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes what a guest may say and do in the handshake: the signature matcher by itself, then a
 * whole guest session on the simulator, where the input is a script for the guest and for the host
 * switch, which listens for its links.
 *
 * The script is one letter a step, so that a seed can be read:
 *
 *   A B V N  the port of generation A, B, of the agent's bridge, of its network unit: opens, or
 *          closes again
 *   h      the next dial hangs
 *   q      the switch: everything that is asked for becomes, or is not any more, listened for
 *   y      ... and when it is asked it says so at once, or only at the next q
 *   n      the next connection made to any of the ports becomes the current one
 *   1 2    signature A, signature B is sent on it
 *   s      ... or the bytes that follow: a length byte, then so many of them
 *   p      it delivers byte by byte      k  it takes only the first two bytes written to it
 *   e r    it ends, is reset
 *   d D v  the guest dials the data port of A, of B, of v2, where somebody listens
 *   l L u  the link of A, of B, of v2 is said to have ended
 *   f      a frame came on the link of A
 *   t T M  a tenth of a second, one second, ten seconds pass
 *   w      probe now                     x  the machine goes and a new one comes
 *
 * Checked: nothing but READY is ever sent to a handshake port, READY only while the data port is
 * listened at, and nothing stays open in the end (sim_free() aborts).
 */
#include "base/log.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "vm/guest_session.h"
#include "vm/handshake.h"
#include "vm/vm_source.h"

#include <string.h>

enum { PEERS_MAX = 64, STEPS_MAX = 400 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

/* ---- the matcher -------------------------------------------------------------------------- */

static enum match_result match_in_pieces(const struct signature *want, const uint8_t *data,
                                         size_t len_bytes, size_t piece_bytes)
{
    struct signature_match m;
    enum match_result r = MATCH_NEED_MORE;

    signature_match_init(&m, want);
    for (size_t at = 0; at < len_bytes; at += piece_bytes)
        r = signature_match_feed(&m, data + at, MIN(piece_bytes, len_bytes - at));
    return r;
}

static void fuzz_matcher(const struct signature *want, const uint8_t *data, size_t len_bytes)
{
    size_t common = MIN(len_bytes, want->len_bytes);
    enum match_result expected = memcmp(data, want->text, common) != 0 ? MATCH_NO
                                 : common == want->len_bytes           ? MATCH_YES
                                                                       : MATCH_NEED_MORE;

    for (size_t piece_bytes = 1; piece_bytes <= 70; piece_bytes += 23)
        ASSERT(match_in_pieces(want, data, len_bytes, piece_bytes) == expected);
}

/* ---- the session -------------------------------------------------------------------------- */

struct world {
    struct sim *sim;
    struct guest_session *s;
    struct vm_info vm;
    bool open_a, open_b, open_v2, open_net, next_hangs;
    bool switch_fails, switch_waits;
    bool wanted[GUEST_GENERATION_COUNT], listening[GUEST_GENERATION_COUNT];
    struct sim_peer *peers[PEERS_MAX];
    unsigned peer_count;
    struct sim_peer *current;
};

static struct sim_dial_answer decide(void *ctx, const struct addr *to)
{
    struct world *w = ctx;
    bool is_open = to->port == 6669   ? w->open_a
                   : to->port == 6670 ? w->open_b
                   : to->port == 6680 ? w->open_v2
                                      : w->open_net;
    struct sim_dial_answer answer = { is_open ? ST_OK : ST_REFUSED, 0 };

    if (w->next_hangs)
        answer = (struct sim_dial_answer){ ST_OK, SIM_NEVER };
    w->next_hangs = false;
    return answer;
}

static void on_change(void *ctx, struct guest_session *s)
{
    struct session_view v;

    guest_session_view(s, &v);
    ASSERT(condition_find(&v.conditions, "GuestFound"));
}

static void say(struct world *w, enum guest_generation generation)
{
    w->listening[generation] = !w->switch_fails;
    guest_session_link_ready(w->s, generation, w->switch_fails ? ST_EXISTS : ST_OK, "as told");
}

static void on_want(void *ctx, struct guest_session *s, enum guest_generation generation,
                    uint32_t data_port, const struct link_token *token)
{
    struct world *w = ctx;

    w->wanted[generation] = true;
    w->s = s; /* it may ask before its creator has it */
    if (!w->switch_waits)
        say(w, generation);
}

static void on_release(void *ctx, struct guest_session *s, enum guest_generation generation)
{
    struct world *w = ctx;

    ASSERT(w->wanted[generation]);
    w->wanted[generation] = w->listening[generation] = false;
}

static void on_published(void *ctx, struct guest_session *s,
                         const Rdlink__V1__PublishedPorts *ports)
{
}

static const struct session_ops ops = { .on_change = on_change,
                                        .want_link = on_want,
                                        .release_link = on_release,
                                        .on_published = on_published,
                                        .on_relayed = on_published };

static void start_session(struct world *w)
{
    const struct session_config config = { 0 };

    ASSERT(guest_session_new(&w->s, sim_loop(w->sim), &w->vm, "fuzz", &config, &ops, w) == ST_OK);
}

static void take_next_peer(struct world *w)
{
    struct sim_peer *p = sim_take_dialled(w->sim);

    if (!p || w->peer_count == PEERS_MAX)
        return;
    w->peers[w->peer_count++] = p;
    w->current = p;
}

static void check_what_we_said(struct world *w)
{
    for (unsigned i = 0; i < w->peer_count; i++) {
        uint32_t port = sim_peer_dialled_to(w->peers[i])->port;
        size_t len_bytes;
        const uint8_t *said = sim_peer_data(w->peers[i], &len_bytes);

        if (port == 6680 || port == 6681 || len_bytes == 0)
            continue;
        ASSERT(len_bytes <= 5 && memcmp(said, "READY", len_bytes) == 0);
        ASSERT(sim_peer_is_closed(w->peers[i]) || w->listening[port == 6669 ? GUEST_A : GUEST_B]);
    }
}

static void dial_data(struct world *w, enum guest_generation generation)
{
    if (w->listening[generation])
        guest_session_on_link_start(w->s, generation);
}

static void turn_switch(struct world *w)
{
    w->switch_fails = !w->switch_fails;
    for (unsigned g = GUEST_A; g < GUEST_GENERATION_COUNT; g++)
        if (w->wanted[g])
            say(w, (enum guest_generation)g);
}

static size_t send_raw(struct world *w, const uint8_t *data, size_t len_bytes)
{
    size_t n = len_bytes > 0 ? MIN((size_t)data[0], len_bytes - 1) : 0;

    if (n > 0 && w->current)
        sim_peer_send(w->current, data + 1, n);
    return len_bytes > 0 ? n + 1 : 0;
}

/* Steps that need a current connection. */
static void act_on_peer(struct sim_peer *p, uint8_t letter)
{
    if (!p)
        return;
    switch (letter) {
    case '1': sim_peer_send_text(p, SIGNATURE_A.text); break;
    case '2': sim_peer_send_text(p, SIGNATURE_B.text); break;
    case 'p': sim_peer_set_piece(p, 1); break;
    case 'k': sim_peer_set_room(p, 2); break;
    case 'e': sim_peer_end(p); break;
    case 'r': sim_peer_reset(p, ST_RESET); break;
    default: break;
    }
}

static void act(struct world *w, uint8_t letter)
{
    switch (letter) {
    case 'A': w->open_a = !w->open_a; break;
    case 'B': w->open_b = !w->open_b; break;
    case 'V': w->open_v2 = !w->open_v2; break;
    case 'h': w->next_hangs = true; break;
    case 'N': w->open_net = !w->open_net; break;
    case 'q': turn_switch(w); break;
    case 'y': w->switch_waits = !w->switch_waits; break;
    case 'n': take_next_peer(w); break;
    case 'd': dial_data(w, GUEST_A); break;
    case 'D': dial_data(w, GUEST_B); break;
    case 'v': dial_data(w, GUEST_V2); break;
    case 'u': guest_session_on_link_end(w->s, GUEST_V2, ST_EOF); break;
    case 'l': guest_session_on_link_end(w->s, GUEST_A, ST_EOF); break;
    case 'L': guest_session_on_link_end(w->s, GUEST_B, ST_RESET); break;
    case 'f': guest_session_on_link_activity(w->s, GUEST_A); break;
    case 't': sim_advance_ms(w->sim, 100); break;
    case 'T': sim_advance_ms(w->sim, 1000); break;
    case 'M': sim_advance_ms(w->sim, 10000); break;
    case 'w': guest_session_probe_now(w->s); break;
    case 'x':
        guest_session_free(w->s);
        memset(w->wanted, 0, sizeof w->wanted);
        memset(w->listening, 0, sizeof w->listening);
        start_session(w);
        break;
    default: act_on_peer(w->current, letter); break;
    }
    if (letter == 'e' || letter == 'r')
        w->current = NULL; /* it has nothing more to say */
}

static void fuzz_session(const uint8_t *data, size_t len_bytes)
{
    struct world w = { .vm = { .id = "vm",
                               .addr = { .kind = ADDR_VSOCK_HYBRID,
                                         .path = "/vm",
                                         .port = ADDR_PORT_NONE,
                                         .fd = -1 } } };
    size_t at = 0;

    w.sim = sim_new();
    sim_on_dial(w.sim, decide, &w);
    start_session(&w);
    for (unsigned step = 0; step < STEPS_MAX && at < len_bytes; step++) {
        uint8_t letter = data[at++];

        if (letter == 's')
            at += send_raw(&w, data + at, len_bytes - at);
        else
            act(&w, letter);
        sim_run(w.sim);
        check_what_we_said(&w);
    }
    guest_session_free(w.s);
    sim_advance_ms(w.sim, 1500); /* a channel may take a second to send its last bytes */
    sim_free(w.sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    log_set_level(LOG_ERROR);
    fuzz_matcher(&SIGNATURE_A, data, len_bytes);
    fuzz_matcher(&SIGNATURE_B, data, len_bytes);
    fuzz_session(data, len_bytes);
    return 0;
}
