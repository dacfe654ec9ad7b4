/* SPDX-License-Identifier: Apache-2.0
 * access.h - who may use docker and read the status: the virtual machine's owner and the accounts
 * of the configuration, as the descriptor that our pipes carry. Looks for the owner again every few
 * seconds and tells when the descriptor has changed.
 *
 * Elsewhere than on Windows there is nothing to say: sockets are files, and have rights.
 * Owns: its source of users. Runs on: the controller's loop.
 */
#ifndef WINSVC_ACCESS_H
#define WINSVC_ACCESS_H

#include "base/condition.h"
#include "base/options.h"
#include "base/status.h"

#include <stdbool.h>

struct access;
struct loop;
struct snapshot;

struct access_config {
    const struct option_list *grant;         /* accounts; borrowed */
    const struct option_list *distributions; /* whose user is the owner; borrowed */
    const char *users_key;                   /* as vm_users_open() */
};

/* The descriptor has changed; @revokes: somebody who could connect may not any more. */
typedef void access_change_fn(void *ctx, bool revokes);

/* The first descriptor is there at once. ST_NOMEM, ST_INVAL, ST_UNSUPPORTED (accounts where there
 * are no pipes), ST_FULL. */
enum status access_open(struct access **out, struct loop *loop, const struct access_config *config,
                        access_change_fn *fn, void *ctx, struct errmsg *e);
/* Security descriptor string; NULL where there are no pipes. Borrowed until the next change. */
const char *access_sddl(const struct access *a);
/* Somebody logged on or off: look now. */
void access_rescan(struct access *a);
/* Updates the condition OwnerKnown in @own; puts owner and granted accounts into @out, whose
 * instances and endpoints are there already. */
void access_fill(const struct access *a, struct condition_set *own, struct snapshot *out);
/* NULL is fine. */
void access_free(struct access *a);

#endif
