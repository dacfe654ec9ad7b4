/* SPDX-License-Identifier: Apache-2.0 */
#include "network/published.h"

#include "ipc/port_message.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORTS_MAX = 300 };

static struct ip_addr guest(void)
{
    return ip_addr_v4(0xc0a87f02);
}

struct said {
    Rdlink__V1__PublishedPorts msg;
    Rdlink__V1__PublishedPort items[PORTS_MAX];
    Rdlink__V1__PublishedPort *list[PORTS_MAX];
    char texts[PORTS_MAX][2][24];
};

/* "tcp 80", "udp 53 10.0.0.2", or "tcp 80 127.0.0.1 41000": relayed there */
static void say(struct said *s, const char *text)
{
    Rdlink__V1__PublishedPort *p = &s->items[s->msg.n_ports];
    char(*t)[24] = s->texts[s->msg.n_ports];
    unsigned port = 0, relay_port = 0;

    t[1][0] = '\0';
    assert_true(sscanf(text, "%23s %u %23s %u", t[0], &port, t[1], &relay_port) >= 2);
    rdlink__v1__published_port__init(p);
    p->protocol = t[0];
    p->host_address = t[1];
    p->port = port;
    p->relay_port = relay_port;
    s->list[s->msg.n_ports++] = p;
    s->msg.ports = s->list;
}

static struct said *said_new(void)
{
    struct said *s = calloc(1, sizeof *s);

    assert_non_null(s);
    rdlink__v1__published_ports__init(&s->msg);
    return s;
}

static void describe(const struct forward_list *l, char *buf, size_t cap)
{
    size_t n = 0;

    buf[0] = '\0';
    for (unsigned i = 0; i < l->count; i++)
        n += (size_t)snprintf(buf + n, cap - n, "%s%s %s=%s", i ? "|" : "", l->items[i].protocol,
                              l->items[i].local, l->items[i].remote);
}

static void where_a_port_listens_is_this_hosts_policy(void **state)
{
    static const struct {
        const char *name, *port;
        enum publish_policy policy;
        const char *want;
    } rows[] = {
        { "for this computer", "tcp 80", PUBLISH_LOOPBACK,
          "tcp 127.0.0.1:80=192.168.127.2:80|tcp [::1]:80=192.168.127.2:80" },
        { "for its network", "tcp 80", PUBLISH_ALL, "tcp :80=192.168.127.2:80" },
        { "for nobody", "tcp 80", PUBLISH_OFF, "" },
        { "UDP", "udp 53", PUBLISH_ALL, "udp :53=192.168.127.2:53" },
        { "the guest's own address", "tcp 80 192.168.127.2", PUBLISH_ALL,
          "tcp :80=192.168.127.2:80" },
        { "an address that is not the guest's", "tcp 80 10.0.0.1", PUBLISH_ALL, "" },
        { "an address that is none", "tcp 80 localhost", PUBLISH_ALL, "" },
        { "another protocol", "sctp 80", PUBLISH_ALL, "" },
        { "no port", "tcp 0", PUBLISH_ALL, "" },
        { "more than a port", "tcp 65616", PUBLISH_ALL, "" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct forward_list list = { NULL, 0, 0 };
        struct said *s = said_new();
        struct ip_addr at = guest();
        char text[256];

        say(s, rows[i].port);
        assert_int_equal(published_forwards(&list, &s->msg, NULL, rows[i].policy, &at), ST_OK);
        describe(&list, text, sizeof text);
        if (strcmp(text, rows[i].want) != 0)
            fail_msg("%s: '%s'", rows[i].name, text);
        forward_list_clear(&list);
        free(s);
    }
}

static void what_is_at_the_guests_loopback_is_at_this_hosts(void **state)
{
    static const struct {
        const char *name;
        const char *said[3], *relayed[3];
        enum publish_policy policy;
        const char *want;
    } rows[] = {
        { "localhost is both addresses",
          { "tcp 80 127.0.0.1" },
          { "tcp 80 127.0.0.1 41000" },
          PUBLISH_LOOPBACK,
          "tcp 127.0.0.1:80=192.168.127.2:41000|tcp [::1]:80=192.168.127.2:41000" },
        { "never the network's, whatever the policy",
          { "udp 53 127.0.0.1" },
          { "udp 53 127.0.0.1 41000" },
          PUBLISH_ALL,
          "udp 127.0.0.1:53=192.168.127.2:41000|udp [::1]:53=192.168.127.2:41000" },
        { "nothing", { "tcp 80 127.0.0.1" }, { "tcp 80 127.0.0.1 41000" }, PUBLISH_OFF, "" },
        { "not relayed (yet)", { "tcp 80 127.0.0.1" }, { NULL }, PUBLISH_ALL, "" },
        { "relayed by another protocol",
          { "tcp 80 127.0.0.1" },
          { "udp 80 127.0.0.1 41000" },
          PUBLISH_ALL,
          "" },
        { "not published any more", { NULL }, { "tcp 80 127.0.0.1 41000" }, PUBLISH_ALL, "" },
        { "a port that is none",
          { "tcp 80 127.0.0.1" },
          { "tcp 80 127.0.0.1 106536" },
          PUBLISH_ALL,
          "" },
        { "each its own where both are said",
          { "tcp 80 127.0.0.1", "tcp 80 ::1" },
          { "tcp 80 127.0.0.1 41000", "tcp 80 ::1 41001" },
          PUBLISH_LOOPBACK,
          "tcp 127.0.0.1:80=192.168.127.2:41000|tcp [::1]:80=192.168.127.2:41001" },
        { "beside what is published everywhere, of the other family",
          { "tcp 80 ::1", "tcp 80" },
          { "tcp 80 ::1 41001" },
          PUBLISH_LOOPBACK,
          "tcp 127.0.0.1:80=192.168.127.2:80|tcp [::1]:80=192.168.127.2:41001" },
        { "another loopback address is only itself",
          { "tcp 80 127.0.0.2" },
          { "tcp 80 127.0.0.2 41000" },
          PUBLISH_LOOPBACK,
          "tcp 127.0.0.2:80=192.168.127.2:41000" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct forward_list list = { NULL, 0, 0 };
        struct said *s = said_new(), *relayed = said_new();
        struct ip_addr at = guest();
        char text[256];

        for (unsigned k = 0; k < 3; k++) {
            if (rows[i].said[k])
                say(s, rows[i].said[k]);
            if (rows[i].relayed[k])
                say(relayed, rows[i].relayed[k]);
        }
        assert_int_equal(published_forwards(&list, &s->msg, &relayed->msg, rows[i].policy, &at),
                         ST_OK);
        describe(&list, text, sizeof text);
        if (strcmp(text, rows[i].want) != 0)
            fail_msg("%s: '%s'", rows[i].name, text);
        forward_list_clear(&list);
        free(relayed);
        free(s);
    }
}

static enum status on_change(void *ctx, const struct forward_text *f, bool removed)
{
    char *text = ctx;
    size_t n = strlen(text);

    snprintf(text + n, 256 - n, "%s%s ", removed ? "-" : "+", f->local);
    return ST_OK;
}

static void from_one_state_to_the_next_only_differences_are_told(void **state)
{
    struct forward_list given = { NULL, 0, 0 }, now = { NULL, 0, 0 };
    struct said *s = said_new();
    struct ip_addr at = guest();
    char text[256] = "";

    say(s, "tcp 80");
    say(s, "tcp 81");
    say(s, "tcp 80"); /* twice */
    assert_int_equal(published_forwards(&now, &s->msg, NULL, PUBLISH_ALL, &at), ST_OK);
    assert_int_equal(forward_list_become(&given, &now, on_change, text), ST_OK);
    assert_string_equal(text, "+:80 +:81 ");
    text[0] = '\0';
    assert_int_equal(forward_list_become(&given, &now, on_change, text), ST_OK);
    assert_string_equal(text, "");
    s->items[0].port = s->items[2].port = 82;
    assert_int_equal(published_forwards(&now, &s->msg, NULL, PUBLISH_ALL, &at), ST_OK);
    assert_int_equal(forward_list_become(&given, &now, on_change, text), ST_OK);
    assert_string_equal(text, "-:80 +:82 ");
    text[0] = '\0';
    assert_int_equal(published_forwards(&now, NULL, NULL, PUBLISH_ALL, &at), ST_OK);
    assert_int_equal(forward_list_become(&given, &now, on_change, text), ST_OK);
    assert_string_equal(text, "-:82 -:81 ");
    forward_list_clear(&given);
    forward_list_clear(&now);
    free(s);
}

static void a_guest_cannot_publish_without_end(void **state)
{
    struct forward_list now = { NULL, 0, 0 };
    struct said *s = said_new();
    struct ip_addr at = guest();

    for (unsigned i = 0; i < PORTS_MAX; i++) {
        char text[24];

        snprintf(text, sizeof text, "tcp %u", 1000 + i);
        say(s, text);
    }
    assert_int_equal(published_forwards(&now, &s->msg, NULL, PUBLISH_ALL, &at), ST_OK);
    assert_int_equal(now.count, PORT_MESSAGE_MAX);
    forward_list_clear(&now);
    free(s);
}

static void a_policy_changes_what_was_said_before(void **state)
{
    struct published_table *t = calloc(1, sizeof *t);
    struct said *s = said_new();
    struct ip_addr at = guest();
    char text[256];

    assert_non_null(t);
    assert_int_equal(published_table_set(t, PUBLISH_OFF, &at), ST_OK);
    assert_null(published_table_find(t, "vm1"));
    say(s, "tcp 80");
    assert_int_equal(published_table_say(t, "vm1", &s->msg), ST_OK);
    assert_int_equal(published_table_find(t, "vm1")->count, 0);
    assert_int_equal(published_table_set(t, PUBLISH_ALL, &at), ST_OK);
    describe(published_table_find(t, "vm1"), text, sizeof text);
    assert_string_equal(text, "tcp :80=192.168.127.2:80");
    say(s, "tcp 81 127.0.0.1 41000"); /* one message does for both here */
    assert_int_equal(published_table_say(t, "vm1", &s->msg), ST_OK);
    assert_int_equal(published_table_relay(t, "vm1", &s->msg), ST_OK);
    assert_int_equal(published_table_find(t, "vm1")->count, 3);
    for (unsigned i = 2; i <= VM_SNAPSHOT_MAX; i++) {
        snprintf(text, sizeof text, "vm%u", i);
        assert_int_equal(published_table_say(t, text, &s->msg), ST_OK);
    }
    assert_int_equal(published_table_say(t, "one more", &s->msg), ST_FULL);
    published_table_forget(t, "vm1");
    assert_null(published_table_find(t, "vm1"));
    assert_int_equal(published_table_say(t, "one more", &s->msg), ST_OK);
    published_table_clear(t);
    free(t);
    free(s);
}

static void a_policy_has_a_name(void **state)
{
    enum publish_policy p;
    struct errmsg e;

    assert_int_equal(publish_policy_parse(&p, "all", &e), ST_OK);
    assert_int_equal(p, PUBLISH_ALL);
    assert_int_equal(publish_policy_parse(&p, "lan", &e), ST_INVAL);
    assert_non_null(strstr(e.text, "loopback, all or off"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_a_port_listens_is_this_hosts_policy),
        cmocka_unit_test(what_is_at_the_guests_loopback_is_at_this_hosts),
        cmocka_unit_test(from_one_state_to_the_next_only_differences_are_told),
        cmocka_unit_test(a_guest_cannot_publish_without_end),
        cmocka_unit_test(a_policy_changes_what_was_said_before),
        cmocka_unit_test(a_policy_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
