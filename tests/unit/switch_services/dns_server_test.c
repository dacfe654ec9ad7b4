/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"
#include "support/services_rig.h"

#include "switch/dns_internal.h"

#include <stdlib.h>
#include <string.h>

static struct rig *rig;

static int setup_family(bool ip6)
{
    rig = rig_new(ip6);
    return dns_new(&rig->s) == ST_OK ? 0 : -1;
}

static int setup(void **state)
{
    return setup_family(false);
}

static int setup_ip6(void **state)
{
    return setup_family(true);
}

static int teardown(void **state)
{
    rig_free(rig);
    return 0;
}

/* ---- messages ---------------------------------------------------------------------------- */

struct msg {
    uint8_t bytes[4096];
    size_t len_bytes;
};

static void put_name(struct bytes_out *w, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, ".");

        bytes_put_u8(w, (uint8_t)n);
        bytes_put(w, text, n);
        text += n + (text[n] == '.');
    }
    bytes_put_u8(w, 0);
}

/* @edns: 0 none, else the UDP size. */
static struct msg question(uint16_t id, const char *name, uint16_t type, uint16_t edns)
{
    struct msg m;
    struct bytes_out w = bytes_into(m.bytes, sizeof m.bytes);

    bytes_put_be16(&w, id);
    bytes_put_be16(&w, 0x0100);
    bytes_put_be16(&w, 1);
    bytes_put_be32(&w, 0);
    bytes_put_be16(&w, edns ? 1 : 0);
    put_name(&w, name);
    bytes_put_be16(&w, type);
    bytes_put_be16(&w, 1);
    if (edns) {
        bytes_put_u8(&w, 0);
        bytes_put_be16(&w, 41);
        bytes_put_be16(&w, edns);
        bytes_put_be32(&w, 0);
        bytes_put_be16(&w, 12); /* a cookie, which must end at the gateway */
        bytes_put_be16(&w, 10);
        bytes_put_be16(&w, 8);
        bytes_put(&w, "COOKIE!!", 8);
    }
    assert_true(bytes_out_ok(&w));
    m.len_bytes = w.len_bytes;
    return m;
}

/* An answer to what upstream was asked last: @count A records, the last with @ttl_s. */
static struct msg answer_to(unsigned index, uint16_t flags, unsigned count, uint32_t ttl_s)
{
    struct msg m;
    struct bytes_out w = bytes_into(m.bytes, sizeof m.bytes);
    size_t len;
    const uint8_t *q = resolver_sim_question(rig->resolver, index, &len);

    bytes_put(&w, q, len);
    m.bytes[2] = (uint8_t)(0x81 | flags >> 8);
    m.bytes[3] = (uint8_t)(0x80 | flags);
    if (m.bytes[11]) { /* keep the question, drop its OPT */
        w.len_bytes -= DNS_OPT_BYTES;
        m.bytes[11] = 0;
    }
    m.bytes[6] = (uint8_t)(count >> 8);
    m.bytes[7] = (uint8_t)count;
    for (unsigned i = 0; i < count; i++) {
        bytes_put_be16(&w, 0xc00c);
        bytes_put_be16(&w, 1);
        bytes_put_be16(&w, 1);
        bytes_put_be32(&w, i + 1 == count ? ttl_s : 86400);
        bytes_put_be16(&w, 4);
        bytes_put_be32(&w, 0x01020300 + i);
    }
    assert_true(bytes_out_ok(&w));
    m.len_bytes = w.len_bytes;
    return m;
}

/* Adds a SOA to the authority section. */
static void add_soa(struct msg *m, uint32_t ttl_s, uint32_t minimum_s)
{
    struct bytes_out w = { m->bytes, m->len_bytes, sizeof m->bytes, false };

    m->bytes[9] = 1;
    bytes_put_be16(&w, 0xc00c);
    bytes_put_be16(&w, 6);
    bytes_put_be16(&w, 1);
    bytes_put_be32(&w, ttl_s);
    bytes_put_be16(&w, 22);
    bytes_put_be16(&w, 0); /* two root names */
    for (int i = 0; i < 4; i++)
        bytes_put_be32(&w, 7200);
    bytes_put_be32(&w, minimum_s);
    m->len_bytes = w.len_bytes;
}

static void give(unsigned index, const struct msg *m)
{
    resolver_sim_answer(rig->resolver, index, ST_OK, m->bytes, m->len_bytes);
    sim_run(rig->sim);
}

static void input_from(const char *from, const struct msg *m)
{
    struct packet p = rig_packet(rig);
    struct ip_endpoint e = rig_endpoint(from);
    struct udp_header h = { .src_port = e.port, .dst_port = 53 };

    p.ip.src = e.addr;
    dns_input(&rig->s, &p, &h, m->bytes, m->len_bytes);
}

static void input(const struct msg *m)
{
    input_from("192.168.127.2:5555", m);
}

static void ask(const char *name, uint16_t type)
{
    struct msg m = question(0x1234, name, type, 0);

    input(&m);
}

static unsigned rcode(void)
{
    return rig_last(rig)->data[3] & 15;
}

static unsigned answers(void)
{
    return (unsigned)rig_last(rig)->data[6] << 8 | rig_last(rig)->data[7];
}

static bool is_truncated(void)
{
    return rig_last(rig)->data[2] & 2;
}

static void assert_last_bytes(const void *want, size_t n)
{
    const struct rig_datagram *d = rig_last(rig);

    assert_true(d->len_bytes >= n);
    assert_memory_equal(d->data + d->len_bytes - n, want, n);
}

/* ---- own names --------------------------------------------------------------------------- */

static const struct row {
    const char *name;
    uint16_t type;
    unsigned rcode, answers;
    const char *tail; /* last four bytes */
} rows[] = {
    { "gateway.rancher-desktop.internal.", 1, 0, 1, "\xc0\xa8\x7f\x01" },
    { "host.rancher-desktop.internal.", 1, 0, 1, "\xc0\xa8\x7f\xfe" },
    { "host.docker.internal.", 1, 0, 1, "\xc0\xa8\x7f\xfe" },
    { "HOST.Docker.INTERNAL.", 1, 0, 1, "\xc0\xa8\x7f\xfe" },
    { "gateway.docker.internal.", 1, 0, 1, "\xc0\xa8\x7f\x01" },
    { "host.containers.internal.", 1, 0, 1, "\xc0\xa8\x7f\xfe" },
    { "gateway.containers.internal.", 255, 0, 1, "\xc0\xa8\x7f\x01" },
    { "host.docker.internal.", 28, 0, 0, NULL },
    { "host.docker.internal.", 15, 0, 0, NULL },
    { "host.docker.internal.", 65, 0, 0, NULL },
    { "docker.internal.", 1, 0, 0, NULL },
    { "docker.internal.", 6, 0, 0, NULL },
    { "nothing.docker.internal.", 1, 3, 0, NULL },
    { "nothing.docker.internal.", 28, 3, 0, NULL },
    { "x.host.docker.internal.", 1, 3, 0, NULL },
    { "1.127.168.192.in-addr.arpa.", 12, 0, 1, NULL },
    { "254.127.168.192.IN-ADDR.arpa.", 12, 0, 1, NULL },
    { "1.127.168.192.in-addr.arpa.", 1, 0, 0, NULL },
    { "77.127.168.192.in-addr.arpa.", 12, 3, 0, NULL },
    { "host.docker.internal.", 252, 5, 0, NULL },
};

static void own_names_are_answered_here(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ask(rows[i].name, rows[i].type);
        assert_int_equal(rig->sent_count, i + 1);
        if (rcode() != rows[i].rcode || answers() != rows[i].answers)
            fail_msg("%s type %u: rcode %u, %u answers", rows[i].name, rows[i].type, rcode(),
                     answers());
        if (rows[i].tail)
            assert_last_bytes(rows[i].tail, 4);
    }
    assert_int_equal(resolver_sim_asked(rig->resolver), 0);
}

static void an_answer_has_the_letters_that_were_asked(void **state)
{
    ask("hOSt.DockeR.internal.", 1);
    assert_memory_equal(rig_last(rig)->data + 12, "\4hOSt\6DockeR\10internal", 22);
    assert_memory_equal(rig_last(rig)->data, "\x12\x34\x85\x80", 4);
}

static void own_names_have_no_ip6_address_where_the_network_has_ip6(void **state)
{
    ask("host.docker.internal.", 28);
    assert_int_equal(rcode(), 0);
    assert_int_equal(answers(), 0);
    ask("gateway.docker.internal.", 255);
    assert_int_equal(answers(), 1);
}

static void names_that_only_look_like_ours_are_not(void **state)
{
    ask("xdocker.internal.", 1);
    ask("docker.internal.example.", 1);
    ask("1.127.168.192.in-addr.arpa.example.", 12);
    ask("1.0.127.168.192.in-addr.arpa.", 12);
    ask("1.1.168.192.in-addr.arpa.", 12);
    assert_int_equal(rig->sent_count, 0);
    assert_int_equal(resolver_sim_waiting(rig->resolver), 5);
}

static void addresses_of_the_network_have_names_in_both_families(void **state)
{
    static const char one[] = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.6.0.0.2.7.0.0.0.0.d.f."
                              "ip6.arpa.";
    static const char alias[] = "4.5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.6.0.0.2.7.0.0.0.0.D.F."
                                "IP6.ARPA.";
    static const char other[] = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.6.0.0.2.7.0.0.0.0.d.f."
                                "ip6.arpa.";
    static const char beyond[] = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.4.6.0.0.2.7.0.0.0.0.d.f."
                                 "ip6.arpa.";
    static const char no_nibble[] = "g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.6.0.0.2.7.0.0.0.0."
                                    "d.f.ip6.arpa.";

    ask(one, 12);
    assert_int_equal(answers(), 1);
    assert_last_bytes("\x07gateway\x0francher-desktop\x08internal", 34);
    ask(alias, 12);
    assert_int_equal(answers(), 1);
    assert_last_bytes("\x04host\x0francher-desktop\x08internal", 31);
    ask(one, 1);
    assert_int_equal(rcode(), 0);
    assert_int_equal(answers(), 0);
    ask(other, 12);
    assert_int_equal(rcode(), 3);
    assert_int_equal(resolver_sim_waiting(rig->resolver), 0);
    ask(beyond, 12);
    ask(no_nibble, 12);
    ask("1.0.ip6.arpa.", 12);
    assert_int_equal(resolver_sim_waiting(rig->resolver), 3);
}

static void without_ip6_its_reverse_names_are_not_ours(void **state)
{
    ask("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.6.0.0.2.7.0.0.0.0.d.f.ip6.arpa.", 12);
    assert_int_equal(resolver_sim_waiting(rig->resolver), 1);
}

static void a_zone_added_at_run_time_is_answered_at_once(void **state)
{
    static const char zone[] = "{\"Name\":\"test.internal.\",\"Records\":[{\"Name\":\"A\",\"IP\":"
                               "\"192.168.127.9\"}],\"DefaultIP\":\"192.168.127.8\"}";
    static const char newer[] = "{\"name\":\"Test.internal\",\"records\":[{\"name\":\"a\",\"ip\":"
                                "\"192.168.127.10\"},{\"Name\":\"a\",\"IP\":\"fd00::1\"}]}";
    char *json;

    assert_int_equal(switch_dns_zone_add(&rig->s, zone, strlen(zone), NULL), ST_OK);
    ask("a.test.internal.", 1);
    assert_last_bytes("\xc0\xa8\x7f\x09", 4);
    ask("other.test.internal.", 1);
    assert_last_bytes("\xc0\xa8\x7f\x08", 4);
    assert_int_equal(switch_dns_zone_add(&rig->s, newer, strlen(newer), NULL), ST_OK);
    ask("a.test.internal.", 1);
    assert_last_bytes("\xc0\xa8\x7f\x0a", 4);
    ask("a.test.internal.", 28);
    assert_int_equal(answers(), 1);
    ask("other.test.internal.", 1);
    assert_int_equal(rcode(), 3);
    json = switch_dns_zones_json(&rig->s);
    assert_non_null(strstr(json, "{\"Name\":\"test.internal.\",\"Records\":[{\"Name\":\"a\",\"IP\":"
                                 "\"192.168.127.10\"},{\"Name\":\"a\",\"IP\":\"fd00::1\"}],"
                                 "\"DefaultIP\":\"\"}"));
    free(json);
}

static void a_zone_that_cannot_be_is_refused_whole(void **state)
{
    static const struct {
        const char *json;
        enum status want;
    } bad[] = {
        { "", ST_INVAL },
        { "[]", ST_INVAL },
        { "{}", ST_INVAL },
        { "{\"Name\":\".\"}", ST_INVAL },
        { "{\"Name\":\"a..b\"}", ST_INVAL },
        { "{\"Name\":\"z.\",\"Records\":[{\"Name\":\"a\",\"IP\":\"1.2.3\"}]}", ST_INVAL },
        { "{\"Name\":\"z.\",\"Records\":[{\"IP\":\"1.2.3.4\"}]}", ST_INVAL },
        { "{\"Name\":\"z.\",\"DefaultIP\":\"x\"}", ST_INVAL },
        { "{\"Name\":\"z.\",\"Records\":[{\"Regexp\":\"a.*\",\"IP\":\"1.2.3.4\"}]}",
          ST_UNSUPPORTED },
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct errmsg e = { "" };

        assert_int_equal(switch_dns_zone_add(&rig->s, bad[i].json, strlen(bad[i].json), &e),
                         bad[i].want);
        assert_true(e.text[0]);
    }
    ask("a.z.", 1);
    assert_int_equal(resolver_sim_waiting(rig->resolver), 1);
}

/* ---- everything else --------------------------------------------------------------------- */

static void other_names_pass_unchanged_under_another_id(void **state)
{
    struct msg q = question(0x1234, "wWw.Example.", 1, 4096), m;
    size_t len;
    const uint8_t *up;

    input(&q);
    assert_int_equal(rig->sent_count, 0);
    up = resolver_sim_question(rig->resolver, 0, &len);
    assert_memory_equal(up + 12, "\3wWw\7Example", 13);
    assert_int_equal(len, q.len_bytes - 12); /* no cookie */
    m = answer_to(0, 0, 2, 60);
    give(0, &m);
    assert_int_equal(rig->sent_count, 1);
    assert_memory_equal(rig_last(rig)->data, "\x12\x34", 2);
    assert_memory_equal(rig_last(rig)->data + 2, m.bytes + 2, m.len_bytes - 2);
    assert_true(rig->flushes > 0);
}

static void codes_and_failures_are_told(void **state)
{
    static const unsigned codes[] = { 2, 3, 5 };
    struct msg m;

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        ask("a.example.", 1);
        m = answer_to(0, (uint16_t)codes[i], 0, 0);
        give(0, &m);
        assert_int_equal(rcode(), codes[i]);
    }
    ask("a.example.", 1);
    resolver_sim_answer(rig->resolver, 0, ST_UNREACHABLE, NULL, 0);
    sim_run(rig->sim);
    assert_int_equal(rcode(), 2);
    resolver_sim_set_ask_fails(rig->resolver, ST_FULL);
    ask("a.example.", 1);
    assert_int_equal(rcode(), 2);
    assert_int_equal(rig->sent_count, 5);
}

/* Upstream says that @name is at 192.168.1.1. */
static void answer_privately(const char *name)
{
    struct msg m;

    ask(name, 1);
    m = answer_to(0, 0, 2, 60);
    memcpy(m.bytes + m.len_bytes - 4, "\xc0\xa8\1\1", 4);
    give(0, &m);
}

static void a_public_name_with_a_private_address_is_told_and_passed_on(void **state)
{
    answer_privately("a.example.");
    assert_int_equal(answers(), 2);
    assert_int_equal(rig->s.count.dns_rebinds, 1);
    rig->s.config.dns_rebind = SWITCH_DNS_REBIND_OFF;
    answer_privately("b.example.");
    assert_int_equal(answers(), 2);
    assert_int_equal(rig->s.count.dns_rebinds, 1);
}

static void by_policy_a_public_name_has_no_private_address(void **state)
{
    rig->s.config.dns_rebind = SWITCH_DNS_REBIND_DENY;
    strcpy(rig->s.config.search_domains, "corp.example");
    for (unsigned i = 1; i <= 2; i++) { /* nor is it remembered */
        answer_privately("a.example.");
        assert_int_equal(rcode(), 0);
        assert_int_equal(answers(), 0);
        assert_int_equal(rig->s.count.dns_rebinds, i);
    }
    answer_privately("intra.corp.example.");
    assert_int_equal(answers(), 2);
    answer_privately("printer.lan.");
    assert_int_equal(answers(), 2);
    assert_int_equal(rig->s.count.dns_rebinds, 2);
}

static void silence_from_upstream_is_servfail_before_a_stub_gives_up(void **state)
{
    ask("a.example.", 1);
    sim_advance_ms(rig->sim, DNS_ASK_MS - 1);
    assert_int_equal(rig->sent_count, 0);
    sim_advance_ms(rig->sim, 1);
    assert_int_equal(rig->sent_count, 1);
    assert_int_equal(rcode(), 2);
    assert_int_equal(resolver_sim_waiting(rig->resolver), 0);
}

static void an_answer_to_something_else_is_servfail(void **state)
{
    struct msg m;

    for (size_t at = 0; at < 22; at++) { /* id, QR, count, name, type and class in turn */
        if (at == 3 || (at >= 6 && at < 12))
            continue;
        ask("b.example.", 1);
        m = answer_to(0, 0, 1, 60);
        m.bytes[at] ^= at == 2 ? 0x80 : 1;
        give(0, &m);
        assert_int_equal(rcode(), 2);
    }
    ask("b.example.", 1);
    m = answer_to(0, 0, 1, 60);
    m.len_bytes--; /* the last record is cut */
    give(0, &m);
    assert_int_equal(rcode(), 2);
}

static void the_same_question_goes_upstream_once(void **state)
{
    struct msg a = question(1, "a.example.", 1, 0), b = question(2, "A.example.", 1, 0), m;

    input(&a);
    input(&a); /* retransmitted */
    input_from("192.168.127.3:99", &b);
    assert_int_equal(resolver_sim_asked(rig->resolver), 1);
    m = answer_to(0, 0, 1, 0);
    give(0, &m);
    assert_int_equal(rig->sent_count, 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct msg *q = rig->sent[i].to.port == 99 ? &b : &a;

        assert_memory_equal(rig->sent[i].data, q->bytes, 2);
        assert_memory_equal(rig->sent[i].data + 12, q->bytes + 12, 11);
    }
    input(&a); /* TTL 0 is not kept */
    assert_int_equal(resolver_sim_asked(rig->resolver), 2);
}

static void a_kept_answer_ages_and_ends(void **state)
{
    struct msg m;

    ask("a.example.", 1);
    m = answer_to(0, 0, 2, 60);
    give(0, &m);
    sim_advance_ms(rig->sim, 10500);
    ask("A.example.", 1);
    assert_int_equal(rig->sent_count, 2);
    assert_last_bytes("\0\0\0\x32\0\4\1\2\3\1", 10);
    assert_memory_equal(rig_last(rig)->data + 13, "A", 1);
    ask("a.example.", 28); /* another question */
    assert_int_equal(resolver_sim_asked(rig->resolver), 2);
    sim_advance_ms(rig->sim, 49500);
    ask("a.example.", 1);
    assert_int_equal(resolver_sim_asked(rig->resolver), 3);
}

static void absence_is_kept_as_long_as_its_soa_says(void **state)
{
    struct msg m;

    ask("none.example.", 1);
    m = answer_to(0, 3, 0, 0);
    add_soa(&m, 3600, 30);
    give(0, &m);
    sim_advance_ms(rig->sim, 29000);
    ask("none.example.", 1);
    assert_int_equal(rcode(), 3);
    assert_int_equal(resolver_sim_asked(rig->resolver), 1);
    sim_advance_ms(rig->sim, 1000);
    ask("none.example.", 1);
    assert_int_equal(resolver_sim_asked(rig->resolver), 2);
}

static void dns_reply_over_limit_truncated(void **state)
{
    static const struct {
        uint16_t edns;
        unsigned records;
        bool is_truncated;
    } sizes[] = { { 0, 29, false }, /* 29 bytes of head and question, 16 a record */
                  { 0, 31, true },      { 600, 31, false }, { 600, 36, true },
                  { 65535, 75, false }, { 65535, 76, true } };

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        char name[] = "a.example0.";
        struct msg q, m;

        name[9] = (char)('0' + i);
        q = question(7, name, 1, sizes[i].edns);
        input(&q);
        m = answer_to(0, 0, sizes[i].records, 60);
        give(0, &m);
        assert_int_equal(is_truncated(), sizes[i].is_truncated);
        assert_true(rig_last(rig)->len_bytes <= DNS_UDP_MAX);
        assert_int_equal(answers(), sizes[i].is_truncated ? 0 : sizes[i].records);
    }
}

static void questions_over_the_limits_fail_at_once(void **state)
{
    char name[] = "aa.example.";

    for (unsigned i = 0; i < 65; i++) {
        name[0] = (char)('a' + i / 26);
        name[1] = (char)('a' + i % 26);
        ask(name, 1);
    }
    assert_int_equal(resolver_sim_waiting(rig->resolver), 64);
    assert_int_equal(rig->sent_count, 1);
    assert_int_equal(rcode(), 2);
    assert_int_equal(rig->s.count.dns_limit_hits, 1);
}

static void one_client_asks_upstream_at_most_at_its_rate(void **state)
{
    char name[] = "aaa.example.";
    struct msg m;
    unsigned failed = 0;

    for (unsigned i = 0; i < 250; i++) {
        name[0] = (char)('a' + i / 26);
        name[1] = (char)('a' + i % 26);
        ask(name, 1);
        if (!resolver_sim_waiting(rig->resolver)) {
            failed++;
            continue;
        }
        m = answer_to(0, 0, 1, 0);
        give(0, &m);
    }
    assert_int_equal(failed, 50);
    m = question(1, "other.example.", 1, 0);
    input_from("192.168.127.3:99", &m); /* another client */
    assert_int_equal(resolver_sim_waiting(rig->resolver), 1);
    sim_advance_ms(rig->sim, 5); /* one token */
    ask("b.example.", 1);
    assert_int_equal(resolver_sim_waiting(rig->resolver), 2);
    ask("c.example.", 1);
    assert_int_equal(resolver_sim_waiting(rig->resolver), 2);
}

static void rate_and_clients_are_as_configured(void **state)
{
    struct msg m;

    rig->s.config.limits.dns_rate = 1;
    rig->s.config.limits.dns_clients = 1;
    ask("a.example.", 1);
    ask("b.example.", 1);
    assert_int_equal(resolver_sim_waiting(rig->resolver), 1);
    assert_int_equal(rig->s.count.dns_limit_hits, 1);
    assert_int_equal(rig->s.count.dns_client_limit_hits, 0);
    m = question(1, "c.example.", 1, 0);
    input_from("192.168.127.3:99", &m); /* takes the place of the first */
    assert_int_equal(resolver_sim_waiting(rig->resolver), 2);
    assert_int_equal(rig->s.count.dns_client_limit_hits, 1);
}

static void tcp_clients_and_zones_are_as_configured(void **state)
{
    static const char zone[] = "{\"Name\":\"one.internal.\",\"Records\":[]}";
    static const char more[] = "{\"Name\":\"two.internal.\",\"Records\":[]}";

    rig->s.config.limits.dns_connections = 1;
    rig->s.config.limits.dns_zones = 4; /* three are our own */
    dns_free(&rig->s);
    rig->service_count = 0;
    assert_int_equal(dns_new(&rig->s), ST_OK);
    assert_false(sim_peer_is_closed(rig_connect(rig, 53)));
    assert_true(sim_peer_is_closed(rig_connect(rig, 53)));
    assert_int_equal(rig->s.count.dns_limit_hits, 1);
    assert_int_equal(switch_dns_zone_add(&rig->s, zone, strlen(zone), NULL), ST_OK);
    assert_int_equal(switch_dns_zone_add(&rig->s, more, strlen(more), NULL), ST_FULL);
    assert_int_equal(rig->s.count.dns_zone_limit_hits, 1);
}

static void without_a_resolver_other_names_fail(void **state)
{
    rig->s.env.resolver = NULL;
    ask("a.example.", 1);
    assert_int_equal(rcode(), 2);
}

/* ---- questions that are none ------------------------------------------------------------- */

static void what_is_no_question_is_refused_or_ignored(void **state)
{
    struct msg m = question(9, "host.docker.internal.", 1, 1232);

    for (size_t n = 0; n < m.len_bytes; n++) {
        struct msg cut = m;
        unsigned before = rig->sent_count;

        cut.len_bytes = n;
        input(&cut);
        assert_int_equal(rig->sent_count - before, n < 12 ? 0 : 1);
        if (n >= 12)
            assert_int_equal(rcode(), 1);
    }
    m.bytes[2] |= 0x80; /* a response */
    rig->sent_count = 0;
    input(&m);
    assert_int_equal(rig->sent_count, 0);
    m.bytes[2] = 0x28; /* UPDATE */
    input(&m);
    assert_int_equal(rcode(), 4);
    m.bytes[2] = 1;
    m.bytes[5] = 2; /* two questions */
    input(&m);
    assert_int_equal(rcode(), 1);
    m.bytes[5] = 1;
    m.bytes[12] = 0xc0; /* a pointer */
    input(&m);
    assert_int_equal(rcode(), 1);
    m = question(9, "host.docker.internal.", 1, 1232);
    m.bytes[12 + 22 + 4 + 6] = 1; /* EDNS version 1 */
    input(&m);
    assert_int_equal(rcode(), 0);
    assert_int_equal(rig_last(rig)->data[rig_last(rig)->len_bytes - 6], 1); /* BADVERS */
    m = question(9, "version.bind.", 16, 0);
    m.bytes[m.len_bytes - 1] = 3; /* CHAOS */
    input(&m);
    assert_int_equal(rcode(), 5);
}

/* ---- TCP --------------------------------------------------------------------------------- */

static void send_framed(struct sim_peer *p, const struct msg *m)
{
    uint8_t length[2] = { (uint8_t)(m->len_bytes >> 8), (uint8_t)m->len_bytes };

    sim_peer_send(p, length, 2);
    sim_peer_send(p, m->bytes, m->len_bytes);
}

static void questions_by_tcp_in_any_pieces_are_answered(void **state)
{
    for (size_t piece = 1; piece < 8; piece++) {
        struct sim_peer *p = rig_connect(rig, 53);
        struct msg q = question(3, "host.docker.internal.", 1, 0);
        const uint8_t *data;
        size_t len;

        sim_peer_set_piece(p, piece);
        send_framed(p, &q);
        send_framed(p, &q);
        sim_run(rig->sim);
        data = sim_peer_data(p, &len);
        assert_int_equal(len, 2 * (2 + q.len_bytes + 16));
        assert_int_equal(data[1], q.len_bytes + 16);
        assert_memory_equal(data + len - 4, "\xc0\xa8\x7f\xfe", 4);
        sim_peer_end(p);
        sim_run(rig->sim);
        assert_true(sim_peer_is_closed(p));
    }
}

static void a_large_answer_comes_whole_by_tcp_after_the_client_ended(void **state)
{
    struct sim_peer *p = rig_connect(rig, 53);
    struct msg q = question(3, "a.example.", 1, 0), m;
    size_t len;

    send_framed(p, &q);
    sim_peer_end(p);
    sim_run(rig->sim);
    assert_false(sim_peer_is_closed(p));
    m = answer_to(0, 0, 200, 60);
    give(0, &m);
    sim_peer_data(p, &len);
    assert_int_equal(len, 2 + m.len_bytes);
    assert_true(sim_peer_is_closed(p));
}

static void a_connection_that_goes_takes_its_questions_along(void **state)
{
    struct sim_peer *p = rig_connect(rig, 53);
    struct msg q = question(3, "a.example.", 1, 0), m;

    send_framed(p, &q);
    sim_run(rig->sim);
    ask("a.example.", 1); /* somebody else wants it too */
    sim_peer_reset(p, ST_RESET);
    sim_run(rig->sim);
    m = answer_to(0, 0, 1, 60);
    give(0, &m);
    assert_int_equal(rig->sent_count, 1);
}

static void a_connection_has_few_questions_under_way(void **state)
{
    struct sim_peer *p = rig_connect(rig, 53);
    char name[] = "a.example.";
    size_t len;

    for (unsigned i = 0; i < 10; i++) {
        struct msg q;

        name[0] = (char)('a' + i);
        q = question((uint16_t)i, name, 1, 0);
        send_framed(p, &q);
    }
    sim_run(rig->sim);
    assert_int_equal(resolver_sim_waiting(rig->resolver), DNS_CONN_QUESTIONS);
    sim_peer_data(p, &len);
    assert_int_equal(len, 2 * (2 + 27)); /* two SERVFAIL */
}

static void bad_idle_and_too_many_connections_end(void **state)
{
    enum { CONNS = 32 };
    struct sim_peer *peers[CONNS], *p = rig_connect(rig, 53);

    sim_peer_send(p, "\0\1x", 3);
    sim_run(rig->sim);
    assert_true(sim_peer_is_closed(p));
    p = rig_connect(rig, 53);
    sim_peer_send(p, "\x10\0", 2);
    sim_run(rig->sim);
    assert_true(sim_peer_is_closed(p));
    for (unsigned i = 0; i < CONNS; i++)
        peers[i] = rig_connect(rig, 53);
    p = rig_connect(rig, 53);
    assert_true(sim_peer_is_closed(p));
    sim_advance_ms(rig->sim, DNS_CONN_IDLE_MS);
    for (unsigned i = 0; i < CONNS; i++)
        assert_true(sim_peer_is_closed(peers[i]));
}

static void a_client_that_does_not_read_is_dropped(void **state)
{
    struct sim_peer *p = rig_connect(rig, 53);
    struct msg q = question(3, "host.docker.internal.", 1, 0);

    sim_peer_set_room(p, 0);
    for (unsigned i = 0; i < 6000; i++)
        send_framed(p, &q);
    sim_run(rig->sim);
    assert_true(sim_peer_is_closed(p));
}

static void a_client_that_ended_and_reads_slowly_gets_all(void **state)
{
    struct sim_peer *p = rig_connect(rig, 53);
    struct msg q = question(3, "a.example.", 1, 0), m;
    size_t len;

    sim_peer_set_room(p, 10);
    send_framed(p, &q);
    sim_peer_end(p);
    sim_run(rig->sim);
    m = answer_to(0, 0, 200, 60);
    give(0, &m);
    assert_false(sim_peer_is_closed(p));
    sim_peer_set_room(p, SIZE_MAX);
    sim_run(rig->sim);
    sim_peer_data(p, &len);
    assert_int_equal(len, 2 + m.len_bytes);
    assert_true(sim_peer_is_closed(p));
}

static void an_answer_begins_the_idle_time_anew(void **state)
{
    struct sim_peer *p = rig_connect(rig, 53);
    struct msg q = question(3, "a.example.", 1, 0), m;

    send_framed(p, &q);
    sim_run(rig->sim);
    sim_advance_ms(rig->sim, DNS_ASK_MS - 1);
    m = answer_to(0, 0, 1, 60);
    give(0, &m);
    sim_advance_ms(rig->sim, DNS_CONN_IDLE_MS - 1);
    assert_false(sim_peer_is_closed(p));
    sim_advance_ms(rig->sim, 1);
    assert_true(sim_peer_is_closed(p));
}

/* ---- the end ----------------------------------------------------------------------------- */

static void it_can_go_with_questions_under_way(void **state)
{
    struct sim_peer *p = rig_connect(rig, 53);
    struct msg q = question(3, "a.example.", 1, 0);

    send_framed(p, &q);
    sim_run(rig->sim);
    ask("b.example.", 1);
    dns_free(&rig->s);
    assert_int_equal(resolver_sim_waiting(rig->resolver), 0);
    assert_true(sim_peer_is_closed(p));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(own_names_are_answered_here),
        T(an_answer_has_the_letters_that_were_asked),
        cmocka_unit_test_setup_teardown(own_names_have_no_ip6_address_where_the_network_has_ip6,
                                        setup_ip6, teardown),
        T(names_that_only_look_like_ours_are_not),
        cmocka_unit_test_setup_teardown(addresses_of_the_network_have_names_in_both_families,
                                        setup_ip6, teardown),
        T(without_ip6_its_reverse_names_are_not_ours),
        T(a_zone_added_at_run_time_is_answered_at_once),
        T(a_zone_that_cannot_be_is_refused_whole),
        T(other_names_pass_unchanged_under_another_id),
        T(codes_and_failures_are_told),
        T(a_public_name_with_a_private_address_is_told_and_passed_on),
        T(by_policy_a_public_name_has_no_private_address),
        T(silence_from_upstream_is_servfail_before_a_stub_gives_up),
        T(an_answer_to_something_else_is_servfail),
        T(the_same_question_goes_upstream_once),
        T(a_kept_answer_ages_and_ends),
        T(absence_is_kept_as_long_as_its_soa_says),
        T(dns_reply_over_limit_truncated),
        T(questions_over_the_limits_fail_at_once),
        T(one_client_asks_upstream_at_most_at_its_rate),
        T(rate_and_clients_are_as_configured),
        T(tcp_clients_and_zones_are_as_configured),
        T(without_a_resolver_other_names_fail),
        T(what_is_no_question_is_refused_or_ignored),
        T(questions_by_tcp_in_any_pieces_are_answered),
        T(a_large_answer_comes_whole_by_tcp_after_the_client_ended),
        T(a_connection_that_goes_takes_its_questions_along),
        T(a_connection_has_few_questions_under_way),
        T(bad_idle_and_too_many_connections_end),
        T(a_client_that_does_not_read_is_dropped),
        T(a_client_that_ended_and_reads_slowly_gets_all),
        T(an_answer_begins_the_idle_time_anew),
        T(it_can_go_with_questions_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
