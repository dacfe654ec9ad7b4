/* SPDX-License-Identifier: Apache-2.0 */
#include "platform.h"

#include "base/log.h"
#include "port/win/pipe_acl.h"
#include "win/service_main.h"

void platform_harden_process(void)
{
    service_harden_process();
}

void platform_raise_limits(void)
{
    /* Windows has no such limit. */
}

enum status platform_endpoint_sddl(const struct option_list *grant, char *buf, size_t cap,
                                   struct errmsg *e)
{
    const char *names[OPTION_LIST_MAX];
    struct pipe_acl_report report = { 0 };
    enum status st;

    for (unsigned i = 0; i < grant->count; i++)
        names[i] = grant->items[i];
    st = pipe_acl_build(buf, cap, names, grant->count, &report, e);
    if (st == ST_OK && report.unresolved)
        log_warn(LOG_DOCKER, "endpoint-grant: no such account, left out: %s", report.names.text);
    return st;
}
