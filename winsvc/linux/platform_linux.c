/* SPDX-License-Identifier: Apache-2.0 */
#include "platform.h"

#include <sys/resource.h>

void platform_harden_process(void)
{
    /* Nothing that systemd's unit does not do already. */
}

void platform_raise_limits(void)
{
    struct rlimit files;

    /* The soft limit is 1024 for the sake of select(), which nothing here uses. */
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

enum status platform_access(const char *const *names, unsigned count, bool last_is_optional,
                            struct platform_access *out, struct errmsg *e)
{
    *out = (struct platform_access){ .count = 0 };
    if (count == 0)
        return ST_OK;
    errmsg_set(e, "endpoint-grant: a unix socket is granted by the rights of its folder; "
                  "this option is for named pipes");
    return ST_UNSUPPORTED;
}
