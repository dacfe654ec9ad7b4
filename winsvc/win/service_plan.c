/* SPDX-License-Identifier: Apache-2.0
 * THEORY
 *
 * Restarts. The service manager restarts a service that died, or (failure flag) that stopped with
 * an error: 1, 2, 4, 8, 16, 30 and then every 60 s, so that a moment's fault costs a second and a
 * lasting one no CPU.
 *
 * Privileges. LocalSystem is needed because WSL's sockets let nobody else but a machine's owner
 * connect. Of its privileges two are kept, the manager removes the rest when it starts us:
 *   SeChangeNotify   walks through folders; without it nearly no file opens
 *   SeImpersonate    asks a pipe who its client is
 * Workers get a restricted copy of our own token. Windows lets a process start children with such
 * a copy without SeAssignPrimaryToken and SeIncreaseQuota, so neither is on the list.
 *
 * service_sddl. SYSTEM and administrators: everything (SYSTEM sets the service up by itself at its
 * first start, service_settings.c). Who is logged on here: query configuration and status (CC LC),
 * list dependents (SW), interrogate (LO), read this descriptor (RC). Nobody else may start (RP),
 * stop (WP), pause (DT), send controls (CR) or change (DC) it. Failed attempts are not audited.
 *
 * Folders. ProgramData lets every user make files and folders in it; below ours the protected
 * descriptor ends that: users may see the folder itself, and nothing that is made in it is theirs.
 * Keys are not even listed to them.
 */
#include "win/service_plan.h"

#include "port/win/command_line.h"

#include <stdbool.h>
#include <string.h>

const uint32_t service_restart_ms[SERVICE_RESTARTS] = {
    1000, 2000, 4000, 8000, 16000, 30000, 60000
};

const char *const service_privileges[] = { "SeChangeNotifyPrivilege", "SeImpersonatePrivilege",
                                           NULL };

const char service_sddl[] = "D:(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;SY)"
                            "(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCLCSWLORC;;;IU)";

const char service_folder_sddl[] = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;;0x1200a9;;;BU)";
const char service_keys_sddl[] = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";

static bool is_absolute(const char *path)
{
    bool has_drive =
        ((path[0] | 0x20) >= 'a' && (path[0] | 0x20) <= 'z') && path[1] == ':' && path[2] == '\\';

    return has_drive || (path[0] == '\\' && path[1] == '\\');
}

enum status service_command(char *out, size_t cap, const char *program, int argc,
                            const char *const *argv, struct errmsg *e)
{
    struct command_line line = { .out = out, .cap = cap };

    if (!is_absolute(program) || strchr(program, '"')) {
        errmsg_set(e, "\"%.100s\" is no absolute path", program);
        return ST_INVAL;
    }
    command_line_program(&line, program);
    command_line_add(&line, "service");
    for (int i = 0; i < argc; i++)
        command_line_add(&line, argv[i]);
    if (!command_line_end(&line)) {
        errmsg_set(e, "command line longer than %zu bytes", cap - 1);
        return ST_FULL;
    }
    return ST_OK;
}
