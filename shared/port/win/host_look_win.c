/* SPDX-License-Identifier: Apache-2.0
 * There is no function for the ports that Windows keeps (Hyper-V's and WinNAT's among them), only
 * netsh, which is asked by its full path; its table has the same two columns in every language.
 */
#include "port/host_look.h"

#include "port/addr.h"
#include "port/port_ranges.h"
#include "port/win/own_user.h"
#include "port/win/pipe_handle.h"
#include "port/win/utf16.h"
#include "port/win/win_error.h"

#include <windows.h>

#include <aclapi.h>
#include <stdio.h>
#include <wchar.h>

static const wchar_t machines_key[] = L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\"
                                      L"HostComputeService\\VolatileStore\\ComputeSystem";

/* ---- whose a pipe is ------------------------------------------------------------------------ */

static void name_account(PSID sid, char *buf, size_t cap)
{
    wchar_t name[128], domain[128], full[260];
    DWORD name_len = 128, domain_len = 128;
    SID_NAME_USE use;

    if (!LookupAccountSidW(NULL, sid, name, &name_len, domain, &domain_len, &use))
        return;
    (void)swprintf(full, 260, L"%ls%ls%ls", domain, domain[0] ? L"\\" : L"", name);
    if (utf16_to_utf8(buf, cap, full) != ST_OK)
        buf[0] = '\0';
}

static enum status read_owner(HANDLE pipe, struct host_owner *out)
{
    PSECURITY_DESCRIPTOR descriptor = NULL;
    PSID sid = NULL;
    DWORD error = GetSecurityInfo(pipe, SE_KERNEL_OBJECT, OWNER_SECURITY_INFORMATION, &sid, NULL,
                                  NULL, NULL, &descriptor);

    if (error != ERROR_SUCCESS)
        return win_error_status(error);
    out->is_trusted = IsWellKnownSid(sid, WinLocalSystemSid) ||
                      IsWellKnownSid(sid, WinBuiltinAdministratorsSid) || own_user_is(sid);
    name_account(sid, out->account, sizeof out->account);
    LocalFree(descriptor);
    return ST_OK;
}

/* All of its instances may be in use: that is an answer too. */
static bool may_open(const wchar_t *path)
{
    HANDLE h = CreateFileW(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                           SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);

    if (h == INVALID_HANDLE_VALUE)
        return GetLastError() == ERROR_PIPE_BUSY;
    CloseHandle(h);
    return true;
}

static enum status owner(const struct addr *at, struct host_owner *out)
{
    wchar_t path[PIPE_PATH_MAX];
    enum status st;
    HANDLE h;

    if (at->kind != ADDR_NPIPE)
        return ST_UNSUPPORTED;
    st = pipe_path(path, at->path, NULL);
    if (st)
        return st;
    *out = (struct host_owner){ .may_open = may_open(path) };
    h = CreateFileW(path, READ_CONTROL, 0, NULL, OPEN_EXISTING,
                    SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
    if (h == INVALID_HANDLE_VALUE)
        return win_error_status(GetLastError());
    st = read_owner(h, out);
    CloseHandle(h);
    return st;
}

/* ---- ports ---------------------------------------------------------------------------------- */

static enum status reserved_ports(struct port_ranges *out)
{
    wchar_t folder[MAX_PATH], command[MAX_PATH + 96];
    UINT len = GetSystemDirectoryW(folder, MAX_PATH);
    char text[32 * 1024];
    size_t n;
    FILE *table;

    out->count = 0;
    if (len == 0 || len >= MAX_PATH)
        return ST_IO;
    (void)swprintf(command, MAX_PATH + 96,
                   L"%ls\\netsh.exe interface ipv4 show excludedportrange protocol=tcp", folder);
    table = _wpopen(command, L"rt");
    if (!table)
        return ST_IO;
    n = fread(text, 1, sizeof text - 1, table);
    text[n] = '\0';
    if (_pclose(table) != 0)
        return ST_UNSUPPORTED;
    port_ranges_add_table(out, text);
    return ST_OK;
}

/* ---- the registry --------------------------------------------------------------------------- */

static enum status machine_list(void)
{
    HKEY key;
    LSTATUS error = RegOpenKeyExW(HKEY_LOCAL_MACHINE, machines_key, 0,
                                  KEY_ENUMERATE_SUB_KEYS | KEY_WOW64_64KEY, &key);

    if (error != ERROR_SUCCESS)
        return win_error_status((uint32_t)error);
    RegCloseKey(key);
    return ST_OK;
}

const struct host_look host_look_os = { owner, reserved_ports, machine_list };
