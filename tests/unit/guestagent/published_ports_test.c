/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/published_ports.h"

#include "ipc/health.h"
#include "port/addr.h"
#include "port/sim/loop_sim.h"
#include "port/sim/stream_sim.h"
#include "support/alloc_fail.h"
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

/* Those of published_ports.c. */
enum { SETTLE_MS = 50, RETRY_MS = 1000, EMPTY_MS = 5000 };

struct fixture {
    struct sim *sim;
    struct published_ports *ports;
    struct sim_peer *events;
    unsigned changes;
};

static void on_change(void *ctx)
{
    struct fixture *f = ctx;

    f->changes++;
}

static void start(struct fixture *f)
{
    struct addr engine;

    *f = (struct fixture){ .sim = sim_new() };
    assert_int_equal(addr_parse(&engine, "unix:/var/run/docker.sock", NULL), ST_OK);
    assert_int_equal(published_ports_new(&f->ports, sim_loop(f->sim), &engine, on_change, f),
                     ST_OK);
}

static void stop(struct fixture *f)
{
    published_ports_free(f->ports);
    sim_free(f->sim);
}

/* The engine's end of the next connection, after the question @target arrived; a wait of @ms. */
static struct sim_peer *asked(struct fixture *f, const char *target, uint64_t ms)
{
    char want[64];
    struct sim_peer *p;

    sim_next_dial(f->sim, ST_OK, 0);
    sim_advance_ms(f->sim, ms);
    p = sim_take_dialled(f->sim);
    assert_non_null(p);
    snprintf(want, sizeof want, "GET %s", target);
    assert_memory_equal(sim_peer_text(p), want, strlen(want));
    return p;
}

static void subscribe(struct fixture *f)
{
    published_ports_set_engine(f->ports, true);
    f->events = asked(f, "/events?filters=", 0);
    sim_peer_send_text(f->events, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    sim_run(f->sim);
}

static void an_event(struct fixture *f)
{
    sim_peer_send_text(f->events, "c\r\n{\"a\":\"die\"}\n\r\n");
    sim_run(f->sim);
}

static void list(struct fixture *f, const char *body)
{
    struct sim_peer *p = asked(f, "/containers/json", SETTLE_MS);
    char head[96];

    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(body));
    sim_peer_send_text(p, head);
    sim_peer_send_text(p, body);
    sim_run(f->sim);
}

static const char one_port[] = "[{\"Ports\":[{\"PublicPort\":8080,\"Type\":\"tcp\"}]}]";

static const char *reason(struct fixture *f)
{
    static char text[CONDITION_REASON_MAX];
    struct health_report r = { .count = 0 };
    struct health_component *c = health_add(&r, "bridge");

    published_ports_report(f->ports, c);
    snprintf(text, sizeof text, "%s", condition_find(&c->conditions, "PortsKnown")->reason);
    return text;
}

static void a_list_follows_the_subscription_and_each_event(void **state)
{
    struct fixture f;
    Rdlink__V1__PublishedPorts *m;

    start(&f);
    assert_null(published_ports_message(f.ports));
    subscribe(&f);
    list(&f, one_port);
    m = published_ports_message(f.ports);
    assert_non_null(m);
    assert_int_equal(m->n_ports, 1);
    assert_string_equal(m->ports[0]->protocol, "tcp");
    assert_string_equal(m->ports[0]->host_address, "");
    assert_int_equal(m->ports[0]->port, 8080);
    assert_string_equal(reason(&f), "EngineListed");
    an_event(&f);
    list(&f, "[]");
    assert_int_equal(published_ports_message(f.ports)->n_ports, 0);
    stop(&f);
}

static void many_events_are_one_list(void **state)
{
    struct fixture f;
    unsigned dials;

    start(&f);
    subscribe(&f);
    list(&f, one_port);
    dials = sim_dial_count(f.sim);
    for (unsigned i = 0; i < 100; i++)
        an_event(&f);
    list(&f, one_port);
    sim_advance_ms(f.sim, 10 * SETTLE_MS);
    assert_int_equal(sim_dial_count(f.sim), dials + 1);
    stop(&f);
}

static void an_event_during_a_list_makes_another(void **state)
{
    struct fixture f;
    struct sim_peer *p;

    start(&f);
    subscribe(&f);
    p = asked(&f, "/containers/json", SETTLE_MS);
    an_event(&f);
    sim_advance_ms(f.sim, SETTLE_MS);
    sim_peer_send_text(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]");
    sim_run(f.sim);
    list(&f, one_port);
    assert_int_equal(published_ports_message(f.ports)->n_ports, 1);
    stop(&f);
}

static void the_same_list_is_no_news(void **state)
{
    struct fixture f;
    unsigned changes;

    start(&f);
    subscribe(&f);
    list(&f, one_port);
    changes = f.changes;
    an_event(&f);
    list(&f, one_port);
    assert_int_equal(f.changes, changes);
    stop(&f);
}

static void what_is_no_list_leaves_what_was_known(void **state)
{
    struct fixture f;
    struct sim_peer *p;

    start(&f);
    subscribe(&f);
    list(&f, one_port);
    an_event(&f);
    p = asked(&f, "/containers/json", SETTLE_MS);
    sim_peer_send_text(p, "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n[]");
    sim_run(f.sim);
    assert_string_equal(reason(&f), "EngineUnclear");
    assert_int_equal(published_ports_message(f.ports)->n_ports, 1);
    p = asked(&f, "/containers/json", RETRY_MS);
    sim_peer_send_text(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]");
    sim_run(f.sim);
    assert_int_equal(published_ports_message(f.ports)->n_ports, 0);
    stop(&f);
}

static void a_lost_subscription_is_made_anew(void **state)
{
    struct fixture f;

    start(&f);
    subscribe(&f);
    list(&f, one_port);
    sim_peer_reset(f.events, ST_RESET);
    sim_run(f.sim);
    assert_string_equal(reason(&f), "EventsLost");
    f.events = asked(&f, "/events?", RETRY_MS);
    sim_peer_send_text(f.events, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    sim_run(f.sim);
    list(&f, one_port);
    assert_string_equal(reason(&f), "EngineListed");
    stop(&f);
}

/* No event will tell of it again. */
static void a_list_that_there_was_no_memory_for_is_asked_for_again(void **state)
{
    struct fixture f;

    start(&f);
    subscribe(&f);
    alloc_fail_after(0);
    sim_advance_ms(f.sim, SETTLE_MS);
    assert_true(alloc_fail_stop());
    sim_advance_ms(f.sim, RETRY_MS);
    list(&f, "[]");
    assert_non_null(published_ports_message(f.ports));
    stop(&f);
}

static void an_unclear_engine_is_told_in_one_way(void **state)
{
    struct fixture f;
    struct sim_peer *p;
    unsigned changes;

    start(&f);
    subscribe(&f);
    p = asked(&f, "/containers/json", SETTLE_MS);
    sim_peer_send_text(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    sim_run(f.sim);
    assert_string_equal(reason(&f), "EngineUnclear");
    changes = f.changes;
    sim_peer_reset(f.events, ST_RESET);
    sim_run(f.sim);
    assert_string_equal(reason(&f), "EngineUnclear");
    assert_int_equal(f.changes, changes);
    stop(&f);
}

static void an_engine_that_stays_away_publishes_nothing(void **state)
{
    struct fixture f;

    start(&f);
    subscribe(&f);
    list(&f, one_port);
    published_ports_set_engine(f.ports, false);
    sim_advance_ms(f.sim, EMPTY_MS - 1);
    assert_int_equal(published_ports_message(f.ports)->n_ports, 1);
    published_ports_set_engine(f.ports, true); /* it was only restarted */
    f.events = asked(&f, "/events?", 0);
    sim_advance_ms(f.sim, EMPTY_MS);
    assert_int_equal(published_ports_message(f.ports)->n_ports, 1);
    published_ports_set_engine(f.ports, false);
    sim_advance_ms(f.sim, EMPTY_MS);
    assert_int_equal(published_ports_message(f.ports)->n_ports, 0);
    assert_string_equal(reason(&f), "EngineGone");
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_follows_the_subscription_and_each_event),
        cmocka_unit_test(many_events_are_one_list),
        cmocka_unit_test(an_event_during_a_list_makes_another),
        cmocka_unit_test(the_same_list_is_no_news),
        cmocka_unit_test(what_is_no_list_leaves_what_was_known),
        cmocka_unit_test(a_lost_subscription_is_made_anew),
        cmocka_unit_test(a_list_that_there_was_no_memory_for_is_asked_for_again),
        cmocka_unit_test(an_unclear_engine_is_told_in_one_way),
        cmocka_unit_test(an_engine_that_stays_away_publishes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
