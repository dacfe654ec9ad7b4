/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * An installer built with wixl can register a service, but not give it restart delays of more than
 * three steps, privileges, a SID type or a descriptor. So the service sets itself up: at its start
 * it looks whether it has our list of privileges, and if not it applies everything
 * (service_install.c, service_configure_self). What the manager reads only when it starts a
 * service (privileges, SID) holds from the next start on. A person who changes a setting later
 * keeps the change, because the list of privileges is still there.
 *
 * Wine 8 knows some settings not at all and says ERROR_INVALID_PARAMETER. That is tolerated there
 * and nowhere else: on Windows it would mean that we ask for nonsense.
 */
#include "win/service_settings.h"

#include "base/log.h"
#include "base/util.h"
#include "port/win/utf16.h"
#include "port/win/win_error.h"
#include "win/service_plan.h"

#include <string.h>
#include <windows.h>

#include <sddl.h> /* needs windows.h */

enum { PRIVILEGES_MAX = 256, ANSWER_MAX = 8192 };

static bool is_wine(void)
{
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");

    return ntdll && GetProcAddress(ntdll, "wine_get_version");
}

/* ---- giving ---------------------------------------------------------------------------------- */

static uint32_t set(SC_HANDLE service, DWORD level, void *info)
{
    return ChangeServiceConfig2W(service, level, info) ? ERROR_SUCCESS : GetLastError();
}

static uint32_t set_description(SC_HANDLE service)
{
    wchar_t text[512];
    SERVICE_DESCRIPTIONW info = { text };

    if (utf8_to_utf16(text, ARRAY_SIZE(text), SERVICE_ABOUT))
        return ERROR_INVALID_DATA;
    return set(service, SERVICE_CONFIG_DESCRIPTION, &info);
}

static uint32_t set_delayed(SC_HANDLE service)
{
    SERVICE_DELAYED_AUTO_START_INFO info = { TRUE };

    return set(service, SERVICE_CONFIG_DELAYED_AUTO_START_INFO, &info);
}

static uint32_t set_restarts(SC_HANDLE service)
{
    SC_ACTION actions[SERVICE_RESTARTS];
    SERVICE_FAILURE_ACTIONSW info = { .dwResetPeriod = SERVICE_RESET_S,
                                      .cActions = SERVICE_RESTARTS,
                                      .lpsaActions = actions };

    for (unsigned i = 0; i < SERVICE_RESTARTS; i++)
        actions[i] = (SC_ACTION){ SC_ACTION_RESTART, service_restart_ms[i] };
    return set(service, SERVICE_CONFIG_FAILURE_ACTIONS, &info);
}

static uint32_t set_restart_flag(SC_HANDLE service)
{
    SERVICE_FAILURE_ACTIONS_FLAG info = { TRUE };

    return set(service, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, &info);
}

/* All names with a NUL after each and one more at the end; elements used, 0 = does not fit. */
static size_t privilege_list(wchar_t *out, size_t cap)
{
    size_t len = 0;

    for (unsigned i = 0; service_privileges[i]; i++) {
        if (utf8_to_utf16(out + len, cap - len - 1, service_privileges[i]))
            return 0;
        len += wcslen(out + len) + 1;
    }
    out[len] = L'\0';
    return len + 1;
}

static uint32_t set_privileges(SC_HANDLE service)
{
    wchar_t list[PRIVILEGES_MAX];
    SERVICE_REQUIRED_PRIVILEGES_INFOW info = { list };

    if (!privilege_list(list, ARRAY_SIZE(list)))
        return ERROR_INVALID_DATA;
    return set(service, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO, &info);
}

static uint32_t set_sid(SC_HANDLE service)
{
    SERVICE_SID_INFO info = { SERVICE_SID_TYPE_UNRESTRICTED };

    return set(service, SERVICE_CONFIG_SERVICE_SID_INFO, &info);
}

static uint32_t set_preshutdown(SC_HANDLE service)
{
    SERVICE_PRESHUTDOWN_INFO info = { SERVICE_PRESHUTDOWN_MS };

    return set(service, SERVICE_CONFIG_PRESHUTDOWN_INFO, &info);
}

static uint32_t set_dacl(SC_HANDLE service)
{
    PSECURITY_DESCRIPTOR sd;
    wchar_t text[256];

    if (utf8_to_utf16(text, ARRAY_SIZE(text), service_sddl))
        return ERROR_INVALID_DATA;
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1, &sd, NULL))
        return GetLastError();
    uint32_t error = SetServiceObjectSecurity(service, DACL_SECURITY_INFORMATION, sd)
                         ? ERROR_SUCCESS
                         : GetLastError();
    LocalFree(sd);
    return error;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Aligned for every structure that the manager answers with. */
union answer {
    SERVICE_DESCRIPTIONW description;
    SERVICE_DELAYED_AUTO_START_INFO delayed;
    SERVICE_FAILURE_ACTIONSW restarts;
    SERVICE_FAILURE_ACTIONS_FLAG flag;
    SERVICE_REQUIRED_PRIVILEGES_INFOW privileges;
    SERVICE_SID_INFO sid;
    SERVICE_PRESHUTDOWN_INFO preshutdown;
    BYTE bytes[ANSWER_MAX]; /* the most that the manager ever needs */
};

static uint32_t ask(SC_HANDLE service, DWORD level, union answer *out)
{
    DWORD need;

    return QueryServiceConfig2W(service, level, out->bytes, sizeof out->bytes, &need)
               ? ERROR_SUCCESS
               : GetLastError();
}

static bool has_description(const union answer *a)
{
    return a->description.lpDescription && a->description.lpDescription[0];
}

static bool has_delayed(const union answer *a)
{
    return a->delayed.fDelayedAutostart;
}

static bool has_restarts(const union answer *a)
{
    return a->restarts.cActions > 0 && a->restarts.lpsaActions[0].Type == SC_ACTION_RESTART;
}

static bool has_restart_flag(const union answer *a)
{
    return a->flag.fFailureActionsOnNonCrashFailures;
}

static bool has_privileges(const union answer *a)
{
    wchar_t list[PRIVILEGES_MAX];
    size_t len = privilege_list(list, ARRAY_SIZE(list));

    return a->privileges.pmszRequiredPrivileges && len &&
           !memcmp(a->privileges.pmszRequiredPrivileges, list, len * sizeof list[0]);
}

static bool has_sid(const union answer *a)
{
    return a->sid.dwServiceSidType == SERVICE_SID_TYPE_UNRESTRICTED;
}

static bool has_preshutdown(const union answer *a)
{
    return a->preshutdown.dwPreshutdownTimeout == SERVICE_PRESHUTDOWN_MS;
}

/* As text, which is the same for the same rights whatever the layout in memory. */
static wchar_t *dacl_text(PSECURITY_DESCRIPTOR sd)
{
    wchar_t *text = NULL;

    return ConvertSecurityDescriptorToStringSecurityDescriptorW(sd, SDDL_REVISION_1,
                                                                DACL_SECURITY_INFORMATION, &text,
                                                                NULL)
               ? text
               : NULL;
}

static uint32_t ask_dacl(SC_HANDLE service, union answer *out, bool *is_ours)
{
    wchar_t text[256], *wanted = NULL, *found = NULL;
    PSECURITY_DESCRIPTOR sd = NULL;
    DWORD need;

    if (!QueryServiceObjectSecurity(service, DACL_SECURITY_INFORMATION, out->bytes,
                                    sizeof out->bytes, &need))
        return GetLastError();
    if (!utf8_to_utf16(text, ARRAY_SIZE(text), service_sddl) &&
        ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1, &sd, NULL)) {
        wanted = dacl_text(sd);
        found = dacl_text(out->bytes);
    }
    *is_ours = wanted && found && !wcscmp(wanted, found);
    LocalFree(found);
    LocalFree(wanted);
    LocalFree(sd);
    return ERROR_SUCCESS;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t (*set)(SC_HANDLE service);
    DWORD level;                        /* of the question */
    bool (*has)(const union answer *a); /* NULL: ask_dacl() knows */
} table[] = {
    { "description", set_description, SERVICE_CONFIG_DESCRIPTION, has_description },
    { "delayed start", set_delayed, SERVICE_CONFIG_DELAYED_AUTO_START_INFO, has_delayed },
    { "restart delays", set_restarts, SERVICE_CONFIG_FAILURE_ACTIONS, has_restarts },
    { "restart after an error", set_restart_flag, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG,
      has_restart_flag },
    { "required privileges", set_privileges, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO,
      has_privileges },
    { "service SID", set_sid, SERVICE_CONFIG_SERVICE_SID_INFO, has_sid },
    { "preshutdown time", set_preshutdown, SERVICE_CONFIG_PRESHUTDOWN_INFO, has_preshutdown },
    { "access for users", set_dacl, 0, NULL },
};
_Static_assert(ARRAY_SIZE(table) == SERVICE_SETTINGS, "one result each");

enum status service_settings_apply(SC_HANDLE service, struct service_settings *out,
                                   struct errmsg *e)
{
    struct service_settings unused;
    struct service_setting *items = out ? out->items : unused.items;

    for (unsigned i = 0; i < SERVICE_SETTINGS; i++) {
        uint32_t error = table[i].set(service);
        char text[WIN_ERROR_TEXT_MAX];

        items[i] = (struct service_setting){ table[i].name, error == ERROR_SUCCESS, error };
        if (error == ERROR_SUCCESS)
            continue;
        if ((error != ERROR_INVALID_PARAMETER && error != ERROR_INVALID_LEVEL) || !is_wine())
            return win_error_set(e, table[i].name, error);
        log_warn(LOG_SERVICE, "%s not set: Wine does not know it: %s", table[i].name,
                 win_error_text(error, text));
    }
    return ST_OK;
}

void service_settings_query(SC_HANDLE service, struct service_settings *out)
{
    static union answer answer; /* 8 KiB; one thread asks, that of the command line */

    for (unsigned i = 0; i < SERVICE_SETTINGS; i++) {
        bool is_ours = false;
        uint32_t error = table[i].has ? ask(service, table[i].level, &answer)
                                      : ask_dacl(service, &answer, &is_ours);

        if (error == ERROR_SUCCESS && table[i].has)
            is_ours = table[i].has(&answer);
        out->items[i] = (struct service_setting){ table[i].name, is_ours, error };
    }
}

bool service_settings_are_ours(SC_HANDLE service)
{
    union answer answer;

    return ask(service, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO, &answer) == ERROR_SUCCESS &&
           has_privileges(&answer);
}
