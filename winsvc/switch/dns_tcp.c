/* SPDX-License-Identifier: Apache-2.0
 * THEORY: DNS over TCP at the gateway (RFC 7766). The flow of the guest arrives as a stream
 * (tcp_serve()); on it messages have two bytes of length in front. A connection collects one
 * question at a time in a buffer of its own, because a question is small; answers are written from
 * where they were composed. Several may be under way and are answered as they come.
 *
 * Ends: ten idle seconds; a length that no question has; a client that does not read its answers
 * (DNS_CONN_QUEUED_MAX bytes); an error. A client that ended its direction still gets what it asked
 * for. A connection may be found to be over in the middle of reading from it, so conn_over() only
 * marks it then, and the reader frees it.
 */
#include "switch/dns_internal.h"

#include "port/stream.h"

#include <stdlib.h>
#include <string.h>

enum { QUESTION_BYTES_MAX = 1024 };

struct dns_conn {
    struct list link;
    struct switch_ *owner;
    struct stream *stream; /* owned */
    struct dns_client client;
    struct timer idle;
    unsigned waiting; /* questions at upstream */
    bool is_busy;     /* on_data() is on the stack */
    bool is_over;     /* to be freed by it */
    bool is_ended;    /* the client sends no more */
    size_t have_bytes;
    uint8_t buf[DNS_FRAME_BYTES + QUESTION_BYTES_MAX];
};

static void conn_over(struct dns_conn *c)
{
    struct dns_server *d = c->owner->dns;

    if (c->is_busy) {
        c->is_over = true;
        return;
    }
    dns_forget_conn(c->owner, c);
    timer_stop(&c->idle);
    stream_close(c->stream);
    list_remove(&c->link);
    d->conn_count--;
    free(c);
}

/* Everything asked is answered, and the client has all of it. */
static void end_if_done(struct dns_conn *c)
{
    if (c->is_ended && !c->waiting && !stream_queued_bytes(c->stream))
        conn_over(c);
}

void dns_tcp_reply(struct dns_conn *c, uint8_t *framed, size_t len_bytes)
{
    enum status st;

    framed[0] = (uint8_t)(len_bytes >> 8);
    framed[1] = (uint8_t)len_bytes;
    if (c->is_over)
        return;
    timer_start(&c->idle, DNS_CONN_IDLE_MS);
    st = stream_write(c->stream, framed, DNS_FRAME_BYTES + len_bytes);
    if ((st && st != ST_QUEUED) || stream_queued_bytes(c->stream) > DNS_CONN_QUEUED_MAX)
        conn_over(c);
    else if (!c->is_busy)
        end_if_done(c);
}

bool dns_tcp_may_wait(const struct dns_conn *c)
{
    return c->waiting < DNS_CONN_QUESTIONS;
}

void dns_tcp_waits(struct dns_conn *c, int change)
{
    c->waiting = (unsigned)((int)c->waiting + change);
}

/* How many bytes the message being collected has in all, its length known or not. */
static size_t wanted_bytes(const struct dns_conn *c)
{
    if (c->have_bytes < DNS_FRAME_BYTES)
        return DNS_FRAME_BYTES;
    return DNS_FRAME_BYTES + ((size_t)c->buf[0] << 8 | c->buf[1]);
}

static void take(struct dns_conn *c, const uint8_t *data, size_t len_bytes)
{
    while (len_bytes && !c->is_over) {
        size_t wanted = wanted_bytes(c);
        size_t n = MIN(wanted - c->have_bytes, len_bytes);

        memcpy(c->buf + c->have_bytes, data, n);
        c->have_bytes += n;
        data += n;
        len_bytes -= n;
        wanted = wanted_bytes(c);
        if (wanted < DNS_FRAME_BYTES + DNS_HEADER_BYTES ? c->have_bytes >= DNS_FRAME_BYTES
                                                        : wanted > sizeof c->buf) {
            c->owner->count.drop_malformed++;
            c->is_over = true;
        } else if (c->have_bytes == wanted && wanted > DNS_FRAME_BYTES) {
            c->have_bytes = 0;
            dns_ask(c->owner, &c->client, c->buf + DNS_FRAME_BYTES, wanted - DNS_FRAME_BYTES);
        }
    }
}

static void on_data(void *ctx, const uint8_t *data, size_t len_bytes)
{
    struct dns_conn *c = ctx;

    timer_start(&c->idle, DNS_CONN_IDLE_MS);
    c->is_busy = true;
    take(c, data, len_bytes);
    c->is_busy = false;
    if (c->is_over)
        conn_over(c);
}

static void on_eof(void *ctx)
{
    struct dns_conn *c = ctx;

    c->is_ended = true;
    end_if_done(c);
}

static void on_drained(void *ctx)
{
    end_if_done(ctx);
}

static void on_error(void *ctx, enum status why)
{
    conn_over(ctx);
}

static void on_idle(void *ctx)
{
    conn_over(ctx);
}

static const struct stream_handler handler = { on_data, on_eof, on_drained, on_error };

static void on_accept(void *ctx, struct stream *stream, const struct ip_endpoint *from)
{
    struct switch_ *s = ctx;
    struct dns_conn *c;

    if (s->dns->conn_count >= s->config.limits.dns_connections) {
        s->count.dns_limit_hits++;
        stream_close(stream);
        return;
    }
    c = calloc(1, sizeof *c);
    if (!c) {
        stream_close(stream);
        return;
    }
    c->owner = s;
    c->stream = stream;
    c->client = (struct dns_client){ .conn = c, .from = *from };
    timer_init(&c->idle, s->env.loop, on_idle, c);
    timer_start(&c->idle, DNS_CONN_IDLE_MS);
    list_append(&s->dns->conns, &c->link);
    s->dns->conn_count++;
    stream_set_handler(stream, &handler, c);
    stream_read_start(stream);
}

enum status dns_tcp_start(struct switch_ *s)
{
    enum status st = tcp_serve(s, &s->config.gateway, DNS_PORT, on_accept, s);

    if (!st && s->config.ip6)
        st = tcp_serve(s, &s->gateway6, DNS_PORT, on_accept, s);
    return st;
}

void dns_tcp_stop(struct switch_ *s)
{
    struct list *it, *tmp;

    list_for_each(it, tmp, &s->dns->conns) conn_over(container_of(it, struct dns_conn, link));
}
