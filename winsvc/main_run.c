/* SPDX-License-Identifier: Apache-2.0 */
#include "main_run.h"

#include "base/log.h"
#include "port/sys.h"
#include "port/uv/loop_uv.h"

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
    if (app_start(&run->app, run->loop, &run->config, &run->input, on_done, run, &e) != ST_OK) {
        log_write_event(LOG_EVENT_START_FAILED, LOG_ERROR, LOG_MAIN, "start: %s", e.text);
        loop_uv_free(run->loop);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

void main_run_wait(struct main_run *run)
{
    loop_uv_run(run->loop);
}

int main_run_finish(struct main_run *run)
{
    app_free(run->app);
    loop_uv_free(run->loop);
    return run->exit_code;
}
