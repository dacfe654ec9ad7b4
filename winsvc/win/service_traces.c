/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * Every user may create folders in ProgramData, so ours may be there before us, as a trap: its
 * owner could change the descriptor back whatever we write, a junction would lead the service's
 * files elsewhere, and a configuration that waits in it would be the service's. So a folder that is
 * a reparse point, or whose owner is neither SYSTEM nor administrators nor whoever asks, is refused
 * before anything is done to it or in it; administrators become the owner along with the new
 * descriptor. Below a folder of ours nobody else can put anything in the place of what was looked
 * at. An installer does not look, so the service does at each start, at the configuration too.
 */
#include "win/service_traces.h"

#include "base/util.h"
#include "port/win/own_user.h"
#include "port/win/utf16.h"
#include "port/win/win_error.h"
#include "win/service_plan.h"

#include <stdbool.h>
#include <stdio.h>
#include <wchar.h>
#include <windows.h>

#include <aclapi.h> /* need windows.h */
#include <sddl.h>

#define SOURCE_KEY \
    L"SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\" TEXT(SERVICE_NAME)

enum { PATH_CHARS = 512 };

/* ---- Event Log ------------------------------------------------------------------------------- */

static enum status make_source(struct errmsg *e)
{
    const DWORD types = EVENTLOG_ERROR_TYPE | EVENTLOG_WARNING_TYPE | EVENTLOG_INFORMATION_TYPE;
    wchar_t program[PATH_CHARS];
    HKEY key;
    DWORD len = GetModuleFileNameW(NULL, program, ARRAY_SIZE(program));

    if (len == 0 || len == ARRAY_SIZE(program))
        return win_error_set(e, "path of this program", GetLastError());
    LONG error = RegCreateKeyExW(HKEY_LOCAL_MACHINE, SOURCE_KEY, 0, NULL, 0,
                                 KEY_SET_VALUE | KEY_WOW64_64KEY, NULL, &key, NULL);
    if (error == ERROR_SUCCESS) {
        error = RegSetValueExW(key, L"EventMessageFile", 0, REG_EXPAND_SZ, (const BYTE *)program,
                               (len + 1) * sizeof program[0]);
        if (error == ERROR_SUCCESS)
            error = RegSetValueExW(key, L"TypesSupported", 0, REG_DWORD, (const BYTE *)&types,
                                   sizeof types);
        RegCloseKey(key);
    }
    return error == ERROR_SUCCESS ? ST_OK : win_error_set(e, "Event Log source", (uint32_t)error);
}

static enum status remove_source(struct errmsg *e)
{
    LONG error = RegDeleteKeyExW(HKEY_LOCAL_MACHINE, SOURCE_KEY, KEY_WOW64_64KEY, 0);

    if (error == ERROR_SUCCESS || error == ERROR_FILE_NOT_FOUND)
        return ST_OK;
    return win_error_set(e, "Event Log source", (uint32_t)error);
}

/* ---- folders --------------------------------------------------------------------------------- */

/* "%ProgramData%\rdlink", or with @below behind it. */
static enum status folder_path(wchar_t out[static PATH_CHARS], const wchar_t *below,
                               struct errmsg *e)
{
    wchar_t base[PATH_CHARS];
    DWORD len = GetEnvironmentVariableW(L"ProgramData", base, ARRAY_SIZE(base));

    if (len == 0 || len >= ARRAY_SIZE(base)) {
        errmsg_set(e, "the variable ProgramData is missing or too long");
        return ST_NOTFOUND;
    }
    if (swprintf(out, PATH_CHARS, L"%ls\\rdlink%ls%ls", base, below ? L"\\" : L"",
                 below ? below : L"") < 0) {
        errmsg_set(e, "the path of ProgramData is too long");
        return ST_FULL;
    }
    return ST_OK;
}

/* Who owns a thing can have every right to it. ST_NOTFOUND: nothing is there. */
static enum status check_owner(wchar_t *path, struct errmsg *e)
{
    PSECURITY_DESCRIPTOR sd = NULL;
    PSID owner = NULL;
    DWORD error = GetNamedSecurityInfoW(path, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION, &owner,
                                        NULL, NULL, NULL, &sd);
    bool is_trusted;

    if (error != ERROR_SUCCESS)
        return win_error_set(e, "look at the owner", error);
    is_trusted = IsWellKnownSid(owner, WinLocalSystemSid) ||
                 IsWellKnownSid(owner, WinBuiltinAdministratorsSid) || own_user_is(owner);
    LocalFree(sd);
    return is_trusted ? ST_OK : ST_DENIED;
}

/* Ours, or one of ours with @below. ST_NOTFOUND: there is none. */
static enum status check_folder(const wchar_t *below, struct errmsg *e)
{
    wchar_t path[PATH_CHARS];
    enum status st = folder_path(path, below, e);
    DWORD attributes;

    if (st)
        return st;
    attributes = GetFileAttributesW(path);
    if (attributes == INVALID_FILE_ATTRIBUTES)
        return win_error_set(e, "look at the folder", GetLastError());
    if (!(attributes & FILE_ATTRIBUTE_DIRECTORY) || (attributes & FILE_ATTRIBUTE_REPARSE_POINT)) {
        errmsg_set(e, "%%ProgramData%%\\rdlink is no plain folder; remove what is there");
        return ST_DENIED;
    }
    st = check_owner(path, e);
    if (st == ST_DENIED)
        errmsg_set(e, "%%ProgramData%%\\rdlink was made by another user; look at what is in it and "
                      "remove it");
    return st;
}

static enum status protect(wchar_t *path, const char *sddl, struct errmsg *e)
{
    BYTE administrators[SECURITY_MAX_SID_SIZE];
    DWORD sid_len = sizeof administrators, error;
    PSECURITY_DESCRIPTOR sd;
    BOOL present, defaulted;
    wchar_t text[256];
    PACL dacl;

    if (!CreateWellKnownSid(WinBuiltinAdministratorsSid, NULL, administrators, &sid_len) ||
        utf8_to_utf16(text, ARRAY_SIZE(text), sddl) ||
        !ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1, &sd, NULL))
        return win_error_set(e, "descriptor of the folder", GetLastError());
    error = GetSecurityDescriptorDacl(sd, &present, &dacl, &defaulted)
                ? SetNamedSecurityInfoW(path, SE_FILE_OBJECT,
                                        OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION |
                                            PROTECTED_DACL_SECURITY_INFORMATION,
                                        administrators, NULL, dacl, NULL)
                : GetLastError();
    LocalFree(sd);
    return error == ERROR_SUCCESS ? ST_OK : win_error_set(e, "protect the folder", error);
}

static enum status make_folder(const wchar_t *below, const char *sddl, struct errmsg *e)
{
    wchar_t path[PATH_CHARS];
    enum status st = folder_path(path, below, e);

    if (st)
        return st;
    if (!CreateDirectoryW(path, NULL) && GetLastError() != ERROR_ALREADY_EXISTS)
        return win_error_set(e, "create the folder", GetLastError());
    st = check_folder(below, e);
    return st ? st : protect(path, sddl, e);
}

/* A file that somebody holds open is left, and then the folder is too. */
static void delete_files(const wchar_t *folder)
{
    wchar_t path[PATH_CHARS];
    WIN32_FIND_DATAW found;

    if (swprintf(path, PATH_CHARS, L"%ls\\*", folder) < 0)
        return;
    HANDLE find = FindFirstFileW(path, &found);
    if (find == INVALID_HANDLE_VALUE)
        return;
    do {
        if (!(found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) &&
            swprintf(path, PATH_CHARS, L"%ls\\%ls", folder, found.cFileName) >= 0)
            DeleteFileW(path);
    } while (FindNextFileW(find, &found));
    FindClose(find);
}

static enum status remove_folder(const wchar_t *below, bool with_files, struct errmsg *e)
{
    wchar_t path[PATH_CHARS];
    enum status st = check_folder(below, e);

    if (st == ST_OK)
        st = folder_path(path, below, e);
    if (st)
        return st == ST_NOTFOUND ? ST_OK : st;
    if (with_files)
        delete_files(path);
    if (RemoveDirectoryW(path))
        return ST_OK;
    DWORD error = GetLastError();
    return error == ERROR_DIR_NOT_EMPTY && !with_files
               ? ST_OK
               : win_error_set(e, "remove the folder", error);
}

/* ---- all of it ------------------------------------------------------------------------------- */

enum status service_traces_check(struct errmsg *e)
{
    wchar_t path[PATH_CHARS];
    enum status st = check_folder(NULL, e);

    if (st == ST_OK)
        st = folder_path(path, L"rdlinkd.conf", e);
    if (st == ST_OK) {
        st = check_owner(path, e);
        if (st == ST_DENIED)
            errmsg_set(
                e, "%%ProgramData%%\\rdlink\\rdlinkd.conf was made by another user; look at it, "
                   "then give it to administrators (takeown /a /f) or remove it");
    }
    return st == ST_NOTFOUND ? ST_OK : st;
}

enum status service_traces_make(struct errmsg *e)
{
    enum status st = service_traces_check(e);

    if (st == ST_OK)
        st = make_source(e);
    if (st == ST_OK)
        st = make_folder(NULL, service_folder_sddl, e);
    if (st == ST_OK)
        st = make_folder(L"keys", service_keys_sddl, e);
    if (st == ST_OK)
        st = make_folder(L"logs", service_keys_sddl, e);
    return st;
}

enum status service_traces_remove(struct errmsg *e)
{
    enum status st = remove_source(e);

    if (st == ST_OK)
        st = check_folder(NULL, e); /* before anything below it is believed */
    if (st == ST_NOTFOUND)
        return ST_OK;
    if (st == ST_OK)
        st = remove_folder(L"keys", true, e);
    if (st == ST_OK)
        st = remove_folder(L"logs", true, e);
    return st ? st : remove_folder(NULL, false, e);
}
