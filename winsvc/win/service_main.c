/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Three threads of the SCM's making meet here:
 *
 *   dispatcher (our main thread)   calls on_control() for each control; must return at once
 *   service thread                 runs run(), that is the program and its loop
 *   timer thread                   every CHECKPOINT_MS, while starting or stopping
 *
 *   control --> on_control(): status, event into the table, wake --> completion queue --> loop:
 * fn()
 *
 * The SCM believes a service that is starting or stopping as long as its check-point rises; the
 * timer thread raises it, because the loop may be busy draining. The hint with each is generous;
 * the promise to be gone within 5 s after STOP is the program's.
 *
 * Everything that two threads touch is behind one lock. A stop is a flag and cannot be lost; other
 * events that do not fit the table are dropped, for each only says "look again".
 *
 * STOPPED is reported after run() has returned and is the last thing: the SCM may end the process
 * any time after it.
 */
#include "win/service_main.h"

#include "base/util.h"
#include "port/uv/completion_queue.h"
#include "port/uv/loop_uv.h"
#include "port/win/utf16.h"
#include "port/win/win_error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <windows.h>

#include <wtsapi32.h> /* needs windows.h */

enum { NAME_MAX_CHARS = 64, EVENTS_MAX = 16, CHECKPOINT_MS = 500, WAIT_HINT_MS = 5000 };

struct pending_event {
    enum service_event event;
    uint32_t detail;
};

struct service {
    wchar_t name[NAME_MAX_CHARS];
    service_run_fn *run;
    void *ctx;
    SERVICE_STATUS_HANDLE handle;
    HANDLE timer; /* raises the check-point */

    CRITICAL_SECTION lock; /* guards all below */
    SERVICE_STATUS status;
    bool stop_wanted; /* not delivered yet */
    struct pending_event events[EVENTS_MAX];
    unsigned event_count;
    struct completion_queue *queue; /* owned; NULL while no loop is attached */
    struct completion wake;
    bool wake_posted;

    service_event_fn *fn; /* loop thread only */
    void *fn_ctx;
};

/* The SCM calls back without a context, and a process is one service at most. */
static struct service *the_service;

/* ---- status ---------------------------------------------------------------------------- */

/* Under the lock. */
static void report(struct service *svc, DWORD state)
{
    bool pending = state == SERVICE_START_PENDING || state == SERVICE_STOP_PENDING;

    svc->status.dwCheckPoint = !pending                              ? 0
                               : svc->status.dwCurrentState == state ? svc->status.dwCheckPoint + 1
                                                                     : 1;
    svc->status.dwCurrentState = state;
    svc->status.dwWaitHint = pending ? WAIT_HINT_MS : 0;
    svc->status.dwControlsAccepted =
        state != SERVICE_RUNNING
            ? 0
            : SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN | SERVICE_ACCEPT_PRESHUTDOWN |
                  SERVICE_ACCEPT_POWEREVENT | SERVICE_ACCEPT_SESSIONCHANGE;
    SetServiceStatus(svc->handle, &svc->status);
}

static void CALLBACK on_checkpoint(void *arg, BOOLEAN fired)
{
    struct service *svc = arg;
    EnterCriticalSection(&svc->lock);
    DWORD state = svc->status.dwCurrentState;
    if (state == SERVICE_START_PENDING || state == SERVICE_STOP_PENDING)
        report(svc, state);
    LeaveCriticalSection(&svc->lock);
}

void service_report_running(struct service *svc)
{
    EnterCriticalSection(&svc->lock);
    if (svc->status.dwCurrentState == SERVICE_START_PENDING)
        report(svc, SERVICE_RUNNING);
    LeaveCriticalSection(&svc->lock);
}

/* ---- events ---------------------------------------------------------------------------- */

/* Under the lock. */
static void wake_loop(struct service *svc)
{
    if (!svc->queue || svc->wake_posted || (!svc->stop_wanted && svc->event_count == 0))
        return;
    svc->wake_posted = true;
    completion_queue_post(svc->queue, &svc->wake);
}

static void add_event(struct service *svc, enum service_event event, uint32_t detail)
{
    EnterCriticalSection(&svc->lock);
    if (event == SERVICE_EVENT_STOP) {
        svc->stop_wanted = true;
        report(svc, SERVICE_STOP_PENDING);
    } else if (svc->event_count < EVENTS_MAX) {
        svc->events[svc->event_count++] = (struct pending_event){ event, detail };
    }
    wake_loop(svc);
    LeaveCriticalSection(&svc->lock);
}

static void on_wake(struct completion *c)
{
    struct service *svc = container_of(c, struct service, wake);
    struct pending_event events[EVENTS_MAX + 1];

    EnterCriticalSection(&svc->lock);
    unsigned count = svc->event_count;
    for (unsigned i = 0; i < count; i++)
        events[i] = svc->events[i];
    if (svc->stop_wanted)
        events[count++] = (struct pending_event){ SERVICE_EVENT_STOP, 0 };
    svc->event_count = 0;
    svc->stop_wanted = false;
    svc->wake_posted = false;
    LeaveCriticalSection(&svc->lock);

    for (unsigned i = 0; i < count; i++)
        svc->fn(svc->fn_ctx, events[i].event, events[i].detail);
}

static DWORD WINAPI on_control(DWORD control, DWORD type, void *data, void *ctx)
{
    struct service *svc = ctx;

    switch (control) {
    case SERVICE_CONTROL_INTERROGATE: return NO_ERROR; /* the SCM knows our last report */
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_SHUTDOWN:
    case SERVICE_CONTROL_PRESHUTDOWN: add_event(svc, SERVICE_EVENT_STOP, 0); return NO_ERROR;
    case SERVICE_CONTROL_POWEREVENT:
        if (type == PBT_APMSUSPEND)
            add_event(svc, SERVICE_EVENT_SUSPEND, 0);
        else if (type == PBT_APMRESUMEAUTOMATIC)
            add_event(svc, SERVICE_EVENT_RESUME, 0);
        return NO_ERROR;
    case SERVICE_CONTROL_SESSIONCHANGE:
        if (type == WTS_SESSION_LOGON || type == WTS_SESSION_LOGOFF)
            add_event(svc, SERVICE_EVENT_SESSION, ((WTSSESSION_NOTIFICATION *)data)->dwSessionId);
        return NO_ERROR;
    default: return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

enum status service_attach(struct service *svc, struct loop *loop, service_event_fn *fn, void *ctx,
                           struct errmsg *e)
{
    struct completion_queue *queue;
    enum status st = completion_queue_new(&queue, loop_uv_handle(loop));
    if (st) {
        errmsg_set(e, "attach service to loop: %s", status_text(st));
        return st;
    }
    svc->fn = fn;
    svc->fn_ctx = ctx;
    EnterCriticalSection(&svc->lock);
    svc->queue = queue;
    wake_loop(svc);
    LeaveCriticalSection(&svc->lock);
    return ST_OK;
}

void service_detach(struct service *svc)
{
    EnterCriticalSection(&svc->lock);
    struct completion_queue *queue = svc->queue;
    svc->queue = NULL;
    svc->wake_posted = false;
    report(svc, SERVICE_STOP_PENDING);
    LeaveCriticalSection(&svc->lock);
    completion_queue_free(queue);
}

/* ---- the service's life ---------------------------------------------------------------- */

static void WINAPI service_thread(DWORD argc, LPWSTR *argv)
{
    struct service *svc = the_service;

    svc->handle = RegisterServiceCtrlHandlerExW(svc->name, on_control, svc);
    if (!svc->handle)
        return; /* the SCM gives up on us by itself */
    EnterCriticalSection(&svc->lock);
    report(svc, SERVICE_START_PENDING);
    LeaveCriticalSection(&svc->lock);
    /* Without the timer the SCM is less patient; nothing else changes. */
    if (!CreateTimerQueueTimer(&svc->timer, NULL, on_checkpoint, svc, CHECKPOINT_MS, CHECKPOINT_MS,
                               WT_EXECUTEDEFAULT))
        svc->timer = NULL;

    int code = svc->run(svc->ctx, svc);

    if (svc->timer)
        DeleteTimerQueueTimer(NULL, svc->timer, INVALID_HANDLE_VALUE); /* waits for a running one */
    EnterCriticalSection(&svc->lock);
    svc->status.dwWin32ExitCode = code ? ERROR_SERVICE_SPECIFIC_ERROR : NO_ERROR;
    svc->status.dwServiceSpecificExitCode = (DWORD)code;
    report(svc, SERVICE_STOPPED);
    LeaveCriticalSection(&svc->lock);
}

enum status service_main_run(const char *name, service_run_fn *run, void *ctx, struct errmsg *e)
{
    static struct service svc; /* on_control() may still be called while the process ends */
    enum status st = utf8_to_utf16(svc.name, NAME_MAX_CHARS, name);

    if (st) {
        errmsg_set(e, "service name \"%s\": %s", name, status_text(st));
        return ST_INVAL;
    }
    if (the_service) {
        errmsg_set(e, "this process is a service already");
        return ST_EXISTS;
    }
    the_service = &svc;
    svc.run = run;
    svc.ctx = ctx;
    svc.status.dwServiceType = SERVICE_WIN32_OWN_PROCESS;
    svc.wake.run = on_wake;
    InitializeCriticalSection(&svc.lock);

    const SERVICE_TABLE_ENTRYW table[] = { { svc.name, service_thread }, { NULL, NULL } };
    if (StartServiceCtrlDispatcherW(table))
        return ST_OK;
    DWORD error = GetLastError();
    st = win_error_set(e, "service control manager", error);
    if (error == ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
        errmsg_set(e, "not started by the service control manager; on a console use `rdlinkd run`");
        st = ST_UNSUPPORTED;
    }
    return st;
}
