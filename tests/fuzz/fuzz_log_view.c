/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes what `rdlink logs` makes of a log's files.
 *
 * Checked: what is printed is whole lines without anything that a terminal acts on, and not more of
 * them than were asked for.
 */
#include "base/util.h"
#include "cli/log_view.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static void check(void *ctx, const char *text)
{
    size_t len = strlen(text);

    ASSERT(len && text[len - 1] == '\n');
    for (size_t i = 0; i + 1 < len; i++)
        ASSERT((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
    ++*(unsigned *)ctx;
}

/* The first byte is the options. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    struct log_view_config config = { .last = 3 };
    struct log_view *v = NULL;
    unsigned lines = 0;

    if (!len_bytes)
        return 0;
    config.level = data[0] & 1 ? LOG_TRACE : LOG_WARN;
    config.json = data[0] & 2;
    config.has_component = data[0] & 4;
    ASSERT(log_view_new(&v, &config, check, &lines) == ST_OK);
    log_view_take(v, data + 1, len_bytes - 1);
    log_view_cut(v);
    log_view_flush(v);
    ASSERT(lines <= config.last);
    log_view_take(v, data + 1, len_bytes - 1);
    log_view_free(v);
    return 0;
}
