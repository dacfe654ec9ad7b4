/* SPDX-License-Identifier: Apache-2.0 */
#include "main_run.h"

#include "base/log.h"
#include "port/routes.h"
#include "port/sys.h"
#include "port/uv/loop_uv.h"
#include "port/uv/routes_os.h"

static void on_done(void *ctx, int code)
{
    struct main_run *run = ctx;

    run->exit_code = code;
    loop_uv_stop(run->loop);
}

static void on_mistake(void *ctx, const char *text)
{
    log_error(LOG_CONFIG, "%s", text);
}

/* The log first, so that what follows is in it. */
static enum status start_parts(struct main_run *run, struct errmsg *e)
{
    const struct config *c = &run->config;
    const struct log_service_config logs = { .folder = c->text.log_dir[0] ? c->text.log_dir
                                                                          : run->default_logs,
                                             .max_mib = c->log_max_mib,
                                             .max_age_ms = c->log_max_age_ms,
                                             .keep = c->log_keep };
    enum status st = log_service_new(&run->logs, run->loop, &logs, e);

    if (st == ST_OK)
        st = app_start(&run->app, run->loop, &run->config, &run->input, run->logs, on_done, run, e);
    return st;
}

/* Useful, but no service fails for want of it. */
static void watch_routes(struct main_run *run)
{
    struct errmsg e = { "" };

    if (routes_os_new(&run->routes, run->loop, &e) == ST_OK)
        app_watch_routes(run->app, run->routes);
    else
        log_warn(LOG_MAIN, "changes of this computer's network are not seen: %s", e.text);
}

int main_run_start(struct main_run *run, int argc, const char *const *argv)
{
    struct config_input all_mistakes = { .argc = argc, .argv = argv, .on_error = on_mistake };
    struct errmsg e = { "" };

    log_set_process("controller", sys_pid());
    run->input = (struct config_input){ .argc = argc, .argv = argv };
    if (config_load(&run->config, &all_mistakes, &e) != ST_OK)
        return EXIT_USAGE;
    log_set_levels_text(run->config.text.log_level);
    if (loop_uv_new(&run->loop, &e) != ST_OK) {
        log_error(LOG_MAIN, "event loop: %s", e.text);
        return EXIT_FAILED;
    }
    if (start_parts(run, &e) != ST_OK) {
        log_write_event(LOG_EVENT_START_FAILED, LOG_ERROR, LOG_MAIN, "start: %s", e.text);
        log_service_free(run->logs);
        loop_uv_free(run->loop);
        return EXIT_FAILED;
    }
    watch_routes(run);
    return EXIT_OK;
}

void main_run_wait(struct main_run *run)
{
    loop_uv_run(run->loop);
}

int main_run_finish(struct main_run *run)
{
    app_free(run->app);
    log_service_free(run->logs);
    if (run->routes)
        run->routes->ops->close(run->routes);
    loop_uv_free(run->loop);
    return run->exit_code;
}
