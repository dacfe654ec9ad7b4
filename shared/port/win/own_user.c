/* SPDX-License-Identifier: Apache-2.0 */
#include "port/win/own_user.h"

DWORD own_user_get(struct own_user *out)
{
    DWORD error = ERROR_SUCCESS, len;
    HANDLE token;

    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return GetLastError();
    if (!GetTokenInformation(token, TokenUser, &out->info, sizeof out->info, &len))
        error = GetLastError();
    CloseHandle(token);
    return error;
}

bool own_user_is(PSID sid)
{
    struct own_user own = { .info.token.User.Sid = NULL };

    return own_user_get(&own) == ERROR_SUCCESS && EqualSid(own.info.token.User.Sid, sid);
}
