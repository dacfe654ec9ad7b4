/* SPDX-License-Identifier: Apache-2.0 */
#include "cli_fixture.h"

#include "base/util.h"
#include "base/version.h"
#include "cli/cli.h"
#include "cli/cli_command.h"
#include "ipc/channel.h"
#include "port/addr.h"
#include "port/sim/stream_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READY_JSON   "{\"ready\":true,\"phase\":\"Ready\",\"later\":[{\"field\":1.50}]}"
#define WAITING_JSON "{\"ready\":false,\"phase\":\"Waiting\"}"

/* Whatever ran before is over. Starts "rdlink WORDS...": words are separated by one space. */
static void start_anew(struct fixture *f, const char *words)
{
    static char copy[512];
    const char *argv[16];
    int argc = 0;

    cli_free(f->cli);
    f->cli = NULL;
    f->out[0] = f->err[0] = '\0';
    snprintf(copy, sizeof copy, "rdlink %s", words);
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
        argv[argc++] = w;
    f->code = CLI_PENDING;
    f->code = cli_start(&f->cli, &f->env, argc, argv);
}

/* Runs it against a service that answers @answer to every request. */
static int run(struct fixture *f, const char *words, const char *answer)
{
    struct sim_peer *service;

    sim_next_dial(f->sim, ST_OK, 0);
    start_anew(f, words);
    sim_run(f->sim);
    service = sim_take_dialled(f->sim);
    assert_non_null(service);
    assert_non_null(strstr(sim_peer_text(service), "GET /v1/status HTTP/1.1\r\n"));
    sim_peer_send_text(service, answer);
    sim_peer_end(service);
    sim_run(f->sim);
    return f->code;
}

static const char *answer_of(const char *line, const char *body)
{
    static char text[1024];

    snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", line, strlen(body),
             body);
    return text;
}

/* ---- what the service says ------------------------------------------------------------- */

static void exit_code_says_how_it_is(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run(f, "status", answer_of("200 OK", READY_JSON)), CLI_READY);
    assert_non_null(strstr(f->out, ": Ready"));
    assert_int_equal(run(f, "status", answer_of("200 OK", WAITING_JSON)), CLI_DEGRADED);
    assert_non_null(strstr(f->out, ": Waiting"));
    assert_string_equal(f->err, "");
}

static void json_is_printed_as_it_came(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run(f, "status --json", answer_of("200 OK", READY_JSON)), CLI_READY);
    assert_string_equal(f->out, READY_JSON "\n");
    assert_int_equal(run(f, "status --json", answer_of("200 OK", WAITING_JSON "\n")), CLI_DEGRADED);
    assert_string_equal(f->out, WAITING_JSON "\n");
}

static void answers_that_are_no_status_count_as_not_running(void **state)
{
    static const char *const rows[] = {
        "",
        "\x16\x03\x01",
        "hello\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ready\":true",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"ready\":true",
        "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"ready\":\"yes\"}",
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 14\r\n\r\n{\"ready\":true}",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (run(f, i % 2 ? "status" : "status --json", rows[i]) != CLI_NOT_RUNNING)
            fail_msg("row %u: exit code %d", i, f->code);
        assert_string_equal(f->out, "");
        assert_non_null(strstr(f->err, "no status from unix:/run/default.sock: "));
        assert_non_null(strstr(f->err, "\n  next  "));
    }
}

static void too_large_an_answer_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run(f, "status", "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n{"),
                     CLI_NOT_RUNNING);
}

static void an_answer_in_pieces_is_the_same(void **state)
{
    struct fixture *f = *state;
    const char *answer = answer_of("200 OK", READY_JSON);
    struct sim_peer *service;

    sim_next_dial(f->sim, ST_OK, 0);
    start_anew(f, "status --json");
    sim_run(f->sim);
    service = sim_take_dialled(f->sim);
    sim_peer_set_piece(service, 1);
    sim_peer_send_text(service, answer);
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_READY);
    assert_string_equal(f->out, READY_JSON "\n");
}

/* ---- no answer ------------------------------------------------------------------------- */

static void failed_dials_are_explained(void **state)
{
    static const struct {
        enum status st;
        int want;
        const char *text;
    } rows[] = {
        { ST_NOTFOUND, CLI_NOT_RUNNING, "not running" },
        { ST_REFUSED, CLI_NOT_RUNNING, "not running" },
        { ST_DENIED, CLI_NO_PERMISSION, "no permission" },
        { ST_RESET, CLI_NOT_RUNNING, "no status" },
        { ST_NOFILES, CLI_NOT_RUNNING, "no status" },
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
        enum status st = rows[i / 2].st;

        if (i % 2) /* at once, or after a while */
            sim_next_dial(f->sim, st, 1);
        else
            sim_next_dial_start_fails(f->sim, st);
        start_anew(f, "status");
        sim_advance_ms(f->sim, 2);
        assert_int_equal(f->code, rows[i / 2].want);
        assert_non_null(strstr(f->err, rows[i / 2].text));
        assert_non_null(strstr(f->err, "\n  next  "));
        assert_string_equal(f->out, "");
    }
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void the_last_words_of_a_service_that_is_gone_are_shown(void **state)
{
    static const char path[] = "cli_test-status.json";
    static const struct {
        const char *words, *file, *want;
    } rows[] = {
        { "status",
          "{\"phase\":\"Degraded\",\"conditions\":[{\"type\":\"Ready\",\"reason\":\"NoGuest\","
          "\"message\":\"no\\u001bguest\"}]}",
          "\n  last  Degraded: NoGuest: no?guest\n" },
        { "status", "{\"phase\":\"Degraded\"}", NULL },
        { "status", "half a sta", NULL },
        { "status", NULL, NULL },
        { "status --address unix:/another",
          "{\"phase\":\"Ready\",\"conditions\":[{\"type\":\"Ready\"}]}", NULL },
    };
    struct fixture *f = *state;

    f->env.default_status_file = path;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("row: %u\n", i);
        if (rows[i].file)
            write_file(path, rows[i].file);
        sim_next_dial(f->sim, ST_REFUSED, 0);
        start_anew(f, rows[i].words);
        sim_run(f->sim);
        remove(path);
        assert_int_equal(f->code, CLI_NOT_RUNNING);
        assert_string_equal(f->out, "");
        if (rows[i].want)
            assert_non_null(strstr(f->err, rows[i].want));
        else
            assert_null(strstr(f->err, "last"));
    }
}

static void a_service_that_never_answers_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct sim_peer *service;

    sim_next_dial(f->sim, ST_OK, 0);
    start_anew(f, "status --timeout 2s");
    sim_run(f->sim);
    service = sim_take_dialled(f->sim);
    sim_peer_send_text(service, "HTTP/1.1 200 OK\r\n");
    sim_advance_ms(f->sim, 1999);
    assert_int_equal(f->code, CLI_PENDING);
    sim_advance_ms(f->sim, 2);
    assert_int_equal(f->code, CLI_NOT_RUNNING);
    assert_non_null(strstr(f->err, "no answer within 2000 ms"));
    assert_true(sim_peer_is_closed(service));
}

static void a_reset_is_reported(void **state)
{
    struct fixture *f = *state;

    sim_next_dial(f->sim, ST_OK, 0);
    start_anew(f, "status");
    sim_run(f->sim);
    sim_peer_reset(sim_take_dialled(f->sim), ST_RESET);
    sim_run(f->sim);
    assert_int_equal(f->code, CLI_NOT_RUNNING);
}

static void freed_while_it_waits_nothing_is_left(void **state)
{
    struct fixture *f = *state;

    sim_next_dial(f->sim, ST_OK, SIM_NEVER);
    start_anew(f, "status");
    cli_free(f->cli);
    f->cli = NULL;
    assert_int_equal(sim_dials_pending(f->sim), 0);
    sim_next_dial(f->sim, ST_OK, 0);
    start_anew(f, "status");
    sim_run(f->sim);
    cli_free(f->cli);
    f->cli = NULL;
    assert_int_equal(sim_open_streams(f->sim), 0);
    assert_int_equal(f->code, CLI_PENDING);
}

/* ---- where it asks --------------------------------------------------------------------- */

static void address_is_chosen_option_first_then_environment(void **state)
{
    static const struct {
        const char *words, *env, *want;
    } rows[] = {
        { "status", NULL, "unix:/run/default.sock" },
        { "status", "", "unix:/run/default.sock" },
        { "status", "unix:/env.sock", "unix:/env.sock" },
        { "status --address unix:/opt.sock", "unix:/env.sock", "unix:/opt.sock" },
        { "status --address=unix:/opt.sock", "not an address", "unix:/opt.sock" },
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct addr want;
        struct sim_peer *service;

        assert_int_equal(addr_parse(&want, rows[i].want, NULL), ST_OK);
        f->env.status_address = rows[i].env;
        sim_next_dial(f->sim, ST_OK, 0);
        start_anew(f, rows[i].words);
        sim_run(f->sim);
        service = sim_take_dialled_to(f->sim, &want);
        if (!service)
            fail_msg("row %u did not ask at %s", i, rows[i].want);
    }
}

static void a_bad_environment_is_a_usage_error_that_names_it(void **state)
{
    struct fixture *f = *state;

    f->env.status_address = "nonsense";
    start_anew(f, "status");
    assert_int_equal(f->code, CLI_USAGE);
    assert_non_null(strstr(f->err, "RDLINK_STATUS"));
}

static void wrong_usage_is_4_and_says_where_help_is(void **state)
{
    static const char *const rows[] = { "",
                                        "stats",
                                        "status now",
                                        "status --jason",
                                        "status --address",
                                        "status --address nonsense",
                                        "status --timeout soon",
                                        "status --timeout 0",
                                        "help nothing" };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        start_anew(f, rows[i]);
        if (f->code != CLI_USAGE)
            fail_msg("row %u: exit code %d", i, f->code);
        assert_non_null(strstr(f->err, "rdlink help"));
        assert_string_equal(f->out, "");
    }
    assert_int_equal(sim_dial_count(f->sim), 0);
}

static void help_fits_80_columns(void **state)
{
    static const char *const rows[] = {
        "help",          "help status",     "help address", "help exit-codes", "--help",
        "status --help", "help completion", "help version", "help capture",    "help help",
        "help ports",    "help bugreport",  "help wait",    "help check",      "help metrics"
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *line;

        start_anew(f, rows[i]);
        assert_int_equal(f->code, CLI_READY);
        assert_string_equal(f->err, "");
        for (line = f->out; *line; line += strcspn(line, "\n") + 1)
            if (strcspn(line, "\n") > 80)
                fail_msg("%s: %s", rows[i], line);
    }
    assert_non_null(strstr(f->out, "--timeout"));
}

static void version_is_the_programs(void **state)
{
    struct fixture *f = *state;
    char want[64];

    start_anew(f, "version");
    snprintf(want, sizeof want, "rdlink %s\n", rdlink_version());
    assert_int_equal(f->code, CLI_READY);
    assert_string_equal(f->out, want);
    start_anew(f, "version --jason");
    assert_int_equal(f->code, CLI_USAGE);
}

static void version_as_json_says_what_was_built(void **state)
{
    struct fixture *f = *state;
    char want[256];

    start_anew(f, "version --json");
    snprintf(want, sizeof want,
             "{\"name\":\"rdlink\",\"version\":\"%s\",\"commit\":\"" FIXTURE_COMMIT
             "\",\"apiVersion\":\"rdlink.v1\",\"protocol\":{\"major\":%d,\"minor\":%d},"
             "\"build\":\"" FIXTURE_BUILD "\"}\n",
             rdlink_version(), IPC_MAJOR, IPC_MINOR);
    assert_int_equal(f->code, CLI_READY);
    assert_string_equal(f->out, want);
}

static void every_completion_has_every_command_option_and_word(void **state)
{
    static const char *const shells[] = { "bash", "zsh", "fish", "powershell" };
    struct fixture *f = *state;
    char words[64];

    for (unsigned i = 0; i < ARRAY_SIZE(shells); i++) {
        snprintf(words, sizeof words, "completion %s", shells[i]);
        start_anew(f, words);
        assert_int_equal(f->code, CLI_READY);
        for (unsigned c = 0; c < cli_command_count; c++) {
            const struct cli_command *command = cli_commands[c];

            if (!strstr(f->out, command->name))
                fail_msg("%s: no %s", shells[i], command->name);
            for (size_t o = 0; o < command->option_count; o++)
                if (!strstr(f->out, command->options[o].key))
                    fail_msg("%s: no --%s", shells[i], command->options[o].key);
        }
        assert_non_null(strstr(f->out, "powershell"));
        assert_non_null(strstr(f->out, "exit-codes"));
    }
}

static void completion_of_no_known_shell_says_which_there_are(void **state)
{
    static const char *const rows[] = { "completion", "completion tcsh", "completion bash zsh" };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        start_anew(f, rows[i]);
        assert_int_equal(f->code, CLI_USAGE);
        assert_string_equal(f->out, "");
        assert_non_null(strstr(f->err, "rdlink help completion"));
    }
    start_anew(f, rows[1]);
    assert_non_null(strstr(f->err, "bash|zsh|fish|powershell"));
}

static void words_are_lists_only_where_a_value_is_nothing_else(void **state)
{
    static const struct {
        const char *name, *words;
    } rows[] = {
        { "warn|off|deny", "warn|off|deny" },
        { "FILE|-", NULL },
        { "[PART/]CONDITION[=VALUE]", NULL },
        { "file", NULL },
        { NULL, NULL },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct option o = { .key = "x", .value_name = rows[i].name };
        const char *words = cli_option_words(&o);

        if (rows[i].words)
            assert_string_equal(words, rows[i].words);
        else
            assert_null(words);
    }
}

#define WITH_SIM(test) \
    cmocka_unit_test_setup_teardown(test, cli_fixture_setup, cli_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SIM(exit_code_says_how_it_is),
        WITH_SIM(json_is_printed_as_it_came),
        WITH_SIM(answers_that_are_no_status_count_as_not_running),
        WITH_SIM(too_large_an_answer_is_refused),
        WITH_SIM(an_answer_in_pieces_is_the_same),
        WITH_SIM(failed_dials_are_explained),
        WITH_SIM(the_last_words_of_a_service_that_is_gone_are_shown),
        WITH_SIM(a_service_that_never_answers_is_given_up),
        WITH_SIM(a_reset_is_reported),
        WITH_SIM(freed_while_it_waits_nothing_is_left),
        WITH_SIM(address_is_chosen_option_first_then_environment),
        WITH_SIM(a_bad_environment_is_a_usage_error_that_names_it),
        WITH_SIM(wrong_usage_is_4_and_says_where_help_is),
        WITH_SIM(help_fits_80_columns),
        WITH_SIM(version_is_the_programs),
        WITH_SIM(version_as_json_says_what_was_built),
        WITH_SIM(every_completion_has_every_command_option_and_word),
        WITH_SIM(completion_of_no_known_shell_says_which_there_are),
        cmocka_unit_test(words_are_lists_only_where_a_value_is_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
