/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes a capture's filter: a terminated expression, then the bytes of a frame.
 *
 * Checked: a refusal has a text; what is taken is bounded, and its opposite wants the opposite.
 */
#include "switch/capture_filter.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    const uint8_t *zero = memchr(data, 0, len_bytes);
    size_t n = zero ? (size_t)(zero - data) : len_bytes, frame_bytes = len_bytes - n;
    char text[1024], opposite[1100];
    struct capture_filter f, g;
    struct frame_facts facts;
    struct errmsg e = { "" };

    n = MIN(n, sizeof text - 1);
    memcpy(text, data, n);
    text[n] = '\0';
    if (capture_filter_parse(&f, text, &e)) {
        ASSERT(e.text[0]);
        return 0;
    }
    ASSERT(f.count <= CAPTURE_FILTER_NODES);
    frame_facts_get(&facts, data + len_bytes - frame_bytes, frame_bytes);
    snprintf(opposite, sizeof opposite, "not (%s)", text);
    if (f.count && capture_filter_parse(&g, opposite, &e) == ST_OK)
        ASSERT(capture_filter_wants(&f, &facts) != capture_filter_wants(&g, &facts));
    return 0;
}
