/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes what takes secrets out of a bug report.
 *
 * Checked: it ends within its bounds whatever the text; and a value of any bytes under the key of a
 * secret is wholly gone, as a string of JSON and as a line of a configuration file.
 */
#include "base/util.h"
#include "cli/redact.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static const struct redact_names names = { "/home/anna", { "anna", "berg" } };

static void expect(const char *text, size_t len, bool is_json, const char *want)
{
    size_t out_len;
    char *out = redact(text, len, &names, is_json, &out_len);

    ASSERT(out && !strcmp(out, want) && strlen(out) == out_len);
    free(out);
}

static void as_json(const uint8_t *data, size_t len_bytes)
{
    static const char begin[] = "{\"token\":\"", end[] = "\"}";
    char *text = malloc(sizeof begin + sizeof end + 2 * len_bytes);
    size_t n = sizeof begin - 1;

    ASSERT(text);
    memcpy(text, begin, n);
    for (size_t i = 0; i < len_bytes; i++) {
        if (data[i] == '"' || data[i] == '\\')
            text[n++] = '\\';
        text[n++] = (char)(data[i] < ' ' ? '?' : data[i]);
    }
    memcpy(text + n, end, sizeof end - 1);
    expect(text, n + sizeof end - 1, true, "{\"token\":\"[redacted]\"}");
    free(text);
}

/* A value that begins with a quote ends with one, and another text may follow. */
static void as_line(const uint8_t *data, size_t len_bytes)
{
    static const char begin[] = "token = x", end[] = "\nmtu = 1";
    char *text = malloc(sizeof begin + sizeof end + len_bytes);
    size_t n = sizeof begin - 1;

    ASSERT(text);
    memcpy(text, begin, n);
    for (size_t i = 0; i < len_bytes; i++)
        text[n++] = (char)(data[i] == '\n' || data[i] == '\r' ? '?' : data[i]);
    memcpy(text + n, end, sizeof end - 1);
    expect(text, n + sizeof end - 1, false, "token = [redacted]\nmtu = 1");
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    for (int is_json = 0; is_json <= 1; is_json++) {
        size_t len;
        char *out = redact((const char *)data, len_bytes, &names, is_json, &len);

        ASSERT(out && out[len] == '\0');
        free(out);
    }
    as_json(data, len_bytes);
    as_line(data, len_bytes);
    return 0;
}
