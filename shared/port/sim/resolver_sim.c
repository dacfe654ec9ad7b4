/* SPDX-License-Identifier: Apache-2.0
 * resolver_sim.c - see resolver_sim.h. A query stays on its list until its answer was handed over
 * or it was cancelled, so that what is still open at the end is found.
 */
#include "port/sim/resolver_sim.h"

#include "port/sim/sim_internal.h"

#include <stdlib.h>
#include <string.h>

struct resolver_sim {
    struct resolver resolver;
    struct sim *sim;
    struct list queries;
    enum status ask_fails;
    unsigned asked, reloads;
};

struct resolver_query {
    struct resolver_sim *owner;
    struct list link;
    struct sim_event on_answer;
    resolver_fn *fn;
    void *ctx;
    enum status st;
    struct sim_bytes answer, question;
    bool answered;
};

static void query_free(struct resolver_query *q)
{
    sim_event_cancel(&q->on_answer);
    list_remove(&q->link);
    free(q->answer.data);
    free(q->question.data);
    free(q);
}

static void answer_arrives(struct sim_event *e)
{
    struct resolver_query *q = container_of(e, struct resolver_query, on_answer);

    list_remove(&q->link);
    q->fn(q->ctx, q->st, q->st ? NULL : q->answer.data, q->st ? 0 : q->answer.len);
    query_free(q);
}

static unsigned count(const struct resolver_sim *r, bool waiting_only)
{
    unsigned n = 0;

    for (struct list *it = r->queries.next; it != &r->queries; it = it->next)
        n += !waiting_only || !container_of(it, struct resolver_query, link)->answered;
    return n;
}

static enum status op_ask(struct resolver *base, struct resolver_query **out,
                          const uint8_t *question, size_t len_bytes, resolver_fn *fn, void *ctx)
{
    struct resolver_sim *r = container_of(base, struct resolver_sim, resolver);
    struct resolver_query *q;

    if (r->ask_fails)
        return r->ask_fails;
    if (count(r, false) >= RESOLVER_MAX_PENDING)
        return ST_FULL;
    q = sim_alloc(sizeof *q);
    q->owner = r;
    q->fn = fn;
    q->ctx = ctx;
    sim_bytes_append(&q->question, question, len_bytes);
    sim_event_init(&q->on_answer, answer_arrives);
    list_append(&r->queries, &q->link);
    r->asked++;
    *out = q;
    return ST_OK;
}

static void op_cancel(struct resolver_query *q)
{
    if (q)
        query_free(q);
}

static void op_reload(struct resolver *base)
{
    container_of(base, struct resolver_sim, resolver)->reloads++;
}

static void op_close(struct resolver *base)
{
    (void)base;
}

static const struct resolver_ops ops = {
    .ask = op_ask, .cancel = op_cancel, .reload = op_reload, .close = op_close
};

struct resolver_sim *resolver_sim_new(struct sim *sim)
{
    struct resolver_sim *r = sim_alloc(sizeof *r);

    r->resolver.ops = &ops;
    r->sim = sim;
    list_init(&r->queries);
    return r;
}

struct resolver *resolver_sim_resolver(struct resolver_sim *r)
{
    return &r->resolver;
}

void resolver_sim_free(struct resolver_sim *r)
{
    if (!r)
        return;
    ASSERT(list_is_empty(&r->queries));
    free(r);
}

static struct resolver_query *find(const struct resolver_sim *r, unsigned i)
{
    for (struct list *it = r->queries.next; it != &r->queries; it = it->next) {
        struct resolver_query *q = container_of(it, struct resolver_query, link);

        if (!q->answered && i-- == 0)
            return q;
    }
    return NULL;
}

unsigned resolver_sim_waiting(const struct resolver_sim *r)
{
    return count(r, true);
}

const uint8_t *resolver_sim_question(const struct resolver_sim *r, unsigned i, size_t *len_bytes)
{
    struct resolver_query *q = find(r, i);

    ASSERT(q != NULL);
    *len_bytes = q->question.len;
    return q->question.data;
}

void resolver_sim_answer(struct resolver_sim *r, unsigned i, enum status st, const void *answer,
                         size_t len_bytes)
{
    struct resolver_query *q = find(r, i);

    ASSERT(q != NULL);
    q->answered = true;
    q->st = st;
    if (st == ST_OK)
        sim_bytes_append(&q->answer, answer, len_bytes);
    sim_event_post(r->sim, &q->on_answer, 0);
}

void resolver_sim_set_ask_fails(struct resolver_sim *r, enum status st)
{
    r->ask_fails = st;
}

unsigned resolver_sim_asked(const struct resolver_sim *r)
{
    return r->asked;
}

unsigned resolver_sim_reloads(const struct resolver_sim *r)
{
    return r->reloads;
}
