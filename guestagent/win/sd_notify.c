/* SPDX-License-Identifier: Apache-2.0
 * There is no systemd here; the Windows build of the agent is started by tests only.
 */
#include "guestagent/sd_notify.h"

enum status sd_notify_send(const char *lines)
{
    return ST_NOTFOUND;
}

uint32_t sd_notify_watchdog_ms(void)
{
    return 0;
}

unsigned sd_notify_listen_fds(struct sd_listen_fd out[static SD_LISTEN_MAX])
{
    return 0;
}
