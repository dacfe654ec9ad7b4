/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 *
 *     accept --> CID 2? --> signature out --> up to five bytes in --+--> READY: on_ready(), close
 *                  | no                                            +--> other bytes: close
 *                close                                             +--> hung up: a probe, close
 *                                                                  +--> 5 s: close
 *
 * The original serves one connection at a time and waits for ever, so that any process of the
 * virtual machine can keep every host away by connecting. Here a conversation is one of
 * TALKS_MAX slots; a new one pushes out the oldest, which a host does not notice: its whole
 * conversation takes less than one turn of the loop.
 *
 * Why the signature is not held back until the peer proved anything: the host reads it first.
 * Why READY ends with a close: the host has closed already, it reads nothing that we could say.
 */
#include "guestagent/net/handshake_server.h"

#include "base/log.h"
#include "guestagent/admit.h"
#include "port/listener.h"
#include "port/loop.h"
#include "port/stream.h"

#include <stdlib.h>
#include <string.h>

enum { TALKS_MAX = 8, TALK_MS = 5000, WORD_BYTES = 5 };

static const char ready_word[] = "READY";
static const char *const signatures[] = {
    [RANCHER_A] = "github.com/rancher-sandbox/rancher-desktop/src/go/networking",
    [RANCHER_B] = "github.com/rancher-sandbox/rancher-desktop-opensuse/src/go/networking",
};
static const char *const names[] = { [RANCHER_A] = "handshake A", [RANCHER_B] = "handshake B" };

_Static_assert(ARRAY_SIZE(signatures) == RANCHER_GENERATION_COUNT, "a phrase for each");
_Static_assert(ARRAY_SIZE(names) == RANCHER_GENERATION_COUNT, "a name for each");

struct talk {
    struct handshake_server *server;
    struct stream *stream; /* owned; NULL = free slot */
    struct timer deadline;
    uint64_t age; /* the higher the younger */
    uint8_t word[WORD_BYTES];
    size_t have_bytes;
};

struct handshake_server {
    struct loop *loop;
    enum rancher_generation generation;
    handshake_ready_fn *on_ready;
    void *ctx;
    struct listener *listener; /* owned */
    struct talk talks[TALKS_MAX];
    uint64_t youngest;
    struct handshake_stats stats;
};

/* ---- one conversation ------------------------------------------------------------------------ */

static void talk_end(struct talk *t)
{
    timer_stop(&t->deadline);
    stream_close(t->stream);
    t->stream = NULL;
}

/* The word is complete. */
static void talk_conclude(struct talk *t)
{
    struct handshake_server *h = t->server;
    bool ready = memcmp(t->word, ready_word, WORD_BYTES) == 0;

    talk_end(t);
    if (!ready) {
        h->stats.wrong++;
        log_warn_limited(LOG_NET, "%s: five bytes that are not READY; closed",
                         names[h->generation]);
        return;
    }
    h->stats.readies++;
    h->on_ready(h->ctx, h->generation);
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct talk *t = ctx;
    size_t n = MIN(len_bytes, WORD_BYTES - t->have_bytes);

    memcpy(t->word + t->have_bytes, data, n);
    t->have_bytes += n;
    if (t->have_bytes == WORD_BYTES)
        talk_conclude(t);
}

/* A host that only wanted the signature, or one that lost heart in the middle of its word. */
static void talk_hung_up(struct talk *t)
{
    if (t->have_bytes == 0)
        t->server->stats.probes++;
    else
        t->server->stats.wrong++;
    talk_end(t);
}

static void on_eof(void *ctx)
{
    talk_hung_up(ctx);
}

static void on_error(void *ctx, enum status why)
{
    (void)why; /* closing with the signature unread is how some hosts end a probe */
    talk_hung_up(ctx);
}

static void on_drained(void *ctx)
{
    (void)ctx; /* the signature is out; there is nothing more to write */
}

static const struct stream_handler stream_handler = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
};

static void on_deadline(void *ctx)
{
    struct talk *t = ctx;

    t->server->stats.timeouts++;
    log_warn_limited(LOG_NET, "%s: %zu of five bytes within %d s; closed",
                     names[t->server->generation], t->have_bytes, TALK_MS / 1000);
    talk_end(t);
}

static void talk_begin(struct talk *t, struct stream *s)
{
    const char *signature = signatures[t->server->generation];
    enum status st;

    t->stream = s;
    t->have_bytes = 0;
    t->age = ++t->server->youngest;
    stream_set_handler(s, &stream_handler, t);
    timer_start(&t->deadline, TALK_MS);
    st = stream_write(s, signature, strlen(signature));
    if (st == ST_OK || st == ST_QUEUED)
        stream_read_start(s);
    else
        talk_hung_up(t);
}

/* ---- the listener ---------------------------------------------------------------------------- */

/* A free slot, or the oldest one made free. */
static struct talk *take_slot(struct handshake_server *h)
{
    struct talk *oldest = &h->talks[0];

    for (size_t i = 0; i < TALKS_MAX; i++) {
        if (!h->talks[i].stream)
            return &h->talks[i];
        if (h->talks[i].age < oldest->age)
            oldest = &h->talks[i];
    }
    h->stats.timeouts++;
    talk_end(oldest);
    return oldest;
}

static void on_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    struct handshake_server *h = ctx;

    if (admit_peer(peer, names[h->generation]) != ST_OK) {
        h->stats.rejected++;
        stream_close(s);
        return;
    }
    talk_begin(take_slot(h), s);
}

static void on_listener_state(void *ctx, enum status st, const struct errmsg *why)
{
    const struct handshake_server *h = ctx;

    if (st == ST_OK)
        log_limited(LOG_INFO, LOG_NET, "%s: accepting again", names[h->generation]);
    else
        log_limited(LOG_WARN, LOG_NET, "%s: listener: %s", names[h->generation], why->text);
}

static const struct listener_handler listener_handler = {
    .on_accept = on_accept,
    .on_state = on_listener_state,
};

enum status handshake_server_new(struct handshake_server **out, struct loop *loop,
                                 enum rancher_generation generation, const struct addr *at,
                                 handshake_ready_fn *on_ready, void *ctx, struct errmsg *e)
{
    const struct listener_opts opts = { .adopt_fd = -1 };
    struct handshake_server *h = calloc(1, sizeof *h);
    enum status st;

    if (!h) {
        errmsg_set(e, "%s: %s", names[generation], status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    h->loop = loop;
    h->generation = generation;
    h->on_ready = on_ready;
    h->ctx = ctx;
    for (size_t i = 0; i < TALKS_MAX; i++) {
        h->talks[i].server = h;
        timer_init(&h->talks[i].deadline, loop, on_deadline, &h->talks[i]);
    }
    st = listener_open(loop, &h->listener, at, &opts, &listener_handler, h, e);
    if (st) {
        errmsg_wrap(e, "%s", names[generation]);
        free(h);
        return st;
    }
    *out = h;
    return ST_OK;
}

const struct handshake_stats *handshake_server_stats(const struct handshake_server *h)
{
    return &h->stats;
}

void handshake_server_free(struct handshake_server *h)
{
    if (!h)
        return;
    listener_close(h->listener);
    for (size_t i = 0; i < TALKS_MAX; i++)
        talk_end(&h->talks[i]);
    free(h);
}
