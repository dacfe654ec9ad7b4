/* SPDX-License-Identifier: Apache-2.0
 * forward_list.h - port forwards as the controller knows them: as texts, as they are told to a
 * switch worker and by it. Those that a guest made at run time, which outlive a worker; those that
 * its containers publish; those of the configuration, when it changes.
 *
 * Protocol and local address are the key, as they are in the switch (switch_forward_add()). Pure.
 */
#ifndef WINSVC_NETWORK_FORWARD_LIST_H
#define WINSVC_NETWORK_FORWARD_LIST_H

#include "base/options.h"
#include "base/status.h"
#include "ipc/channel.h"

#include <stdbool.h>

enum { FORWARD_TEXT_MAX = 64, FORWARD_LIST_MAX = 1024 /* about 130 KiB */ };

struct forward_text { /* the texts of message Forward */
    char protocol[4], local[FORWARD_TEXT_MAX], remote[FORWARD_TEXT_MAX];
};

struct forward_list {
    struct forward_text *items; /* owned */
    unsigned count, cap;
};

/* ST_INVAL: nothing that a switch of ours says, or too long to be kept. */
enum status forward_text_take(struct forward_text *out, const Rdlink__V1__Forward *f);
/* A ForwardChange to send; borrows from @f, which is not changed. */
void forward_text_message(struct forward_text *f, Rdlink__V1__Forward *forward);

/* Adds @f, or replaces the one of its key. ST_FULL, ST_NOMEM. */
enum status forward_list_put(struct forward_list *l, const struct forward_text *f);
/* That of @f's key, if there is one. */
void forward_list_remove(struct forward_list *l, const struct forward_text *f);
/* Told of each difference, all that go before all that come; another status than ST_OK ends it. */
typedef enum status forward_change_fn(void *ctx, const struct forward_text *f, bool removed);
/* *to becomes a copy of @from, also where @change ended it: who could not be told all begins anew.
 * ST_NOMEM: as before, and nothing was told. */
enum status forward_list_become(struct forward_list *to, const struct forward_list *from,
                                forward_change_fn *change, void *ctx);
void forward_list_clear(struct forward_list *l);

/* What turns the specs in @before ("[udp:]HOST:PORT=GUEST:PORT", checked when they were read) into
 * those in @after. */
enum status forward_specs_diff(const struct option_list *before, const struct option_list *after,
                               forward_change_fn *change, void *ctx);

#endif
