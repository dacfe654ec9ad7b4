/* SPDX-License-Identifier: Apache-2.0
 * The resolver against name servers of this process: they keep each question, and the test answers.
 */
#include "port/uv/resolver_uv.h"

#include "base/util.h"
#include "port/net.h"
#include "port/resolver.h"
#include "port/uv/loop_uv.h"
#include "port/uv/net_uv.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

enum { WATCHDOG_MS = 10000, TRY_MS = 150, MESSAGE_MAX = 512, BIG_BYTES = 40000 };
enum { SERVFAIL = 2 };
static const char conf_path[] = "resolver_uv_test.conf";

/* "aB.c" type 65 class IN, with recursion desired and one option record that must survive. */
static const uint8_t question[] = { 0xbe, 0xef, 1,   0,   0,    1,   0, 0, 0,  0, 0,
                                    1,    2,    'a', 'B', 1,    'c', 0, 0, 65, 0, 1,
                                    0,    0,    41,  4,   0xd0, 0,   0, 0, 0,  0, 0 };
enum { QUESTION_END = 22 };

struct name_server {
    struct net_udp *udp;
    unsigned asked;
    uint8_t last[MESSAGE_MAX];
    size_t last_len;
    struct ip_endpoint client;
};

static struct loop *loop;
static struct net *net;
static struct resolver *resolver;
static struct name_server first, second;
static struct ip_endpoint at;

static struct {
    unsigned calls;
    enum status st;
    uint8_t data[RESOLVER_MAX_MESSAGE];
    size_t len;
} answer;

/* ---- servers --------------------------------------------------------------------------------- */

static void on_question(void *ctx, const struct ip_endpoint *from, const uint8_t *data, size_t len)
{
    struct name_server *s = ctx;

    assert_true(len <= sizeof s->last);
    s->asked++;
    s->client = *from;
    s->last_len = len;
    memcpy(s->last, data, len);
}

static void on_unreachable(void *ctx, const struct ip_endpoint *to, enum status why)
{
}

static const struct net_udp_handler server_handler = { on_question, NULL, on_unreachable };

/* What the server was asked, as an answer with these flags and one byte behind it. */
static size_t compose(const struct name_server *s, uint8_t *out, uint16_t flags)
{
    memcpy(out, s->last, s->last_len);
    out[2] = (uint8_t)(flags >> 8);
    out[3] = (uint8_t)flags;
    out[s->last_len] = 0x77;
    return s->last_len + 1;
}

static void reply(const struct name_server *s, const uint8_t *data, size_t len)
{
    assert_int_equal(net->ops->udp_send(s->udp, &s->client, data, len), ST_OK);
}

static void reply_flags(const struct name_server *s, uint16_t flags)
{
    uint8_t data[MESSAGE_MAX + 1];

    reply(s, data, compose(s, data, flags));
}

/* ---- the case -------------------------------------------------------------------------------- */

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

static void on_answer(void *ctx, enum status st, const uint8_t *data, size_t len)
{
    answer.calls++;
    answer.st = st;
    answer.len = len;
    if (len)
        memcpy(answer.data, data, len);
}

static void write_conf(const char *text)
{
    FILE *f = fopen(conf_path, "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int setup_with(const char *conf)
{
    struct resolver_uv_config config = { .conf_path = conf_path, .try_ms = TRY_MS };
    struct errmsg e;

    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    memset(&answer, 0, sizeof answer);
    assert_int_equal(loop_uv_new(&loop, &e), ST_OK);
    assert_int_equal(net_uv_new(&net, loop, &e), ST_OK);
    at = (struct ip_endpoint){ .addr = ip_addr_v4(0x7f000001) };
    assert_int_equal(net->ops->udp_open(net, &first.udp, &at, &server_handler, &first), ST_OK);
    at = net->ops->udp_local(first.udp);
    config.port = at.port;
    write_conf(conf);
    assert_int_equal(resolver_uv_new(&resolver, loop, net, &config, &e), ST_OK);
    return 0;
}

static int setup(void **state)
{
    return setup_with("nameserver 127.0.0.1\n");
}

#ifndef _WIN32
static int setup_two(void **state)
{
    struct ip_endpoint other = { .addr = ip_addr_v4(0x7f000002) };

    setup_with("nameserver 127.0.0.1\nnameserver 127.0.0.2\n");
    other.port = at.port;
    assert_int_equal(net->ops->udp_open(net, &second.udp, &other, &server_handler, &second), ST_OK);
    return 0;
}
#endif

static int teardown(void **state)
{
    resolver->ops->close(resolver);
    net->ops->udp_close(first.udp);
    net->ops->udp_close(second.udp);
    net_uv_free(net);
    loop_uv_free(loop);
    return remove(conf_path);
}

static struct resolver_query *ask(void)
{
    struct resolver_query *q = NULL;

    assert_int_equal(resolver->ops->ask(resolver, &q, question, sizeof question, on_answer, NULL),
                     ST_OK);
    assert_int_equal(answer.calls, 0);
    return q;
}

static void assert_answered(uint16_t flags)
{
    wait_for(answer.calls);
    assert_int_equal(answer.st, ST_OK);
    assert_int_equal(answer.data[0] << 8 | answer.data[1], 0xbeef);
    assert_int_equal(answer.data[2] << 8 | answer.data[3], flags);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void question_and_answer_pass_unchanged_but_for_the_id(void **state)
{
    ask();
    wait_for(first.asked);
    assert_int_equal(first.last_len, sizeof question);
    assert_memory_equal(first.last + 2, question + 2, sizeof question - 2);
    reply_flags(&first, 0x8180);
    assert_answered(0x8180);
    assert_int_equal(answer.len, sizeof question + 1);
    assert_memory_equal(answer.data + 4, question + 4, sizeof question - 4);
    assert_int_equal(answer.data[sizeof question], 0x77);
}

static void each_question_has_an_id_and_a_port_of_its_own(void **state)
{
    unsigned repeats = 0;
    uint8_t id[2] = { 0, 0 };
    uint16_t port = 0;

    for (unsigned i = 0; i < 8; i++) {
        struct resolver_query *q = ask();

        wait_for(first.asked == i + 1);
        repeats += first.client.port == port || memcmp(id, first.last, 2) == 0;
        port = first.client.port;
        memcpy(id, first.last, 2);
        resolver->ops->cancel(q);
    }
    assert_in_range(repeats, 0, 1); /* chance: one in 30,000 for each pair */
}

#ifndef _WIN32
/* Each is sent before the true answer, which must be the one that comes out. */
static void forged_answers_are_ignored(void **state)
{
    uint8_t data[MESSAGE_MAX + 1];
    size_t len;

    ask();
    wait_for(first.asked);
    len = compose(&first, data, 0x8183);
    data[0] ^= 1; /* another id */
    reply(&first, data, len);
    len = compose(&first, data, 0x8183);
    data[13] = 'x'; /* another name */
    reply(&first, data, len);
    len = compose(&first, data, 0x8183);
    data[19] = 1; /* another type */
    reply(&first, data, len);
    compose(&first, data, 0x0103); /* no response */
    reply(&first, data, len);
    compose(&first, data, 0x8183); /* cut within the question */
    reply(&first, data, QUESTION_END - 1);
    reply(&first, data, 1);
    second.client = first.client; /* another sender */
    second.last_len = first.last_len;
    memcpy(second.last, first.last, first.last_len);
    reply_flags(&second, 0x8183);
    reply_flags(&first, 0x8180);
    assert_answered(0x8180);
}
#endif

static void name_may_come_back_in_other_case(void **state)
{
    uint8_t data[MESSAGE_MAX + 1];
    size_t len;

    ask();
    wait_for(first.asked);
    len = compose(&first, data, 0x8180);
    data[13] = 'A';
    reply(&first, data, len);
    assert_answered(0x8180);
}

static void silence_ends_in_a_time_out(void **state)
{
    ask();
    wait_for(answer.calls);
    assert_int_equal(answer.st, ST_TIMEOUT);
    assert_int_equal(first.asked, 2);
}

#ifndef _WIN32
static void next_server_is_asked_and_then_preferred(void **state)
{
    ask();
    wait_for(second.asked);
    assert_int_equal(first.asked, 1);
    reply_flags(&second, 0x8180);
    assert_answered(0x8180);
    answer.calls = 0;
    ask();
    wait_for(second.asked == 2);
    assert_int_equal(first.asked, 1);
}

static void server_that_fails_is_not_the_last_word(void **state)
{
    ask();
    wait_for(first.asked);
    reply_flags(&first, 0x8180 | SERVFAIL);
    wait_for(second.asked);
    assert_int_equal(answer.calls, 0);
    reply_flags(&second, 0x8180 | SERVFAIL);
    assert_answered(0x8180 | SERVFAIL);
}

static void changed_file_is_read_again(void **state)
{
    answer.calls = 0;
    ask();
    wait_for(first.asked);
    reply_flags(&first, 0x8180);
    assert_answered(0x8180);
    write_conf("nameserver 127.0.0.2 # changed\n");
    resolver->ops->reload(resolver);
    answer.calls = 0;
    ask();
    wait_for(second.asked);
    assert_int_equal(first.asked, 1);
}
#endif

/* ---- over TCP -------------------------------------------------------------------------------- */

static struct {
    struct net_tcp *conn;
    uint8_t in[MESSAGE_MAX];
    size_t have;
} tcp;

static size_t on_space(void *ctx, uint8_t **buf)
{
    *buf = tcp.in + tcp.have;
    return sizeof tcp.in - tcp.have;
}

static void on_tcp_data(void *ctx, size_t len)
{
    tcp.have += len;
}

static void on_tcp_event(void *ctx)
{
}

static void on_tcp_error(void *ctx, enum status why)
{
}

static const struct net_tcp_handler tcp_handler = { NULL,         on_space,     on_tcp_data,
                                                    on_tcp_event, on_tcp_event, on_tcp_error };

static void on_accept(void *ctx, struct net_tcp *conn, const struct ip_endpoint *from)
{
    tcp.conn = conn;
    net->ops->tcp_set_handler(conn, &tcp_handler, NULL);
    net->ops->tcp_read(conn);
}

static const struct net_listener_handler listener_handler = { on_accept, on_tcp_error };

static void truncated_answer_is_fetched_over_tcp(void **state)
{
    static uint8_t big[2 + BIG_BYTES] = { BIG_BYTES >> 8, BIG_BYTES & 255 };
    struct net_iov iov = { big, sizeof big };
    struct net_listener *listener;

    memset(&tcp, 0, sizeof tcp);
    assert_int_equal(net->ops->tcp_listen(net, &listener, &at, &listener_handler, NULL, NULL),
                     ST_OK);
    ask();
    wait_for(first.asked);
    reply_flags(&first, 0x8380);
    wait_for(tcp.have == 2 + sizeof question);
    assert_int_equal(tcp.in[1], sizeof question);
    memcpy(big + 2, tcp.in + 2, sizeof question);
    big[4] = 0x81;
    assert_int_equal(net->ops->tcp_write(tcp.conn, &iov, 1), sizeof big);
    assert_answered(0x8100);
    assert_int_equal(answer.len, BIG_BYTES);
    net->ops->tcp_close(tcp.conn, false);
    net->ops->listener_close(listener);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void questions_under_way_are_bounded(void **state)
{
    struct resolver_query *q[RESOLVER_MAX_PENDING], *more = NULL;

    for (unsigned i = 0; i < RESOLVER_MAX_PENDING; i++)
        q[i] = ask();
    assert_int_equal(resolver->ops->ask(resolver, &more, question, sizeof question, on_answer,
                                        NULL),
                     ST_FULL);
    resolver->ops->cancel(q[7]);
    ask();
}

static void what_is_no_question_is_refused(void **state)
{
    static const struct {
        size_t len, at;
        uint8_t value;
    } rows[] = { { 0, 0, 0 },
                 { 11, 0, 0xbe },
                 { QUESTION_END - 1, 0, 0xbe },
                 { sizeof question, 5, 0 },     /* no question */
                 { sizeof question, 5, 2 },     /* two */
                 { sizeof question, 12, 0xc0 }, /* a pointer as name */
                 { sizeof question, 12, 60 } }; /* a label beyond the end */
    struct resolver_query *q = NULL;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint8_t data[sizeof question];

        memcpy(data, question, sizeof data);
        data[rows[i].at] = rows[i].value;
        assert_int_equal(resolver->ops->ask(resolver, &q, data, rows[i].len, on_answer, NULL),
                         ST_PROTO);
    }
}

#define ONE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TWO(f) cmocka_unit_test_setup_teardown(f, setup_two, teardown)

/* Who forges an answer has to guess both the id and the port: at least 28 bits. Each bit of either,
 * and of both against each other, is balanced as a coin of 256 throws is but once in 10^15 runs. */
static void ids_and_ports_cannot_be_guessed(void **state)
{
    enum { N = 256, ID_BITS = 16, PORT_BITS = 12 };
    unsigned id_ones[ID_BITS] = { 0 }, port_ones[PORT_BITS] = { 0 }, mixed_ones[PORT_BITS] = { 0 };
    unsigned same_steps = 0;
    uint32_t was_id = 0, was_port = 0, id_step = 0, port_step = 0;

    for (unsigned i = 0; i < N; i++) {
        struct resolver_query *q;
        unsigned asked = first.asked;
        uint32_t id, port;

        assert_int_equal(resolver->ops->ask(resolver, &q, question, sizeof question, on_answer,
                                            NULL),
                         ST_OK);
        wait_for(first.asked > asked);
        resolver->ops->cancel(q);
        id = (uint32_t)(first.last[0] << 8 | first.last[1]);
        port = first.client.port;
        for (unsigned bit = 0; bit < ID_BITS; bit++)
            id_ones[bit] += id >> bit & 1;
        for (unsigned bit = 0; bit < PORT_BITS; bit++) {
            port_ones[bit] += port >> bit & 1;
            mixed_ones[bit] += (id ^ port) >> bit & 1;
        }
        same_steps += (id - was_id == id_step) + (port - was_port == port_step);
        id_step = id - was_id;
        port_step = port - was_port;
        was_id = id;
        was_port = port;
    }
    for (unsigned bit = 0; bit < ID_BITS; bit++)
        assert_in_range(id_ones[bit], N / 4, N * 3 / 4);
    for (unsigned bit = 0; bit < PORT_BITS; bit++) {
        assert_in_range(port_ones[bit], N / 4, N * 3 / 4);
        assert_in_range(mixed_ones[bit], N / 4, N * 3 / 4);
    }
    assert_in_range(same_steps, 0, 4); /* nobody counts, whatever the step: 255 each would be */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(question_and_answer_pass_unchanged_but_for_the_id),
        ONE(each_question_has_an_id_and_a_port_of_its_own),
        ONE(ids_and_ports_cannot_be_guessed),
#ifndef _WIN32 /* Wine gives a port of 127.0.0.0/8 away once, whatever the address */
        TWO(forged_answers_are_ignored),
        TWO(next_server_is_asked_and_then_preferred),
        TWO(server_that_fails_is_not_the_last_word),
        TWO(changed_file_is_read_again),
#endif
        ONE(name_may_come_back_in_other_case),
        ONE(silence_ends_in_a_time_out),
        ONE(truncated_answer_is_fetched_over_tcp),
        ONE(questions_under_way_are_bounded),
        ONE(what_is_no_question_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
