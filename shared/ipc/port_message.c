/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/port_message.h"

#include <stdlib.h>
#include <string.h>

bool port_message_is_sound(const Rdlink__V1__PublishedPort *p)
{
    return (strcmp(p->protocol, "tcp") == 0 || strcmp(p->protocol, "udp") == 0) && p->port >= 1 &&
           p->port <= UINT16_MAX;
}

bool port_message_is_loopback(const Rdlink__V1__PublishedPort *p, struct ip_addr *at)
{
    struct ip_addr address;

    if (ip_addr_parse(&address, p->host_address) != ST_OK || !ip_addr_is_loopback(&address))
        return false;
    if (at)
        *at = address;
    return true;
}

Rdlink__V1__PublishedPorts *port_message_copy(const Rdlink__V1__PublishedPorts *msg,
                                              bool loopback_only)
{
    Rdlink__V1__PublishedPort *taken[PORT_MESSAGE_MAX];
    Rdlink__V1__PublishedPorts cut = RDLINK__V1__PUBLISHED_PORTS__INIT, *copy;
    size_t len_bytes;
    uint8_t *packed;

    cut.ports = taken;
    for (size_t i = 0; i < msg->n_ports && cut.n_ports < PORT_MESSAGE_MAX; i++)
        if (!loopback_only ||
            (port_message_is_sound(msg->ports[i]) && port_message_is_loopback(msg->ports[i], NULL)))
            taken[cut.n_ports++] = msg->ports[i];
    len_bytes = rdlink__v1__published_ports__get_packed_size(&cut);
    packed = malloc(len_bytes + 1);
    if (!packed)
        return NULL;
    rdlink__v1__published_ports__pack(&cut, packed);
    copy = rdlink__v1__published_ports__unpack(NULL, len_bytes, packed);
    free(packed);
    return copy;
}
