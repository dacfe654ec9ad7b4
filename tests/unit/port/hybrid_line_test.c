/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "port/uv/hybrid.h"
#include "support/cmocka_all.h"

#include <string.h>

static void hybrid_line_is_parsed_or_refused(void **state)
{
    static const struct {
        const char *word, *line;
        enum hybrid_parse want;
        uint32_t number;
    } rows[] = {
        { "CONNECT", "CONNECT 6660\n", HYBRID_DONE, 6660 },
        { "CONNECT", "CONNECT 0\nrest", HYBRID_DONE, 0 },
        { "CONNECT", "CONNECT 4294967295\n", HYBRID_DONE, UINT32_MAX },
        { "OK", "OK 1073741824\n", HYBRID_DONE, 1u << 30 },
        { "CONNECT", "", HYBRID_MORE, 0 },
        { "CONNECT", "CONN", HYBRID_MORE, 0 },
        { "CONNECT", "CONNECT 66", HYBRID_MORE, 0 },
        { "CONNECT", "CONNECT \n", HYBRID_BAD, 0 },
        { "CONNECT", "CONNECT\n", HYBRID_BAD, 0 },
        { "CONNECT", "CONNECT  1\n", HYBRID_BAD, 0 },
        { "CONNECT", "CONNECT 1\r\n", HYBRID_BAD, 0 },
        { "CONNECT", "CONNECT -1\n", HYBRID_BAD, 0 },
        { "CONNECT", "CONNECT 4294967296\n", HYBRID_BAD, 0 },
        { "CONNECT", "CONNECT 000000000000000000000000000000001\n", HYBRID_BAD, 0 },
        { "CONNECT", "connect 1\n", HYBRID_BAD, 0 },
        { "CONNECT", "GET / HTTP/1.1\r\n", HYBRID_BAD, 0 },
        { "OK", "KO 1\n", HYBRID_BAD, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *newline = strchr(rows[i].line, '\n');
        uint32_t number = 77;
        size_t used = 0;
        enum hybrid_parse got = hybrid_parse_line(rows[i].word, (const uint8_t *)rows[i].line,
                                                  strlen(rows[i].line), &number, &used);

        if (got != rows[i].want)
            fail_msg("\"%s\": %d", rows[i].line, got);
        if (got != HYBRID_DONE)
            continue;
        assert_int_equal(number, rows[i].number);
        assert_int_equal(used, newline - rows[i].line + 1);
    }
}

static void hybrid_line_without_an_end_is_refused_at_its_limit(void **state)
{
    uint8_t line[HYBRID_LINE_MAX];
    uint32_t number;
    size_t used;

    memset(line, '0', sizeof line);
    memcpy(line, "CONNECT ", 8);
    assert_int_equal(hybrid_parse_line("CONNECT", line, sizeof line - 1, &number, &used),
                     HYBRID_MORE);
    assert_int_equal(hybrid_parse_line("CONNECT", line, sizeof line, &number, &used), HYBRID_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hybrid_line_is_parsed_or_refused),
        cmocka_unit_test(hybrid_line_without_an_end_is_refused_at_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
