/* SPDX-License-Identifier: Apache-2.0
 * port_ranges.h - ports that the system keeps for itself, as it writes them down. Pure.
 */
#ifndef SHARED_PORT_PORT_RANGES_H
#define SHARED_PORT_PORT_RANGES_H

#include <stdint.h>

enum { PORT_RANGES_MAX = 256 };

struct port_range {
    uint16_t first, last;
};

struct port_ranges {
    struct port_range items[PORT_RANGES_MAX]; /* in the order in which they were written */
    unsigned count;                           /* more than there is room for are left out */
};

/* Linux' net.ipv4.ip_local_reserved_ports: "8080,9000-9010\n". What is no range is left out. */
void port_ranges_add_list(struct port_ranges *r, const char *text);
/* The table of `netsh interface ipv4 show excludedportrange`, in whichever language: the lines that
 * begin with two ports. */
void port_ranges_add_table(struct port_ranges *r, const char *text);
/* The first range that has @port; NULL: none. */
const struct port_range *port_ranges_find(const struct port_ranges *r, uint16_t port);

#endif
