/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: run the code under test in a world where nothing happens by itself.
 *
 *     test --- sim_connect(), sim_peer_send(), ... ---> events, sorted by (due, arising)
 *                                                         |
 *     code under test <--- on_accept, on_data, done, timers --- sim_step()
 *
 * Life of one event: it is embedded in what it happens to (a stream's readable side, a dial, a
 * waiting connection), is posted at most once at a time, and is taken off before it happens, so it
 * may post itself again. The timers of the code under test are the pure list of port/loop; the sim
 * only remembers the armed deadline and treats it as one more event of that moment.
 *
 * Invariants: time moves only in sim_advance_ms(), never past something that is due. The code under
 * test is entered only from sim_step(). With the same calls and the same shuffle seed everything
 * repeats exactly: there is no address, clock or system randomness in any decision.
 *
 * Limits: SPIN_LIMIT events without time passing is a loop that feeds itself, and aborts.
 * Not done: processes (a supervisor is tested over its own seam) and real descriptors.
 */
#include "port/sim/sim_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPIN_LIMIT = 50 * 1000 * 1000, START_MS = 1000 };

const struct peer sim_host_peer = { .is_vsock = true, .has_cid = true, .cid = 2, .uid = -1 };
const struct peer sim_local_peer = { .has_pid = true, .pid = 1234, .uid = 0 };

struct scripted_dial {
    struct list link;
    struct sim_dial_answer answer;
};

struct dial {
    struct sim *sim;
    struct list link;
    struct sim_event on_end;
    struct addr to;
    enum status st;
    dial_done_fn *done;
    void *ctx;
};

struct sim_listener {
    struct listener base;
    struct sim *sim;
    struct list link;
    struct list waiting; /* of struct waiting_peer */
    struct sim_event on_acceptable;
    struct addr at;
    bool paused;
};

/* A connection in the backlog. */
struct waiting_peer {
    struct list link;
    struct sim_peer *peer;
    struct peer who;
};

static struct sim *sim_of(struct loop *loop)
{
    return container_of(loop, struct sim, loop);
}

void *sim_alloc(size_t len_bytes)
{
    void *p = calloc(1, len_bytes ? len_bytes : 1);

    if (!p) /* a test may have made this one fail: it means the code under test */
        p = calloc(1, len_bytes ? len_bytes : 1);
    ASSERT(p != NULL);
    return p;
}

/* ---- events ------------------------------------------------------------------------------ */

void sim_event_init(struct sim_event *e, void (*happen)(struct sim_event *e))
{
    list_init(&e->link);
    e->happen = happen;
}

void sim_event_post(struct sim *sim, struct sim_event *e, uint64_t delay_ms)
{
    struct list *at = sim->events.prev;

    if (!list_is_empty(&e->link))
        return;
    e->due_ms = delay_ms > SIM_NEVER - sim->now_ms ? SIM_NEVER : sim->now_ms + delay_ms;
    while (at != &sim->events && container_of(at, struct sim_event, link)->due_ms > e->due_ms)
        at = at->prev;
    list_insert_after(at, &e->link);
}

void sim_event_cancel(struct sim_event *e)
{
    list_remove(&e->link);
}

static uint64_t random_next(struct sim *sim)
{
    sim->shuffle ^= sim->shuffle << 13;
    sim->shuffle ^= sim->shuffle >> 7;
    sim->shuffle ^= sim->shuffle << 17;
    return sim->shuffle;
}

/* The event that happens now, or NULL for the timers of the code under test. Only called when at
 * least one of the two is due. */
static struct sim_event *choose(struct sim *sim, bool timers_due)
{
    unsigned due = 0, pick = 0;
    struct list *it, *tmp;

    list_for_each(it, tmp, &sim->events)
    {
        if (container_of(it, struct sim_event, link)->due_ms > sim->now_ms)
            break;
        due++;
    }
    if (sim->shuffle && (due > 0 || timers_due))
        pick = (unsigned)(random_next(sim) % (due + (timers_due ? 1 : 0)));
    if (pick >= due)
        return NULL;
    it = sim->events.next;
    while (pick--)
        it = it->next;
    return container_of(it, struct sim_event, link);
}

bool sim_step(struct sim *sim)
{
    bool timers_due = sim->armed_ms <= sim->now_ms;
    bool event_due = !list_is_empty(&sim->events) &&
                     container_of(sim->events.next, struct sim_event, link)->due_ms <= sim->now_ms;
    struct sim_event *e;

    if (!timers_due && !event_due)
        return false;
    e = choose(sim, timers_due);
    if (e) {
        list_remove(&e->link);
        e->happen(e);
    } else {
        sim->armed_ms = SIM_NEVER;
        loop_run_timers(&sim->loop);
    }
    return true;
}

void sim_run(struct sim *sim)
{
    unsigned steps = 0;

    while (sim_step(sim))
        ASSERT(++steps < SPIN_LIMIT);
}

uint64_t sim_next_due_ms(const struct sim *sim)
{
    uint64_t due = sim->armed_ms;

    if (!list_is_empty(&sim->events))
        due = MIN(due, container_of(sim->events.next, struct sim_event, link)->due_ms);
    return due;
}

void sim_advance_ms(struct sim *sim, uint64_t ms)
{
    uint64_t end = sim->now_ms + ms;

    sim_run(sim);
    while (sim_next_due_ms(sim) <= end) {
        sim->now_ms = MAX(sim->now_ms, sim_next_due_ms(sim));
        sim_run(sim);
    }
    sim->now_ms = end;
}

void sim_stall_ms(struct sim *sim, uint64_t ms)
{
    sim->now_ms += ms;
}

void sim_shuffle(struct sim *sim, uint64_t seed)
{
    sim->shuffle = seed;
    if (seed) {
        for (int i = 0; i < 8; i++) /* neighbouring seeds must not begin alike */
            random_next(sim);
    }
}

uint64_t sim_now_ms(const struct sim *sim)
{
    return sim->now_ms;
}

/* ---- dials ------------------------------------------------------------------------------- */

static void describe_failure(struct errmsg *e, const struct addr *to, enum status st)
{
    char text[ADDR_TEXT_MAX];

    errmsg_set(e, "connect to %s: %s", addr_format(to, text, sizeof text), status_text(st));
}

static void dial_ends(struct sim_event *e)
{
    struct dial *d = container_of(e, struct dial, on_end);
    struct dial copy = *d;
    struct sim_peer *p = NULL;
    struct errmsg why = { "" };

    list_remove(&d->link);
    free(d);
    if (copy.st == ST_OK) {
        p = sim_peer_new(copy.sim);
        p->dialled_to = copy.to;
        list_append(&copy.sim->dialled, &p->dialled_link);
    } else {
        describe_failure(&why, &copy.to, copy.st);
    }
    copy.done(copy.ctx, copy.st, p ? &p->stream : NULL, &why);
}

static struct sim_dial_answer next_answer(struct sim *sim, const struct addr *to)
{
    struct sim_dial_answer answer = { ST_REFUSED, 0 };
    struct scripted_dial *s;

    if (!list_is_empty(&sim->script)) {
        s = container_of(sim->script.next, struct scripted_dial, link);
        answer = s->answer;
        list_remove(&s->link);
        free(s);
    } else if (sim->decide) {
        answer = sim->decide(sim->decide_ctx, to);
    }
    return answer;
}

static enum status sim_dial(struct loop *loop, struct dial **out, const struct addr *to,
                            uint64_t timeout_ms, dial_done_fn *done, void *ctx, struct errmsg *e)
{
    struct sim *sim = sim_of(loop);
    enum status st = sim->next_dial_start;
    struct sim_dial_answer answer;
    struct dial *d;

    sim->dial_count++;
    if (st) {
        sim->next_dial_start = ST_OK;
        describe_failure(e, to, st);
        return st;
    }
    answer = next_answer(sim, to);
    if (answer.delay_ms > timeout_ms)
        answer = (struct sim_dial_answer){ ST_TIMEOUT, timeout_ms };
    d = sim_alloc(sizeof *d);
    d->sim = sim;
    d->to = *to;
    d->st = answer.st;
    d->done = done;
    d->ctx = ctx;
    list_append(&sim->dials, &d->link);
    sim_event_init(&d->on_end, dial_ends);
    sim_event_post(sim, &d->on_end, answer.delay_ms);
    *out = d;
    return ST_OK;
}

static void sim_dial_cancel(struct dial *d)
{
    list_remove(&d->link);
    sim_event_cancel(&d->on_end);
    free(d);
}

void sim_next_dial(struct sim *sim, enum status st, uint64_t delay_ms)
{
    struct scripted_dial *s = sim_alloc(sizeof *s);

    s->answer = (struct sim_dial_answer){ st, delay_ms };
    list_append(&sim->script, &s->link);
}

void sim_next_dial_start_fails(struct sim *sim, enum status st)
{
    sim->next_dial_start = st;
}

void sim_on_dial(struct sim *sim, sim_dial_fn *decide, void *ctx)
{
    sim->decide = decide;
    sim->decide_ctx = ctx;
}

unsigned sim_dial_count(const struct sim *sim)
{
    return sim->dial_count;
}

static unsigned list_length(const struct list *head)
{
    unsigned n = 0;

    for (const struct list *it = head->next; it != head; it = it->next)
        n++;
    return n;
}

unsigned sim_dials_pending(const struct sim *sim)
{
    return list_length(&sim->dials);
}

static struct sim_peer *take_dialled(struct sim *sim, const struct addr *to)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &sim->dialled)
    {
        struct sim_peer *p = container_of(it, struct sim_peer, dialled_link);

        if (to && !addr_equal(&p->dialled_to, to))
            continue;
        list_remove(&p->dialled_link);
        return p;
    }
    return NULL;
}

struct sim_peer *sim_take_dialled(struct sim *sim)
{
    return take_dialled(sim, NULL);
}

struct sim_peer *sim_take_dialled_to(struct sim *sim, const struct addr *to)
{
    return take_dialled(sim, to);
}

/* ---- listeners --------------------------------------------------------------------------- */

static struct sim_listener *listener_of(struct listener *l)
{
    return container_of(l, struct sim_listener, base);
}

static void listener_accepts(struct sim_event *e)
{
    struct sim_listener *l = container_of(e, struct sim_listener, on_acceptable);
    struct waiting_peer *w;
    struct waiting_peer copy;

    if (l->paused || list_is_empty(&l->waiting))
        return;
    w = container_of(l->waiting.next, struct waiting_peer, link);
    list_remove(&w->link);
    copy = *w;
    free(w);
    l->base.stats.accepted++;
    if (!list_is_empty(&l->waiting))
        sim_event_post(l->sim, &l->on_acceptable, 0);
    l->base.handler->on_accept(l->base.ctx, &copy.peer->stream, &copy.who);
}

static void sim_listener_pause(struct listener *base)
{
    listener_of(base)->paused = true;
}

static void sim_listener_resume(struct listener *base)
{
    struct sim_listener *l = listener_of(base);

    l->paused = false;
    sim_event_post(l->sim, &l->on_acceptable, 0);
}

static void sim_listener_close(struct listener *base)
{
    struct sim_listener *l = listener_of(base);
    struct list *it, *tmp;

    list_for_each(it, tmp, &l->waiting)
    {
        struct waiting_peer *w = container_of(it, struct waiting_peer, link);

        w->peer->closed = true; /* never accepted: the system drops it */
        list_remove(&w->link);
        free(w);
    }
    sim_event_cancel(&l->on_acceptable);
    list_remove(&l->link);
    free(l);
}

static const struct listener_ops listener_ops = {
    .pause = sim_listener_pause,
    .resume = sim_listener_resume,
    .close = sim_listener_close,
};

static struct sim_listener *find_listener(const struct sim *sim, const struct addr *at)
{
    for (struct list *it = sim->listeners.next; it != &sim->listeners; it = it->next) {
        struct sim_listener *l = container_of(it, struct sim_listener, link);

        if (addr_equal(&l->at, at))
            return l;
    }
    return NULL;
}

static enum status sim_listen(struct loop *loop, struct listener **out, const struct addr *at,
                              const struct listener_opts *opts,
                              const struct listener_handler *handler, void *ctx, struct errmsg *e)
{
    struct sim *sim = sim_of(loop);
    enum status st = sim->next_listen;
    char text[ADDR_TEXT_MAX];
    struct sim_listener *l;

    sim->next_listen = ST_OK;
    if (!st && find_listener(sim, at))
        st = ST_EXISTS;
    if (st) {
        errmsg_set(e, "listen on %s: %s", addr_format(at, text, sizeof text), status_text(st));
        return st;
    }
    l = sim_alloc(sizeof *l);
    l->base = (struct listener){ .ops = &listener_ops, .handler = handler, .ctx = ctx };
    l->sim = sim;
    l->at = *at;
    list_init(&l->waiting);
    list_append(&sim->listeners, &l->link);
    sim_event_init(&l->on_acceptable, listener_accepts);
    *out = &l->base;
    return ST_OK;
}

struct peer sim_vsock_peer(uint32_t cid)
{
    return (struct peer){ .is_vsock = true, .has_cid = true, .cid = cid, .uid = -1 };
}

void sim_next_listen_fails(struct sim *sim, enum status st)
{
    sim->next_listen = st;
}

bool sim_is_listening(const struct sim *sim, const struct addr *at)
{
    return find_listener(sim, at) != NULL;
}

struct sim_peer *sim_connect(struct sim *sim, const struct addr *at, const struct peer *who)
{
    struct sim_listener *l = find_listener(sim, at);
    struct waiting_peer *w;

    if (!l)
        return NULL;
    w = sim_alloc(sizeof *w);
    w->peer = sim_peer_new(sim);
    w->who = *who;
    list_append(&l->waiting, &w->link);
    sim_event_post(sim, &l->on_acceptable, 0);
    return w->peer;
}

void sim_listener_report(struct sim *sim, const struct addr *at, enum status st, const char *why)
{
    struct sim_listener *l = find_listener(sim, at);
    struct errmsg e;

    ASSERT(l != NULL);
    errmsg_set(&e, "%s", why);
    if (l->base.handler->on_state)
        l->base.handler->on_state(l->base.ctx, st, &e);
}

/* ---- the sim itself ---------------------------------------------------------------------- */

static uint64_t sim_loop_now_ms(struct loop *loop)
{
    return sim_of(loop)->now_ms;
}

static void sim_arm(struct loop *loop, uint64_t due_ms)
{
    sim_of(loop)->armed_ms = due_ms;
}

static const struct loop_ops loop_ops = {
    .now_ms = sim_loop_now_ms,
    .arm = sim_arm,
    .dial = sim_dial,
    .dial_cancel = sim_dial_cancel,
    .listen = sim_listen,
};

struct sim *sim_new(void)
{
    struct sim *sim = sim_alloc(sizeof *sim);

    sim->now_ms = START_MS;
    sim->armed_ms = SIM_NEVER;
    sim->new_room = SIZE_MAX;
    list_init(&sim->events);
    list_init(&sim->peers);
    list_init(&sim->dialled);
    list_init(&sim->listeners);
    list_init(&sim->dials);
    list_init(&sim->script);
    loop_init(&sim->loop, &loop_ops);
    return sim;
}

struct loop *sim_loop(struct sim *sim)
{
    return &sim->loop;
}

unsigned sim_open_streams(const struct sim *sim)
{
    unsigned n = 0;

    for (struct list *it = sim->peers.next; it != &sim->peers; it = it->next)
        n += !container_of(it, struct sim_peer, link)->closed;
    return n;
}

unsigned sim_open_listeners(const struct sim *sim)
{
    return list_length(&sim->listeners);
}

void sim_free(struct sim *sim)
{
    struct list *it, *tmp;

    if (!sim)
        return;
    ASSERT(sim_open_streams(sim) == 0);
    ASSERT(sim_open_listeners(sim) == 0);
    ASSERT(sim_dials_pending(sim) == 0);
    ASSERT(list_is_empty(&sim->loop.timers));
    list_for_each(it, tmp, &sim->peers) sim_peer_free(container_of(it, struct sim_peer, link));
    list_for_each(it, tmp, &sim->script) free(container_of(it, struct scripted_dial, link));
    free(sim);
}
