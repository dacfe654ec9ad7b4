/* SPDX-License-Identifier: Apache-2.0 */
/* THEORY: one rdlink.v1 conversation
 *
 *     opener                    acceptor
 *       |-------- Hello --------->|  major and role are checked; without proof it is OPEN
 *       |<------ HelloAck --------|  the same here; the opener is OPEN
 *       |-------- Proof --------->|  only with nonces in both: the acceptor is OPEN
 *       |<----- any message ----->|
 *
 *     GREETING --> OPEN --anything wrong, end of stream--> ENDED
 *         |  \      ^                                        ^
 *         |   PROVING (acceptor, with nonces)                |
 *         '-----------'---- anything wrong, too slow --------'
 *
 * Life: channel_new() takes the stream and reads it until the channel has ENDED; then the stream is
 * closed, on_end() says why, and channel_free() only gives the memory back. When the owner frees a
 * channel that has not ended, bytes the peer has not taken yet get LINGER_MS to leave: an
 * ExitNotice must not be lost because the reader was slow for a moment.
 *
 * Strictness: a peer that is wrong once is wrong about what we know of each other, so every
 * deviation ends the channel and has a name; the owner opens a new one from a known state. The two
 * tolerated things are what a newer minor version adds: fields we do not know, and messages we do
 * not know once the greeting said whom we talk to. A wrong major is answered before we hang up, so
 * that both logs name the reason.
 *
 * Invariants
 *  - on_end() is called at most once, is the last callback, and never runs inside a call of the
 *    owner: what goes wrong in channel_send() is kept in @pending and told from a timer.
 *  - @depth counts our frames on the stack that will touch the channel again; channel_free() from
 *    a callback leaves the memory to the outermost of them.
 *  - what waits for a peer that does not read is at most MAX_QUEUED_BYTES.
 */
#include "ipc/channel.h"

#include "base/util.h"
#include "base/version.h"
#include "ipc/envelope.h"
#include "ipc/peer_text.h"
#include "port/loop.h"
#include "port/stream.h"
#include "port/sys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_QUEUED_BYTES = 4 * IPC_MAX_MESSAGE,
    LINGER_MS = 1000,
    STOOD_STILL_MS = 1000,
    DETAIL_MAX = 128,
    VERSION_TEXT_MAX = 32
};

enum channel_state { CHANNEL_GREETING, CHANNEL_PROVING, CHANNEL_OPEN, CHANNEL_ENDED };

struct channel {
    struct loop *loop;     /* borrowed */
    struct stream *stream; /* owned; NULL once ended */
    struct channel_config config;
    const struct channel_handler *handler; /* borrowed */
    void *ctx;
    char instance[PROOF_INSTANCE_MAX];
    enum channel_state state;
    struct proof_transcript transcript; /* with a struct channel_proof */
    struct envelope_reader reader;
    struct channel_peer peer;
    uint64_t sent_sequence, seen_sequence; /* of HealthReports */
    struct timer silence;
    uint32_t patience_ms; /* what @silence was started with */
    struct timer later;   /* tells @pending, and bounds lingering */
    bool has_pending;
    enum channel_end pending;
    char detail[DETAIL_MAX];
    uint64_t received; /* complete messages */
    unsigned depth;
    bool is_freed;
    bool is_lingering;
};

static const char *const end_names[] = {
#define X(name, text) [CHANNEL_END_##name] = text,
    CHANNEL_END_LIST(X)
#undef X
};

_Static_assert(ARRAY_SIZE(end_names) == CHANNEL_END_COUNT, "a name for each end");

const char *channel_end_name(enum channel_end why)
{
    return (unsigned)why < CHANNEL_END_COUNT ? end_names[why] : "Unknown";
}

static const char *const proved_names[] = {
#define X(name, text) [CHANNEL_##name] = text,
    CHANNEL_PROVED_LIST(X)
#undef X
};

_Static_assert(ARRAY_SIZE(proved_names) == CHANNEL_PROVED_COUNT, "a name for each");

const char *channel_proved_name(enum channel_proved p)
{
    return (unsigned)p < CHANNEL_PROVED_COUNT ? proved_names[p] : "Unknown";
}

/* ---- which messages a role takes --------------------------------------------------------- */

#define BODY(name) (1u << RDLINK__V1__ENVELOPE__BODY_##name)

/* Ping and Pong are everybody's and handled here; greetings have their own time. */
static const uint32_t taken_by_role[] = {
    [RDLINK__V1__ROLE__ROLE_CONTROLLER] = BODY(HEALTH) | BODY(READY) | BODY(EXIT_NOTICE) |
                                          BODY(FORWARD_CHANGE) | BODY(PUBLISHED_PORTS) |
                                          BODY(RELAYED_PORTS) | BODY(FORWARD_STATES),
    [RDLINK__V1__ROLE__ROLE_WORKER_DOCKER] =
        BODY(DRAIN) | BODY(SHUTDOWN) | BODY(DOCKER_TARGET) | BODY(LOG_LEVELS) | BODY(LOOK_NOW),
    [RDLINK__V1__ROLE__ROLE_WORKER_SWITCH] = BODY(DRAIN) | BODY(SHUTDOWN) | BODY(FORWARD_CHANGE) |
                                             BODY(NETWORK_OFFER) | BODY(LOG_LEVELS) |
                                             BODY(LOOK_NOW),
    [RDLINK__V1__ROLE__ROLE_AGENT_BRIDGE] = BODY(HEALTH) | BODY(READY) | BODY(DRAIN) |
                                            BODY(SHUTDOWN) | BODY(EXIT_NOTICE) | BODY(LOG_LEVELS),
    [RDLINK__V1__ROLE__ROLE_AGENT_NET] = BODY(HEALTH) | BODY(READY) | BODY(DRAIN) | BODY(SHUTDOWN) |
                                         BODY(EXIT_NOTICE) | BODY(NETWORK_OFFER) |
                                         BODY(LOG_LEVELS) | BODY(RELAYED_PORTS),
    [RDLINK__V1__ROLE__ROLE_AGENT_RELAY] = BODY(NETWORK_OFFER) | BODY(RELAYED_PORTS),
};

static bool role_takes(Rdlink__V1__Role role, Rdlink__V1__Envelope__BodyCase body)
{
    return (unsigned)role < ARRAY_SIZE(taken_by_role) && (unsigned)body < 32 &&
           (taken_by_role[role] >> (unsigned)body & 1u) != 0;
}

static const char *body_name(Rdlink__V1__Envelope__BodyCase body)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field(&rdlink__v1__envelope__descriptor, (unsigned)body);

    return f ? f->name : "unknown message";
}

/* ---- the end ------------------------------------------------------------------------------ */

static void destroy(struct channel *c)
{
    timer_stop(&c->silence);
    timer_stop(&c->later);
    stream_close(c->stream);
    envelope_reader_fini(&c->reader);
    free(c);
}

static void enter(struct channel *c)
{
    c->depth++;
}

static void leave(struct channel *c)
{
    if (--c->depth == 0 && c->is_freed && !c->is_lingering)
        destroy(c);
}

/* Call it between enter() and leave(), and touch nothing but those afterwards. */
PRINTF_LIKE(3, 4)
static void end(struct channel *c, enum channel_end why, const char *fmt, ...)
{
    va_list ap;

    if (c->state == CHANNEL_ENDED || c->is_freed)
        return;
    va_start(ap, fmt);
    vsnprintf(c->detail, sizeof c->detail, fmt, ap);
    va_end(ap);
    c->state = CHANNEL_ENDED;
    timer_stop(&c->silence);
    timer_stop(&c->later);
    stream_close(c->stream);
    c->stream = NULL;
    envelope_reader_fini(&c->reader);
    c->handler->on_end(c->ctx, why, c->detail);
}

/* The same from within a call of the owner: on_end() comes from the loop. */
static void end_later(struct channel *c, enum channel_end why, const char *detail)
{
    if (c->has_pending)
        return;
    c->has_pending = true;
    c->pending = why;
    snprintf(c->detail, sizeof c->detail, "%s", detail);
    timer_start(&c->later, 0);
}

static void on_later(void *ctx)
{
    struct channel *c = ctx;
    char detail[DETAIL_MAX];

    if (c->is_freed) {
        destroy(c);
        return;
    }
    memcpy(detail, c->detail, sizeof detail);
    enter(c);
    end(c, c->pending, "%s", detail);
    leave(c);
}

static void start_silence(struct channel *c)
{
    bool is_greeting = c->state < CHANNEL_OPEN && c->config.greeting_ms > 0;
    uint32_t ms = is_greeting ? c->config.greeting_ms : c->config.silence_ms;

    c->patience_ms = ms;
    if (ms > 0)
        timer_start(&c->silence, ms);
}

/* A timer that is late says that we stood still: the computer slept, or the process was stopped.
 * What the peer said meanwhile is still unread, or it slept, too: it gets its time once more. */
static bool we_stood_still(const struct channel *c)
{
    return loop_now_ms(c->loop) - c->silence.due_ms > STOOD_STILL_MS;
}

static void on_silence(void *ctx)
{
    struct channel *c = ctx;

    if (we_stood_still(c)) {
        start_silence(c);
        return;
    }
    enter(c);
    if (c->state < CHANNEL_OPEN && c->config.greeting_ms > 0)
        end(c, CHANNEL_END_SILENT, "no greeting within %u ms", (unsigned)c->config.greeting_ms);
    else
        end(c, CHANNEL_END_SILENT, "nothing heard for %u ms", (unsigned)c->patience_ms);
    leave(c);
}

/* While greeting_ms runs, messages do not buy time. */
static void restart_silence(struct channel *c)
{
    if (c->state < CHANNEL_OPEN && c->config.greeting_ms > 0)
        return;
    timer_stop(&c->silence);
    start_silence(c);
}

/* ---- sending ------------------------------------------------------------------------------ */

static enum status send_frame(struct channel *c, const uint8_t *frame, size_t len_bytes)
{
    enum status st;

    if (stream_queued_bytes(c->stream) + len_bytes > MAX_QUEUED_BYTES) {
        end_later(c, CHANNEL_END_NOT_READING, "peer does not take our messages");
        return ST_FULL;
    }
    st = stream_write(c->stream, frame, len_bytes);
    switch (st) {
    case ST_OK:
    case ST_QUEUED: return ST_OK;
    case ST_FULL: end_later(c, CHANNEL_END_NOT_READING, "peer does not take our messages"); break;
    case ST_NOMEM: end_later(c, CHANNEL_END_NO_MEMORY, "no memory to queue a message"); break;
    default: break; /* the stream is dead: its on_error() ends the channel */
    }
    return st;
}

static enum status send_message(struct channel *c, const Rdlink__V1__Envelope *msg)
{
    uint8_t *frame;
    size_t len_bytes;
    enum status st = envelope_pack(msg, &frame, &len_bytes);

    if (st == ST_NOMEM)
        end_later(c, CHANNEL_END_NO_MEMORY, "no memory to pack a message");
    if (st)
        return st;
    st = send_frame(c, frame, len_bytes);
    free(frame);
    return st;
}

/* Ours, as the messages want it: protobuf-c has no const strings. */
static char *version_text(char buf[static VERSION_TEXT_MAX])
{
    snprintf(buf, VERSION_TEXT_MAX, "%s", rdlink_version());
    return buf;
}

static ProtobufCBinaryData bytes_field(uint8_t *p, size_t len_bytes)
{
    return (ProtobufCBinaryData){ .data = p, .len = len_bytes };
}

static void send_hello(struct channel *c)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Hello hello = RDLINK__V1__HELLO__INIT;
    char version[VERSION_TEXT_MAX];

    hello.major = IPC_MAJOR;
    hello.minor = IPC_MINOR;
    hello.role = c->config.role;
    hello.instance = c->instance;
    hello.pid = (uint64_t)sys_pid();
    hello.version = version_text(version);
    if (c->config.proof)
        hello.nonce = bytes_field(c->transcript.opener_nonce, PROOF_NONCE_BYTES);
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HELLO;
    msg.hello = &hello;
    send_message(c, &msg);
}

/* @mac_bytes 0: no proof of ours. */
static void send_hello_ack(struct channel *c, uint8_t *mac, size_t mac_bytes)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__HelloAck ack = RDLINK__V1__HELLO_ACK__INIT;
    char version[VERSION_TEXT_MAX];

    ack.major = IPC_MAJOR;
    ack.minor = IPC_MINOR;
    ack.role = c->config.role;
    ack.instance = c->instance;
    ack.pid = (uint64_t)sys_pid();
    ack.version = version_text(version);
    if (c->state == CHANNEL_PROVING) {
        ack.nonce = bytes_field(c->transcript.acceptor_nonce, PROOF_NONCE_BYTES);
        ack.proof = bytes_field(mac, mac_bytes);
    }
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_HELLO_ACK;
    msg.hello_ack = &ack;
    send_message(c, &msg);
}

static void send_proof(struct channel *c, uint8_t *mac, size_t mac_bytes)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Proof proof = RDLINK__V1__PROOF__INIT;

    proof.mac = bytes_field(mac, mac_bytes);
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_PROOF;
    msg.proof = &proof;
    send_message(c, &msg);
}

static void send_pong(struct channel *c, uint64_t token)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Pong pong = RDLINK__V1__PONG__INIT;

    pong.token = token;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_PONG;
    msg.pong = &pong;
    send_message(c, &msg);
}

/* Why we hang up, for peers that take it: an opener, here. */
static void send_exit_notice(struct channel *c, enum channel_end why, const char *text)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__ExitNotice notice = RDLINK__V1__EXIT_NOTICE__INIT;
    char reason[32], message[64];

    if (c->config.side != CHANNEL_ACCEPTOR)
        return;
    snprintf(reason, sizeof reason, "%s", channel_end_name(why));
    snprintf(message, sizeof message, "%s", text);
    notice.reason = reason;
    notice.message = message;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_EXIT_NOTICE;
    msg.exit_notice = &notice;
    send_message(c, &msg);
}

static enum status send_health(struct channel *c, Rdlink__V1__Envelope *msg)
{
    enum status st;

    msg->health->sequence = c->sent_sequence + 1;
    st = send_message(c, msg);
    if (st == ST_OK)
        c->sent_sequence++;
    return st;
}

enum status channel_send(struct channel *c, Rdlink__V1__Envelope *msg)
{
    if (c->state != CHANNEL_OPEN || c->has_pending)
        return ST_CLOSED;
    switch (msg->body_case) {
    case RDLINK__V1__ENVELOPE__BODY__NOT_SET:
    case RDLINK__V1__ENVELOPE__BODY_HELLO:
    case RDLINK__V1__ENVELOPE__BODY_HELLO_ACK:
    case RDLINK__V1__ENVELOPE__BODY_PROOF: return ST_INVAL;
    case RDLINK__V1__ENVELOPE__BODY_HEALTH: return send_health(c, msg);
    default: return send_message(c, msg);
    }
}

/* One that is late (on_silence()) has not been looked at: it is no deadline any more. */
static bool is_silence_due_by(const struct channel *c, uint64_t at_ms)
{
    return timer_is_running(&c->silence) && c->silence.due_ms >= loop_now_ms(c->loop) &&
           c->silence.due_ms <= at_ms;
}

void channel_ask(struct channel *c, uint32_t answer_ms)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__Ping ping = RDLINK__V1__PING__INIT;

    msg.body_case = RDLINK__V1__ENVELOPE__BODY_PING;
    msg.ping = &ping;
    if (channel_send(c, &msg) != ST_OK || is_silence_due_by(c, loop_now_ms(c->loop) + answer_ms))
        return;
    c->patience_ms = answer_ms;
    timer_start(&c->silence, answer_ms);
}

/* ---- greeting ----------------------------------------------------------------------------- */

static bool peer_role_is_taken(const struct channel *c, Rdlink__V1__Role role)
{
    for (unsigned i = 0; i < c->config.peer_role_count; i++)
        if (c->config.peer_roles[i] == role)
            return true;
    return false;
}

static void keep_peer(struct channel_peer *p, const Rdlink__V1__Hello *h)
{
    p->major = h->major;
    p->minor = h->minor;
    p->role = h->role;
    p->pid = h->pid;
    peer_text_copy(p->instance, sizeof p->instance, h->instance);
    peer_text_copy(p->version, sizeof p->version, h->version);
}

/* An instance too long for the transcript is cut, on one side only: then no MAC fits. */
static void fill_transcript(struct channel *c, const Rdlink__V1__Hello *h)
{
    struct proof_transcript *t = &c->transcript;
    bool accepts = c->config.side == CHANNEL_ACCEPTOR;

    t->major = h->major;
    t->opener_role = (uint32_t)(accepts ? h->role : c->config.role);
    t->acceptor_role = (uint32_t)(accepts ? c->config.role : h->role);
    snprintf(t->opener_instance, sizeof t->opener_instance, "%s",
             accepts ? h->instance : c->instance);
    snprintf(t->acceptor_instance, sizeof t->acceptor_instance, "%s",
             accepts ? c->instance : h->instance);
}

static void be_open(struct channel *c, enum channel_proved proved)
{
    c->peer.proved = proved;
    c->state = CHANNEL_OPEN;
    restart_silence(c);
    if (c->handler->on_open)
        c->handler->on_open(c->ctx, &c->peer);
}

/* The peer gave no proof, which is fine unless one is required. Then it is told, if it takes such a
 * message: its own log is where somebody will look. */
static void be_unproved(struct channel *c, enum channel_proved why)
{
    static const char *const texts[] = {
        [CHANNEL_PEER_TOO_OLD] = "the peer's version knows no proof",
        [CHANNEL_NO_KEY] = "there is no key here for instance",
        [CHANNEL_PEER_NO_KEY] = "the peer has no key for instance",
    };

    if (!c->config.proof->is_required) {
        be_open(c, why);
        return;
    }
    send_exit_notice(c, CHANNEL_END_PROOF_MISSING, "proof is required");
    end(c, CHANNEL_END_PROOF_MISSING, "%s \"%s\"", texts[why], c->transcript.acceptor_instance);
}

static void fail_proof(struct channel *c)
{
    send_exit_notice(c, CHANNEL_END_PROOF_FAILED, "the keys differ");
    end(c, CHANNEL_END_PROOF_FAILED, "the peer's key for instance \"%s\" is another one",
        c->transcript.acceptor_instance);
}

/* True: there is one, and @mac is ours. */
static bool make_mac(struct channel *c, enum proof_direction by, struct proof_key *key,
                     uint8_t mac[PROOF_MAC_BYTES])
{
    const struct channel_proof *p = c->config.proof;

    return p->find_key(p->ctx, c->transcript.acceptor_instance, key) == ST_OK &&
           proof_mac(key, by, &c->transcript, mac) == ST_OK;
}

/* The acceptor's half: HelloAck with what it can, then the opener has the word. */
static void answer_hello(struct channel *c, const Rdlink__V1__Hello *h)
{
    uint8_t mac[PROOF_MAC_BYTES];
    struct proof_key key;
    bool has_key;

    if (!c->config.proof || h->nonce.len != PROOF_NONCE_BYTES) {
        send_hello_ack(c, NULL, 0);
        if (c->config.proof)
            be_unproved(c, CHANNEL_PEER_TOO_OLD);
        else
            be_open(c, CHANNEL_NOT_ASKED);
        return;
    }
    memcpy(c->transcript.opener_nonce, h->nonce.data, PROOF_NONCE_BYTES);
    if (sys_random(c->transcript.acceptor_nonce, PROOF_NONCE_BYTES) != ST_OK) {
        end(c, CHANNEL_END_PROOF_FAILED, "the system gives no random bytes");
        return;
    }
    c->state = CHANNEL_PROVING;
    has_key = make_mac(c, PROOF_BY_ACCEPTOR, &key, mac);
    send_hello_ack(c, mac, has_key ? sizeof mac : 0);
    crypto_wipe(&key, sizeof key);
}

/* The opener's half, after HelloAck. */
static void answer_ack(struct channel *c, const Rdlink__V1__Hello *h, ProtobufCBinaryData proof)
{
    uint8_t mac[PROOF_MAC_BYTES];
    struct proof_key key;

    if (!c->config.proof || h->nonce.len != PROOF_NONCE_BYTES) {
        if (c->config.proof)
            be_unproved(c, CHANNEL_PEER_TOO_OLD);
        else
            be_open(c, CHANNEL_NOT_ASKED);
        return;
    }
    memcpy(c->transcript.acceptor_nonce, h->nonce.data, PROOF_NONCE_BYTES);
    if (!make_mac(c, PROOF_BY_OPENER, &key, mac)) {
        send_proof(c, NULL, 0);
        be_unproved(c, CHANNEL_NO_KEY);
    } else if (proof.len == 0) {
        send_proof(c, NULL, 0);
        be_unproved(c, CHANNEL_PEER_NO_KEY);
    } else if (!proof_verify(&key, PROOF_BY_ACCEPTOR, &c->transcript, proof.data, proof.len)) {
        fail_proof(c);
    } else {
        send_proof(c, mac, sizeof mac);
        be_open(c, CHANNEL_PROVED);
    }
    crypto_wipe(&key, sizeof key);
}

/* The opener's Proof, at the acceptor. */
static void take_proof(struct channel *c, const Rdlink__V1__Envelope *msg)
{
    const struct channel_proof *p = c->config.proof;
    const ProtobufCBinaryData *mac;
    struct proof_key key;

    if (msg->body_case != RDLINK__V1__ENVELOPE__BODY_PROOF) {
        end(c, CHANNEL_END_OUT_OF_ORDER, "%s where the proof should be", body_name(msg->body_case));
        return;
    }
    mac = &msg->proof->mac;
    if (p->find_key(p->ctx, c->transcript.acceptor_instance, &key) != ST_OK)
        be_unproved(c, CHANNEL_NO_KEY);
    else if (mac->len == 0)
        be_unproved(c, CHANNEL_PEER_NO_KEY);
    else if (!proof_verify(&key, PROOF_BY_OPENER, &c->transcript, mac->data, mac->len))
        fail_proof(c);
    else
        be_open(c, CHANNEL_PROVED);
    crypto_wipe(&key, sizeof key);
}

/* Hello and HelloAck carry the same fields but for the proof, which is only in the latter; both
 * arrive here as a Hello. */
static void take_greeting(struct channel *c, const Rdlink__V1__Hello *h, ProtobufCBinaryData proof)
{
    bool accepts = c->config.side == CHANNEL_ACCEPTOR;

    if (h->major != IPC_MAJOR) {
        if (accepts)
            send_hello_ack(c, NULL, 0);
        end(c, CHANNEL_END_VERSION_MISMATCH, "peer speaks major version %u, we speak %d",
            (unsigned)h->major, IPC_MAJOR);
        return;
    }
    if (!peer_role_is_taken(c, h->role)) {
        end(c, CHANNEL_END_ROLE_MISMATCH, "a peer of role %d does not belong here", (int)h->role);
        return;
    }
    keep_peer(&c->peer, h);
    fill_transcript(c, h);
    if (accepts)
        answer_hello(c, h);
    else
        answer_ack(c, h, proof);
}

static Rdlink__V1__Hello hello_of_ack(const Rdlink__V1__HelloAck *ack)
{
    Rdlink__V1__Hello h = RDLINK__V1__HELLO__INIT;

    h.major = ack->major;
    h.minor = ack->minor;
    h.role = ack->role;
    h.instance = ack->instance;
    h.pid = ack->pid;
    h.version = ack->version;
    h.nonce = ack->nonce;
    return h;
}

static void on_greeting(struct channel *c, const Rdlink__V1__Envelope *msg)
{
    bool opener = c->config.side == CHANNEL_OPENER;

    if (msg->body_case == RDLINK__V1__ENVELOPE__BODY__NOT_SET) {
        end(c, CHANNEL_END_EMPTY, "nothing we know where the greeting should be");
    } else if (opener && msg->body_case == RDLINK__V1__ENVELOPE__BODY_HELLO_ACK) {
        Rdlink__V1__Hello h = hello_of_ack(msg->hello_ack);

        take_greeting(c, &h, msg->hello_ack->proof);
    } else if (!opener && msg->body_case == RDLINK__V1__ENVELOPE__BODY_HELLO) {
        take_greeting(c, msg->hello, bytes_field(NULL, 0));
    } else {
        end(c, CHANNEL_END_OUT_OF_ORDER, "%s where the greeting should be",
            body_name(msg->body_case));
    }
}

/* ---- receiving ---------------------------------------------------------------------------- */

static void deliver(struct channel *c, const Rdlink__V1__Envelope *msg)
{
    if (!role_takes(c->config.role, msg->body_case)) {
        end(c, CHANNEL_END_OUT_OF_ORDER, "%s is not for us", body_name(msg->body_case));
        return;
    }
    if (msg->body_case == RDLINK__V1__ENVELOPE__BODY_HEALTH) {
        if (msg->health->sequence != c->seen_sequence + 1) {
            end(c, CHANNEL_END_OUT_OF_ORDER, "health report %llu after %llu",
                (unsigned long long)msg->health->sequence, (unsigned long long)c->seen_sequence);
            return;
        }
        c->seen_sequence++;
    }
    if (c->handler->on_message)
        c->handler->on_message(c->ctx, msg);
}

static void on_message(struct channel *c, const Rdlink__V1__Envelope *msg)
{
    restart_silence(c);
    if (c->state == CHANNEL_GREETING) {
        on_greeting(c, msg);
        return;
    }
    if (c->state == CHANNEL_PROVING) {
        take_proof(c, msg);
        return;
    }
    switch (msg->body_case) {
    case RDLINK__V1__ENVELOPE__BODY__NOT_SET: break; /* of a newer minor version */
    case RDLINK__V1__ENVELOPE__BODY_HELLO:
    case RDLINK__V1__ENVELOPE__BODY_HELLO_ACK:
    case RDLINK__V1__ENVELOPE__BODY_PROOF:
        end(c, CHANNEL_END_OUT_OF_ORDER, "a second greeting");
        break;
    case RDLINK__V1__ENVELOPE__BODY_PING: send_pong(c, msg->ping->token); break;
    case RDLINK__V1__ENVELOPE__BODY_PONG: break;
    default: deliver(c, msg); break;
    }
}

static bool is_listening(const struct channel *c)
{
    return c->state != CHANNEL_ENDED && !c->has_pending && !c->is_freed;
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct channel *c = ctx;

    enter(c);
    while (len_bytes > 0 && is_listening(c)) {
        Rdlink__V1__Envelope *msg = NULL;
        enum channel_end why = CHANNEL_END_MALFORMED;
        enum status st = envelope_read(&c->reader, &data, &len_bytes, &msg, &why);

        if (st == ST_OK) {
            c->received++;
            on_message(c, msg);
            rdlink__v1__envelope__free_unpacked(msg, NULL);
        } else if (st != ST_QUEUED) {
            end(c, why, "in the peer's message %llu", (unsigned long long)c->received + 1);
        }
    }
    leave(c);
}

static void on_eof(void *ctx)
{
    struct channel *c = ctx;

    enter(c);
    if (!envelope_reader_is_between(&c->reader))
        end(c, CHANNEL_END_TRUNCATED, "after %u bytes of a message",
            (unsigned)c->reader.have_bytes);
    else
        end(c, CHANNEL_END_CLOSED_BY_PEER, "%s",
            c->state == CHANNEL_GREETING ? "before the greeting" : "between two messages");
    leave(c);
}

static void on_error(void *ctx, enum status why)
{
    struct channel *c = ctx;

    enter(c);
    end(c, CHANNEL_END_STREAM_ERROR, "%s", status_text(why));
    leave(c);
}

static void on_drained(void *ctx)
{
}

static const struct stream_handler stream_handler = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
};

/* ---- after channel_free(), while the last bytes leave ------------------------------------- */

static void linger_on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
}

static void linger_on_eof(void *ctx)
{
}

static void linger_on_drained(void *ctx)
{
    destroy(ctx);
}

static void linger_on_error(void *ctx, enum status why)
{
    destroy(ctx);
}

static const struct stream_handler linger_handler = {
    .on_data = linger_on_data,
    .on_eof = linger_on_eof,
    .on_drained = linger_on_drained,
    .on_error = linger_on_error,
};

/* ---- life --------------------------------------------------------------------------------- */

static void open_greeting(struct channel *c)
{
    if (c->config.proof && sys_random(c->transcript.opener_nonce, PROOF_NONCE_BYTES) != ST_OK)
        end_later(c, CHANNEL_END_PROOF_FAILED, "the system gives no random bytes");
    else
        send_hello(c);
}

enum status channel_new(struct channel **out, struct loop *loop, struct stream *s,
                        const struct channel_config *config, const struct channel_handler *handler,
                        void *ctx)
{
    struct channel *c = calloc(1, sizeof *c);

    if (!c) {
        stream_close(s);
        return ST_NOMEM;
    }
    c->loop = loop;
    c->stream = s;
    c->config = *config;
    c->config.instance = NULL;
    c->handler = handler;
    c->ctx = ctx;
    snprintf(c->instance, sizeof c->instance, "%s", config->instance ? config->instance : "");
    timer_init(&c->silence, loop, on_silence, c);
    timer_init(&c->later, loop, on_later, c);
    stream_set_handler(s, &stream_handler, c);
    start_silence(c);
    if (c->config.side == CHANNEL_OPENER)
        open_greeting(c);
    stream_read_start(s);
    *out = c;
    return ST_OK;
}

bool channel_is_open(const struct channel *c)
{
    return c->state == CHANNEL_OPEN && !c->has_pending;
}

void channel_abort(struct channel *c)
{
    if (!c)
        return;
    stream_close(c->stream);
    c->stream = NULL;
    channel_free(c);
}

void channel_free(struct channel *c)
{
    if (!c)
        return;
    ASSERT(!c->is_freed);
    c->is_freed = true;
    timer_stop(&c->silence);
    timer_stop(&c->later);
    if (c->stream && !c->has_pending && stream_queued_bytes(c->stream) > 0) {
        stream_read_stop(c->stream);
        stream_set_handler(c->stream, &linger_handler, c);
        c->is_lingering = true;
        timer_start(&c->later, LINGER_MS);
        return;
    }
    if (c->depth == 0)
        destroy(c);
}
