/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A question is handed to Windows as it is and its answer comes back as it is; which server is
 * asked, over which interface, from which cache, is Windows' business.
 *
 *   ask -> DnsQueryRaw() ... a thread of the system's: on_done() -> completion_queue -> deliver()
 *                                      an answer with TC: the same question once more over TCP
 *
 * Threads: on_done() touches the query's result and completion, and the count of calls in flight,
 * nothing else. It may run before DnsQueryRaw() has returned. Every call that is pending ends by
 * on_done(), a cancelled one too; so a query lives until then, and close() waits for the count to
 * be zero before anything is freed (dns_calls). A call that never ends costs its memory, not
 * the end of the program.
 *
 * Bounded by RESOLVER_MAX_PENDING, those that are cancelled and not back yet included.
 *
 * Where DnsQueryRaw() is missing DnsQueryEx() has to do (resolver_query_ex.c).
 */
#include "port/win/resolver_win.h"

#include "base/list.h"
#include "base/util.h"
#include "port/resolver.h"
#include "port/uv/completion_queue.h"
#include "port/uv/resolver_os.h"
#include "port/win/dns_calls.h"
#include "port/win/resolver_query_ex.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { HEADER_BYTES = 12, TRUNCATED = 0x02 };
enum { REQUEST_PENDING = 9506, NO_MULTICAST = 0x800, BEST_EFFORT_PARSE = 1 };

struct resolver_win {
    struct resolver base;
    struct dns_raw_api api;
    struct list queries;
    unsigned pending;
    struct dns_calls calls;
};

struct resolver_query {
    struct list link;
    struct resolver_win *r;
    struct completion completion;
    struct dns_raw_cancel cancel;
    struct dns_raw_result *result; /* set by on_done() */
    resolver_fn *fn;               /* NULL: cancelled */
    void *ctx;
    ULONG protocol;
    size_t len_bytes;
    uint8_t message[];
};

static struct resolver_win *resolver_win_of(struct resolver *r)
{
    return container_of(r, struct resolver_win, base);
}

/* ---- a call ------------------------------------------------------------------------------- */

/* Runs on: a thread of the system's. */
static void CALLBACK on_done(void *ctx, struct dns_raw_result *result)
{
    struct resolver_query *q = ctx;

    q->result = result;
    dns_calls_end(&q->r->calls, &q->completion);
}

static enum status start(struct resolver_query *q)
{
    struct dns_raw_request request = { .version = DNS_RAW_VERSION,
                                       .results_version = DNS_RAW_VERSION,
                                       .query_bytes = (ULONG)q->len_bytes,
                                       .query = q->message,
                                       .options = NO_MULTICAST,
                                       .done = on_done,
                                       .ctx = q,
                                       .raw_options = BEST_EFFORT_PARSE,
                                       .protocol = q->protocol };

    dns_calls_begin(&q->r->calls);
    if (q->r->api.query(&request, &q->cancel) == REQUEST_PENDING)
        return ST_OK;
    dns_calls_undo(&q->r->calls);
    return ST_UNREACHABLE;
}

/* ---- the end of a question --------------------------------------------------------------- */

static void query_free(struct resolver_query *q)
{
    if (q->result)
        q->r->api.result_free(q->result);
    list_remove(&q->link);
    q->r->pending--;
    free(q);
}

static bool is_answer(const struct dns_raw_result *result)
{
    return result && result->response && result->response_bytes >= HEADER_BYTES &&
           result->response_bytes <= RESOLVER_MAX_MESSAGE;
}

/* True: it is under way again, over TCP. Otherwise the cut answer has to do. */
static bool ask_again(struct resolver_query *q)
{
    struct dns_raw_result *cut = q->result;

    if (!q->fn || !is_answer(cut) || !(cut->response[2] & TRUNCATED) || q->protocol == DNS_RAW_TCP)
        return false;
    q->protocol = DNS_RAW_TCP;
    q->result = NULL;
    if (start(q)) {
        q->result = cut;
        return false;
    }
    q->r->api.result_free(cut);
    return true;
}

static void deliver(struct completion *c)
{
    struct resolver_query *q = container_of(c, struct resolver_query, completion);
    struct dns_raw_result *result = q->result;

    if (ask_again(q))
        return;
    if (q->fn && is_answer(result)) {
        memcpy(result->response, q->message, 2); /* its id is the question's */
        q->fn(q->ctx, ST_OK, result->response, result->response_bytes);
    } else if (q->fn) {
        q->fn(q->ctx, result && result->status == ERROR_TIMEOUT ? ST_TIMEOUT : ST_UNREACHABLE, NULL,
              0);
    }
    query_free(q);
}

/* ---- the contract ------------------------------------------------------------------------ */

static enum status resolver_win_ask(struct resolver *base, struct resolver_query **out,
                                    const uint8_t *question, size_t len_bytes, resolver_fn *fn,
                                    void *ctx)
{
    struct resolver_win *r = resolver_win_of(base);
    struct resolver_query *q;
    enum status st;

    if (len_bytes < HEADER_BYTES + 5 || len_bytes > RESOLVER_MAX_MESSAGE || question[4] != 0 ||
        question[5] != 1)
        return ST_PROTO;
    if (r->pending == RESOLVER_MAX_PENDING)
        return ST_FULL;
    q = calloc(1, sizeof *q + len_bytes);
    if (!q)
        return ST_NOMEM;
    q->r = r;
    q->completion.run = deliver;
    q->fn = fn;
    q->ctx = ctx;
    q->protocol = DNS_RAW_UDP;
    q->len_bytes = len_bytes;
    memcpy(q->message, question, len_bytes);
    list_append(&r->queries, &q->link);
    r->pending++;
    st = start(q);
    if (st)
        query_free(q);
    else
        *out = q;
    return st;
}

/* It comes back once more, as cancelled, and is freed then. */
static void resolver_win_cancel(struct resolver_query *q)
{
    if (!q)
        return;
    q->fn = NULL;
    q->r->api.cancel(&q->cancel);
}

/* Windows knows by itself. */
static void resolver_win_reload(struct resolver *base)
{
    (void)base;
}

static void resolver_win_close(struct resolver *base)
{
    struct resolver_win *r = resolver_win_of(base);
    struct list *it, *tmp;

    list_for_each(it, tmp, &r->queries)
        resolver_win_cancel(container_of(it, struct resolver_query, link));
    if (!dns_calls_wait(&r->calls))
        return; /* what the system may still write to has to stay */
    list_for_each(it, tmp, &r->queries) query_free(container_of(it, struct resolver_query, link));
    dns_calls_fini(&r->calls);
    free(r);
}

static const struct resolver_ops resolver_win_ops = {
    .ask = resolver_win_ask,
    .cancel = resolver_win_cancel,
    .reload = resolver_win_reload,
    .close = resolver_win_close,
};

/* ---- life -------------------------------------------------------------------------------- */

static enum status load_api(struct dns_raw_api *out)
{
    const struct dns_function functions[] = {
        { "DnsQueryRaw", (void (**)(void)) & out->query },
        { "DnsCancelQueryRaw", (void (**)(void)) & out->cancel },
        { "DnsQueryRawResultFree", (void (**)(void)) & out->result_free }
    };

    return dns_functions_load(functions, ARRAY_SIZE(functions));
}

enum status resolver_win_new(struct resolver **out, struct loop *loop,
                             const struct dns_raw_api *api)
{
    struct dns_raw_api functions;
    enum status st = api ? ST_OK : load_api(&functions);
    struct resolver_win *r;

    if (st)
        return st;
    r = calloc(1, sizeof *r);
    if (!r)
        return ST_NOMEM;
    r->base.ops = &resolver_win_ops;
    r->api = api ? *api : functions;
    list_init(&r->queries);
    st = dns_calls_init(&r->calls, loop);
    if (st) {
        free(r);
        return st;
    }
    *out = &r->base;
    return ST_OK;
}

enum status resolver_os_new(struct resolver **out, struct loop *loop, struct net *net,
                            struct errmsg *e)
{
    enum status st = resolver_win_new(out, loop, NULL);

    if (st == ST_UNSUPPORTED)
        return resolver_query_ex_new(out, loop, net, NULL, NULL, e);
    if (st)
        errmsg_set(e, "resolver: %s", status_text(st));
    return st;
}
