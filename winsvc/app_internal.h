/* SPDX-License-Identifier: Apache-2.0
 * app_internal.h - the controller's state, for app.c (life), app_target.c (which guest is behind an
 * endpoint) and app_status.c (what is told) alone. Runs on: the main loop.
 */
#ifndef WINSVC_APP_INTERNAL_H
#define WINSVC_APP_INTERNAL_H

#include "app.h"
#include "base/log.h"
#include "config/config.h"
#include "port/loop.h"
#include "port/process_identity.h"
#include "status/snapshot.h"
#include "wake.h"

struct app_endpoint {
    struct app *app;
    const struct config_endpoint *config; /* borrowed */
    struct docker_service *service;       /* owned */
    char chosen[VM_ID_MAX];               /* guest behind it now; empty = none */
    bool stopped;
};

struct app {
    struct loop *loop;           /* borrowed */
    const struct config *config; /* borrowed; replaced in place by live */
    struct config_live *live;    /* owned */
    struct log_service *logs;    /* borrowed */
    app_done_fn *done;
    void *ctx;
    char program[1024];
    struct access *access;           /* owned */
    struct vm_source *source;        /* owned */
    struct keyring *keys;            /* owned */
    struct vm_manager *manager;      /* owned */
    struct network_service *network; /* owned; NULL = guests get no switch */
    bool network_stopped;
    struct app_endpoint endpoints[CONFIG_MAX_ENDPOINTS];
    unsigned endpoint_count;
    struct status_server *status;    /* owned */
    struct status_file *status_file; /* owned; NULL: none is kept */
    struct status_page *page;        /* owned; NULL: none is wanted */
    struct control_server *control;  /* owned; NULL: there is none */
    struct snapshot *snapshot;       /* owned; scratch of on_refresh() */
    struct condition_set conditions;
    struct process_identity identity; /* ours */
    struct snapshot_clock clock;
    struct timer refresh;
    struct log_limit changes_log; /* a guest decides how often it is ready */
    struct wake wake;
    int64_t started_ms;
    bool stopping;
};

/* Something is different: all of it is looked at once more in this turn of the loop. */
void app_changed(struct app *a);
/* Chooses a guest for each endpoint and tells its docker service (app_target.c). */
void app_update_targets(struct app *a);
/* Where machines are looked for, for a person (app_status.c). */
const char *app_source_text(const struct app *a);
/* A snapshot of everything; logs when readiness is another (app_status.c). @ctx is the app: this is
 * the fill() of struct status_server_ops. */
void app_fill(void *ctx, struct snapshot *out);

#endif
