/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes addresses and GUIDs. Checked: what parses is written back to text that parses to the same,
 * and what does not parse says why.
 */
#include "base/guid.h"
#include "base/util.h"
#include "port/addr.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static void fuzz_guid(const char *text)
{
    struct guid g, again;
    char buf[GUID_TEXT_MAX];

    if (guid_parse(&g, text) != ST_OK)
        return;
    ASSERT(guid_parse(&again, guid_format(&g, buf)) == ST_OK);
    ASSERT(!memcmp(&g, &again, sizeof g));
}

static void fuzz_addr(const char *text)
{
    struct addr a, again;
    struct addr host_side;
    struct errmsg e = { .text = "" };
    char buf[ADDR_TEXT_MAX];

    if (addr_parse(&a, text, &e) != ST_OK) {
        ASSERT(e.text[0]);
        return;
    }
    ASSERT(addr_parse(&again, addr_format(&a, buf, sizeof buf), &e) == ST_OK);
    ASSERT(addr_equal(&a, &again));
    if (a.kind == ADDR_VSOCK || a.kind == ADDR_HVSOCK || a.kind == ADDR_VSOCK_HYBRID ||
        a.kind == ADDR_TCP_HYBRID) {
        (void)addr_guest_to_host(&host_side, &a, 6656, &e);
        again = addr_at_port(&a, 6660);
        ASSERT(again.port == 6660);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    char text[512];

    if (len_bytes >= sizeof text)
        return 0;
    memcpy(text, data, len_bytes);
    text[len_bytes] = '\0';
    fuzz_addr(text);
    fuzz_guid(text);
    return 0;
}
