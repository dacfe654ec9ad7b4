/* SPDX-License-Identifier: Apache-2.0
 * wait, check, metrics and status --watch, against a service that says what the test lets it say.
 */
#include "cli_fixture.h"

#include "base/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONDITION(type, status, reason)                                     \
    "{\"type\":\"" type "\",\"status\":\"" status "\",\"reason\":\"" reason \
    "\",\"message\":\"so it is\",\"lastTransitionTime\":null,\"observedGeneration\":1}"
#define STATUS(ready, generation, conditions)                                   \
    "{\"generation\":" generation ",\"ready\":" ready ",\"phase\":\"Waiting\"," \
    "\"conditions\":[" conditions "]}"

/* ---- wait -------------------------------------------------------------------------------- */

static void wait_ends_when_the_condition_comes(void **state)
{
    struct fixture *f = *state;

    start(f, "wait");
    answer(f, "/v1/status", "200 OK", STATUS("false", "7", CONDITION("Ready", "False", "NoGuest")));
    answer(f, "/v1/status?wait=25000ms&since=7", "304 Not Modified", "");
    answer(f, "/v1/status?wait=25000ms&since=7", "200 OK",
           STATUS("true", "8", CONDITION("Ready", "True", "Ready")));
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_READY);
    assert_string_equal(f->out, "");
    assert_string_equal(f->err, "");
}

static void wait_knows_statuses_reasons_and_parts(void **state)
{
    static const struct {
        const char *words, *body;
    } rows[] = {
        { "wait --for NetworkReady=Unknown",
          STATUS("true", "1", CONDITION("NetworkReady", "Unknown", "ControlOnly")) },
        { "wait --for=Ready=NoGuest",
          STATUS("false", "1", CONDITION("Ready", "False", "NoGuest")) },
        { "wait --for docker/DockerReachable",
          "{\"generation\":1,\"ready\":false,\"conditions\":[],\"components\":[{\"name\":"
          "\"docker\",\"conditions\":[" CONDITION("DockerReachable", "True", "Answers") "]}]}" },
        { "wait --for vm1/LinkUp=False",
          "{\"generation\":1,\"ready\":false,\"conditions\":[],\"instances\":[{\"vm\":"
          "\"vm1\",\"conditions\":[" CONDITION("LinkUp", "False", "NoGuest") "]}]}" },
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("row: %s\n", rows[i].words);
        start(f, rows[i].words);
        answer(f, "/v1/status", "200 OK", rows[i].body);
        sim_run(f->sim);
        assert_int_equal(f->code, CLI_READY);
        cli_free(f->cli);
        f->cli = NULL;
    }
}

static void wait_that_is_over_says_what_was_found(void **state)
{
    struct fixture *f = *state;

    start(f, "wait --timeout 3s");
    answer(f, "/v1/status", "200 OK", STATUS("false", "7", CONDITION("Ready", "False", "NoGuest")));
    sim_advance_ms(f->sim, 2999);
    assert_int_equal(f->code, CLI_PENDING);
    sim_advance_ms(f->sim, 1);
    assert_int_equal(f->code, CLI_DEGRADED);
    assert_true(has(f->err, "Ready did not come within 3 s; it is False, NoGuest: so it is\n"));
    assert_true(has(f->err, "\n  next  "));
}

static void wait_goes_on_while_the_service_is_not_there_yet(void **state)
{
    struct fixture *f = *state;

    start_with(f, "wait --timeout 10s", ST_NOTFOUND);
    sim_advance_ms(f->sim, 400);
    assert_int_equal(f->code, CLI_PENDING);
    sim_next_dial(f->sim, ST_OK, 0);
    sim_advance_ms(f->sim, 200);
    answer(f, "/v1/status", "200 OK", STATUS("true", "1", CONDITION("Ready", "True", "Ready")));
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_READY);
}

static void wait_for_a_service_that_never_comes_is_not_running(void **state)
{
    struct fixture *f = *state;

    start_with(f, "wait --timeout 1s", ST_REFUSED);
    for (unsigned i = 0; i < 4; i++) {
        sim_next_dial(f->sim, ST_REFUSED, 0);
        sim_advance_ms(f->sim, 300);
    }
    assert_int_equal(f->code, CLI_NOT_RUNNING);
    assert_true(has(f->err, "the service is not running"));
}

/* ---- status --watch and --short ---------------------------------------------------------- */

static void watch_shows_each_change_once(void **state)
{
    struct fixture *f = *state;

    start(f, "status --watch --short");
    answer(f, "/v1/status", "200 OK", STATUS("false", "1", CONDITION("Ready", "False", "NoGuest")));
    answer(f, "/v1/status?wait=25000ms&since=1", "304 Not Modified", "");
    answer(f, "/v1/status?wait=25000ms&since=1", "200 OK",
           STATUS("false", "2", CONDITION("Ready", "False", "Stopping")));
    sim_run(f->sim);
    assert_string_equal(f->out, "Waiting: NoGuest: so it is\nWaiting: Stopping: so it is\n");
    assert_int_equal(f->code, CLI_PENDING);
}

static void watch_shows_json_as_the_service_sent_it(void **state)
{
    static const char text[] =
        "{\"ready\":true,\"generation\":1,\"n\":18446744073709551615, \"x\":1e2}";
    struct fixture *f = *state;

    start(f, "status --watch --json");
    answer(f, "/v1/status", "200 OK", text);
    sim_run(f->sim);
    assert_memory_equal(f->out, text, strlen(text));
    assert_string_equal(f->out + strlen(text), "\n");
}

static void watch_on_a_terminal_redraws_in_place(void **state)
{
    struct fixture *f = *state;

    f->env.terminal = true;
    start(f, "status --watch");
    answer(f, "/v1/status", "200 OK", STATUS("false", "1", CONDITION("Ready", "False", "NoGuest")));
    sim_advance_ms(f->sim, 1500);
    assert_true(!strncmp(f->out, "\033[H\033[2J", 7));
    assert_non_null(strstr(f->out + 7, "\033[H\033[2J"));
}

/* ---- metrics ----------------------------------------------------------------------------- */

static void metrics_are_printed_as_they_came(void **state)
{
    struct fixture *f = *state;

    start(f, "metrics");
    answer(f, "/metrics", "200 OK", "# EOF\n");
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_READY);
    assert_string_equal(f->out, "# EOF\n");
}

/* ---- check ------------------------------------------------------------------------------- */

#define PROGRAM(version) "\"program\":{\"name\":\"rdlinkd\",\"version\":\"" version "\"}"

static void check_goes_all_the_way(void **state)
{
    struct fixture *f = *state;
    char body[2048];

    snprintf(
        body, sizeof body,
        "{\"generation\":1,\"ready\":true,\"program\":{\"name\":\"rdlinkd\",\"version\":\"%s\"},"
        "\"endpoints\":[{\"name\":\"docker\",\"state\":\"listening\",\"address\":"
        "\"unix:/run/docker.sock\"}],\"instances\":[{\"vm\":\"vm1\",\"conditions\":[" CONDITION(
            "GuestFound", "True",
            "ControlOpen") "," CONDITION("LinkUp", "Unknown",
                                         "ControlOnly") "]}],"
                                                        "\"components\":[{\"name\":\"docker\","
                                                        "\"state\":\"SERVING\",\"restarts\":0}],"
                                                        "\"conditions\":[" CONDITION("Ready",
                                                                                     "True",
                                                                                     "Ready") "]}",
        rdlink_version());
    start(f, "check");
    answer(f, "/v1/status", "200 OK", body);
    answer(f, "/_ping", "200 OK", "OK");
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_READY);
    assert_true(has(f->out, "PASS  service "));
    assert_true(has(f->out, "PASS  vm1/GuestFound "));
    assert_false(has(f->out, "LinkUp"));
    assert_true(has(f->out, "PASS  request to unix:/run/docker.sock "));
    assert_true(has(f->out, "\n6 passed, 0 warned, 0 failed\n"));
}

static void check_says_what_fails_and_what_to_do(void **state)
{
    struct fixture *f = *state;

    start(f, "check");
    answer(
        f, "/v1/status", "200 OK",
        "{\"generation\":1,\"ready\":false," PROGRAM(
            "9.9") ",\"endpoints\":["
                   "{\"name\":\"docker\",\"state\":\"taken\",\"address\":null,\"requested\":"
                   "\"npipe:x\","
                   "\"owner\":{\"pid\":7,\"image\":\"podman.exe\"}}],\"instances\":[],"
                   "\"components\":[{\"name\":\"docker\",\"state\":\"NOT_SERVING\",\"restarts\":4,"
                   "\"crashLoop\":true}],\"conditions\":[" CONDITION("Ready", "False",
                                                                     "NoVirtualMachine") "]}");
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_DEGRADED);
    assert_true(has(f->out, "WARN  version "));
    assert_true(has(f->out, "FAIL  endpoint/docker "));
    assert_true(has(f->out, "podman.exe"));
    assert_true(has(f->out, "FAIL  virtual machine "));
    assert_true(has(f->out, "FAIL  docker "));
    assert_true(has(f->out, "FAIL  Ready "));
    assert_true(has(f->out, "        next  start Rancher Desktop or its WSL distribution\n"));
    assert_true(has(f->out, "\n1 passed, 1 warned, 4 failed\n"));
}

static void check_tells_who_may_not_use_the_endpoint(void **state)
{
    struct fixture *f = *state;

    start(f, "check --json");
    answer_then(f, "/v1/status", "200 OK",
                "{\"generation\":1,\"ready\":true," PROGRAM(
                    "0") ",\"endpoints\":[{\"name\":\"docker\","
                         "\"state\":\"listening\",\"address\":\"unix:/run/docker.sock\"}],"
                         "\"instances\":[{\"vm\":\"a\\u001b[2J\",\"conditions\":[" CONDITION(
                             "GuestFound", "True", "ControlOpen") "]}]}",
                ST_DENIED);
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_DEGRADED);
    assert_true(has(f->out, "\"result\":\t\"FAIL\""));
    assert_true(has(f->out, "docker-users"));
    assert_true(has(f->out, "a?[2J/GuestFound"));
}

/* ---- ports and capture ------------------------------------------------------------------- */

#define SWITCH(name, control) \
    "{\"name\":\"" name "\",\"control\":\"" control "\",\"conditions\":[]}"
#define SWITCHES(list) "{\"ready\":true,\"components\":[{\"name\":\"docker\"}," list "]}"

static void ports_are_asked_of_every_switch(void **state)
{
    struct fixture *f = *state;

    start(f, "ports");
    answer(f, "/v1/status", "200 OK",
           SWITCHES(SWITCH("switch-a-A", "unix:/a") "," SWITCH("switch-b-v2", "unix:/b")));
    answer(f, "/services/forwarder/all", "200 OK",
           "[{\"local\":\"127.0.0.1:80\",\"remote\":\"192.168.127.2:80\",\"protocol\":\"tcp\","
           "\"state\":\"listening\",\"message\":\"\"},{\"local\":\"127.0.0.1:81\",\"remote\":"
           "\"192.168.127.2:81\",\"protocol\":\"tcp\",\"state\":\"waiting\",\"message\":"
           "\"pid 7 has\\u001bit\"}]");
    answer(f, "/services/forwarder/all", "200 OK",
           "[{\"local\":\":53\",\"remote\":\"192.168.127.2:53\",\"protocol\":\"udp\\u0007\"}]");
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_READY);
    assert_string_equal(f->out, "tcp   127.0.0.1:80                 192.168.127.2:80             "
                                "switch-a-A\n"
                                "tcp   127.0.0.1:81                 192.168.127.2:81             "
                                "switch-a-A\n"
                                "      waits: pid 7 has?it\n"
                                "udp?  :53                          192.168.127.2:53             "
                                "switch-b-v2\n");
}

static void a_switch_that_answers_nonsense_is_named(void **state)
{
    struct fixture *f = *state;

    start(f, "ports");
    answer(f, "/v1/status", "200 OK", SWITCHES(SWITCH("switch-a-A", "unix:/a")));
    answer(f, "/services/forwarder/all", "200 OK", "{}");
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_DEGRADED);
    assert_true(has(f->err, "switch-a-A does not say its ports"));
}

static void a_capture_is_written_as_it_comes(void **state)
{
    struct fixture *f = *state;

    start(f, "capture -o x.pcapng --filter port,80&x --for 60s --bytes 5000");
    answer(f, "/v1/status", "200 OK", SWITCHES(SWITCH("switch-a-A", "unix:/a")));
    answer(f, "/capture?seconds=60&bytes=5000&filter=port%2C80%26x", "200 OK", "pcapng");
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_READY);
    assert_string_equal(f->output_path, "x.pcapng");
    assert_int_equal(f->output_bytes, 6);
    assert_memory_equal(f->output, "pcapng", 6);
    assert_true(has(f->err, "6 bytes of switch-a-A\n"));
    assert_string_equal(f->out, "");
}

static void a_capture_that_cannot_be_had_says_why(void **state)
{
    static const struct {
        const char *words, *status, *line, *body, *want;
        bool full;
    } rows[] = {
        { "capture", SWITCHES(SWITCH("switch-a-A", "unix:/a")), "400 Bad Request",
          "filter: what is 'x'?\n", "the switch refuses: filter: what is 'x'?\n", false },
        { "capture", SWITCHES(SWITCH("switch-a-A", "unix:/a")), "200 OK", "bytes",
          "cannot write to -", true },
        { "capture -o !", SWITCHES(SWITCH("switch-a-A", "unix:/a")), NULL, NULL,
          "cannot write to !", false },
        { "capture", SWITCHES(SWITCH("switch-a-A", "unix:/a") "," SWITCH("switch-b-A", "unix:/b")),
          NULL, NULL, "several guests", false },
        { "capture --switch switch-c-A", SWITCHES(SWITCH("switch-a-A", "unix:/a")), NULL, NULL,
          "no such switch", false },
        { "capture", SWITCHES("{\"name\":\"switch-a-A\",\"control\":null}"), NULL, NULL,
          "--switch-control", false },
        { "capture", "{\"ready\":true,\"components\":[]}", NULL, NULL, "no guest has a network",
          false },
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        f->err[0] = '\0';
        f->output_is_full = rows[i].full;
        start(f, rows[i].words);
        answer(f, "/v1/status", "200 OK", rows[i].status);
        if (rows[i].line)
            answer(f, "/capture?seconds=600&bytes=67108864", rows[i].line, rows[i].body);
        sim_run(f->sim);
        if (f->code == CLI_PENDING || f->code == CLI_READY || !has(f->err, rows[i].want))
            fail_msg("row %u: code %d, %s", i, f->code, f->err);
        cli_free(f->cli);
        f->cli = NULL;
    }
}

#define WITH_SIM(test) \
    cmocka_unit_test_setup_teardown(test, cli_fixture_setup, cli_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SIM(wait_ends_when_the_condition_comes),
        WITH_SIM(wait_knows_statuses_reasons_and_parts),
        WITH_SIM(wait_that_is_over_says_what_was_found),
        WITH_SIM(wait_goes_on_while_the_service_is_not_there_yet),
        WITH_SIM(wait_for_a_service_that_never_comes_is_not_running),
        WITH_SIM(watch_shows_each_change_once),
        WITH_SIM(watch_shows_json_as_the_service_sent_it),
        WITH_SIM(watch_on_a_terminal_redraws_in_place),
        WITH_SIM(metrics_are_printed_as_they_came),
        WITH_SIM(check_goes_all_the_way),
        WITH_SIM(check_says_what_fails_and_what_to_do),
        WITH_SIM(ports_are_asked_of_every_switch),
        WITH_SIM(a_switch_that_answers_nonsense_is_named),
        WITH_SIM(a_capture_is_written_as_it_comes),
        WITH_SIM(a_capture_that_cannot_be_had_says_why),
        WITH_SIM(check_tells_who_may_not_use_the_endpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
