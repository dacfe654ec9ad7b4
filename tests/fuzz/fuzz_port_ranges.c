/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes both forms of reserved ports: the first byte says which. Checked: every range is one, and
 * is found by its ends.
 */
#include "base/util.h"
#include "port/port_ranges.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    struct port_ranges r = { .count = 0 };
    char *text;

    if (len_bytes == 0)
        return 0;
    text = malloc(len_bytes);
    ASSERT(text);
    memcpy(text, data + 1, len_bytes - 1);
    text[len_bytes - 1] = '\0';
    if (data[0] & 1)
        port_ranges_add_table(&r, text);
    else
        port_ranges_add_list(&r, text);
    ASSERT(r.count <= PORT_RANGES_MAX);
    for (unsigned i = 0; i < r.count; i++) {
        ASSERT(r.items[i].first > 0 && r.items[i].first <= r.items[i].last);
        ASSERT(port_ranges_find(&r, r.items[i].last));
    }
    free(text);
    return 0;
}
