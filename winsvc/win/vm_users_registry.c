/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 * HKEY_USERS has a key for each user whose hive is loaded, named by the SID:
 *
 *   S-1-5-21-...\Software\Microsoft\Windows\CurrentVersion\Lxss\{GUID}   DistributionName = "..."
 *
 * Beside them stand .DEFAULT, S-1-..._Classes and the accounts of services, which are left out. A
 * hive is its user's own to write, so counts and lengths are bounded; what is too long is skipped.
 */
#include "vm/vm_owner.h"

#include "base/util.h"
#include "port/win/utf16.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

#include <sddl.h> /* needs windows.h */

enum { USERS_MAX = 256, DISTRIBUTIONS_MAX = 256, KEY_MAX = 256, NAME_CHARS = 128 };

static const wchar_t lxss[] = L"Software\\Microsoft\\Windows\\CurrentVersion\\Lxss";

struct registry_users {
    struct vm_users base;
    wchar_t key[KEY_MAX]; /* below HKLM; "" = HKEY_USERS */
};

static HKEY open_key(HKEY parent, const wchar_t *name)
{
    HKEY h;

    return RegOpenKeyExW(parent, name, 0, KEY_READ | KEY_WOW64_64KEY, &h) == ERROR_SUCCESS ? h
                                                                                           : NULL;
}

/* The name of sub-key @i; false at the end. One that cannot be read is "". */
static bool next_name(HKEY h, DWORD i, wchar_t name[static KEY_MAX])
{
    DWORD len = KEY_MAX;
    LONG error = RegEnumKeyExW(h, i, name, &len, NULL, NULL, NULL, NULL);

    if (error != ERROR_SUCCESS)
        name[0] = L'\0';
    return error != ERROR_NO_MORE_ITEMS;
}

static bool is_person(const wchar_t *sid)
{
    static const wchar_t *const services[] = { L"S-1-5-18", L"S-1-5-19", L"S-1-5-20" };

    for (unsigned i = 0; i < ARRAY_SIZE(services); i++)
        if (!wcscmp(sid, services[i]))
            return false;
    return !wcsncmp(sid, L"S-1-", 4) && !wcschr(sid, L'_');
}

static void tell(HKEY distributions, const wchar_t *guid, const char *sid, vm_registration_fn *fn,
                 void *ctx)
{
    wchar_t wide[NAME_CHARS];
    char name[NAME_CHARS * 3];
    DWORD bytes = sizeof wide;

    if (RegGetValueW(distributions, guid, L"DistributionName", RRF_RT_REG_SZ, NULL, wide, &bytes) ==
            ERROR_SUCCESS &&
        utf16_to_utf8(name, sizeof name, wide) == ST_OK)
        fn(ctx, sid, name);
}

static void scan_user(HKEY users, const wchar_t *user, vm_registration_fn *fn, void *ctx)
{
    wchar_t path[KEY_MAX + ARRAY_SIZE(lxss) + 1], guid[KEY_MAX];
    char sid[VM_OWNER_SID_MAX];
    HKEY h;

    if (utf16_to_utf8(sid, sizeof sid, user) ||
        swprintf(path, ARRAY_SIZE(path), L"%ls\\%ls", user, lxss) < 0)
        return;
    h = open_key(users, path);
    if (!h)
        return;
    for (DWORD i = 0; i < DISTRIBUTIONS_MAX && next_name(h, i, guid); i++)
        if (guid[0])
            tell(h, guid, sid, fn, ctx);
    RegCloseKey(h);
}

static void registry_scan(struct vm_users *base, vm_registration_fn *fn, void *ctx)
{
    const struct registry_users *u = container_of(base, struct registry_users, base);
    HKEY users = u->key[0] ? open_key(HKEY_LOCAL_MACHINE, u->key) : HKEY_USERS;
    wchar_t user[KEY_MAX];

    if (!users)
        return;
    for (DWORD i = 0; i < USERS_MAX && next_name(users, i, user); i++)
        if (is_person(user))
            scan_user(users, user, fn, ctx);
    if (u->key[0])
        RegCloseKey(users);
}

static void registry_name(struct vm_users *base, const char *sid, char *buf, size_t cap)
{
    wchar_t wide[VM_OWNER_SID_MAX], name[NAME_CHARS], domain[NAME_CHARS], both[2 * NAME_CHARS];
    DWORD name_len = ARRAY_SIZE(name), domain_len = ARRAY_SIZE(domain);
    SID_NAME_USE use;
    PSID parsed;

    snprintf(buf, cap, "%s", sid);
    if (utf8_to_utf16(wide, ARRAY_SIZE(wide), sid) || !ConvertStringSidToSidW(wide, &parsed))
        return;
    if (LookupAccountSidW(NULL, parsed, name, &name_len, domain, &domain_len, &use) &&
        swprintf(both, ARRAY_SIZE(both), L"%ls\\%ls", domain, name) >= 0 &&
        utf16_to_utf8(buf, cap, both) != ST_OK)
        snprintf(buf, cap, "%s", sid);
    LocalFree(parsed);
}

static void registry_close(struct vm_users *base)
{
    free(container_of(base, struct registry_users, base));
}

static const struct vm_users_ops ops = { registry_scan, registry_name, registry_close };

enum status vm_users_open(struct vm_users **out, const char *key, struct errmsg *e)
{
    struct registry_users *u = calloc(1, sizeof *u);
    enum status st;

    if (!u) {
        errmsg_set(e, "%s", status_text(ST_NOMEM));
        return ST_NOMEM;
    }
    u->base.ops = &ops;
    st = utf8_to_utf16(u->key, KEY_MAX, key ? key : "");
    if (st) {
        errmsg_set(e, "registry key \"%s\": %s", key, status_text(st));
        free(u);
        return st;
    }
    *out = &u->base;
    return ST_OK;
}
