/* SPDX-License-Identifier: Apache-2.0 */
#include "guestagent/service.h"

#include "base/log.h"
#include "guestagent/sd_notify.h"

#include <stdio.h>

enum { LINES_MAX = 560 };

void service_notify(const char *lines)
{
    enum status st = sd_notify_send(lines);

    if (st != ST_OK && st != ST_NOTFOUND)
        log_warn_limited(LOG_MAIN, "cannot notify systemd: %s", status_text(st));
}

void service_notify_status(const char *first_lines, const char *summary)
{
    char lines[LINES_MAX];

    snprintf(lines, sizeof lines, "%sSTATUS=%s", first_lines, summary);
    service_notify(lines);
}

static void on_timer(void *ctx)
{
    struct service_watchdog *w = ctx;

    timer_start(&w->timer, w->interval_ms / 2);
    if (w->is_alive(w->ctx))
        service_notify("WATCHDOG=1");
    else
        log_error(LOG_MAIN, "timers are stuck; leaving the watchdog unfed");
}

void service_watchdog_start(struct service_watchdog *w, struct loop *loop,
                            service_alive_fn *is_alive, void *ctx)
{
    timer_init(&w->timer, loop, on_timer, w);
    w->is_alive = is_alive;
    w->ctx = ctx;
    w->interval_ms = sd_notify_watchdog_ms();
    if (w->interval_ms >= 2)
        timer_start(&w->timer, w->interval_ms / 2);
}

void service_watchdog_stop(struct service_watchdog *w)
{
    timer_stop(&w->timer);
}
