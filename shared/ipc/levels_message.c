/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/levels_message.h"

#include <stdio.h>
#include <string.h>

void levels_follow(struct levels_told *told, struct channel *c)
{
    Rdlink__V1__Envelope msg = RDLINK__V1__ENVELOPE__INIT;
    Rdlink__V1__LogLevels levels = RDLINK__V1__LOG_LEVELS__INIT;
    char text[LOG_LEVELS_MAX];

    if (!strcmp(told->text, log_override()))
        return;
    snprintf(text, sizeof text, "%s", log_override());
    levels.levels = text;
    msg.body_case = RDLINK__V1__ENVELOPE__BODY_LOG_LEVELS;
    msg.log_levels = &levels;
    if (channel_send(c, &msg) == ST_OK)
        memcpy(told->text, text, sizeof text);
}

void levels_take(const Rdlink__V1__LogLevels *msg)
{
    static struct log_limit site;
    struct log_levels levels;
    char text[LOG_LEVELS_MAX];

    if (log_set_override(msg->levels, NULL) != ST_OK)
        return;
    log_get_levels(&levels);
    log_write_limited(&site, LOG_INFO, LOG_IPC, "levels are now %s, as the controller asked",
                      log_levels_text(&levels, text));
}
