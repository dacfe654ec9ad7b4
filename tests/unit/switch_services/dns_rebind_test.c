/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "switch/dns_rebind.h"

#include <string.h>

static const struct {
    const char *address;
    bool is_private;
} addresses[] = {
    { "0.0.0.0", true },
    { "0.1.2.3", true },
    { "9.255.255.255", false },
    { "10.0.0.0", true },
    { "10.255.255.255", true },
    { "11.0.0.0", false },
    { "100.63.255.255", false },
    { "100.64.0.1", true },
    { "100.128.0.0", false },
    { "127.0.0.1", true },
    { "169.254.169.254", true },
    { "172.15.255.255", false },
    { "172.16.0.1", true },
    { "172.31.255.255", true },
    { "172.32.0.0", false },
    { "192.168.0.0", true },
    { "192.169.0.0", false },
    { "8.8.8.8", false },
    { "::", true },
    { "::1", true },
    { "fe80::1", true },
    { "fc00::1", true },
    { "fdff::1", true },
    { "fe00::1", false },
    { "2001:db8::1", false },
    { "::ffff:10.0.0.1", true },
    { "::ffff:8.8.8.8", false },
};

static void addresses_of_this_network_alone_are_private(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        struct ip_addr a;

        assert_int_equal(ip_addr_parse(&a, addresses[i].address), ST_OK);
        if (dns_rebind_is_private(&a) != addresses[i].is_private)
            fail_msg("%s", addresses[i].address);
    }
}

static const struct {
    const char *name, *search;
    bool is_public;
} names[] = {
    { "a.example.", "", true },
    { "a.b.c.example.", "", true },
    { "example.", "", false },
    { ".", "", false },
    { "a.example.", "example", false },
    { "a.example.", "other.test, example.", false },
    { "xexample.org.", "example.org", true },
    { "example.org.", "example.org", false },
    { "a.example.org.", "org.example corp.example", true },
    { "printer.local.", "", false },
    { "nas.fritz.lan.", "", false },
    { "a.home.arpa.", "", false },
    { "a.arpa.", "", true },
    { "svc.internal.", "", false },
    { "internal.example.", "", true },
    { "a.example.", ".. , ,", true },
};

static void names_that_anybody_can_make_are_public(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct dns_question q = { .type = DNS_TYPE_A };

        q.name_bytes = (uint8_t)dns_name_encode(q.key, names[i].name);
        assert_true(q.name_bytes > 0);
        if (dns_rebind_is_public(&q, names[i].search) != names[i].is_public)
            fail_msg("%s with \"%s\"", names[i].name, names[i].search);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_this_network_alone_are_private),
        cmocka_unit_test(names_that_anybody_can_make_are_public),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
