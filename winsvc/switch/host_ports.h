/* SPDX-License-Identifier: Apache-2.0
 * host_ports.h - which ports of the host's loopback a guest reaches through the host alias. Pure.
 */
#ifndef WINSVC_SWITCH_HOST_PORTS_H
#define WINSVC_SWITCH_HOST_PORTS_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { HOST_PORTS_RANGES = 16 };

struct host_ports_list {
    struct {
        uint16_t first, last;
    } ranges[HOST_PORTS_RANGES + 1]; /* room for one of host_ports_deny() */
    unsigned count;
};

struct host_ports {
    enum {
        HOST_PORTS_ALLOW, /* all but those that give the machine away, and .denied */
        HOST_PORTS_DENY,  /* none */
        HOST_PORTS_LIST   /* .listed alone, whichever they are, less .denied */
    } policy;
    struct host_ports_list listed, denied;
};

/* "allow", "deny" or "80,8000-8999": @out->policy and .listed. ST_INVAL says why. */
enum status host_ports_parse(struct host_ports *out, const char *text, struct errmsg *e);
/* "80,8000-8999", "" = none. ST_INVAL says why. */
enum status host_ports_parse_list(struct host_ports_list *out, const char *text, struct errmsg *e);
/* One more that is denied; once. */
void host_ports_deny(struct host_ports *p, uint16_t port);
bool host_ports_allow(const struct host_ports *p, uint16_t port);

#endif
