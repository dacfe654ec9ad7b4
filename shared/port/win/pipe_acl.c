/* SPDX-License-Identifier: Apache-2.0 */
#include "port/win/pipe_acl.h"

#include "port/win/own_user.h"
#include "port/win/utf16.h"
#include "port/win/win_error.h"

#include <stdio.h>
#include <string.h>
#include <windows.h>

#include <sddl.h> /* needs windows.h */

enum { NAME_MAX_CHARS = 256 };

static enum status sid_text(char *out, size_t cap, PSID sid, struct errmsg *e)
{
    wchar_t *wide = NULL;
    if (!ConvertSidToStringSidW(sid, &wide))
        return win_error_set(e, "format SID", GetLastError());
    enum status st = utf16_to_utf8(out, cap, wide);
    LocalFree(wide);
    return st;
}

static enum status own_sid(char *out, size_t cap, bool *is_system, struct errmsg *e)
{
    struct own_user own;
    DWORD error = own_user_get(&own);

    if (error)
        return win_error_set(e, "read own token", error);
    *is_system = IsWellKnownSid(own.info.token.User.Sid, WinLocalSystemSid);
    return sid_text(out, cap, own.info.token.User.Sid, e);
}

/* ST_NOTFOUND: no such user or group here, or its domain cannot be asked now. */
static enum status resolve(char *out, size_t cap, const char *name)
{
    wchar_t wide[NAME_MAX_CHARS], domain[NAME_MAX_CHARS];
    BYTE sid[SECURITY_MAX_SID_SIZE];
    DWORD sid_len = sizeof(sid), domain_len = ARRAY_SIZE(domain);
    SID_NAME_USE use;
    PSID parsed = NULL;

    if (utf8_to_utf16(wide, ARRAY_SIZE(wide), name))
        return ST_NOTFOUND;
    if (ConvertStringSidToSidW(wide, &parsed)) {
        enum status st = sid_text(out, cap, parsed, NULL);
        LocalFree(parsed);
        return st;
    }
    if (!LookupAccountNameW(NULL, wide, sid, &sid_len, domain, &domain_len, &use))
        return ST_NOTFOUND;
    return sid_text(out, cap, sid, NULL);
}

static void report_unresolved(struct pipe_acl_report *report, const char *name)
{
    if (!report)
        return;
    size_t len = strlen(report->names.text);
    snprintf(report->names.text + len, sizeof(report->names.text) - len, "%s%s",
             report->unresolved ? ", " : "", name);
    report->unresolved++;
}

enum status pipe_acl_build(char *out, size_t cap, const char *const *names, unsigned count,
                           struct pipe_acl_report *report, struct errmsg *e)
{
    char self[PIPE_ACL_SID_MAX], sids[PIPE_ACL_MAX_CLIENTS][PIPE_ACL_SID_MAX];
    struct pipe_acl acl = { .self_sid = self };

    if (report)
        *report = (struct pipe_acl_report){ 0 };
    if (count > PIPE_ACL_MAX_CLIENTS) {
        errmsg_set(e, "more than %d users and groups", PIPE_ACL_MAX_CLIENTS);
        return ST_FULL;
    }
    enum status st = own_sid(self, sizeof(self), &acl.as_system, e);
    if (st)
        return st;
    for (unsigned i = 0; i < count; i++) {
        char *sid = sids[acl.client_count];
        if (resolve(sid, PIPE_ACL_SID_MAX, names[i]) != ST_OK) {
            report_unresolved(report, names[i]);
            continue;
        }
        acl.clients[acl.client_count++] = sid;
        if (report)
            report->resolved |= 1u << i;
    }
    return pipe_acl_text(out, cap, &acl, e);
}
