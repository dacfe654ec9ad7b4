/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the reader of log lines, which come from files and from other processes, and with it the
 * cleaning of text and the levels' grammar.
 *
 * Checked: what is read as a line is printable and comes out the same when it is written and read
 * again; levels that parse are written as text that means the same.
 */
#include "base/log_line.h"
#include "base/util.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static void check_printable(const char *text)
{
    for (; *text; text++)
        ASSERT((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check_line(const char *text, size_t len_bytes)
{
    struct log_line line, again;
    char out[LOG_LINE_MAX];
    size_t n;

    if (!log_line_parse(&line, text, len_bytes))
        return;
    check_printable(line.text);
    check_printable(line.process);
    n = log_line_format(out, &line.record);
    ASSERT(n && out[n - 1] == '\n');
    ASSERT(log_line_parse(&again, out, n - 1));
    ASSERT(!strcmp(again.text, line.text) && !strcmp(again.process, line.process));
    ASSERT(again.record.time_ms == line.record.time_ms && again.record.pid == line.record.pid);
    ASSERT(again.record.level == line.record.level && again.record.event == line.record.event);
}

static void check_clean(const char *raw)
{
    char small[8], large[LOG_TEXT_MAX], again[LOG_TEXT_MAX];

    log_text_clean(small, sizeof small, raw);
    ASSERT(strlen(small) < sizeof small);
    check_printable(small);
    log_text_clean(large, sizeof large, raw);
    check_printable(large);
    log_text_clean(again, sizeof again, large);
    ASSERT(!strcmp(large, again));
}

static void check_levels(const char *raw)
{
    struct log_levels levels = { { 0 } }, again = { { 0 } };
    char text[LOG_LEVELS_MAX];

    if (log_levels_parse(&levels, raw, NULL) != ST_OK)
        return;
    ASSERT(log_levels_parse(&again, log_levels_text(&levels, text), NULL) == ST_OK);
    ASSERT(!memcmp(&levels, &again, sizeof levels));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    static char raw[8192];
    size_t n = MIN(len_bytes, sizeof raw - 1);

    check_line((const char *)data, len_bytes);
    memcpy(raw, data, n);
    raw[n] = '\0';
    check_clean(raw);
    check_levels(raw);
    return 0;
}
