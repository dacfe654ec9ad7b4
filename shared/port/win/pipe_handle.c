/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * CreateNamedPipeW() cannot say "only if it exists already" or "without any data access", so pipes
 * are made with the call beneath it. The disposition carries the meaning of enum pipe_create:
 *
 *   PIPE_CLAIM  FILE_CREATE, access SYNCHRONIZE and WRITE_DAC (for pipe_regrant): fails when the
 *               name exists. An instance without read or write access starts disconnected, so
 *               clients find the pipe busy, not there or absent, until instances are added.
 *   PIPE_JOIN   FILE_OPEN, access read and write: fails when the name does not exist. Opening needs
 *               FILE_CREATE_PIPE_INSTANCE, which the descriptor gives the server's account only.
 *
 * Wine 8 ignores the disposition and lets clients reach a SYNCHRONIZE-only instance. The second is
 * cured by make_unreachable(); for the first, the name is looked up beforehand, which is also how a
 * taken name is told from a missing right. The look is no protection against a race; FILE_CREATE
 * is.
 *
 * The kernel's quotas: 64 KiB each way. A write that fits ends at once, so the usual request and
 * answer never wait for the other side to read.
 */
#include "port/win/pipe_handle.h"

#include "port/claim.h"
#include "port/win/pipe_acl.h"
#include "port/win/utf16.h"
#include "port/win/win_error.h"

#include <sddl.h>
#include <string.h>
#include <winternl.h>

enum { PIPE_QUOTA_BYTES = 65536, PIPE_DEFAULT_WAIT_MS = 50 };

/* NtCreateNamedPipeFile()'s own constants, which no user-mode header has (MS-FSCC, wdm.h). */
enum {
    NT_PIPE_BYTE_TYPE = 0,
    NT_PIPE_MESSAGE_TYPE = 1,
    NT_PIPE_REJECT_REMOTE_CLIENTS = 2,
    NT_PIPE_BYTE_MODE = 0,
    NT_PIPE_MESSAGE_MODE = 1,
    NT_PIPE_QUEUE_OPERATION = 0
};
#define NT_PIPE_UNLIMITED_INSTANCES 0xffffffffu

NTSTATUS NTAPI NtCreateNamedPipeFile(PHANDLE handle, ULONG access, POBJECT_ATTRIBUTES attributes,
                                     PIO_STATUS_BLOCK io, ULONG sharing, ULONG disposition,
                                     ULONG options, ULONG type, ULONG read_mode,
                                     ULONG completion_mode, ULONG max_instances,
                                     ULONG inbound_quota, ULONG outbound_quota,
                                     PLARGE_INTEGER default_timeout);

enum status pipe_path(wchar_t out[static PIPE_PATH_MAX], const char *name, struct errmsg *e)
{
    static const wchar_t prefix[] = L"\\\\.\\pipe\\";
    size_t len = ARRAY_SIZE(prefix) - 1;

    if (!*name || strchr(name, '\\')) {
        errmsg_set(e, "\"%s\" is no pipe name (not empty, no backslash)", name);
        return ST_INVAL;
    }
    memcpy(out, prefix, sizeof(prefix));
    enum status st = utf8_to_utf16(out + len, PIPE_PATH_MAX - len, name);
    if (st)
        errmsg_set(e, "pipe name \"%s\": %s", name, status_text(st));
    return st;
}

/* Out of a string: @sddl or the default. *out is freed with LocalFree(). */
static enum status descriptor(PSECURITY_DESCRIPTOR *out, const char *sddl, struct errmsg *e)
{
    char own[PIPE_ACL_TEXT_MAX];
    wchar_t wide[PIPE_ACL_TEXT_MAX];

    if (!sddl) {
        enum status st = pipe_acl_build(own, sizeof(own), NULL, 0, NULL, e);
        if (st)
            return st;
        sddl = own;
    }
    enum status st = utf8_to_utf16(wide, ARRAY_SIZE(wide), sddl);
    if (st) {
        errmsg_set(e, "security descriptor: %s", status_text(st));
        return st;
    }
    if (ConvertStringSecurityDescriptorToSecurityDescriptorW(wide, SDDL_REVISION_1, out, NULL))
        return ST_OK;
    win_error_set(e, "security descriptor", GetLastError());
    return ST_INVAL;
}

/* As anonymous: whoever serves there learns nothing of us and cannot act as us. */
static HANDLE open_for_a_look(const wchar_t *path)
{
    return CreateFileW(path, FILE_READ_ATTRIBUTES, 0, NULL, OPEN_EXISTING,
                       SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS | FILE_FLAG_OVERLAPPED, NULL);
}

static enum status create_failed(enum pipe_create how, NTSTATUS nt, struct errmsg *e)
{
    DWORD error = RtlNtStatusToDosError(nt);
    if (how == PIPE_JOIN)
        return win_error_set(e, "add pipe instance", error);
    switch (error) {
    case ERROR_ACCESS_DENIED: /* one of NPFS' answers to FILE_CREATE of a name that exists */
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS:
    case ERROR_PIPE_BUSY: win_error_set(e, "create pipe", error); return ST_EXISTS;
    default: return win_error_set(e, "create pipe", error);
    }
}

/* For Wine: a client that has come and gone leaves an instance that can be disconnected, and a
 * disconnected one is out of the way. On Windows it is that from the start: busy, nothing opens. */
static void make_unreachable(HANDLE claim, const wchar_t *path)
{
    HANDLE client = open_for_a_look(path);
    if (client == INVALID_HANDLE_VALUE)
        return;
    CloseHandle(client);
    DisconnectNamedPipe(claim);
}

enum status pipe_create(HANDLE *out, const wchar_t *path, enum pipe_create how, bool byte_mode,
                        const char *sddl, struct errmsg *e)
{
    wchar_t nt_path[PIPE_PATH_MAX];
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK io;
    LARGE_INTEGER wait = { .QuadPart = -(LONGLONG)PIPE_DEFAULT_WAIT_MS * 10000 };
    PSECURITY_DESCRIPTOR sd = NULL;
    HANDLE h;

    if (how == PIPE_CLAIM) {
        if (pipe_exists(path)) {
            errmsg_set(e, "pipe name is taken");
            return ST_EXISTS;
        }
        enum status st = descriptor(&sd, sddl, e);
        if (st)
            return st;
    }
    /* The native name of \\.\pipe\X is \??\pipe\X: same length, other prefix. */
    wcscpy(nt_path, path);
    wmemcpy(nt_path, L"\\??\\", 4);
    RtlInitUnicodeString(&name, nt_path);
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE, NULL, sd);

    ULONG type = byte_mode ? NT_PIPE_BYTE_TYPE : NT_PIPE_MESSAGE_TYPE;
    ULONG mode = byte_mode ? NT_PIPE_BYTE_MODE : NT_PIPE_MESSAGE_MODE;
    ULONG access =
        how == PIPE_CLAIM ? SYNCHRONIZE | WRITE_DAC : GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE;
    NTSTATUS nt =
        NtCreateNamedPipeFile(&h, access, &attributes, &io, FILE_SHARE_READ | FILE_SHARE_WRITE,
                              how == PIPE_JOIN ? FILE_OPEN : FILE_CREATE, 0,
                              type | NT_PIPE_REJECT_REMOTE_CLIENTS, mode, NT_PIPE_QUEUE_OPERATION,
                              NT_PIPE_UNLIMITED_INSTANCES, PIPE_QUOTA_BYTES, PIPE_QUOTA_BYTES,
                              &wait);
    LocalFree(sd);
    if (!NT_SUCCESS(nt))
        return create_failed(how, nt, e);
    if (how == PIPE_CLAIM)
        make_unreachable(h, path);
    *out = h;
    return ST_OK;
}

enum status pipe_regrant(HANDLE h, const char *sddl, struct errmsg *e)
{
    PSECURITY_DESCRIPTOR sd;
    enum status st = descriptor(&sd, sddl, e);

    if (st)
        return st;
    if (!SetKernelObjectSecurity(h, DACL_SECURITY_INFORMATION, sd))
        st = win_error_set(e, "change who may connect", GetLastError());
    LocalFree(sd);
    return st;
}

bool pipe_exists(const wchar_t *path)
{
    return WaitNamedPipeW(path, 1) || GetLastError() != ERROR_FILE_NOT_FOUND;
}

static void find_image(struct claim_owner *owner)
{
    wchar_t image[CLAIM_IMAGE_MAX];
    DWORD len = ARRAY_SIZE(image);
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)owner->pid);
    if (!process)
        return;
    if (QueryFullProcessImageNameW(process, 0, image, &len))
        utf16_to_utf8(owner->image, sizeof(owner->image), image);
    CloseHandle(process);
}

void pipe_find_owner(const wchar_t *path, struct claim_owner *owner)
{
    ULONG pid = 0;
    *owner = (struct claim_owner){ 0 };
    HANDLE h = open_for_a_look(path);
    if (h == INVALID_HANDLE_VALUE)
        return;
    if (GetNamedPipeServerProcessId(h, &pid) && pid != 0) {
        owner->pid = pid;
        find_image(owner);
    }
    CloseHandle(h);
}

void pipe_owner_message(struct errmsg *e, const struct claim_owner *owner)
{
    if (owner->pid == 0)
        errmsg_set(e, "already taken, by whom is unknown");
    else
        errmsg_set(e, "already taken by pid %lld (%s)", (long long)owner->pid,
                   owner->image[0] ? owner->image : "program unknown");
}
