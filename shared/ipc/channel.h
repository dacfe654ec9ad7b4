/* SPDX-License-Identifier: Apache-2.0
 * channel.h - rdlink.v1 messages over any stream: framing, greeting, order, liveness.
 *
 * Life: the opener sends Hello, the acceptor answers HelloAck, then both are OPEN. Until then any
 * other message, afterwards a second greeting, a message this side's role never takes, a
 * HealthReport whose sequence is not the last plus one, an oversized, malformed or cut-off
 * envelope ends the channel with a named reason; nothing is skipped or guessed. Unknown fields
 * inside a message are ignored, and an Envelope whose body this build does not know is ignored
 * too (a newer minor version), but only after the greeting. Ping is answered with Pong here.
 *
 * A side that is given a struct channel_proof takes part in a mutual proof (ipc/proof.h): the
 * opener sends a nonce with Hello, the acceptor answers it, and then the first message of the
 * opener is Proof, with an empty MAC when it has no key. The acceptor is open only after that. A
 * peer that does not take part (an older minor, no key) is taken and known as unproved, unless
 * proof is required; one whose MAC is wrong never is.
 *
 * Each side may set how long the other may be silent (any message counts), and how long the
 * greeting may take as a whole.
 * Runs on: the stream's loop. Owns: the stream.
 */
#ifndef SHARED_IPC_CHANNEL_H
#define SHARED_IPC_CHANNEL_H

#include "base/status.h"

#include "ipc/proof.h"

#include <rdlink/v1/control.pb-c.h>

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct loop;
struct stream;

enum { IPC_MAJOR = 1, IPC_MINOR = 4, IPC_MAX_MESSAGE = 65536 };

#define CHANNEL_END_LIST(X)                                                                       \
    X(CLOSED_BY_PEER, "ClosedByPeer")      /* clean end between two messages */                   \
    X(TRUNCATED, "Truncated")              /* end within a message */                             \
    X(OVERSIZED, "Oversized")              /* length above IPC_MAX_MESSAGE */                     \
    X(EMPTY, "Empty")                      /* length 0, or an Envelope without a body early */    \
    X(MALFORMED, "Malformed")              /* not a protobuf Envelope */                          \
    X(OUT_OF_ORDER, "OutOfOrder")          /* a message at the wrong time, a sequence gap */      \
    X(VERSION_MISMATCH, "VersionMismatch") /* other major version */                              \
    X(ROLE_MISMATCH, "RoleMismatch")       /* not the kind of peer that belongs here */           \
    X(PROOF_FAILED, "ProofFailed")         /* the peer has another key, or none but claims one */ \
    X(PROOF_MISSING, "ProofMissing")       /* proof is required, and there is none */             \
    X(SILENT, "Silent")                    /* nothing heard for too long */                       \
    X(NOT_READING, "NotReading")           /* peer lets our messages pile up */                   \
    X(STREAM_ERROR, "StreamError")         /* reset or I/O error */                               \
    X(NO_MEMORY, "NoMemory")

enum channel_end {
#define X(name, text) CHANNEL_END_##name,
    CHANNEL_END_LIST(X)
#undef X
        CHANNEL_END_COUNT
};

const char *channel_end_name(enum channel_end why);

enum channel_side { CHANNEL_OPENER, CHANNEL_ACCEPTOR };

/* How a channel takes part in the proof; borrowed for its life. */
struct channel_proof {
    /* The key of @instance (as the acceptor calls itself), which is any text of the peer's for an
     * opener. ST_OK; anything else = there is none. */
    enum status (*find_key)(void *ctx, const char *instance, struct proof_key *out);
    void *ctx;
    bool is_required; /* who is not proved is not taken */
};

/* What is known of the peer's identity. */
#define CHANNEL_PROVED_LIST(X)                                                   \
    X(NOT_ASKED, "NotAsked")      /* this channel has no struct channel_proof */ \
    X(PEER_TOO_OLD, "PeerTooOld") /* it sent no nonce */                         \
    X(NO_KEY, "NoKey")            /* we have none for the acceptor's instance */ \
    X(PEER_NO_KEY, "PeerNoKey")   /* we have one, but the peer does not */       \
    X(PROVED, "Proved")           /* both have it, and both know */

enum channel_proved {
#define X(name, text) CHANNEL_##name,
    CHANNEL_PROVED_LIST(X)
#undef X
        CHANNEL_PROVED_COUNT
};

const char *channel_proved_name(enum channel_proved p);

struct channel_config {
    enum channel_side side;
    Rdlink__V1__Role role;              /* ours */
    const char *instance;               /* copied; "" where there is none */
    const Rdlink__V1__Role *peer_roles; /* whom we take; borrowed, static */
    unsigned peer_role_count;
    uint32_t silence_ms;               /* 0 = no limit */
    uint32_t greeting_ms;              /* for greeting and proof together; 0 = as silence_ms */
    const struct channel_proof *proof; /* NULL = without */
};

/* What is known of the peer after the greeting. */
struct channel_peer {
    uint32_t major, minor;
    Rdlink__V1__Role role;
    uint64_t pid;
    char instance[PROOF_INSTANCE_MAX];
    char version[32];
    enum channel_proved proved;
};

/* All but on_end() may be NULL. Any callback may channel_free(). */
struct channel_handler {
    void (*on_open)(void *ctx, const struct channel_peer *peer);
    /* Every message but greeting, Ping and Pong; borrowed for the call. */
    void (*on_message)(void *ctx, const Rdlink__V1__Envelope *msg);
    /* Last callback; the stream is closed already. @detail is for people. */
    void (*on_end)(void *ctx, enum channel_end why, const char *detail);
};

/* Takes @s in every case. ST_NOMEM. */
enum status channel_new(struct channel **out, struct loop *loop, struct stream *s,
                        const struct channel_config *config, const struct channel_handler *handler,
                        void *ctx);
bool channel_is_open(const struct channel *c);
/* ST_OK: sent, or waiting for a peer that is slow. ST_CLOSED before the greeting is over or after
 * the end; ST_INVAL above IPC_MAX_MESSAGE, or a body that is not the owner's to send. Anything else
 * (ST_FULL: the peer does not read; ST_NOMEM; ST_RESET, ST_IO) is also the end of the channel:
 * on_end() follows, later. HealthReport: the sequence number is filled in here. */
enum status channel_send(struct channel *c, Rdlink__V1__Envelope *msg);
/* Asks the peer, which must say something within @answer_ms, whatever it is; else the channel ends
 * as silent. For when there is a reason to doubt it: silence_ms counts again afterwards. Asking
 * again buys it no time. Nothing before the greeting is over. */
void channel_ask(struct channel *c, uint32_t answer_ms);
/* No callback comes afterwards. What is queued gets up to one second to leave, then the stream is
 * closed; loop_uv_free() waits for that. NULL is fine. */
void channel_free(struct channel *c);
/* The same, but the stream is closed now and what is queued is lost. */
void channel_abort(struct channel *c);

#endif
