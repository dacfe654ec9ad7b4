/* SPDX-License-Identifier: Apache-2.0
 * Each adapter's name servers are values of a key of its own, by DHCP or by hand; the key remembers
 * when one was written. A lease that is renewed is written there too.
 */
#include "port/name_look.h"

#include "base/util.h"

#include <windows.h>

enum { ADAPTERS_MAX = 256 }; /* keys of adapters that are long gone stay */

static const wchar_t *const folders[] = {
    L"SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters\\Interfaces",
    L"SYSTEM\\CurrentControlSet\\Services\\Tcpip6\\Parameters\\Interfaces",
};

static uint64_t look_at(const wchar_t *folder)
{
    uint64_t sum = 0;
    HKEY key;

    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, folder, 0, KEY_ENUMERATE_SUB_KEYS, &key) != ERROR_SUCCESS)
        return 0;
    for (DWORD i = 0; i < ADAPTERS_MAX; i++) {
        wchar_t name[256];
        DWORD len = ARRAY_SIZE(name);
        FILETIME at;

        if (RegEnumKeyExW(key, i, name, &len, NULL, NULL, NULL, &at) != ERROR_SUCCESS)
            break;
        sum = sum * 31 + ((uint64_t)at.dwHighDateTime << 32 | at.dwLowDateTime);
    }
    RegCloseKey(key);
    return sum;
}

uint64_t name_look(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        sum = sum * 31 + look_at(folders[i]);
    return sum;
}
