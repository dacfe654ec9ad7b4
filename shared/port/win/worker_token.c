/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * A worker parses what containers and clients send. WSL lets only SYSTEM and a machine's owner bind
 * or connect its Hyper-V sockets, so under the service it has to stay SYSTEM; what SYSTEM could do
 * is taken away as far as sockets and pipes allow:
 *
 *   privileges       all but SeChangeNotify are deleted, not merely off: no debugging of others, no
 *                    impersonation, no driver, no back-up rights
 *   administrators   the group stays to deny and grants nothing any more
 *   integrity        medium: nothing of the system's level can be written, the controller's process
 *                    included. The pipes' label is medium, so that a worker may serve them
 *
 * No restricting SIDs: with them every access is asked twice, and the descriptor of WSL's sockets
 * names SYSTEM and the owner only. Writing into files that grant SYSTEM is still possible; an
 * account of its own would end that, and it could not reach the sockets.
 *
 * A restricted copy of one's own token may be given to a child without any privilege.
 */
#include "port/win/worker_token.h"

#include "base/util.h"
#include "port/win/win_error.h"

static DWORD integrity_of(HANDLE token)
{
    union {
        TOKEN_MANDATORY_LABEL label;
        BYTE bytes[sizeof(TOKEN_MANDATORY_LABEL) + SECURITY_MAX_SID_SIZE];
    } info;
    DWORD len;

    if (!GetTokenInformation(token, TokenIntegrityLevel, &info, sizeof info, &len))
        return SECURITY_MANDATORY_SYSTEM_RID; /* unknown: lower it */
    return *GetSidSubAuthority(info.label.Label.Sid,
                               (DWORD)*GetSidSubAuthorityCount(info.label.Label.Sid) - 1u);
}

static bool lower_integrity(HANDLE token)
{
    BYTE sid[SECURITY_MAX_SID_SIZE];
    DWORD len = sizeof sid;
    TOKEN_MANDATORY_LABEL label = { { sid, SE_GROUP_INTEGRITY } };

    if (integrity_of(token) <= SECURITY_MANDATORY_MEDIUM_RID)
        return true;
    return CreateWellKnownSid(WinMediumLabelSid, NULL, sid, &len) &&
           SetTokenInformation(token, TokenIntegrityLevel, &label, (DWORD)sizeof label + len);
}

enum status worker_token_new(HANDLE *out, struct errmsg *e)
{
    BYTE administrators[SECURITY_MAX_SID_SIZE];
    SID_AND_ATTRIBUTES denied = { administrators, 0 };
    DWORD len = sizeof administrators;
    enum status st = ST_OK;
    HANDLE own, token = NULL;

    if (!OpenProcessToken(GetCurrentProcess(),
                          TOKEN_DUPLICATE | TOKEN_ASSIGN_PRIMARY | TOKEN_QUERY |
                              TOKEN_ADJUST_DEFAULT,
                          &own))
        return win_error_set(e, "open own token", GetLastError());
    if (!CreateWellKnownSid(WinBuiltinAdministratorsSid, NULL, administrators, &len) ||
        !CreateRestrictedToken(own, DISABLE_MAX_PRIVILEGE, 1, &denied, 0, NULL, 0, NULL, &token))
        st = win_error_set(e, "restrict token", GetLastError());
    CloseHandle(own);
    if (st)
        return st;
    if (!lower_integrity(token)) {
        st = win_error_set(e, "lower integrity", GetLastError());
        CloseHandle(token);
        return st;
    }
    *out = token;
    return ST_OK;
}

enum status worker_job_new(HANDLE *out, bool restricts_desktop, struct errmsg *e)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = { 0 };
    JOBOBJECT_BASIC_UI_RESTRICTIONS desktop = {
        JOB_OBJECT_UILIMIT_DESKTOP | JOB_OBJECT_UILIMIT_DISPLAYSETTINGS |
        JOB_OBJECT_UILIMIT_EXITWINDOWS | JOB_OBJECT_UILIMIT_GLOBALATOMS |
        JOB_OBJECT_UILIMIT_HANDLES | JOB_OBJECT_UILIMIT_READCLIPBOARD |
        JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS | JOB_OBJECT_UILIMIT_WRITECLIPBOARD
    };
    HANDLE job = CreateJobObjectW(NULL, NULL);
    enum status st;

    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE |
                                              JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION |
                                              JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
    limits.BasicLimitInformation.ActiveProcessLimit = 1;
    if (job &&
        SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits) &&
        (!restricts_desktop ||
         SetInformationJobObject(job, JobObjectBasicUIRestrictions, &desktop, sizeof desktop))) {
        *out = job;
        return ST_OK;
    }
    st = win_error_set(e, "job object", GetLastError());
    if (job)
        CloseHandle(job);
    return st;
}
