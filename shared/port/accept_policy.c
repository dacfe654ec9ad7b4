/* SPDX-License-Identifier: Apache-2.0 */
#include "port/accept_policy.h"

#include "base/util.h"

static const enum accept_action actions[] = {
    [ACCEPT_ERR_WOULD_BLOCK] = ACCEPT_DO_WAIT,
    [ACCEPT_ERR_INTERRUPTED] = ACCEPT_DO_NEXT,
    [ACCEPT_ERR_PEER_GONE] = ACCEPT_DO_NEXT,
    [ACCEPT_ERR_NO_FILES] = ACCEPT_DO_SHED,
    [ACCEPT_ERR_NO_MEMORY] = ACCEPT_DO_BACK_OFF,
    [ACCEPT_ERR_SOCKET_DEAD] = ACCEPT_DO_REOPEN,
    /* Whatever it is, trying again at full speed is the one wrong answer. */
    [ACCEPT_ERR_OTHER] = ACCEPT_DO_BACK_OFF,
};

_Static_assert(ARRAY_SIZE(actions) == ACCEPT_ERR_COUNT, "an action for each error");

enum accept_action accept_policy(enum accept_error err)
{
    return (unsigned)err < ACCEPT_ERR_COUNT ? actions[err] : ACCEPT_DO_BACK_OFF;
}

uint32_t accept_backoff_next_ms(uint32_t previous_ms)
{
    if (previous_ms < ACCEPT_BACKOFF_FIRST_MS)
        return ACCEPT_BACKOFF_FIRST_MS;
    return previous_ms >= ACCEPT_BACKOFF_CAP_MS / 2 ? ACCEPT_BACKOFF_CAP_MS : previous_ms * 2;
}
