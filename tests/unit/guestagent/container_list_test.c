/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/container_list.h"

#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

/* "tcp 80|udp 53 10.0.0.2", then how many are at loopback. */
static void describe(const struct container_ports *l, char *buf, size_t cap)
{
    size_t n = 0;

    buf[0] = '\0';
    for (unsigned i = 0; i < l->count; i++)
        n += (size_t)snprintf(buf + n, cap - n, "%s%s %u%s%s", i ? "|" : "", l->items[i].protocol,
                              l->items[i].number, l->items[i].address[0] ? " " : "",
                              l->items[i].address);
    if (l->at_loopback)
        snprintf(buf + n, cap - n, " loopback=%u", l->at_loopback);
}

static void of_a_list_only_what_is_published_is_taken(void **state)
{
    static const struct {
        const char *name, *json, *want;
    } rows[] = {
        { "nothing runs", "[]", "" },
        { "both families are one",
          "[{\"Ports\":[{\"IP\":\"0.0.0.0\",\"PrivatePort\":80,\"PublicPort\":8080,\"Type\":"
          "\"tcp\"},"
          "{\"IP\":\"::\",\"PrivatePort\":80,\"PublicPort\":8080,\"Type\":\"tcp\"}]}]",
          "tcp 8080" },
        { "exposed only", "[{\"Ports\":[{\"PrivatePort\":80,\"Type\":\"tcp\"}]}]", "" },
        { "several containers, in order",
          "[{\"Ports\":[{\"IP\":\"0.0.0.0\",\"PublicPort\":90,\"Type\":\"tcp\"}]},"
          "{\"Ports\":[{\"IP\":\"10.0.0.2\",\"PublicPort\":53,\"Type\":\"udp\"},"
          "{\"PublicPort\":53,\"Type\":\"tcp\"}]}]",
          "tcp 53|udp 53 10.0.0.2|tcp 90" },
        { "the guest's own loopback",
          "[{\"Ports\":[{\"IP\":\"127.0.0.1\",\"PublicPort\":90,\"Type\":\"tcp\"},"
          "{\"IP\":\"::1\",\"PublicPort\":90,\"Type\":\"tcp\"}]}]",
          "tcp 90 127.0.0.1|tcp 90 ::1 loopback=2" },
        { "other protocols", "[{\"Ports\":[{\"PublicPort\":90,\"Type\":\"sctp\"}]}]", "" },
        { "numbers that are none",
          "[{\"Ports\":[{\"PublicPort\":0,\"Type\":\"tcp\"},{\"PublicPort\":65536,\"Type\":\"tcp\"}"
          ","
          "{\"PublicPort\":-1,\"Type\":\"tcp\"},{\"PublicPort\":\"80\",\"Type\":\"tcp\"},"
          "{\"PublicPort\":1e99,\"Type\":\"tcp\"}]}]",
          "" },
        { "an address that is none",
          "[{\"Ports\":[{\"IP\":\"x; rm -rf /\",\"PublicPort\":90,\"Type\":\"tcp\"}]}]", "" },
        { "shapes nobody sends", "[1,null,{\"Ports\":7},{\"Ports\":[[],null,{}]}]", "" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct container_ports got;
        char text[256];

        assert_int_equal(container_list_parse(&got, (const uint8_t *)rows[i].json,
                                              strlen(rows[i].json)),
                         ST_OK);
        describe(&got, text, sizeof text);
        if (strcmp(text, rows[i].want) != 0)
            fail_msg("%s: '%s'", rows[i].name, text);
    }
}

static void what_is_no_list_is_said_so(void **state)
{
    static const char *const texts[] = { "", "{}", "{\"message\":\"no\"}", "[", "null", "HTTP" };
    struct container_ports got;

    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        assert_int_equal(container_list_parse(&got, (const uint8_t *)texts[i], strlen(texts[i])),
                         ST_PROTO);
}

static void too_many_ports_are_counted(void **state)
{
    static char json[64 * 1024];
    struct container_ports got;
    size_t n = (size_t)snprintf(json, sizeof json, "[{\"Ports\":[");

    for (unsigned i = 0; i < CONTAINER_PORTS_MAX + 5; i++)
        n += (size_t)snprintf(json + n, sizeof json - n, "%s{\"PublicPort\":%u,\"Type\":\"tcp\"}",
                              i ? "," : "", 1000 + i);
    snprintf(json + n, sizeof json - n, "]}]");
    assert_int_equal(container_list_parse(&got, (const uint8_t *)json, strlen(json)), ST_OK);
    assert_int_equal(got.count, CONTAINER_PORTS_MAX);
    assert_int_equal(got.left_out, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_list_only_what_is_published_is_taken),
        cmocka_unit_test(what_is_no_list_is_said_so),
        cmocka_unit_test(too_many_ports_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
