/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 * A question goes on as it came, but for its id; so does the answer. Nothing is decoded beyond what
 * decides whose answer it is: every record type, TTL, code and option passes.
 *
 *   ask -> try server 1 (UDP, try_ms) -> server 2 -> ... -> once more -> TIMEOUT
 *             | answer with TC          | SERVFAIL, REFUSED, NOTIMP: the next may know better,
 *             `-> the same over TCP     | the last one's word is passed on
 *
 * Forged answers: each try has a socket, a random port and a random id of its own (32 bits to
 * guess), and an answer counts only from the server that was asked, with that id, and with the same
 * question (letters may differ in case). Anything else is ignored and the wait goes on.
 *
 * A server that answered after another did not becomes the first to be asked, until the
 * configuration changes: one dead server costs one wait, not one a question.
 *
 * Limits: RESOLVER_MAX_PENDING questions, one socket each; NAME_SERVERS_MAX servers, ROUNDS times
 * try_ms each, so that everybody has heard within 12 s by default.
 * Not done: a cache (the DNS server above has one), pipelining on one TCP connection, DNS over TLS
 * (the host's own stub does that, where it is configured to).
 */
#include "port/uv/resolver_uv.h"

#include "base/bytes.h"
#include "base/list.h"
#include "port/loop.h"
#include "port/net.h"
#include "port/resolver.h"
#include "port/uv/loop_uv_internal.h"
#include "port/uv/name_servers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    DNS_PORT = 53,
    TRY_MS = 2000,
    ROUNDS = 2,
    CHECK_EVERY_MS = 1000,
    PORT_TRIES = 4,
    FIRST_PORT = 1024,
    DNS_HEADER_BYTES = 12,
    DNS_MAX_NAME_BYTES = 255,
    LENGTH_BYTES = 2 /* before each message on TCP */
};
enum { FLAG_RESPONSE = 0x8000, FLAG_TRUNCATED = 0x0200, RCODE_MASK = 15 };
enum { RCODE_SERVFAIL = 2, RCODE_NOTIMP = 4, RCODE_REFUSED = 5 };

struct resolver_uv {
    struct resolver base;
    struct loop *loop; /* borrowed, as net */
    struct net *net;
    struct list queries;
    unsigned pending;
    struct name_servers servers;
    struct name_servers_mark mark;
    uint64_t checked_ms;
    bool checked;
    unsigned first; /* server that new questions begin with */
    uint16_t port;
    uint32_t try_ms;
    char *conf_path; /* owned; NULL: the system's */
};

struct resolver_query {
    struct list link;
    struct resolver_uv *r;
    resolver_fn *fn;
    void *ctx;
    struct timer timer; /* this try is over */
    struct net_udp *udp;
    struct net_tcp *tcp;
    struct ip_endpoint server; /* who is being asked */
    unsigned server_index;
    unsigned tries;
    enum status why;       /* what is told when nobody answers */
    uint16_t id, asked_id; /* on our side, and in the question */
    uint8_t *reply;        /* owned; TCP only: length and message */
    size_t reply_len;
    size_t name_end; /* where the question section of @message ends */
    size_t len;
    uint8_t message[]; /* LENGTH_BYTES of length, then the question of @len */
};

static struct resolver_uv *resolver_uv_of(struct resolver *r)
{
    return container_of(r, struct resolver_uv, base);
}

/* ---- messages -------------------------------------------------------------------------- */

/* Length of header and the one question; 0 when that is not what is there. */
static size_t question_end(const uint8_t *data, size_t len)
{
    struct bytes r = bytes_of(data, len);
    unsigned name = 0, label;

    (void)bytes_take(&r, 4);
    if (bytes_be16(&r) != 1)
        return 0;
    (void)bytes_take(&r, 6);
    do {
        label = bytes_u8(&r);
        name += label + 1;
        if (label > 63 || name > DNS_MAX_NAME_BYTES)
            return 0;
        (void)bytes_take(&r, label);
    } while (label && bytes_ok(&r));
    (void)bytes_take(&r, 4);
    return bytes_ok(&r) ? len - r.left : 0;
}

/* Equal but for the case of letters. Bytes of lengths and types that happen to be letters are held
 * to the same rule, which forgives nothing that matters. */
static bool same_question(const uint8_t *a, const uint8_t *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (tolower(a[i]) != tolower(b[i]))
            return false;
    return true;
}

/* Whether @data answers @q; *flags then holds its flags. */
static bool is_answer(const struct resolver_query *q, const uint8_t *data, size_t len,
                      uint16_t *flags)
{
    const uint8_t *question = q->message + LENGTH_BYTES;
    size_t section = q->name_end - DNS_HEADER_BYTES;
    struct bytes r = bytes_of(data, len);
    uint16_t id = bytes_be16(&r);
    uint16_t questions;
    const uint8_t *theirs;

    *flags = bytes_be16(&r);
    questions = bytes_be16(&r);
    (void)bytes_take(&r, 6);
    if (!bytes_ok(&r) || id != q->id || !(*flags & FLAG_RESPONSE))
        return false;
    /* A server that could not make sense of it may leave the question out. */
    if (questions == 0)
        return (*flags & RCODE_MASK) != 0;
    theirs = bytes_take(&r, section);
    return questions == 1 && theirs && same_question(theirs, question + DNS_HEADER_BYTES, section);
}

static void set_id(uint8_t *message, uint16_t id)
{
    message[0] = (uint8_t)(id >> 8);
    message[1] = (uint8_t)id;
}

/* ---- the end of a question ------------------------------------------------------------- */

static void query_drop_sockets(struct resolver_query *q)
{
    const struct net_ops *ops = q->r->net->ops;

    timer_stop(&q->timer);
    if (q->udp)
        ops->udp_close(q->udp);
    ops->tcp_close(q->tcp, true);
    free(q->reply);
    q->udp = NULL;
    q->tcp = NULL;
    q->reply = NULL;
    q->reply_len = 0;
}

static void query_free(struct resolver_query *q)
{
    query_drop_sockets(q);
    list_remove(&q->link);
    q->r->pending--;
    free(q);
}

static void query_end(struct resolver_query *q, enum status st, const uint8_t *answer, size_t len)
{
    resolver_fn *fn = q->fn;
    void *ctx = q->ctx;

    query_free(q);
    fn(ctx, st, answer, len);
}

/* ---- one try --------------------------------------------------------------------------- */

static void query_try(struct resolver_query *q);

static bool tries_left(const struct resolver_query *q)
{
    return q->tries < ROUNDS * q->r->servers.count;
}

/* From the loop only. */
static void query_next(struct resolver_query *q, enum status why)
{
    if (why != ST_TIMEOUT)
        q->why = why;
    query_drop_sockets(q);
    if (tries_left(q))
        query_try(q);
    else
        query_end(q, q->why, NULL, 0);
}

static void on_try_over(void *ctx)
{
    query_next(ctx, ST_TIMEOUT);
}

static void query_answered(struct resolver_query *q, const uint8_t *data, size_t len,
                           uint16_t flags)
{
    struct resolver_uv *r = q->r;
    unsigned rcode = flags & RCODE_MASK;
    bool evades = rcode == RCODE_SERVFAIL || rcode == RCODE_NOTIMP || rcode == RCODE_REFUSED;
    size_t cap;
    uint8_t *answer = loop_uv_scratch(r->loop, &cap);

    if (evades && q->tries < r->servers.count) {
        query_next(q, ST_UNREACHABLE);
        return;
    }
    if (!evades)
        r->first = q->server_index;
    memcpy(answer, data, len); /* at most 64 KiB; the buffer is twice that */
    set_id(answer, q->asked_id);
    query_end(q, ST_OK, answer, len);
}

/* ---- over TCP -------------------------------------------------------------------------- */

static void on_tcp_connected(void *ctx, enum status st)
{
    struct resolver_query *q = ctx;
    struct net_iov iov = { q->message, LENGTH_BYTES + q->len };

    if (st != ST_OK || q->r->net->ops->tcp_write(q->tcp, &iov, 1) != iov.len_bytes)
        query_next(q, st ? st : ST_IO);
    else
        q->r->net->ops->tcp_read(q->tcp);
}

static size_t on_tcp_space(void *ctx, uint8_t **buf)
{
    struct resolver_query *q = ctx;

    *buf = q->reply + q->reply_len;
    return LENGTH_BYTES + RESOLVER_MAX_MESSAGE - q->reply_len;
}

static void on_tcp_data(void *ctx, size_t len)
{
    struct resolver_query *q = ctx;
    struct bytes r;
    const uint8_t *message;
    uint16_t size, flags;

    q->reply_len += len;
    r = bytes_of(q->reply, q->reply_len);
    size = bytes_be16(&r);
    message = bytes_take(&r, size);
    if (!bytes_ok(&r))
        return;
    if (is_answer(q, message, size, &flags))
        query_answered(q, message, size, flags);
    else
        query_next(q, ST_PROTO);
}

static void on_tcp_eof(void *ctx)
{
    query_next(ctx, ST_PROTO);
}

static void on_tcp_writable(void *ctx)
{
    /* All was taken at once, or the try was given up. */
}

static void on_tcp_error(void *ctx, enum status why)
{
    query_next(ctx, why);
}

static const struct net_tcp_handler tcp_handler = {
    .on_connected = on_tcp_connected,
    .on_space = on_tcp_space,
    .on_data = on_tcp_data,
    .on_eof = on_tcp_eof,
    .on_writable = on_tcp_writable,
    .on_error = on_tcp_error,
};

/* The same server, the same question, without a limit on the answer. */
static void query_over_tcp(struct resolver_query *q)
{
    struct resolver_uv *r = q->r;
    enum status st = ST_NOMEM;

    query_drop_sockets(q);
    q->reply = malloc(LENGTH_BYTES + RESOLVER_MAX_MESSAGE);
    if (q->reply)
        st = r->net->ops->tcp_connect(r->net, &q->tcp, &q->server, r->try_ms, &tcp_handler, q);
    if (st)
        query_next(q, st);
    else
        timer_start(&q->timer, 2 * (uint64_t)r->try_ms);
}

/* ---- over UDP -------------------------------------------------------------------------- */

static void on_udp_datagram(void *ctx, const struct ip_endpoint *from, const uint8_t *data,
                            size_t len)
{
    struct resolver_query *q = ctx;
    uint16_t flags;

    if (from->port != q->server.port || !ip_addr_equal(&from->addr, &q->server.addr) ||
        !is_answer(q, data, len, &flags))
        return;
    if (flags & FLAG_TRUNCATED)
        query_over_tcp(q);
    else
        query_answered(q, data, len, flags);
}

static void on_udp_unreachable(void *ctx, const struct ip_endpoint *to, enum status why)
{
    query_next(ctx, why);
}

static const struct net_udp_handler udp_handler = {
    .on_datagram = on_udp_datagram,
    .on_unreachable = on_udp_unreachable,
};

static enum status open_random_port(struct resolver_query *q)
{
    struct net *net = q->r->net;
    struct ip_endpoint local = { .port = 0 };
    enum status st = ST_EXISTS;
    uint16_t random;

    if (ip_addr_is_v4(&q->server.addr))
        local.addr = ip_addr_v4(0);
    for (unsigned i = 0; i < PORT_TRIES && st == ST_EXISTS; i++) {
        if (uv_random(NULL, NULL, &random, sizeof random, 0, NULL) != 0)
            return ST_IO;
        local.port = (uint16_t)(FIRST_PORT + random % (65536 - FIRST_PORT));
        st = net->ops->udp_open(net, &q->udp, &local, &udp_handler, q);
    }
    return st;
}

static void query_try(struct resolver_query *q)
{
    struct resolver_uv *r = q->r;
    enum status st;

    q->server_index = (r->first + q->tries) % r->servers.count;
    q->tries++;
    q->server = (struct ip_endpoint){ .addr = r->servers.at[q->server_index], .port = r->port };
    st = open_random_port(q);
    if (st == ST_OK && uv_random(NULL, NULL, &q->id, sizeof q->id, 0, NULL) != 0)
        st = ST_IO;
    set_id(q->message + LENGTH_BYTES, q->id);
    if (st == ST_OK)
        st = r->net->ops->udp_send(q->udp, &q->server, q->message + LENGTH_BYTES, q->len);
    if (st)
        q->why = st;
    timer_start(&q->timer, st ? 0 : r->try_ms); /* the loop goes on with the next server */
}

/* ---- the contract ---------------------------------------------------------------------- */

static void resolver_uv_check(struct resolver_uv *r)
{
    uint64_t now = loop_now_ms(r->loop);

    if (r->checked && now - r->checked_ms < CHECK_EVERY_MS)
        return;
    r->checked = true;
    r->checked_ms = now;
    /* Questions under way go on with the new list: indices are always taken modulo its length. */
    if (name_servers_refresh(&r->servers, &r->mark, r->conf_path))
        r->first = 0;
}

static enum status resolver_uv_ask(struct resolver *base, struct resolver_query **out,
                                   const uint8_t *question, size_t len, resolver_fn *fn, void *ctx)
{
    struct resolver_uv *r = resolver_uv_of(base);
    size_t end = len <= RESOLVER_MAX_MESSAGE ? question_end(question, len) : 0;
    struct resolver_query *q;

    if (end == 0)
        return ST_PROTO;
    if (r->pending == RESOLVER_MAX_PENDING)
        return ST_FULL;
    q = calloc(1, sizeof *q + LENGTH_BYTES + len);
    if (!q)
        return ST_NOMEM;
    resolver_uv_check(r);
    q->r = r;
    q->fn = fn;
    q->ctx = ctx;
    q->why = ST_TIMEOUT;
    q->len = len;
    q->name_end = end;
    q->asked_id = (uint16_t)(question[0] << 8 | question[1]);
    q->message[0] = (uint8_t)(len >> 8);
    q->message[1] = (uint8_t)len;
    memcpy(q->message + LENGTH_BYTES, question, len);
    timer_init(&q->timer, r->loop, on_try_over, q);
    list_append(&r->queries, &q->link);
    r->pending++;
    query_try(q);
    *out = q;
    return ST_OK;
}

static void resolver_uv_cancel(struct resolver_query *q)
{
    if (q)
        query_free(q);
}

static void resolver_uv_reload(struct resolver *base)
{
    struct resolver_uv *r = resolver_uv_of(base);

    r->checked = false;
    r->mark = (struct name_servers_mark){ { 0 } };
}

static void resolver_uv_close(struct resolver *base)
{
    struct resolver_uv *r = resolver_uv_of(base);
    struct list *it, *tmp;

    list_for_each(it, tmp, &r->queries) query_free(container_of(it, struct resolver_query, link));
    free(r->conf_path);
    free(r);
}

static const struct resolver_ops resolver_uv_ops = {
    .ask = resolver_uv_ask,
    .cancel = resolver_uv_cancel,
    .reload = resolver_uv_reload,
    .close = resolver_uv_close,
};

enum status resolver_uv_new(struct resolver **out, struct loop *loop, struct net *net,
                            const struct resolver_uv_config *config, struct errmsg *e)
{
    struct resolver_uv *r = calloc(1, sizeof *r);
    size_t path_bytes = config->conf_path ? strlen(config->conf_path) + 1 : 0;

    if (r && path_bytes)
        r->conf_path = malloc(path_bytes);
    if (!r || (path_bytes && !r->conf_path)) {
        free(r);
        errmsg_set(e, "resolver: %s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    if (path_bytes)
        memcpy(r->conf_path, config->conf_path, path_bytes);
    r->base.ops = &resolver_uv_ops;
    r->loop = loop;
    r->net = net;
    r->port = config->port ? config->port : DNS_PORT;
    r->try_ms = config->try_ms ? config->try_ms : TRY_MS;
    list_init(&r->queries);
    *out = &r->base;
    return ST_OK;
}
