/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_names.h"

#include <stdio.h>

const char *config_default_endpoint(void)
{
    return "unix:/run/rdlink/docker.sock";
}

const char *config_default_fallback(void)
{
    return "unix:/run/rdlink/docker-fallback.sock";
}

const char *config_default_status(void)
{
    return "unix:/run/rdlink/status.sock";
}

const char *config_default_control(void)
{
    return "unix:/run/rdlink/control.sock";
}

const char *config_default_status_file(void)
{
    return "/run/rdlink/status.json";
}

const char *config_default_switch_control(void)
{
    return "unix:/run/rdlink/switch";
}

const char *config_default_vm_folder(void)
{
    return "/run/rdlink/vms";
}

enum status config_places_find(const char *root, struct config_places *out)
{
    const char *folder = root[0] ? root : "/etc/rdlink";
    int file = snprintf(out->file, sizeof out->file, "%s/rdlinkd.conf", folder);
    int policy = snprintf(out->policy_file, sizeof out->policy_file, "%s/policy.conf", folder);

    out->store = (struct config_store){ .read = NULL };
    return file < (int)sizeof out->file && policy < (int)sizeof out->policy_file ? ST_OK : ST_FULL;
}
