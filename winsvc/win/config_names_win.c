/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_names.h"

#include "win/config_registry.h"

#include <stdio.h>
#include <stdlib.h>

const char *config_default_endpoint(void)
{
    return "npipe:docker_engine";
}

const char *config_default_fallback(void)
{
    return "npipe:rancher_desktop_engine";
}

const char *config_default_status(void)
{
    return "npipe:rdlink_status";
}

const char *config_default_control(void)
{
    return "npipe:rdlink_control";
}

const char *config_default_status_file(void)
{
    static char path[OPTION_VALUE_MAX]; /* always the same text */
    const char *data = getenv("ProgramData");

    snprintf(path, sizeof path, "%s\\rdlink\\logs\\status.json", data ? data : "C:\\ProgramData");
    return path;
}

const char *config_default_switch_control(void)
{
    return "npipe:rdlink_switch";
}

const char *config_default_vm_folder(void)
{
    return NULL;
}

enum status config_places_find(const char *root, struct config_places *out)
{
    const char *folder = root[0] ? root : "rdlink", *data = getenv("ProgramData");
    int file = snprintf(out->file, sizeof out->file, "%s\\%s\\rdlinkd.conf",
                        data ? data : "C:\\ProgramData", folder);

    out->policy_file[0] = '\0'; /* a policy is a key */
    return file < (int)sizeof out->file ? config_registry_init(&out->store, folder) : ST_FULL;
}
