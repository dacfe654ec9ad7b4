/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Purpose: the host's TCP as the switch sees it, with the test at the other end of everything.
 *
 *     tcp_connect() --> on_settled (after the scripted delay) --> on_connected()
 *     net_sim_peer_send() --> in[] --on_readable--> on_space() --> on_data(), on_eof()
 *     tcp_write() --> as much as @room allows --> received[]      (the rest stays the caller's)
 *
 * Differs from stream_sim.c where net.h differs from stream.h: nothing is queued here, a write is
 * partial when the room ends, and what is read is put where on_space() says.
 *
 * What on_space() offers is filled up to its first byte too many for what there is: whoever offers
 * more than it has is caught by AddressSanitizer. Before the end of the peer's data on_space() is
 * asked too, as a read that finds the end needs somewhere to read to; so no end is told to who has
 * no room.
 *
 * Invariants: one struct net_sim_peer a connection, from tcp_connect() or accept until
 * net_sim_free(), so a use after close is an ASSERT and not luck. Not done: TCP's own segments,
 * which are below this contract; simultaneous listeners on one port with different addresses are
 * two listeners.
 */
#include "port/sim/net_sim_internal.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_PORT = 40000 };

/* What the code under test holds; nothing in it is anybody else's. */
struct net_tcp {
    uint8_t unused;
};

enum peer_state { PEER_CONNECTING, PEER_OPEN, PEER_CLOSED };

struct net_sim_peer {
    struct net_tcp tcp;
    struct net_sim *net;
    struct list link;           /* on net->peers */
    struct list connected_link; /* on net->connected until taken */
    struct ip_endpoint at;
    const struct net_tcp_handler *handler;
    void *ctx;
    enum peer_state state;
    enum status outcome; /* of the connect */
    struct sim_event on_settled, on_readable, on_writable;

    struct sim_bytes in;
    size_t piece;
    bool in_ended, told_end, reading;

    struct sim_bytes received;
    size_t room;
    bool wants_room; /* a write was partial */
    bool shut, close_reset;
    unsigned writes;

    enum status dead;
    bool told_dead;
};

struct net_listener {
    struct net_sim *net;
    struct list link;
    struct list waiting; /* of struct waiting */
    struct sim_event on_acceptable;
    struct ip_endpoint at;
    const struct net_listener_handler *handler;
    void *ctx;
};

struct waiting {
    struct list link;
    struct net_sim_peer *peer;
    struct ip_endpoint from;
};

/* ---- script ------------------------------------------------------------------------------ */

void net_sim_script(struct list *script, enum status st, uint64_t delay_ms)
{
    struct net_sim_scripted *s = sim_alloc(sizeof *s);

    s->answer = (struct net_sim_answer){ st, delay_ms };
    list_append(script, &s->link);
}

bool net_sim_scripted(struct list *script, struct net_sim_answer *out)
{
    struct net_sim_scripted *s;

    if (list_is_empty(script))
        return false;
    s = container_of(script->next, struct net_sim_scripted, link);
    list_remove(&s->link);
    *out = s->answer;
    free(s);
    return true;
}

enum status net_sim_take_fault(enum status *fault)
{
    enum status st = *fault;

    *fault = ST_OK;
    return st;
}

bool net_sim_endpoint_equal(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
    return a->port == b->port && ip_addr_equal(&a->addr, &b->addr);
}

uint16_t net_sim_new_port(struct net_sim *n)
{
    n->last_port = n->last_port < UINT16_MAX ? n->last_port + 1 : FIRST_PORT;
    return n->last_port;
}

/* ---- towards the code under test --------------------------------------------------------- */

static void tell_dead(struct net_sim_peer *p)
{
    if (p->told_dead)
        return;
    p->told_dead = true;
    p->handler->on_error(p->ctx, p->dead);
}

static void read_end(struct net_sim_peer *p)
{
    uint8_t *buf = NULL;

    if (!p->in_ended || p->told_end)
        return;
    if (p->handler->on_space(p->ctx, &buf) == 0) {
        p->reading = false;
        return;
    }
    if (p->state != PEER_OPEN)
        return;
    p->told_end = true;
    p->handler->on_eof(p->ctx);
}

static void readable(struct sim_event *e)
{
    struct net_sim_peer *p = container_of(e, struct net_sim_peer, on_readable);
    uint8_t *buf = NULL;
    size_t len;

    if (p->state != PEER_OPEN)
        return;
    if (p->dead) {
        tell_dead(p);
        return;
    }
    if (!p->reading)
        return;
    if (p->in.len == 0) {
        read_end(p);
        return;
    }
    len = p->handler->on_space(p->ctx, &buf);
    if (len == 0) {
        p->reading = false;
        return;
    }
    if (p->state != PEER_OPEN)
        return;
    len = MIN(len, MIN(p->in.len, p->piece));
    memcpy(buf, p->in.data, len);
    sim_bytes_consume(&p->in, len);
    sim_event_post(p->net->sim, &p->on_readable, 0);
    p->handler->on_data(p->ctx, len);
}

static void writable(struct sim_event *e)
{
    struct net_sim_peer *p = container_of(e, struct net_sim_peer, on_writable);

    if (p->state != PEER_OPEN || !p->wants_room || p->room == 0 || p->dead)
        return;
    p->wants_room = false;
    p->handler->on_writable(p->ctx);
}

static void settled(struct sim_event *e)
{
    struct net_sim_peer *p = container_of(e, struct net_sim_peer, on_settled);

    if (p->outcome == ST_OK) {
        p->state = PEER_OPEN;
        list_append(&p->net->connected, &p->connected_link);
    } else {
        p->dead = p->outcome;
        p->told_dead = true;
        p->state = PEER_OPEN;
    }
    p->handler->on_connected(p->ctx, p->outcome);
}

/* ---- struct net_ops, TCP ----------------------------------------------------------------- */

static struct net_sim_peer *peer_of(struct net_tcp *t)
{
    struct net_sim_peer *p = container_of(t, struct net_sim_peer, tcp);

    ASSERT(p->state != PEER_CLOSED);
    return p;
}

static struct net_sim_peer *peer_new(struct net_sim *n, const struct ip_endpoint *at)
{
    struct net_sim_peer *p = sim_alloc(sizeof *p);

    p->net = n;
    p->at = *at;
    p->piece = SIZE_MAX;
    p->room = n->new_room;
    list_append(&n->peers, &p->link);
    list_init(&p->connected_link);
    sim_event_init(&p->on_settled, settled);
    sim_event_init(&p->on_readable, readable);
    sim_event_init(&p->on_writable, writable);
    return p;
}

static enum status op_tcp_connect(struct net *net, struct net_tcp **out,
                                  const struct ip_endpoint *to, uint32_t timeout_ms,
                                  const struct net_tcp_handler *h, void *ctx)
{
    struct net_sim *n = net_sim_of(net);
    struct net_sim_answer answer = { ST_REFUSED, 0 };
    enum status st = net_sim_take_fault(&n->next_connect_start);
    struct net_sim_peer *p;

    if (st)
        return st;
    if (!net_sim_scripted(&n->connect_script, &answer) && n->decide)
        answer = n->decide(n->decide_ctx, to);
    if (answer.delay_ms > timeout_ms)
        answer = (struct net_sim_answer){ ST_TIMEOUT, timeout_ms };
    n->connect_count++;
    p = peer_new(n, to);
    p->handler = h;
    p->ctx = ctx;
    p->outcome = answer.st;
    sim_event_post(n->sim, &p->on_settled, answer.delay_ms);
    *out = &p->tcp;
    return ST_OK;
}

static void op_tcp_set_handler(struct net_tcp *t, const struct net_tcp_handler *h, void *ctx)
{
    struct net_sim_peer *p = peer_of(t);

    p->handler = h;
    p->ctx = ctx;
}

static void op_tcp_read(struct net_tcp *t)
{
    struct net_sim_peer *p = peer_of(t);

    ASSERT(p->state == PEER_OPEN);
    p->reading = true;
    sim_event_post(p->net->sim, &p->on_readable, 0);
}

static size_t op_tcp_write(struct net_tcp *t, const struct net_iov *iov, unsigned count)
{
    struct net_sim_peer *p = peer_of(t);
    size_t taken = 0, total = 0;

    ASSERT(p->state == PEER_OPEN && !p->shut);
    p->writes++;
    if (p->dead) {
        sim_event_post(p->net->sim, &p->on_readable, 0);
        return 0;
    }
    for (unsigned i = 0; i < count; i++) {
        size_t len = MIN(iov[i].len_bytes, p->room);

        sim_bytes_append(&p->received, iov[i].data, len);
        total += iov[i].len_bytes;
        taken += len;
        if (p->room != SIZE_MAX)
            p->room -= len;
    }
    if (taken < total)
        p->wants_room = true;
    return taken;
}

static void op_tcp_shutdown(struct net_tcp *t)
{
    struct net_sim_peer *p = peer_of(t);

    ASSERT(p->state == PEER_OPEN);
    p->shut = true;
}

static void op_tcp_close(struct net_tcp *t, bool reset)
{
    struct net_sim_peer *p;

    if (!t)
        return;
    p = peer_of(t);
    /* What a system does: closed with bytes unread, a connection is reset. */
    p->close_reset = p->state == PEER_OPEN && !p->dead && (reset || p->in.len);
    p->shut |= p->state == PEER_OPEN && !p->dead && !p->close_reset;
    p->state = PEER_CLOSED;
    sim_event_cancel(&p->on_settled);
    sim_event_cancel(&p->on_readable);
    sim_event_cancel(&p->on_writable);
}

/* ---- struct net_ops, listeners ----------------------------------------------------------- */

static void acceptable(struct sim_event *e)
{
    struct net_listener *l = container_of(e, struct net_listener, on_acceptable);
    struct waiting *w;
    struct net_sim_peer *p;
    struct ip_endpoint from;

    if (list_is_empty(&l->waiting))
        return;
    w = container_of(l->waiting.next, struct waiting, link);
    p = w->peer;
    from = w->from;
    list_remove(&w->link);
    free(w);
    p->state = PEER_OPEN;
    sim_event_post(l->net->sim, &l->on_acceptable, 0);
    l->handler->on_accept(l->ctx, &p->tcp, &from);
}

static struct net_listener *find_listener(const struct net_sim *n, const struct ip_endpoint *at)
{
    for (struct list *it = n->listeners.next; it != &n->listeners; it = it->next) {
        struct net_listener *l = container_of(it, struct net_listener, link);

        if (net_sim_endpoint_equal(&l->at, at))
            return l;
    }
    return NULL;
}

static enum status op_tcp_listen(struct net *net, struct net_listener **out,
                                 const struct ip_endpoint *at, const struct net_listener_handler *h,
                                 void *ctx, struct errmsg *e)
{
    struct net_sim *n = net_sim_of(net);
    enum status st = net_sim_take_fault(&n->next_listen);
    struct net_listener *l;

    if (st) {
        errmsg_set(e, "%s", n->next_listen_why);
        return st;
    }
    if (find_listener(n, at)) {
        errmsg_set(e, "port %u: %s", at->port, status_text(ST_EXISTS));
        return ST_EXISTS;
    }
    l = sim_alloc(sizeof *l);
    l->net = n;
    l->at = *at;
    if (l->at.port == 0)
        l->at.port = net_sim_new_port(n);
    l->handler = h;
    l->ctx = ctx;
    list_init(&l->waiting);
    sim_event_init(&l->on_acceptable, acceptable);
    list_append(&n->listeners, &l->link);
    *out = l;
    return ST_OK;
}

static struct ip_endpoint op_listener_local(const struct net_listener *l)
{
    return l->at;
}

/* Who was not accepted yet is reset, as by a system. */
static void op_listener_close(struct net_listener *l)
{
    struct list *it, *tmp;

    if (!l)
        return;
    list_for_each(it, tmp, &l->waiting)
    {
        struct waiting *w = container_of(it, struct waiting, link);

        w->peer->state = PEER_CLOSED;
        w->peer->close_reset = true;
        free(w);
    }
    sim_event_cancel(&l->on_acceptable);
    list_remove(&l->link);
    free(l);
}

static const struct net_ops net_ops = {
    .tcp_connect = op_tcp_connect,
    .tcp_set_handler = op_tcp_set_handler,
    .tcp_read = op_tcp_read,
    .tcp_write = op_tcp_write,
    .tcp_shutdown = op_tcp_shutdown,
    .tcp_close = op_tcp_close,
    .udp_open = net_sim_op_udp_open,
    .udp_send = net_sim_op_udp_send,
    .udp_local = net_sim_op_udp_local,
    .udp_close = net_sim_op_udp_close,
    .tcp_listen = op_tcp_listen,
    .listener_local = op_listener_local,
    .listener_close = op_listener_close,
    .ping = net_sim_op_ping,
    .ping_cancel = net_sim_op_ping_cancel,
};

/* ---- the test's side: connects and listeners ---------------------------------------------- */

void net_sim_next_connect(struct net_sim *n, enum status st, uint64_t delay_ms)
{
    net_sim_script(&n->connect_script, st, delay_ms);
}

void net_sim_next_connect_start_fails(struct net_sim *n, enum status st)
{
    n->next_connect_start = st;
}

void net_sim_on_connect(struct net_sim *n, net_sim_connect_fn *decide, void *ctx)
{
    n->decide = decide;
    n->decide_ctx = ctx;
}

unsigned net_sim_connect_count(const struct net_sim *n)
{
    return n->connect_count;
}

static unsigned count_peers(const struct net_sim *n, bool pending_only)
{
    unsigned count = 0;

    for (struct list *it = n->peers.next; it != &n->peers; it = it->next) {
        enum peer_state state = container_of(it, struct net_sim_peer, link)->state;

        count += state == PEER_CONNECTING || (state == PEER_OPEN && !pending_only);
    }
    return count;
}

unsigned net_sim_connects_pending(const struct net_sim *n)
{
    return count_peers(n, true);
}

unsigned net_sim_open_tcp(const struct net_sim *n)
{
    return count_peers(n, false);
}

struct net_sim_peer *net_sim_take_connected(struct net_sim *n)
{
    return net_sim_take_connected_to(n, NULL);
}

struct net_sim_peer *net_sim_take_connected_to(struct net_sim *n, const struct ip_endpoint *to)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &n->connected)
    {
        struct net_sim_peer *p = container_of(it, struct net_sim_peer, connected_link);

        if (to && !net_sim_endpoint_equal(&p->at, to))
            continue;
        list_remove(&p->connected_link);
        return p;
    }
    return NULL;
}

void net_sim_next_listen_fails(struct net_sim *n, enum status st, const char *why)
{
    n->next_listen = st;
    n->next_listen_why = why;
}

bool net_sim_is_listening(const struct net_sim *n, const struct ip_endpoint *at)
{
    return find_listener(n, at) != NULL;
}

unsigned net_sim_open_listeners(const struct net_sim *n)
{
    unsigned count = 0;

    for (struct list *it = n->listeners.next; it != &n->listeners; it = it->next)
        count++;
    return count;
}

struct net_sim_peer *net_sim_connect(struct net_sim *n, const struct ip_endpoint *at,
                                     const struct ip_endpoint *from)
{
    struct net_listener *l = find_listener(n, at);
    struct waiting *w;

    if (!l)
        return NULL;
    w = sim_alloc(sizeof *w);
    w->peer = peer_new(n, at);
    w->from = *from;
    list_append(&l->waiting, &w->link);
    sim_event_post(n->sim, &l->on_acceptable, 0);
    return w->peer;
}

void net_sim_listener_error(struct net_sim *n, const struct ip_endpoint *at, enum status why)
{
    struct net_listener *l = find_listener(n, at);

    ASSERT(l != NULL);
    l->handler->on_error(l->ctx, why);
}

/* ---- the test's side: one connection ------------------------------------------------------ */

const struct ip_endpoint *net_sim_peer_at(const struct net_sim_peer *p)
{
    return &p->at;
}

void net_sim_peer_send(struct net_sim_peer *p, const void *data, size_t len_bytes)
{
    ASSERT(!p->in_ended);
    if (p->state == PEER_CLOSED || p->dead) /* lost, as on any network */
        return;
    sim_bytes_append(&p->in, data, len_bytes);
    sim_event_post(p->net->sim, &p->on_readable, 0);
}

void net_sim_peer_send_text(struct net_sim_peer *p, const char *text)
{
    net_sim_peer_send(p, text, strlen(text));
}

void net_sim_peer_set_piece(struct net_sim_peer *p, size_t max_bytes)
{
    p->piece = max_bytes ? max_bytes : SIZE_MAX;
}

void net_sim_peer_end(struct net_sim_peer *p)
{
    p->in_ended = true;
    if (p->state != PEER_CLOSED)
        sim_event_post(p->net->sim, &p->on_readable, 0);
}

void net_sim_peer_reset(struct net_sim_peer *p, enum status why)
{
    ASSERT(why != ST_OK);
    if (p->state == PEER_CLOSED || p->dead)
        return;
    p->dead = why;
    sim_bytes_consume(&p->in, p->in.len);
    if (p->reading || p->wants_room)
        sim_event_post(p->net->sim, &p->on_readable, 0);
}

size_t net_sim_peer_unread(const struct net_sim_peer *p)
{
    return p->in.len;
}

void net_sim_peer_set_room(struct net_sim_peer *p, size_t bytes)
{
    p->room = bytes;
    if (p->state != PEER_CLOSED)
        sim_event_post(p->net->sim, &p->on_writable, 0);
}

void net_sim_set_new_room(struct net_sim *n, size_t bytes)
{
    n->new_room = bytes;
}

const uint8_t *net_sim_peer_data(const struct net_sim_peer *p, size_t *len_bytes)
{
    *len_bytes = p->received.len;
    return p->received.data;
}

const char *net_sim_peer_text(struct net_sim_peer *p)
{
    sim_bytes_append(&p->received, "", 1);
    p->received.len--;
    return (const char *)p->received.data;
}

void net_sim_peer_drop_received(struct net_sim_peer *p)
{
    p->received.len = 0;
}

unsigned net_sim_peer_writes(const struct net_sim_peer *p)
{
    return p->writes;
}

bool net_sim_peer_saw_end(const struct net_sim_peer *p)
{
    return p->shut;
}

bool net_sim_peer_saw_reset(const struct net_sim_peer *p)
{
    return p->close_reset;
}

bool net_sim_peer_is_closed(const struct net_sim_peer *p)
{
    return p->state == PEER_CLOSED;
}

bool net_sim_peer_is_read(const struct net_sim_peer *p)
{
    return p->reading && p->state == PEER_OPEN;
}

/* ---- the sim itself ---------------------------------------------------------------------- */

struct net_sim *net_sim_new(struct sim *sim)
{
    struct net_sim *n = sim_alloc(sizeof *n);

    n->net.ops = &net_ops;
    n->sim = sim;
    n->new_room = SIZE_MAX;
    n->last_port = FIRST_PORT;
    list_init(&n->peers);
    list_init(&n->connected);
    list_init(&n->listeners);
    list_init(&n->connect_script);
    list_init(&n->ping_script);
    list_init(&n->udp);
    list_init(&n->kept);
    list_init(&n->pings);
    return n;
}

struct net *net_sim_net(struct net_sim *n)
{
    return &n->net;
}

static void peer_free(struct net_sim_peer *p)
{
    free(p->in.data);
    free(p->received.data);
    free(p);
}

static void script_free(struct list *script)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, script) free(container_of(it, struct net_sim_scripted, link));
}

void net_sim_free(struct net_sim *n)
{
    struct list *it, *tmp;

    if (!n)
        return;
    ASSERT(net_sim_open_tcp(n) == 0);
    ASSERT(net_sim_open_listeners(n) == 0);
    ASSERT(net_sim_open_udp(n) == 0);
    ASSERT(net_sim_open_pings(n) == 0);
    list_for_each(it, tmp, &n->peers) peer_free(container_of(it, struct net_sim_peer, link));
    script_free(&n->connect_script);
    script_free(&n->ping_script);
    net_sim_udp_fini(n);
    free(n);
}
