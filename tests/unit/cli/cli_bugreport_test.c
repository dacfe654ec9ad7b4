/* SPDX-License-Identifier: Apache-2.0
 * `rdlink bugreport`: what is in the tar, with a service and without.
 */
#include "cli_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "rdlink-bugreport-20261122T010000Z"
#define STATUS                                                                       \
    "{\"ready\":true,\"token\":\"abc\",\"components\":[{\"name\":\"switch-a/..-A\"," \
    "\"control\":\"unix:/a\"},{\"name\":\"switch-b-v2\",\"control\":\"unix:/b\"}]}"

/* ---- the archive ------------------------------------------------------------------------- */

enum { BLOCK = 512, LOG_MAX = 1024 * 1024 };

static size_t size_in(const unsigned char *head)
{
    return (size_t)strtoull((const char *)head + 124, NULL, 8);
}

static void check_head(const unsigned char *head)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : head[i];
    assert_int_equal(sum, strtoul((const char *)head + 148, NULL, 8));
    assert_memory_equal(head + 257,
                        "ustar\0"
                        "00",
                        8);
    assert_string_equal((const char *)head + 100, "0000600");
    assert_string_equal((const char *)head + 345, FOLDER);
}

/* What is in the file @name, terminated in a static buffer; NULL: there is none. */
static const char *file_in(const struct fixture *f, const char *name)
{
    static char text[8192];
    const unsigned char *at = f->output, *end = f->output + f->output_bytes;

    assert_int_equal(f->output_bytes % BLOCK, 0);
    for (; at < end && at[0]; at += BLOCK + (size_in(at) + BLOCK - 1) / BLOCK * BLOCK) {
        assert_true((size_t)(end - at) >= 3 * (size_t)BLOCK);
        check_head(at);
        if (strcmp((const char *)at, name) != 0)
            continue;
        assert_true(size_in(at) < sizeof text);
        memcpy(text, at + BLOCK, size_in(at));
        text[size_in(at)] = '\0';
        return text;
    }
    assert_int_equal(end - at, 2 * BLOCK);
    return NULL;
}

static void expect(const struct fixture *f, const char *name, const char *want)
{
    const char *text = file_in(f, name);

    if (!text)
        fail_msg("no file %s in the report", name);
    else if (!strstr(text, want))
        fail_msg("%s: '%s' has no '%s'", name, text, want);
}

static void put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* ---- with a service ---------------------------------------------------------------------- */

static void answer_all(struct fixture *f)
{
    static const char *const targets[] = { "/stats", "/cam", "/services/forwarder/all", "/leases",
                                           "/services/dns/all" };

    answer(f, "/v1/status", "200 OK", STATUS);
    answer(f, "/metrics", "200 OK", "# EOF\n");
    answer(f, "/v1/status", "200 OK", STATUS);
    for (unsigned i = 0; i < ARRAY_SIZE(targets); i++)
        answer(f, targets[i], "200 OK", targets[i]);
    answer(f, "/stats", "500 Internal Server Error", "broken\n");
    sim_run(f->sim);
}

static void everything_is_asked_and_put_in(void **state)
{
    struct fixture *f = *state;

    start(f, "bugreport -o x.tar");
    answer_all(f);
    assert_int_equal(f->code, CLI_READY);
    assert_string_equal(f->output_path, "x.tar");
    expect(f, "CONTENTS.txt", "  status.json\n");
    expect(f, "about.json", "\"TestOS\"");
    expect(f, "about.json", FIXTURE_COMMIT);
    expect(f, "status.json", "\"token\":\"[redacted]\"");
    expect(f, "metrics.txt", "# EOF\n");
    expect(f, "check.json", "\"result\":");
    expect(f, "switches/switch-a___-A/stats.json", "/stats");
    expect(f, "switches/switch-a___-A/cam.json", "/cam");
    expect(f, "switches/switch-a___-A/forwards.json", "/services/forwarder/all");
    expect(f, "switches/switch-a___-A/leases.json", "/leases");
    expect(f, "switches/switch-a___-A/dns.json", "/services/dns/all");
    expect(f, "switches/switch-b-v2/stats.json.missing.txt", "answer 500: broken");
    assert_null(file_in(f, "switches/switch-b-v2/cam.json.missing.txt"));
    expect(f, "config.txt.missing.txt", "--config FILE");
    assert_null(file_in(f, "status-file.json"));
}

static void the_service_says_which_configuration_is_its_own(void **state)
{
    static const char status[] = "{\"generation\":1,\"components\":[],\"config\":{\"file\":"
                                 "\"bugreport-own.conf\",\"fileExists\":true}}";
    struct fixture *f = *state;

    put_file("bugreport-own.conf", "api-token = abc\nmtu = 1300\n");
    start(f, "bugreport");
    answer(f, "/v1/status", "200 OK", status);
    answer(f, "/metrics", "200 OK", "# EOF\n");
    answer(f, "/v1/status", "200 OK", status);
    sim_run(f->sim);
    remove("bugreport-own.conf");
    assert_int_equal(f->code, CLI_READY);
    expect(f, "config.txt", "api-token = [redacted]\nmtu = 1300\n");
}

static void the_files_are_listed_before_they_are_written(void **state)
{
    struct fixture *f = *state;

    start(f, "bugreport");
    answer_all(f);
    assert_string_equal(f->output_path, FOLDER ".tar");
    assert_non_null(strstr(f->out, "  status.json\n"));
    assert_true(strstr(f->out, "\nwritten to " FOLDER ".tar\n") > strstr(f->out, "log.txt"));
    assert_string_equal(f->err, "");
}

static void on_standard_output_there_is_only_the_tar(void **state)
{
    struct fixture *f = *state;

    start(f, "bugreport -o -");
    answer_all(f);
    assert_int_equal(f->code, CLI_READY);
    assert_string_equal(f->out, "");
    assert_non_null(strstr(f->err, "  status.json\n"));
    expect(f, "metrics.txt", "# EOF\n");
}

/* ---- without ----------------------------------------------------------------------------- */

static void a_service_that_is_down_is_reported_from_its_files(void **state)
{
    struct fixture *f = *state;

    put_file("bugreport-status.json", "{\"phase\":\"Stopping\"}");
    put_file("bugreport.conf", "api-token = abc\nmtu = 1400\n");
    start_with(f,
               "bugreport --status-file bugreport-status.json --config bugreport.conf "
               "--log bugreport-none.log",
               ST_REFUSED);
    sim_run(f->sim);
    remove("bugreport-status.json");
    remove("bugreport.conf");
    assert_int_equal(f->code, CLI_READY);
    expect(f, "CONTENTS.txt", "The service did not answer");
    expect(f, "status.json.missing.txt", "refused");
    expect(f, "status-file.json", "\"Stopping\"");
    expect(f, "config.txt", "api-token = [redacted]\nmtu = 1400\n");
    expect(f, "log.txt.missing.txt", "bugreport-none.log cannot be read");
    assert_null(file_in(f, "check.json"));
    assert_int_equal(sim_dial_count(f->sim), 1);
}

static void the_default_services_files_need_not_be_named(void **state)
{
    struct fixture *f = *state;

    f->env.default_status_file = "bugreport-default.json";
    put_file("bugreport-default.json", "{\"phase\":\"Stopping\"}");
    start_with(f, "bugreport", ST_REFUSED);
    sim_run(f->sim);
    remove("bugreport-default.json");
    assert_int_equal(f->code, CLI_READY);
    expect(f, "status-file.json", "\"Stopping\"");
}

static void of_a_long_log_the_end_is_put_in(void **state)
{
    struct fixture *f = *state;
    FILE *file = fopen("bugreport-long.log", "wb");

    assert_non_null(file);
    for (unsigned i = 0; i < LOG_MAX + 5; i++)
        assert_int_not_equal(fputc(i < 5 ? 'a' : 'b', file), EOF);
    assert_int_equal(fclose(file), 0);
    start_with(f, "bugreport --log bugreport-long.log", ST_NOTFOUND);
    sim_run(f->sim);
    remove("bugreport-long.log");
    assert_int_equal(f->code, CLI_READY);
    assert_non_null(strstr(f->out, "    1048576  log.txt\n"));
    assert_null(memchr(f->output + f->output_bytes - 2 * BLOCK - LOG_MAX, 'a', LOG_MAX));
}

/* ---- what cannot be written -------------------------------------------------------------- */

static void a_file_that_is_there_is_left_alone(void **state)
{
    struct fixture *f = *state;

    f->create = ST_EXISTS;
    start_with(f, "bugreport --output x.tar", ST_REFUSED);
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_DEGRADED);
    assert_int_equal(f->output_bytes, 0);
    assert_false(f->output_is_discarded);
    assert_non_null(strstr(f->err, "x.tar is there already"));
    assert_non_null(strstr(f->err, "\n  next  "));
}

static void half_a_report_is_removed(void **state)
{
    struct fixture *f = *state;

    f->output_is_full = true;
    start_with(f, "bugreport --output x.tar", ST_REFUSED);
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_DEGRADED);
    assert_true(f->output_is_discarded);
    assert_non_null(strstr(f->err, "cannot write to x.tar"));
}

static void freed_in_any_step_nothing_is_left(void **state)
{
    struct fixture *f = *state;

    for (unsigned steps = 0; steps < 4; steps++) {
        start(f, "bugreport");
        if (steps > 0)
            answer(f, "/v1/status", "200 OK", STATUS);
        if (steps > 1)
            answer(f, "/metrics", "200 OK", "# EOF\n");
        if (steps > 2)
            answer(f, "/v1/status", "200 OK", STATUS);
        sim_run(f->sim);
        cli_free(f->cli);
        f->cli = NULL;
        assert_int_equal(sim_open_streams(f->sim), 0);
        (void)sim_take_dialled(f->sim);
    }
}

#define WITH_SIM(test) \
    cmocka_unit_test_setup_teardown(test, cli_fixture_setup, cli_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SIM(everything_is_asked_and_put_in),
        WITH_SIM(the_service_says_which_configuration_is_its_own),
        WITH_SIM(the_files_are_listed_before_they_are_written),
        WITH_SIM(on_standard_output_there_is_only_the_tar),
        WITH_SIM(a_service_that_is_down_is_reported_from_its_files),
        WITH_SIM(the_default_services_files_need_not_be_named),
        WITH_SIM(of_a_long_log_the_end_is_put_in),
        WITH_SIM(a_file_that_is_there_is_left_alone),
        WITH_SIM(half_a_report_is_removed),
        WITH_SIM(freed_in_any_step_nothing_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
