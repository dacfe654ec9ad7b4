/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * DnsQueryEx() takes a name and a type as text and gives back records, not a message. What both can
 * express is asked there; all else goes, as it came, to the servers of the adapters:
 *
 *   ask --- name and type alone? --yes--> DnsQueryEx() ... on_done() --> queue --> deliver()
 *                |                                                                   |
 *                no (HTTPS, DNSSEC, odd names)             records, a code --> composed
 *                v                                                                   |
 *         servers->ask() <--- refused by Windows, or cannot be told in full ---------'
 *
 * The order of things is the same whether a call is pending or was over at once: a result of either
 * kind comes to deliver() through the queue, never from within ask(). A query is in one of two
 * states: DnsQueryEx() has it, or the servers have it (inner is set). Cancelled, it stays until
 * on_done() in the first, and ends at once in the second.
 *
 * Threads and bounds are those of resolver_win.c: on_done() touches the completion and the count of
 * calls in flight, nothing else; RESOLVER_MAX_PENDING questions, cancelled ones included.
 *
 * What is lost against DnsQueryRaw(): the policy table does not hold for what goes to the servers,
 * and a refusal comes without the SOA record, so that nobody caches it.
 */
#include "port/win/resolver_query_ex.h"

#include "base/list.h"
#include "base/util.h"
#include "port/dns_compose.h"
#include "port/resolver.h"
#include "port/uv/completion_queue.h"
#include "port/uv/loop_uv_internal.h"
#include "port/uv/resolver_uv.h"
#include "port/win/dns_calls.h"
#include "port/win/dns_record_win.h"
#include "port/win/utf16.h"

#include <stdlib.h>
#include <string.h>

/* Codes 1 to 10 of DNS are 9001 to 9010 of Windows. */
enum { REQUEST_PENDING = 9506, NO_RECORDS = 9501, RCODE_BASE = 9000, RCODE_MAX = 10 };
enum { RCODE_NOERROR = 0, RCODE_NOTIMP = 4 };

/* True TTLs; the name as it is, without suffixes; nothing that shouts into the local network. */
static const ULONG64 query_options = DNS_QUERY_DONT_RESET_TTL_VALUES | DNS_QUERY_TREAT_AS_FQDN |
                                     DNS_QUERY_NO_MULTICAST | DNS_QUERY_NO_NETBT;

struct resolver_ex {
    struct resolver base;
    struct loop *loop;
    struct dns_ex_api api;
    struct resolver *servers; /* owned */
    struct list queries;
    unsigned pending;
    struct dns_calls calls;
};

/* Of this file: the contract's struct resolver_query is whatever its resolver makes it. */
struct resolver_query {
    struct list link;
    struct resolver_ex *r;
    struct completion completion;
    struct dns_ex_cancel cancel;
    DNS_QUERY_RESULT result;
    bool is_pending;              /* Windows said it was: cancel means something */
    struct resolver_query *inner; /* borrowed from servers: they have the question */
    resolver_fn *fn;              /* NULL: cancelled */
    void *ctx;
    struct dns_text_question text;
    wchar_t name[DNS_TEXT_NAME_MAX];
    size_t len_bytes;
    uint8_t message[];
};

static struct resolver_ex *resolver_ex_of(struct resolver *r)
{
    return container_of(r, struct resolver_ex, base);
}

static void records_free(struct resolver_query *q)
{
    if (q->result.pQueryRecords)
        q->r->api.list_free(q->result.pQueryRecords, DnsFreeRecordList);
    q->result.pQueryRecords = NULL;
}

static void query_free(struct resolver_query *q)
{
    records_free(q);
    list_remove(&q->link);
    q->r->pending--;
    free(q);
}

static void query_end(struct resolver_query *q, enum status st, const uint8_t *answer,
                      size_t len_bytes)
{
    resolver_fn *fn = q->fn;
    void *ctx = q->ctx;

    query_free(q);
    if (fn)
        fn(ctx, st, answer, len_bytes);
}

/* ---- the servers ------------------------------------------------------------------------- */

static void on_server_answer(void *ctx, enum status st, const uint8_t *answer, size_t len_bytes)
{
    query_end(ctx, st, answer, len_bytes);
}

static enum status ask_servers(struct resolver_query *q)
{
    struct resolver *servers = q->r->servers;

    return servers->ops->ask(servers, &q->inner, q->message, q->len_bytes, on_server_answer, q);
}

/* ---- Windows ----------------------------------------------------------------------------- */

/* Runs on: a thread of the system's. */
static void WINAPI on_done(void *ctx, DNS_QUERY_RESULT *result)
{
    struct resolver_query *q = ctx;

    if (result != &q->result)
        q->result = *result;
    dns_calls_end(&q->r->calls, &q->completion);
}

static void ask_windows(struct resolver_query *q)
{
    struct dns_ex_request request = { .version = DNS_QUERY_REQUEST_VERSION1,
                                      .name = q->name,
                                      .type = q->text.type,
                                      .options = query_options,
                                      .done = on_done,
                                      .ctx = q };
    LONG returned;

    q->is_pending = true; /* on_done() may be over before query() is */
    q->result.Version = DNS_QUERY_RESULTS_VERSION1;
    dns_calls_begin(&q->r->calls);
    returned = q->r->api.query(&request, &q->result, &q->cancel);
    if (returned == REQUEST_PENDING)
        return;
    q->is_pending = false;
    q->result.QueryStatus = returned;
    on_done(q, &q->result); /* over at once, or never begun */
}

/* False: nobody answered, or Windows would not ask. */
static bool rcode_of(LONG status, unsigned *rcode)
{
    if (status == ERROR_SUCCESS || status == NO_RECORDS)
        *rcode = RCODE_NOERROR;
    else if (status > RCODE_BASE && status <= RCODE_BASE + RCODE_MAX)
        *rcode = (unsigned)(status - RCODE_BASE);
    else
        return false;
    return true;
}

/* What Windows will not ask at all: a name not to its taste, a call that this one lacks. */
static bool is_refusal(LONG status)
{
    switch (status) {
    case ERROR_INVALID_PARAMETER:
    case ERROR_INVALID_NAME:
    case ERROR_CALL_NOT_IMPLEMENTED:
    case DNS_ERROR_INVALID_NAME_CHAR:
    case DNS_ERROR_NON_RFC_NAME:
    case DNS_ERROR_NUMERIC_NAME:
    case RCODE_BASE + RCODE_NOTIMP: return true;
    default: return false;
    }
}

/* ST_OK: *answer is the loop's scratch. ST_UNSUPPORTED, ST_FULL: the servers have to be asked. */
static enum status compose(struct resolver_query *q, uint8_t **answer, size_t *len_bytes)
{
    LONG status = q->result.QueryStatus;
    struct dns_compose c;
    enum status st;
    unsigned rcode;
    size_t cap;

    if (is_refusal(status))
        return ST_UNSUPPORTED;
    if (!rcode_of(status, &rcode))
        return status == ERROR_TIMEOUT ? ST_TIMEOUT : ST_UNREACHABLE;
    *answer = loop_uv_scratch(q->r->loop, &cap);
    dns_compose_begin(&c, *answer, cap, q->message, &q->text);
    st = dns_record_list_compose(&c, q->result.pQueryRecords);
    if (st == ST_OK)
        *len_bytes = dns_compose_end(&c, rcode);
    return st;
}

static void deliver(struct completion *completion)
{
    struct resolver_query *q = container_of(completion, struct resolver_query, completion);
    uint8_t *answer = NULL;
    size_t len_bytes = 0;
    enum status st = q->fn ? compose(q, &answer, &len_bytes) : ST_CANCELLED;

    records_free(q);
    if (st == ST_UNSUPPORTED || st == ST_FULL)
        st = ask_servers(q);
    if (!q->inner)
        query_end(q, st, answer, len_bytes);
}

/* ---- the contract ------------------------------------------------------------------------ */

static enum status query_start(struct resolver_query *q)
{
    enum status st = dns_text_question_decode(&q->text, q->message, q->len_bytes);

    if (st == ST_PROTO)
        return st;
    if (st || !dns_record_type_is_known(q->text.type) ||
        utf8_to_utf16(q->name, ARRAY_SIZE(q->name), q->text.name))
        return ask_servers(q);
    ask_windows(q);
    return ST_OK;
}

static enum status resolver_ex_ask(struct resolver *base, struct resolver_query **out,
                                   const uint8_t *question, size_t len_bytes, resolver_fn *fn,
                                   void *ctx)
{
    struct resolver_ex *r = resolver_ex_of(base);
    struct resolver_query *q;
    enum status st;

    if (len_bytes > RESOLVER_MAX_MESSAGE)
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
    q->len_bytes = len_bytes;
    memcpy(q->message, question, len_bytes);
    list_append(&r->queries, &q->link);
    r->pending++;
    st = query_start(q);
    if (st)
        query_free(q);
    else
        *out = q;
    return st;
}

/* What Windows has comes back once more, as cancelled, and is freed then. */
static void resolver_ex_cancel(struct resolver_query *q)
{
    if (!q)
        return;
    if (q->inner) {
        q->r->servers->ops->cancel(q->inner);
        query_free(q);
        return;
    }
    q->fn = NULL;
    if (q->is_pending)
        q->r->api.cancel(&q->cancel);
}

/* Windows knows by itself. */
static void resolver_ex_reload(struct resolver *base)
{
    struct resolver *servers = resolver_ex_of(base)->servers;

    servers->ops->reload(servers);
}

static void resolver_ex_close(struct resolver *base)
{
    struct resolver_ex *r = resolver_ex_of(base);
    struct list *it, *tmp;

    list_for_each(it, tmp, &r->queries)
        resolver_ex_cancel(container_of(it, struct resolver_query, link));
    r->servers->ops->close(r->servers);
    if (!dns_calls_wait(&r->calls))
        return; /* what the system may still write to has to stay */
    list_for_each(it, tmp, &r->queries) query_free(container_of(it, struct resolver_query, link));
    dns_calls_fini(&r->calls);
    free(r);
}

static const struct resolver_ops resolver_ex_ops = {
    .ask = resolver_ex_ask,
    .cancel = resolver_ex_cancel,
    .reload = resolver_ex_reload,
    .close = resolver_ex_close,
};

/* ---- life -------------------------------------------------------------------------------- */

static enum status load_api(struct dns_ex_api *out)
{
    const struct dns_function functions[] = {
        { "DnsQueryEx", (void (**)(void)) & out->query },
        { "DnsCancelQuery", (void (**)(void)) & out->cancel },
        { "DnsFree", (void (**)(void)) & out->list_free },
    };

    return dns_functions_load(functions, ARRAY_SIZE(functions));
}

/* Takes @servers if it succeeds. */
static enum status make(struct resolver_ex **out, struct loop *loop, const struct dns_ex_api *api,
                        struct resolver *servers)
{
    struct resolver_ex *r = calloc(1, sizeof *r);
    enum status st;

    if (!r)
        return ST_NOMEM;
    r->base.ops = &resolver_ex_ops;
    r->loop = loop;
    r->api = *api;
    r->servers = servers;
    list_init(&r->queries);
    st = dns_calls_init(&r->calls, loop);
    if (st) {
        free(r);
        return st;
    }
    *out = r;
    return ST_OK;
}

enum status resolver_query_ex_new(struct resolver **out, struct loop *loop, struct net *net,
                                  const struct dns_ex_api *api, struct resolver *servers,
                                  struct errmsg *e)
{
    const struct resolver_uv_config system_servers = { .conf_path = NULL };
    struct resolver *given = servers;
    struct dns_ex_api functions;
    struct resolver_ex *r;
    enum status st = ST_OK;

    if (!servers)
        st = resolver_uv_new(&servers, loop, net, &system_servers, e);
    if (st)
        return st;
    if (!api && load_api(&functions) != ST_OK) {
        *out = servers;
        return ST_OK;
    }
    st = make(&r, loop, api ? api : &functions, servers);
    if (st) {
        errmsg_set(e, "resolver: %s", status_text(st));
        if (!given)
            servers->ops->close(servers);
        return st;
    }
    *out = &r->base;
    return ST_OK;
}
