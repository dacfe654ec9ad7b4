/* SPDX-License-Identifier: Apache-2.0
 * `rdlink report` and `rdlink page`: what is saved and printed, with a service and without.
 */
#include "cli_fixture.h"

#include "cli/status_history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS(n)                                                                       \
    "{\"ready\":true,\"generation\":" n ",\"source\":{\"address\":\"/home/anna/vms\"}," \
    "\"x\":\"</script>\",\"big\":9007199254740993}"
#define SAVED(n)                                                                          \
    "{\"ready\":true,\"generation\":" n ",\"source\":{\"address\":\"/home/[user]/vms\"}," \
    "\"x\":\"\\u003c/script\\u003e\",\"big\":9007199254740993}"
#define AT "{\"at\":1795309200000,\"status\":"

/* ---- what is saved ----------------------------------------------------------------------- */

static const char *saved(struct fixture *f)
{
    assert_true(f->output_bytes < sizeof f->output);
    f->output[f->output_bytes] = '\0';
    return (const char *)f->output;
}

static void expect_saved(struct fixture *f, const char *from, const char *history)
{
    char want[4096];

    snprintf(want, sizeof want,
             "id=\"data\">{\"savedAt\":1795309200000,\"from\":\"%s\",\"history\":[%s]}</script>",
             from, history);
    if (!strstr(saved(f), want))
        fail_msg("the page has no '%s'", want);
    assert_true(strstr(saved(f), "<!doctype html>") == saved(f));
    assert_string_equal(saved(f) + f->output_bytes - strlen("</html>\n"), "</html>\n");
}

static void one_status_is_enough(void **state)
{
    struct fixture *f = *state;

    start(f, "report --html -o x.html");
    answer(f, "/v1/status", "200 OK", STATUS("1"));
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_READY);
    assert_string_equal(f->output_path, "x.html");
    assert_string_equal(f->out, "written to x.html: open it in a browser\n");
    expect_saved(f, "service", AT SAVED("1") "}");
}

static void the_name_says_when(void **state)
{
    struct fixture *f = *state;

    start(f, "report --html");
    answer(f, "/v1/status", "200 OK", STATUS("1"));
    sim_run(f->sim);
    assert_string_equal(f->output_path, "rdlink-report-20261122T010000Z.html");
}

static void on_standard_output_there_is_only_the_page(void **state)
{
    struct fixture *f = *state;

    start(f, "report --html -o -");
    answer(f, "/v1/status", "200 OK", STATUS("1"));
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_READY);
    assert_string_equal(f->out, "");
    assert_string_equal(f->err, "");
}

static void with_time_each_change_is_gathered(void **state)
{
    struct fixture *f = *state;

    start(f, "report --html --for 10s -o x.html");
    answer(f, "/v1/status", "200 OK", STATUS("1"));
    answer(f, "/v1/status?wait=25000ms&since=1", "200 OK", STATUS("2"));
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_PENDING);
    sim_advance_ms(f->sim, 10001);
    assert_int_equal(f->code, CLI_READY);
    expect_saved(f, "service", AT SAVED("1") "},\n" AT SAVED("2") "}");
}

static void a_gap_is_one_whatever_its_length(void **state)
{
    struct fixture *f = *state;

    start(f, "report --html --for 10s -o x.html");
    answer_then(f, "/v1/status", "200 OK", STATUS("1"), ST_REFUSED);
    for (unsigned i = 0; i < 4; i++) {
        sim_advance_ms(f->sim, 501);
        sim_next_dial(f->sim, ST_REFUSED, 0);
    }
    sim_advance_ms(f->sim, 10001);
    assert_int_equal(f->code, CLI_READY);
    expect_saved(f, "service", AT SAVED("1") "},\n" AT "null}");
}

/* ---- without a service ------------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void a_dead_service_is_reported_from_its_file(void **state)
{
    struct fixture *f = *state;

    write_file("report-status.json", STATUS("7") "\n");
    start_with(f, "report --html -o x.html --status-file report-status.json", ST_REFUSED);
    sim_run(f->sim);
    remove("report-status.json");
    assert_int_equal(f->code, CLI_READY);
    expect_saved(f, "file", AT "null},\n" AT SAVED("7") "},\n" AT "null}");
}

static void the_default_services_file_need_not_be_named(void **state)
{
    struct fixture *f = *state;

    f->env.default_status_file = "report-default.json";
    write_file("report-default.json", STATUS("7") "\n");
    start_with(f, "report --html -o x.html --address unix:/another", ST_REFUSED);
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_NOT_RUNNING);
    cli_free(f->cli);
    start_with(f, "report --html -o x.html", ST_REFUSED);
    sim_run(f->sim);
    remove("report-default.json");
    assert_int_equal(f->code, CLI_READY);
    expect_saved(f, "file", AT "null},\n" AT SAVED("7") "},\n" AT "null}");
}

static void a_hung_service_is_reported_from_its_file(void **state)
{
    struct fixture *f = *state;

    write_file("report-hung.json", STATUS("7"));
    start_with(f, "report --html --timeout 1s -o x.html --status-file report-hung.json", ST_OK);
    sim_advance_ms(f->sim, 1001);
    remove("report-hung.json");
    assert_int_equal(f->code, CLI_READY);
    expect_saved(f, "file", AT SAVED("7") "},\n" AT "null}");
}

static void a_file_that_is_no_status_is_refused(void **state)
{
    static const char *const texts[] = { "", "{}", "no", "[]", STATUS("1") "]", "{\"ready\":1}" };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        write_file("report-bad.json", texts[i]);
        start_with(f, "report --html -o x.html --status-file report-bad.json", ST_REFUSED);
        sim_run(f->sim);
        remove("report-bad.json");
        assert_int_equal(f->code, CLI_NOT_RUNNING);
        assert_int_equal(f->output_bytes, 0);
        assert_true(has(f->err, "report-bad.json is no status"));
        cli_free(f->cli);
        f->cli = NULL;
        f->err[0] = '\0';
    }
}

static void without_anything_the_reason_is_told(void **state)
{
    struct fixture *f = *state;

    start_with(f, "report --html", ST_REFUSED);
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_NOT_RUNNING);
    assert_true(has(f->err, "the service is not running"));
    assert_int_equal(f->output_bytes, 0);
}

static void no_permission_is_told_at_once(void **state)
{
    struct fixture *f = *state;

    start_with(f, "report --html --for 1h", ST_DENIED);
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_NO_PERMISSION);
}

/* ---- what cannot be written -------------------------------------------------------------- */

static void a_file_that_is_there_is_left_alone(void **state)
{
    struct fixture *f = *state;

    f->create = ST_EXISTS;
    start(f, "report --html -o x.html");
    answer(f, "/v1/status", "200 OK", STATUS("1"));
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_DEGRADED);
    assert_true(has(f->err, "x.html is there already"));
    assert_false(f->output_is_discarded);
}

static void half_a_report_is_removed(void **state)
{
    struct fixture *f = *state;

    f->output_is_full = true;
    start(f, "report --html -o x.html");
    answer(f, "/v1/status", "200 OK", STATUS("1"));
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_DEGRADED);
    assert_true(f->output_is_discarded);
}

static void the_form_must_be_said(void **state)
{
    struct fixture *f = *state;
    const char *argv[] = { "rdlink", "report" };

    assert_int_equal(cli_start(&f->cli, &f->env, 2, argv), CLI_USAGE);
    assert_true(has(f->err, "rdlink report --html"));
}

/* ---- the history's bounds ---------------------------------------------------------------- */

static bool count_moments(void *ctx, const void *data, size_t len_bytes)
{
    if (len_bytes >= 9 && !memcmp((const char *)data + len_bytes - 9, "\"status\":", 9))
        ++*(unsigned *)ctx;
    return true;
}

static unsigned moments_in(const struct status_history *h)
{
    unsigned n = 0;

    assert_true(status_history_save(h, 1, "service", count_moments, &n));
    return n;
}

static void at_its_bounds_the_oldest_goes(void **state)
{
    struct status_history *h = status_history_new();
    char *large = malloc(STATUS_HISTORY_BYTES_MAX + 1);

    assert_non_null(h);
    assert_non_null(large);
    memset(large, ' ', STATUS_HISTORY_BYTES_MAX + 1);
    for (unsigned i = 0; i < STATUS_HISTORY_MAX + 10; i++)
        assert_int_equal(status_history_add(h, i, "{}", 2), ST_OK);
    assert_int_equal(status_history_answers(h), STATUS_HISTORY_MAX);
    assert_int_equal(moments_in(h), STATUS_HISTORY_MAX);
    assert_int_equal(status_history_add(h, 1, large, STATUS_HISTORY_BYTES_MAX + 1), ST_FULL);
    assert_int_equal(status_history_answers(h), STATUS_HISTORY_MAX);
    assert_int_equal(status_history_add(h, 1, large, STATUS_HISTORY_BYTES_MAX - 4), ST_OK);
    assert_int_equal(status_history_answers(h), 3);
    assert_int_equal(status_history_add(h, 1, NULL, 0), ST_OK);
    assert_int_equal(status_history_add(h, 2, NULL, 0), ST_OK);
    assert_int_equal(moments_in(h), 4);
    assert_int_equal(status_history_answers(h), 3);
    free(large);
    status_history_free(h);
}

/* ---- rdlink page ------------------------------------------------------------------------- */

#define PAGE(served, message)                     \
    "{\"page\":{\"url\":\"http://127.0.0.1:8080/" \
    "\",\"tokenFile\":\"page-token.txt\",\"served\":" served ",\"message\":" message "}}"

static void the_page_s_address_has_the_token(void **state)
{
    static const struct {
        const char *status, *token;
        int code;
        const char *out, *err;
    } rows[] = {
        { PAGE("true", "null"), "0a1b\n", CLI_READY, "http://127.0.0.1:8080/#token=0a1b\n", "" },
        { PAGE("true", "null"), "0a1b\r\n", CLI_READY, "http://127.0.0.1:8080/#token=0a1b\n", "" },
        { PAGE("true", "null"), "", CLI_DEGRADED, "", "there is no token" },
        { PAGE("true", "null"), "0a1b x\n", CLI_DEGRADED, "", "there is no token" },
        { PAGE("true", "null"), NULL, CLI_NO_PERMISSION, "", "cannot be read" },
        { PAGE("false", "\"in use\""), "0a\n", CLI_DEGRADED, "", "not served: in use" },
        { "{\"page\":null}", "0a\n", CLI_DEGRADED, "", "--page tcp:127.0.0.1:PORT" },
        { "{}", "0a\n", CLI_DEGRADED, "", "--page tcp:127.0.0.1:PORT" },
        { "no", "0a\n", CLI_NOT_RUNNING, "", "no status from" },
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].token)
            write_file("page-token.txt", rows[i].token);
        start(f, "page");
        answer(f, "/v1/status", "200 OK", rows[i].status);
        sim_run(f->sim);
        remove("page-token.txt");
        assert_int_equal(f->code, rows[i].code);
        assert_string_equal(f->out, rows[i].out);
        assert_true(has(f->err, rows[i].err));
        cli_free(f->cli);
        f->cli = NULL;
        f->out[0] = f->err[0] = '\0';
    }
}

static void freed_while_it_gathers_nothing_is_left(void **state)
{
    struct fixture *f = *state;

    start(f, "report --html --for 1h");
    answer(f, "/v1/status", "200 OK", STATUS("1"));
    sim_run(f->sim);
    cli_free(f->cli);
    f->cli = NULL;
    assert_int_equal(sim_open_streams(f->sim), 0);
    (void)sim_take_dialled(f->sim);
}

#define WITH_SIM(test) \
    cmocka_unit_test_setup_teardown(test, cli_fixture_setup, cli_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SIM(one_status_is_enough),
        WITH_SIM(the_name_says_when),
        WITH_SIM(on_standard_output_there_is_only_the_page),
        WITH_SIM(with_time_each_change_is_gathered),
        WITH_SIM(a_gap_is_one_whatever_its_length),
        WITH_SIM(a_dead_service_is_reported_from_its_file),
        WITH_SIM(the_default_services_file_need_not_be_named),
        WITH_SIM(a_hung_service_is_reported_from_its_file),
        WITH_SIM(a_file_that_is_no_status_is_refused),
        WITH_SIM(without_anything_the_reason_is_told),
        WITH_SIM(no_permission_is_told_at_once),
        WITH_SIM(a_file_that_is_there_is_left_alone),
        WITH_SIM(half_a_report_is_removed),
        WITH_SIM(the_form_must_be_said),
        WITH_SIM(the_page_s_address_has_the_token),
        WITH_SIM(freed_while_it_gathers_nothing_is_left),
        cmocka_unit_test(at_its_bounds_the_oldest_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
