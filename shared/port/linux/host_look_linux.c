/* SPDX-License-Identifier: Apache-2.0 */
#include "port/host_look.h"

#include "port/addr.h"
#include "port/port_ranges.h"
#include "port/uv/uv_status.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { RESERVED_TEXT_MAX = 16 * 1024 };

static enum status sys_status(int err)
{
    return uv_status(uv_translate_sys_error(err));
}

static enum status owner(const struct addr *at, struct host_owner *out)
{
    struct stat st;

    if (at->kind != ADDR_UNIX)
        return ST_UNSUPPORTED;
    if (stat(at->path, &st) != 0)
        return sys_status(errno);
    *out = (struct host_owner){ .is_trusted = st.st_uid == 0 || st.st_uid == geteuid(),
                                .may_open = access(at->path, R_OK | W_OK) == 0 };
    snprintf(out->account, sizeof out->account, "uid %lu", (unsigned long)st.st_uid);
    return ST_OK;
}

static enum status reserved_ports(struct port_ranges *out)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_reserved_ports", "re");
    char text[RESERVED_TEXT_MAX];
    size_t n;

    out->count = 0;
    if (!file)
        return sys_status(errno);
    n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    port_ranges_add_list(out, text);
    return ST_OK;
}

static enum status machine_list(void)
{
    return ST_UNSUPPORTED;
}

const struct host_look host_look_os = { owner, reserved_ports, machine_list };
