/* SPDX-License-Identifier: Apache-2.0
 * net_sim_test.c - the scripted network keeps the promises of net.h that the switch's tests rest
 * on.
 */
#include "port/sim/net_sim.h"
#include "port/sim/resolver_sim.h"
#include "support/cmocka_all.h"

#include <string.h>

/* A TCP flow that takes @room bytes a read and remembers what it was told. */
struct flow {
    struct net *net;
    struct net_tcp *tcp;
    uint8_t buf[64];
    size_t room, len;
    unsigned connected, eofs, writables, errors;
    enum status outcome, why;
};

static void on_connected(void *ctx, enum status st)
{
    struct flow *f = ctx;

    f->connected++;
    f->outcome = st;
}

static size_t on_space(void *ctx, uint8_t **buf)
{
    struct flow *f = ctx;

    *buf = f->buf + f->len;
    return f->room;
}

static void on_data(void *ctx, size_t len_bytes)
{
    struct flow *f = ctx;

    f->len += len_bytes;
    f->room -= len_bytes;
}

static void on_eof(void *ctx)
{
    ((struct flow *)ctx)->eofs++;
}

static void on_writable(void *ctx)
{
    ((struct flow *)ctx)->writables++;
}

static void on_error(void *ctx, enum status why)
{
    struct flow *f = ctx;

    f->errors++;
    f->why = why;
}

static const struct net_tcp_handler tcp_handler = { on_connected, on_space,    on_data,
                                                    on_eof,       on_writable, on_error };

static const struct ip_endpoint web = { .addr = { { [10] = 0xff, 0xff, 10, 0, 0, 1 } },
                                        .port = 80 };
static const struct ip_endpoint any4 = { .addr = { { [10] = 0xff, 0xff } } };

struct net_case {
    struct sim *sim;
    struct net_sim *net;
    const struct net_ops *ops;
    struct flow flow;
};

static struct net_case open_case(void)
{
    struct net_case c = { .sim = sim_new() };

    c.net = net_sim_new(c.sim);
    c.ops = net_sim_net(c.net)->ops;
    c.flow.net = net_sim_net(c.net);
    return c;
}

static void close_case(struct net_case *c)
{
    net_sim_free(c->net);
    sim_free(c->sim);
}

static enum status start_connect(struct net_case *c, uint32_t timeout_ms)
{
    return c->ops->tcp_connect(c->flow.net, &c->flow.tcp, &web, timeout_ms, &tcp_handler, &c->flow);
}

static struct net_sim_peer *connected(struct net_case *c)
{
    net_sim_next_connect(c->net, ST_OK, 0);
    assert_int_equal(start_connect(c, 1000), ST_OK);
    sim_run(c->sim);
    assert_int_equal(c->flow.outcome, ST_OK);
    return net_sim_take_connected(c->net);
}

static void a_connect_ends_as_scripted(void **state)
{
    static const struct {
        enum status st, want;
        uint64_t delay_ms, at_ms;
    } rows[] = {
        { ST_OK, ST_OK, 5, 5 },
        { ST_REFUSED, ST_REFUSED, 0, 0 },
        { ST_UNREACHABLE, ST_UNREACHABLE, 7, 7 },
        { ST_OK, ST_TIMEOUT, SIM_NEVER, 1000 },
        { ST_OK, ST_TIMEOUT, 1001, 1000 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct net_case c = open_case();

        net_sim_next_connect(c.net, rows[i].st, rows[i].delay_ms);
        assert_int_equal(start_connect(&c, 1000), ST_OK);
        assert_int_equal(c.flow.connected, 0);
        assert_int_equal(net_sim_connects_pending(c.net), 1);
        if (rows[i].at_ms) {
            sim_advance_ms(c.sim, rows[i].at_ms - 1);
            assert_int_equal(c.flow.connected, 0);
            sim_advance_ms(c.sim, 1);
        }
        sim_run(c.sim);
        assert_int_equal(c.flow.connected, 1);
        assert_int_equal(c.flow.outcome, rows[i].want);
        c.ops->tcp_close(c.flow.tcp, false);
        close_case(&c);
    }
}

static void a_connect_can_fail_at_once_or_be_given_up(void **state)
{
    struct net_case c = open_case();

    (void)state;
    net_sim_next_connect_start_fails(c.net, ST_NOFILES);
    assert_int_equal(start_connect(&c, 1000), ST_NOFILES);
    net_sim_next_connect(c.net, ST_OK, 5);
    assert_int_equal(start_connect(&c, 1000), ST_OK);
    c.ops->tcp_close(c.flow.tcp, true);
    sim_advance_ms(c.sim, 100);
    assert_int_equal(c.flow.connected, 0);
    assert_null(net_sim_take_connected(c.net));
    close_case(&c);
}

static void data_waits_for_room_and_so_does_the_end(void **state)
{
    struct net_case c = open_case();
    struct net_sim_peer *p = connected(&c);

    (void)state;
    net_sim_peer_send_text(p, "hello world");
    net_sim_peer_end(p);
    sim_run(c.sim);
    assert_int_equal(c.flow.len, 0); /* nobody reads */
    c.flow.room = 5;
    c.ops->tcp_read(c.flow.tcp);
    sim_run(c.sim);
    assert_int_equal(c.flow.len, 5);
    assert_false(net_sim_peer_is_read(p));
    assert_int_equal(net_sim_peer_unread(p), 6);
    c.flow.room = 6;
    c.ops->tcp_read(c.flow.tcp);
    sim_run(c.sim);
    assert_memory_equal(c.flow.buf, "hello world", 11);
    assert_int_equal(c.flow.eofs, 0);
    c.flow.room = 1;
    c.ops->tcp_read(c.flow.tcp);
    sim_run(c.sim);
    assert_int_equal(c.flow.eofs, 1);
    c.ops->tcp_close(c.flow.tcp, false);
    assert_true(net_sim_peer_saw_end(p));
    close_case(&c);
}

static void a_write_is_partial_when_the_peer_stalls(void **state)
{
    struct net_case c = open_case();
    struct net_sim_peer *p = connected(&c);
    const struct net_iov iov[] = { { (const uint8_t *)"abc", 3 }, { (const uint8_t *)"def", 3 } };

    (void)state;
    net_sim_peer_set_room(p, 4);
    assert_int_equal(c.ops->tcp_write(c.flow.tcp, iov, 2), 4);
    sim_run(c.sim);
    assert_int_equal(c.flow.writables, 0);
    net_sim_peer_set_room(p, SIZE_MAX);
    sim_run(c.sim);
    assert_int_equal(c.flow.writables, 1);
    assert_string_equal(net_sim_peer_text(p), "abcd");
    assert_int_equal(net_sim_peer_writes(p), 1);
    c.ops->tcp_shutdown(c.flow.tcp);
    assert_true(net_sim_peer_saw_end(p));
    c.ops->tcp_close(c.flow.tcp, true);
    assert_true(net_sim_peer_saw_reset(p));
    close_case(&c);
}

static void a_reset_is_noticed_by_who_reads_or_writes(void **state)
{
    struct net_case c = open_case();
    struct net_sim_peer *p = connected(&c);
    const struct net_iov iov = { (const uint8_t *)"abc", 3 };

    (void)state;
    net_sim_peer_reset(p, ST_RESET);
    sim_run(c.sim);
    assert_int_equal(c.flow.errors, 0);
    assert_int_equal(c.ops->tcp_write(c.flow.tcp, &iov, 1), 0);
    assert_int_equal(c.flow.errors, 0); /* never from within a call */
    sim_run(c.sim);
    assert_int_equal(c.flow.errors, 1);
    assert_int_equal(c.flow.why, ST_RESET);
    c.ops->tcp_close(c.flow.tcp, false);
    assert_false(net_sim_peer_saw_end(p));
    close_case(&c);
}

static void closed_with_bytes_unread_is_a_reset(void **state)
{
    struct net_case c = open_case();
    struct net_sim_peer *p = connected(&c);

    (void)state;
    net_sim_peer_send_text(p, "unread");
    c.ops->tcp_close(c.flow.tcp, false);
    sim_run(c.sim);
    assert_true(net_sim_peer_saw_reset(p));
    close_case(&c);
}

/* ---- listeners, UDP, echo, resolver ------------------------------------------------------- */

struct accepted {
    struct net_tcp *conn;
    struct ip_endpoint from;
};

static void on_accept(void *ctx, struct net_tcp *conn, const struct ip_endpoint *from)
{
    *(struct accepted *)ctx = (struct accepted){ conn, *from };
}

static void a_listener_accepts_and_a_port_is_taken_once(void **state)
{
    static const struct net_listener_handler handler = { .on_accept = on_accept };
    struct net_case c = open_case();
    struct accepted a = { NULL };
    struct net_listener *l, *second;
    struct errmsg e;

    (void)state;
    assert_null(net_sim_connect(c.net, &web, &any4));
    assert_int_equal(c.ops->tcp_listen(c.flow.net, &l, &web, &handler, &a, &e), ST_OK);
    assert_int_equal(c.ops->tcp_listen(c.flow.net, &second, &web, &handler, &a, &e), ST_EXISTS);
    net_sim_next_listen_fails(c.net, ST_DENIED, "excluded");
    assert_int_equal(c.ops->tcp_listen(c.flow.net, &second, &any4, &handler, &a, &e), ST_DENIED);
    assert_string_equal(e.text, "excluded");
    assert_non_null(net_sim_connect(c.net, &web, &any4));
    sim_run(c.sim);
    assert_non_null(a.conn);
    c.ops->tcp_close(a.conn, false);
    assert_non_null(net_sim_connect(c.net, &web, &any4)); /* never accepted */
    c.ops->listener_close(l);
    close_case(&c);
}

struct mailbox {
    char text[64];
    unsigned batches, unreachable;
};

static void on_datagram(void *ctx, const struct ip_endpoint *from, const uint8_t *data,
                        size_t len_bytes)
{
    strncat(((struct mailbox *)ctx)->text, (const char *)data, len_bytes);
}

static void on_batch_end(void *ctx)
{
    ((struct mailbox *)ctx)->batches++;
}

static void on_unreachable(void *ctx, const struct ip_endpoint *to, enum status why)
{
    ((struct mailbox *)ctx)->unreachable += why == ST_REFUSED;
}

static const struct net_udp_handler udp_handler = { on_datagram, on_batch_end, on_unreachable };

static void datagrams_are_kept_echoed_dropped_or_refused(void **state)
{
    struct net_case c = open_case();
    struct ip_endpoint local = any4, other = web;
    struct mailbox m = { .text = "" };
    struct net_sim_datagram d;
    struct net_udp *u;

    (void)state;
    other.port = 81;
    assert_int_equal(c.ops->udp_open(c.flow.net, &u, &local, &udp_handler, &m), ST_OK);
    assert_true(c.ops->udp_local(u).port != 0);
    c.ops->udp_send(u, &web, (const uint8_t *)"kept", 4);
    assert_true(net_sim_take_datagram(c.net, &d));
    assert_memory_equal(d.data, "kept", 4);
    net_sim_udp_at(c.net, &web, NET_SIM_UDP_ECHO);
    net_sim_udp_at(c.net, &other, NET_SIM_UDP_REFUSED);
    c.ops->udp_send(u, &web, (const uint8_t *)"one", 3);
    c.ops->udp_send(u, &web, (const uint8_t *)"two", 3);
    c.ops->udp_send(u, &other, (const uint8_t *)"three", 5);
    sim_run(c.sim);
    assert_string_equal(m.text, "onetwo");
    assert_int_equal(m.batches, 1);
    assert_int_equal(m.unreachable, 1);
    net_sim_next_udp_send_fails(c.net, ST_FULL);
    assert_int_equal(c.ops->udp_send(u, &web, (const uint8_t *)"x", 1), ST_FULL);
    c.ops->udp_close(u);
    close_case(&c);
}

struct echo {
    unsigned calls;
    enum status st;
    uint16_t sequence;
};

static void on_echo(void *ctx, enum status st, uint16_t sequence, const uint8_t *data,
                    size_t len_bytes)
{
    struct echo *e = ctx;

    e->calls++;
    e->st = st;
    e->sequence = sequence;
}

static void an_echo_is_answered_late_never_or_cancelled(void **state)
{
    struct net_case c = open_case();
    struct echo e = { 0 };
    struct net_ping *p;

    (void)state;
    net_sim_next_ping(c.net, ST_OK, 3);
    assert_int_equal(c.ops->ping(c.flow.net, &p, &web.addr, 9, NULL, 0, 100, on_echo, &e), ST_OK);
    sim_advance_ms(c.sim, 3);
    assert_int_equal(e.st, ST_OK);
    assert_int_equal(e.sequence, 9);
    net_sim_next_ping(c.net, ST_OK, SIM_NEVER);
    assert_int_equal(c.ops->ping(c.flow.net, &p, &web.addr, 9, NULL, 0, 100, on_echo, &e), ST_OK);
    sim_advance_ms(c.sim, 100);
    assert_int_equal(e.st, ST_TIMEOUT);
    assert_int_equal(c.ops->ping(c.flow.net, &p, &web.addr, 9, NULL, 0, 100, on_echo, &e), ST_OK);
    c.ops->ping_cancel(p);
    sim_run(c.sim);
    assert_int_equal(e.calls, 2);
    close_case(&c);
}

static void on_answer(void *ctx, enum status st, const uint8_t *answer, size_t len_bytes)
{
    if (st == ST_OK)
        strncat(ctx, (const char *)answer, len_bytes);
    else
        strcat(ctx, status_name(st));
}

static void questions_are_answered_in_any_order(void **state)
{
    struct sim *sim = sim_new();
    struct resolver_sim *rs = resolver_sim_new(sim);
    struct resolver *r = resolver_sim_resolver(rs);
    struct resolver_query *q;
    char got[64] = "";

    (void)state;
    assert_int_equal(r->ops->ask(r, &q, (const uint8_t *)"q1", 2, on_answer, got), ST_OK);
    assert_int_equal(r->ops->ask(r, &q, (const uint8_t *)"q2", 2, on_answer, got), ST_OK);
    assert_int_equal(r->ops->ask(r, &q, (const uint8_t *)"q3", 2, on_answer, got), ST_OK);
    r->ops->cancel(q);
    assert_int_equal(resolver_sim_waiting(rs), 2);
    resolver_sim_answer(rs, 1, ST_OK, "second ", 7);
    resolver_sim_answer(rs, 0, ST_TIMEOUT, NULL, 0);
    assert_string_equal(got, "");
    sim_run(sim);
    assert_string_equal(got, "second TIMEOUT");
    resolver_sim_set_ask_fails(rs, ST_FULL);
    assert_int_equal(r->ops->ask(r, &q, (const uint8_t *)"q4", 2, on_answer, got), ST_FULL);
    resolver_sim_free(rs);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connect_ends_as_scripted),
        cmocka_unit_test(a_connect_can_fail_at_once_or_be_given_up),
        cmocka_unit_test(data_waits_for_room_and_so_does_the_end),
        cmocka_unit_test(a_write_is_partial_when_the_peer_stalls),
        cmocka_unit_test(a_reset_is_noticed_by_who_reads_or_writes),
        cmocka_unit_test(closed_with_bytes_unread_is_a_reset),
        cmocka_unit_test(a_listener_accepts_and_a_port_is_taken_once),
        cmocka_unit_test(datagrams_are_kept_echoed_dropped_or_refused),
        cmocka_unit_test(an_echo_is_answered_late_never_or_cancelled),
        cmocka_unit_test(questions_are_answered_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
