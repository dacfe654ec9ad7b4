/* SPDX-License-Identifier: Apache-2.0
 * forward_memory.h - forwards as texts, as they are told between controller and switch worker:
 * those that a guest made at run time, which have to outlive a worker, and what becomes of those
 * that the configuration lists when it changes. Protocol and local address are the key.
 *
 * Pure. Any thread.
 */
#ifndef WINSVC_NETWORK_FORWARD_MEMORY_H
#define WINSVC_NETWORK_FORWARD_MEMORY_H

#include "base/options.h"
#include "base/status.h"

#include <stdbool.h>

enum { FORWARD_TEXT_MAX = 64, FORWARD_MEMORY_MAX = 1024 };

struct forward_text {
    char protocol[4];             /* "tcp", "udp" */
    char local[FORWARD_TEXT_MAX]; /* "127.0.0.1:80" */
    char remote[FORWARD_TEXT_MAX];
};

/* Zero-initialise; forward_memory_clear() at the end. */
struct forward_memory {
    struct forward_text *items; /* owned */
    unsigned count, cap;
};

/* Replaces the one of the same key. ST_FULL (FORWARD_MEMORY_MAX, or no memory). */
enum status forward_memory_put(struct forward_memory *m, const struct forward_text *f);
/* One that is not there is fine. */
void forward_memory_remove(struct forward_memory *m, const struct forward_text *key);
void forward_memory_clear(struct forward_memory *m);

typedef enum status forward_change_fn(void *ctx, struct forward_text *f, bool removed);
/* What turns the specs in @before ("[udp:]HOST:PORT=GUEST:PORT", checked when they were read) into
 * those in @after: all that go, then all that come. The first status of @fn that is not ST_OK ends
 * it and is returned. */
enum status forward_specs_diff(const struct option_list *before, const struct option_list *after,
                               forward_change_fn *fn, void *ctx);

#endif
