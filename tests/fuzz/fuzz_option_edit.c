/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the editor of configuration files. Input: up to the first zero byte a value, then a file.
 *
 * Checked: the result has the key with that value exactly once; without the lines of the key both
 * texts are the same, byte for byte but for a newline at the end of what had none; taking the key
 * out leaves no line of it.
 */
#include "base/option_edit.h"
#include "base/option_line.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static const char key[] = "log-level";

/* Copies all lines but the key's to @out; how many were the key's, and the value of the last. */
static unsigned without_key(const char *text, size_t len, char *out, size_t *out_len,
                            char value[OPTION_VALUE_MAX])
{
    const char *end = text + len;
    unsigned found = 0;

    *out_len = 0;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((newline ? newline : end) - text), at;
        struct option_line l;
        bool good = option_line_read(&l, text, line, &at, NULL) == ST_OK;

        if (l.has_key && !strcmp(l.key, key)) {
            found++;
            if (good)
                memcpy(value, l.value, OPTION_VALUE_MAX);
        } else {
            memcpy(out + *out_len, text, line);
            *out_len += line;
            out[(*out_len)++] = '\n';
        }
        text += line + (newline != NULL);
    }
    return found;
}

/* The same, but for the line end, which is the file's own, of a last line that had none. */
static bool is_kept(const char *before, size_t before_len, const char *after, size_t after_len,
                    bool was_finished)
{
    if (!was_finished && after_len == before_len + 1 && !memcmp(after + after_len - 2, "\r\n", 2))
        return memcmp(before, after, before_len - 1) == 0;
    return before_len == after_len && memcmp(before, after, before_len) == 0;
}

static void check_edit(const char *text, size_t len, const char *value)
{
    static char before[OPTION_FILE_MAX + 2], after[OPTION_FILE_MAX + 2];
    char found[OPTION_VALUE_MAX] = "";
    const char *const values[] = { value };
    size_t before_len, after_len, out_len;
    unsigned count = value != NULL;
    char *out;

    if (option_edit(text, len, key, values, count, &out, &out_len, NULL) != ST_OK)
        return;
    (void)without_key(text, len, before, &before_len, found);
    found[0] = '\0';
    ASSERT(without_key(out, out_len, after, &after_len, found) == count);
    ASSERT(!value || !strcmp(found, value));
    ASSERT(is_kept(before, before_len, after, after_len, !len || text[len - 1] == '\n'));
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    const uint8_t *zero = memchr(data, 0, len_bytes);
    const char *value = (const char *)data;
    const char *text = zero ? (const char *)zero + 1 : (const char *)data;
    size_t len = MIN((size_t)((const char *)data + len_bytes - text), (size_t)OPTION_FILE_MAX);

    check_edit(text, len, NULL);
    if (zero && strlen(value) < OPTION_VALUE_MAX)
        check_edit(text, len, value);
    return 0;
}
