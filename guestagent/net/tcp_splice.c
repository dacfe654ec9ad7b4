/* SPDX-License-Identifier: Apache-2.0
 *
 * THEORY
 *
 *     accepted --read--> its buffer --write--> dialled      and the other way round
 *                            | not all of it was taken
 *                            '-> nothing is read until dialled is writable and the rest has gone
 *
 * The kernel has accepted the connection before we hear of it, so what it says waits in the socket
 * until the dial has ended; a dial that fails resets it. The end of one side's data becomes the end
 * of ours to the other after the last byte has been taken; with both, the connection is over.
 *
 * A buffer is read into only while it is empty. That costs nothing where the other side takes all
 * at once, which is the rule on loopback.
 */
#include "guestagent/net/tcp_splice.h"

#include "base/util.h"

#include <stdlib.h>

enum { DIAL_MS = 5000 };

static struct tcp_splice_half *other_of(struct tcp_splice_half *h)
{
    struct tcp_splice *s = h->splice;

    return h == &s->accepted ? &s->dialled : &s->accepted;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void destroy(struct tcp_splice *s, bool reset)
{
    list_remove(&s->link);
    s->net->ops->tcp_close(s->accepted.tcp, reset);
    s->net->ops->tcp_close(s->dialled.tcp, reset);
    free(s);
}

static void end(struct tcp_splice *s, enum status why)
{
    list_remove(&s->link);
    s->on_end(s->ctx, s, why);
    destroy(s, why != ST_OK);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* All that @h gave has gone: its end is the other side's news. May free the splice. */
static void pass_end(struct tcp_splice_half *h)
{
    struct tcp_splice_half *other = other_of(h);

    if (other->eof && other->held == other->at)
        end(h->splice, ST_OK);
    else
        h->splice->net->ops->tcp_shutdown(other->tcp);
}

static void push(struct tcp_splice_half *h)
{
    const struct net_iov piece = { h->buf + h->at, h->held - h->at };

    h->at += h->splice->net->ops->tcp_write(other_of(h)->tcp, &piece, 1);
    if (h->at == h->held)
        h->at = h->held = 0;
}

static size_t on_space(void *ctx, uint8_t **buf)
{
    struct tcp_splice_half *h = ctx;

    if (h->held > 0)
        return 0;
    *buf = h->buf;
    return sizeof h->buf;
}

static void on_data(void *ctx, size_t len_bytes)
{
    struct tcp_splice_half *h = ctx;

    h->held = len_bytes;
    push(h);
}

static void on_eof(void *ctx)
{
    struct tcp_splice_half *h = ctx;

    h->eof = true;
    if (h->held == 0)
        pass_end(h);
}

static void on_writable(void *ctx)
{
    struct tcp_splice_half *from = other_of(ctx);

    if (from->held == 0)
        return;
    push(from);
    if (from->held > 0)
        return;
    if (from->eof)
        pass_end(from);
    else
        from->splice->net->ops->tcp_read(from->tcp);
}

static void on_error(void *ctx, enum status why)
{
    const struct tcp_splice_half *h = ctx;

    end(h->splice, why);
}

static void on_connected(void *ctx, enum status st)
{
    const struct tcp_splice_half *h = ctx;
    struct tcp_splice *s = h->splice;

    if (st != ST_OK) {
        end(s, st);
        return;
    }
    s->net->ops->tcp_read(s->accepted.tcp);
    s->net->ops->tcp_read(s->dialled.tcp);
}

static const struct net_tcp_handler handler = { .on_connected = on_connected,
                                                .on_space = on_space,
                                                .on_data = on_data,
                                                .on_eof = on_eof,
                                                .on_writable = on_writable,
                                                .on_error = on_error };

/* ---- life ------------------------------------------------------------------------------------ */

enum status tcp_splice_start(struct list *list, struct net *net, struct net_tcp *conn,
                             const struct ip_endpoint *to,
                             void (*on_end)(void *ctx, struct tcp_splice *s, enum status why),
                             void *ctx)
{
    struct tcp_splice *s = malloc(sizeof *s);
    enum status st = ST_NOMEM;

    if (s) {
        s->net = net;
        s->on_end = on_end;
        s->ctx = ctx;
        s->accepted.tcp = conn;
        s->dialled.tcp = NULL;
        s->accepted.splice = s->dialled.splice = s;
        s->accepted.eof = s->dialled.eof = false;
        s->accepted.at = s->accepted.held = s->dialled.at = s->dialled.held = 0;
        list_init(&s->link);
        st = net->ops->tcp_connect(net, &s->dialled.tcp, to, DIAL_MS, &handler, &s->dialled);
    }
    if (st) {
        free(s);
        net->ops->tcp_close(conn, true);
        return st;
    }
    net->ops->tcp_set_handler(conn, &handler, &s->accepted);
    list_append(list, &s->link);
    return ST_OK;
}

void tcp_splice_cut(struct tcp_splice *s)
{
    destroy(s, true);
}
