/* SPDX-License-Identifier: Apache-2.0
 * container_list.h - the published ports in docker's answer to GET /containers/json. Pure.
 *
 * Docker is trusted as root is, but its answers carry what containers say of themselves. So of each
 * entry only port, protocol and an address that parses are taken.
 */
#ifndef GUESTAGENT_CONTAINER_LIST_H
#define GUESTAGENT_CONTAINER_LIST_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONTAINER_PORTS_MAX = 256, CONTAINER_ADDRESS_MAX = 48 };

struct container_port {
    char protocol[4];                    /* "tcp", "udp" */
    char address[CONTAINER_ADDRESS_MAX]; /* "" = every address: 0.0.0.0 and :: are one entry */
    uint16_t number;                     /* of the host, as docker calls the guest */
};

/* In the order of number, protocol, address, each once. */
struct container_ports {
    struct container_port items[CONTAINER_PORTS_MAX];
    unsigned count;
    unsigned at_loopback; /* of them: the guest's network does not lead there by itself */
    unsigned left_out;    /* above the bound */
};

/* ST_PROTO: that is no list of containers. */
enum status container_list_parse(struct container_ports *out, const uint8_t *data,
                                 size_t len_bytes);
bool container_ports_equal(const struct container_ports *a, const struct container_ports *b);

#endif
