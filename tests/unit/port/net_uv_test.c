/* SPDX-License-Identifier: Apache-2.0
 * The host's network over loopback: two ends of a connection in one process, both of them objects
 * of the contract, because a listener's connections are.
 */
#include "port/uv/net_uv.h"

#include "base/util.h"
#include "port/net.h"
#include "port/uv/loop_uv.h"
#include "support/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

enum { SPACE_BYTES = 64 * 1024, WATCHDOG_MS = 10000 };

/* One end of a connection, and what it saw. */
struct end {
    struct net_tcp *tcp;
    uint8_t space[SPACE_BYTES]; /* where reads go; its beginning keeps the first bytes */
    size_t keep;                /* bytes at the front of @space that stay */
    uint64_t bytes;
    uint64_t sum; /* of all bytes, each times its position: order matters */
    unsigned connects, eofs, writables, errors;
    enum status connect_status, error;
    bool closed_door; /* on_space() gives nothing */
    bool close_on_data;
};

static struct loop *loop;
static struct net *net;
static struct end client, server;
static struct net_listener *listener;
static struct ip_endpoint server_at, accepted_from;

/* ---- ends ------------------------------------------------------------------------------------ */

static void on_connected(void *ctx, enum status st)
{
    struct end *e = ctx;

    e->connects++;
    e->connect_status = st;
}

static size_t on_space(void *ctx, uint8_t **buf)
{
    struct end *e = ctx;

    if (e->closed_door)
        return 0;
    *buf = e->space + e->keep;
    return sizeof e->space - e->keep;
}

static void on_data(void *ctx, size_t len)
{
    struct end *e = ctx;

    for (size_t i = 0; i < len; i++)
        e->sum += (e->bytes + i + 1) * e->space[e->keep + i];
    e->bytes += len;
    e->keep = MIN(e->bytes, (uint64_t)64);
    if (e->close_on_data) {
        net->ops->tcp_close(e->tcp, true);
        e->tcp = NULL;
    }
}

static void on_eof(void *ctx)
{
    ((struct end *)ctx)->eofs++;
}

static void on_writable(void *ctx)
{
    ((struct end *)ctx)->writables++;
}

static void on_error(void *ctx, enum status why)
{
    struct end *e = ctx;

    e->errors++;
    e->error = why;
}

static const struct net_tcp_handler end_handler = {
    .on_connected = on_connected,
    .on_space = on_space,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_writable = on_writable,
    .on_error = on_error,
};

static void on_accept(void *ctx, struct net_tcp *conn, const struct ip_endpoint *from)
{
    assert_null(server.tcp);
    server.tcp = conn;
    accepted_from = *from;
    net->ops->tcp_set_handler(conn, &end_handler, &server);
}

static void on_listener_error(void *ctx, enum status why)
{
    fail_msg("listener: %s", status_text(why));
}

static const struct net_listener_handler listener_handler = { on_accept, on_listener_error };

/* ---- turning the loop ------------------------------------------------------------------------ */

static void on_watchdog(void *ctx)
{
    fail_msg("not within %d ms: %s", WATCHDOG_MS, (const char *)ctx);
}

#define wait_for(cond)                                                   \
    do {                                                                 \
        struct timer dog_;                                               \
        timer_init(&dog_, loop, on_watchdog, (void *)(uintptr_t) #cond); \
        timer_start(&dog_, WATCHDOG_MS);                                 \
        while (!(cond))                                                  \
            loop_uv_run_once(loop);                                      \
        timer_stop(&dog_);                                               \
    } while (0)

static struct ip_endpoint loopback(uint16_t port)
{
    return (struct ip_endpoint){ .addr = ip_addr_v4(0x7f000001), .port = port };
}

static struct ip_endpoint loopback6(void)
{
    struct ip_endpoint at = { .port = 0 };

    assert_int_equal(ip_addr_parse(&at.addr, "::1"), ST_OK);
    return at;
}

static void set_listening(const struct ip_endpoint *at)
{
    assert_int_equal(net->ops->tcp_listen(net, &listener, at, &listener_handler, NULL, NULL),
                     ST_OK);
    server_at = net->ops->listener_local(listener);
}

static void connect_client(void)
{
    assert_int_equal(net->ops->tcp_connect(net, &client.tcp, &server_at, 5000, &end_handler,
                                           &client),
                     ST_OK);
    assert_int_equal(client.connects, 0);
    wait_for(client.connects && server.tcp);
    assert_int_equal(client.connect_status, ST_OK);
}

static int setup(void **state)
{
    struct errmsg e;

    memset(&client, 0, sizeof client);
    memset(&server, 0, sizeof server);
    listener = NULL;
    return loop_uv_new(&loop, &e) == ST_OK && net_uv_new(&net, loop, &e) == ST_OK ? 0 : -1;
}

static int setup_pair(void **state)
{
    const struct ip_endpoint any = loopback(0);

    if (setup(state))
        return -1;
    set_listening(&any);
    connect_client();
    return 0;
}

static int teardown(void **state)
{
    net->ops->tcp_close(client.tcp, false);
    net->ops->tcp_close(server.tcp, false);
    net->ops->listener_close(listener);
    net_uv_free(net);
    loop_uv_free(loop);
    return 0;
}

static size_t say(struct end *e, const char *text)
{
    struct net_iov iov = { (const uint8_t *)text, strlen(text) };

    return net->ops->tcp_write(e->tcp, &iov, 1);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

static void tcp_pieces_of_one_write_arrive_in_order(void **state)
{
    const struct net_iov iov[] = { { (const uint8_t *)"one ", 4 },
                                   { NULL, 0 },
                                   { (const uint8_t *)"two", 3 } };

    net->ops->tcp_read(server.tcp);
    assert_int_equal(net->ops->tcp_write(client.tcp, iov, ARRAY_SIZE(iov)), 7);
    wait_for(server.bytes == 7);
    assert_memory_equal(server.space, "one two", 7);
}

static void tcp_works_over_ip6(void **state)
{
    const struct ip_endpoint any = loopback6();

    set_listening(&any);
    connect_client();
    assert_true(ip_addr_equal(&accepted_from.addr, &any.addr));
    net->ops->tcp_read(server.tcp);
    assert_int_equal(say(&client, "six"), 3);
    wait_for(server.bytes == 3);
}

static void tcp_half_close_leaves_the_other_direction(void **state)
{
    net->ops->tcp_read(server.tcp);
    net->ops->tcp_read(client.tcp);
    say(&client, "question");
    net->ops->tcp_shutdown(client.tcp);
    wait_for(server.eofs);
    assert_int_equal(server.bytes, 8);
    assert_int_equal(say(&client, "more"), 0);
    say(&server, "answer");
    net->ops->tcp_shutdown(server.tcp);
    wait_for(client.eofs);
    assert_int_equal(client.bytes, 6);
    assert_int_equal(client.errors + server.errors, 0);
}

/* Writes @total pattern bytes, waiting for on_writable() whenever less is taken. */
static uint64_t pump_pattern(struct end *from, uint64_t total)
{
    static uint8_t chunk[256 * 1024];
    uint64_t sum = 0, at = 0;

    while (at < total) {
        size_t want = (size_t)MIN(total - at, (uint64_t)sizeof chunk), taken;
        unsigned writables = from->writables;
        struct net_iov iov[] = { { chunk, want / 3 }, { chunk + want / 3, want - want / 3 } };

        for (size_t i = 0; i < want; i++)
            chunk[i] = (uint8_t)((at + i) * 2654435761u >> 11);
        taken = net->ops->tcp_write(from->tcp, iov, 2);
        for (size_t i = 0; i < taken; i++)
            sum += (at + i + 1) * chunk[i];
        at += taken;
        if (taken < want)
            wait_for(from->writables > writables);
    }
    return sum;
}

static void tcp_bulk_waits_for_room_and_loses_nothing(void **state)
{
    const uint64_t total = 32u * 1024 * 1024 + 7;
    uint64_t sum;

    net->ops->tcp_read(server.tcp);
    sum = pump_pattern(&client, total);
    net->ops->tcp_shutdown(client.tcp); /* behind what is still queued */
    wait_for(server.eofs);
    assert_true(server.bytes == total);
    assert_true(server.sum == sum);
}

/* Fills the connection until it takes no more; returns what it took. */
static uint64_t write_until_full(struct end *e)
{
    static uint8_t chunk[256 * 1024];
    struct net_iov iov = { chunk, sizeof chunk };
    uint64_t all = 0;
    size_t n;

    do {
        n = net->ops->tcp_write(e->tcp, &iov, 1);
        all += n;
    } while (n == sizeof chunk);
    return all;
}

static void tcp_takes_nothing_while_full(void **state)
{
    unsigned before;

    write_until_full(&client);
    assert_int_equal(say(&client, "more"), 0);
    before = client.writables;
    net->ops->tcp_read(server.tcp);
    wait_for(client.writables > before);
    assert_int_equal(say(&client, "more"), 4);
}

static void tcp_close_sends_what_was_taken(void **state)
{
    uint64_t taken = write_until_full(&client);

    net->ops->tcp_close(client.tcp, false);
    client.tcp = NULL;
    net->ops->tcp_read(server.tcp);
    wait_for(server.eofs || server.errors);
    assert_int_equal(server.errors, 0);
    assert_true(server.bytes == taken);
}

static void tcp_reader_without_space_is_left_alone_until_it_reads_again(void **state)
{
    server.closed_door = true;
    net->ops->tcp_read(server.tcp);
    net->ops->tcp_read(client.tcp);
    say(&client, "knock");
    say(&server, "sign"); /* its arrival proves that the loop has gone round */
    wait_for(client.bytes == 4);
    assert_int_equal(server.bytes, 0);
    server.closed_door = false;
    net->ops->tcp_read(server.tcp);
    wait_for(server.bytes == 5);
    assert_memory_equal(server.space, "knock", 5);
}

static void tcp_reset_arrives_as_reset(void **state)
{
    net->ops->tcp_read(server.tcp);
    net->ops->tcp_close(client.tcp, true);
    client.tcp = NULL;
    wait_for(server.errors);
    assert_int_equal(server.error, ST_RESET);
    assert_int_equal(server.eofs, 0);
    assert_int_equal(say(&server, "dead"), 0);
}

#ifndef _WIN32 /* Wine sends what is queued before the socket closes */
/* A reset may get lost in a window that is shut; whoever writes to a socket that is gone hears of
 * it again. */
static void tcp_reset_cuts_what_is_queued(void **state)
{
    uint64_t taken = write_until_full(&client);

    net->ops->tcp_shutdown(client.tcp);
    net->ops->tcp_close(client.tcp, true);
    client.tcp = NULL;
    net->ops->tcp_read(server.tcp);
    say(&server, "anybody?");
    wait_for(server.errors);
    assert_int_equal(server.error, ST_RESET);
    assert_int_equal(server.eofs, 0);
    assert_true(server.bytes < taken);
}
#endif

static void tcp_write_that_fails_is_told_by_the_loop(void **state)
{
    net->ops->tcp_close(client.tcp, true);
    client.tcp = NULL;
    while (say(&server, "x") == 1)
        loop_uv_run_once(loop);
    assert_int_equal(server.errors, 0);
    wait_for(server.errors);
    assert_int_equal(server.error, ST_RESET);
}

static void tcp_may_be_closed_from_its_callback(void **state)
{
    server.close_on_data = true;
    net->ops->tcp_read(server.tcp);
    net->ops->tcp_read(client.tcp);
    say(&client, "x");
    wait_for(client.errors);
    assert_int_equal(client.error, ST_RESET);
    assert_int_equal(server.errors, 0);
}

static void tcp_refused_port_is_refused(void **state)
{
    const struct ip_endpoint any = loopback(0);

    set_listening(&any);
    net->ops->listener_close(listener); /* nobody is at that port now */
    listener = NULL;
    assert_int_equal(net->ops->tcp_connect(net, &client.tcp, &server_at, 5000, &end_handler,
                                           &client),
                     ST_OK);
    wait_for(client.connects);
    assert_int_equal(client.connect_status, ST_REFUSED);
    assert_int_equal(client.errors, 0);
}

/* No time at all: the loop looks at its timers before it hears that the connection stands. */
static void tcp_dial_ends_at_the_time_out(void **state)
{
    const struct ip_endpoint any = loopback(0);

    set_listening(&any);
    assert_int_equal(net->ops->tcp_connect(net, &client.tcp, &server_at, 0, &end_handler, &client),
                     ST_OK);
    assert_int_equal(client.connects, 0);
    wait_for(client.connects);
    assert_int_equal(client.connect_status, ST_TIMEOUT);
    assert_int_equal(client.errors, 0);
}

static void tcp_dial_can_be_abandoned(void **state)
{
    const struct ip_endpoint any = loopback(0);

    set_listening(&any);
    assert_int_equal(net->ops->tcp_connect(net, &client.tcp, &server_at, 5000, &end_handler,
                                           &client),
                     ST_OK);
    net->ops->tcp_close(client.tcp, true);
    client.tcp = NULL;
    connect_client(); /* a second one gets through, and nothing was said of the first */
    assert_int_equal(client.connects, 1);
}

static void listener_says_that_the_port_is_taken(void **state)
{
    const struct ip_endpoint any = loopback(0);
    struct net_listener *second = NULL;
    struct errmsg e = { "" };

    set_listening(&any);
    assert_int_equal(net->ops->tcp_listen(net, &second, &server_at, &listener_handler, NULL, &e),
                     ST_EXISTS);
    assert_null(second);
    assert_non_null(strstr(e.text, "127.0.0.1:"));
}

/* ---- UDP ------------------------------------------------------------------------------------- */

struct mailbox {
    struct net_udp *udp;
    unsigned datagrams, batches, unreachable;
    struct ip_endpoint from, lost_to;
    enum status lost_why;
    uint8_t last[2048];
    size_t last_len;
};

static struct mailbox a, b;

static void on_datagram(void *ctx, const struct ip_endpoint *from, const uint8_t *data, size_t len)
{
    struct mailbox *m = ctx;

    m->datagrams++;
    m->from = *from;
    m->last_len = len;
    memcpy(m->last, data, MIN(len, sizeof m->last));
}

static void on_batch_end(void *ctx)
{
    ((struct mailbox *)ctx)->batches++;
}

static void on_unreachable(void *ctx, const struct ip_endpoint *to, enum status why)
{
    struct mailbox *m = ctx;

    m->unreachable++;
    m->lost_to = *to;
    m->lost_why = why;
}

static const struct net_udp_handler mailbox_handler = { on_datagram, on_batch_end, on_unreachable };

static int setup_mailboxes(void **state)
{
    const struct ip_endpoint any = loopback(0);

    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    if (setup(state))
        return -1;
    assert_int_equal(net->ops->udp_open(net, &a.udp, &any, &mailbox_handler, &a), ST_OK);
    assert_int_equal(net->ops->udp_open(net, &b.udp, &any, &mailbox_handler, &b), ST_OK);
    return 0;
}

static int teardown_mailboxes(void **state)
{
    net->ops->udp_close(a.udp);
    net->ops->udp_close(b.udp);
    return teardown(state);
}

static void udp_datagrams_keep_their_bounds_and_their_sender(void **state)
{
    struct ip_endpoint to = net->ops->udp_local(b.udp), me = net->ops->udp_local(a.udp);

    assert_int_equal(net->ops->udp_send(a.udp, &to, (const uint8_t *)"first", 5), ST_OK);
    assert_int_equal(net->ops->udp_send(a.udp, &to, (const uint8_t *)"", 0), ST_OK);
    assert_int_equal(net->ops->udp_send(a.udp, &to, (const uint8_t *)"third!", 6), ST_OK);
    wait_for(b.datagrams == 3 && b.batches);
    assert_int_equal(b.last_len, 6);
    assert_memory_equal(b.last, "third!", 6);
    assert_int_equal(b.from.port, me.port);
    assert_true(ip_addr_equal(&b.from.addr, &me.addr));
}

static void udp_burst_ends_in_few_batches(void **state)
{
    static uint8_t data[1200];
    struct ip_endpoint to = net->ops->udp_local(b.udp);

    for (unsigned i = 0; i < 24; i++)
        assert_int_equal(net->ops->udp_send(a.udp, &to, data, sizeof data), ST_OK);
    wait_for(b.datagrams == 24 && b.batches);
    assert_in_range(b.batches, 1, 24);
#ifndef _WIN32
    assert_int_equal(b.batches, 1); /* all of them were there before the loop turned */
#endif
}

static void udp_largest_datagram_passes(void **state)
{
    enum { LARGEST = 65507 };
    uint8_t *data = calloc(1, LARGEST);
    struct ip_endpoint to = net->ops->udp_local(b.udp);

    assert_int_equal(net->ops->udp_send(a.udp, &to, data, LARGEST), ST_OK);
    wait_for(b.datagrams == 1);
    assert_int_equal(b.last_len, LARGEST);
    free(data);
}

#ifndef _WIN32
static void udp_says_who_cannot_be_reached(void **state)
{
    struct ip_endpoint gone = net->ops->udp_local(b.udp);
    struct ip_endpoint other = net->ops->udp_local(a.udp);

    net->ops->udp_close(b.udp);
    b.udp = NULL;
    loop_uv_run_once(loop); /* libuv closes the socket in its own time */
    net->ops->udp_send(a.udp, &gone, (const uint8_t *)"hi", 2);
    /* The old datagram's error must not eat this one, which goes to ourselves. */
    assert_int_equal(net->ops->udp_send(a.udp, &other, (const uint8_t *)"me", 2), ST_OK);
    wait_for(a.unreachable && a.datagrams);
    assert_int_equal(a.unreachable, 1);
    assert_int_equal(a.lost_why, ST_REFUSED);
    assert_int_equal(a.lost_to.port, gone.port);
    assert_int_equal(a.datagrams, 1);
}
#endif

static void udp_port_that_is_taken_is_refused(void **state)
{
    struct ip_endpoint taken = net->ops->udp_local(a.udp);
    struct net_udp *second = NULL;

    assert_int_equal(net->ops->udp_open(net, &second, &taken, &mailbox_handler, &b), ST_EXISTS);
    assert_null(second);
}

/* ---- echo ------------------------------------------------------------------------------------ */

struct echo {
    unsigned done;
    enum status st;
    uint16_t sequence;
    uint8_t data[64];
    size_t len;
};

static void on_echo(void *ctx, enum status st, uint16_t sequence, const uint8_t *data, size_t len)
{
    struct echo *e = ctx;

    e->done++;
    e->st = st;
    e->sequence = sequence;
    e->len = len;
    memcpy(e->data, data, MIN(len, sizeof e->data));
}

static enum status start_echo(struct net_ping **p, struct echo *e, const char *to)
{
    struct ip_addr addr;

    assert_int_equal(ip_addr_parse(&addr, to), ST_OK);
    return net->ops->ping(net, p, &addr, 4711, (const uint8_t *)"payload", 7, 2000, on_echo, e);
}

/* Whether this machine lets us is its own affair (ping_group_range; Wine). */
static void ping_brings_the_payload_back(void **state)
{
    static const char *const targets[] = { "127.0.0.1", "::1" };

    for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
        struct echo e = { 0 };
        struct net_ping *p = NULL;
        enum status st = start_echo(&p, &e, targets[i]);

        if (st == ST_UNSUPPORTED || st == ST_UNREACHABLE) {
            assert_null(p);
            continue;
        }
        assert_int_equal(st, ST_OK);
        wait_for(e.done);
        if (e.st != ST_OK) /* a sandboxed loopback */
            continue;
        assert_int_equal(e.sequence, 4711);
        assert_int_equal(e.len, 7);
        assert_memory_equal(e.data, "payload", 7);
    }
}

static void ping_that_is_cancelled_says_nothing(void **state)
{
    struct echo e = { 0 };
    struct net_ping *p = NULL;

    if (start_echo(&p, &e, "127.0.0.1") != ST_OK)
        skip();
    net->ops->ping_cancel(p);
    loop_uv_run_once(loop);
    assert_int_equal(e.done, 0);
}

#define PAIR(f) cmocka_unit_test_setup_teardown(f, setup_pair, teardown)
#define LONE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define MAIL(f) cmocka_unit_test_setup_teardown(f, setup_mailboxes, teardown_mailboxes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR(tcp_pieces_of_one_write_arrive_in_order),
        LONE(tcp_works_over_ip6),
        PAIR(tcp_half_close_leaves_the_other_direction),
        PAIR(tcp_bulk_waits_for_room_and_loses_nothing),
        PAIR(tcp_takes_nothing_while_full),
        PAIR(tcp_close_sends_what_was_taken),
        PAIR(tcp_reader_without_space_is_left_alone_until_it_reads_again),
        PAIR(tcp_reset_arrives_as_reset),
#ifndef _WIN32
        PAIR(tcp_reset_cuts_what_is_queued),
#endif
        PAIR(tcp_write_that_fails_is_told_by_the_loop),
        PAIR(tcp_may_be_closed_from_its_callback),
        LONE(tcp_refused_port_is_refused),
        LONE(tcp_dial_ends_at_the_time_out),
        LONE(tcp_dial_can_be_abandoned),
        LONE(listener_says_that_the_port_is_taken),
        MAIL(udp_datagrams_keep_their_bounds_and_their_sender),
        MAIL(udp_burst_ends_in_few_batches),
        MAIL(udp_largest_datagram_passes),
#ifndef _WIN32
        MAIL(udp_says_who_cannot_be_reached),
#endif
        MAIL(udp_port_that_is_taken_is_refused),
        LONE(ping_brings_the_payload_back),
        LONE(ping_that_is_cancelled_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
