/* SPDX-License-Identifier: Apache-2.0
 * THEORY: DNS at the gateway: our own zones, and everything else the way the host resolves it.
 *
 *   question -> decode -> own zone? --yes--> answer, composed on the stack
 *                           | no
 *                         cache? ----yes--> a copy with its age taken off the TTLs
 *                           | no
 *                         pending for the same thing? --yes--> wait along
 *                           | no
 *                         rate and number within bounds? --no--> SERVFAIL
 *                           | yes
 *                         env.resolver, under an id of our own -> check -> cache -> every waiter
 *
 * An answer from upstream is passed on as it is: all types, TTLs and codes. Changed are only the
 * id, RD and the letters of the name in the question section (each waiter gets its own spelling
 * back, so 0x20 works), and on UDP an answer beyond what the client takes, or 1,232 bytes, becomes
 * an empty one with TC: whoever wants it asks again by TCP, and nobody can be flooded by asking in
 * another's name. What goes upstream is composed from the decoded question, so no other byte of a
 * guest's leaves the switch; EDNS options (cookies, client subnet) are between neighbours (RFC
 * 6891) and end here, or one client's cookie would come back to another from the cache.
 *
 * Invariants: a pending question has between 0 and DNS_WAITERS_MAX waiters (0: its clients went,
 * the answer still goes to the cache); it ends by answer or deadline, exactly once. Own-zone and
 * cached answers allocate nothing; a forwarded question allocates one struct dns_pending. A
 * retransmitted question of the same client is the same waiter.
 *
 * Limits: limits.dns_queries pending, limits.dns_rate questions a second of one address to
 * upstream, limits.dns_clients addresses watched. Over a limit the answer is SERVFAIL at once,
 * never silence: a stub that hears nothing waits 5 s.
 */
#include "switch/dns_internal.h"

#include "base/log.h"
#include "switch/dns_rebind.h"

#include <stdlib.h>
#include <string.h>

/* ---- answering --------------------------------------------------------------------------- */

/* @framed: room for a length, then the message. */
static void reply(struct switch_ *s, const struct dns_client *client, uint8_t *framed,
                  size_t len_bytes)
{
    if (client->conn)
        dns_tcp_reply(client->conn, framed, len_bytes);
    else
        out_udp(s, &client->at, &client->from, framed + DNS_FRAME_BYTES, len_bytes);
}

static void reply_empty(struct switch_ *s, const struct dns_client *client,
                        const struct dns_question *q, enum dns_rcode rcode, bool authoritative,
                        bool truncated)
{
    uint8_t buf[DNS_FRAME_BYTES + DNS_SMALL_MAX];

    reply(s, client, buf,
          dns_answer_empty(q, rcode, authoritative, truncated, buf + DNS_FRAME_BYTES));
}

static void reply_failure(struct switch_ *s, const struct dns_client *client,
                          const struct dns_question *q)
{
    s->count.dns_failed++;
    reply_empty(s, client, q, DNS_SERVFAIL, false, false);
}

/* @msg is an answer to the same question, @age_s old. */
static void reply_upstream(struct switch_ *s, const struct dns_client *client,
                           const struct dns_question *q, const uint8_t *msg, size_t len_bytes,
                           uint32_t age_s)
{
    uint8_t *framed = s->dns->answer;

    if (!client->conn && len_bytes > q->udp_bytes) {
        reply_empty(s, client, q, (enum dns_rcode)(msg[3] & 15), false, true);
        return;
    }
    memcpy(framed + DNS_FRAME_BYTES, msg, len_bytes);
    dns_answer_fit(framed + DNS_FRAME_BYTES, len_bytes, q, age_s);
    reply(s, client, framed, len_bytes);
}

/* True: the name is ours and was answered. */
static bool reply_own(struct switch_ *s, const struct dns_client *client,
                      const struct dns_question *q)
{
    uint8_t buf[DNS_FRAME_BYTES + DNS_SMALL_MAX];
    uint8_t *msg = buf + DNS_FRAME_BYTES;
    struct dns_found found;

    dns_zones_find(s->dns->zones, q, &found);
    switch (found.what) {
    case DNS_FOUND_NOTHING: return false;
    case DNS_FOUND_ADDRESS:
        reply(s, client, buf, dns_answer_addresses(q, found.v4, found.v6, 0, msg));
        break;
    case DNS_FOUND_POINTER:
        reply(s, client, buf,
              dns_answer_pointer(q, found.name, found.name_bytes, 0, msg, DNS_SMALL_MAX));
        break;
    case DNS_FOUND_NO_DATA: reply_empty(s, client, q, DNS_NOERROR, true, false); break;
    case DNS_FOUND_NO_NAME: reply_empty(s, client, q, DNS_NXDOMAIN, true, false); break;
    }
    s->count.dns_own++;
    return true;
}

/* ---- what one client may ask of upstream ------------------------------------------------- */

static struct dns_source *source_of(struct switch_ *s, const struct ip_addr *addr, uint64_t now_ms)
{
    const struct switch_limits *limits = &s->config.limits;
    struct dns_server *d = s->dns;
    struct dns_source *oldest = &d->sources[0];

    for (unsigned i = 0; i < limits->dns_clients; i++) {
        if (ip_addr_equal(&d->sources[i].addr, addr))
            return &d->sources[i];
        if (d->sources[i].last_ms < oldest->last_ms)
            oldest = &d->sources[i];
    }
    s->count.dns_client_limit_hits += !ip_addr_is_unspecified(&oldest->addr);
    *oldest = (struct dns_source){ *addr, limits->dns_rate * 1000, now_ms };
    return oldest;
}

/* A token bucket: one question is 1,000 millitokens, limits.dns_rate of which come each
 * ms, and as many seconds' worth as one are kept. */
static bool take_token(struct switch_ *s, const struct ip_addr *addr, uint64_t now_ms)
{
    const uint32_t full = s->config.limits.dns_rate * 1000;
    struct dns_source *src = source_of(s, addr, now_ms);
    uint64_t more = (now_ms - src->last_ms) * s->config.limits.dns_rate;

    src->last_ms = now_ms;
    src->millitokens = more >= full - src->millitokens ? full : src->millitokens + (uint32_t)more;
    if (src->millitokens < 1000)
        return false;
    src->millitokens -= 1000;
    return true;
}

/* ---- questions under way ----------------------------------------------------------------- */

static struct dns_pending *pending_for(struct dns_server *d, const struct dns_question *q)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &d->pending)
    {
        struct dns_pending *p = container_of(it, struct dns_pending, link);

        if (p->waiters && dns_question_same(&p->waiter[0].question, q))
            return p;
    }
    return NULL;
}

static bool is_waiting(const struct dns_pending *p, const struct dns_client *client,
                       const struct dns_question *q)
{
    for (unsigned i = 0; i < p->waiters; i++) {
        const struct dns_client *c = &p->waiter[i].client;

        if (c->conn == client->conn && p->waiter[i].question.id == q->id &&
            c->from.port == client->from.port && ip_addr_equal(&c->from.addr, &client->from.addr))
            return true;
    }
    return false;
}

/* False: no room. */
static bool add_waiter(struct dns_pending *p, const struct dns_client *client,
                       const struct dns_question *q)
{
    if (!client->conn && is_waiting(p, client, q))
        return true;
    if (p->waiters == DNS_WAITERS_MAX || (client->conn && !dns_tcp_may_wait(client->conn)))
        return false;
    p->waiter[p->waiters].client = *client;
    p->waiter[p->waiters].question = *q;
    p->waiters++;
    if (client->conn)
        dns_tcp_waits(client->conn, 1);
    return true;
}

static void unlink_pending(struct dns_pending *p)
{
    list_remove(&p->link);
    p->owner->dns->pending_count--;
    timer_stop(&p->deadline);
}

/* The end of @p, which is unlinked: every waiter hears @msg, or when it is NULL SERVFAIL, or of a
 * refused one that there are no records. */
static void answer_waiters(struct dns_pending *p, const uint8_t *msg, size_t len_bytes)
{
    struct switch_ *s = p->owner;

    /* A reply can end a connection, which then takes its other waiters with it. */
    while (p->waiters) {
        unsigned i = --p->waiters;
        struct dns_client client = p->waiter[i].client;

        if (client.conn)
            dns_tcp_waits(client.conn, -1);
        if (msg)
            reply_upstream(s, &client, &p->waiter[i].question, msg, len_bytes, 0);
        else if (p->is_refused)
            reply_empty(s, &client, &p->waiter[i].question, DNS_NOERROR, false, false);
        else
            reply_failure(s, &client, &p->waiter[i].question);
    }
}

/* Whether the policy refuses an answer with private addresses to @q. */
static bool is_rebind(struct switch_ *s, const struct dns_question *q)
{
    bool is_denied = s->config.dns_rebind == SWITCH_DNS_REBIND_DENY;
    char name[DNS_NAME_TEXT_MAX];

    if (s->config.dns_rebind == SWITCH_DNS_REBIND_OFF ||
        !dns_rebind_is_public(q, s->config.search_domains))
        return false;
    s->count.dns_rebinds++;
    log_warn_limited(LOG_SWITCH, "dns: the public name %s has a private address: %s",
                     dns_name_format(q->key, q->name_bytes, name),
                     is_denied ? "refused" : "passed on");
    return is_denied;
}

static void on_answer(void *ctx, enum status st, const uint8_t *answer, size_t len_bytes)
{
    struct dns_pending *p = ctx;
    struct switch_ *s = p->owner;
    struct dns_answer_info info;

    timer_stop(&p->deadline);
    if (st || len_bytes > RESOLVER_MAX_MESSAGE || !p->waiters ||
        dns_answer_check(&info, &p->waiter[0].question, p->id, answer, len_bytes))
        answer = NULL;
    if (answer && info.has_private && is_rebind(s, &p->waiter[0].question)) {
        p->is_refused = true;
        answer = NULL;
    }
    if (answer && info.is_cacheable)
        dns_cache_add(s->dns->cache, &p->waiter[0].question, answer, len_bytes, info.ttl_s,
                      switch_now_ms(s));
    answer_waiters(p, answer, len_bytes);
    unlink_pending(p);
    free(p);
    switch_want_flush(s);
}

static void on_deadline(void *ctx)
{
    struct dns_pending *p = ctx;
    struct switch_ *s = p->owner;

    s->env.resolver->ops->cancel(p->query);
    answer_waiters(p, NULL, 0);
    unlink_pending(p);
    free(p);
    switch_want_flush(s);
}

static enum status ask_upstream(struct switch_ *s, struct dns_pending *p,
                                const struct dns_question *q)
{
    uint8_t msg[DNS_SMALL_MAX];
    enum status st = s->env.random(&p->id, sizeof p->id);

    if (st)
        return st;
    return s->env.resolver->ops->ask(s->env.resolver, &p->query, msg,
                                     dns_question_encode(q, p->id, msg), on_answer, p);
}

static enum status forward(struct switch_ *s, const struct dns_client *client,
                           const struct dns_question *q)
{
    struct dns_server *d = s->dns;
    struct dns_pending *p;
    enum status st;

    if (!s->env.resolver)
        return ST_UNSUPPORTED;
    if (d->pending_count >= s->config.limits.dns_queries ||
        !take_token(s, &client->from.addr, switch_now_ms(s)))
        return ST_FULL;
    p = calloc(1, sizeof *p);
    if (!p)
        return ST_NOMEM;
    p->owner = s;
    st = add_waiter(p, client, q) ? ask_upstream(s, p, q) : ST_FULL;
    if (st) {
        if (p->waiters && client->conn)
            dns_tcp_waits(client->conn, -1);
        free(p);
        return st;
    }
    list_append(&d->pending, &p->link);
    d->pending_count++;
    timer_init(&p->deadline, s->env.loop, on_deadline, p);
    timer_start(&p->deadline, DNS_ASK_MS);
    s->count.dns_forwarded++;
    return ST_OK;
}

static void resolve(struct switch_ *s, const struct dns_client *client,
                    const struct dns_question *q)
{
    size_t len_bytes;
    uint32_t age_s;
    const uint8_t *msg = dns_cache_find(s->dns->cache, q, switch_now_ms(s), &len_bytes, &age_s);
    struct dns_pending *p;
    enum status st;

    if (msg) {
        s->count.dns_cached++;
        reply_upstream(s, client, q, msg, len_bytes, age_s);
        return;
    }
    p = pending_for(s->dns, q);
    st = p ? (add_waiter(p, client, q) ? ST_OK : ST_FULL) : forward(s, client, q);
    if (st == ST_FULL)
        s->count.dns_limit_hits++;
    if (st)
        reply_failure(s, client, q);
}

void dns_ask(struct switch_ *s, const struct dns_client *client, const uint8_t *msg,
             size_t len_bytes)
{
    struct dns_question q;
    enum dns_rcode rcode;
    enum status st = dns_question_decode(&q, msg, len_bytes, &rcode);

    if (st == ST_EOF) {
        s->count.drop_malformed++;
    } else if (st) {
        reply_empty(s, client, &q, rcode, false, false);
    } else if (q.has_edns && q.edns_version > 0) {
        reply_empty(s, client, &q, DNS_BADVERS, false, false);
    } else if (q.class != DNS_CLASS_IN ||
               (q.type >= DNS_TYPE_IXFR && q.type < DNS_TYPE_ANY)) { /* transfers: RFC 5936 */
        reply_empty(s, client, &q, DNS_REFUSED, false, false);
    } else if (!reply_own(s, client, &q)) {
        resolve(s, client, &q);
    }
}

void dns_input(struct switch_ *s, const struct packet *p, const struct udp_header *h,
               const uint8_t *payload, size_t len_bytes)
{
    struct dns_client client = { .from = { p->ip.src, h->src_port },
                                 .at = { p->ip.dst, h->dst_port } };

    dns_ask(s, &client, payload, len_bytes);
}

void dns_forget_conn(struct switch_ *s, const struct dns_conn *conn)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &s->dns->pending)
    {
        struct dns_pending *p = container_of(it, struct dns_pending, link);

        for (unsigned i = 0; i < p->waiters;) {
            if (p->waiter[i].client.conn == conn)
                p->waiter[i] = p->waiter[--p->waiters];
            else
                i++;
        }
    }
}

/* ---- life -------------------------------------------------------------------------------- */

enum status switch_dns_zone_add(struct switch_ *s, const char *json, size_t len_bytes,
                                struct errmsg *e)
{
    enum status st = dns_zones_add_json(s->dns->zones, json, len_bytes, e);

    s->count.dns_zone_limit_hits += st == ST_FULL;
    return st;
}

char *switch_dns_zones_json(const struct switch_ *s)
{
    return dns_zones_to_json(s->dns->zones);
}

/* What is under way is answered by whom it was asked, or ends by its deadline. */
void dns_network_changed(struct switch_ *s)
{
    dns_cache_clear(s->dns->cache);
    if (s->env.resolver)
        s->env.resolver->ops->reload(s->env.resolver);
}

enum status dns_new(struct switch_ *s)
{
    struct dns_server *d = calloc(1, sizeof *d);
    uint32_t seed = 0;
    enum status st;

    if (!d)
        return ST_NOMEM;
    list_init(&d->pending);
    list_init(&d->conns);
    s->dns = d;
    d->sources = calloc(s->config.limits.dns_clients, sizeof *d->sources);
    st = d->sources ? s->env.random(&seed, sizeof seed) : ST_NOMEM;
    if (!st)
        st = dns_zones_new(&d->zones, s);
    if (!st)
        st = dns_cache_new(&d->cache, seed, &s->config.limits, &s->count.dns_cache_evicted);
    if (!st)
        st = dns_tcp_start(s);
    if (st)
        dns_free(s);
    return st;
}

void dns_free(struct switch_ *s)
{
    struct dns_server *d = s->dns;
    struct list *it, *tmp;

    if (!d)
        return;
    dns_tcp_stop(s);
    list_for_each(it, tmp, &d->pending)
    {
        struct dns_pending *p = container_of(it, struct dns_pending, link);

        s->env.resolver->ops->cancel(p->query);
        unlink_pending(p);
        free(p);
    }
    dns_cache_free(d->cache);
    dns_zones_free(d->zones);
    free(d->sources);
    free(d);
    s->dns = NULL;
}
