/* SPDX-License-Identifier: Apache-2.0
 * switch_host.h - one switch with everything it stands on, for a process that runs one: the host's
 * sockets, the resolver, the listener (or dialler) of its link, its control socket and forwards.
 * What `rdlinkd switch` and the switch worker have in common.
 *
 * Owns: all of it. Runs on: the given loop.
 */
#ifndef WINSVC_NETWORK_SWITCH_HOST_H
#define WINSVC_NETWORK_SWITCH_HOST_H

#include "base/status.h"
#include "link/frame_link.h"
#include "port/addr.h"
#include "switch/switch.h"

#include <stdbool.h>

struct loop;
struct option_list;
struct switch_host;

struct switch_host_config {
    struct switch_config config; /* finished */
    enum frame_protocol protocol;
    struct addr link;
    bool dial;    /* connect to @link, again and again, instead of listening */
    bool has_cid; /* links from another vsock CID are closed */
    uint32_t cid;
    struct addr control; /* ADDR_NONE = no control socket */
    const char *control_sddl;
    const struct option_list *forwards;
};

/* Both may be NULL. */
struct switch_host_ops {
    void (*on_link)(void *ctx);                                    /* a link was attached */
    void (*on_listen)(void *ctx, enum status st, const char *why); /* of the link's listener */
};

/* Everything is open when this returns ST_OK; otherwise nothing is left. */
enum status switch_host_new(struct switch_host **out, struct loop *loop,
                            const struct switch_host_config *config,
                            const struct switch_host_ops *ops, void *ctx, struct errmsg *e);
struct switch_ *switch_host_switch(struct switch_host *h);
/* NULL is fine. */
void switch_host_free(struct switch_host *h);

#endif
