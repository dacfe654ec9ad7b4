/* SPDX-License-Identifier: Apache-2.0 */
#include "port/resolv_conf.h"

#include "base/util.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *text, *want;
} rows[] = {
    { "usual file", "# by hand\nsearch a.b\nnameserver 192.0.2.1\noptions edns0\n", "192.0.2.1" },
    { "two, in order", "nameserver 192.0.2.2\nnameserver 2001:db8::1\n", "192.0.2.2 2001:db8::1" },
    { "fourth is too many",
      "nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver 1.0.0.4\n",
      "1.0.0.1 1.0.0.2 1.0.0.3" },
    { "tabs, carriage return, comment", "\tnameserver\t192.0.2.1 # main\r\n", "192.0.2.1" },
    { "no newline at the end", "nameserver 192.0.2.1", "192.0.2.1" },
    { "longer key", "nameservers 192.0.2.1\n", "127.0.0.1" },
    { "key alone", "nameserver\nnameserver \n", "127.0.0.1" },
    { "commented out", "#nameserver 192.0.2.1\n;nameserver 192.0.2.1\n", "127.0.0.1" },
    { "no address", "nameserver example.com\n", "127.0.0.1" },
    { "zone", "nameserver fe80::1%eth0\nnameserver 192.0.2.1\n", "192.0.2.1" },
    { "address without end", "nameserver 1111111111111111111111111111111111111111111111111111111\n",
      "127.0.0.1" },
    { "empty file", "", "127.0.0.1" },
};

static void resolv_conf_servers_are_found(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct name_servers servers;
        char got[256] = "", text[IP_ADDR_TEXT_MAX];

        resolv_conf_parse(&servers, rows[i].text, strlen(rows[i].text));
        for (unsigned j = 0; j < servers.count; j++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", j ? " " : "",
                     ip_addr_format(&servers.at[j], text));
        if (strcmp(got, rows[i].want))
            fail_msg("%s: got \"%s\", want \"%s\"", rows[i].name, got, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(resolv_conf_servers_are_found) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
