/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the line of a hybrid socket. Checked: the verdict does not depend on how the bytes were
 * cut, it comes within HYBRID_LINE_MAX bytes, and what was accepted is the line that was there.
 */
#include "base/util.h"
#include "port/uv/hybrid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static void check(const char *word, const uint8_t *data, size_t len)
{
    uint32_t number = 0, piece_number = 0;
    size_t used = 0, piece_used = 0;
    enum hybrid_parse whole = hybrid_parse_line(word, data, len, &number, &used);
    enum hybrid_parse pieces = HYBRID_MORE;

    for (size_t n = 1; n <= len && pieces == HYBRID_MORE; n++)
        pieces = hybrid_parse_line(word, data, n, &piece_number, &piece_used);
    ASSERT(whole == pieces || (whole == HYBRID_MORE && len == 0));
    ASSERT(whole != HYBRID_MORE || len < HYBRID_LINE_MAX);
    if (whole == HYBRID_DONE) {
        ASSERT(used == piece_used && number == piece_number);
        ASSERT(used <= HYBRID_LINE_MAX && data[used - 1] == '\n');
        ASSERT(strtoul((const char *)data + strlen(word) + 1, NULL, 10) == number);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    check("CONNECT", data, len_bytes);
    check("OK", data, len_bytes);
    return 0;
}
