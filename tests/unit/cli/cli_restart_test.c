/* SPDX-License-Identifier: Apache-2.0
 * `rdlink restart`: from the status to the control socket, and back until it serves.
 */
#include "cli_fixture.h"

#define STATUS(component)                                                                \
    "{\"generation\":1,\"ready\":true,\"control\":\"unix:/run/c.sock\",\"components\":[" \
    "{\"name\":\"docker\"," component "}]}"
#define RESTART "/v1/components/docker/restart"

static void it_is_done_when_the_component_serves_once_more(void **state)
{
    struct fixture *f = *state;

    start(f, "restart docker");
    answer(f, "/v1/status", "200 OK", STATUS("\"state\":\"SERVING\",\"restarts\":3"));
    answer_to(f, "POST", RESTART, "\r\nContent-Length: 0\r\n", "202 Accepted",
              "{\"component\":\"docker\",\"restarts\":3}");
    answer(f, "/v1/status", "200 OK", STATUS("\"state\":\"SERVING\",\"restarts\":3"));
    answer(f, "/v1/status?wait=25000ms&since=1", "200 OK",
           STATUS("\"state\":\"NOT_SERVING\",\"restarts\":4"));
    assert_int_equal(f->code, CLI_PENDING);
    answer(f, "/v1/status?wait=25000ms&since=1", "200 OK",
           STATUS("\"state\":\"SERVING\",\"restarts\":4"));
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_READY);
    assert_string_equal(f->out, "docker was restarted and serves\n");
    assert_string_equal(f->err, "");
}

static void it_need_not_wait(void **state)
{
    struct fixture *f = *state;

    start(f, "restart docker --no-wait");
    answer(f, "/v1/status", "200 OK", STATUS("\"state\":\"SERVING\",\"restarts\":3"));
    answer_to(f, "POST", RESTART, "", "202 Accepted", "{\"restarts\":3}");
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_READY);
}

static void it_says_what_the_component_is_when_it_does_not_come_back(void **state)
{
    struct fixture *f = *state;

    start(f, "restart docker --timeout 3s");
    answer(f, "/v1/status", "200 OK", STATUS("\"state\":\"SERVING\",\"restarts\":0"));
    answer_to(f, "POST", RESTART, "", "202 Accepted", "{\"restarts\":0}");
    answer(f, "/v1/status", "200 OK", STATUS("\"state\":\"NOT_SERVING\",\"restarts\":1"));
    sim_advance_ms(f->sim, 3000);
    assert_int_equal(f->code, CLI_DEGRADED);
    assert_true(has(f->err, "docker does not serve again after 3 s: NOT_SERVING\n  next  "));
}

static void a_component_that_is_not_there_is_explained_by_the_service(void **state)
{
    struct fixture *f = *state;

    start(f, "restart a/b");
    answer(f, "/v1/status", "200 OK", STATUS("\"state\":\"SERVING\",\"restarts\":0"));
    answer_to(f, "POST", "/v1/components/a%2Fb/restart", "", "404 Not Found",
              "no component 'a/b'; there are: docker\n");
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_DEGRADED);
    assert_true(has(f->err, "cannot restart it: no component 'a/b'; there are: docker\n  next  "));
}

static void who_may_not_is_told(void **state)
{
    struct fixture *f = *state;

    start(f, "restart docker");
    answer_then(f, "/v1/status", "200 OK", STATUS("\"state\":\"SERVING\",\"restarts\":0"),
                ST_DENIED);
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_NO_PERMISSION);
    assert_true(has(f->err, "administrators\n  next  "));
}

static void a_service_without_a_control_socket_says_how_to_get_one(void **state)
{
    struct fixture *f = *state;

    start(f, "restart docker");
    answer(f, "/v1/status", "200 OK", "{\"generation\":1,\"ready\":true,\"control\":null}");
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_DEGRADED);
    assert_true(has(f->err, "no control socket\n  next  start it with --control ADDR\n"));
}

static void a_service_that_is_not_there_is_not_running(void **state)
{
    struct fixture *f = *state;

    start_with(f, "restart docker", ST_REFUSED);
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_NOT_RUNNING);
}

static void it_takes_one_name(void **state)
{
    static const char *const words[][4] = { { "rdlink", "restart" },
                                            { "rdlink", "restart", "" },
                                            { "rdlink", "restart", "a", "b" } };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        assert_int_equal(cli_start(&f->cli, &f->env, 2 + (int)i, words[i]), CLI_USAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cli_fixture_setup, cli_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_done_when_the_component_serves_once_more),
        TEST(it_need_not_wait),
        TEST(it_says_what_the_component_is_when_it_does_not_come_back),
        TEST(a_component_that_is_not_there_is_explained_by_the_service),
        TEST(who_may_not_is_told),
        TEST(a_service_without_a_control_socket_says_how_to_get_one),
        TEST(a_service_that_is_not_there_is_not_running),
        TEST(it_takes_one_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
