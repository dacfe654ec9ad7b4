/* SPDX-License-Identifier: Apache-2.0
 * Fuzzes the reading of docker's list of containers: within its bounds, in order, each port once.
 */
#include "base/util.h"
#include "guestagent/container_list.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
    struct container_ports l;

    if (container_list_parse(&l, data, len_bytes) != ST_OK)
        return 0;
    ASSERT(l.count <= CONTAINER_PORTS_MAX && (l.left_out == 0 || l.count == CONTAINER_PORTS_MAX));
    for (unsigned i = 0; i < l.count; i++) {
        ASSERT(l.items[i].number > 0);
        ASSERT(!strcmp(l.items[i].protocol, "tcp") || !strcmp(l.items[i].protocol, "udp"));
        ASSERT(memchr(l.items[i].address, '\0', sizeof l.items[i].address));
        ASSERT(i == 0 || l.items[i - 1].number <= l.items[i].number);
    }
    return 0;
}
