/* SPDX-License-Identifier: Apache-2.0
 * published.h - the ports that a guest's containers publish, as forwards of its switch.
 *
 * What the guest says (message PublishedPorts) is a whole state; where it may listen on this host
 * is this host's decision (enum publish_policy). From one state to the next published_diff() says
 * what is to be removed and made. Pure.
 */
#ifndef WINSVC_NETWORK_PUBLISHED_H
#define WINSVC_NETWORK_PUBLISHED_H

#include "base/ip_addr.h"
#include "base/status.h"

#include <rdlink/v1/control.pb-c.h>

#include <stdbool.h>

enum publish_policy {
    PUBLISH_LOOPBACK, /* 127.0.0.1 and ::1: for programs on this computer */
    PUBLISH_ALL,      /* every address of this computer: for its network too */
    PUBLISH_OFF
};
/* "loopback", "all" or "off". ST_INVAL. */
enum status publish_policy_parse(enum publish_policy *out, const char *text, struct errmsg *e);

enum { PUBLISHED_MAX = 256, PUBLISHED_TEXT_MAX = 64 }; /* ports taken of one message */

struct published_forward { /* the texts of message Forward */
    char protocol[4], local[PUBLISHED_TEXT_MAX], remote[PUBLISHED_TEXT_MAX];
};

struct published_list {
    struct published_forward *items; /* owned */
    unsigned count;
};

/* A copy of no more than what is taken. NULL: no memory. */
Rdlink__V1__PublishedPorts *published_message_copy(const Rdlink__V1__PublishedPorts *msg);
/* NULL is fine. */
void published_message_free(Rdlink__V1__PublishedPorts *msg);

/* *out is replaced. Ports of an address that is not @guest's are left out: nothing leads there.
 * @msg NULL: none. ST_NOMEM. */
enum status published_list_set(struct published_list *out, const Rdlink__V1__PublishedPorts *msg,
                               enum publish_policy policy, const struct ip_addr *guest);
/* *to becomes a copy of @from; @change is told of each difference, removals first. ST_NOMEM: as
 * before, and nothing was told. */
typedef void published_change_fn(void *ctx, const struct published_forward *f, bool removed);
enum status published_diff(struct published_list *to, const struct published_list *from,
                           published_change_fn *change, void *ctx);
void published_list_clear(struct published_list *l);

#endif
