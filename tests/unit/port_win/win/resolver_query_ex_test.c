/* SPDX-License-Identifier: Apache-2.0
 * The resolver over DnsQueryEx(), whose functions are the test's, as is the resolver for the rest.
 * Answers come, as from Windows, at once or on threads of their own.
 */
#include "port/win/resolver_query_ex.h"

#include "base/util.h"
#include "port/resolver.h"
#include "port/uv/loop_uv.h"
#include "port/win/dns_record_win.h"
#include "support/cmocka_all.h"

#include <string.h>
#include <wchar.h>

enum { PENDING = 9506, NO_RECORDS = 9501, NAME_ERROR = 9003, CALLS_MAX = RESOLVER_MAX_PENDING };
enum { QUESTION_MAX = 64 };

/* ---- a Windows that the test answers for -------------------------------------------------- */

static struct call {
    struct dns_ex_request request;
    wchar_t name[64];
    DNS_QUERY_RESULT *result;
    struct dns_ex_cancel *cancel;
    bool is_over;
    DNS_RECORDW *records;
} calls[CALLS_MAX];
static unsigned call_count, lists_out, lists_freed;
static LONG query_returns;
static DNS_RECORDW *sync_records;

static DWORD WINAPI come_back(void *ctx)
{
    struct call *c = ctx;

    c->request.done(c->request.ctx, c->result);
    return 0;
}

static void call_ends(struct call *c, LONG status, DNS_RECORDW *records)
{
    HANDLE thread;

    assert_false(c->is_over);
    c->is_over = true;
    c->result->QueryStatus = status;
    c->result->pQueryRecords = (DNS_RECORD *)records;
    lists_out += records != NULL;
    thread = CreateThread(NULL, 0, come_back, c, 0, NULL);
    assert_non_null(thread);
    assert_int_equal(WaitForSingleObject(thread, 10000), WAIT_OBJECT_0);
    CloseHandle(thread);
}

static LONG WINAPI fake_query(struct dns_ex_request *request, DNS_QUERY_RESULT *result,
                              struct dns_ex_cancel *cancel)
{
    struct call *c = &calls[call_count];

    assert_true(call_count < CALLS_MAX && wcslen(request->name) < ARRAY_SIZE(c->name));
    assert_int_equal(request->version, 1);
    assert_int_equal(result->Version, 1);
    *c = (struct call){ .request = *request, .result = result, .cancel = cancel };
    wcscpy(c->name, request->name);
    call_count++;
    if (query_returns != PENDING) {
        result->pQueryRecords = (DNS_RECORD *)sync_records;
        lists_out += sync_records != NULL;
        c->is_over = true;
    }
    return query_returns;
}

static LONG WINAPI fake_cancel(struct dns_ex_cancel *cancel)
{
    for (unsigned i = 0; i < call_count; i++) {
        if (calls[i].cancel == cancel)
            call_ends(&calls[i], ERROR_CANCELLED, NULL);
    }
    return 0;
}

static void WINAPI fake_free(void *list, DNS_FREE_TYPE type)
{
    assert_non_null(list);
    assert_int_equal(type, DnsFreeRecordList);
    lists_freed++;
}

/* ---- the resolver for the rest ------------------------------------------------------------ */

static struct {
    struct resolver base;
    resolver_fn *fn;
    void *ctx;
    unsigned asked, cancelled, reloaded, closed;
    uint8_t question[QUESTION_MAX];
    size_t len_bytes;
    enum status refuses;
} servers;

static enum status servers_ask(struct resolver *r, struct resolver_query **out,
                               const uint8_t *question, size_t len_bytes, resolver_fn *fn,
                               void *ctx)
{
    assert_true(len_bytes <= sizeof servers.question);
    if (servers.refuses)
        return servers.refuses;
    memcpy(servers.question, question, len_bytes);
    servers.len_bytes = len_bytes;
    servers.fn = fn;
    servers.ctx = ctx;
    servers.asked++;
    *out = (struct resolver_query *)&servers;
    return ST_OK;
}

static void servers_cancel(struct resolver_query *q)
{
    assert_ptr_equal(q, &servers);
    servers.cancelled++;
}

static void servers_reload(struct resolver *r)
{
    servers.reloaded++;
}

static void servers_close(struct resolver *r)
{
    servers.closed++;
}

static const struct resolver_ops servers_ops = { servers_ask, servers_cancel, servers_reload,
                                                 servers_close };

/* ---- the asking side --------------------------------------------------------------------- */

static struct loop *loop;
static struct resolver *resolver;
static unsigned answers;
static enum status last_status;
static uint8_t last[RESOLVER_MAX_MESSAGE];
static size_t last_bytes;

static int setup(void **state)
{
    static const struct dns_ex_api api = { fake_query, fake_cancel, fake_free };
    struct errmsg e;

    call_count = lists_out = lists_freed = answers = 0;
    query_returns = PENDING;
    sync_records = NULL;
    memset(&servers, 0, sizeof servers);
    servers.base.ops = &servers_ops;
    if (loop_uv_new(&loop, &e))
        fail_msg("%s", e.text);
    assert_int_equal(resolver_query_ex_new(&resolver, loop, NULL, &api, &servers.base, &e), ST_OK);
    return 0;
}

static int teardown(void **state)
{
    resolver->ops->close(resolver);
    loop_uv_free(loop);
    assert_int_equal(lists_freed, lists_out);
    assert_int_equal(servers.closed, 1);
    return 0;
}

static void on_answer(void *ctx, enum status st, const uint8_t *answer, size_t len_bytes)
{
    answers++;
    last_status = st;
    last_bytes = len_bytes;
    assert_true(len_bytes <= sizeof last);
    if (len_bytes)
        memcpy(last, answer, len_bytes);
}

#define QUESTION(type) "\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\7example\0" type "\0\1"

static enum status ask_bytes(struct resolver_query **out, const char *question, size_t len_bytes)
{
    return resolver->ops->ask(resolver, out, (const uint8_t *)question, len_bytes, on_answer, NULL);
}

static struct resolver_query *ask(const char type[2])
{
    char question[] = QUESTION("\0\0");
    struct resolver_query *q;

    memcpy(question + sizeof question - 5, type, 2);
    assert_int_equal(ask_bytes(&q, question, sizeof question - 1), ST_OK);
    return q;
}

static void run_until_answers(unsigned count)
{
    while (answers < count)
        assert_true(loop_uv_run_once(loop));
}

static void answer_is(const char *want, size_t want_bytes)
{
    assert_int_equal(last_status, ST_OK);
    assert_int_equal(last_bytes, want_bytes);
    assert_memory_equal(last, want, want_bytes);
}
#define ANSWER_IS(rest) answer_is("\x12\x34" rest, sizeof("\x12\x34" rest) - 1)
#define NAME            "\1a\7example\0"

/* Windows' structures know no const. */
static wchar_t *w(const wchar_t *text)
{
    return (wchar_t *)(uintptr_t)text;
}

static DNS_RECORDW record(const wchar_t *owner, WORD type, DWORD ttl_s, DWORD section)
{
    DNS_RECORDW r = { .pName = w(owner), .wType = type, .dwTtl = ttl_s };

    r.Flags.S.Section = section;
    return r;
}

/* ---- cases ------------------------------------------------------------------------------- */

static void an_address_comes_with_its_alias_and_their_ttls(void **state)
{
    DNS_RECORDW alias = record(L"a.example", DNS_TYPE_CNAME, 300, DnsSectionAnswer);
    DNS_RECORDW address = record(L"b.example", DNS_TYPE_A, 60, DnsSectionAnswer);

    alias.Data.CNAME.pNameHost = w(L"b.example");
    alias.pNext = &address;
    memcpy(&address.Data.A.IpAddress, "\xc0\0\2\1", 4);
    ask("\0\1");
    assert_int_equal(calls[0].request.type, DNS_TYPE_A);
    assert_true(wcscmp(calls[0].name, L"a.example.") == 0);
    assert_true(calls[0].request.options & DNS_QUERY_TREAT_AS_FQDN);
    assert_true(calls[0].request.options & DNS_QUERY_DONT_RESET_TTL_VALUES);
    assert_int_equal(answers, 0);
    call_ends(&calls[0], 0, &alias);
    run_until_answers(1);
    ANSWER_IS("\x81\x80\0\1\0\2\0\0\0\0" NAME "\0\1\0\1"
              "\xc0\x0c\0\5\0\1\0\0\1\x2c\0\13\1b\7example\0"
              "\1b\7example\0\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1");
    assert_int_equal(servers.asked, 0);
}

static void every_known_type_is_written_as_dns_writes_it(void **state)
{
    wchar_t *strings[] = { w(L"v=1"), w(L"") };
    char txt_room[sizeof(DNS_RECORDW) + sizeof strings];
    DNS_RECORDW *txt = (DNS_RECORDW *)(void *)txt_room;
    DNS_RECORDW mx = record(L"a.example", DNS_TYPE_MX, 1, DnsSectionAnswer);
    DNS_RECORDW srv = record(L"a.example", DNS_TYPE_SRV, 1, DnsSectionAnswer);
    DNS_RECORDW six = record(L"a.example", DNS_TYPE_AAAA, 1, DnsSectionAnswer);
    DNS_RECORDW soa = record(L"example", DNS_TYPE_SOA, 1, DnsSectionAuthority);
    DNS_RECORDW ns = record(L"example", DNS_TYPE_NS, 1, DnsSectionAuthority);
    DNS_RECORDW ptr = record(L"a.example", DNS_TYPE_PTR, 1, DnsSectionAnswer);

    mx.Data.MX = (DNS_MX_DATAW){ .pNameExchange = w(L"m"), .wPreference = 10 };
    srv.Data.SRV =
        (DNS_SRV_DATAW){ .pNameTarget = w(L"s"), .wPriority = 1, .wWeight = 2, .wPort = 0x1234 };
    memcpy(&six.Data.AAAA.Ip6Address, "0123456789abcdef", 16);
    soa.Data.SOA = (DNS_SOA_DATAW){ w(L"p"), w(L"r"), 1, 2, 3, 4, 5 };
    ns.Data.NS.pNameHost = w(L"n");
    ptr.Data.PTR.pNameHost = w(L"h");
    *txt = record(L"a.example", DNS_TYPE_TEXT, 1, DnsSectionAnswer);
    txt->Data.TXT.dwStringCount = 2;
    memcpy(txt->Data.TXT.pStringArray, strings, sizeof strings);
    soa.pNext = &mx; /* Windows may mix sections */
    mx.pNext = &srv;
    srv.pNext = &six;
    six.pNext = &ns;
    ns.pNext = &ptr;
    ptr.pNext = txt;
    ask("\0\x0f");
    call_ends(&calls[0], 0, &soa);
    run_until_answers(1);
    ANSWER_IS("\x81\x80\0\1\0\5\0\2\0\0" NAME "\0\x0f\0\1"
              "\xc0\x0c\0\x0f\0\1\0\0\0\1\0\5\0\x0a\1m\0"
              "\xc0\x0c\0\x21\0\1\0\0\0\1\0\x09\0\1\0\2\x12\x34\1s\0"
              "\xc0\x0c\0\x1c\0\1\0\0\0\1\0\x10"
              "0123456789abcdef"
              "\xc0\x0c\0\x0c\0\1\0\0\0\1\0\3\1h\0"
              "\xc0\x0c\0\x10\0\1\0\0\0\1\0\5\3v=1\0"
              "\7example\0\0\6\0\1\0\0\0\1\0\x1a\1p\0\1r\0"
              "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5"
              "\7example\0\0\2\0\1\0\0\0\1\0\3\1n\0");
}

static const struct {
    LONG status;
    unsigned rcode;
} codes[] = { { NAME_ERROR, 3 }, { NO_RECORDS, 0 }, { 9002, 2 }, { 9005, 5 } };

static void codes_pass_whether_told_at_once_or_later(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        query_returns = PENDING;
        ask("\0\1");
        call_ends(&calls[call_count - 1], codes[i].status, NULL);
        run_until_answers(2 * i + 1);
        assert_int_equal(last_status, ST_OK);
        assert_int_equal(last[3] & 15, codes[i].rcode);
        query_returns = codes[i].status;
        ask("\0\1");
        assert_int_equal(answers, 2 * i + 1); /* never from within ask() */
        run_until_answers(2 * i + 2);
        assert_int_equal(last[3] & 15, codes[i].rcode);
        assert_int_equal(last[6] << 8 | last[7], 0);
    }
    assert_int_equal(servers.asked, 0);
}

static void records_told_at_once_are_an_answer(void **state)
{
    DNS_RECORDW address = record(L"A.Example.", DNS_TYPE_A, 60, DnsSectionQuestion);

    sync_records = &address;
    query_returns = ERROR_SUCCESS;
    ask("\0\1");
    run_until_answers(1);
    ANSWER_IS("\x81\x80\0\1\0\1\0\0\0\0" NAME "\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\0\0\0\0");
}

static void nobody_answers_is_a_failure(void **state)
{
    ask("\0\1");
    call_ends(&calls[0], ERROR_TIMEOUT, NULL);
    run_until_answers(1);
    assert_int_equal(last_status, ST_TIMEOUT);
    ask("\0\1");
    call_ends(&calls[1], 9852, NULL); /* no DNS servers */
    run_until_answers(2);
    assert_int_equal(last_status, ST_UNREACHABLE);
    assert_int_equal(servers.asked, 0);
}

static void what_windows_does_not_tell_is_asked_of_the_servers(void **state)
{
    static const char dnssec[] =
        "\x12\x34\1\0\0\1\0\0\0\0\0\1" NAME "\0\1\0\1\0\0\x29\4\xd0\0\0\x80\0\0\0";
    struct resolver_query *q;

    ask("\0\x41"); /* HTTPS */
    assert_int_equal(call_count, 0);
    assert_int_equal(servers.len_bytes, sizeof(QUESTION("\0\0")) - 1);
    assert_memory_equal(servers.question, QUESTION("\0\x41"), servers.len_bytes);
    servers.fn(servers.ctx, ST_OK, (const uint8_t *)"\x12\x34rest", 6);
    assert_int_equal(answers, 1);
    ANSWER_IS("rest");
    assert_int_equal(ask_bytes(&q, dnssec, sizeof dnssec - 1), ST_OK);
    assert_int_equal(servers.asked, 2);
    resolver->ops->cancel(q);
    assert_int_equal(servers.cancelled, 1);
    resolver->ops->reload(resolver);
    assert_int_equal(servers.reloaded, 1);
}

static void what_windows_refuses_to_ask_is_asked_of_the_servers(void **state)
{
    static const LONG refusals[] = { ERROR_INVALID_NAME, ERROR_INVALID_PARAMETER, 9004, 9560 };

    for (unsigned i = 0; i < ARRAY_SIZE(refusals); i++) {
        query_returns = refusals[i];
        ask("\0\1");
        while (servers.asked <= i)
            assert_true(loop_uv_run_once(loop));
        servers.fn(servers.ctx, ST_TIMEOUT, NULL, 0);
        assert_int_equal(answers, i + 1);
        assert_int_equal(last_status, ST_TIMEOUT);
    }
    servers.refuses = ST_FULL;
    ask("\0\1");
    run_until_answers(ARRAY_SIZE(refusals) + 1);
    assert_int_equal(last_status, ST_FULL);
}

/* An answer that would lose something is not given. */
static void records_that_cannot_be_told_are_asked_of_the_servers(void **state)
{
    static wchar_t long_name[3000], not_ascii[] = L"\x00e4", surrogate[] = L"\xd800";
    wchar_t *names[] = { long_name, w(L"a\\.b"), w(L"a..b"), surrogate, NULL };
    DNS_RECORDW list[3];
    unsigned asked = 0;

    wmemset(long_name, L'x', ARRAY_SIZE(long_name) - 1);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        list[0] = record(L"a.example", DNS_TYPE_CNAME, 1, DnsSectionAnswer);
        list[0].Data.CNAME.pNameHost = names[i];
        list[1] = record(names[i], DNS_TYPE_A, 1, DnsSectionAnswer);
        list[2] = record(L"a.example", DNS_TYPE_TEXT, 1, DnsSectionAnswer);
        list[2].Data.TXT.dwStringCount = 1;
        list[2].Data.TXT.pStringArray[0] = i == 1 ? not_ascii : names[i];
        for (unsigned j = 0; j < ARRAY_SIZE(list); j++) {
            if (j == 2 && i == 2)
                continue; /* two dots are a fine string */
            ask("\0\1");
            call_ends(&calls[call_count - 1], 0, &list[j]);
            while (servers.asked == asked)
                assert_true(loop_uv_run_once(loop));
            servers.fn(servers.ctx, ST_TIMEOUT, NULL, 0);
            asked++;
        }
    }
}

/* What is beside the answer may be left out; types that nobody asked for are. */
static void other_sections_lose_what_cannot_be_told(void **state)
{
    DNS_RECORDW odd = record(L"a..b", DNS_TYPE_A, 1, DnsSectionAddtional);
    DNS_RECORDW sig = record(L"a.example", DNS_TYPE_RRSIG, 1, DnsSectionAnswer);

    odd.pNext = &sig;
    ask("\0\1");
    call_ends(&calls[0], 0, &odd);
    run_until_answers(1);
    ANSWER_IS("\x81\x80\0\1\0\0\0\0\0\0" NAME "\0\1\0\1");
}

static void a_list_without_an_end_ends(void **state)
{
    DNS_RECORDW ring = record(L"a.example", DNS_TYPE_A, 1, DnsSectionAddtional);
    DNS_RECORDW *r = &ring;

    ring.pNext = r;
    ask("\0\1");
    call_ends(&calls[0], 0, r);
    while (!answers && !servers.asked)
        assert_true(loop_uv_run_once(loop));
    assert_int_equal(answers, 1);
    assert_true(last_bytes > 60000); /* as many as fit */
}

static void a_cancelled_question_is_never_answered(void **state)
{
    struct resolver_query *q = ask("\0\1"), *now;

    ask("\0\1");
    resolver->ops->cancel(q);
    assert_true(calls[0].is_over && !calls[1].is_over);
    query_returns = NAME_ERROR;
    now = ask("\0\1");
    resolver->ops->cancel(now); /* Windows is done with it: nothing to be cancelled there */
    call_ends(&calls[1], NAME_ERROR, NULL);
    run_until_answers(1);
    assert_int_equal(answers, 1);
    resolver->ops->cancel(NULL);
}

static void questions_are_bounded_and_close_takes_them_back(void **state)
{
    struct resolver_query *q;

    for (unsigned i = 0; i < RESOLVER_MAX_PENDING; i++)
        ask("\0\1");
    assert_int_equal(ask_bytes(&q, QUESTION("\0\1"), sizeof QUESTION("\0\1") - 1), ST_FULL);
    call_ends(&calls[0], NAME_ERROR, NULL);
    run_until_answers(1);
    ask("\0\x41");
} /* and teardown looks that all lists were given back */

static void what_is_no_question_is_refused(void **state)
{
    struct resolver_query *q;

    assert_int_equal(ask_bytes(&q, QUESTION("\0\1"), 12), ST_PROTO);
    assert_int_equal(call_count + servers.asked, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_address_comes_with_its_alias_and_their_ttls),
        T(every_known_type_is_written_as_dns_writes_it),
        T(codes_pass_whether_told_at_once_or_later),
        T(records_told_at_once_are_an_answer),
        T(nobody_answers_is_a_failure),
        T(what_windows_does_not_tell_is_asked_of_the_servers),
        T(what_windows_refuses_to_ask_is_asked_of_the_servers),
        T(records_that_cannot_be_told_are_asked_of_the_servers),
        T(other_sections_lose_what_cannot_be_told),
        T(a_list_without_an_end_ends),
        T(a_cancelled_question_is_never_answered),
        T(questions_are_bounded_and_close_takes_them_back),
        T(what_is_no_question_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
