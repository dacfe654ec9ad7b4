/* SPDX-License-Identifier: Apache-2.0
 * published.h - the ports that guests' containers publish, as forwards of their switches.
 *
 * What a guest says (message PublishedPorts) is a whole state; where it may listen on this host is
 * this host's decision (enum publish_policy). So both are kept, and what becomes of them is made
 * anew when either changes. Pure.
 */
#ifndef WINSVC_NETWORK_PUBLISHED_H
#define WINSVC_NETWORK_PUBLISHED_H

#include "base/ip_addr.h"
#include "base/status.h"
#include "network/forward_list.h"
#include "vm/vm_source.h"

enum publish_policy {
    PUBLISH_LOOPBACK, /* 127.0.0.1 and ::1: for programs on this computer */
    PUBLISH_ALL,      /* every address of this computer: for its network too */
    PUBLISH_OFF
};
/* "loopback", "all" or "off". ST_INVAL. */
enum status publish_policy_parse(enum publish_policy *out, const char *text, struct errmsg *e);

/* *out is replaced. @said is what containers publish, @relayed which of those at the guest's own
 * loopback lead where (NULL of either: none). Of another address than @guest's or a loopback one
 * nothing leads there. A port at the guest's loopback listens at this host's, whatever @policy says
 * but PUBLISH_OFF: its publisher asked for no more. ST_NOMEM. */
enum status published_forwards(struct forward_list *out, const Rdlink__V1__PublishedPorts *said,
                               const Rdlink__V1__PublishedPorts *relayed,
                               enum publish_policy policy, const struct ip_addr *guest);

/* What each machine publishes. All zero: of no machine, PUBLISH_LOOPBACK. */
struct published_table {
    enum publish_policy policy;
    struct ip_addr guest; /* its address in each network */
    struct published_machine {
        char vm_id[VM_ID_MAX];                      /* empty = free */
        Rdlink__V1__PublishedPorts *said, *relayed; /* owned; NULL: nothing yet */
        struct forward_list forwards;               /* what becomes of it */
    } machines[VM_SNAPSHOT_MAX];
};

/* @msg is copied. ST_FULL: too many machines. ST_NOMEM: what was known stays. */
enum status published_table_say(struct published_table *t, const char *vm_id,
                                const Rdlink__V1__PublishedPorts *msg);
/* Which of its loopback ports are relayed; likewise. */
enum status published_table_relay(struct published_table *t, const char *vm_id,
                                  const Rdlink__V1__PublishedPorts *msg);
/* Another policy or address. ST_NOMEM: some machines' forwards stay as they were. */
enum status published_table_set(struct published_table *t, enum publish_policy policy,
                                const struct ip_addr *guest);
/* Borrowed until the next call. NULL: that machine has said nothing. */
const struct forward_list *published_table_find(struct published_table *t, const char *vm_id);
void published_table_forget(struct published_table *t, const char *vm_id);
void published_table_clear(struct published_table *t);

#endif
