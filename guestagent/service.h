/* SPDX-License-Identifier: Apache-2.0
 * service.h - what every unit of the agent tells systemd in the same way: lines with a failure
 * logged, a status line, and the watchdog fed from the data loop while its owner says that it
 * works. Runs on: one loop. Owns nothing but a timer.
 */
#ifndef GUESTAGENT_SERVICE_H
#define GUESTAGENT_SERVICE_H

#include "port/loop.h"

#include <stdbool.h>
#include <stdint.h>

/* Lines such as "READY=1"; nothing happens outside systemd. */
void service_notify(const char *lines);
/* @first_lines ("" or "READY=1\n") and STATUS=@summary. */
void service_notify_status(const char *first_lines, const char *summary);

/* False: the owner's own timers have not run lately, the watchdog is left unfed. */
typedef bool service_alive_fn(void *ctx);

struct service_watchdog {
    struct timer timer;
    uint32_t interval_ms; /* 0 = nobody listens */
    service_alive_fn *is_alive;
    void *ctx;
};

/* Sends WATCHDOG=1 at half the interval systemd asked for, from now until the stop. */
void service_watchdog_start(struct service_watchdog *w, struct loop *loop,
                            service_alive_fn *is_alive, void *ctx);
void service_watchdog_stop(struct service_watchdog *w);

#endif
