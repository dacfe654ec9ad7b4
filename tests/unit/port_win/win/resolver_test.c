/* SPDX-License-Identifier: Apache-2.0
 * The resolver over DnsQueryRaw(), whose functions are the test's: Wine has none. Answers come, as
 * from Windows, on threads of their own.
 */
#include "port/win/resolver_win.h"

#include "base/util.h"
#include "port/resolver.h"
#include "port/uv/loop_uv.h"
#include "port/uv/net_uv.h"
#include "port/uv/resolver_os.h"
#include "support/cmocka_all.h"

#include <string.h>

static const uint8_t question[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\1\0\1";
enum { QUESTION_BYTES = sizeof question - 1, CALLS_MAX = RESOLVER_MAX_PENDING };

/* ---- a Windows that the test answers for -------------------------------------------------- */

static struct call {
    struct dns_raw_request request;
    struct dns_raw_cancel *handle;
    struct dns_raw_result *result;
    bool is_over;
} calls[CALLS_MAX];
static unsigned call_count, results_out;
static LONG query_returns;

static DWORD WINAPI come_back(void *ctx)
{
    struct call *c = ctx;

    c->request.done(c->request.ctx, c->result);
    return 0;
}

static void call_ends(struct call *c, const char *response, size_t len_bytes, LONG status)
{
    HANDLE thread;

    assert_false(c->is_over);
    c->is_over = true;
    c->result = calloc(1, sizeof *c->result);
    assert_non_null(c->result);
    c->result->status = status;
    if (response) {
        c->result->response = malloc(len_bytes);
        assert_non_null(c->result->response);
        memcpy(c->result->response, response, len_bytes);
        c->result->response_bytes = (ULONG)len_bytes;
    }
    results_out++;
    thread = CreateThread(NULL, 0, come_back, c, 0, NULL);
    assert_non_null(thread);
    assert_int_equal(WaitForSingleObject(thread, 10000), WAIT_OBJECT_0);
    CloseHandle(thread);
}

static LONG WINAPI fake_query(struct dns_raw_request *request, struct dns_raw_cancel *cancel)
{
    if (query_returns != 9506)
        return query_returns;
    assert_true(call_count < CALLS_MAX);
    calls[call_count].request = *request;
    calls[call_count].handle = cancel;
    calls[call_count++].is_over = false;
    return query_returns;
}

static LONG WINAPI fake_cancel(struct dns_raw_cancel *cancel)
{
    for (unsigned i = 0; i < call_count; i++) {
        if (calls[i].handle == cancel && !calls[i].is_over)
            call_ends(&calls[i], NULL, 0, ERROR_CANCELLED);
    }
    return 0;
}

static void WINAPI fake_free(struct dns_raw_result *result)
{
    results_out--;
    free(result->response);
    free(result);
}

/* ---- the asking side --------------------------------------------------------------------- */

static struct loop *loop;
static struct resolver *resolver;
static unsigned answers;
static enum status last_status;
static uint8_t last_answer[64];
static size_t last_bytes;

static int setup(void **state)
{
    static const struct dns_raw_api api = { fake_query, fake_cancel, fake_free };
    struct errmsg e;

    call_count = results_out = answers = 0;
    query_returns = 9506;
    if (loop_uv_new(&loop, &e))
        fail_msg("%s", e.text);
    assert_int_equal(resolver_win_new(&resolver, loop, &api), ST_OK);
    return 0;
}

static int teardown(void **state)
{
    resolver->ops->close(resolver);
    loop_uv_free(loop);
    assert_int_equal(results_out, 0);
    return 0;
}

static void on_answer(void *ctx, enum status st, const uint8_t *answer, size_t len_bytes)
{
    answers++;
    last_status = st;
    last_bytes = len_bytes;
    if (answer)
        memcpy(last_answer, answer, MIN(len_bytes, sizeof last_answer));
}

static enum status ask(struct resolver_query **out)
{
    return resolver->ops->ask(resolver, out, question, QUESTION_BYTES, on_answer, NULL);
}

static void run_until_answers(unsigned count)
{
    while (answers < count)
        assert_true(loop_uv_run_once(loop));
}

static void an_answer_comes_back_under_the_questions_id(void **state)
{
    struct resolver_query *q;

    assert_int_equal(ask(&q), ST_OK);
    assert_int_equal(calls[0].request.query_bytes, QUESTION_BYTES);
    assert_int_equal(calls[0].request.protocol, DNS_RAW_UDP);
    assert_int_equal(answers, 0);
    call_ends(&calls[0], "\xff\xff\x81\x80\0\1\0\0\0\0\0\0rest", 16, 0);
    run_until_answers(1);
    assert_int_equal(last_status, ST_OK);
    assert_int_equal(last_bytes, 16);
    assert_memory_equal(last_answer, "\x12\x34\x81\x80\0\1\0\0\0\0\0\0rest", 16);
}

static void a_refusal_with_a_response_is_an_answer(void **state)
{
    struct resolver_query *q;

    assert_int_equal(ask(&q), ST_OK);
    call_ends(&calls[0], "\0\0\x81\x83\0\1\0\0\0\0\0\0", 12, 9003);
    run_until_answers(1);
    assert_int_equal(last_status, ST_OK);
    assert_int_equal(last_answer[3] & 15, 3);
}

static void nothing_or_nonsense_is_a_failure(void **state)
{
    struct resolver_query *q;

    assert_int_equal(ask(&q), ST_OK);
    call_ends(&calls[0], NULL, 0, ERROR_TIMEOUT);
    run_until_answers(1);
    assert_int_equal(last_status, ST_TIMEOUT);
    assert_int_equal(ask(&q), ST_OK);
    call_ends(&calls[1], "short", 5, 0);
    run_until_answers(2);
    assert_int_equal(last_status, ST_UNREACHABLE);
    query_returns = ERROR_INVALID_PARAMETER;
    assert_int_equal(ask(&q), ST_UNREACHABLE);
    assert_int_equal(resolver->ops->ask(resolver, &q, question, 12, on_answer, NULL), ST_PROTO);
}

static void a_cut_answer_is_asked_for_again_by_tcp(void **state)
{
    struct resolver_query *q;

    assert_int_equal(ask(&q), ST_OK);
    call_ends(&calls[0], "\0\0\x83\x80\0\1\0\0\0\0\0\0", 12, 0);
    while (call_count < 2)
        assert_true(loop_uv_run_once(loop));
    assert_int_equal(answers, 0);
    assert_int_equal(calls[1].request.protocol, DNS_RAW_TCP);
    call_ends(&calls[1], "\0\0\x83\x80\0\1\0\0\0\0\0\0whole", 17, 0); /* cut again: it has to do */
    run_until_answers(1);
    assert_int_equal(last_bytes, 17);
    assert_int_equal(call_count, 2);
}

static void a_cancelled_question_is_never_answered(void **state)
{
    struct resolver_query *q, *other;

    assert_int_equal(ask(&q), ST_OK);
    assert_int_equal(ask(&other), ST_OK);
    resolver->ops->cancel(q);
    assert_true(calls[0].is_over && !calls[1].is_over);
    call_ends(&calls[1], "\0\0\x81\x80\0\1\0\0\0\0\0\0", 12, 0);
    run_until_answers(1);
    assert_int_equal(answers, 1);
}

static void questions_are_bounded_and_close_takes_them_back(void **state)
{
    struct resolver_query *q;

    for (unsigned i = 0; i < RESOLVER_MAX_PENDING; i++)
        assert_int_equal(ask(&q), ST_OK);
    assert_int_equal(ask(&q), ST_FULL);
} /* and teardown looks that every result was given back */

static void a_windows_without_it_resolves_as_before(void **state)
{
    struct resolver *system;
    struct net *net;
    struct errmsg e = { "" };

    assert_int_equal(net_uv_new(&net, loop, &e), ST_OK);
    assert_int_equal(resolver_os_new(&system, loop, net, &e), ST_OK);
    system->ops->close(system);
    net_uv_free(net);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_answer_comes_back_under_the_questions_id),
        T(a_refusal_with_a_response_is_an_answer),
        T(nothing_or_nonsense_is_a_failure),
        T(a_cut_answer_is_asked_for_again_by_tcp),
        T(a_cancelled_question_is_never_answered),
        T(questions_are_bounded_and_close_takes_them_back),
        T(a_windows_without_it_resolves_as_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
