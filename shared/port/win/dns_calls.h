/* SPDX-License-Identifier: Apache-2.0
 * dns_calls.h - calls of dnsapi.dll that are under way, whose callbacks come on threads of the
 * system's: counts them, and hands what they bring to the loop; and finds the functions. Private to
 * port/win. Runs on: the loop's thread, but dns_calls_end().
 */
#ifndef SHARED_PORT_WIN_DNS_CALLS_H
#define SHARED_PORT_WIN_DNS_CALLS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct completion;
struct completion_queue;
struct loop;

struct dns_calls {
    struct completion_queue *queue; /* owned */
    uv_mutex_t lock;
    uv_cond_t quiet;    /* in_flight became 0 */
    unsigned in_flight; /* under the lock: calls whose callback is to come or runs */
};

/* ST_NOMEM, ST_NOFILES. */
enum status dns_calls_init(struct dns_calls *c, struct loop *loop);
/* What was handed over and has not run is forgotten. */
void dns_calls_fini(struct dns_calls *c);
/* A call begins; it ends by dns_calls_end(), or by dns_calls_undo() where there was none after all.
 */
void dns_calls_begin(struct dns_calls *c);
void dns_calls_undo(struct dns_calls *c);
/* Any thread. @done runs on the loop, and what it is part of may be gone from here on. */
void dns_calls_end(struct dns_calls *c, struct completion *done);
/* Until no call is under way, 5 s at most. False: one did not come back, and what the system may
 * still write to has to stay. */
bool dns_calls_wait(struct dns_calls *c);

/* A function of dnsapi.dll, which stays loaded for the life of the process. */
struct dns_function {
    const char *name;
    void (**to)(void);
};
/* ST_UNSUPPORTED: this Windows lacks one. */
enum status dns_functions_load(const struct dns_function *functions, size_t count);

#endif
