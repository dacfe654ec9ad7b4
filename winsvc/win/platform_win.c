/* SPDX-License-Identifier: Apache-2.0 */
#include "platform.h"

#include "port/win/pipe_acl.h"
#include "win/mitigations.h"

#include <stdio.h>
#include <string.h>

void platform_harden_process(void)
{
    mitigations_process();
}

void platform_harden_worker(enum platform_worker which)
{
    mitigations_worker(); /* what else a worker lacks is in its token (port/win/worker_token.h) */
}

void platform_raise_limits(void)
{
    /* Windows has no such limit. */
}

_Static_assert((int)PLATFORM_SDDL_MAX >= (int)PIPE_ACL_TEXT_MAX, "the longest descriptor fits");

enum status platform_access(const char *const *names, unsigned count, bool last_is_optional,
                            struct platform_access *out, struct errmsg *e)
{
    struct pipe_acl_report report = { 0 };
    enum status st = pipe_acl_build(out->sddl, sizeof out->sddl, names, count, &report, e);

    if (st)
        return st;
    out->count = 0;
    out->missing[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        size_t len = strlen(out->missing);

        if (report.resolved >> i & 1u)
            snprintf(out->accounts[out->count++], OPTION_VALUE_MAX, "%s", names[i]);
        else if (i + 1 < count || !last_is_optional)
            snprintf(out->missing + len, sizeof out->missing - len, "%s%s", len ? ", " : "",
                     names[i]);
    }
    return ST_OK;
}
