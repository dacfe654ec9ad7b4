/* SPDX-License-Identifier: Apache-2.0
 * own_user.h - the account that this process runs as. Any thread.
 */
#ifndef SHARED_PORT_WIN_OWN_USER_H
#define SHARED_PORT_WIN_OWN_USER_H

#include <stdbool.h>
#include <windows.h>

struct own_user {
    union {
        TOKEN_USER token; /* its Sid points into this struct */
        BYTE room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    } info;
};

/* 0 or an error of Windows. */
DWORD own_user_get(struct own_user *out);
/* False too where that cannot be told. */
bool own_user_is(PSID sid);

#endif
