/* SPDX-License-Identifier: Apache-2.0 */
#include "platform.h"

#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void platform_harden_process(void)
{
    /* Nothing that systemd's unit does not do already. */
}

/* Rights of root that a worker keeps; every other capability is gone from all its sets. */
static uint64_t kept_capabilities(enum platform_worker which)
{
    const uint64_t sockets = UINT64_C(1) << CAP_DAC_OVERRIDE; /* a machine's may be its user's */

    if (which == PLATFORM_WORKER_DOCKER)
        return sockets;
    return sockets | UINT64_C(1) << CAP_NET_BIND_SERVICE /* a guest's port 80 */
           | UINT64_C(1) << CAP_NET_RAW;                 /* echo, where ping sockets are closed */
}

void platform_harden_worker(enum platform_worker which)
{
    struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct sets[2] = { { 0 } };
    uint64_t keep = kept_capabilities(which);

    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_capget, &head, sets) != 0)
        return; /* older than any kernel we run on; the status tells what the worker has */
    for (unsigned i = 0; i < 2; i++) {
        sets[i].effective &= (uint32_t)(keep >> (32 * i));
        sets[i].permitted = sets[i].effective;
        sets[i].inheritable = 0;
    }
    (void)syscall(SYS_capset, &head, sets);
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
