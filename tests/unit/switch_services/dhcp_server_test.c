/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"
#include "support/services_rig.h"

#include "switch/dhcp_leases.h"
#include "wire/dhcp.h"

#include <string.h>

static const struct mac guest = { { 0x5a, 0x94, 0xef, 0xe4, 0x0c, 0xee } };
static const struct mac other = { { 2, 0, 0, 0, 0, 7 } };
static const struct mac third = { { 2, 0, 0, 0, 0, 8 } };

static struct rig *rig;

static int setup(void **state)
{
    rig = rig_new(false);
    return dhcp_new(&rig->s) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
    rig_free(rig);
    return 0;
}

/* What the tests vary of a client's message. */
struct ask {
    uint8_t type;
    const struct mac *mac;
    const char *ciaddr, *giaddr, *requested, *server;
    bool broadcast;
};

static uint32_t v4(const char *text)
{
    struct ip_addr a;

    if (!text)
        return 0;
    assert_int_equal(ip_addr_parse(&a, text), ST_OK);
    return ip_addr_to_v4(&a);
}

static size_t compose(const struct ask *a, uint8_t buf[static 512])
{
    static const uint8_t zeros[192];
    struct bytes_out w = bytes_into(buf, 512);

    bytes_put(&w, (const uint8_t[]){ 1, 1, 6, 0 }, 4);
    bytes_put_be32(&w, 0xcafe0001);
    bytes_put_be16(&w, 0);
    bytes_put_be16(&w, a->broadcast ? 0x8000 : 0);
    bytes_put_be32(&w, v4(a->ciaddr));
    bytes_put(&w, zeros, 8);
    bytes_put_be32(&w, v4(a->giaddr));
    bytes_put(&w, a->mac->b, 6);
    bytes_put(&w, zeros, 10);
    bytes_put(&w, zeros, 192);
    bytes_put_be32(&w, 0x63825363);
    bytes_put(&w, (const uint8_t[]){ 53, 1, a->type }, 3);
    if (a->requested) {
        bytes_put(&w, (const uint8_t[]){ 50, 4 }, 2);
        bytes_put_be32(&w, v4(a->requested));
    }
    if (a->server) {
        bytes_put(&w, (const uint8_t[]){ 54, 4 }, 2);
        bytes_put_be32(&w, v4(a->server));
    }
    bytes_put_u8(&w, 255);
    assert_true(bytes_out_ok(&w));
    return w.len_bytes;
}

static void input(const uint8_t *msg, size_t len_bytes)
{
    struct packet p = rig_packet(rig);
    struct udp_header h = { .src_port = 68, .dst_port = 67 };

    dhcp_input(&rig->s, &p, &h, msg, len_bytes);
}

/* The type of the answer, 0 = none. */
static int ask(struct ask a)
{
    uint8_t msg[512];
    unsigned before = rig->sent_count;

    input(msg, compose(&a, msg));
    if (rig->sent_count == before)
        return 0;
    assert_int_equal(rig->sent_count, before + 1);
    assert_int_equal(rig_last(rig)->data[240], 53);
    return rig_last(rig)->data[242];
}

static void assert_yiaddr(const char *text)
{
    struct bytes r = bytes_of(rig_last(rig)->data + 16, 4);

    assert_int_equal(bytes_be32(&r), v4(text));
}

static void assert_sent_to(const char *endpoint)
{
    char text[IP_ENDPOINT_TEXT_MAX];

    assert_string_equal(ip_endpoint_format(&rig_last(rig)->to, text), endpoint);
}

/* The data of option @code of the last answer; NULL: it has none. */
static const uint8_t *option(uint8_t code, uint8_t *len)
{
    const struct rig_datagram *d = rig_last(rig);

    for (size_t at = 240; at + 1 < d->len_bytes && d->data[at] != 255; at += 2u + d->data[at + 1]) {
        if (d->data[at] == code) {
            *len = d->data[at + 1];
            return d->data + at + 2;
        }
    }
    return NULL;
}

static void assert_option(uint8_t code, const void *want, size_t len_bytes)
{
    uint8_t len = 0;
    const uint8_t *data = option(code, &len);

    assert_non_null(data);
    assert_int_equal(len, len_bytes);
    assert_memory_equal(data, want, len_bytes);
}

static void the_guest_gets_its_static_address_and_the_network(void **state)
{
    uint8_t len;

    assert_int_equal(ask((struct ask){ .type = DHCP_DISCOVER, .mac = &guest }), DHCP_OFFER);
    assert_yiaddr("192.168.127.2");
    assert_false(dhcp_guest_has_address(&rig->s));
    assert_int_equal(ask((struct ask){ .type = DHCP_REQUEST,
                                       .mac = &guest,
                                       .requested = "192.168.127.2",
                                       .server = "192.168.127.1" }),
                     DHCP_ACK);
    assert_true(dhcp_guest_has_address(&rig->s));
    assert_sent_to("192.168.127.2:68");
    assert_true(mac_equal(&rig->learned_mac, &guest));
    assert_option(54, "\xc0\xa8\x7f\x01", 4);
    assert_option(51, "\0\0\x0e\x10", 4);
    assert_option(1, "\xff\xff\xff\0", 4);
    assert_option(3, "\xc0\xa8\x7f\x01", 4);
    assert_option(6, "\xc0\xa8\x7f\x01", 4);
    assert_option(26, "\x05\xdc", 2);
    assert_null(option(15, &len));
    assert_null(option(119, &len));
    assert_true(rig_last(rig)->len_bytes >= DHCP_MIN_BYTES);
}

static void search_domains_come_as_domain_and_search_list(void **state)
{
    dhcp_free(&rig->s);
    strcpy(rig->s.config.search_domains, "corp.example, b.test.");
    assert_int_equal(dhcp_new(&rig->s), ST_OK);
    assert_int_equal(ask((struct ask){ .type = DHCP_DISCOVER, .mac = &guest }), DHCP_OFFER);
    assert_option(15, "corp.example", 12);
    assert_option(119, "\4corp\7example\0\1b\4test\0", 22);
}

static void the_pool_leaves_out_what_is_reserved(void **state)
{
    struct mac mac = other;

    for (unsigned i = 0; i < 251; i++) { /* 254 less gateway, guest, host */
        uint32_t ip;

        mac.b[4] = (uint8_t)(i >> 8);
        mac.b[5] = (uint8_t)i;
        assert_int_equal(ask((struct ask){ .type = DHCP_DISCOVER, .mac = &mac }), DHCP_OFFER);
        ip = (uint32_t)rig_last(rig)->data[19];
        assert_int_not_equal(ip, 0);
        assert_int_not_equal(ip, 1);
        assert_int_not_equal(ip, 2);
        assert_int_not_equal(ip, 254);
        assert_int_not_equal(ip, 255);
        assert_int_equal(ask((struct ask){ .type = DHCP_REQUEST,
                                           .mac = &mac,
                                           .ciaddr = NULL,
                                           .requested = NULL,
                                           .server = "192.168.127.9" }),
                         0); /* takes another server's: the address is free again */
    }
}

static void a_full_pool_answers_nobody_new_and_forgets_offers_first(void **state)
{
    struct dhcp_leases t;
    struct mac mac = other;
    uint32_t ip, again;

    dhcp_leases_init(&t, &rig->s.config);
    for (unsigned i = 0; i < 251; i++) {
        mac.b[5] = (uint8_t)i;
        assert_int_equal(dhcp_leases_offer(&t, &mac, 0, 1000 + i, &ip), ST_OK);
        if (i > 0)
            assert_true(dhcp_leases_bind(&t, &mac, ip, 1000 + i));
    }
    mac.b[4] =
        1; /* the one unbound address is reused, with the offer of a client that never came */
    assert_int_equal(dhcp_leases_offer(&t, &mac, 0, 2000, &ip), ST_OK);
    assert_true(dhcp_leases_bind(&t, &mac, ip, 2000));
    mac.b[4] = 2;
    assert_int_equal(dhcp_leases_offer(&t, &mac, 0, 3000, &again), ST_FULL);
    /* Leases end, and then there is room again. */
    assert_int_equal(dhcp_leases_offer(&t, &mac, 0, 3000 + DHCP_LEASE_S * 1000ull, &again), ST_OK);
}

static void as_many_leases_as_configured(void **state)
{
    struct dhcp_leases t;
    uint32_t ip;

    rig->s.config.limits.dhcp_leases = 2; /* the guest's own is one */
    dhcp_leases_init(&t, &rig->s.config);
    assert_int_equal(dhcp_leases_offer(&t, &other, 0, 1000, &ip), ST_OK);
    assert_true(dhcp_leases_bind(&t, &other, ip, 1000));
    assert_int_equal(dhcp_leases_offer(&t, &third, 0, 1000, &ip), ST_FULL);
    assert_int_equal(dhcp_leases_offer(&t, &guest, 0, 1000, &ip), ST_OK);
}

static const struct row {
    const char *name;
    struct ask ask; /* by a client that has 192.168.127.3 */
    int want;
    const char *to;
} rows[] = {
    { "selecting",
      { .type = DHCP_REQUEST,
        .mac = &other,
        .requested = "192.168.127.3",
        .server = "192.168.127.1" },
      DHCP_ACK,
      "192.168.127.3:68" },
    { "selecting, broadcast",
      { .type = DHCP_REQUEST,
        .mac = &other,
        .requested = "192.168.127.3",
        .server = "192.168.127.1",
        .broadcast = true },
      DHCP_ACK,
      "255.255.255.255:68" },
    { "selecting another address",
      { .type = DHCP_REQUEST,
        .mac = &other,
        .requested = "192.168.127.9",
        .server = "192.168.127.1" },
      DHCP_NAK,
      "255.255.255.255:68" },
    { "another server",
      { .type = DHCP_REQUEST, .mac = &other, .requested = "192.168.127.3", .server = "10.0.0.1" },
      0,
      NULL },
    { "init-reboot",
      { .type = DHCP_REQUEST, .mac = &other, .requested = "192.168.127.3" },
      DHCP_ACK,
      "192.168.127.3:68" },
    { "init-reboot from another network",
      { .type = DHCP_REQUEST, .mac = &other, .requested = "10.1.2.3" },
      DHCP_NAK,
      "255.255.255.255:68" },
    { "init-reboot with the guest's",
      { .type = DHCP_REQUEST, .mac = &other, .requested = "192.168.127.2" },
      DHCP_NAK,
      "255.255.255.255:68" },
    { "init-reboot with the gateway's",
      { .type = DHCP_REQUEST, .mac = &third, .requested = "192.168.127.1" },
      DHCP_NAK,
      "255.255.255.255:68" },
    { "init-reboot with a free address, unknown client",
      { .type = DHCP_REQUEST, .mac = &third, .requested = "192.168.127.77" },
      DHCP_ACK,
      "192.168.127.77:68" },
    { "renewing",
      { .type = DHCP_REQUEST, .mac = &other, .ciaddr = "192.168.127.3" },
      DHCP_ACK,
      "192.168.127.3:68" },
    { "renewing a foreign address",
      { .type = DHCP_REQUEST, .mac = &other, .ciaddr = "8.8.8.8" },
      DHCP_NAK,
      "255.255.255.255:68" },
    { "renewing another's",
      { .type = DHCP_REQUEST, .mac = &third, .ciaddr = "192.168.127.3" },
      DHCP_NAK,
      "255.255.255.255:68" },
    { "through a relay",
      { .type = DHCP_REQUEST,
        .mac = &other,
        .requested = "192.168.127.3",
        .giaddr = "192.168.127.40" },
      DHCP_ACK,
      "192.168.127.40:67" },
    { "a relay outside", { .type = DHCP_DISCOVER, .mac = &other, .giaddr = "8.8.8.8" }, 0, NULL },
    { "request for nothing",
      { .type = DHCP_REQUEST, .mac = &other },
      DHCP_NAK,
      "255.255.255.255:68" },
    { "inform",
      { .type = DHCP_INFORM, .mac = &third, .ciaddr = "192.168.127.50" },
      DHCP_ACK,
      "192.168.127.50:68" },
    { "inform from outside", { .type = DHCP_INFORM, .mac = &third, .ciaddr = "8.8.8.8" }, 0, NULL },
    { "a server's message", { .type = DHCP_ACK, .mac = &other }, 0, NULL },
};

static void each_state_of_a_client_gets_its_answer(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int got;

        dhcp_free(&rig->s);
        assert_int_equal(dhcp_new(&rig->s), ST_OK);
        assert_int_equal(ask((struct ask){ .type = DHCP_DISCOVER, .mac = &other }), DHCP_OFFER);
        assert_yiaddr("192.168.127.3");
        got = ask(rows[i].ask);
        if (got != rows[i].want)
            fail_msg("%s: answered %d, not %d", rows[i].name, got, rows[i].want);
        if (rows[i].to)
            assert_sent_to(rows[i].to);
    }
}

static void inform_carries_no_address_and_no_lease(void **state)
{
    uint8_t len;

    ask((struct ask){ .type = DHCP_INFORM, .mac = &third, .ciaddr = "192.168.127.50" });
    assert_yiaddr("0.0.0.0");
    assert_null(option(51, &len));
    assert_option(3, "\xc0\xa8\x7f\x01", 4);
}

static void a_lease_ends_and_is_remembered(void **state)
{
    ask((struct ask){ .type = DHCP_REQUEST, .mac = &other, .requested = "192.168.127.30" });
    sim_advance_ms(rig->sim, DHCP_LEASE_S * 1000ull + 1);
    ask((struct ask){ .type = DHCP_DISCOVER, .mac = &third });
    assert_yiaddr("192.168.127.3"); /* an unused one, not the one that ended */
    ask((struct ask){ .type = DHCP_DISCOVER, .mac = &other });
    assert_yiaddr("192.168.127.30");
}

static void release_frees_only_the_clients_own(void **state)
{
    ask((struct ask){ .type = DHCP_REQUEST, .mac = &guest, .requested = "192.168.127.2" });
    ask((struct ask){ .type = DHCP_RELEASE, .mac = &other, .ciaddr = "192.168.127.2" });
    assert_true(dhcp_guest_has_address(&rig->s));
    ask((struct ask){ .type = DHCP_RELEASE, .mac = &guest, .ciaddr = "192.168.127.2" });
    assert_false(dhcp_guest_has_address(&rig->s));
}

static void a_declined_address_is_set_aside_for_a_time(void **state)
{
    ask((struct ask){ .type = DHCP_DISCOVER, .mac = &other });
    assert_yiaddr("192.168.127.3");
    ask((struct ask){ .type = DHCP_DECLINE, .mac = &other, .requested = "192.168.127.3" });
    ask((struct ask){ .type = DHCP_DISCOVER, .mac = &other });
    assert_yiaddr("192.168.127.4");
    assert_int_equal(ask((struct ask){
                         .type = DHCP_REQUEST, .mac = &third, .requested = "192.168.127.3" }),
                     DHCP_NAK);
    sim_advance_ms(rig->sim, DHCP_DECLINED_MS);
    assert_int_equal(ask((struct ask){
                         .type = DHCP_REQUEST, .mac = &third, .requested = "192.168.127.3" }),
                     DHCP_ACK);
}

static void nobody_declines_the_guests_address(void **state)
{
    ask((struct ask){ .type = DHCP_REQUEST, .mac = &guest, .requested = "192.168.127.2" });
    ask((struct ask){ .type = DHCP_DECLINE, .mac = &guest, .requested = "192.168.127.2" });
    ask((struct ask){ .type = DHCP_DECLINE, .mac = &other, .requested = "192.168.127.2" });
    assert_int_equal(ask((struct ask){ .type = DHCP_DISCOVER, .mac = &guest }), DHCP_OFFER);
    assert_yiaddr("192.168.127.2");
}

static void count_lease(void *ctx, const struct switch_lease *l)
{
    ++*(unsigned *)ctx;
}

static void leases_in_force_are_listed(void **state)
{
    unsigned count = 0;

    ask((struct ask){ .type = DHCP_REQUEST, .mac = &guest, .requested = "192.168.127.2" });
    ask((struct ask){ .type = DHCP_DISCOVER, .mac = &other });
    switch_lease_each(&rig->s, count_lease, &count);
    assert_int_equal(count, 1);
}

/* CVE-2021-3592: every length below the options, and options cut anywhere, is safe and silent. */
static void dhcp_shorter_than_bootp(void **state)
{
    uint8_t msg[512];
    size_t len =
        compose(&(struct ask){ .type = DHCP_DISCOVER, .mac = &other, .requested = "192.168.127.3" },
                msg);

    for (size_t n = 0; n < 243; n++) {
        uint8_t exact[512];

        memcpy(exact + sizeof exact - n, msg, n); /* the sanitizer sees a read beyond */
        input(exact + sizeof exact - n, n);
        assert_int_equal(rig->sent_count, 0);
    }
    msg[241] = 200; /* an option that runs past the end */
    input(msg, len);
    assert_int_equal(rig->sent_count, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_guest_gets_its_static_address_and_the_network),
        T(search_domains_come_as_domain_and_search_list),
        T(the_pool_leaves_out_what_is_reserved),
        T(a_full_pool_answers_nobody_new_and_forgets_offers_first),
        T(as_many_leases_as_configured),
        T(each_state_of_a_client_gets_its_answer),
        T(inform_carries_no_address_and_no_lease),
        T(a_lease_ends_and_is_remembered),
        T(release_frees_only_the_clients_own),
        T(a_declined_address_is_set_aside_for_a_time),
        T(nobody_declines_the_guests_address),
        T(leases_in_force_are_listed),
        T(dhcp_shorter_than_bootp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
