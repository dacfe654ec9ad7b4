/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "base/util.h"
#include "control/control_server.h"
#include "port/addr.h"
#include "port/sim/stream_sim.h"

#include <stdio.h>
#include <string.h>

static struct sim *sim;
static struct addr at;
static unsigned orders;

static int setup(void **state)
{
    sim = sim_new();
    orders = 0;
    return addr_parse(&at, "unix:/run/control.sock", NULL) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
    sim_free(sim);
    return 0;
}

static void serve(struct api_conn *c, const struct api_request *r)
{
    ++*(unsigned *)r->owner;
    api_respond_text(c, 202, r->name);
}

static const struct api_route routes[] = { { "/v1/do/*", serve, "POST", "what it does" } };

static const char *ask(const char *line)
{
    struct sim_peer *p = sim_connect(sim, &at, &sim_local_peer);

    assert_non_null(p);
    sim_run(sim);
    sim_peer_send_text(p, line);
    sim_peer_send_text(p, " HTTP/1.1\r\nHost: x\r\n\r\n");
    sim_run(sim);
    return sim_peer_text(p);
}

static void orders_get_to_the_owner_and_v1_lists_them(void **state)
{
    struct control_server *s;
    const char *text;

    assert_int_equal(control_server_new(&s, sim_loop(sim), &at, routes, 1, &orders, NULL), ST_OK);
    assert_true(!strncmp(ask("POST /v1/do/it"), "HTTP/1.1 202 ", 13));
    assert_int_equal(orders, 1);
    assert_true(!strncmp(ask("GET /v1/do/it"), "HTTP/1.1 405 ", 13));
    assert_int_equal(orders, 1);
    text = ask("GET /v1");
    assert_non_null(strstr(text, "\r\n\r\n{\"apiVersion\":\"rdlink.v1\",\"routes\":["
                                 "{\"method\":\"GET\",\"path\":\"/v1\",\"what\":\"this list\"},"
                                 "{\"method\":\"POST\",\"path\":\"/v1/do/*\","
                                 "\"what\":\"what it does\"}]}\n"));
    control_server_free(s);
}

static void too_many_routes_and_a_name_that_is_taken_are_said(void **state)
{
    static const struct api_route many[CONTROL_ROUTES_MAX] = { { "/", serve, "GET", "" } };
    struct control_server *s = NULL, *second = NULL;
    struct errmsg e = { "" };

    assert_int_equal(control_server_new(&s, sim_loop(sim), &at, many, CONTROL_ROUTES_MAX - 1,
                                        &orders, &e),
                     ST_FULL);
    assert_true(e.text[0]);
    assert_int_equal(control_server_new(&s, sim_loop(sim), &at, routes, 1, &orders, &e), ST_OK);
    assert_int_equal(control_server_new(&second, sim_loop(sim), &at, routes, 1, &orders, &e),
                     ST_EXISTS);
    assert_null(second);
    control_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(orders_get_to_the_owner_and_v1_lists_them, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_routes_and_a_name_that_is_taken_are_said, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
