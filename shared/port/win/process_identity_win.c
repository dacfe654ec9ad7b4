/* SPDX-License-Identifier: Apache-2.0 */
#include "port/process_identity.h"

#include "base/util.h"
#include "port/win/utf16.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

enum { TOKEN_BYTES = 16384, NAME_CHARS = 96 };

/* Large enough for the groups of an account in a large domain; what is longer is not told. */
union answer {
    TOKEN_USER user;
    TOKEN_PRIVILEGES privileges;
    TOKEN_GROUPS groups;
    TOKEN_MANDATORY_LABEL label;
    BYTE bytes[TOKEN_BYTES];
};

static void add(char *text, size_t cap, const char *what)
{
    size_t len = strlen(text);

    snprintf(text + len, cap - len, "%s%s", len ? ", " : "", what);
}

static bool ask(HANDLE token, TOKEN_INFORMATION_CLASS what, union answer *out)
{
    DWORD len;

    return GetTokenInformation(token, what, out, sizeof *out, &len);
}

static void describe_account(HANDLE token, union answer *a, struct process_identity *out)
{
    wchar_t name[NAME_CHARS], domain[NAME_CHARS];
    char name8[NAME_CHARS], domain8[NAME_CHARS];
    DWORD name_len = ARRAY_SIZE(name), domain_len = ARRAY_SIZE(domain);
    SID_NAME_USE use;

    if (ask(token, TokenUser, a) &&
        LookupAccountSidW(NULL, a->user.User.Sid, name, &name_len, domain, &domain_len, &use) &&
        utf16_to_utf8(name8, sizeof name8, name) == ST_OK &&
        utf16_to_utf8(domain8, sizeof domain8, domain) == ST_OK)
        snprintf(out->account, sizeof out->account, "%.45s\\%.45s", domain8, name8);
}

static void describe_privileges(HANDLE token, union answer *a, struct process_identity *out)
{
    char text[40];

    if (!ask(token, TokenPrivileges, a))
        return;
    snprintf(text, sizeof text, "%lu %s", a->privileges.PrivilegeCount,
             a->privileges.PrivilegeCount == 1 ? "privilege" : "privileges");
    add(out->token, sizeof out->token, text);
}

/* "administrator", "no administrator" (the group only denies), or nothing where it is absent. */
static void describe_administrators(HANDLE token, union answer *a, struct process_identity *out)
{
    BYTE sid[SECURITY_MAX_SID_SIZE];
    DWORD len = sizeof sid;

    if (!CreateWellKnownSid(WinBuiltinAdministratorsSid, NULL, sid, &len) ||
        !ask(token, TokenGroups, a))
        return;
    for (DWORD i = 0; i < a->groups.GroupCount; i++) {
        const SID_AND_ATTRIBUTES *g = &a->groups.Groups[i];

        if (EqualSid(g->Sid, sid))
            add(out->token, sizeof out->token,
                g->Attributes & SE_GROUP_USE_FOR_DENY_ONLY ? "no administrator"
                : g->Attributes & SE_GROUP_ENABLED         ? "administrator"
                                                           : "administrator when elevated");
    }
}

static void describe_integrity(HANDLE token, union answer *a, struct process_identity *out)
{
    DWORD level;

    if (!ask(token, TokenIntegrityLevel, a))
        return;
    level = *GetSidSubAuthority(a->label.Label.Sid,
                                (DWORD)*GetSidSubAuthorityCount(a->label.Label.Sid) - 1u);
    add(out->token, sizeof out->token,
        level >= SECURITY_MANDATORY_SYSTEM_RID   ? "system integrity"
        : level >= SECURITY_MANDATORY_HIGH_RID   ? "high integrity"
        : level >= SECURITY_MANDATORY_MEDIUM_RID ? "medium integrity"
                                                 : "low integrity");
}

static void describe_token(HANDLE process, struct process_identity *out)
{
    union answer a;
    HANDLE token;

    if (!OpenProcessToken(process, TOKEN_QUERY, &token))
        return;
    describe_account(token, &a, out);
    describe_privileges(token, &a, out);
    describe_administrators(token, &a, out);
    describe_integrity(token, &a, out);
    CloseHandle(token);
}

/* One word of flags each; which bits mean "on". */
static const struct {
    PROCESS_MITIGATION_POLICY policy;
    DWORD bits;
    const char *name;
} policies[] = {
    { ProcessDynamicCodePolicy, 0x1, "dynamicCode" },
    { ProcessExtensionPointDisablePolicy, 0x1, "extensionPoints" },
    { ProcessImageLoadPolicy, 0x3, "imageLoad" }, /* neither remote nor of low integrity */
    { ProcessStrictHandleCheckPolicy, 0x3, "strictHandle" },
    { ProcessFontDisablePolicy, 0x1, "fonts" },
    { ProcessSystemCallDisablePolicy, 0x1, "win32k" },
    { ProcessChildProcessPolicy, 0x1, "childProcess" },
};

static void describe_mitigations(HANDLE process, struct process_identity *out)
{
    for (unsigned i = 0; i < ARRAY_SIZE(policies); i++) {
        DWORD flags = 0;

        if (GetProcessMitigationPolicy(process, policies[i].policy, &flags, sizeof flags) &&
            (flags & policies[i].bits) == policies[i].bits)
            add(out->mitigations, sizeof out->mitigations, policies[i].name);
    }
    if (!out->mitigations[0])
        add(out->mitigations, sizeof out->mitigations, "none");
}

void process_identity_of(int64_t pid, struct process_identity *out)
{
    HANDLE process = OpenProcess(PROCESS_QUERY_INFORMATION, FALSE, (DWORD)pid);

    *out = (struct process_identity){ .account = "" };
    if (!process)
        return;
    describe_token(process, out);
    describe_mitigations(process, out);
    CloseHandle(process);
}
