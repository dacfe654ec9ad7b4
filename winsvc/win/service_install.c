/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Every verb opens the manager and the service with the rights it needs and no more, so that a
 * plain user can ask for the state. Starting and stopping wait for the end of it, in steps of
 * POLL_MS: the manager tells nobody. A stop is over when the process has ended, not when the
 * service says STOPPED: only then can its file be replaced and are its pipes free.
 */
#include "win/service_install.h"

#include "base/util.h"
#include "port/win/utf16.h"
#include "port/win/win_error.h"
#include "win/service_plan.h"
#include "win/service_traces.h"

#include <string.h>

enum { POLL_MS = 50, START_MS = 30000, STOP_MS = 20000, CONFIG_BYTES = 8192 };

#define NAME TEXT(SERVICE_NAME)

/* The manager and the service in it; service is NULL where it was not asked for. */
struct handles {
    SC_HANDLE manager, service;
};

static void close_handles(struct handles *h)
{
    if (h->service)
        CloseServiceHandle(h->service);
    if (h->manager)
        CloseServiceHandle(h->manager);
}

static enum status open_manager(struct handles *h, DWORD access, struct errmsg *e)
{
    *h = (struct handles){ NULL, NULL };
    h->manager = OpenSCManagerW(NULL, NULL, access);
    return h->manager ? ST_OK : win_error_set(e, "service manager", GetLastError());
}

static enum status open_service(struct handles *h, DWORD access, struct errmsg *e)
{
    enum status st = open_manager(h, SC_MANAGER_CONNECT, e);

    if (st)
        return st;
    h->service = OpenServiceW(h->manager, NAME, access);
    if (h->service)
        return ST_OK;
    DWORD error = GetLastError();
    close_handles(h);
    *h = (struct handles){ NULL, NULL };
    win_error_set(e, "service " SERVICE_NAME, error);
    return error == ERROR_SERVICE_DOES_NOT_EXIST ? ST_NOTFOUND : win_error_status(error);
}

/* ---- install --------------------------------------------------------------------------------- */

static enum status create_or_change(struct handles *h, const wchar_t *command, struct errmsg *e)
{
    h->service = CreateServiceW(h->manager, NAME, TEXT(SERVICE_DISPLAY_NAME), SERVICE_ALL_ACCESS,
                                SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START, SERVICE_ERROR_NORMAL,
                                command, NULL, NULL, NULL, NULL, NULL);
    if (h->service)
        return ST_OK;
    if (GetLastError() != ERROR_SERVICE_EXISTS)
        return win_error_set(e, "create the service", GetLastError());
    h->service = OpenServiceW(h->manager, NAME, SERVICE_ALL_ACCESS);
    if (!h->service)
        return win_error_set(e, "open the service", GetLastError());
    if (!ChangeServiceConfigW(h->service, SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START,
                              SERVICE_ERROR_NORMAL, command, NULL, NULL, NULL, L"LocalSystem", NULL,
                              TEXT(SERVICE_DISPLAY_NAME)))
        return win_error_set(e, "change the service", GetLastError());
    return ST_OK;
}

enum status service_install(const char *command, struct service_settings *out, struct errmsg *e)
{
    wchar_t wide[SERVICE_COMMAND_MAX];
    struct handles h;
    enum status st = utf8_to_utf16(wide, ARRAY_SIZE(wide), command);

    if (st) {
        errmsg_set(e, "command line: %s", status_text(st));
        return st;
    }
    st = service_traces_check(e); /* or it would not start */
    if (st)
        return st;
    st = open_manager(&h, SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE, e);
    if (st == ST_OK)
        st = create_or_change(&h, wide, e);
    if (st == ST_OK)
        st = service_settings_apply(h.service, out, e);
    close_handles(&h);
    return st ? st : service_traces_make(e);
}

enum status service_configure(struct service_settings *out, struct errmsg *e)
{
    struct handles h;
    enum status st = open_service(&h, SERVICE_ALL_ACCESS, e);

    if (st)
        return st;
    st = service_settings_apply(h.service, out, e);
    close_handles(&h);
    return st ? st : service_traces_make(e);
}

enum status service_configure_self(struct errmsg *e)
{
    struct handles h;
    enum status st = open_service(&h, SERVICE_QUERY_CONFIG, e);
    bool done;

    if (st)
        return st;
    done = service_settings_are_ours(h.service);
    close_handles(&h);
    return done ? ST_EXISTS : service_configure(NULL, e);
}

/* ---- start and stop -------------------------------------------------------------------------- */

static enum status ask_state(SC_HANDLE service, SERVICE_STATUS_PROCESS *out, struct errmsg *e)
{
    DWORD need;

    return QueryServiceStatusEx(service, SC_STATUS_PROCESS_INFO, (BYTE *)out, sizeof *out, &need)
               ? ST_OK
               : win_error_set(e, "ask the service", GetLastError());
}

/* Until it is in @wanted; a start that ends in STOPPED is a failure. */
static enum status wait_for(SC_HANDLE service, DWORD wanted, uint32_t limit_ms, struct errmsg *e)
{
    SERVICE_STATUS_PROCESS now;

    for (uint32_t waited_ms = 0;; waited_ms += POLL_MS) {
        enum status st = ask_state(service, &now, e);

        if (st || now.dwCurrentState == wanted)
            return st;
        if (now.dwCurrentState == SERVICE_STOPPED) {
            errmsg_set(e, "it stopped by itself, code %lu (service's own: %lu)",
                       now.dwWin32ExitCode, now.dwServiceSpecificExitCode);
            return ST_IO;
        }
        if (waited_ms >= limit_ms) {
            errmsg_set(e, "not done after %u s", limit_ms / 1000);
            return ST_TIMEOUT;
        }
        Sleep(POLL_MS);
    }
}

enum status service_start(struct errmsg *e)
{
    struct handles h;
    enum status st = open_service(&h, SERVICE_START | SERVICE_QUERY_STATUS, e);

    if (st)
        return st;
    if (!StartServiceW(h.service, 0, NULL) && GetLastError() != ERROR_SERVICE_ALREADY_RUNNING)
        st = win_error_set(e, "start", GetLastError());
    else
        st = wait_for(h.service, SERVICE_RUNNING, START_MS, e);
    close_handles(&h);
    return st;
}

/* @pid is of a process that was seen a moment ago; gone meanwhile is as good. */
static enum status wait_process_gone(DWORD pid, struct errmsg *e)
{
    HANDLE process = pid ? OpenProcess(SYNCHRONIZE, FALSE, pid) : NULL;
    DWORD waited;

    if (!process)
        return ST_OK;
    waited = WaitForSingleObject(process, STOP_MS);
    CloseHandle(process);
    if (waited == WAIT_OBJECT_0)
        return ST_OK;
    errmsg_set(e, "pid %lu is still there", (unsigned long)pid);
    return ST_TIMEOUT;
}

static enum status stop(SC_HANDLE service, struct errmsg *e)
{
    SERVICE_STATUS_PROCESS now;
    SERVICE_STATUS unused;
    enum status st = ask_state(service, &now, e);

    if (st || now.dwCurrentState == SERVICE_STOPPED)
        return st;
    if (!ControlService(service, SERVICE_CONTROL_STOP, &unused)) {
        DWORD error = GetLastError();
        /* On its way already. */
        if (error != ERROR_SERVICE_NOT_ACTIVE && now.dwCurrentState != SERVICE_STOP_PENDING)
            return win_error_set(e, "stop", error);
    }
    st = wait_for(service, SERVICE_STOPPED, STOP_MS, e);
    return st ? st : wait_process_gone(now.dwProcessId, e);
}

enum status service_stop(struct errmsg *e)
{
    struct handles h;
    enum status st = open_service(&h, SERVICE_STOP | SERVICE_QUERY_STATUS, e);

    if (st)
        return st;
    st = stop(h.service, e);
    close_handles(&h);
    return st;
}

enum status service_uninstall(bool *was_installed, struct errmsg *e)
{
    struct handles h;
    enum status st = open_service(&h, SERVICE_STOP | SERVICE_QUERY_STATUS | DELETE, e);

    *was_installed = st == ST_OK;
    if (st == ST_OK) {
        st = stop(h.service, e);
        if (st == ST_OK && !DeleteService(h.service))
            st = win_error_set(e, "remove the service", GetLastError());
        close_handles(&h);
    }
    return st && st != ST_NOTFOUND ? st : service_traces_remove(e);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static const char *state_name(DWORD state)
{
    switch (state) {
    case SERVICE_STOPPED: return "stopped";
    case SERVICE_START_PENDING: return "starting";
    case SERVICE_STOP_PENDING: return "stopping";
    case SERVICE_RUNNING: return "running";
    default: return "paused";
    }
}

static enum status query_config(SC_HANDLE service, struct service_state *out, struct errmsg *e)
{
    union {
        QUERY_SERVICE_CONFIGW config;
        BYTE bytes[CONFIG_BYTES]; /* the most that the manager ever needs */
    } answer;
    DWORD need;

    if (!QueryServiceConfigW(service, &answer.config, sizeof answer, &need))
        return win_error_set(e, "ask for the configuration", GetLastError());
    out->is_automatic = answer.config.dwStartType == SERVICE_AUTO_START;
    (void)utf16_to_utf8(out->account, sizeof out->account,
                        answer.config.lpServiceStartName ? answer.config.lpServiceStartName : L"");
    (void)utf16_to_utf8(out->command, sizeof out->command, answer.config.lpBinaryPathName);
    return ST_OK;
}

enum status service_query(struct service_state *out, struct errmsg *e)
{
    SERVICE_STATUS_PROCESS now;
    struct handles h;
    enum status st =
        open_service(&h, SERVICE_QUERY_STATUS | SERVICE_QUERY_CONFIG | READ_CONTROL, e);

    *out = (struct service_state){ .state = "not installed" };
    if (st)
        return st == ST_NOTFOUND ? ST_OK : st;
    st = ask_state(h.service, &now, e);
    if (st == ST_OK)
        st = query_config(h.service, out, e);
    if (st == ST_OK) {
        out->is_installed = true;
        out->is_running = now.dwCurrentState == SERVICE_RUNNING;
        out->state = state_name(now.dwCurrentState);
        out->pid = now.dwProcessId;
        out->exit_code = now.dwWin32ExitCode;
        service_settings_query(h.service, &out->settings);
    }
    close_handles(&h);
    return st;
}
