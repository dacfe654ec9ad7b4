/* SPDX-License-Identifier: Apache-2.0
 * `rdlinkd service`: the controller under the service control manager.
 */
#include "main_run.h"

#include "base/log.h"
#include "win/event_log.h"
#include "win/service_install.h"
#include "win/service_main.h"
#include "win/service_plan.h"
#include "win/service_traces.h"

#include <stdio.h>
#include <stdlib.h>

struct service_arguments {
    int argc;
    const char *const *argv;
};

static void on_event(void *ctx, enum service_event event, uint32_t detail)
{
    struct main_run *run = ctx;

    switch (event) {
    case SERVICE_EVENT_STOP: app_stop(run->app); break;
    case SERVICE_EVENT_RESUME:
    case SERVICE_EVENT_SESSION: app_probe_now(run->app); break;
    case SERVICE_EVENT_SUSPEND: break;
    }
}

static void log_set_up(enum status st, const struct errmsg *e)
{
    if (st == ST_OK)
        log_info(LOG_SERVICE, "first start: the service was set up");
    else if (st != ST_EXISTS)
        log_warn(LOG_SERVICE, "the service is not set up as it should be: %s", e->text);
}

/* @events_missing: why nothing goes to the Event Log; NULL = it does. */
static int serve(const struct service_arguments *args, struct service *svc,
                 const char *events_missing)
{
    static struct main_run run; /* some 60 KiB: not on a service thread's stack */
    struct errmsg e = { "" };
    const char *data = getenv("ProgramData");
    enum status set_up;
    int code;

    /* A service has no standard error. */
    if (data)
        snprintf(run.default_logs, sizeof run.default_logs, "%s\\rdlink\\logs", data);
    if (service_traces_check(&e) != ST_OK) {
        log_write_event(LOG_EVENT_START_FAILED, LOG_ERROR, LOG_SERVICE, "start: %s", e.text);
        return EXIT_FAILED;
    }
    set_up = service_configure_self(&e); /* first: the log would make its folder as it likes */
    code = main_run_start(&run, args->argc, args->argv);
    if (code != EXIT_OK)
        return code;
    if (events_missing)
        log_warn(LOG_SERVICE, "nothing is written to the Event Log: %s", events_missing);
    log_set_up(set_up, &e);
    if (service_attach(svc, run.loop, on_event, &run, &e) == ST_OK) {
        service_report_running(svc);
    } else {
        log_error(LOG_SERVICE, "%s", e.text);
        app_stop(run.app);
    }
    main_run_wait(&run);
    service_detach(svc);
    return main_run_finish(&run);
}

/* The Event Log first: it is where a service that does not start is looked for. */
static int run_service(void *ctx, struct service *svc)
{
    struct event_log *events = NULL;
    struct errmsg e = { "" };
    int code;

    (void)event_log_open(&events, &e);
    code = serve(ctx, svc, events ? NULL : e.text);
    event_log_close(events);
    return code;
}

int main_service(int argc, const char *const *argv)
{
    struct service_arguments args = { argc, argv };
    struct errmsg e = { "" };
    enum status st = service_main_run(SERVICE_NAME, run_service, &args, &e);

    if (st == ST_OK)
        return EXIT_OK;
    log_error(LOG_SERVICE, "%s", e.text);
    return st == ST_UNSUPPORTED ? EXIT_USAGE : EXIT_FAILED;
}
