/* SPDX-License-Identifier: Apache-2.0
 * main_run.h - one life of the controller: loop, configuration, app. Used by `rdlinkd run` on a
 * console and by `rdlinkd service` under Windows' service control manager.
 */
#ifndef WINSVC_MAIN_RUN_H
#define WINSVC_MAIN_RUN_H

#include "app.h"
#include "config/config.h"
#include "log_service.h"

/* Exit codes of rdlinkd. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_NOT_RUNNING = 3, EXIT_USAGE = 4 };

struct main_run {
    struct loop *loop;                   /* owned */
    struct app *app;                     /* owned */
    struct log_service *logs;            /* owned */
    struct routes *routes;               /* owned; NULL: changes of the network are not seen */
    char default_logs[OPTION_VALUE_MAX]; /* where log-dir was not said; "" = no file */
    struct config config;
    struct config_input input; /* what it is loaded from */
    int exit_code;
};

/* @argv is borrowed until main_run_finish(). Reads the options and starts everything; EXIT_OK, or
 * the exit code of a failure that has been logged and cleaned up. */
int main_run_start(struct main_run *run, int argc, const char *const *argv);
/* Returns once the app is done. */
void main_run_wait(struct main_run *run);
/* Frees everything; returns the exit code. */
int main_run_finish(struct main_run *run);

/* `rdlinkd service OPTIONS`: as a Windows service; elsewhere an error. Returns the exit code. */
int main_service(int argc, const char *const *argv);
/* `rdlinkd install`, uninstall, start, stop, status, configure: of the Windows service; elsewhere
 * an error. @verb is one of them. Returns the exit code. */
int main_install(const char *verb, int argc, const char *const *argv);

#endif
