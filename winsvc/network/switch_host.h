/* SPDX-License-Identifier: Apache-2.0
 * switch_host.h - one switch with everything around it, for a process that runs one: the listener
 * (or dialler) of its link, its control socket and its forwards. What `rdlinkd switch` and the
 * switch worker have in common. What it stands on (sockets, resolver) comes in.
 * It watches the host's own network too: after a change the switch is told, and a network of the
 * host's that overlaps with the guest's is logged.
 *
 * Owns: all of it but the environment. Runs on: the environment's loop.
 */
#ifndef WINSVC_NETWORK_SWITCH_HOST_H
#define WINSVC_NETWORK_SWITCH_HOST_H

#include "base/status.h"
#include "link/frame_link.h"
#include "port/addr.h"
#include "switch/switch.h"

#include <stdbool.h>
#include <stdint.h>

struct link_token;
struct option_list;
struct route;
struct routes;
struct switch_host;
struct switch_options;

struct switch_host_config {
    struct switch_config config; /* finished */
    enum frame_protocol protocol;
    struct addr link;
    bool dial;    /* connect to @link, again and again, instead of listening */
    bool has_cid; /* links from another vsock CID are closed */
    uint32_t cid;
    struct addr control; /* ADDR_NONE = no control socket */
    const char *control_sddl;
    bool control_may_fail; /* then the switch does without, and the log says why */
    const struct option_list *forwards;
    struct routes *routes; /* borrowed; NULL = the host's network is not watched */
};

/* @out borrows from @options. ST_INVAL. */
enum status switch_host_config_of(struct switch_host_config *out,
                                  const struct switch_options *options, struct errmsg *e);

/* All may be NULL; called from the loop, never from within a call. */
struct switch_host_ops {
    void (*on_link)(void *ctx);                      /* attached, maybe in the place of another */
    void (*on_link_end)(void *ctx, enum status why); /* there is none now */
    /* The link's listener: ST_OK = accepting again, otherwise it is being healed. */
    void (*on_listen)(void *ctx, enum status st, const char *why);
    void (*on_network_change)(void *ctx); /* of the host; the switch knows already */
};

/* Everything is open when this returns ST_OK (but see control_may_fail); otherwise nothing is left.
 * @env is copied, @ops borrowed. Statuses of listener_open() and switch_new(). */
enum status switch_host_new(struct switch_host **out, const struct switch_env *env,
                            const struct switch_host_config *config,
                            const struct switch_host_ops *ops, void *ctx, struct errmsg *e);
struct switch_ *switch_host_switch(struct switch_host *h);
/* From now on links must begin with @token; NULL: any is taken. A link that there is and that began
 * with none is closed, which on_link_end() tells from within. */
void switch_host_set_token(struct switch_host *h, const struct link_token *token);
uint64_t switch_host_refused_links(const struct switch_host *h);
/* A route of this host that overlaps with the guest's network, or NULL; valid until the loop's next
 * turn. */
const struct route *switch_host_overlap(const struct switch_host *h);
/* NULL is fine. */
void switch_host_free(struct switch_host *h);

#endif
