/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cmocka_all.h"

#include "base/man_page.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

static char page[4096];

static void print(void *ctx, const char *text)
{
    size_t len = strlen(page);

    assert_true(len + strlen(text) < sizeof page);
    snprintf(page + len, sizeof page - len, "%s", text);
}

static struct man_page begin(void)
{
    page[0] = '\0';
    return (struct man_page){ .print = print };
}

static void what_means_something_to_roff_is_escaped(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        { "plain", "plain\n" },
        { "a-b", "a\\-b\n" },
        { "\\\\.\\pipe", "\\e\\e.\\epipe\n" },
        { ".br", "\\&.br\n" },
        { "'quoted'", "\\(aqquoted\\(aq\n" },
        { "`x` ~ ^ \"", "\\(gax\\(ga \\(ti \\(ha \\(dq\n" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct man_page m = begin();

        man_page_text(&m, rows[i].text);
        assert_string_equal(page, rows[i].want);
    }
}

static void long_text_is_cut_at_blanks_and_a_line_never_begins_a_request(void **state)
{
    char text[400] = "";
    struct man_page m = begin();
    const char *line;

    for (unsigned i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s.word", i ? " " : "");
    man_page_text(&m, text);
    for (line = page; *line; line += strcspn(line, "\n") + 1) {
        assert_true(strcspn(line, "\n") <= 80);
        assert_true(*line != '.');
    }
}

static void an_option_has_its_value_and_its_default(void **state)
{
    static const struct option table[] = {
        { .key = "mtu",
          .kind = OPTION_UINT,
          .fallback = "1500",
          .value_name = "N",
          .help = "of the interface" },
        { .key = "dry-run", .kind = OPTION_FLAG, .help = "only say so" },
    };
    struct man_page m = begin();

    man_page_options(&m, table, ARRAY_SIZE(table));
    assert_string_equal(page, ".TP\n\\fB\\-\\-mtu\\fR \\fIN\\fR\nof the interface\n.br\n"
                              "Default: 1500\n"
                              ".TP\n\\fB\\-\\-dry\\-run\\fR\nonly say so\n");
}

static void paragraphs_are_apart_but_not_from_their_heading(void **state)
{
    struct man_page m = begin();

    man_page_section(&m, "NOTES");
    man_page_text(&m, "one");
    man_page_lines(&m, "two\n  three");
    assert_string_equal(page, ".SH \"NOTES\"\none\n.PP\n.nf\ntwo\n  three\n.fi\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_means_something_to_roff_is_escaped),
        cmocka_unit_test(long_text_is_cut_at_blanks_and_a_line_never_begins_a_request),
        cmocka_unit_test(an_option_has_its_value_and_its_default),
        cmocka_unit_test(paragraphs_are_apart_but_not_from_their_heading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
