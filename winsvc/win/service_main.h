/* SPDX-License-Identifier: Apache-2.0
 * service_main.h - the program as a Windows service: talks to the service control manager (SCM) on
 * its threads, hands what happens to the program's loop.
 *
 * Life: service_main_run() registers with the SCM and calls run() on a thread of the SCM's. run()
 * starts the program, attaches its loop, reports RUNNING, and returns the exit code once stopped;
 * STOPPED is reported after it. While starting and stopping, check-points are sent by themselves.
 */
#ifndef WINSVC_WIN_SERVICE_MAIN_H
#define WINSVC_WIN_SERVICE_MAIN_H

#include "base/status.h"

#include <stdint.h>

struct loop;
struct service;

enum service_event {
    SERVICE_EVENT_STOP,    /* also system shutdown and pre-shutdown: end within 5 s */
    SERVICE_EVENT_SUSPEND, /* the machine is about to sleep */
    SERVICE_EVENT_RESUME,  /* it woke up: probe every link now, do not wait for keep-alives */
    SERVICE_EVENT_SESSION  /* a user logged on or off; @detail is the session's number */
};

/* On the attached loop. */
typedef void service_event_fn(void *ctx, enum service_event event, uint32_t detail);
/* The program; returns its exit code (0 = clean; anything else makes the SCM see a failure). */
typedef int service_run_fn(void *ctx, struct service *svc);

/* Blocks until the service has stopped. @name is the service's, at most 63 characters.
 * ST_UNSUPPORTED: this process was not started by the SCM. ST_INVAL, ST_EXISTS (called twice),
 * ST_IO. */
enum status service_main_run(const char *name, service_run_fn *run, void *ctx, struct errmsg *e);

/* From now on events are handed to @fn on @loop; those that came before are delivered first. */
enum status service_attach(struct service *svc, struct loop *loop, service_event_fn *fn, void *ctx,
                           struct errmsg *e);
/* START_PENDING -> RUNNING. */
void service_report_running(struct service *svc);
/* Before the loop is freed; no event comes afterwards. Reports STOP_PENDING. */
void service_detach(struct service *svc);

#endif
