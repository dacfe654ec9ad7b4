/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: every client that connects is either served, told why not, or (when it has no business
 * here) dropped before anything else happens; and nobody waits longer than dial_timeout_ms to learn
 * which of the three.
 *
 *                 admit() says no: closed, counted
 *     accept ---> over max_connections -------------------------> REFUSING
 *            ---> target() has nowhere to go -------------------> REFUSING
 *            ---> DIALLING --failed--> (once) WAITING_TO_RETRY     ^
 *                    |     --failed-------------------------------+
 *                    +--connected--> RELAYING --both ends over--> gone
 *                                       |
 *                                       +--on_silence() says so--> REFUSING
 *
 * Life of one connection: one allocation, linked on f->conns until it is gone. While it is being
 * dialled for, the client is not read: what it sends waits in the system, so there is nothing to
 * hold and nothing to replay. The client's end is passed on by the relay; a client that dies during
 * the dial is noticed when the relay or the refusal starts, within dial_timeout_ms.
 *
 * Retry: an engine that restarts refuses for a moment, and a full vsock backlog resets. So a dial
 * that failed within RETRY_IF_WITHIN_MS with ST_REFUSED or ST_RESET is tried once more after
 * RETRY_DELAY_MS, if that leaves the second try at least RETRY_MIN_BUDGET_MS of the one budget that
 * both share. The target is asked for anew: it may have moved meanwhile.
 *
 * Silence: where patience_ms() gives a time, the target must say something within it once the
 * client has asked (patience.h), or on_silence() may have the client refused. Only connections that
 * begin while that is so are timed: one that is relayed already may wait for days, and none of them
 * carries more than a pointer for it.
 *
 * Limits: max_connections count clients being dialled for or relayed. Refusals come on top, because
 * someone must tell the client that comes too late, but at most MAX_REFUSALS at a time; beyond
 * that clients are closed without a word. All of it is counted.
 *
 * Invariants: stats.active is the length of f->conns. A connection leaves the list in conn_gone()
 * only. on_drained() is called once, from the loop, never from within forwarder_drain().
 */
#include "relay/forwarder.h"

#include "base/list.h"
#include "http/refusal.h"
#include "port/listener.h"
#include "port/loop.h"
#include "port/stream.h"
#include "relay/patience.h"
#include "relay/relay.h"

#include <stdlib.h>

enum {
    DEFAULT_MAX_CONNECTIONS = 1024,
    DEFAULT_DIAL_TIMEOUT_MS = 800,
    RETRY_IF_WITHIN_MS = 50,
    RETRY_DELAY_MS = 100,
    RETRY_MIN_BUDGET_MS = 100,
    MAX_REFUSALS = 256,
    MAX_LISTENERS = 16
};

enum conn_state { CONN_DIALLING, CONN_WAITING_TO_RETRY, CONN_RELAYING, CONN_REFUSING };

struct conn {
    struct list link; /* on f->conns */
    struct forwarder *f;
    enum conn_state state;
    bool retried;
    uint64_t dial_start_ms, deadline_ms; /* of this try; of all tries */
    struct stream *client;               /* owned until a relay or a refusal takes it */
    struct timer retry;
    struct patience *patience; /* owned; RELAYING, or NULL */
    union {
        struct dial *dial;       /* DIALLING */
        struct relay relay;      /* RELAYING */
        struct refusal *refusal; /* REFUSING, owned */
    } u;
};

/* One listening address. */
struct source {
    struct forwarder *f;
    struct listener *listener; /* owned */
    enum status st;            /* what it said last */
    struct errmsg why;
};

struct forwarder {
    struct loop *loop;
    struct forwarder_config config;
    const struct forwarder_ops *ops;
    void *ctx;
    struct source sources[MAX_LISTENERS];
    unsigned source_count;
    struct listener_stats closed_listeners; /* sum of those already closed */
    struct list conns;
    unsigned refusing; /* of them */
    struct forwarder_stats stats;
    bool draining;
    struct timer drained;
};

static void dial(struct conn *c);

/* ---- the end of a connection ------------------------------------------------------------- */

static void conn_gone(struct conn *c)
{
    struct forwarder *f = c->f;

    if (c->state == CONN_REFUSING)
        f->refusing--;
    timer_stop(&c->retry);
    patience_free(c->patience);
    list_remove(&c->link);
    free(c);
    f->stats.active--;
    if (f->draining && f->stats.active == 0)
        timer_start(&f->drained, 0);
}

static void count_bytes(struct forwarder_stats *to, const struct conn *c)
{
    to->bytes_to_target += c->u.relay.half[RELAY_A].bytes;
    to->bytes_from_target += c->u.relay.half[RELAY_B].bytes;
}

static void on_relay_done(void *ctx, enum status why, enum relay_side where)
{
    struct conn *c = ctx;

    count_bytes(&c->f->stats, c);
    if (why == ST_OK)
        c->f->stats.completed++;
    else
        c->f->stats.broken++;
    conn_gone(c);
}

static void on_refusal_done(void *ctx)
{
    conn_gone(ctx);
}

/* Hands the client over to a refusal, or just closes it when there are too many of those. */
static void refuse(struct conn *c, const char *why)
{
    struct forwarder *f = c->f;
    struct stream *client = c->client;
    enum status st = ST_FULL;

    c->client = NULL;
    c->state = CONN_REFUSING;
    if (f->refusing++ < MAX_REFUSALS)
        st = refusal_start(&c->u.refusal, f->loop, client, why, on_refusal_done, c);
    else
        stream_close(client);
    if (st != ST_OK)
        conn_gone(c);
}

static void refuse_no_target(struct conn *c, const struct errmsg *why)
{
    c->f->stats.refused_target++;
    refuse(c, why->text);
}

/* A client is not read while it is being dialled for, but its stream may still die. */
static void on_client_lost(void *ctx, enum status why)
{
    struct conn *c = ctx;

    if (c->state == CONN_DIALLING)
        dial_cancel(c->f->loop, c->u.dial);
    stream_close(c->client);
    c->f->stats.broken++;
    conn_gone(c);
}

static void on_early_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    ASSERT(!"data from a client that is not read");
}

static void on_early_event(void *ctx)
{
    ASSERT(!"end or drain of a client that is neither read nor written");
}

static const struct stream_handler waiting_client = {
    .on_data = on_early_data,
    .on_eof = on_early_event,
    .on_drained = on_early_event,
    .on_error = on_client_lost,
};

/* ---- a target that says nothing ---------------------------------------------------------- */

static void end_patience(struct conn *c)
{
    patience_free(c->patience);
    c->patience = NULL;
}

static void on_patience_over(void *ctx, bool is_silent)
{
    struct conn *c = ctx;
    struct forwarder *f = c->f;
    struct errmsg why = { "" };

    if (!is_silent || !f->ops->on_silence(f->ctx, patience_time_ms(c->patience), &why)) {
        end_patience(c);
        return;
    }
    count_bytes(&f->stats, c);
    f->stats.refused_silent++;
    c->client = patience_take_client(c->patience);
    end_patience(c);
    if (c->client)
        refuse(c, why.text);
    else
        conn_gone(c);
}

/* Without memory for it the client waits, as it would for any other target. */
static void start_patience(struct conn *c)
{
    struct forwarder *f = c->f;
    uint32_t time_ms = f->ops->patience_ms ? f->ops->patience_ms(f->ctx) : 0;

    if (time_ms)
        (void)patience_new(&c->patience, f->loop, &c->u.relay, time_ms, on_patience_over, c);
}

/* ---- dialling ---------------------------------------------------------------------------- */

static bool may_retry(const struct conn *c, enum status st, uint64_t now)
{
    return !c->retried && (st == ST_REFUSED || st == ST_RESET) &&
           now - c->dial_start_ms <= RETRY_IF_WITHIN_MS &&
           now + RETRY_DELAY_MS + RETRY_MIN_BUDGET_MS <= c->deadline_ms;
}

static void dial_failed(struct conn *c, enum status st, const struct errmsg *why)
{
    struct forwarder *f = c->f;
    struct errmsg told = *why;

    if (may_retry(c, st, loop_now_ms(f->loop))) {
        c->retried = true;
        c->state = CONN_WAITING_TO_RETRY;
        timer_start(&c->retry, RETRY_DELAY_MS);
        return;
    }
    if (f->ops->on_dial)
        f->ops->on_dial(f->ctx, st, why);
    errmsg_wrap(&told, "cannot reach the docker engine");
    refuse_no_target(c, &told);
}

static void on_dial_done(void *ctx, enum status st, struct stream *s, const struct errmsg *why)
{
    struct conn *c = ctx;
    struct forwarder *f = c->f;
    struct stream *client = c->client;

    if (st != ST_OK) {
        dial_failed(c, st, why);
        return;
    }
    c->client = NULL;
    c->state = CONN_RELAYING;
    relay_start(&c->u.relay, client, s, on_relay_done, c);
    start_patience(c);
    if (f->ops->on_dial)
        f->ops->on_dial(f->ctx, ST_OK, NULL);
}

/* What is left for this try. A second one can be late by any time, when the computer slept. */
static uint64_t budget_ms(const struct conn *c)
{
    uint64_t left_ms = c->deadline_ms > c->dial_start_ms ? c->deadline_ms - c->dial_start_ms : 0;

    return c->retried ? MAX(left_ms, (uint64_t)RETRY_MIN_BUDGET_MS) : left_ms;
}

static void dial(struct conn *c)
{
    struct forwarder *f = c->f;
    struct errmsg why = { "" };
    struct addr to;
    enum status st;

    c->state = CONN_DIALLING;
    c->dial_start_ms = loop_now_ms(f->loop);
    if (f->ops->target(f->ctx, &to, &why) != ST_OK) {
        refuse_no_target(c, &why);
        return;
    }
    st = dial_start(f->loop, &c->u.dial, &to, budget_ms(c), on_dial_done, c, &why);
    if (st != ST_OK)
        dial_failed(c, st, &why);
}

static void on_retry(void *ctx)
{
    dial(ctx);
}

/* ---- listening --------------------------------------------------------------------------- */

static void on_accept(void *ctx, struct stream *s, const struct peer *peer)
{
    const struct source *from = ctx;
    struct forwarder *f = from->f;
    struct conn *c;

    if (f->ops->admit && f->ops->admit(f->ctx, peer) != ST_OK) {
        f->stats.rejected_peers++;
        stream_close(s);
        return;
    }
    c = calloc(1, sizeof *c);
    if (!c) {
        f->stats.refused_full++;
        stream_close(s);
        return;
    }
    c->f = f;
    c->client = s;
    c->deadline_ms = loop_now_ms(f->loop) + f->config.dial_timeout_ms;
    timer_init(&c->retry, f->loop, on_retry, c);
    stream_set_handler(s, &waiting_client, c);
    list_append(&f->conns, &c->link);
    f->stats.active++;
    if (f->stats.active - f->refusing > f->config.max_connections) {
        struct errmsg why;

        f->stats.refused_full++;
        errmsg_set(&why, "too many connections: the limit of %u is reached",
                   f->config.max_connections);
        refuse(c, why.text);
        return;
    }
    f->stats.accepted++;
    dial(c);
}

/* All is well only when every listener is: one that works must not hide one that does not. */
static void tell_listeners(struct forwarder *f, const struct source *changed)
{
    const struct source *worst = changed;

    for (unsigned i = 0; i < f->source_count && worst->st == ST_OK; i++)
        worst = &f->sources[i];
    if (f->ops->on_listener)
        f->ops->on_listener(f->ctx, worst->st, &worst->why);
}

static void on_listener_state(void *ctx, enum status st, const struct errmsg *why)
{
    struct source *from = ctx;

    from->st = st;
    from->why = why ? *why : (struct errmsg){ "" };
    tell_listeners(from->f, from);
}

static const struct listener_handler listener_handler = {
    .on_accept = on_accept,
    .on_state = on_listener_state,
};

enum status forwarder_listen(struct forwarder *f, const struct addr *at,
                             const struct listener_opts *opts, struct errmsg *e)
{
    struct source *from = &f->sources[f->source_count];
    enum status st;

    if (f->source_count == MAX_LISTENERS) {
        errmsg_set(e, "more than %d listening addresses", MAX_LISTENERS);
        return ST_FULL;
    }
    *from = (struct source){ .f = f };
    st = listener_open(f->loop, &from->listener, at, opts, &listener_handler, from, e);
    if (st != ST_OK)
        return st;
    f->source_count++;
    tell_listeners(f, from);
    return ST_OK;
}

static void add_listener_stats(struct listener_stats *sum, const struct listener_stats *s)
{
    sum->accepted += s->accepted;
    sum->aborted += s->aborted;
    sum->limit_hits += s->limit_hits;
    sum->refused_by_reserve += s->refused_by_reserve;
    sum->reopened += s->reopened;
}

void forwarder_get_listener_stats(const struct forwarder *f, struct listener_stats *sum)
{
    *sum = f->closed_listeners;
    for (unsigned i = 0; i < f->source_count; i++)
        add_listener_stats(sum, &f->sources[i].listener->stats);
}

void forwarder_stop_listening(struct forwarder *f)
{
    while (f->source_count) {
        struct listener *l = f->sources[--f->source_count].listener;

        add_listener_stats(&f->closed_listeners, &l->stats);
        listener_close(l);
    }
}

/* ---- the forwarder itself ---------------------------------------------------------------- */

static void on_drained_timer(void *ctx)
{
    struct forwarder *f = ctx;

    f->draining = false;
    if (f->ops->on_drained)
        f->ops->on_drained(f->ctx);
}

void forwarder_drain(struct forwarder *f)
{
    forwarder_stop_listening(f);
    f->draining = true;
    if (f->stats.active == 0)
        timer_start(&f->drained, 0);
}

/* The bytes of one long transfer are told while it goes on: a worker whose counters stand still and
 * that is busy all the same is taken for one that spins. */
struct forwarder_stats forwarder_get_stats(const struct forwarder *f)
{
    struct forwarder_stats sum = f->stats;

    for (struct list *it = f->conns.next; it != &f->conns; it = it->next) {
        const struct conn *c = container_of(it, struct conn, link);

        if (c->state == CONN_RELAYING)
            count_bytes(&sum, c);
    }
    return sum;
}

enum status forwarder_new(struct forwarder **out, struct loop *loop,
                          const struct forwarder_config *config, const struct forwarder_ops *ops,
                          void *ctx, struct errmsg *e)
{
    struct forwarder *f = calloc(1, sizeof *f);

    if (!f) {
        errmsg_set(e, "forwarder: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    f->loop = loop;
    f->config = *config;
    if (f->config.max_connections == 0)
        f->config.max_connections = DEFAULT_MAX_CONNECTIONS;
    if (f->config.dial_timeout_ms == 0)
        f->config.dial_timeout_ms = DEFAULT_DIAL_TIMEOUT_MS;
    f->ops = ops;
    f->ctx = ctx;
    list_init(&f->conns);
    timer_init(&f->drained, loop, on_drained_timer, f);
    *out = f;
    return ST_OK;
}

void forwarder_set_limits(struct forwarder *f, const struct forwarder_config *config)
{
    if (config->max_connections)
        f->config.max_connections = config->max_connections;
    if (config->dial_timeout_ms)
        f->config.dial_timeout_ms = config->dial_timeout_ms;
}

static void conn_cut(struct conn *c)
{
    switch (c->state) {
    case CONN_DIALLING: dial_cancel(c->f->loop, c->u.dial); break;
    case CONN_WAITING_TO_RETRY: break;
    case CONN_RELAYING: relay_abort(&c->u.relay); break;
    case CONN_REFUSING: refusal_abort(c->u.refusal); break;
    }
    stream_close(c->client);
    conn_gone(c);
}

void forwarder_free(struct forwarder *f)
{
    struct list *it, *tmp;

    if (!f)
        return;
    forwarder_stop_listening(f);
    list_for_each(it, tmp, &f->conns) conn_cut(container_of(it, struct conn, link));
    timer_stop(&f->drained);
    free(f);
}
