/* SPDX-License-Identifier: Apache-2.0
 * uplink.h - where the guest's link to the host comes from, and from where again when it is lost.
 *
 * Three ways, and never more than one link at a time:
 *   v2      our host dialled the control port and sent a NetworkOffer: dial its data port
 *   A, B    an unmodified Rancher host sent READY: dial 6656 or 6657; offered only while no v2
 *           host has been there for legacy_after_ms, so that another distribution of the machine
 *           may have those ports
 *   fixed   --link PROTO:ADDR: dial it, for other virtual machines and tests
 * A v2 offer takes the place of an A or B link. A lost link is dialled again at once, then with
 * back-off (100 ms doubling to 5 s, full jitter): without spinning, for ever, as long as the offer
 * stands. A host that asks anew gets a new link when nothing comes over the old one.
 * Owns: control server, handshake servers, the dial. Runs on: one loop.
 */
#ifndef GUESTAGENT_NET_UPLINK_H
#define GUESTAGENT_NET_UPLINK_H

#include "base/status.h"
#include "guestagent/net/guest_net.h"
#include "link/frame_link.h"

#include <stdbool.h>
#include <stdint.h>

struct control_source;
struct loop;
struct net_config;
struct stream;
struct uplink;

/* What came with the link. */
struct uplink_terms {
    enum frame_protocol protocol;
    const char *source; /* "v2", "A", "B", "fixed" */
    struct mac mac;     /* zero = not said */
    bool has_lease;     /* the host said the address, DHCP is not needed */
    struct guest_lease lease;
};

struct uplink_ops {
    /* The callee owns @link, and gives up the one it may still hold. */
    void (*on_link)(void *ctx, struct stream *link, const struct uplink_terms *terms);
    void (*on_change)(void *ctx); /* what uplink_summary() says */
    /* Nothing has come over the link for a while: a host that asks anew may have another one. */
    bool (*is_quiet)(void *ctx);
};

enum uplink_state {
    UPLINK_WAITING,     /* for a host */
    UPLINK_DIALLING,    /* a host listens, or did: the first try */
    UPLINK_UNREACHABLE, /* the last try failed, the next one comes */
    UPLINK_LINKED
};

/* @config and @source are borrowed for life; of @source role, peer, ready_detail and on_offer do
 * not count. Statuses of listener_open() for the control port: nobody else may have that one. The
 * handshake ports may be another distribution's, they are tried again. */
enum status uplink_new(struct uplink **out, struct loop *loop, const struct net_config *config,
                       const struct control_source *source, const struct uplink_ops *ops, void *ctx,
                       struct errmsg *e);
/* The link ended: get another one. */
void uplink_link_ended(struct uplink *u, enum status why);
/* Reports to our host now, over the control channels. */
void uplink_changed(struct uplink *u);
/* Asks the source's publish() and tells our hosts. */
void uplink_publish(struct uplink *u);
enum uplink_state uplink_get_state(const struct uplink *u);
/* For people: "linked by v2", "waiting for a host (ports 6681, 6670, 6669)". Returns @buf. */
const char *uplink_summary(const struct uplink *u, char *buf, size_t cap);
/* NULL is fine. */
void uplink_free(struct uplink *u);

#endif
