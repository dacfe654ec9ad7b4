/* SPDX-License-Identifier: Apache-2.0 */
#include "port/sys.h"

#include "port/uv/uv_status.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

enum status sys_random(void *buf, size_t len_bytes)
{
    int err = uv_random(NULL, NULL, buf, len_bytes, 0, NULL);

    return err ? uv_status(err) : ST_OK;
}

int64_t sys_wall_us(void)
{
    uv_timeval64_t now;

    /* It fails for a NULL pointer only. */
    if (uv_gettimeofday(&now))
        return 0;
    return now.tv_sec * 1000000 + now.tv_usec;
}

int64_t sys_wall_ms(void)
{
    return sys_wall_us() / 1000;
}

uint64_t sys_monotonic_ms(void)
{
    return uv_hrtime() / 1000000;
}

static uint64_t ms_of(const uv_timeval_t *t)
{
    return (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_usec / 1000;
}

uint64_t sys_cpu_ms(void)
{
    uv_rusage_t used;

    return uv_getrusage(&used) ? 0 : ms_of(&used.ru_utime) + ms_of(&used.ru_stime);
}

int64_t sys_pid(void)
{
    return uv_os_getpid();
}

enum status sys_self_path(char *buf, size_t cap)
{
    size_t len = cap;
    int err = uv_exepath(buf, &len);

    if (err)
        return uv_status(err);
    /* libuv cuts silently. */
    return len + 1 < cap ? ST_OK : ST_FULL;
}

void sys_describe(struct sys_facts *out)
{
    uv_utsname_t name;
    double uptime_s;

    memset(out, 0, sizeof *out);
    if (!uv_os_uname(&name)) {
        snprintf(out->system, sizeof out->system, "%s", name.sysname);
        snprintf(out->release, sizeof out->release, "%s", name.release);
        snprintf(out->version, sizeof out->version, "%s", name.version);
        snprintf(out->machine, sizeof out->machine, "%s", name.machine);
    }
    if (!uv_uptime(&uptime_s))
        out->uptime_s = (uint64_t)uptime_s;
    out->cpus = uv_available_parallelism();
    out->memory_bytes = uv_get_total_memory();
}
